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

use crate::checksum::{finish, finish_udp, fold, native};

/// Ethernet + IPv4 without options + UDP.
pub(crate) const HEADER_LEN: usize = 14 + 20 + 8;
/// The largest UDP payload in an Ethernet frame of 1514 bytes.
pub const MAX_PAYLOAD: usize = 1500 - 20 - 8;
/// Flows kept: a client's session, its payload's exchanges, discovery.
const FLOWS: usize = 8;
/// Until a flow is looked up in the tables again; shorter than the time
/// between the first refresh of a neighbour and its end.
const LIFETIME: Micros = 10_000_000;

/// The three headers in front of a datagram, word by word as they lie in
/// memory (the machine's byte order): behind the first two bytes every field
/// of IPv4 and UDP falls into place, a header is read and written with eleven
/// loads or stores, and what is only compared or summed is never swapped.
#[derive(Clone, Copy)]
pub(crate) struct Head {
    to_first: u16,
    to_rest: u32,
    from_first: u32,
    from_rest_type: u32,
    version_length: u32,
    id_fragment: u32,
    ttl_protocol_sum: u32,
    pub(crate) source: u32,
    pub(crate) destination: u32,
    /// Source port, destination port.
    pub(crate) ports: u32,
    length_sum: u32,
}

/// Both ports of a header.
#[inline(always)]
pub(crate) fn ports(source: u16, destination: u16) -> u32 {
    (u32::from(source) << 16 | u32::from(destination)).to_be()
}

impl Head {
    const EMPTY: Self = Self::read(&[0; HEADER_LEN]);

    #[inline(always)]
    pub(crate) const fn read(bytes: &[u8; HEADER_LEN]) -> Self {
        let [a, b, rest @ ..] = bytes;
        let ([w0, w1, w2, w3, w4, w5, w6, w7, w8, w9], []) = rest.as_chunks::<4>() else {
            // 40 bytes are ten words.
            unreachable!()
        };
        Self {
            to_first: u16::from_ne_bytes([*a, *b]),
            to_rest: u32::from_ne_bytes(*w0),
            from_first: u32::from_ne_bytes(*w1),
            from_rest_type: u32::from_ne_bytes(*w2),
            version_length: u32::from_ne_bytes(*w3),
            id_fragment: u32::from_ne_bytes(*w4),
            ttl_protocol_sum: u32::from_ne_bytes(*w5),
            source: u32::from_ne_bytes(*w6),
            destination: u32::from_ne_bytes(*w7),
            ports: u32::from_ne_bytes(*w8),
            length_sum: u32::from_ne_bytes(*w9),
        }
    }

    #[inline(always)]
    fn write(&self, bytes: &mut [u8; HEADER_LEN]) {
        let words = [
            self.to_rest,
            self.from_first,
            self.from_rest_type,
            self.version_length,
            self.id_fragment,
            self.ttl_protocol_sum,
            self.source,
            self.destination,
            self.ports,
            self.length_sum,
        ];
        let [a, b, rest @ ..] = bytes;
        [*a, *b] = self.to_first.to_ne_bytes();
        for (to, word) in rest.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *to = word.to_ne_bytes();
        }
    }

    /// Is `received` between the same two adapters and addresses as `self`;
    /// IPv4 without options; no fragment (DF may be set); UDP? Its source and
    /// ports have been looked at.
    #[inline(always)]
    fn expects(&self, received: &Self) -> bool {
        let differ = u32::from(received.to_first ^ self.to_first)
            | (received.to_rest ^ self.to_rest)
            | (received.from_first ^ self.from_first)
            | (received.from_rest_type ^ self.from_rest_type)
            | (received.destination ^ self.destination)
            | (received.version_length & 0xFF00_0000u32.to_be()) ^ 0x4500_0000u32.to_be()
            | received.id_fragment & 0x0000_BFFFu32.to_be()
            | (received.ttl_protocol_sum & 0x00FF_0000u32.to_be()) ^ 0x0011_0000u32.to_be();
        differ == 0
    }

    /// Total length of the IPv4 packet.
    #[inline(always)]
    pub(crate) fn total_len(&self) -> usize {
        (u32::from_be(self.version_length) & 0xFFFF) as usize
    }

    /// Length of the datagram with its header.
    #[inline(always)]
    pub(crate) fn udp_len(&self) -> usize {
        (u32::from_be(self.length_sum) >> 16) as usize
    }

    /// Source port.
    #[inline(always)]
    pub(crate) fn source_port(&self) -> u16 {
        (u32::from_be(self.ports) >> 16) as u16
    }

    /// Destination port.
    #[inline(always)]
    pub(crate) fn destination_port(&self) -> u16 {
        u32::from_be(self.ports) as u16
    }

    /// RFC 791 section 3.1, for a header without options.
    #[inline(always)]
    pub(crate) fn ip_checksum_ok(&self) -> bool {
        self.ip_sum() == 0xFFFF
    }

    /// RFC 768: over the pseudo header, the header and the data; a field of
    /// zero means that the sender computed none.
    #[inline(always)]
    pub(crate) fn udp_checksum_ok(&self, payload: &[u8]) -> bool {
        if u32::from_be(self.length_sum) & 0xFFFF == 0 {
            return true;
        }
        // The length counts twice: in the pseudo header and in the header.
        let length = (self.udp_len() as u16).to_be();
        let total = u64::from(self.udp_sum())
            + u64::from(self.length_sum)
            + u64::from(length)
            + u64::from(native(payload));
        fold(total) == 0xFFFF
    }

    #[inline(always)]
    fn ip_sum(&self) -> u16 {
        fold(
            u64::from(self.version_length)
                + u64::from(self.id_fragment)
                + u64::from(self.ttl_protocol_sum)
                + u64::from(self.source)
                + u64::from(self.destination),
        )
    }

    /// Addresses, protocol and ports.
    #[inline(always)]
    fn udp_sum(&self) -> u16 {
        fold(
            u64::from(self.source)
                + u64::from(self.destination)
                + u64::from(17u16.to_be())
                + u64::from(self.ports),
        )
    }
}

/// The headers of a datagram to be sent, lengths and checksums open.
#[derive(Clone, Copy)]
pub(crate) struct Header {
    head: Head,
    /// Sum of the IPv4 header without total length.
    ip: u16,
    /// Sum of the pseudo header and the UDP header without the two lengths.
    udp: u16,
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
    const EMPTY: Self = Self { head: Head::EMPTY, ip: 0, udp: 0 };

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
        let head = Head::read(&bytes);
        Self { head, ip: head.ip_sum(), udp: head.udp_sum() }
    }

    /// What the headers of an answer look like.
    fn mirrored(&self) -> Head {
        let mut bytes = [0; HEADER_LEN];
        self.head.write(&mut bytes);
        let [t0, t1, t2, t3, t4, t5, f0, f1, f2, f3, f4, f5, ..] = bytes;
        let (_, rest) = bytes.split_at(12);
        let macs = [f0, f1, f2, f3, f4, f5, t0, t1, t2, t3, t4, t5];
        let mut answer = [0; HEADER_LEN];
        for (to, from) in answer.iter_mut().zip(macs.iter().chain(rest.iter())) {
            *to = *from;
        }
        Head {
            source: self.head.destination,
            destination: self.head.source,
            ports: self.head.ports.rotate_left(16),
            ..Head::read(&answer)
        }
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
            let Some((bytes, payload)) = frame.split_first_chunk_mut::<HEADER_LEN>() else {
                return;
            };
            fill(payload);
            // `payload.len()` and not `len`: the frame is told as long as it is.
            let udp_len = (payload.len() + 8) as u16;
            let total = udp_len.wrapping_add(20);
            let ip = finish(fold(u64::from(self.ip) + u64::from(total.to_be())));
            let udp = finish_udp(fold(
                u64::from(self.udp) + 2 * u64::from(udp_len.to_be()) + u64::from(native(payload)),
            ));
            let length_sum = u32::from(udp_len) << 16 | u32::from(u16::from_be(udp));
            let head = Head {
                version_length: self.head.version_length | u32::from(total).to_be(),
                ttl_protocol_sum: self.head.ttl_protocol_sum | u32::from(u16::from_be(ip)).to_be(),
                length_sum: length_sum.to_be(),
                ..self.head
            };
            head.write(bytes);
        })
    }
}

/// An established exchange.
struct Flow {
    until: Micros,
    /// What its received datagrams look like; source and ports are its key.
    expected: Head,
    header: Header,
}

impl Flow {
    #[inline(always)]
    fn is(&self, remote: u32, ports: u32, now: Micros) -> bool {
        self.expected.source == remote && self.expected.ports == ports && now < self.until
    }
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
        const EMPTY: Flow = Flow { until: 0, expected: Head::EMPTY, header: Header::EMPTY };
        Self { slots: [EMPTY; FLOWS], last: 0, next: 0 }
    }

    /// Ends every flow.
    pub(crate) fn clear(&mut self) {
        for slot in &mut self.slots {
            slot.until = 0;
        }
    }

    #[inline(always)]
    fn find(&mut self, remote: u32, ports: u32, now: Micros) -> Option<&Flow> {
        let hit = |flow: &Flow| flow.is(remote, ports, now);
        if !self.slots.get(self.last).is_some_and(hit) {
            self.last = self.slots.iter().position(hit)?;
        }
        self.slots.get(self.last)
    }

    /// Does `received` belong to a flow, in everything but its lengths and
    /// checksums?
    #[inline(always)]
    pub(crate) fn expects(&mut self, received: &Head, now: Micros) -> bool {
        self.find(received.source, received.ports, now)
            .is_some_and(|flow| flow.expected.expects(received))
    }

    /// The headers to send with, `remote` and `ports` as an answer has them.
    #[inline(always)]
    pub(crate) fn header(&mut self, remote: u32, ports: u32, now: Micros) -> Option<&Header> {
        self.find(remote, ports, now).map(|flow| &flow.header)
    }

    /// Remembers a flow, in place of the same one or of the oldest.
    pub(crate) fn insert(&mut self, header: Header, now: Micros) {
        let expected = header.mirrored();
        let same = |flow: &Flow| flow.is(expected.source, expected.ports, 0);
        let at = self.slots.iter().position(same).unwrap_or_else(|| {
            self.next = (self.next + 1) % FLOWS;
            self.next
        });
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = Flow { until: now.saturating_add(LIFETIME), expected, header };
        }
    }
}
