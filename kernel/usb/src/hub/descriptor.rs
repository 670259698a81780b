//! What a hub says of itself and of its ports (USB 2.0 sections 11.23, 11.24).
//! All of it is checked; none of it is believed further than it can do harm.

use crate::descriptor::{Configuration, DescriptorError, DeviceDescriptor, EndpointType};
use sk_hal::usb::Speed;

/// bDescriptorType of a hub descriptor.
pub const HUB: u8 = 0x29;
/// bDeviceClass and bInterfaceClass of hubs.
const CLASS: u8 = 9;
/// The status change of a hub with 15 ports, the most that are looked at, takes
/// two bytes; a longer packet would be one of 255 ports: 32.
const MAX_CHANGE_PACKET: u16 = 32;

/// The endpoint that tells of changes, and that is all there is to a hub.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HubLayout {
    /// Endpoint number of the status change endpoint; 0 = none of use.
    pub endpoint: u8,
    /// wMaxPacketSize of it.
    pub max_packet: u16,
}

impl HubLayout {
    /// If the device is a hub (a [`crate::enumerate::Matcher`]). Its first
    /// setting is used: one with a translator for each port works as one with
    /// a single translator in that (section 11.23.1).
    #[must_use]
    pub fn find(
        device: &DeviceDescriptor,
        configuration: &Configuration<'_>,
        _speed: Speed,
    ) -> Option<Self> {
        if device.class[0] != CLASS {
            return None;
        }
        let interface = configuration.interfaces().find(|interface| interface.class == CLASS)?;
        let usable = interface.endpoints().find(|endpoint| {
            endpoint.transfer == EndpointType::Interrupt
                && endpoint.is_in()
                && endpoint.number() != 0
                && (1..=MAX_CHANGE_PACKET).contains(&endpoint.max_packet)
        });
        Some(usable.map_or(Self { endpoint: 0, max_packet: 0 }, |endpoint| Self {
            endpoint: endpoint.number(),
            max_packet: endpoint.max_packet,
        }))
    }
}

/// The hub descriptor (table 11-13), as far as it is of use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HubDescriptor {
    /// bNbrPorts, 1 at least.
    pub ports: u8,
    /// Time from switching a port's power on until it is good, milliseconds.
    pub power_good: u16,
}

impl HubDescriptor {
    /// Checks the bytes that came.
    ///
    /// # Errors
    /// `Short` below the seven bytes of the fixed part, `Kind`, `Length` if
    /// bLength is less than that, `Field` for a hub without ports.
    pub fn parse(bytes: &[u8]) -> Result<Self, DescriptorError> {
        let &[length, kind, ports, _, _, power_good, _, ..] = bytes else {
            return Err(DescriptorError::Short);
        };
        if kind != HUB {
            return Err(DescriptorError::Kind);
        }
        if length < 7 {
            return Err(DescriptorError::Length);
        }
        if ports == 0 {
            return Err(DescriptorError::Field);
        }
        Ok(Self { ports, power_good: u16::from(power_good) * 2 })
    }
}

/// wPortChange: C_PORT_CONNECTION.
pub const C_CONNECTION: u16 = 1 << 0;
/// wPortChange: C_PORT_OVER_CURRENT.
pub const C_OVER_CURRENT: u16 = 1 << 3;
/// wPortChange: the bits that there are, each acknowledged by itself.
pub const C_ALL: u16 = 0x1f;

/// wPortStatus and wPortChange (tables 11-21, 11-22).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PortStatus {
    /// wPortStatus.
    pub status: u16,
    /// wPortChange, the bits that there are.
    pub change: u16,
}

impl PortStatus {
    /// Reads the answer to GET_STATUS of a port.
    ///
    /// # Errors
    /// `Short`.
    pub fn parse(bytes: &[u8]) -> Result<Self, DescriptorError> {
        let &[s, t, c, d, ..] = bytes else {
            return Err(DescriptorError::Short);
        };
        let change = u16::from_le_bytes([c, d]) & C_ALL;
        Ok(Self { status: u16::from_le_bytes([s, t]), change })
    }

    const fn bit(self, bit: u8) -> bool {
        self.status >> bit & 1 != 0
    }

    /// The port has power. A hub that does not switch it says so too.
    #[must_use]
    pub const fn powered(self) -> bool {
        self.bit(8)
    }

    /// A device is there.
    #[must_use]
    pub const fn connected(self) -> bool {
        self.bit(0)
    }

    /// It can be spoken to.
    #[must_use]
    pub const fn enabled(self) -> bool {
        self.bit(1)
    }

    /// Too much current is drawn.
    #[must_use]
    pub const fn over_current(self) -> bool {
        self.bit(3)
    }

    /// Reset is being driven.
    #[must_use]
    pub const fn resetting(self) -> bool {
        self.bit(4)
    }

    /// Signalling rate of the device on a hub of `hub`'s rate.
    #[must_use]
    pub const fn speed(self, hub: Speed) -> Speed {
        if self.bit(9) {
            Speed::Low
        } else if self.bit(10) && matches!(hub, Speed::High) {
            Speed::High
        } else {
            Speed::Full
        }
    }
}

/// The first bits of a status change packet (section 11.12.4): bit 0 the hub,
/// bit n port n.
#[must_use]
pub fn changes(bytes: &[u8]) -> u16 {
    let at = |n: usize| bytes.get(n).copied().unwrap_or(0);
    u16::from_le_bytes([at(0), at(1)])
}
