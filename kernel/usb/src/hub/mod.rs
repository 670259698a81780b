//! USB hubs (USB 2.0 chapter 11): what they say, and the table of those in use.
//!
//! The table is fixed: [`MAX_HUBS`] hubs in as many tiers as there are, of each
//! the first [`MAX_PORTS`] ports, and on each port one device. What is done
//! with them, and in which order, is `topology`'s.

pub mod descriptor;

use crate::event::Identity;
use descriptor::HubLayout;
use sk_hal::Micros;
use sk_hal::usb::{DeviceTarget, PipeId, Speed};

/// Hubs in use at a time.
pub const MAX_HUBS: usize = 4;
/// Ports of a hub that are used; further ones are left without power.
pub const MAX_PORTS: usize = 8;

/// Where a device is plugged in: a port (from 1) of a hub in the table, or the
/// root port.
pub(crate) type Place = Option<(u8, u8)>;

/// What is known of a port.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PortState {
    /// Nothing is there.
    Empty,
    /// Something is; to be reset and enumerated from then on.
    Pending { from: Micros },
    /// A device with an address. One that was not offered to the class drivers
    /// because an adapter was in use is `spare`.
    Device { address: u8, identity: Identity, spare: bool },
    /// Over-current: without power, to be looked at from then on even if the
    /// hub says nothing.
    Off { from: Micros },
}

/// A port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Port {
    pub(crate) state: PortState,
    /// How often in a row its device failed.
    pub(crate) failures: u8,
    /// How often in a row the connection broke before the device was addressed.
    pub(crate) flaps: u8,
}

impl Port {
    const UNUSED: Self = Self { state: PortState::Empty, failures: 0, flaps: 0 };
}

/// A hub in use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hub {
    pub(crate) place: Place,
    pub(crate) target: DeviceTarget,
    pub(crate) layout: HubLayout,
    /// Ports in use; 0 until the hub descriptor was read.
    pub(crate) count: u8,
    /// The status change endpoint; without it the ports are looked at in turn.
    pub(crate) pipe: Option<PipeId>,
    /// What to look at: bit 0 the hub, bit n port n.
    pub(crate) changed: u16,
    /// When power is good: nothing is looked at before.
    pub(crate) ready: Micros,
    /// When the next port is looked at unasked, and which was the last.
    pub(crate) scan: (Micros, u8),
    ports: [Port; MAX_PORTS],
}

impl Hub {
    pub(crate) const fn new(place: Place, target: DeviceTarget, layout: HubLayout) -> Self {
        Self {
            place,
            target,
            layout,
            count: 0,
            pipe: None,
            changed: 0,
            ready: 0,
            scan: (0, 0),
            ports: [Port::UNUSED; MAX_PORTS],
        }
    }

    /// The ports in use, from port 1.
    pub(crate) fn ports(&self) -> &[Port] {
        self.ports.get(..usize::from(self.count)).unwrap_or(&[])
    }

    /// The same, to be changed.
    pub(crate) fn ports_mut(&mut self) -> &mut [Port] {
        self.ports.get_mut(..usize::from(self.count)).unwrap_or(&mut [])
    }

    /// To be looked at: all ports.
    pub(crate) const fn all_ports(&self) -> u16 {
        (2 << self.count) - 2
    }

    /// How a device on `port` is reached: through the translator of the next
    /// high-speed hub above it, if it is slower than that.
    pub(crate) fn route(&self, port: u8, speed: Speed) -> Option<(u8, u8)> {
        match (self.target.speed, speed) {
            (_, Speed::High) => None,
            (Speed::High, _) => Some((self.target.address, port)),
            _ => self.target.behind,
        }
    }
}
