//! One test per fault the model can be ordered to show.

use super::*;
use sk_models::dwc2::Fault;

fn inject(rig: &Rig, endpoint: u8, fault: Fault, times: u32) {
    rig.model.faults(|f| f.inject(endpoint, fault, times));
}

/// Sends and receives frames across the fault; nothing may be lost or doubled.
fn survives(p: Personality, fault: Fault, times: u32) -> Rig {
    let mut rig = Rig::new(p, Speed::High);
    let (rx, tx) = (rig.open(PipeKind::BulkIn), rig.open(PipeKind::BulkOut));
    for round in 0..6 {
        inject(&rig, 0x81, fault, times);
        inject(&rig, 0x02, fault, times);
        for i in 0..2 {
            rig.device.borrow_mut().to_send.push_back(pattern(700 + i, round));
            rig.send(tx, &pattern(1100 + i, round)).expect("room");
        }
        for i in 0..2 {
            assert_eq!(rig.wait_receive(rx), Ok(pattern(700 + i, round)), "{p:?} {fault:?}");
        }
        rig.run(20_000);
    }
    let frames = core::mem::take(&mut rig.device.borrow_mut().frames);
    let expected: Vec<_> = (0..6).flat_map(|r| (0..2).map(move |i| pattern(1100 + i, r))).collect();
    assert!(frames == expected, "{p:?} {fault:?}: {} frames", frames.len());
    assert_eq!(rig.model.seen().wrong_toggles, 0, "{p:?} {fault:?}");
    // And the same on endpoint 0.
    inject(&rig, 0x80, fault, times);
    assert_eq!(rig.descriptor().expect("descriptor").len(), 18);
    let now = rig.now();
    rig.host.close(now, rx);
    rig.host.close(now, tx);
    rig.run(200_000);
    rig.model.faults(sk_models::dwc2::Faults::clear);
    rig
}

#[test]
fn nak_is_the_cores_business() {
    for p in [SILICON, Personality::QemuSync] {
        survives(p, Fault::Nak, 30).assert_no_leak();
    }
    // QEMU with a silent device retires the idle receive channel at the close.
    let rig = survives(Personality::QemuAsync, Fault::Nak, 30);
    assert_eq!(rig.host.resources().retired, 1);
}

#[test]
fn two_lost_packets_are_sent_again() {
    for p in [SILICON, Personality::QemuSync] {
        let rig = survives(p, Fault::Lost, 2);
        rig.assert_no_leak();
        assert!(rig.host.stats().transaction_errors >= 24);
    }
}

#[test]
fn lost_acks_neither_double_nor_lose_data() {
    let rig = survives(SILICON, Fault::AckLost, 1);
    rig.assert_no_leak();
    assert!(rig.host.stats().toggle_errors >= 6, "repeated INs were dropped");
}

#[test]
fn halts_without_result_restart_the_rest() {
    let rig = survives(SILICON, Fault::EmptyHalt, 3);
    rig.assert_no_leak();
    assert!(rig.host.stats().empty_halts >= 36);
}

#[test]
fn a_second_halt_does_not_complete_the_next_transfer() {
    for delay in [125, 250, 1_000] {
        let rig = survives(SILICON, Fault::DoubleHalt(delay), 1);
        rig.assert_no_leak();
        // Sooner ones coincide with the next completion.
        assert!(rig.host.stats().stale_halts > 0 || delay < 1_000);
    }
}

#[test]
fn a_second_halt_on_an_idle_channel_does_not_storm() {
    let mut rig = Rig::new(SILICON, Speed::High);
    let tx = rig.open(PipeKind::BulkOut);
    inject(&rig, 0x02, Fault::DoubleHalt(2_000), 1);
    rig.send(tx, &[1, 2, 3]).expect("room");
    rig.run(1_500);
    let before = rig.polls;
    rig.run(10_000);
    assert!(rig.polls - before < 5);
    assert!(!rig.model.irq());
}

#[test]
fn lost_interrupts_cost_time_only() {
    for p in ALL {
        survives(p, Fault::LostInterrupt, 1);
    }
}

#[test]
fn three_errors_in_a_row_stop_the_pipe() {
    for p in [SILICON, Personality::QemuSync] {
        let mut rig = Rig::new(p, Speed::High);
        let (rx, tx) = (rig.open(PipeKind::BulkIn), rig.open(PipeKind::BulkOut));
        inject(&rig, 0x02, Fault::Lost, 3);
        rig.send(tx, &pattern(100, 0)).expect("room");
        rig.send(tx, &pattern(100, 1)).expect("room");
        rig.run(20_000);
        assert!(!rig.host.can_send(tx));
        assert_eq!(rig.host.send_error(tx), Some(TransferError::Transaction));
        assert_eq!(rig.host.send_error(tx), None, "told once");
        assert_eq!(rig.send(tx, &[1]), Err(StartError::Busy));
        assert_eq!(rig.host.resources().tx, TX_BUFFERS, "the queue is dropped");
        inject(&rig, 0x81, Fault::Lost, 3);
        rig.run(20_000);
        assert_eq!(rig.receive(rx), Some(Err(TransferError::Transaction)));
        assert_eq!(rig.receive(rx), None, "told once");
        assert_eq!(rig.model.armed(1), None, "stays stopped");
        // CLEAR_FEATURE(HALT) on both, then on they go.
        for (endpoint, pipe) in [(0x81, rx), (0x02, tx)] {
            let s = Setup { request_type: 2, request: 1, value: 0, index: endpoint, length: 0 };
            rig.request(7, s).expect("clear halt");
            let now = rig.now();
            rig.host.reset_toggle(now, pipe);
        }
        rig.device.borrow_mut().to_send.push_back(pattern(99, 5));
        assert_eq!(rig.wait_receive(rx), Ok(pattern(99, 5)), "{p:?}");
        rig.send(tx, &pattern(98, 6)).expect("room");
        rig.run(10_000);
        assert_eq!(rig.device.borrow().frames.last(), Some(&pattern(98, 6)));
        assert_eq!(rig.model.seen().wrong_toggles, 0);
    }
}

#[test]
fn errors_with_progress_between_do_not_add_up() {
    let mut rig = Rig::new(SILICON, Speed::High);
    let tx = rig.open(PipeKind::BulkOut);
    rig.send(tx, &pattern(2048, 1)).expect("room");
    for _ in 0..4 {
        inject(&rig, 0x02, Fault::Lost, 2);
        inject(&rig, 0x02, Fault::None, 1);
    }
    assert!(rig.until(200_000, |r| r.device.borrow().frames.len() == 1));
    assert_eq!(rig.device.borrow().frames[0], pattern(2048, 1));
    assert_eq!(rig.host.send_error(tx), None);
}

#[test]
fn stall_and_babble_stop_the_pipe_at_once() {
    for p in ALL {
        for (fault, error) in
            [(Fault::Stall, TransferError::Stall), (Fault::Babble, TransferError::Babble)]
        {
            let mut rig = Rig::new(p, Speed::High);
            let rx = rig.open(PipeKind::BulkIn);
            inject(&rig, 0x81, fault, 1);
            assert_eq!(rig.wait_receive(rx), Err(error), "{p:?}");
            let now = rig.now();
            rig.host.close(now, rx);
            rig.assert_no_leak();
        }
    }
}

#[test]
fn good_transfers_before_an_error_are_delivered_first() {
    let mut rig = Rig::new(SILICON, Speed::High);
    let rx = rig.open(PipeKind::BulkIn);
    rig.device.borrow_mut().to_send.push_back(pattern(10, 1));
    rig.run(5_000);
    inject(&rig, 0x81, Fault::Stall, 1);
    rig.run(5_000);
    assert_eq!(rig.receive(rx), Some(Ok(pattern(10, 1))));
    assert_eq!(rig.receive(rx), Some(Err(TransferError::Stall)));
}

#[test]
fn a_nak_storm_ends_in_a_timeout_and_the_next_transfer_works() {
    for p in [SILICON, Personality::QemuSync] {
        let mut rig = Rig::new(p, Speed::High);
        inject(&rig, 0x80, Fault::Nak, u32::MAX);
        assert_eq!(rig.descriptor(), Err(TransferError::Timeout), "{p:?}");
        rig.model.faults(sk_models::dwc2::Faults::clear);
        assert_eq!(rig.descriptor().expect("recovered").len(), 18, "{p:?}");
        let tx = rig.open(PipeKind::BulkOut);
        inject(&rig, 0x02, Fault::Nak, u32::MAX);
        rig.send(tx, &pattern(9, 9)).expect("room");
        rig.run(1_100_000);
        assert_eq!(rig.host.send_error(tx), Some(TransferError::Timeout), "{p:?}");
        rig.model.faults(sk_models::dwc2::Faults::clear);
        let now = rig.now();
        rig.host.close(now, tx);
        rig.run(200_000);
        rig.assert_no_leak();
        let trouble = rig.host.take_trouble().expect("noted");
        assert_eq!(trouble.cause, Cause::Transfer(TransferError::Timeout));
    }
}

#[test]
fn a_transfer_that_never_ends_costs_a_channel_until_the_core_is_reset() {
    let mut rig = Rig::new(SILICON, Speed::High);
    inject(&rig, 0x80, Fault::Never, 1);
    assert_eq!(rig.descriptor(), Err(TransferError::Timeout));
    assert_eq!(rig.descriptor().expect("another channel").len(), 18);
    assert_eq!(rig.host.resources().retired, 1);
    assert_eq!(rig.host.resources().held, 1);
    let now = rig.now();
    rig.host.reset_port(now);
    rig.run(500);
    rig.enumerate();
    rig.assert_no_leak();
}

#[test]
fn a_channel_that_does_not_halt_is_retired() {
    let mut rig = Rig::new(SILICON, Speed::High);
    rig.model.faults(|f| f.halt_stuck = true);
    let rx = rig.open(PipeKind::BulkIn);
    rig.run(10_000);
    let now = rig.now();
    rig.host.close(now, rx);
    rig.run(200_000);
    assert_eq!(rig.host.resources().retired, 1);
    assert_eq!(rig.host.take_trouble().map(|t| t.cause), Some(Cause::HaltStuck));
    assert_eq!(rig.descriptor().expect("goes on").len(), 18);
    // The buffer stays with the channel, in both directions.
    assert_eq!(rig.host.resources().held, 1);
    let tx = rig.open(PipeKind::BulkOut);
    inject(&rig, 0x02, Fault::Never, 1);
    rig.send(tx, &[7; 100]).expect("room");
    rig.run(1_100_000);
    assert_eq!(rig.host.send_error(tx), Some(TransferError::Timeout));
    rig.run(40_000_000);
    assert_eq!((rig.host.resources().held, rig.host.resources().tx), (2, TX_BUFFERS - 1));
}

#[test]
fn an_absent_address_times_out_or_fails() {
    for p in ALL {
        let mut rig = Rig::new(p, Speed::High);
        for _ in 0..3 {
            let error = rig.request(33, setup(0x80, 6, 0x100, 8)).expect_err("nobody there");
            let expected =
                if p == SILICON { TransferError::Transaction } else { TransferError::Timeout };
            assert_eq!(error, expected);
        }
        assert_eq!(rig.descriptor().expect("the other one").len(), 18, "{p:?}");
        rig.run(31_000_000);
        rig.assert_no_leak();
    }
}

#[test]
fn a_missed_frame_is_asked_again_next_interval() {
    let mut rig = Rig::new(SILICON, Speed::High);
    let pipe = rig.open(PipeKind::InterruptIn { every: 8_000 });
    inject(&rig, 0x83, Fault::FrameOverrun, 2);
    rig.device.borrow_mut().events.push_back(pattern(3, 3));
    assert_eq!(rig.wait_receive(pipe), Ok(pattern(3, 3)));
}

#[test]
fn an_interrupt_endpoint_that_hangs_is_an_error_and_can_be_restarted() {
    let mut rig = Rig::new(SILICON, Speed::High);
    let pipe = rig.open(PipeKind::InterruptIn { every: 8_000 });
    rig.run(20_000);
    inject(&rig, 0x83, Fault::Never, 1);
    assert_eq!(rig.wait_receive(pipe), Err(TransferError::Timeout));
    let now = rig.now();
    rig.host.reset_toggle(now, pipe);
    rig.device.borrow_mut().events.push_back(pattern(3, 3));
    assert_eq!(rig.wait_receive(pipe), Ok(pattern(3, 3)));
}

#[test]
fn an_ahb_error_restarts_the_core() {
    for p in ALL {
        let mut rig = Rig::new(p, Speed::High);
        let rx = rig.open(PipeKind::BulkIn);
        inject(&rig, 0x81, Fault::AhbError, 1);
        rig.run(50_000);
        assert_eq!(rig.receive(rx), Some(Err(TransferError::Gone)));
        let trouble = rig.host.take_trouble().expect("noted");
        assert_eq!(trouble.cause, Cause::Transfer(TransferError::Bus));
        assert!(trouble.registers.channels[0].hcdma != 0);
        rig.enumerate();
        assert_eq!(rig.model.seen().soft_resets, 2);
        rig.assert_no_leak();
    }
}

#[test]
fn unplugging_makes_everything_gone_and_replugging_works() {
    for round in 0..3 {
        let mut rig = Rig::new(SILICON, Speed::High);
        for _ in 0..=round {
            let (rx, tx) = (rig.open(PipeKind::BulkIn), rig.open(PipeKind::BulkOut));
            let int = rig.open(PipeKind::InterruptIn { every: 1_000 });
            rig.device.borrow_mut().to_send.push_back(pattern(600, 0));
            assert_eq!(rig.wait_receive(rx), Ok(pattern(600, 0)));
            for i in 0..3 {
                rig.send(tx, &pattern(1500, i)).expect("room");
            }
            let (now, target) = (rig.now(), rig.target(7));
            rig.host.control(now, target, setup(0x80, 6, 0x100, 18), &[]).expect("starts");
            rig.model.detach();
            rig.run(20_000);
            assert_ne!(rig.host.port(), Port::Ready(Speed::High));
            assert_eq!(rig.host.control_result(), Some(Err(TransferError::Gone)));
            assert_eq!(rig.receive(rx), Some(Err(TransferError::Gone)));
            assert_eq!(rig.receive(int), Some(Err(TransferError::Gone)));
            assert_eq!(rig.send(tx, &[1]), Err(StartError::Gone));
            assert_eq!(rig.host.send_error(tx), Some(TransferError::Gone));
            assert_eq!(rig.try_open(PipeKind::BulkIn), Err(StartError::Gone));
            rig.run(1_000_000);
            assert_eq!(rig.host.port(), Port::Empty);
            rig.assert_no_leak();
            rig.plug();
            rig.enumerate();
        }
    }
}

#[test]
fn a_quick_swap_of_devices_is_noticed() {
    let mut rig = Rig::new(SILICON, Speed::High);
    let rx = rig.open(PipeKind::BulkIn);
    rig.run(5_000);
    rig.model.detach();
    rig.plug();
    rig.model.advance(500);
    rig.run(5_000);
    assert_eq!(rig.receive(rx), Some(Err(TransferError::Gone)));
    rig.enumerate();
    rig.assert_no_leak();
}

#[test]
fn reset_port_closes_everything_gently() {
    let mut rig = Rig::new(SILICON, Speed::High);
    let (rx, tx) = (rig.open(PipeKind::BulkIn), rig.open(PipeKind::BulkOut));
    rig.send(tx, &pattern(1000, 0)).expect("room");
    let now = rig.now();
    rig.host.reset_port(now);
    assert_eq!(rig.host.port(), Port::Settling);
    rig.run(10_000);
    assert_eq!(rig.device.borrow().frames, [pattern(1000, 0)], "what was on its way got there");
    assert_eq!(rig.receive(rx), Some(Err(TransferError::Gone)));
    rig.enumerate();
    assert_eq!(rig.model.seen().port_resets, 2);
    assert_eq!(rig.host.stats().starts, 1, "the core itself was not touched");
    rig.assert_no_leak();
}

#[test]
fn reset_toggle_on_an_armed_pipe_follows_the_device() {
    for p in [SILICON, Personality::QemuSync] {
        let mut rig = Rig::new(p, Speed::High);
        let rx = rig.open(PipeKind::BulkIn);
        for i in 0..3 {
            rig.device.borrow_mut().to_send.push_back(pattern(20, i));
            assert_eq!(rig.wait_receive(rx), Ok(pattern(20, i)));
        }
        rig.request(7, setup(0, 9, 1, 0)).expect("SET_CONFIGURATION again");
        let now = rig.now();
        rig.host.reset_toggle(now, rx);
        rig.run(150_000);
        rig.device.borrow_mut().to_send.push_back(pattern(21, 9));
        assert_eq!(rig.wait_receive(rx), Ok(pattern(21, 9)));
        assert_eq!(rig.model.seen().wrong_toggles, 0);
    }
}

#[test]
fn a_device_that_repeats_itself_for_ever_is_given_up() {
    let mut rig = Rig::new(SILICON, Speed::High);
    let rx = rig.open(PipeKind::BulkIn);
    inject(&rig, 0x81, Fault::ToggleError, 7);
    rig.device.borrow_mut().to_send.push_back(pattern(40, 0));
    assert_eq!(rig.wait_receive(rx), Ok(pattern(40, 0)), "seven are borne");
    inject(&rig, 0x81, Fault::ToggleError, u32::MAX);
    assert_eq!(rig.wait_receive(rx), Err(TransferError::Transaction));
}
