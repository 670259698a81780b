//! Random transfers under random faults: the bytes arrive, in order, once; and
//! nothing leaks.

use super::*;
use proptest::prelude::*;
use sk_models::dwc2::Fault;

fn fault() -> impl Strategy<Value = (Fault, u32)> {
    prop_oneof![
        (1..20_u32).prop_map(|n| (Fault::Nak, n)),
        (1..3_u32).prop_map(|n| (Fault::Lost, n)),
        Just((Fault::AckLost, 1)),
        (1..4_u32).prop_map(|n| (Fault::EmptyHalt, n)),
        (125..1_000_u32).prop_map(|d| (Fault::DoubleHalt(d), 1)),
        Just((Fault::LostInterrupt, 1)),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Out(usize),
    In(usize),
    Control,
    Event,
    Fault(u8, Fault, u32),
    Wait(u64),
    Fetch,
    Fail(u8, bool),
    Reopen,
    ResetPort,
}

fn gentle() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..2049_usize).prop_map(Step::Out),
        4 => (1..2040_usize).prop_map(Step::In),
        1 => Just(Step::Control),
        1 => Just(Step::Event),
        3 => (prop_oneof![Just(0x81_u8), Just(0x02), Just(0x80), Just(0x83)], fault())
            .prop_map(|(e, (f, n))| Step::Fault(e, f, n)),
        3 => (1..5_000_u64).prop_map(Step::Wait),
        3 => Just(Step::Fetch),
    ]
}

fn rough() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => gentle(),
        1 => (prop_oneof![Just(0x81_u8), Just(0x02), Just(0x80)], any::<bool>())
            .prop_map(|(e, stall)| Step::Fail(e, stall)),
        1 => Just(Step::Reopen),
        1 => Just(Step::ResetPort),
    ]
}

fn personality() -> impl Strategy<Value = Personality> {
    prop_oneof![2 => Just(SILICON), 1 => Just(Personality::QemuSync), 1 => Just(Personality::QemuAsync)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn data_survive_whatever_can_be_survived(
        p in personality(),
        high in any::<bool>(),
        polled in prop_oneof![Just(None), (200..3_000_u64).prop_map(Some)],
        steps in proptest::collection::vec(gentle(), 1..60),
    ) {
        let mut rig = Rig::new(p, if high { Speed::High } else { Speed::Full });
        rig.polled = polled;
        let (rx, tx) = (rig.open(PipeKind::BulkIn), rig.open(PipeKind::BulkOut));
        let int = rig.open(PipeKind::InterruptIn { every: 2_000 });
        let (mut outs, mut ins, mut got) = (Vec::new(), Vec::new(), Vec::new());
        let (mut events, mut got_events) = (0_usize, 0);
        for (i, step) in steps.into_iter().enumerate() {
            match step {
                Step::Out(len) => {
                    let frame = pattern(len, i);
                    if rig.send(tx, &frame).is_ok() {
                        outs.push(frame);
                    }
                }
                Step::In(len) => {
                    ins.push(pattern(len, i));
                    rig.device.borrow_mut().to_send.push_back(pattern(len, i));
                }
                Step::Event => {
                    events += 1;
                    rig.device.borrow_mut().events.push_back(pattern(4, 4));
                }
                Step::Control => {
                    // Three faults of different kinds in a row may add up to a failure.
                    rig.model.faults(|f| f.clear());
                    prop_assert_eq!(rig.descriptor().map(|d| d.len()), Ok(18));
                }
                Step::Fault(e, f, n) => rig.model.faults(|x| {
                    x.inject(e, f, n);
                    // A good packet in between: errors in a row are limited.
                    x.inject(e, Fault::None, 1);
                }),
                Step::Wait(us) => rig.run(us),
                _ => while let Some(frame) = rig.receive(rx) {
                    got.push(frame.expect("no error"));
                },
            }
        }
        let mut failed = None;
        rig.until(5_000_000, |r| {
            while let Some(frame) = r.receive(rx) {
                match frame {
                    Ok(frame) => got.push(frame),
                    Err(e) => failed = Some(e),
                }
            }
            if let Some(Ok(_)) = r.receive(int) {
                got_events += 1;
            }
            failed.is_some()
                || got.len() == ins.len() && r.device.borrow().frames.len() == outs.len()
                    && got_events == events
        });
        prop_assert_eq!(failed, None);
        prop_assert_eq!(rig.host.send_error(tx), None);
        prop_assert!(got == ins, "IN differs: {} of {}", got.len(), ins.len());
        prop_assert!(rig.device.borrow().frames == outs, "OUT differs");
        prop_assert_eq!(got_events, events);
        prop_assert_eq!(rig.model.seen().wrong_toggles, 0);
        prop_assert_eq!(rig.host.stats().pid_disagreements, 0);
        let now = rig.now();
        for pipe in [rx, tx, int] {
            rig.host.close(now, pipe);
        }
        rig.model.faults(sk_models::dwc2::Faults::clear);
        rig.run(300_000);
        if p == Personality::QemuAsync {
            // The idle IN is in flight until the device has something.
            rig.device.borrow_mut().to_send.push_back(pattern(1, 1));
            rig.run(10_000);
        }
        rig.assert_no_leak();
    }

    /// Anything goes, also what stops pipes: no panic of the strict model, and
    /// in the end a port reset brings everything back.
    #[test]
    fn nothing_leaks_whatever_happens(
        p in personality(),
        steps in proptest::collection::vec(rough(), 1..50),
    ) {
        let mut rig = Rig::new(p, Speed::High);
        let mut pipes = None;
        for (i, step) in steps.into_iter().enumerate() {
            let (rx, tx) = *pipes.get_or_insert_with(|| {
                (rig.try_open(PipeKind::BulkIn), rig.try_open(PipeKind::BulkOut))
            });
            let (rx, tx) = (rx.unwrap_or(PipeId(0)), tx.unwrap_or(PipeId(0)));
            match step {
                Step::Out(len) => drop(rig.send(tx, &pattern(len, i))),
                Step::In(len) => rig.device.borrow_mut().to_send.push_back(pattern(len, i)),
                Step::Event => {}
                Step::Control => {
                    let (now, target) = (rig.now(), rig.target(7));
                    let s = setup(0x80, 6, 0x100, 18);
                    let _ = rig.host.control(now, target, s, &[]);
                }
                Step::Fault(e, f, n) => rig.model.faults(|x| x.inject(e, f, n)),
                Step::Wait(us) => rig.run(us),
                Step::Fetch => drop(rig.receive(rx)),
                Step::Fail(e, true) => rig.model.faults(|x| x.inject(e, Fault::Stall, 1)),
                Step::Fail(e, false) => rig.model.faults(|x| x.inject(e, Fault::Lost, 3)),
                Step::Reopen => {
                    let now = rig.now();
                    rig.host.close(now, rx);
                    rig.host.close(now, tx);
                    rig.model.faults(sk_models::dwc2::Faults::clear);
                    rig.run(3_000_000);
                    let _ = rig.host.control_result();
                    // Toggles start anew at both ends.
                    rig.request(7, setup(0, 9, 1, 0)).expect("SET_CONFIGURATION");
                    pipes = None;
                }
                Step::ResetPort => {
                    let now = rig.now();
                    rig.host.reset_port(now);
                    rig.model.faults(sk_models::dwc2::Faults::clear);
                    rig.run(500);
                    rig.enumerate();
                    pipes = None;
                }
            }
        }
        rig.model.faults(sk_models::dwc2::Faults::clear);
        let now = rig.now();
        rig.host.reset_port(now);
        rig.run(500);
        rig.enumerate();
        rig.device.borrow_mut().zlp_after = Some(8);
        rig.run(300_000);
        rig.assert_no_leak();
    }
}
