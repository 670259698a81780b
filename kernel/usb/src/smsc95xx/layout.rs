//! Which devices these are.

use crate::descriptor::{Configuration, DeviceDescriptor};
use crate::endpoint::{Bulk, Notification, bulk, notification};
use sk_hal::usb::Speed;

/// idVendor of SMSC.
const SMSC: u16 = 0x0424;
/// idProduct of what has these registers.
const PRODUCTS: [u16; 18] = [
    0xEC00, // LAN9512, LAN9514
    0x9500, 0x9505, // LAN9500, LAN9505
    0x9E00, 0x9E01, // LAN9500A, LAN9505A
    0x9E08, // LAN89530
    0x9530, 0x9730, // LAN9530, LAN9730
    // The same chips with other identities.
    0x9900, 0x9901, 0x9902, 0x9903, 0x9904, 0x9905, 0x9906, 0x9907, 0x9908, 0x9909,
];

/// All the driver needs to know of an adapter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SmscLayout {
    /// Device to host.
    pub bulk_in: Bulk,
    /// Host to device.
    pub bulk_out: Bulk,
    /// Copies of the interrupt status register, if there is an endpoint for them.
    pub notification: Option<Notification>,
}

impl SmscLayout {
    /// The adapter, if it is one (a [`crate::enumerate::Matcher`]).
    #[must_use]
    pub fn find(
        device: &DeviceDescriptor,
        configuration: &Configuration<'_>,
        speed: Speed,
    ) -> Option<Self> {
        if device.vendor != SMSC || !PRODUCTS.contains(&device.product) {
            return None;
        }
        configuration.interfaces().find_map(|interface| {
            Some(Self {
                bulk_in: interface.endpoints().find_map(|e| bulk(&e, true, speed))?,
                bulk_out: interface.endpoints().find_map(|e| bulk(&e, false, speed))?,
                notification: interface.endpoints().find_map(|e| notification(&e, speed)),
            })
        })
    }
}
