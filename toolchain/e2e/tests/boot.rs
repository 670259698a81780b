//! The kernel comes up on every board that QEMU has.

use sk_emulator::{Atags, BootData, Machine};

#[test]
fn on_a_zero() {
    let mut board = e2e::start(e2e::zero());
    e2e::expect(&mut board, "serverkernel");
}

#[test]
fn on_a_1_a_plus() {
    let mut config = e2e::zero();
    config.machine = Machine::Raspi1ap;
    let mut board = e2e::start(config);
    e2e::expect(&mut board, "serverkernel");
}

#[test]
fn with_192_mib() {
    let mut config = e2e::zero();
    config.boot_data = BootData::Atags(Atags { mem_mib: 192, ..Atags::default() });
    let mut board = e2e::start(config);
    e2e::expect(&mut board, "serverkernel");
}
