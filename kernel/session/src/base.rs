//! Words both ends use: time, addresses, token buckets.

use core::net::{Ipv4Addr, SocketAddrV4};

pub use sk_hal::Micros;

/// A millisecond.
pub const MS: Micros = 1_000;
/// A second.
pub const SECOND: Micros = 1_000_000;

/// A UDP address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Endpoint {
    /// IPv4 address, in the order it is written.
    pub ip: [u8; 4],
    /// UDP port.
    pub port: u16,
}

impl From<Endpoint> for SocketAddrV4 {
    fn from(endpoint: Endpoint) -> Self {
        SocketAddrV4::new(Ipv4Addr::from(endpoint.ip), endpoint.port)
    }
}

impl From<SocketAddrV4> for Endpoint {
    fn from(address: SocketAddrV4) -> Self {
        Endpoint { ip: address.ip().octets(), port: address.port() }
    }
}

/// Where a datagram goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Destination {
    /// To one peer.
    Endpoint(Endpoint),
    /// To 255.255.255.255, SKP's port.
    Broadcast,
}

/// A token bucket: `rate` per second on average, `burst` at once.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    /// Time at which the bucket would be full; counting time instead of tokens
    /// needs no update while nothing happens.
    full_at: Micros,
    interval: Micros,
    depth: Micros,
}

impl Bucket {
    /// A full bucket; a `rate` of 0 counts as 1.
    #[must_use]
    pub const fn new(rate: u32, burst: u32) -> Self {
        let interval = SECOND / if rate == 0 { 1 } else { rate as Micros };
        Bucket { full_at: 0, interval, depth: interval.saturating_mul(burst as Micros) }
    }

    /// Takes a token, if there is one.
    pub fn take(&mut self, now: Micros) -> bool {
        let full_at = self.full_at.max(now).saturating_add(self.interval);
        let there = full_at - now <= self.depth;
        if there {
            self.full_at = full_at;
        }
        there
    }

    /// Is the bucket full, so that it can be forgotten?
    #[must_use]
    pub const fn is_full(&self, now: Micros) -> bool {
        self.full_at <= now
    }
}

/// Sets `slot` to the earlier of itself and `at`.
pub(crate) fn earliest(slot: &mut Option<Micros>, at: Option<Micros>) {
    if let Some(at) = at {
        *slot = Some(slot.map_or(at, |have| have.min(at)));
    }
}
