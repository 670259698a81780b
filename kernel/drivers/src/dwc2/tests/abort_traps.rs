//! QEMU 7.2 to 10.0 ends with a failed assertion when a guest does one of
//! these. The model panics where QEMU would; each test first shows that the
//! trap is armed, or walks up to it and around.

use super::*;
use sk_models::dwc2::Fault;

const SYNC: Personality = Personality::QemuSync;
const ASYNC: Personality = Personality::QemuAsync;

/// Two receive transfers pending, then both pipes closed and opened anew: the
/// channel whose packet is in flight must not be enabled again.
#[test]
fn no_reuse_of_a_channel_whose_packet_is_in_flight() {
    let mut rig = Rig::new(ASYNC, Speed::High);
    let rx = rig.open(PipeKind::BulkIn);
    rig.run(1_000);
    let poisoned = rig.model.armed(1).expect("armed");
    let now = rig.now();
    rig.host.close(now, rx);
    rig.run(100_000);
    assert_eq!(rig.host.resources().retired, 1);
    assert_eq!(rig.host.resources().held, 1, "a late answer would be written to the buffer");
    let rx = rig.open(PipeKind::BulkIn);
    rig.run(1_000);
    assert_ne!(rig.model.armed(1), Some(poisoned));
    // The late completion frees it; its frame is lost with the old pipe.
    rig.device.borrow_mut().to_send.push_back(pattern(50, 1));
    rig.device.borrow_mut().to_send.push_back(pattern(50, 2));
    assert_eq!(rig.wait_receive(rx), Ok(pattern(50, 2)));
    rig.run(1_000);
    assert_eq!(rig.host.resources().retired, 0);
    assert_eq!(rig.host.stats().returns, 1);
}

/// The same for a control transfer the device leaves unanswered.
#[test]
fn no_reuse_after_a_control_timeout() {
    let mut rig = Rig::new(ASYNC, Speed::High);
    rig.model.faults(|f| f.inject(0x80, Fault::Nak, 40_000));
    assert_eq!(rig.descriptor(), Err(TransferError::Timeout));
    rig.model.faults(sk_models::dwc2::Faults::clear);
    assert_eq!(rig.descriptor().expect("on another channel").len(), 18);
}

/// An idle device that completes with a zero-length packet leaves nothing to
/// be disabled, so nothing is in flight when the port is reset.
#[test]
fn reset_port_waits_for_the_pending_in() {
    let mut rig = Rig::new(ASYNC, Speed::High);
    rig.device.borrow_mut().zlp_after = Some(160);
    for _ in 0..3 {
        rig.open(PipeKind::BulkIn);
        rig.run(3_000);
        let now = rig.now();
        rig.host.reset_port(now);
        rig.run(500);
        rig.enumerate();
        rig.assert_no_leak();
    }
    assert_eq!(rig.model.seen().disables, 0);
    assert_eq!(rig.host.stats().starts, 1);
}

/// A device that never completes but holds its request over the reset.
#[test]
fn reset_port_with_a_request_held_does_not_reuse_its_channel() {
    let mut rig = Rig::new(ASYNC, Speed::High);
    for round in 1..=3 {
        rig.open(PipeKind::BulkIn);
        rig.run(3_000);
        let now = rig.now();
        rig.host.reset_port(now);
        rig.run(500);
        rig.enumerate();
        assert_eq!(rig.host.resources().retired, round);
    }
    // Their answers come at last.
    for i in 0..3 {
        rig.device.borrow_mut().to_send.push_back(pattern(10, i));
    }
    rig.run(150_000);
    rig.assert_no_leak();
}

/// A port reset while a NAKed IN is being retried, even after CHDIS.
#[test]
fn reset_port_ends_the_retries_first() {
    let mut rig = Rig::new(SYNC, Speed::Full);
    for _ in 0..3 {
        rig.open(PipeKind::BulkIn);
        rig.run(20_000);
        let now = rig.now();
        rig.host.reset_port(now);
        rig.run(500);
        rig.enumerate();
        rig.assert_no_leak();
    }
    assert_eq!(rig.model.seen().port_resets, 4);
    assert_eq!(rig.model.seen().zombies, 0);
}

/// After a close nothing is retried any more: neither is a frame swallowed nor
/// does an unplug end the emulator.
#[test]
fn a_closed_pipe_leaves_no_zombie_behind() {
    let mut rig = Rig::new(SYNC, Speed::Full);
    let rx = rig.open(PipeKind::BulkIn);
    rig.run(20_000);
    let now = rig.now();
    rig.host.close(now, rx);
    rig.run(100_000);
    rig.device.borrow_mut().to_send.push_back(pattern(70, 1));
    rig.run(10_000);
    let rx = rig.open(PipeKind::BulkIn);
    assert_eq!(rig.wait_receive(rx), Ok(pattern(70, 1)), "not swallowed");
    let now = rig.now();
    rig.host.close(now, rx);
    rig.run(100_000);
    rig.model.detach();
    rig.run(1_000_000);
    assert_eq!(rig.host.port(), Port::Empty);
    rig.assert_no_leak();
}

/// Closing while a control transfer runs: the flush waits for endpoint 0.
#[test]
fn the_flush_does_not_meet_a_control_transfer() {
    for p in [SILICON, SYNC] {
        let mut rig = Rig::new(p, Speed::Full);
        for round in 0..20 {
            let rx = rig.open(PipeKind::BulkIn);
            rig.run(5_000);
            let now = rig.now();
            rig.host.close(now, rx);
            rig.run(48_000 + 250 * round);
            for _ in 0..4 {
                assert_eq!(rig.descriptor().expect("undisturbed").len(), 18, "{p:?}");
            }
        }
        rig.run(200_000);
        rig.assert_no_leak();
    }
}

/// Unplug with an asynchronous IN pending: its channel is never enabled again.
#[test]
fn unplug_with_a_pending_in_poisons_one_channel() {
    let mut rig = Rig::new(ASYNC, Speed::High);
    for round in 1..=2 {
        rig.open(PipeKind::BulkIn);
        rig.run(3_000);
        rig.model.detach();
        rig.run(1_000_000);
        assert_eq!(rig.host.port(), Port::Empty);
        assert_eq!(rig.host.resources().retired, round);
        rig.plug();
        rig.enumerate();
        assert_eq!(rig.descriptor().expect("works").len(), 18);
    }
}

/// The traps are there: doing it wrong on purpose ends the model.
mod armed {
    use super::*;

    fn pending(p: Personality) -> (Rig, usize) {
        let mut rig = Rig::new(p, Speed::High);
        rig.open(PipeKind::BulkIn);
        rig.run(3_000);
        let n = rig.model.armed(1).expect("armed");
        (rig, n)
    }

    #[test]
    #[should_panic(expected = "QEMU abort: channel 0 enabled with its packet in flight")]
    fn reuse() {
        let (rig, n) = pending(ASYNC);
        let reg = 0x500 + 0x20 * n as u32;
        let char = rig.model.read(reg);
        let size = rig.model.read(reg + 0x10);
        rig.model.write(reg, char | 3 << 30);
        rig.model.write(reg + 8, 0x3FFF);
        rig.model.write(reg + 0x10, size);
        rig.model.write(reg, char);
    }

    #[test]
    #[should_panic(expected = "QEMU abort: port reset with a NAKed packet")]
    fn reset_after_disable() {
        let (rig, n) = pending(SYNC);
        let reg = 0x500 + 0x20 * n as u32;
        rig.model.write(reg, rig.model.read(reg) | 3 << 30);
        rig.model.write(0x440, 0x1100);
    }

    #[test]
    #[should_panic(expected = "QEMU abort: unplug with a NAKed packet pending")]
    fn unplug() {
        // With an armed receive channel no guest can avoid this one.
        let (rig, _) = pending(SYNC);
        rig.model.detach();
    }

    #[test]
    #[should_panic(expected = "QEMU abort: request of before the port reset answered")]
    fn answer_after_reset() {
        // Nor this one, if the device is so unkind.
        let (mut rig, _) = pending(ASYNC);
        rig.model.faults(|f| f.answers_after_reset = true);
        let now = rig.now();
        rig.host.reset_port(now);
        rig.run(1_000_000);
        rig.device.borrow_mut().to_send.push_back(pattern(5, 5));
        rig.run(10_000);
    }
}
