//! What it takes to get into a payload and out of it, in instructions of the
//! whole board: from the engine's word to the payload's first instruction, from
//! the kernel's last to that, and from the payload's end to the reply.
//!
//! The payload is three markers and a return (see `toolchain/plugin`); where the
//! kernel begins and ends is marked by address.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use object::{Object, ObjectSymbol};
use sk_client::{Addressing, Client, Events, Selector, Store, Task};
use sk_emulator::Plugin;

const LONG: Duration = Duration::from_secs(30);
/// Runs; the least of them is what it takes when nothing comes in between.
const RUNS: usize = 10;

struct Silent;

impl Events for Silent {
    fn stdout(&mut self, _: &[u8]) -> std::io::Result<()> {
        Ok(())
    }
    fn stderr(&mut self, _: &[u8]) -> std::io::Result<()> {
        Ok(())
    }
}

/// Ends intervals 2 and 0, starts interval 1, and returns 0.
fn image() -> Vec<u8> {
    let code = [0xE185_5005_u32, 0xE181_1001, 0xE3A0_0000, 0xE182_2002, 0xE12F_FF1E];
    let mut image = vec![b'K', sk_abi::image::VERSION, 0, 4 * code.len() as u8];
    image.extend(code.iter().flat_map(|word| word.to_le_bytes()));
    image
}

/// The address of the kernel's function whose name ends in `name`.
fn address(elf: &object::File<'_>, name: &str) -> u64 {
    let mut found = elf.symbols().filter(|symbol| {
        let own = symbol.name().unwrap_or_default();
        format!("{:#}", rustc_demangle::demangle(own)).ends_with(name)
    });
    let first = found.next().unwrap_or_else(|| panic!("no {name}"));
    assert!(found.next().is_none(), "two {name}");
    first.address()
}

#[test]
fn into_a_payload_and_out_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("count.txt");
    let file = fs::read(e2e::artefacts().join("kernel.elf")).unwrap();
    let elf = object::File::parse(&*file).unwrap();
    let mut plugin = Plugin::built(&out).expect("cargo builds it with this test");
    for (name, register) in [
        ("sk_session::server::board::Board>::start", 0),
        ("enter_task", 4),
        ("sk_hal::usb::UsbHost>::send", 3),
    ] {
        plugin.options.push(format!("mark={:x}:{register}", address(&elf, name)));
    }
    let store = Store::at(dir.path());
    let mut config = e2e::zero();
    config.blob = Some(store.provision("entry", Addressing::Dhcp).unwrap().blob.clone());
    config.plugin = Some(plugin);
    let mut board = e2e::start(config);
    e2e::expect(&mut board, "DhcpBound");
    let mut client = Client::new(store);
    client.targets = vec![board.address().unwrap()];
    client.broadcast = false;
    let known = client.find(&Selector::Known).unwrap();
    let image = image();
    for _ in 0..RUNS {
        let report = client.run(&known, &Task::new(&image, b""), &mut Silent).unwrap();
        assert_eq!(report.receipt.exit, 0);
    }
    board.quit(LONG).unwrap();

    let text = fs::read_to_string(&out).unwrap();
    let least: BTreeMap<u32, u64> = text
        .lines()
        .filter_map(|line| {
            let numbers: Vec<u64> = line
                .strip_prefix("interval ")?
                .split_whitespace()
                .map(|word| word.parse().unwrap())
                .collect();
            assert_eq!(numbers[1], RUNS as u64, "{text}");
            Some((numbers[0] as u32, numbers[2]))
        })
        .collect();
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("budgets.toml")).unwrap();
    let budgets: BTreeMap<String, u64> = toml::from_str(&text).unwrap();
    for (interval, name) in
        [(0, "start-to-payload"), (2, "enter-to-payload"), (1, "payload-to-reply")]
    {
        println!("{name}: {} instructions", least[&interval]);
        assert!(least[&interval] <= budgets[name], "{name}: {} instructions", least[&interval]);
    }
}
