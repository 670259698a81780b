//! The kernel comes up on the network, also on a bad cable.

use std::time::{Duration, Instant};

use sk_emulator::{Board, BoardConfig, Faults, Traffic};

/// Waits until the board has sent a datagram of its own, which it does not
/// before it has an address.
fn first_datagram(config: BoardConfig) -> Traffic {
    let board: Board = e2e::start(config);
    let until = Instant::now() + e2e::PATIENCE;
    loop {
        let traffic = board.traffic().expect("the network is ours");
        if traffic.from_board > 0 {
            return traffic;
        }
        let said = board.lines().join("\n");
        assert!(Instant::now() < until, "no datagram, only:\n{said}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn gets_an_address_and_makes_itself_known() {
    assert_eq!(first_datagram(e2e::zero()).malformed, 0);
}

#[test]
fn gets_an_address_on_a_bad_cable() {
    let mut config = e2e::zero();
    config.faults = Faults { lost: 200, doubled: 100, reordered: 100, damaged: 100, seed: 1 };
    assert_eq!(first_datagram(config).malformed, 0);
}
