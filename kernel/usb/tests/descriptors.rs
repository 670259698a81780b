//! No bytes a device can send break the parsers, or the stack above them.

mod common;

use common::{MAC, Rig, variants};
use proptest::prelude::*;
use sk_hal::net::FrameDevice;
use sk_hal::usb::Speed;
use sk_models::ecm::EcmFunction;
use sk_usb::cdc_ecm::{EcmLayout, parse_mac_string};
use sk_usb::descriptor::{Configuration, DeviceDescriptor, configuration_length, kind};

/// Everything that can be asked of a configuration.
fn exercise(bytes: &[u8]) -> Option<EcmLayout> {
    let _ = configuration_length(bytes);
    let configuration = Configuration::parse(bytes).ok()?;
    let walked: usize = configuration.descriptors().map(|raw| raw.bytes().len()).sum();
    assert!(walked + 9 <= bytes.len());
    assert!(configuration.descriptors().all(|raw| raw.bytes().len() >= 2));
    let interfaces = configuration.interfaces().count();
    assert_eq!(
        interfaces,
        configuration.descriptors().filter(|raw| raw.kind() == kind::INTERFACE).count()
    );
    let endpoints: usize = configuration.interfaces().map(|i| i.endpoints().count()).sum();
    assert!(endpoints * 7 <= walked);
    let device =
        DeviceDescriptor::parse(&[18, 1, 0, 2, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]).unwrap();
    let layout = EcmLayout::find(&device, &configuration, Speed::High)?;
    assert!(layout.bulk_in.address & 0x80 != 0 && layout.bulk_in.address & 0x0f != 0);
    assert!((8..=512).contains(&layout.bulk_in.max_packet));
    assert!(layout.bulk_out.address & 0x80 == 0 && layout.bulk_out.address & 0x0f != 0);
    assert!(layout.max_frame <= 1514);
    Some(layout)
}

/// A real configuration with some bytes changed and an end cut off.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let real = variants().map(|function| function.configuration_bytes(1).to_vec());
    (
        prop::sample::select(real.to_vec()),
        prop::collection::vec((0_usize..100, any::<u8>()), 0..6),
        0_usize..100,
    )
        .prop_map(|(mut bytes, changes, cut)| {
            for (at, value) in changes {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            if cut < 50 {
                bytes.truncate(bytes.len().saturating_sub(cut));
            }
            bytes
        })
}

#[test]
fn the_real_ones_are_understood() {
    let function = EcmFunction::qemu(MAC);
    assert_eq!(exercise(function.configuration_bytes(0)), None);
    let layout = exercise(function.configuration_bytes(1)).unwrap();
    assert_eq!((layout.control_interface, layout.data_interface, layout.alternate), (0, 1, 1));
    assert_eq!((layout.bulk_in.address, layout.bulk_in.max_packet), (0x82, 64));
    assert_eq!((layout.bulk_out.address, layout.bulk_out.max_packet), (0x02, 64));
    assert_eq!((layout.mac_string, layout.max_frame), (3, 1514));
    let notification = layout.notification.unwrap();
    assert_eq!((notification.address, notification.max_packet), (0x81, 16));
    let layout = exercise(EcmFunction::high_speed(MAC).configuration_bytes(1)).unwrap();
    assert_eq!(layout.bulk_in.max_packet, 512);
    // bInterval 8 at high speed is 2^7 microframes.
    assert_eq!(layout.notification.unwrap().interval, 16_000);
}

#[test]
fn every_prefix_is_survived() {
    for function in variants() {
        let bytes = function.configuration_bytes(1);
        for length in 0..bytes.len() {
            assert_eq!(exercise(&bytes[..length]), None, "{length}");
        }
        assert!(exercise(bytes).is_some());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        exercise(&bytes);
        let _ = DeviceDescriptor::parse(&bytes);
        let _ = DeviceDescriptor::max_packet0(&bytes);
        let _ = parse_mac_string(&bytes);
    }

    #[test]
    fn any_body(body in prop::collection::vec(0_u8..12, 0..300), total in 9_u16..400) {
        let [low, high] = total.to_le_bytes();
        let mut bytes = vec![9, 2, low, high, 2, 1, 0, 0x80, 50];
        bytes.extend(body);
        exercise(&bytes);
    }

    #[test]
    fn nearly_right_ones(bytes in mutated()) {
        exercise(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_stack_over_nearly_right_ones(
        bytes in mutated(),
        device in prop::collection::vec(any::<u8>(), 0..20),
        lie_about_device in prop::bool::weighted(0.2),
        string in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut function = EcmFunction::qemu(MAC);
        function.faults.replace = vec![(2, 1, bytes), (3, 3, string)];
        if lie_about_device {
            function.faults.replace.push((1, 0, device));
        }
        let mut rig = Rig::new(function);
        rig.run(2_000_000);
        rig.receive();
        rig.host().detach();
        rig.run(10_000);
        prop_assert_eq!(rig.host().open_pipes(), 0);
        // And the next device is none the worse for it.
        rig.device().faults.replace.clear();
        rig.host().attach();
        rig.settle();
        prop_assert!(rig.net.link_up());
        prop_assert_eq!(rig.net.mac(), Some(MAC));
    }
}
