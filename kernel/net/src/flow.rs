//! Prepared headers and the flow cache.
//!
//! A [`Header`] is the Ethernet, IPv4 and UDP header of a datagram with all
//! that does not change filled in and summed; sending is: copy it, let the
//! caller write the payload, patch two lengths and two checksums.
//!
//! A [`Flow`] keeps the header of an established exchange: a remote address
//! and port, a local port, the neighbour in between. A datagram that matches
//! one is received and answered without walking the stack. A flow is only ever
//! a shortcut: made from a resolved neighbour, good for a few seconds, thrown
//! away when a neighbour, our address or the link changes. Whatever does not
//! match takes the long way, with the same result.
//!
//! Every datagram is sent with DF set and identification 0: it is atomic in
//! the sense of RFC 6864 section 4.1, which allows any value, and a constant
//! one tells nobody how much we send.

use sk_hal::Micros;
use sk_hal::net::FrameDevice;

use crate::checksum::{finish, finish_udp, fold, sum};

/// Ethernet + IPv4 without options + UDP.
pub(crate) const HEADER_LEN: usize = 14 + 20 + 8;
/// The largest UDP payload in an Ethernet frame of 1514 bytes.
pub const MAX_PAYLOAD: usize = 1500 - 20 - 8;
/// Flows kept: a client's session, its payload's exchanges, discovery.
const FLOWS: usize = 8;
/// Until a flow is looked up in the tables again; shorter than the time
/// between the first refresh of a neighbour and its end.
const LIFETIME: Micros = 10_000_000;

/// Big-endian 32 bits at a constant place of a header.
#[inline(always)]
pub(crate) fn be32(header: &[u8; HEADER_LEN], at: usize) -> u32 {
    u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

/// Big-endian 16 bits at a constant place of a header.
#[inline(always)]
pub(crate) fn be16(header: &[u8; HEADER_LEN], at: usize) -> u16 {
    u16::from_be_bytes([header[at], header[at + 1]])
}

/// Both ports of a datagram as they lie in the header of a received one.
#[inline(always)]
pub(crate) fn ports(remote: u16, local: u16) -> u32 {
    u32::from(remote) << 16 | u32::from(local)
}

/// The headers of a datagram to be sent, lengths and checksums open.
#[derive(Clone)]
pub(crate) struct Header {
    bytes: [u8; HEADER_LEN],
    /// Sum of the IPv4 header without total length.
    ip: u32,
    /// Sum of the pseudo header and the UDP header without the two lengths.
    udp: u32,
}

/// Who speaks to whom.
pub(crate) struct Route {
    pub(crate) to_mac: [u8; 6],
    pub(crate) from_mac: [u8; 6],
    pub(crate) source: u32,
    pub(crate) source_port: u16,
    pub(crate) destination: u32,
    pub(crate) destination_port: u16,
    pub(crate) ttl: u8,
}

impl Header {
    pub(crate) const EMPTY: Self = Self {
        bytes: [0; HEADER_LEN],
        ip: 0,
        udp: 0,
    };

    pub(crate) fn new(route: &Route) -> Self {
        let mut bytes = [0; HEADER_LEN];
        let parts: [&[u8]; 10] = [
            &route.to_mac,
            &route.from_mac,
            &[0x08, 0x00],
            // Version and header length, type of service, total length.
            &[0x45, 0, 0, 0],
            // Identification, DF and no offset.
            &[0, 0, 0x40, 0],
            // Time to live, protocol UDP, checksum.
            &[route.ttl, 17, 0, 0],
            &route.source.to_be_bytes(),
            &route.destination.to_be_bytes(),
            &route.source_port.to_be_bytes(),
            &route.destination_port.to_be_bytes(),
        ];
        for (to, from) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        let ip = u32::from(sum(&bytes[14..34]));
        let udp = u32::from(sum(&bytes[26..38])) + 17;
        Self { bytes, ip, udp }
    }

    /// The header as it will be sent, but for lengths and checksums.
    #[inline(always)]
    pub(crate) fn bytes(&self) -> &[u8; HEADER_LEN] {
        &self.bytes
    }

    /// Sends one datagram of `len` bytes of payload, at most [`MAX_PAYLOAD`],
    /// that `fill` writes. `false` = the device has no buffer.
    #[inline(always)]
    pub(crate) fn send<D: FrameDevice + ?Sized>(
        &self,
        now: Micros,
        device: &mut D,
        len: usize,
        fill: &mut dyn FnMut(&mut [u8]),
    ) -> bool {
        device.transmit(now, HEADER_LEN + len, &mut |frame| {
            let Some((head, payload)) = frame.split_first_chunk_mut::<HEADER_LEN>() else {
                return;
            };
            *head = self.bytes;
            fill(payload);
            // `payload.len()` and not `len`: the frame is told as long as it is.
            let udp_len = (payload.len() + 8) as u16;
            let total = udp_len.wrapping_add(20);
            let ip = finish(fold(u64::from(self.ip) + u64::from(total)));
            let udp = u64::from(self.udp) + 2 * u64::from(udp_len) + u64::from(sum(payload));
            let udp = finish_udp(fold(udp));
            [head[16], head[17]] = total.to_be_bytes();
            [head[24], head[25]] = ip.to_be_bytes();
            [head[38], head[39]] = udp_len.to_be_bytes();
            [head[40], head[41]] = udp.to_be_bytes();
        })
    }
}

/// An established exchange.
pub(crate) struct Flow {
    remote: u32,
    ports: u32,
    until: Micros,
    pub(crate) header: Header,
}

impl Flow {
    const EMPTY: Self = Self {
        remote: 0,
        ports: 0,
        until: 0,
        header: Header::EMPTY,
    };
}

/// The flows.
pub(crate) struct FlowCache {
    slots: [Flow; FLOWS],
    /// The slot that matched last is tried first.
    last: usize,
    next: usize,
}

impl FlowCache {
    pub(crate) const fn new() -> Self {
        Self {
            slots: [Flow::EMPTY; FLOWS],
            last: 0,
            next: 0,
        }
    }

    /// Ends every flow.
    pub(crate) fn clear(&mut self) {
        for slot in &mut self.slots {
            slot.until = 0;
        }
    }

    /// The flow of a datagram, if there is one.
    #[inline(always)]
    pub(crate) fn find(&mut self, remote: u32, ports: u32, now: Micros) -> Option<&Flow> {
        let hit = |flow: &Flow| flow.remote == remote && flow.ports == ports && now < flow.until;
        if !self.slots.get(self.last).is_some_and(hit) {
            self.last = self.slots.iter().position(hit)?;
        }
        self.slots.get(self.last)
    }

    /// Remembers a flow, in place of the same one or of the oldest.
    pub(crate) fn insert(&mut self, remote: u32, ports: u32, header: Header, now: Micros) {
        let same = |flow: &Flow| flow.remote == remote && flow.ports == ports;
        let at = self.slots.iter().position(same).unwrap_or_else(|| {
            self.next = (self.next + 1) % FLOWS;
            self.next
        });
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = Flow {
                remote,
                ports,
                until: now.saturating_add(LIFETIME),
                header,
            };
        }
    }
}
