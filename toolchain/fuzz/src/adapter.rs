//! A USB device that says anything of itself.

use sk_hal::net::FrameDevice;
use sk_hal::usb::Speed;
use sk_models::ecm::EcmFunction;
use sk_models::mockhost::MockHost;
use sk_usb::UsbNet;
use sk_usb::cdc_ecm::{EcmLayout, parse_mac_string};
use sk_usb::descriptor::{Configuration, DeviceDescriptor, configuration_length};

use crate::bytes::Bytes;

const MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x57];
/// An ordinary device, for those who want to know which it is.
const DEVICE: [u8; 18] =
    [18, 1, 0x00, 0x02, 0x02, 0, 0, 64, 0x25, 0x05, 0xa2, 0xa4, 0, 0, 1, 2, 10, 2];

/// Descriptors by themselves.
pub(crate) fn descriptors(data: &[u8]) {
    let _ = DeviceDescriptor::max_packet0(data);
    let _ = DeviceDescriptor::parse(data);
    let _ = configuration_length(data);
    if let Ok(mac) = parse_mac_string(data) {
        assert_eq!(mac[0] & 1, 0);
    }
    let Ok(configuration) = Configuration::parse(data) else { return };
    let bytes: usize = configuration.descriptors().map(|raw| raw.bytes().len()).sum();
    assert!(bytes <= data.len());
    for interface in configuration.interfaces() {
        for endpoint in interface.endpoints() {
            assert!(endpoint.number() < 16 && endpoint.max_packet < 2048);
        }
    }
    let device = DeviceDescriptor::parse(&DEVICE).expect("ordinary");
    for speed in [Speed::Low, Speed::Full, Speed::High] {
        if let Some(layout) = EcmLayout::find(&device, &configuration, speed) {
            assert_ne!(speed, Speed::Low);
            assert!(layout.bulk_in.max_packet >= 8 && layout.bulk_out.max_packet >= 8);
            assert!((576..=1514).contains(&layout.max_frame));
        }
    }
}

/// A whole device: its descriptors, its notification and its frames are any
/// bytes. The stack comes to rest, one way or the other.
pub(crate) fn adapter(data: &[u8]) {
    let mut bytes = Bytes(data);
    let mode = bytes.byte();
    let mut function = match mode & 1 {
        0 => EcmFunction::qemu(MAC),
        _ => EcmFunction::high_speed(MAC),
    };
    for (bit, kind, index) in [(2, 1, 0), (4, 2, 0), (8, 2, 1), (16, 3, 0), (32, 3, 3)] {
        if mode & bit != 0 {
            function.faults.replace.push((kind, index, bytes.piece().to_vec()));
        }
    }
    if mode & 64 != 0 {
        function.faults.notification = Some(bytes.take(16).to_vec());
    }
    let mut net = UsbNet::new(MockHost::new(function), [2, 0, 0, 0, 0, 1]);
    let mut now = 0;
    for _ in 0..400 {
        net.poll(now);
        while net.event().is_some() {}
        now = net.next_deadline().map_or(now + 1_000, |at| at.clamp(now + 100, now + 100_000));
        if net.link_up() {
            if bytes.is_empty() {
                break;
            }
            let frame = bytes.piece();
            net.host_mut().function.push_frame(frame);
            net.receive(now, &mut |frame| assert!((14..=1514).contains(&frame.len())));
            net.transmit(now, 14 + frame.len() % 1500, &mut |out| out.fill(1));
        }
    }
    assert!(net.host().open_pipes() <= 3);
    net.host_mut().detach();
    net.poll(now);
    assert_eq!(net.host().open_pipes(), 0);
}
