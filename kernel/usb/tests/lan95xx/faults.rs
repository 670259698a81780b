//! A chip that misbehaves: everything ends, is named, and is tried again.

use super::rig::{MS, Rig, SECOND, frame, quick, to_us, variants};
use proptest::prelude::*;
use sk_hal::net::FrameDevice;
use sk_hal::usb::TransferError;
use sk_models::lan9512::{Lan9512, RxFault, offset};
use sk_models::usb::{Answer, UsbFunction};
use sk_usb::{Fault, Stage};

/// A chip with `fault` is given up in this stage within `limit`; without it, it
/// comes up.
fn given_up(fault: impl Fn(&mut Lan9512, bool), limit: u64, stage: Stage, with: Fault) {
    let mut rig = Rig::new(quick());
    fault(rig.chip(), true);
    assert!(rig.until(limit, |rig| !rig.errors().is_empty()), "{:?}", rig.events);
    assert_eq!(rig.errors(), [(stage, with)]);
    assert_eq!(rig.host().open_pipes(), 0);
    rig.run(20 * SECOND);
    // Again and again, each time later.
    assert!((2..12).contains(&rig.errors().len()), "{:?}", rig.errors());
    assert!(rig.errors().iter().all(|error| *error == (stage, with)), "{:?}", rig.errors());
    fault(rig.chip(), false);
    assert!(rig.until(40 * SECOND, |rig| rig.net.link_up()));
    rig.echo(100, 1);
    rig.assert_clean();
}

#[test]
fn resets_that_do_not_end() {
    let limit = 1_300 * MS;
    given_up(|c, on| c.faults.reset_sticks = on, limit, Stage::LiteReset, Fault::Late);
    given_up(|c, on| c.faults.phy_reset_sticks = on, limit, Stage::PhyReset, Fault::Late);
    given_up(|c, on| c.faults.mii_sticks = on, limit, Stage::Phy, Fault::Late);
}

#[test]
fn registers_that_answer_nothing_useful() {
    let replies = |register, bytes: &'static [u8]| {
        move |c: &mut Lan9512, on| {
            c.faults.replies = if on { vec![(register, bytes.to_vec())] } else { vec![] };
        }
    };
    let ones = &[0xFF; 4];
    given_up(replies(offset::HW_CFG, ones), 1_300 * MS, Stage::LiteReset, Fault::Late);
    given_up(replies(offset::PM_CTRL, ones), 1_300 * MS, Stage::PhyReset, Fault::Late);
    given_up(replies(offset::MII_ADDR, ones), 1_300 * MS, Stage::Phy, Fault::Late);
    given_up(replies(offset::MII_DATA, ones), 1_300 * MS, Stage::PhyReset, Fault::Late);
    for bytes in [&[][..], &[0], &[0, 0, 0]] {
        given_up(replies(offset::HW_CFG, bytes), SECOND, Stage::LiteReset, Fault::Short);
        given_up(replies(offset::INT_EP_CTL, bytes), SECOND, Stage::Registers, Fault::Short);
    }
    given_up(
        |c, on| c.faults.stall_registers = if on { u32::MAX } else { 0 },
        SECOND,
        Stage::LiteReset,
        Fault::Transfer(TransferError::Stall),
    );
    given_up(
        |c, on| c.faults.silent_registers = if on { u32::MAX } else { 0 },
        SECOND,
        Stage::LiteReset,
        Fault::Transfer(TransferError::Transaction),
    );
}

#[test]
fn one_fault_at_any_request_costs_time_only() {
    let mut counting = Rig::running(quick());
    let requests = counting.host().log.len();
    assert!((60..200).contains(&requests), "{requests}");
    // What refuses its descriptors is another device: see the enumerator's tests.
    let first = counting.host().log.iter().position(|(_, s)| s.request == 0xA0).unwrap();
    for (error, lost) in [
        (TransferError::Stall, 1),
        (TransferError::Transaction, 1),
        (TransferError::Timeout, 3),
        (TransferError::Babble, 3),
    ] {
        for at in first..requests {
            let mut rig = Rig::new(quick());
            assert!(rig.until(2 * SECOND, |rig| rig.host().log.len() >= at));
            for _ in 0..lost {
                rig.host().control_faults.push_back(error);
            }
            assert!(
                rig.until(5 * SECOND, |rig| rig.net.link_up()
                    && rig.host().control_faults.is_empty()),
                "{error:?} at {at}: {:?}",
                rig.events
            );
            rig.run(100 * MS);
            assert!(rig.until(5 * SECOND, |rig| rig.net.link_up()));
            assert!(rig.errors().len() <= 1);
            rig.echo(60, at);
            assert_eq!(rig.host().open_pipes(), 3);
        }
    }
}

#[test]
fn trouble_with_the_mii_while_running() {
    let mut rig = Rig::running(quick());
    rig.chip().faults.mii_sticks = true;
    assert!(rig.until(3 * SECOND, |rig| !rig.errors().is_empty()));
    assert_eq!(rig.errors(), [(Stage::Link, Fault::Late)]);
    assert!(!rig.net.link_up());
    rig.chip().faults.mii_sticks = false;
    assert!(rig.until(5 * SECOND, |rig| rig.net.link_up()));
    rig.echo(60, 1);
}

#[test]
fn a_phy_that_is_not_there_has_no_link() {
    let mut rig = Rig::running(quick());
    rig.chip().faults.replies = vec![(offset::MII_DATA, vec![0xFF; 4])];
    assert!(rig.until(3 * SECOND, |rig| !rig.net.link_up()));
    rig.run(10 * SECOND);
    assert!(!rig.net.link_up());
    assert_eq!(rig.errors(), []);
}

#[test]
fn frames_with_errors_are_dropped_and_no_others() {
    for chip in variants() {
        let mut rig = Rig::running(chip);
        let faults = [
            RxFault::Status(1 << 15),
            RxFault::None,
            RxFault::Status(1 << 15 | 1 << 1),
            RxFault::Status(1 << 30),
            RxFault::Status(1 << 15 | 1 << 11),
            RxFault::None,
        ];
        rig.chip().faults.rx.extend(faults);
        for seed in 0..faults.len() {
            assert!(rig.chip().push_frame(to_us(60 + seed, seed)));
        }
        let got = rig.receive_all();
        assert_eq!(got, [1, 3, 5].map(|seed| to_us(60 + seed, seed)));
        assert_eq!(rig.net.statistics().errors_in, 3);
        rig.assert_clean();
    }
}

#[test]
fn lying_lengths_cost_the_rest_of_their_transfer() {
    for fault in [
        RxFault::Length(0),
        RxFault::Length(3),
        RxFault::Length(17),
        RxFault::Length(1527),
        RxFault::Length(0x3FFF),
        RxFault::TooLong(1_400),
        RxFault::Cut(0),
        RxFault::Cut(3),
        RxFault::Cut(40),
        RxFault::Cut(99),
    ] {
        for chip in variants() {
            let mut rig = Rig::running(chip);
            for seed in 0..3 {
                rig.chip().faults.rx.push_back(if seed == 1 { fault } else { RxFault::None });
                assert!(rig.chip().push_frame(to_us(200, seed)));
            }
            let got = rig.receive_all();
            // The first is right; what follows the lie may be lost, or be what
            // the lie says, but is no longer than a frame.
            assert_eq!(got.first(), Some(&to_us(200, 0)), "{fault:?}");
            assert!(got.len() <= 3 && got.iter().all(|frame| frame.len() <= 1514));
            // The next transfer is none the worse.
            for seed in 3..6 {
                assert!(rig.chip().push_frame(to_us(200, seed)));
            }
            let sent: Vec<_> = (3..6).map(|seed| to_us(200, seed)).collect();
            assert_eq!(rig.receive_all(), sent, "{fault:?}");
            rig.assert_clean();
        }
    }
}

#[test]
fn empty_transfers_do_no_harm() {
    let mut rig = Rig::running(quick());
    rig.chip().faults.empty_ins = 30;
    rig.run(10 * MS);
    let mut got = Vec::new();
    assert!(rig.chip().push_frame(to_us(60, 1)));
    for _ in 0..30 {
        got.extend(rig.receive_all());
    }
    assert_eq!(got, [to_us(60, 1)]);
    assert_eq!(rig.net.statistics().empty_in, 30);
}

#[test]
fn halted_pipes_are_brought_back() {
    for (endpoint, round) in [(0x81, 0), (0x02, 1), (0x83, 2)] {
        let mut rig = Rig::running(quick());
        for seed in 0..3 {
            rig.chip().halt(endpoint);
            let _ = rig.transmit(&to_us(60, seed));
            rig.run(300 * MS);
            let _ = rig.receive();
            rig.run(10 * MS);
            rig.drain();
            rig.echo(80, seed);
            // Proves itself.
            rig.run(31 * SECOND);
        }
        assert_eq!(rig.errors(), [], "{round}");
        assert!(rig.net.statistics().pipe_recoveries >= 3, "{endpoint:#x}");
        assert_eq!(rig.host().open_pipes(), 3);
        rig.assert_clean();
    }
}

#[test]
fn a_partly_taken_transfer_does_not_survive_its_pipe() {
    let mut rig = Rig::running(quick());
    for seed in 0..5 {
        assert!(rig.chip().push_frame(to_us(60, seed)));
    }
    rig.poll();
    assert_eq!(rig.receive(), Some(to_us(60, 0)));
    rig.host().break_pipe(0x81, TransferError::Transaction);
    // What had come is there; then the error shows.
    for seed in 1..5 {
        assert_eq!(rig.receive(), Some(to_us(60, seed)));
    }
    assert_eq!(rig.receive(), None);
    rig.run(10 * MS);
    rig.echo(60, 9);

    for seed in 0..5 {
        assert!(rig.chip().push_frame(to_us(60, seed)));
    }
    rig.poll();
    assert_eq!(rig.receive(), Some(to_us(60, 0)));
    rig.host().detach();
    rig.run(10 * MS);
    rig.host().attach();
    assert!(rig.until(5 * SECOND, |rig| rig.net.link_up()));
    rig.echo(60, 9);
}

#[test]
fn pipes_that_stay_broken_take_the_adapter_down() {
    for (endpoint, stage) in [(0x81, Stage::BulkIn), (0x02, Stage::BulkOut)] {
        let mut rig = Rig::running(quick());
        rig.chip().faults.broken = vec![endpoint];
        for seed in 0..10 {
            let _ = rig.transmit(&to_us(60, seed));
            rig.run(100 * MS);
            let _ = rig.receive();
        }
        let error = (stage, Fault::Transfer(TransferError::Stall));
        assert_eq!(rig.errors().first(), Some(&error));
        rig.chip().faults.broken.clear();
        // It may be in the middle of things.
        rig.run(SECOND);
        assert!(rig.until(5 * SECOND, |rig| rig.net.link_up()));
        rig.drain();
        rig.echo(60, 1);
    }
}

#[test]
fn a_transmitter_that_takes_nothing_is_not_waited_for() {
    let mut rig = Rig::running(quick());
    rig.chip().faults.nak_out = true;
    assert!(rig.transmit(&to_us(60, 1)));
    assert!(!rig.transmit(&to_us(60, 2)));
    for _ in 0..20 {
        rig.run(SECOND);
        let _ = rig.transmit(&to_us(60, 3));
    }
    let timeout = Fault::Transfer(TransferError::Timeout);
    assert_eq!(rig.errors().first(), Some(&(Stage::BulkOut, timeout)));
    rig.chip().faults.nak_out = false;
    assert!(rig.until(30 * SECOND, |rig| rig.net.link_up()));
    rig.run(100 * MS);
    rig.drain();
    rig.echo(60, 1);
}

#[test]
fn a_frame_cut_short_on_its_way_out_does_not_silence_the_transmitter() {
    for silent in [false, true] {
        let mut rig = Rig::running(quick());
        rig.chip().faults.silent_interrupt = silent;
        // Half of it in the chip, then the pipe stops.
        assert!(rig.chip().packet_out(2, &frame(512, 1)) == Answer::Ack);
        rig.host().break_pipe(0x02, TransferError::Transaction);
        rig.run(100 * MS);
        assert!(rig.net.link_up());
        rig.drain();
        rig.echo(100, 1);
        assert_eq!(rig.chip().counters.lost_sync, 0);

        // And if the pipe does not stop: the chip says that it is lost, on the
        // interrupt endpoint or when asked.
        assert!(rig.chip().packet_out(2, &frame(512, 1)) == Answer::Ack);
        assert!(rig.transmit(&frame(100, 1)));
        rig.run(1_200 * MS);
        assert_eq!(rig.chip().counters.lost_sync, 1);
        assert!(rig.net.link_up());
        rig.drain();
        rig.echo(100, 1);
        assert_eq!(rig.errors(), []);
        // Once the chip was reset at the start, and once for each.
        assert_eq!(rig.chip().counters.resets, 3);
        assert_eq!(rig.host().open_pipes(), 3);
    }
}

#[test]
fn the_interrupt_endpoint_may_say_anything() {
    // Any four bytes, or not four.
    for bytes in [vec![], vec![0x80], vec![0xFF; 4], vec![0, 0x80, 0, 0, 1], vec![0; 16]] {
        let mut rig = Rig::running(quick());
        for _ in 0..10 {
            rig.chip().faults.interrupt = Some(bytes.clone());
            rig.run(300 * MS);
        }
        assert!(rig.net.link_up());
        rig.echo(60, 1);
        assert_eq!(rig.errors(), []);
    }
}

/// A chip that denies being in its reset loses what it is told meanwhile.
#[test]
fn a_chip_that_was_set_up_during_its_reset_is_set_up_again() {
    let mut rig = Rig::new(quick());
    rig.chip().faults.replies = vec![(offset::HW_CFG, vec![0; 4])];
    rig.run(5 * SECOND);
    assert!(!rig.net.link_up(), "{:?}", rig.events);
    rig.chip().faults.replies.clear();
    assert!(rig.until(60 * SECOND, |rig| rig.net.link_up()), "{:?}", rig.events);
    rig.echo(60, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn registers_that_say_anything(
        replies in proptest::collection::vec(
            (prop_oneof![
                Just(offset::HW_CFG), Just(offset::PM_CTRL), Just(offset::MII_ADDR),
                Just(offset::MII_DATA), Just(offset::INT_EP_CTL)
            ], proptest::collection::vec(any::<u8>(), 0..5)),
            0..4
        ),
        at in 0_u64..1_000,
        frames in proptest::collection::vec((60_usize..1514, any::<Option<u16>>()), 0..20),
    ) {
        let mut rig = Rig::new(quick());
        rig.run(at * MS);
        rig.chip().faults.replies = replies;
        for (seed, (length, said)) in frames.into_iter().enumerate() {
            rig.chip().faults.rx.push_back(said.map_or(RxFault::None, RxFault::Length));
            rig.chip().push_frame(to_us(length, seed));
            rig.run(MS);
            rig.net.receive(rig.now, &mut |frame| assert!((14..=1514).contains(&frame.len())));
        }
        rig.run(5 * SECOND);
        prop_assert!(rig.host().open_pipes() <= 3);
        rig.chip().faults.replies.clear();
        rig.chip().faults.rx.clear();
        prop_assert!(rig.until(60 * SECOND, |rig| rig.net.link_up()), "{:?}", rig.events);
        rig.run(2 * SECOND);
        rig.receive_all();
        rig.echo(60, 1);
    }
}
