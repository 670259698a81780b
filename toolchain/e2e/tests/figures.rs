//! Figures of the idle board, in instructions, so that nobody makes it restless
//! without noticing: from reset to a configured, idle board, and idle with the
//! network up.
//!
//! Time is the host's here, so a figure per second is right to a few per cent;
//! the bounds leave room for that.

use std::fs;
use std::time::Duration;

use sk_client::{Addressing, Store};
use sk_emulator::Plugin;

/// From reset to so long after the address was given.
const SETTLED: Duration = Duration::from_secs(3);
/// Length of the idle time that is measured.
const IDLE: u64 = 10;
/// Upper bounds; the goals are 20,000,000 with all idle work done, and 20,000.
const BOOT_MAX: u64 = 20_000_000;
const IDLE_MAX: u64 = 45_000;

/// Instructions until `after` past the lease.
fn instructions(name: &str, after: Duration) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(&dir.path().join("keys"));
    let provisioned = store.provision("figures", Addressing::Dhcp).unwrap();
    let out = dir.path().join("count.txt");
    let mut config = e2e::zero();
    config.blob = Some(provisioned.blob.clone());
    let mut plugin = Plugin::built(&out).expect("cargo builds it with this test");
    if e2e::layers::profile().is_some() {
        plugin.options.push(e2e::layers::EACH.to_owned());
    }
    config.plugin = Some(plugin);
    let mut board = e2e::start(config);
    e2e::expect(&mut board, "DhcpBound");
    std::thread::sleep(after);
    board.quit(e2e::PATIENCE).unwrap();
    e2e::layers::keep(&out, name);
    let text = fs::read_to_string(out).unwrap();
    let exit = text.lines().find_map(|line| line.strip_prefix("exit ")).expect("a total");
    exit.parse().unwrap()
}

#[test]
fn the_idle_board_is_quiet() {
    let boot = instructions("idle-few", SETTLED);
    let later = instructions("idle-many", SETTLED + Duration::from_secs(IDLE));
    let idle = later.saturating_sub(boot) / IDLE;
    println!("reset to idle, {} s in all: {boot} instructions", SETTLED.as_secs());
    println!("idle: {idle} instructions per second");
    assert!(boot <= BOOT_MAX, "{boot} instructions to boot");
    assert!(idle <= IDLE_MAX, "{idle} instructions per second");
}
