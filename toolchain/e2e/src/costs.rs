//! Guests that count calls on the emulated core: each says `cost NAME` before a
//! call between the markers of the counting plugin's interval 0.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use sk_emulator::{Board, BoardConfig, Net, Plugin};

/// A guest counts, and checks, for some seconds.
const LONG: Duration = Duration::from_secs(120);
/// The branch to the routine is between the markers too.
const CALL: u64 = 1;

/// Boots `NAME.img`.
///
/// # Panics
/// If it was not built.
#[must_use]
pub fn start(guest: &str, plugin: Option<Plugin>) -> Board {
    let image = crate::artefacts().join(format!("{guest}.img"));
    assert!(image.is_file(), "no {}; run `cargo xtask build --guests`", image.display());
    let mut config = BoardConfig::new(image);
    config.network = Net::None;
    config.plugin = plugin;
    crate::start(config)
}

/// Waits for the guest to say that it has come so far.
///
/// # Panics
/// With what it found wrong instead.
pub fn expect(board: &mut Board, phase: &str) {
    let said = board.wait_for_line("phase: ", LONG).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(said, format!("phase: {phase}"));
}

/// Instructions by call, from the routine's first to its return.
///
/// # Panics
/// If the guest found something wrong.
#[must_use]
pub fn count(guest: &str) -> BTreeMap<String, u64> {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("count.txt");
    let plugin = Plugin::built(&out).expect("cargo builds it with this test");
    let mut board = start(guest, Some(plugin));
    expect(&mut board, "costed");
    let said = board.lines();
    board.quit(LONG).unwrap();
    let names: Vec<&str> = said.iter().filter_map(|line| line.strip_prefix("cost ")).collect();
    let counted = fs::read_to_string(out).unwrap();
    let counts: Vec<u64> = counted
        .lines()
        .filter_map(|line| line.strip_prefix("marker 0 ")?.split(' ').next()?.parse().ok())
        .collect();
    assert_eq!(names.len(), counts.len());
    let costs: BTreeMap<String, u64> = (names.iter())
        .zip(&counts)
        .map(|(name, count)| ((*name).to_owned(), count - CALL))
        .collect();
    assert_eq!(costs.len(), names.len(), "a call was counted twice");
    costs
}

/// Prints the costs and holds them against the budgets in a file, named from
/// the root of the repository.
///
/// # Panics
/// If one is beyond its budget, has none, or a budget is nobody's.
pub fn within_budget(costs: &BTreeMap<String, u64>, file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    let text = fs::read_to_string(path).unwrap();
    let budgets: BTreeMap<String, u64> = toml::from_str(&text).unwrap();
    let mut wrong = Vec::new();
    for (name, cost) in costs {
        println!("\"{name}\" = {cost}");
        match budgets.get(name) {
            Some(budget) if cost <= budget => {}
            Some(budget) => wrong.push(format!("{name}: {cost} instructions, budget {budget}")),
            None => wrong.push(format!("{name}: {cost} instructions, no budget")),
        }
    }
    let unused = budgets.keys().filter(|name| !costs.contains_key(*name));
    wrong.extend(unused.map(|name| format!("{name}: a budget, but not counted")));
    assert!(wrong.is_empty(), "{file}:\n{}", wrong.join("\n"));
}
