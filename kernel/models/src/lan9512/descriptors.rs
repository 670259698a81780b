//! Descriptors of the Ethernet function of a LAN9512: vendor specific, one
//! configuration, one interface, three endpoints, no strings.

use sk_hal::usb::Speed;

pub(super) fn packet_size(speed: Speed) -> usize {
    if speed == Speed::High { 512 } else { 64 }
}

fn device(product: u16) -> Vec<u8> {
    let [low, high] = product.to_le_bytes();
    vec![18, 1, 0x00, 0x02, 0xFF, 0x00, 0x01, 64, 0x24, 0x04, low, high, 0x00, 0x02, 0, 0, 0, 1]
}

/// USB 2.0 section 9.6.2.
fn qualifier() -> Vec<u8> {
    vec![10, 6, 0x00, 0x02, 0xFF, 0x00, 0x01, 64, 1, 0]
}

fn configuration(kind: u8, speed: Speed) -> Vec<u8> {
    let [low, high] = (packet_size(speed) as u16).to_le_bytes();
    // bInterval: 2^(4-1) microframes, or a frame.
    let interval = if speed == Speed::High { 4 } else { 1 };
    let mut bytes = vec![9, kind, 39, 0, 1, 1, 0, 0xE0, 1];
    bytes.extend([9, 4, 0, 0, 3, 0xFF, 0x00, 0xFF, 0]);
    bytes.extend([7, 5, 0x81, 2, low, high, 0]);
    bytes.extend([7, 5, 0x02, 2, low, high, 0]);
    bytes.extend([7, 5, 0x83, 3, 16, 0, interval]);
    bytes
}

pub(super) fn descriptor(product: u16, speed: Speed, kind: u8, index: u8) -> Option<Vec<u8>> {
    let other = if speed == Speed::High { Speed::Full } else { Speed::High };
    match (kind, index) {
        (1, _) => Some(device(product)),
        (2, 0) => Some(configuration(2, speed)),
        (6, _) => Some(qualifier()),
        (7, 0) => Some(configuration(7, other)),
        _ => None,
    }
}
