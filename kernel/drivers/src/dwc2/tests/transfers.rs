//! Transfers without faults: sizes, stages, toggles, queues.

use super::*;

#[test]
fn control_stages_carry_their_data() {
    for p in ALL {
        for speed in [Speed::High, Speed::Full] {
            let mut rig = Rig::new(p, speed);
            assert_eq!(rig.descriptor().expect("read"), (0..18).collect::<Vec<u8>>());
            // Less than asked for, exactly one packet, several, nothing.
            for (i, len) in [0, 1, 63, 64, 65, 128, 130, 255].into_iter().enumerate() {
                let (request, reply) = (0x40 + i as u8, pattern(len, len));
                rig.device.borrow_mut().replies.push((request, reply.clone()));
                let asked = rig.request(7, setup(0xC0, request, 0, 255));
                assert_eq!(asked, Ok(reply), "{p:?} {len}");
            }
            for len in [0, 1, 64, 100, 128, 1000] {
                let out = pattern(len, 3);
                let s = setup(0x40, 0x20, 9, len as u16);
                assert_eq!(rig.control(7, s, &out), Ok(Vec::new()));
                assert_eq!(rig.device.borrow().requests.last(), Some(&(s, out)));
            }
            assert_eq!(rig.model.seen().wrong_toggles, 0);
            rig.assert_no_leak();
        }
    }
}

#[test]
fn a_refusal_is_a_stall_in_every_stage() {
    for p in ALL {
        let mut rig = Rig::new(p, Speed::High);
        assert_eq!(rig.request(7, setup(0x80, 0x33, 0, 8)), Err(TransferError::Stall));
        assert_eq!(rig.request(7, setup(0x00, 0x77, 0, 0)), Err(TransferError::Stall));
        rig.model.faults(|f| f.inject(0, sk_models::dwc2::Fault::Stall, 1));
        assert_eq!(rig.descriptor(), Err(TransferError::Stall));
        assert_eq!(rig.descriptor().expect("next one").len(), 18);
        rig.assert_no_leak();
    }
}

#[test]
fn control_arguments_are_checked() {
    let mut rig = Rig::new(SILICON, Speed::High);
    let (now, t) = (rig.now(), rig.target(7));
    let out = setup(0x40, 1, 0, 4);
    assert_eq!(rig.host.control(now, t, out, &[1]), Err(StartError::BadPipe));
    let long = setup(0x80, 6, 0, 1025);
    assert_eq!(rig.host.control(now, t, long, &[]), Err(StartError::TooLong));
    let odd = DeviceTarget { max_packet0: 9, ..t };
    assert_eq!(rig.host.control(now, odd, setup(0x80, 6, 0, 8), &[]), Err(StartError::BadPipe));
    let far = DeviceTarget { address: 128, ..t };
    assert_eq!(rig.host.control(now, far, setup(0x80, 6, 0, 8), &[]), Err(StartError::BadPipe));
    assert_eq!(rig.host.control(now, t, setup(0x80, 6, 0, 8), &[]), Ok(()));
    assert_eq!(rig.host.control(now, t, setup(0x80, 6, 0, 8), &[]), Err(StartError::Busy));
    assert!(rig.host.control_result().is_none());
    rig.run(10_000);
    assert_eq!(rig.host.control_result(), Some(Ok(&[0, 1, 2, 3, 4, 5, 6, 7][..])));
    assert!(rig.host.control_result().is_none(), "told once");
}

#[test]
fn more_than_asked_for_is_babble() {
    struct Chatty;
    impl UsbFunction for Chatty {
        fn speed(&self) -> Speed {
            Speed::High
        }
        fn reset(&mut self) {}
        fn control(&mut self, _: Setup, _: &[u8]) -> Answer {
            Answer::Data(pattern(40, 0))
        }
        fn packet_out(&mut self, _: u8, _: &[u8]) -> Answer {
            Answer::Ack
        }
        fn packet_in(&mut self, _: u8, _: usize) -> Answer {
            Answer::Nak
        }
    }
    let mut rig = Rig::bare(SILICON, Speed::High);
    rig.model.attach(Box::new(Chatty));
    rig.enumerate();
    assert_eq!(rig.request(7, setup(0x80, 6, 0, 18)), Err(TransferError::Babble));
}

#[test]
fn out_transfers_arrive_cut_and_terminated() {
    for p in ALL {
        for speed in [Speed::High, Speed::Full] {
            let mut rig = Rig::new(p, speed);
            let pipe = rig.open(PipeKind::BulkOut);
            let lens = [0, 1, 63, 64, 65, 511, 512, 513, 1024, 1514, 1536, 2048];
            let mut sent = 0;
            rig.until(2_000_000, |r| {
                while sent < lens.len() && r.host.can_send(pipe) {
                    r.send(pipe, &pattern(lens[sent], sent)).expect("can_send said so");
                    sent += 1;
                }
                r.device.borrow().frames.len() == lens.len()
            });
            let device = rig.device.borrow();
            for (i, &len) in lens.iter().enumerate() {
                assert_eq!(device.frames[i], pattern(len, i), "{p:?} {speed:?} {len}");
            }
            drop(device);
            assert_eq!(rig.model.seen().wrong_toggles, 0, "{p:?}");
            assert_eq!(rig.host.send_error(pipe), None);
            assert_eq!(rig.send(pipe, &[0; 2049]), Err(StartError::TooLong));
            rig.run(5_000);
            let now = rig.now();
            rig.host.close(now, pipe);
            rig.assert_no_leak();
        }
    }
}

#[test]
fn without_zlp_none_is_sent() {
    let mut rig = Rig::new(SILICON, Speed::High);
    let pipe = rig.open(PipeKind::BulkOut);
    let now = rig.now();
    rig.host.send(now, pipe, 512, false, &mut |b| b.fill(5)).expect("starts");
    rig.run(5_000);
    assert_eq!(rig.device.borrow().packets.len(), 1);
}

#[test]
fn in_transfers_arrive_whole_in_order_and_the_channel_stays_armed() {
    for p in ALL {
        for speed in [Speed::High, Speed::Full] {
            let mut rig = Rig::new(p, speed);
            let pipe = rig.open(PipeKind::BulkIn);
            let lens = [1, 60, 64, 128, 511, 512, 513, 1024, 1514, 1536, 2000];
            for (i, &len) in lens.iter().enumerate() {
                rig.device.borrow_mut().to_send.push_back(pattern(len, i));
            }
            for (i, &len) in lens.iter().enumerate() {
                assert_eq!(rig.wait_receive(pipe), Ok(pattern(len, i)), "{p:?} {speed:?} {len}");
            }
            rig.run(10_000);
            assert!(rig.model.armed(1).is_some(), "{p:?}");
            assert_eq!(rig.model.seen().disables, 0, "{p:?}: never disabled in normal life");
            assert_eq!(rig.model.seen().wrong_toggles, 0, "{p:?}");
            assert_eq!(rig.host.stats().pid_disagreements, 0);
        }
    }
}

#[test]
fn the_next_buffer_is_armed_before_the_last_is_fetched() {
    let mut rig = Rig::new(SILICON, Speed::High);
    let pipe = rig.open(PipeKind::BulkIn);
    for i in 0..8 {
        rig.device.borrow_mut().to_send.push_back(pattern(100, i));
    }
    rig.run(50_000);
    // Four buffers filled, nothing left to arm, nothing lost.
    assert_eq!(rig.host.resources().rx, 0);
    assert_eq!(rig.model.armed(1), None);
    for i in 0..8 {
        assert_eq!(rig.wait_receive(pipe), Ok(pattern(100, i)));
        assert!(rig.model.armed(1).is_some());
    }
}

#[test]
fn empty_in_transfers_are_swallowed() {
    for p in ALL {
        let mut rig = Rig::new(p, Speed::High);
        rig.device.borrow_mut().zlp_after = Some(50);
        let pipe = rig.open(PipeKind::BulkIn);
        rig.run(100_000);
        assert!(rig.host.stats().empty_ins > 2, "{p:?}");
        assert_eq!(rig.receive(pipe), None);
        rig.device.borrow_mut().to_send.push_back(pattern(77, 1));
        assert_eq!(rig.wait_receive(pipe), Ok(pattern(77, 1)), "{p:?}");
        assert_eq!(rig.model.seen().wrong_toggles, 0, "a ZLP counts for the toggle");
    }
}

#[test]
fn an_interrupt_endpoint_is_asked_at_its_interval() {
    for p in ALL {
        let mut rig = Rig::new(p, Speed::High);
        let pipe = rig.open(PipeKind::InterruptIn { every: 16_000 });
        rig.run(160_000);
        let polls = rig.device.borrow().event_polls;
        assert!((9..=11).contains(&polls), "{p:?}: {polls} polls");
        for i in 0..5 {
            rig.device.borrow_mut().events.push_back(pattern(4 + i, i));
        }
        for i in 0..5 {
            let before = rig.now();
            assert_eq!(rig.wait_receive(pipe), Ok(pattern(4 + i, i)), "{p:?}");
            assert!(rig.now() - before >= 8_000 || i == 0, "{p:?}: too soon");
        }
        assert_eq!(rig.model.seen().wrong_toggles, 0);
        let now = rig.now();
        rig.host.close(now, pipe);
        rig.run(100_000);
        rig.assert_no_leak();
    }
}

#[test]
fn nyet_makes_the_next_transfer_begin_with_ping() {
    let mut rig = Rig::new(SILICON, Speed::High);
    rig.device.borrow_mut().nyet = true;
    let pipe = rig.open(PipeKind::BulkOut);
    for i in 0..3 {
        rig.send(pipe, &pattern(700, i)).expect("room");
    }
    // The model panics on an OUT after NYET without PING.
    assert!(rig.until(100_000, |r| r.device.borrow().frames.len() == 3));
    assert!(rig.model.seen().pings >= 5);
}

#[test]
fn full_duplex_by_polling() {
    for p in ALL {
        let mut rig = Rig::new(p, Speed::High);
        rig.polled = Some(1_000);
        let (rx, tx) = (rig.open(PipeKind::BulkIn), rig.open(PipeKind::BulkOut));
        for i in 0..40 {
            rig.device.borrow_mut().to_send.push_back(pattern(60 + 31 * i, i));
        }
        let (mut sent, mut got) = (0, 0);
        let all = rig.until(1_000_000, |r| {
            if sent < 40 && r.send(tx, &pattern(1500 - 31 * sent, sent)).is_ok() {
                sent += 1;
            }
            if let Some(frame) = r.receive(rx) {
                assert_eq!(frame, Ok(pattern(60 + 31 * got, got)));
                got += 1;
            }
            got == 40 && r.device.borrow().frames.len() == 40
        });
        assert!(all, "{p:?} sent {sent} got {got}");
    }
}

#[test]
fn pipes_are_limited_and_handles_checked() {
    let mut rig = Rig::new(SILICON, Speed::High);
    let rx = rig.open(PipeKind::BulkIn);
    let tx = rig.open(PipeKind::BulkOut);
    assert_eq!(rig.send(rx, &[1]), Err(StartError::BadPipe));
    assert_eq!(rig.receive(tx), None);
    assert_eq!(rig.receive(PipeId(0)), None);
    assert_eq!(rig.send(PipeId(0xFFFF), &[1]), Err(StartError::BadPipe));
    rig.open(PipeKind::BulkIn);
    assert_eq!(rig.try_open(PipeKind::BulkIn), Err(StartError::NoChannel));
    let config =
        PipeConfig { target: rig.target(7), endpoint: 1, max_packet: 512, kind: PipeKind::BulkIn };
    let now = rig.now();
    rig.host.close(now, rx);
    assert_eq!(rig.host.open(now, config, 4096), Err(StartError::TooLong));
    let odd = PipeConfig { max_packet: 100, ..config };
    assert_eq!(rig.host.open(now, odd, 2048), Err(StartError::BadPipe));
    let zero = PipeConfig { endpoint: 0, ..config };
    assert_eq!(rig.host.open(now, zero, 2048), Err(StartError::BadPipe));
    let slow = DeviceTarget { speed: Speed::Full, behind: Some((1, 2)), ..config.target };
    let split = PipeConfig { target: slow, ..config };
    assert_eq!(rig.host.open(now, split, 2048), Err(StartError::BadPipe));
    // The closed handle is stale, also after its slot is used again.
    rig.run(60_000);
    let again = rig.open(PipeKind::BulkIn);
    assert_ne!(again, rx);
    assert_eq!(rig.receive(rx), Some(Err(TransferError::Gone)));
    for _ in 0..3 {
        rig.open(PipeKind::InterruptIn { every: 1000 });
    }
    assert_eq!(rig.try_open(PipeKind::BulkOut), Err(StartError::NoChannel));
    assert_eq!(rig.descriptor().expect("control has its channel").len(), 18);
}

#[test]
fn the_core_is_believed_about_toggles_once_it_has_shown_to_know_them() {
    let (data0, data1) = (channel::DATA0, channel::DATA1);
    // QEMU leaves the field as it was: the count decides, always.
    let mut host = Rig::bare(Personality::QemuSync, Speed::High).host;
    assert_eq!(host.next_pid(data0, 2, data0, true), data0);
    assert_eq!(host.next_pid(data0, 3, data0, true), data1);
    assert_eq!(host.next_pid(data1, 1, data1, false), data0);
    // Silicon: the field decides from the first change on.
    let mut host = Rig::bare(SILICON, Speed::High).host;
    assert_eq!(host.next_pid(data0, 2, data0, true), data0);
    assert_eq!(host.next_pid(data0, 1, data1, true), data1);
    assert_eq!(host.next_pid(data1, 1, data1, false), data1, "aborted: the field is right");
    assert_eq!(host.stats().pid_disagreements, 0);
    assert_eq!(host.next_pid(data1, 1, data1, true), data1);
    assert_eq!(host.stats().pid_disagreements, 1, "completed: the two should agree");
    // The field of a SETUP, or a nonsensical one, says nothing.
    assert_eq!(host.next_pid(channel::SETUP, 1, data0, true), channel::SETUP);
    assert_eq!(host.next_pid(data0, 1, 3, true), data1);
}
