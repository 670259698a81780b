//! What the end-to-end tests share: the kernel as `cargo xtask build` made it,
//! and boards that boot it.
//!
//! `cargo xtask test e2e` runs the tests; this package is not one of the
//! workspace's default members, because it needs QEMU and a built kernel.

pub mod bench;
pub mod costs;
pub mod gdb;
pub mod layers;

use std::path::PathBuf;
use std::time::Duration;

use sk_emulator::{Adapter, Board, BoardConfig, Machine};

/// A board boots in well under a second; a host with other work takes longer.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The folder with kernel.img, reference.json and the examples' payloads:
/// `$SK_ARTEFACTS`, or target/serverkernel.
///
/// # Panics
/// If there is no kernel in it.
#[must_use]
pub fn artefacts() -> PathBuf {
    let dir = match (std::env::var_os("SK_ARTEFACTS"), std::env::var_os("CARGO_TARGET_DIR")) {
        (Some(dir), _) => PathBuf::from(dir),
        (None, Some(target)) => PathBuf::from(target).join("serverkernel"),
        (None, None) => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/serverkernel"),
    };
    assert!(
        dir.join("kernel.img").is_file(),
        "no kernel.img in {}; run `cargo xtask build`",
        dir.display()
    );
    dir
}

/// A Zero, or the board that `$SK_MACHINE` names, that is to boot the kernel,
/// with the adapter that `$SK_ADAPTER` names behind `$SK_HUBS` hubs.
///
/// # Panics
/// If there is none of this name.
#[must_use]
pub fn zero() -> BoardConfig {
    let mut config = BoardConfig::new(artefacts().join("kernel.img"));
    let chosen = |variable| std::env::var(variable).unwrap_or_default();
    match chosen("SK_MACHINE").as_str() {
        "" | "zero" => {}
        "1a-plus" => config.machine = Machine::Raspi1ap,
        "1b" => {
            config.machine = Machine::Raspi1ap;
            config.adapter = Adapter::Lan9512;
        }
        other => panic!("no board named {other}"),
    }
    match chosen("SK_ADAPTER").as_str() {
        "" => {}
        "usb-net" => config.adapter = Adapter::UsbNet,
        "ecm" => config.adapter = Adapter::Ecm,
        "lan9512" => config.adapter = Adapter::Lan9512,
        other => panic!("no adapter named {other}"),
    }
    config.hubs = chosen("SK_HUBS").parse().unwrap_or(0);
    config
}

/// A board with a LAN9512, whatever is chosen.
#[must_use]
pub fn one_b() -> BoardConfig {
    BoardConfig { machine: Machine::Raspi1ap, adapter: Adapter::Lan9512, ..zero() }
}

/// Starts a board.
///
/// # Panics
/// With the reason, if it cannot be started.
#[must_use]
pub fn start(config: BoardConfig) -> Board {
    Board::start(config).unwrap_or_else(|error| panic!("{error}"))
}

/// Waits for a line of the serial port.
///
/// # Panics
/// With what the board said instead.
pub fn expect(board: &mut Board, pattern: &str) -> String {
    board.wait_for_line(pattern, PATIENCE).unwrap_or_else(|error| panic!("{error}"))
}
