//! From power-on to a ready port, and everything that can go wrong there.

use super::*;

fn port_after(rig: &mut Rig, micros: u64) -> Port {
    rig.run(micros);
    rig.host.port()
}

#[test]
fn a_device_becomes_ready_after_the_times_usb_demands() {
    for p in ALL {
        for speed in [Speed::High, Speed::Full] {
            let mut rig = Rig::bare(p, speed);
            rig.plug();
            assert_eq!(rig.host.port(), Port::Starting);
            // 100 ms soft reset, 100 ms debounce, 50 ms reset, 20 ms recovery.
            assert_ne!(port_after(&mut rig, 260_000), Port::Ready(speed), "{p:?}");
            assert_eq!(port_after(&mut rig, 30_000), Port::Ready(speed), "{p:?}");
            assert_eq!(rig.host.stats().starts, 1);
            assert!(rig.host.take_trouble().is_none());
            rig.assert_no_leak();
        }
    }
}

#[test]
fn waits_are_deadlines_not_polls() {
    let mut rig = Rig::bare(SILICON, Speed::High);
    rig.plug();
    rig.run(300_000);
    assert_eq!(rig.host.port(), Port::Ready(Speed::High));
    assert!(rig.polls < 30, "{} polls", rig.polls);
    let before = rig.polls;
    rig.run(1_000_000);
    assert!(rig.polls - before <= 12, "{} idle polls", rig.polls - before);
}

#[test]
fn full_speed_sets_the_frame_interval() {
    let rig = Rig::new(SILICON, Speed::Full);
    assert_eq!(rig.model.read(0x404) & 0xFFFF, 60_000);
}

#[test]
fn the_port_is_empty_until_something_is_plugged_in() {
    for p in ALL {
        let mut rig = Rig::bare(p, Speed::High);
        assert_eq!(port_after(&mut rig, 400_000), Port::Starting, "{p:?}");
        assert_eq!(port_after(&mut rig, 400_000), Port::Empty, "{p:?}");
        rig.plug();
        rig.enumerate();
    }
}

#[test]
fn without_power_it_keeps_trying_and_touches_nothing() {
    let mut rig = Rig::bare(SILICON, Speed::High);
    rig.plug();
    rig.model.power(false);
    assert_eq!(port_after(&mut rig, 2_500_000), Port::Starting);
    assert_eq!(rig.host.take_trouble().map(|t| t.cause), Some(Cause::NotADwc2));
    rig.model.power(true);
    rig.enumerate();
}

#[test]
fn a_slow_device_is_waited_for() {
    let mut rig = Rig::bare(SILICON, Speed::High);
    rig.model.faults(|f| f.connect_delay = 3_000_000);
    rig.plug();
    assert_eq!(port_after(&mut rig, 2_000_000), Port::Empty);
    rig.run(1_200_000);
    rig.enumerate();
}

#[test]
fn a_bouncing_plug_is_debounced() {
    let mut rig = Rig::bare(SILICON, Speed::High);
    rig.model.faults(|f| f.bounces = 5);
    rig.plug();
    assert_ne!(port_after(&mut rig, 290_000), Port::Ready(Speed::High));
    rig.enumerate();
    assert_eq!(rig.model.seen().port_resets, 1);
}

#[test]
fn stuck_bits_are_noted_and_tried_again() {
    type Knob = fn(&mut sk_models::dwc2::Faults, bool);
    let knobs: [(Knob, Cause); 3] = [
        (|f, on| f.ahb_busy = on, Cause::AhbBusy),
        (|f, on| f.reset_stuck = on, Cause::ResetStuck),
        (|f, on| f.flush_stuck = on, Cause::FlushStuck),
    ];
    for (knob, cause) in knobs {
        let mut rig = Rig::bare(SILICON, Speed::High);
        rig.plug();
        rig.model.faults(|f| knob(f, true));
        rig.run(900_000);
        let trouble = rig.host.take_trouble().expect("noted");
        assert_eq!(trouble.cause, cause);
        assert!(std::format!("{}", trouble.registers).contains("dwc2"));
        rig.model.faults(|f| knob(f, false));
        rig.enumerate();
    }
}

#[test]
fn a_port_that_does_not_enable_is_reset_again() {
    for refusals in [2, 5] {
        let mut rig = Rig::bare(SILICON, Speed::High);
        rig.model.faults(|f| f.refuse_enable = refusals);
        rig.plug();
        assert!(rig.until(5_000_000, |r| r.host.port() == Port::Ready(Speed::High)));
        assert_eq!(rig.host.stats().starts, 1 + refusals / 3);
    }
}

#[test]
fn a_phy_selection_of_the_core_is_undone_with_one_more_soft_reset() {
    let mut rig = Rig::bare(SILICON, Speed::High);
    rig.model.faults(|f| f.phy_select = 1 << 4);
    rig.plug();
    rig.enumerate();
    assert_eq!(rig.model.seen().soft_resets, 2);
    assert_eq!(rig.model.read(0x00C) & 0x58, 0);
}

#[test]
fn over_current_keeps_the_port_off_until_it_ends() {
    let mut rig = Rig::new(SILICON, Speed::High);
    rig.open(PipeKind::BulkIn);
    rig.model.faults(|f| f.over_current = true);
    rig.run(2_000_000);
    assert_eq!(rig.host.port(), Port::Empty);
    assert!(rig.host.stats().over_currents >= 1);
    rig.model.faults(|f| f.over_current = false);
    rig.enumerate();
    rig.assert_no_leak();
}
