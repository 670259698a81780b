//! Endpoints an adapter's driver can use: the descriptors' words for them,
//! checked.

use crate::descriptor::{Endpoint, EndpointType};
use sk_hal::usb::Speed;

/// The notification endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Notification {
    /// bEndpointAddress.
    pub address: u8,
    /// wMaxPacketSize.
    pub max_packet: u16,
    /// Interval the device asks for, in microseconds.
    pub interval: u32,
}

/// One direction of the data interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bulk {
    /// bEndpointAddress.
    pub address: u8,
    /// wMaxPacketSize.
    pub max_packet: u16,
}

/// A usable bulk endpoint: USB 2.0 section 5.8.3 allows 8, 16, 32 and 64 at
/// full speed, 512 at high speed, none at low speed. Smaller powers of two at
/// high speed are met in the field and do no harm.
pub(crate) fn bulk(endpoint: &Endpoint, wants_in: bool, speed: Speed) -> Option<Bulk> {
    let most = match speed {
        Speed::High => 512,
        Speed::Full => 64,
        Speed::Low => 0,
    };
    let size = endpoint.max_packet;
    (endpoint.transfer == EndpointType::Bulk
        && endpoint.is_in() == wants_in
        && endpoint.number() != 0
        && size.is_power_of_two()
        && (8..=most).contains(&size))
    .then_some(Bulk { address: endpoint.address, max_packet: size })
}

/// A usable interrupt IN endpoint (USB 2.0 section 5.7.3; bInterval by table 9-13).
pub(crate) fn notification(endpoint: &Endpoint, speed: Speed) -> Option<Notification> {
    let most = if speed == Speed::High { 1024 } else { 64 };
    if endpoint.transfer != EndpointType::Interrupt
        || !endpoint.is_in()
        || endpoint.number() == 0
        || !(1..=most).contains(&endpoint.max_packet)
    {
        return None;
    }
    let interval = match speed {
        Speed::High => 125 << (endpoint.interval.clamp(1, 16) - 1),
        _ => u32::from(endpoint.interval.max(1)) * 1000,
    };
    Some(Notification { address: endpoint.address, max_packet: endpoint.max_packet, interval })
}
