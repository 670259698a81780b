//! Finding an ECM function in a configuration.

use crate::descriptor::{Configuration, DeviceDescriptor, Interface, kind};
pub use crate::endpoint::{Bulk, Notification};
use crate::endpoint::{bulk, notification};
use sk_hal::usb::Speed;

/// Communications interface: class, subclass (ECM 1.2 section 4.2).
const COMMUNICATIONS: (u8, u8) = (0x02, 0x06);
/// Data interface class (CDC 1.2 table 6).
const DATA_CLASS: u8 = 0x0a;
/// bDescriptorSubtype of the union functional descriptor (CDC 1.2 table 13).
const UNION: u8 = 0x06;
/// bDescriptorSubtype of the Ethernet networking functional descriptor.
const ETHERNET: u8 = 0x0f;

/// The longest frame: 1500 bytes and the header.
pub const MAX_FRAME: u16 = 1514;
/// The shortest frame worth looking at: a header.
pub const MIN_FRAME: u16 = 14;
/// The shortest frame sent: what IEEE 802.3 section 3.2.8 wants, without FCS.
/// ECM does not say who pads; most adapters do, a runt from one that does not
/// is lost on the wire, and 18 bytes of zeros cost less than asking.
pub const PADDED_FRAME: u16 = 60;

/// All the driver needs to know of an ECM function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EcmLayout {
    /// bInterfaceNumber of the communications interface.
    pub control_interface: u8,
    /// bInterfaceNumber of the data interface.
    pub data_interface: u8,
    /// Its alternate setting that has endpoints.
    pub alternate: u8,
    /// iMACAddress; 0 = none given.
    pub mac_string: u8,
    /// wMaxSegmentSize, if that is sensible: the longest frame the device says
    /// it takes. Not enforced (some give the IP MTU here and take whole frames);
    /// a stack may lower its MTU to it.
    pub max_frame: u16,
    /// Device to host.
    pub bulk_in: Bulk,
    /// Host to device.
    pub bulk_out: Bulk,
    /// Notifications, if the device has them.
    pub notification: Option<Notification>,
}

impl EcmLayout {
    /// The first complete ECM function of a configuration (a [`crate::enumerate::Matcher`]).
    #[must_use]
    pub fn find(
        _device: &DeviceDescriptor,
        configuration: &Configuration<'_>,
        speed: Speed,
    ) -> Option<Self> {
        configuration
            .interfaces()
            .filter(|interface| (interface.class, interface.subclass) == COMMUNICATIONS)
            .find_map(|control| Self::complete(&control, configuration, speed))
    }

    fn complete(
        control: &Interface<'_>,
        configuration: &Configuration<'_>,
        speed: Speed,
    ) -> Option<Self> {
        // Without a union descriptor the data interface is the next one, as
        // every device that lacks it has it.
        let mut data_interface = control.number.checked_add(1)?;
        let mut mac_string = 0;
        let mut max_frame = MAX_FRAME;
        for raw in control.descriptors().filter(|raw| raw.kind() == kind::CS_INTERFACE) {
            match raw.byte(2) {
                Some(UNION) => data_interface = raw.byte(4).unwrap_or(data_interface),
                Some(ETHERNET) => {
                    mac_string = raw.byte(3).unwrap_or(0);
                    // 576: RFC 791's least datagram; below, it is nonsense.
                    if let Some(segment @ 576..MAX_FRAME) = raw.word(8) {
                        max_frame = segment;
                    }
                }
                _ => {}
            }
        }
        let notification = control.endpoints().find_map(|e| notification(&e, speed));
        configuration
            .interfaces()
            .filter(|i| i.number == data_interface && i.class == DATA_CLASS)
            .find_map(|data| {
                let bulk_in = data.endpoints().find_map(|e| bulk(&e, true, speed))?;
                let bulk_out = data.endpoints().find_map(|e| bulk(&e, false, speed))?;
                Some(Self {
                    control_interface: control.number,
                    data_interface,
                    alternate: data.alternate,
                    mac_string,
                    max_frame,
                    bulk_in,
                    bulk_out,
                    notification,
                })
            })
    }
}

/// Why a station address is not usable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MacError {
    /// Not a string descriptor of at least twelve characters.
    Length,
    /// A character that is not a hexadecimal digit.
    Digit,
    /// All zero, or a group address.
    NotUnicast,
}

/// Reads the string behind iMACAddress: twelve hexadecimal digits in UTF-16LE
/// (ECM 1.2 section 5.4).
///
/// # Errors
/// See [`MacError`].
pub fn parse_mac_string(descriptor: &[u8]) -> Result<[u8; 6], MacError> {
    let [length, kind::STRING, text @ ..] = descriptor else {
        return Err(MacError::Length);
    };
    let text = text.get(..24).filter(|_| *length >= 26).ok_or(MacError::Length)?;
    let mut mac = [0_u8; 6];
    for (octet, pair) in mac.iter_mut().zip(text.chunks_exact(4)) {
        let [high, 0, low, 0] = *pair else {
            return Err(MacError::Digit);
        };
        let digit = |c: u8| char::from(c).to_digit(16).ok_or(MacError::Digit);
        *octet = u8::try_from(digit(high)? * 16 + digit(low)?).map_err(|_| MacError::Digit)?;
    }
    if mac == [0; 6] || mac[0] & 1 != 0 {
        return Err(MacError::NotUnicast);
    }
    Ok(mac)
}
