//! Devices and controllers that misbehave.

mod common;

use common::{FALLBACK, MAC, Rig, frame, variants};
use sk_hal::net::FrameDevice;
use sk_hal::usb::{StartError, TransferError};
use sk_models::ecm::{EcmFunction, Notify};
use sk_usb::descriptor::DescriptorError;
use sk_usb::{Fault, MacSource, Stage, UsbEvent};

fn first_error(rig: &Rig) -> Option<(Stage, Fault)> {
    rig.events.iter().find_map(|event| match event {
        UsbEvent::Error { stage, fault, .. } => Some((*stage, *fault)),
        _ => None,
    })
}

fn configured(rig: &Rig) -> Option<([u8; 6], MacSource)> {
    rig.events.iter().rev().find_map(|event| match event {
        UsbEvent::Configured { mac, source, .. } => Some((*mac, *source)),
        _ => None,
    })
}

fn string(text: &str) -> Vec<u8> {
    let mut bytes = vec![0, 3];
    bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    bytes[0] = u8::try_from(bytes.len()).unwrap();
    bytes
}

#[test]
fn unusable_station_addresses_fall_back() {
    let cases: [Vec<u8>; 9] = [
        vec![],
        vec![2, 3],
        vec![26, 3, b'5', 0],
        string("00:11:22:33:44:55"),
        string("52540012345"),
        string("52540012345G"),
        string("000000000000"),
        string("010203040506"),
        string("FFFFFFFFFFFF"),
    ];
    for bytes in cases {
        let mut function = EcmFunction::qemu(MAC);
        function.faults.replace = vec![(3, 3, bytes.clone())];
        let rig = Rig::running(function);
        assert_eq!(configured(&rig), Some((FALLBACK, MacSource::Fallback)), "{bytes:x?}");
        assert_eq!(rig.net.mac(), Some(FALLBACK));
        assert!(rig.net.statistics().bad_descriptors > 0);
    }
    let mut function = EcmFunction::qemu(MAC);
    function.faults.replace = vec![(3, 3, string("aabbccddeeff"))];
    let rig = Rig::running(function);
    assert_eq!(rig.net.mac(), Some([0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]));
}

#[test]
fn refusals_that_do_not_matter() {
    // Strings, and the optional packet filter.
    for stall in [(0x21, 0x43)] {
        for mut function in variants() {
            function.faults.stall = vec![stall];
            let mut rig = Rig::running(function);
            assert_eq!(rig.errors(), 0);
            assert_eq!(rig.net.statistics().control_stalls, 1);
            rig.echo(&frame(64, 0));
        }
    }
    // No list of languages: US English is tried.
    let mut function = EcmFunction::qemu(MAC);
    function.faults.replace = vec![(3, 0, vec![])];
    assert_eq!(Rig::running(function).net.mac(), Some(MAC));
}

#[test]
fn refusals_that_do_matter_are_tried_for_ever_and_ever_slower() {
    for (stall, stage) in [
        ((0x80, 6), Stage::DeviceDescriptor),
        ((0x00, 5), Stage::Address),
        ((0x00, 9), Stage::Configuration),
        ((0x01, 11), Stage::Interface),
    ] {
        let mut function = EcmFunction::qemu(MAC);
        function.faults.stall = vec![stall];
        let mut rig = Rig::new(function);
        rig.run(60_000_000);
        assert_eq!(first_error(&rig), Some((stage, Fault::Transfer(TransferError::Stall))));
        let resets = rig.host().resets;
        assert!((6..=10).contains(&resets), "{stage:?}: {resets} resets");
        rig.run(120_000_000);
        let later = rig.host().resets - resets;
        assert!((3..=6).contains(&later), "{stage:?}: {later} resets later");
        assert_eq!(rig.host().open_pipes(), 0);
        // It is mended: no replugging needed.
        rig.device().faults.stall.clear();
        rig.run(30_000_000);
        assert!(rig.net.link_up(), "{stage:?}");
        rig.echo(&frame(60, 0));
        rig.assert_clean();
    }
}

#[test]
fn bus_errors_are_tried_three_times() {
    use TransferError::{Babble, Bus, Timeout, Transaction};
    for error in [Timeout, Transaction, Babble, Bus] {
        // Two at every point of the way.
        for at in 0..12 {
            let mut rig = Rig::new(EcmFunction::qemu(MAC));
            while rig.host().log.len() < at {
                rig.run(100);
            }
            rig.host().control_faults = [error; 2].into();
            rig.settle();
            assert!(rig.net.link_up());
            assert_eq!(rig.errors(), 0, "{error:?} at {at}");
            assert_eq!(rig.net.statistics().control_retries, 2);
        }
        // Three are one too many.
        let mut rig = Rig::new(EcmFunction::qemu(MAC));
        rig.host().control_faults = [error; 3].into();
        rig.settle();
        assert!(rig.net.link_up());
        assert_eq!(first_error(&rig), Some((Stage::DeviceDescriptor, Fault::Transfer(error))));
        assert_eq!(rig.host().resets, 1);
    }
}

#[test]
fn a_dead_device_and_a_forgetful_controller_hold_up_nothing() {
    let mut function = EcmFunction::qemu(MAC);
    function.faults.nak_control = true;
    let mut rig = Rig::new(function);
    rig.run(10_000_000);
    let timeout = (Stage::DeviceDescriptor, Fault::Transfer(TransferError::Timeout));
    assert_eq!(first_error(&rig), Some(timeout));
    rig.device().faults.nak_control = false;
    rig.run(10_000_000);
    assert!(rig.net.link_up());

    let mut rig = Rig::new(EcmFunction::qemu(MAC));
    rig.host().lose_control = true;
    rig.run_by_deadlines(20_000_000);
    assert_eq!(first_error(&rig), Some(timeout));
    rig.host().lose_control = false;
    rig.run_by_deadlines(60_000_000);
    assert!(rig.net.link_up());
    rig.assert_clean();
}

#[test]
fn a_port_that_does_not_come_back_is_reset_again() {
    let mut function = EcmFunction::qemu(MAC);
    function.faults.stall = vec![(0, 5)];
    let mut rig = Rig::new(function);
    while rig.host().resets == 0 {
        rig.run(1_000);
    }
    rig.host().stuck_port = true;
    rig.device().faults.stall.clear();
    rig.run_by_deadlines(20_000_000);
    assert!(rig.events.contains(&UsbEvent::Error {
        stage: Stage::Port,
        fault: Fault::Late,
        failures: 2
    }));
    rig.host().stuck_port = false;
    rig.run_by_deadlines(60_000_000);
    assert!(rig.net.link_up());
}

#[test]
fn an_unsupported_device_is_named_once_and_left_alone() {
    let mut function = EcmFunction::qemu(MAC);
    let rndis = function.configuration_bytes(0).to_vec();
    function.faults.replace = vec![(2, 1, rndis)];
    let mut rig = Rig::new(function);
    rig.run(60_000_000);
    let unsupported = UsbEvent::Unsupported { vendor: 0x0525, product: 0xa4a2 };
    assert_eq!(rig.events.iter().filter(|event| **event == unsupported).count(), 1);
    assert_eq!((rig.errors(), rig.host().resets), (0, 0));
    let requests = rig.host().log.len();
    rig.run(60_000_000);
    assert_eq!(rig.host().log.len(), requests);
    assert_eq!(rig.net.next_deadline(), None);
    // The next device is another one.
    rig.host().detach();
    rig.run(10_000);
    rig.device().faults.replace.clear();
    rig.host().attach();
    rig.settle();
    assert!(rig.net.link_up());
}

#[test]
fn lying_descriptors_are_errors_of_the_device() {
    let good = EcmFunction::qemu(MAC).configuration_bytes(1).to_vec();
    let mut zero_length = good.clone();
    zero_length[9] = 0;
    let mut one_length = good.clone();
    one_length[9] = 1;
    let mut overrun = good.clone();
    let last = overrun.len() - 7;
    overrun[last] = 200;
    let mut short_endpoint = good.clone();
    short_endpoint[last] = 5;
    let cases = [
        (zero_length, DescriptorError::Length),
        (one_length, DescriptorError::Length),
        (overrun, DescriptorError::Overrun),
        (short_endpoint, DescriptorError::Short),
        (vec![9, 2, 5, 0, 1, 1, 0, 0, 0], DescriptorError::Length),
        (vec![9, 4, 80, 0, 1, 1, 0, 0, 0], DescriptorError::Kind),
        (vec![9, 2, 80], DescriptorError::Short),
        (vec![], DescriptorError::Short),
    ];
    for (bytes, error) in cases {
        let mut function = EcmFunction::qemu(MAC);
        function.faults.replace = vec![(2, 1, bytes.clone())];
        let mut rig = Rig::new(function);
        rig.run(3_000_000);
        let expected = (Stage::ConfigurationDescriptor, Fault::Descriptor(error));
        assert_eq!(first_error(&rig), Some(expected), "{bytes:x?}");
        rig.device().faults.replace.clear();
        rig.run(30_000_000);
        assert!(rig.net.link_up());
    }
    for bytes in [vec![], vec![18, 1, 0, 2, 0, 0, 0, 9], vec![18, 2, 0, 2, 0, 0, 0, 64]] {
        let mut function = EcmFunction::qemu(MAC);
        function.faults.replace = vec![(1, 0, bytes)];
        let mut rig = Rig::new(function);
        rig.run(1_000_000);
        assert!(matches!(first_error(&rig), Some((Stage::DeviceDescriptor, Fault::Descriptor(_)))));
    }
}

#[test]
fn a_configuration_longer_than_the_buffer_is_used_as_far_as_it_goes() {
    let mut function = EcmFunction::qemu(MAC);
    function.faults.total_length = Some(3000);
    let mut rig = Rig::running(function);
    rig.echo(&frame(60, 0));
    // Cut before the data interface: nothing to drive.
    let mut function = EcmFunction::qemu(MAC);
    let mut cut = function.configuration_bytes(1).to_vec();
    cut.truncate(60);
    function.faults.replace = vec![(2, 1, cut)];
    let mut rig = Rig::new(function);
    rig.run(1_000_000);
    assert!(matches!(rig.events.last(), Some(UsbEvent::Unsupported { .. })));
}

#[test]
fn a_halted_pipe_is_brought_back() {
    for function in variants() {
        for address in [0x82, 0x02, 0x81] {
            let mut rig = Rig::running(function.clone());
            // An odd number of packets, so that a toggle not reset shows.
            rig.echo(&frame(20, 0));
            rig.device().halt(address);
            rig.transmit(&frame(60, 1));
            rig.run(1_000_000);
            while rig.receive().is_some() {}
            rig.run(1_000_000);
            while rig.device().pop_frame().is_some() {}
            for seed in 0..3 {
                rig.echo(&frame(33, seed));
            }
            let notified = rig.net.statistics().notifications;
            rig.device().set_link(false);
            rig.run(600_000);
            assert!(rig.net.statistics().notifications > notified);
            assert!(!rig.net.link_up());
            // A sleeping notification pipe of the quiet variant was not asked.
            if address != 0x81 {
                assert_eq!(rig.net.statistics().pipe_recoveries, 1, "{address:x}");
            }
            assert_eq!(rig.host().open_pipes(), 3);
            assert_eq!(rig.errors(), 0);
            rig.assert_clean();
        }
    }
}

#[test]
fn any_error_on_any_pipe_is_survived() {
    use TransferError::{Babble, Bus, Stall, Timeout, Transaction};
    for error in [Stall, Timeout, Transaction, Babble, Bus] {
        for address in [0x82, 0x02, 0x81] {
            let mut rig = Rig::running(EcmFunction::high_speed(MAC));
            rig.echo(&frame(20, 0));
            assert!(rig.host().break_pipe(address, error));
            rig.run(10_000);
            assert!(rig.receive().is_none());
            rig.run(10_000);
            assert_eq!(rig.net.statistics().pipe_recoveries, 1, "{error:?} {address:x}");
            rig.echo(&frame(20, 1));
            rig.echo(&frame(20, 2));
            rig.assert_clean();
            assert_eq!(rig.errors(), 0);
        }
    }
}

#[test]
fn recovery_is_driven_by_deadlines() {
    let mut rig = Rig::running(EcmFunction::high_speed(MAC));
    rig.host().break_pipe(0x82, TransferError::Stall);
    assert!(rig.receive().is_none());
    let before = rig.now;
    assert!(rig.net.next_deadline().is_some_and(|at| at <= before));
    rig.run_by_deadlines(5_000);
    assert_eq!(rig.net.statistics().pipe_recoveries, 1);
}

#[test]
fn a_pipe_that_keeps_stopping_takes_the_adapter_down_not_the_stack() {
    for (address, stage) in [(0x82, Stage::BulkIn), (0x02, Stage::BulkOut)] {
        let mut function = EcmFunction::qemu(MAC);
        function.faults.broken = vec![address];
        let mut rig = Rig::new(function);
        for _ in 0..3_000 {
            rig.run(10_000);
            rig.receive();
            if rig.net.can_transmit() {
                rig.transmit(&frame(60, 0));
            }
        }
        assert_eq!(first_error(&rig), Some((stage, Fault::Transfer(TransferError::Stall))));
        // In half a minute: the pauses grow although it comes up each time.
        let resets = rig.host().resets;
        assert!((4..=9).contains(&resets), "{resets}");
        assert!(rig.host().open_pipes() <= 3);
        rig.device().faults.broken.clear();
        rig.run(30_000_000);
        rig.receive();
        rig.settle();
        while rig.device().pop_frame().is_some() {}
        rig.echo(&frame(60, 0));
        rig.assert_clean();
    }
}

#[test]
fn a_broken_notification_pipe_is_given_up_alone() {
    let mut function = EcmFunction::qemu(MAC);
    function.faults.broken = vec![0x81];
    let mut rig = Rig::new(function);
    rig.run(20_000_000);
    assert!(rig.net.link_up());
    assert_eq!((rig.errors(), rig.host().open_pipes()), (0, 2));
    rig.echo(&frame(60, 0));
    rig.assert_clean();
}

#[test]
fn nonsense_notifications_change_nothing() {
    for bytes in
        [vec![0xa1], vec![0; 8], vec![0xff; 16], vec![0xa1, 0x77, 0, 0, 0, 0, 0xff, 0xff], vec![]]
    {
        let mut function = EcmFunction::qemu(MAC);
        function.notify = Notify::Never;
        let mut rig = Rig::running(function);
        rig.device().faults.notification = Some(bytes);
        rig.run(600_000);
        assert!(rig.net.link_up());
        rig.device().notify = Notify::Always;
        rig.device().set_link(false);
        rig.run(600_000);
        assert!(!rig.net.link_up());
    }
}

#[test]
fn a_deaf_out_pipe_times_out_and_comes_back() {
    let mut rig = Rig::running(EcmFunction::qemu(MAC));
    rig.device().faults.nak_out = true;
    assert!(rig.transmit(&frame(60, 0)));
    rig.run(1_000_000);
    assert_eq!(rig.net.statistics().pipe_stops, 1);
    rig.device().faults.nak_out = false;
    rig.run(1_000_000);
    rig.echo(&frame(60, 1));
    rig.assert_clean();
}

#[test]
fn too_few_channels() {
    // Two are enough for an adapter without notifications.
    let mut rig = Rig::new(EcmFunction::qemu(MAC));
    rig.host().channels = 2;
    rig.settle();
    assert!(rig.net.link_up());
    rig.echo(&frame(60, 0));
    // One is not, and the one that was got is given back.
    let mut rig = Rig::new(EcmFunction::qemu(MAC));
    rig.host().channels = 1;
    rig.run(3_000_000);
    assert_eq!(first_error(&rig), Some((Stage::Open, Fault::Start(StartError::NoChannel))));
    assert_eq!(rig.host().stale_handles, 0);
    rig.host().channels = 8;
    rig.run(30_000_000);
    assert!(rig.net.link_up());
}

#[test]
fn a_small_control_buffer_is_named() {
    let mut rig = Rig::new(EcmFunction::qemu(MAC));
    rig.host().control_limit = 64;
    rig.run(1_000_000);
    let expected = (Stage::ConfigurationDescriptor, Fault::Start(StartError::TooLong));
    assert_eq!(first_error(&rig), Some(expected));
}

#[test]
fn a_device_that_dies_in_the_middle_is_enumerated_again() {
    let mut rig = Rig::running(EcmFunction::high_speed(MAC));
    rig.device().faults.silent = true;
    rig.run(20_000_000);
    rig.receive();
    rig.run(20_000_000);
    assert!(!rig.net.link_up());
    assert!(rig.errors() > 2);
    rig.device().faults.silent = false;
    rig.run(30_000_000);
    assert!(rig.net.link_up());
    rig.echo(&frame(60, 0));
    rig.assert_clean();
}
