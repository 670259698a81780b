//! Where a task may send, and how fast.

use sk_hal::Micros;

/// A range of destinations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Destination {
    /// Network address.
    pub ip: [u8; 4],
    /// Length of the network part; 0 = everywhere, 32 = one host.
    pub prefix: u8,
    /// Lowest port.
    pub port_min: u16,
    /// Highest port.
    pub port_max: u16,
}

impl Destination {
    pub(super) fn covers(&self, ip: u32, port: u16) -> bool {
        let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix.min(32))).unwrap_or(0);
        (ip ^ u32::from_be_bytes(self.ip)) & mask == 0
            && (self.port_min..=self.port_max).contains(&port)
    }
}

/// Where the tasks of a client may send.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Policy {
    /// The board's own subnet, its broadcast address included, and whoever has
    /// sent to the task.
    #[default]
    OwnSubnet,
    /// There and nowhere else.
    Listed(heapless::Vec<Destination, 4>),
}

/// A burst lasts so long at the full rate: 100 ms.
const BURST_NS: u64 = 100_000_000;
/// At least so many datagrams at once.
const BURST_LEAST: u64 = 16;

/// So many datagrams a second, the generic cell rate algorithm (ITU-T I.371
/// annex A.1): a token bucket that needs no division, which on ARMv6 is a
/// library call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Nanoseconds for one; 0 = none at all.
    each: u64,
    /// How far ahead of time one may be.
    burst: u64,
    /// When the bucket would be full again.
    full_at: u64,
}

impl Pace {
    pub(super) fn new(per_second: u32) -> Self {
        // Rounded up: never more than the rate.
        let each = match per_second {
            0 => 0,
            rate => 1_000_000_000u64.div_ceil(u64::from(rate)),
        };
        Self { each, burst: BURST_NS.max(each * BURST_LEAST), full_at: 0 }
    }

    /// Takes one, or says when there will be one; never is `None`.
    #[inline]
    pub(super) fn take(&mut self, now: Micros) -> Result<(), Option<Micros>> {
        if self.each == 0 {
            return Err(None);
        }
        let now = now.saturating_mul(1_000);
        let next = self.full_at.max(now) + self.each;
        let limit = now + self.burst;
        if next > limit {
            return Err(Some((next - self.burst).div_ceil(1_000)));
        }
        self.full_at = next;
        Ok(())
    }

    pub(super) fn give_back(&mut self) {
        self.full_at = self.full_at.saturating_sub(self.each);
    }
}
