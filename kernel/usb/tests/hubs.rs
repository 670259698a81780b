//! Hubs and what is behind them, over the register model of the controller:
//! every packet and every split transaction is real.

mod tree;

use proptest::prelude::*;
use sk_hal::net::FrameDevice;
use sk_hal::usb::Speed;
use sk_models::ecm::EcmFunction;
use sk_models::hub::Hub;
use sk_models::lan9512::Lan9512;
use sk_models::lowspeed::Mouse;
use sk_usb::{Stage, UsbEvent};
use std::cell::RefCell;
use std::rc::Rc;
use tree::{MAC, Rig, SECOND, ecm, frame};

#[test]
fn a_fast_adapter_on_a_fast_hub() {
    let hub = Hub::high_speed(3);
    let mut rig = Rig::new(Box::new(hub.clone()));
    let adapter = ecm(EcmFunction::high_speed(MAC));
    hub.plug(1, Box::new(adapter.clone()));
    rig.link();
    assert_eq!(
        rig.events,
        [
            UsbEvent::Attached { vendor: 0x0424, product: 0x9512, speed: Speed::High },
            UsbEvent::Hub { ports: 3 },
            UsbEvent::Attached { vendor: 0x0bda, product: 0x8152, speed: Speed::High },
            rig.events[3],
            UsbEvent::Link { up: true },
        ]
    );
    for n in 0..50 {
        rig.echo(&adapter, &frame(60 + n * 29, n));
    }
    assert_eq!(rig.model.seen().start_splits, 0, "nothing here is slow");
    rig.all_gone();
}

/// What is soldered to a Raspberry Pi 1B.
#[test]
fn a_lan9512_whole() {
    let hub = Hub::high_speed(3);
    let mut rig = Rig::new(Box::new(hub.clone()));
    let chip = Rc::new(RefCell::new(Lan9512::new(0xec00)));
    hub.plug(1, Box::new(chip.clone()));
    hub.plug(2, Box::new(Mouse::default()));
    rig.link();
    let adapter = rig.net.adapter().expect("up");
    assert_eq!((adapter.vendor, adapter.product, adapter.mac), (0x0424, 0xec00, MAC));
    for n in 0..50 {
        rig.echo(&chip, &frame(60 + n * 29, n));
    }
    assert_eq!(rig.errors(), 0, "{:?}", rig.events);
    rig.all_gone();
}

#[test]
fn a_slow_adapter_on_a_fast_hub() {
    for latency in [1, 2] {
        let hub = Hub::high_speed(3);
        hub.set_latency(latency);
        let mut rig = Rig::new(Box::new(hub.clone()));
        let adapter = ecm(EcmFunction::qemu(MAC));
        hub.plug(2, Box::new(adapter.clone()));
        rig.link();
        assert_eq!(rig.net.adapter().map(|a| a.speed), Some(Speed::Full));
        for n in 0..20 {
            rig.echo(&adapter, &frame(60 + n * 73, n));
        }
        assert!(rig.model.seen().start_splits > 0);
        assert!(hub.held() <= 1, "the armed bulk IN's");
        rig.all_gone();
    }
}

#[test]
fn an_adapter_on_a_slow_hub() {
    for personality in tree::BOTH {
        let hub = Hub::full_speed(8);
        let mut rig = Rig::on(personality, Box::new(hub.clone()));
        let adapter = ecm(EcmFunction::qemu(MAC));
        hub.plug(7, Box::new(adapter.clone()));
        rig.link();
        for n in 0..20 {
            rig.echo(&adapter, &frame(60 + n * 73, n));
        }
        assert_eq!(rig.model.seen().start_splits, 0);
    }
}

#[test]
fn three_tiers() {
    // A fast hub, on it a slow hub, on that another, on that the adapter.
    let hubs = [Hub::high_speed(3), Hub::full_speed(4), Hub::full_speed(8)];
    let mut rig = Rig::new(Box::new(hubs[0].clone()));
    hubs[0].plug(3, Box::new(hubs[1].clone()));
    hubs[1].plug(2, Box::new(hubs[2].clone()));
    let adapter = ecm(EcmFunction::qemu(MAC));
    hubs[2].plug(8, Box::new(adapter.clone()));
    rig.link();
    rig.echo(&adapter, &frame(1514, 1));
    // Each tier in turn goes and comes back.
    for tier in [2, 1, 0] {
        match tier {
            0 => hubs[0].unplug(3),
            1 => hubs[1].unplug(2),
            _ => hubs[2].unplug(8),
        }
        rig.run(4 * SECOND);
        assert!(rig.net.mac().is_none(), "{:?}", rig.events);
        let fresh = ecm(EcmFunction::qemu(MAC));
        match tier {
            2 => hubs[2].plug(8, Box::new(adapter.clone())),
            1 => hubs[1].plug(2, Box::new(hubs[2].clone())),
            _ => {
                let hub = Hub::full_speed(2);
                hub.plug(1, Box::new(fresh.clone()));
                hubs[0].plug(3, Box::new(hub));
            }
        }
        rig.link();
        rig.echo(if tier == 0 { &fresh } else { &adapter }, &frame(300, tier));
    }
    assert_eq!(rig.net.statistics().port_resets, 0, "the root port is not touched");
    rig.all_gone();
}

#[test]
fn fast_hubs_in_tiers_carry_what_is_slow_and_what_is_fast() {
    let hubs = [Hub::high_speed(3), Hub::high_speed(4)];
    let mut rig = Rig::new(Box::new(hubs[0].clone()));
    hubs[0].plug(3, Box::new(hubs[1].clone()));
    hubs[0].plug(2, Box::new(Mouse::default()));
    let adapter = ecm(EcmFunction::qemu(MAC));
    hubs[1].plug(2, Box::new(adapter.clone()));
    rig.link();
    rig.echo(&adapter, &frame(1000, 1));
    assert!(rig.events.contains(&UsbEvent::Attached {
        vendor: 0x046d,
        product: 0xc077,
        speed: Speed::Low
    }));
    assert_eq!(hubs[0].held(), 0);
    rig.all_gone();
}

#[test]
fn other_devices_are_named_and_left_alone() {
    let hub = Hub::high_speed(5);
    let mut rig = Rig::new(Box::new(hub.clone()));
    let mouse = Rc::new(RefCell::new(Mouse::default()));
    let adapters = [(); 2].map(|()| ecm(EcmFunction::high_speed(MAC)));
    hub.plug(1, Box::new(adapters[0].clone()));
    hub.plug(2, Box::new(adapters[1].clone()));
    hub.plug(4, Box::new(mouse.clone()));
    rig.link();
    rig.run(2 * SECOND);
    rig.echo(&adapters[0], &frame(100, 1));
    assert_eq!(adapters[1].borrow().configuration(), 0);
    assert_eq!(mouse.borrow().configuration, 0);
    let unused = |vendor, product| UsbEvent::Unused { vendor, product };
    assert!(
        rig.events.contains(&unused(0x0bda, 0x8152))
            && rig.events.contains(&unused(0x046d, 0xc077))
    );
    // The adapter goes: the other one's turn.
    hub.unplug(1);
    rig.run(SECOND);
    rig.link();
    rig.echo(&adapters[1], &frame(100, 2));
    // The first comes back: it is a spare now.
    hub.plug(1, Box::new(adapters[0].clone()));
    rig.run(2 * SECOND);
    rig.echo(&adapters[1], &frame(100, 3));
    assert_eq!(adapters[0].borrow().configuration(), 0);
    assert_eq!(mouse.borrow().configuration, 0);
    rig.all_gone();
}

#[test]
fn a_child_is_replugged_fifty_times() {
    for fast in [true, false] {
        let hub = Hub::high_speed(3);
        let mut rig = Rig::new(Box::new(hub.clone()));
        for round in 0..50 {
            let function = if fast { EcmFunction::high_speed(MAC) } else { EcmFunction::qemu(MAC) };
            let adapter = ecm(function);
            hub.plug(1 + round % 3, Box::new(adapter.clone()));
            if round % 4 == 3 {
                // At every phase of coming up.
                rig.run(u64::from(round) * 20_000);
            } else {
                rig.link();
                rig.echo(&adapter, &frame(200, round.into()));
            }
            hub.unplug(1 + round % 3);
            rig.run(700_000);
            assert!(rig.net.mac().is_none() && !rig.net.can_transmit());
            assert_eq!(hub.held(), 0, "round {round}");
        }
        assert_eq!(rig.net.statistics().port_resets, 0);
        assert_eq!(rig.model.seen().port_resets, 1, "the root port is not touched");
        rig.all_gone();
    }
}

#[test]
fn a_port_flaps_a_thousand_times() {
    let hub = Hub::high_speed(3);
    let mut rig = Rig::new(Box::new(hub.clone()));
    let adapter = ecm(EcmFunction::high_speed(MAC));
    hub.plug(1, Box::new(adapter.clone()));
    hub.plug(2, Box::new(Mouse::default()));
    rig.link();
    let before = rig.polls;
    for n in 0..1_000_u64 {
        hub.flap(2);
        rig.run(3_000 + n * 37 % 25_000);
        if n % 100 == 0 {
            // The neighbour does not notice.
            rig.echo(&adapter, &frame(300, 1));
        }
    }
    let (polls, seconds) = (rig.polls - before, 14);
    assert!(polls < seconds * 400, "{polls} polls in {seconds} s");
    assert_eq!(rig.errors(), 0, "{:?}", rig.events);
    // Now the adapter's own.
    for n in 0..1_000_u64 {
        hub.flap(1);
        rig.run(2_000 + n * 41 % 20_000);
    }
    rig.run(8 * SECOND);
    rig.link();
    rig.echo(&adapter, &frame(300, 2));
    assert_eq!(rig.model.seen().port_resets, 1);
    rig.all_gone();
}

#[test]
fn the_hub_is_unplugged_at_any_time() {
    for fast in [true, false] {
        let mut rig = Rig::empty();
        for round in 0..30_u64 {
            let hub = Hub::high_speed(3);
            let function = if fast { EcmFunction::high_speed(MAC) } else { EcmFunction::qemu(MAC) };
            let adapter = ecm(function);
            hub.plug(1, Box::new(adapter.clone()));
            hub.plug(3, Box::new(Mouse::default()));
            rig.model.attach(Box::new(hub));
            if round % 3 == 0 {
                rig.link();
                rig.echo(&adapter, &frame(200, 1));
            } else {
                rig.run(500_000 + round * 40_000);
            }
            rig.model.detach();
            rig.run(500_000);
            rig.nothing_open();
        }
        assert_eq!(rig.errors(), 0, "{:?}", rig.events);
    }
}

#[test]
fn over_current_takes_one_port_down() {
    let hub = Hub::high_speed(3);
    let mut rig = Rig::new(Box::new(hub.clone()));
    let adapter = ecm(EcmFunction::high_speed(MAC));
    hub.plug(1, Box::new(adapter.clone()));
    hub.plug(2, Box::new(Mouse::default()));
    rig.link();
    hub.over_current(2, true);
    rig.run(2 * SECOND);
    assert_eq!(rig.events.last(), Some(&UsbEvent::OverCurrent { port: 2 }));
    rig.echo(&adapter, &frame(100, 1));
    hub.over_current(2, false);
    rig.run(3 * SECOND);
    assert!(hub.enabled(2), "powered again: {:?}", rig.events);
    hub.over_current(1, true);
    rig.run(SECOND);
    assert!(rig.net.mac().is_none());
    hub.over_current(1, false);
    rig.link();
    rig.echo(&adapter, &frame(100, 2));
    rig.all_gone();
}

#[test]
fn a_failing_child_is_tried_more_and_more_slowly_and_the_neighbour_lives() {
    let hub = Hub::high_speed(3);
    let mut rig = Rig::new(Box::new(hub.clone()));
    let adapter = ecm(EcmFunction::high_speed(MAC));
    hub.plug(1, Box::new(adapter.clone()));
    let broken = ecm(EcmFunction::qemu(MAC));
    broken.borrow_mut().faults.stall = vec![(0x80, 6)];
    hub.plug(2, Box::new(broken.clone()));
    rig.link();
    rig.run(60 * SECOND);
    let errors = rig.errors();
    assert!((6..=11).contains(&errors), "{errors}");
    rig.echo(&adapter, &frame(100, 1));
    assert_eq!(rig.model.seen().port_resets, 1, "not the root port");
    // It was taken off address 0, or this one would answer for it.
    let third = ecm(EcmFunction::high_speed(MAC));
    hub.plug(3, Box::new(third.clone()));
    rig.run(SECOND);
    assert!(third.borrow().address() != 0);
    // It is mended.
    broken.borrow_mut().faults.stall.clear();
    rig.run(30 * SECOND);
    assert!(rig.events.contains(&UsbEvent::Unused { vendor: 0x0525, product: 0xa4a2 }));
}

#[test]
fn without_any_adapter_the_root_port_is_the_last_resort() {
    let hub = Hub::high_speed(3);
    let mut rig = Rig::new(Box::new(hub.clone()));
    let adapter = ecm(EcmFunction::high_speed(MAC));
    adapter.borrow_mut().faults.silent = true;
    hub.plug(1, Box::new(adapter.clone()));
    rig.run(30 * SECOND);
    let resets = rig.model.seen().port_resets;
    assert!((2..=8).contains(&resets), "{resets}");
    adapter.borrow_mut().faults.silent = false;
    rig.link();
    rig.echo(&adapter, &frame(100, 1));
    rig.all_gone();
}

#[test]
fn an_adapter_that_breaks_down_is_enumerated_anew_by_its_port() {
    let hub = Hub::high_speed(3);
    let mut rig = Rig::new(Box::new(hub.clone()));
    let adapter = ecm(EcmFunction::high_speed(MAC));
    hub.plug(1, Box::new(adapter.clone()));
    rig.link();
    for round in 0..5 {
        adapter.borrow_mut().faults.broken = vec![0x82];
        rig.run(250_000);
        adapter.borrow_mut().faults.broken.clear();
        // Long enough to have proved itself.
        rig.run(12 * SECOND);
        rig.link();
        rig.echo(&adapter, &frame(100, round));
    }
    assert!(rig.errors() >= 5);
    assert_eq!(rig.model.seen().port_resets, 1);
    rig.all_gone();
}

#[test]
fn a_translator_left_with_a_packet_is_freed() {
    let hub = Hub::high_speed(3);
    let mut rig = Rig::new(Box::new(hub.clone()));
    let adapter = ecm(EcmFunction::qemu(MAC));
    hub.plug(1, Box::new(adapter.clone()));
    rig.link();
    for _ in 0..10 {
        // Complete splits on bulk IN are lost, three times in a row.
        rig.model.faults(|f| f.inject(0x82, sk_models::dwc2::Fault::Lost, 3));
        rig.run(SECOND);
    }
    assert!(hub.seen().tt_clears >= 10, "{}", hub.seen().tt_clears);
    rig.link();
    rig.echo(&adapter, &frame(1000, 1));
    rig.all_gone();
}

#[test]
fn ports_without_a_status_change_endpoint_are_looked_at_in_turn() {
    let hub = Hub::high_speed(3);
    let mut rig = Rig::new(Box::new(hub.clone()));
    rig.run(2 * SECOND);
    // The endpoint halts and is given up.
    hub.faults(|f| f.halted = true);
    rig.run(SECOND);
    let adapter = ecm(EcmFunction::high_speed(MAC));
    hub.plug(3, Box::new(adapter.clone()));
    rig.link();
    rig.echo(&adapter, &frame(100, 1));
    let before = hub.seen();
    rig.run(10 * SECOND);
    let (looks, polls) = (hub.seen().looks - before.looks, hub.seen().polls - before.polls);
    assert!((38..=42).contains(&looks) && polls == 0, "{looks} {polls}");
    hub.unplug(3);
    rig.run(SECOND);
    assert!(rig.net.mac().is_none());
    rig.all_gone();
}

#[test]
fn an_idle_hub_is_asked_four_times_a_second() {
    let hub = Hub::high_speed(5);
    let mut rig = Rig::new(Box::new(hub.clone()));
    rig.run(3 * SECOND);
    let (seen, polls) = (hub.seen(), rig.polls);
    rig.run(10 * SECOND);
    let asked = hub.seen().polls - seen.polls;
    assert!((36..=42).contains(&asked), "{asked}");
    assert!(hub.seen().looks - seen.looks <= 6, "ports are hardly asked");
    // 100 of these are the controller's, ten a second.
    assert!(rig.polls - polls < 250, "{} polls", rig.polls - polls);
}

#[test]
fn hubs_that_lie() {
    let cases: [fn(&mut sk_models::hub::HubFaults); 9] = [
        |f| f.descriptor = Some(vec![]),
        |f| f.descriptor = Some(vec![7, 0x29, 0, 0, 0, 0, 0]),
        |f| f.descriptor = Some(vec![7, 0x29, 255, 0, 0, 255, 0]),
        |f| f.status = Some(vec![0xff; 4]),
        |f| f.status = Some(vec![1, 1]),
        |f| f.bitmap = Some(vec![0xff; 2]),
        |f| f.endless_reset = true,
        |f| f.refuse_enable = 1_000,
        |f| f.silent = true,
    ];
    for (n, lie) in cases.into_iter().enumerate() {
        let hub = Hub::high_speed(3);
        hub.faults(lie);
        let mut rig = Rig::new(Box::new(hub.clone()));
        rig.model.faults(|f| f.lax = true);
        let adapter = ecm(EcmFunction::high_speed(MAC));
        hub.plug(1, Box::new(adapter.clone()));
        rig.run(10 * SECOND);
        assert!(rig.polls < 10 * 2_000, "case {n}: {} polls", rig.polls);
        // It comes to its senses.
        hub.faults(|f| *f = sk_models::hub::HubFaults::default());
        rig.run(6 * SECOND);
        rig.link();
        rig.echo(&adapter, &frame(100, n));
        rig.all_gone();
    }
}

#[test]
fn requests_refused_by_a_hub() {
    // Power and acknowledgements are not worth failing for.
    for (stall, fatal) in
        [((0x23, 3), true), ((0xa3, 0), true), ((0xa0, 6), true), ((0x20, 1), false)]
    {
        let hub = Hub::high_speed(3);
        hub.faults(|f| f.stall = vec![stall]);
        let mut rig = Rig::new(Box::new(hub.clone()));
        hub.plug(1, Box::new(ecm(EcmFunction::high_speed(MAC))));
        rig.run(5 * SECOND);
        let told = rig
            .events
            .iter()
            .any(|event| matches!(event, UsbEvent::Error { stage: Stage::Hub, .. }));
        // Without power nothing shows up that could fail.
        assert_eq!(told, fatal && stall != (0x23, 3), "{stall:?} {:?}", rig.events);
        assert_eq!(rig.net.mac().is_some(), !fatal, "{stall:?}");
    }
}

#[test]
fn more_hubs_than_there_is_room_for() {
    let hubs: Vec<Hub> = (0..6).map(|_| Hub::full_speed(4)).collect();
    let mut rig = Rig::new(Box::new(hubs[0].clone()));
    for (n, hub) in hubs[1..5].iter().enumerate() {
        hubs[0].plug(1 + n as u8, Box::new(hub.clone()));
    }
    let adapter = ecm(EcmFunction::qemu(MAC));
    hubs[3].plug(4, Box::new(adapter.clone()));
    rig.run(5 * SECOND);
    rig.link();
    assert!(rig.events.contains(&UsbEvent::Unsupported { vendor: 0x0409, product: 0x55aa }));
    rig.echo(&adapter, &frame(100, 1));
    rig.all_gone();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    /// A hub whose every fourth answer is noise; then it recovers.
    #[test]
    fn noise(seed in 1_u64.., high in any::<bool>(), slow in any::<bool>()) {
        let hub = if high { Hub::high_speed(4) } else { Hub::full_speed(4) };
        hub.faults(|f| f.noise = seed);
        let mut rig = Rig::new(Box::new(hub.clone()));
        rig.model.faults(|f| f.lax = true);
        let function = if slow || !high { EcmFunction::qemu(MAC) } else { EcmFunction::high_speed(MAC) };
        let adapter = ecm(function);
        hub.plug(2, Box::new(adapter.clone()));
        hub.plug(3, Box::new(Mouse::default()));
        rig.run(4 * SECOND);
        prop_assert!(rig.polls < 4 * 8_000, "{} polls", rig.polls);
        hub.faults(|f| f.noise = 0);
        // All ports have been looked at by then.
        rig.run(10 * SECOND);
        rig.link();
        rig.echo(&adapter, &frame(100, 1));
        rig.all_gone();
    }

    /// Plugging, pulling, flapping and too much current in any order.
    #[test]
    fn anything_may_happen_to_ports(
        steps in prop::collection::vec((1_u8..4, 0_u8..6, 0_u64..900), 1..40),
    ) {
        let hub = Hub::high_speed(3);
        let mut rig = Rig::new(Box::new(hub.clone()));
        let mut full = [false; 4];
        for (port, what, ms) in steps {
            let there = full[usize::from(port)];
            match what {
                0 | 1 if !there => {
                    let function: Box<dyn sk_models::usb::UsbFunction> = match (what, port) {
                        (0, 1) => Box::new(ecm(EcmFunction::high_speed(MAC))),
                        (0, _) => Box::new(ecm(EcmFunction::qemu(MAC))),
                        _ => Box::new(Mouse::default()),
                    };
                    hub.plug(port, function);
                    full[usize::from(port)] = true;
                }
                2 if there => {
                    hub.unplug(port);
                    full[usize::from(port)] = false;
                }
                3 => hub.flap(port),
                4 => hub.over_current(port, true),
                5 => hub.over_current(port, false),
                _ => {}
            }
            rig.run(ms * 1_000);
        }
        for port in 1..4 {
            hub.over_current(port, false);
            hub.unplug(port);
        }
        rig.run(2 * SECOND);
        let adapter = ecm(EcmFunction::high_speed(MAC));
        hub.plug(1, Box::new(adapter.clone()));
        rig.run(8 * SECOND);
        rig.link();
        rig.echo(&adapter, &frame(100, 1));
        prop_assert_eq!(hub.held(), 0);
        rig.all_gone();
    }
}
