//! The seeds through the targets: what the fuzzer starts from is known good,
//! and what it once found stays found.

use std::fs;
use std::path::Path;

use sk_fuzz::TARGETS;

#[test]
fn every_seed_passes() {
    for (name, target) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
        let mut seeds = 0;
        for entry in fs::read_dir(&folder).expect("every target has seeds") {
            let path = entry.expect("an entry").path();
            println!("{}", path.display());
            let data = fs::read(&path).expect("a file");
            target(&data);
            // Cut short and with one byte bent: cheap, and finds the plain things.
            for at in (0..data.len()).step_by(data.len().div_ceil(16).max(1)) {
                target(&data[..at]);
                let mut bent = data.clone();
                bent[at] ^= 0x81;
                target(&bent);
            }
            seeds += 1;
        }
        assert!(seeds > 0, "{name}");
    }
}
