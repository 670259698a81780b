//! Plugging in, running, unplugging.

mod common;

use common::{FALLBACK, MAC, Rig, frame, variants};
use sk_hal::net::FrameDevice;
use sk_hal::usb::{Setup, Speed};
use sk_models::ecm::{EcmFunction, HIGH_SPEED_ECM, Notify, QEMU_ECM};
use sk_usb::{Driver, MacSource, UsbEvent, request};

#[test]
fn qemu_adapter_comes_up_in_the_right_order() {
    let mut rig = Rig::running(EcmFunction::qemu(MAC));
    assert_eq!(
        rig.events,
        [
            UsbEvent::Attached { vendor: 0x0525, product: 0xa4a2, speed: Speed::Full },
            UsbEvent::Configured {
                driver: Driver::CdcEcm,
                mac: MAC,
                source: MacSource::Device,
                configuration: QEMU_ECM,
            },
            UsbEvent::Link { up: true },
        ]
    );
    let log: Vec<(u8, Setup)> =
        rig.host().log.iter().map(|(target, setup)| (target.address, *setup)).collect();
    assert_eq!(
        log,
        [
            (0, request::get_descriptor(1, 0, 0, 8)),
            (0, request::set_address(1)),
            (1, request::get_descriptor(1, 0, 0, 18)),
            (1, request::get_descriptor(2, 0, 0, 9)),
            (1, request::get_descriptor(2, 0, 0, 67)),
            (1, request::get_descriptor(2, 1, 0, 9)),
            (1, request::get_descriptor(2, 1, 0, 80)),
            (1, request::set_configuration(1)),
            (1, request::get_descriptor(3, 0, 0, 255)),
            (1, request::get_descriptor(3, 3, 0x0409, 255)),
            (1, request::set_interface(1, 1)),
            (1, request::set_packet_filter(0, 0x0e)),
        ]
    );
    rig.assert_clean();
}

#[test]
fn setup_packets_have_their_bytes() {
    let golden: [(Setup, [u8; 8]); 6] = [
        (request::get_descriptor(1, 0, 0, 8), [0x80, 6, 0, 1, 0, 0, 8, 0]),
        (request::set_address(5), [0, 5, 5, 0, 0, 0, 0, 0]),
        (request::set_configuration(2), [0, 9, 2, 0, 0, 0, 0, 0]),
        (request::set_interface(1, 3), [1, 11, 3, 0, 1, 0, 0, 0]),
        (request::clear_halt(0x82), [2, 1, 0, 0, 0x82, 0, 0, 0]),
        (request::set_packet_filter(1, 0x0e), [0x21, 0x43, 0x0e, 0, 1, 0, 0, 0]),
    ];
    for (setup, bytes) in golden {
        assert_eq!(setup.to_bytes(), bytes);
    }
}

#[test]
fn high_speed_adapter_is_configured_by_class_not_by_place() {
    let mut rig = Rig::running(EcmFunction::high_speed(MAC));
    assert_eq!(rig.device().configuration(), HIGH_SPEED_ECM);
    assert_eq!(rig.device().alternate(), 1);
    assert_eq!(rig.device().filter, Some(0x0e));
    let adapter = rig.net.adapter().unwrap();
    assert_eq!((adapter.vendor, adapter.speed), (0x0bda, Speed::High));
    assert_eq!((adapter.mac, adapter.max_frame), (MAC, 1514));
    rig.echo(&frame(60, 0));
    rig.assert_clean();
}

#[test]
fn deadlines_alone_bring_it_up() {
    for function in variants() {
        let mut rig = Rig::new(function);
        rig.run_by_deadlines(1_000_000);
        assert!(rig.net.mac().is_some(), "{:?}", rig.events);
        assert!(rig.polls < 100, "{} polls", rig.polls);
        // A device that never speaks of its cable, and the assumed link.
        let mut silent = EcmFunction::qemu(MAC);
        silent.notify = Notify::Never;
        let mut rig = Rig::new(silent);
        rig.run_by_deadlines(3_000_000);
        assert!(rig.net.link_up());
        assert!(rig.polls < 100, "{} polls", rig.polls);
    }
}

#[test]
fn silence_about_the_link_means_up_after_two_seconds() {
    let mut function = EcmFunction::qemu(MAC);
    function.notify = Notify::Never;
    let mut rig = Rig::new(function);
    rig.run(1_500_000);
    assert!(rig.net.mac().is_some());
    assert!(!rig.net.link_up());
    rig.run(1_500_000);
    assert!(rig.net.link_up());
}

#[test]
fn a_received_frame_shows_the_link() {
    let mut function = EcmFunction::qemu(MAC);
    function.notify = Notify::Never;
    let mut rig = Rig::new(function);
    rig.run(1_000_000);
    assert!(rig.device().push_frame(frame(60, 1)));
    rig.run(1_000);
    assert!(rig.receive().is_some());
    assert!(rig.net.link_up());
    rig.run(1_000);
    assert_eq!(rig.events.last(), Some(&UsbEvent::Link { up: true }));
}

#[test]
fn the_cable_is_followed() {
    for function in variants() {
        let mut rig = Rig::running(function);
        rig.device().set_link(false);
        rig.run(600_000);
        assert!(!rig.net.link_up() && !rig.net.can_transmit());
        assert!(!rig.transmit(&frame(60, 0)));
        assert_eq!(rig.events.last(), Some(&UsbEvent::Link { up: false }));
        rig.device().set_link(true);
        rig.run(600_000);
        assert!(rig.net.can_transmit());
        assert_eq!(rig.events.last(), Some(&UsbEvent::Link { up: true }));
        rig.echo(&frame(100, 0));
        rig.assert_clean();
    }
}

#[test]
fn notifications_are_asked_for_four_times_a_second_at_most() {
    let mut rig = Rig::running(EcmFunction::qemu(MAC));
    let before = rig.host().interrupt_polls;
    rig.run(10_000_000);
    let polls = rig.host().interrupt_polls - before;
    assert!((35..=41).contains(&polls), "{polls}");
    assert_eq!(rig.events.len(), 3, "no event per notification");
}

#[test]
fn a_hundred_replugs_leak_nothing() {
    for function in variants() {
        let mut rig = Rig::running(function);
        for round in 1..=100_u32 {
            // At every phase of coming up, not only when it is up.
            if round % 3 == 0 {
                rig.run(u64::from(round) * 1_700);
            } else {
                rig.settle();
                rig.echo(&frame(200, usize::try_from(round).unwrap()));
            }
            rig.host().detach();
            assert!(!rig.net.receive(rig.now, &mut |_| ()));
            rig.run(5_000);
            assert_eq!(rig.host().open_pipes(), 0, "round {round}");
            assert!(rig.net.mac().is_none() && !rig.net.link_up() && !rig.net.can_transmit());
            assert!(!rig.transmit(&frame(60, 0)));
            rig.host().attach();
        }
        rig.settle();
        assert_eq!(rig.host().open_pipes(), 3);
        assert_eq!(rig.errors(), 0, "{:?}", rig.events);
        rig.echo(&frame(1514, 0));
        rig.assert_clean();
    }
}

#[test]
fn a_replug_between_two_polls_is_noticed() {
    let mut rig = Rig::running(EcmFunction::qemu(MAC));
    rig.host().detach();
    rig.host().attach();
    rig.run(1_000);
    assert_eq!(rig.events.last(), Some(&UsbEvent::Detached));
    assert_eq!(rig.host().open_pipes(), 0);
    rig.settle();
    rig.echo(&frame(60, 0));
}

#[test]
fn small_first_packets_are_learnt() {
    let mut function = EcmFunction::qemu(MAC);
    function.faults.replace =
        vec![(1, 0, vec![18, 1, 0, 2, 2, 0, 0, 8, 0x25, 5, 0xa2, 0xa4, 0, 0, 1, 2, 10, 2])];
    let mut rig = Rig::running(function);
    let log = &rig.host().log;
    assert_eq!(log[0].0.max_packet0, 64);
    assert!(log[1..].iter().all(|(target, _)| target.max_packet0 == 8));
}

#[test]
fn events_nobody_asks_for_are_counted_not_kept() {
    let mut rig = Rig::new(EcmFunction::qemu(MAC));
    for _ in 0..10 {
        for _ in 0..2_000 {
            rig.net.poll(rig.now);
            rig.now += 500;
        }
        rig.host().detach();
        rig.net.poll(rig.now);
        rig.host().attach();
    }
    assert_eq!(rig.net.statistics().events_lost, 40 - 8);
    let mut kept = 0;
    while rig.net.event().is_some() {
        kept += 1;
    }
    assert_eq!(kept, 8);
    assert_ne!(FALLBACK, MAC);
}

#[test]
fn a_controller_that_starts_anew_is_a_replug() {
    let mut rig = Rig::running(EcmFunction::high_speed(MAC));
    rig.host().restart();
    rig.run(1_000);
    assert_eq!(rig.events.last(), Some(&UsbEvent::Detached));
    assert_eq!(rig.host().open_pipes(), 0);
    rig.settle();
    rig.echo(&frame(60, 0));
    assert_eq!(rig.errors(), 0);
    rig.assert_clean();
}

#[test]
fn the_next_device_does_not_pay_for_the_last_ones_failures() {
    for by_restart in [false, true] {
        let mut function = EcmFunction::qemu(MAC);
        function.faults.stall = vec![(0, 9)];
        let mut rig = Rig::new(function);
        rig.run(20_000_000);
        assert!(rig.errors() > 4);
        // Some controllers report the loss as a failure of their own first.
        rig.host().detach();
        if by_restart {
            rig.host().restart();
        }
        rig.run(10_000);
        rig.host().attach();
        rig.run(1_000_000);
        let last = rig.events.iter().rev().find_map(|event| match event {
            UsbEvent::Error { failures, .. } => Some(*failures),
            _ => None,
        });
        assert!(last.is_some_and(|failures| failures <= 3), "{last:?}");
    }
}
