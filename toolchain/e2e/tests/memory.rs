//! `sk-mem` on the emulated core: what its routines do, at every alignment,
//! length and overlap, and what they cost, in instructions, against
//! `kernel/mem/budgets.toml`. The guest is `kernel/mem/guest`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use sk_emulator::{Board, BoardConfig, Net, Plugin};

/// The guest checks for some seconds.
const LONG: Duration = Duration::from_secs(120);
/// The branch to the routine is between the markers too.
const CALL: u64 = 1;

fn start(plugin: Option<Plugin>) -> Board {
    let image = e2e::artefacts().join("mem-guest.img");
    assert!(image.is_file(), "no {}; run `cargo xtask build --guests`", image.display());
    let mut config = BoardConfig::new(image);
    config.network = Net::None;
    config.plugin = plugin;
    e2e::start(config)
}

/// Waits for the guest to say that it has come so far; panics with what it
/// found wrong instead.
fn expect(board: &mut Board, phase: &str) {
    let said = board.wait_for_line("phase: ", LONG).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(said, format!("phase: {phase}"));
}

#[test]
fn right_at_every_alignment_length_and_overlap() {
    let mut board = start(None);
    expect(&mut board, "costed");
    expect(&mut board, "all right");
}

/// Instructions by call, from the routine's first to its return.
fn costs() -> BTreeMap<String, u64> {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("count.txt");
    let mut board = start(Some(Plugin::built(&out).expect("cargo builds it with this test")));
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

#[test]
fn within_budget() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kernel/mem/budgets.toml");
    let text = fs::read_to_string(path).unwrap();
    let budgets: BTreeMap<String, u64> = toml::from_str(&text).unwrap();
    let costs = costs();
    let mut wrong = Vec::new();
    for (name, cost) in &costs {
        println!("\"{name}\" = {cost}");
        match budgets.get(name) {
            Some(budget) if cost <= budget => {}
            Some(budget) => wrong.push(format!("{name}: {cost} instructions, budget {budget}")),
            None => wrong.push(format!("{name}: {cost} instructions, no budget")),
        }
    }
    let unused = budgets.keys().filter(|name| !costs.contains_key(*name));
    wrong.extend(unused.map(|name| format!("{name}: a budget, but not counted")));
    assert!(wrong.is_empty(), "kernel/mem/budgets.toml:\n{}", wrong.join("\n"));
}
