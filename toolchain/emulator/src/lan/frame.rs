//! Ethernet frames with ARP (RFC 826), IPv4 (RFC 791), UDP (RFC 768) and DHCP
//! (RFC 2131) in them, as far as a gateway needs.

use std::net::{Ipv4Addr, SocketAddrV4};

/// An Ethernet address.
pub(crate) type Mac = [u8; 6];

/// What a frame of 1,514 bytes has room for.
pub(crate) const MAX_PAYLOAD: usize = 1500 - 20 - 8;

/// The shortest frame on a cable, without its checksum.
const MIN_FRAME: usize = 60;

const ARP: [u8; 2] = [8, 6];
const IPV4: [u8; 2] = [8, 0];
const UDP: u8 = 17;

/// A UDP datagram and its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Datagram {
    pub(crate) from: SocketAddrV4,
    pub(crate) to: SocketAddrV4,
    pub(crate) payload: Vec<u8>,
}

/// What a board sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    ArpRequest {
        mac: Mac,
        ip: Ipv4Addr,
        wanted: Ipv4Addr,
    },
    Udp {
        mac: Mac,
        datagram: Datagram,
    },
    /// Well formed, but nothing for a gateway.
    Other,
}

/// Reads a frame; `None` if a length or a checksum is wrong.
pub(crate) fn parse(frame: &[u8]) -> Option<Seen> {
    let mac = array(frame.get(6..)?)?;
    let body = frame.get(14..)?;
    match array(frame.get(12..)?)? {
        ARP => parse_arp(mac, body),
        IPV4 => parse_ipv4(mac, body),
        _ => Some(Seen::Other),
    }
}

fn parse_arp(mac: Mac, body: &[u8]) -> Option<Seen> {
    let body = body.get(..28)?;
    if !body.starts_with(&[0, 1, 8, 0, 6, 4, 0, 1]) {
        return Some(Seen::Other);
    }
    Some(Seen::ArpRequest { mac, ip: address(body.get(14..)?)?, wanted: address(body.get(24..)?)? })
}

fn parse_ipv4(mac: Mac, body: &[u8]) -> Option<Seen> {
    let [version, _, high, low] = array(body)?;
    let header = usize::from(version & 15) * 4;
    let total = usize::from(u16::from_be_bytes([high, low]));
    let packet = body.get(..total)?;
    let content = packet.get(header..)?;
    let header = packet.get(..header).filter(|header| header.len() >= 20)?;
    let fragment: [u8; 2] = array(header.get(6..)?)?;
    if version >> 4 != 4 || sum(0, header) != 0xffff || (fragment[0] & 0x3f, fragment[1]) != (0, 0)
    {
        return None;
    }
    if header.get(9) != Some(&UDP) {
        return Some(Seen::Other);
    }
    let (from, to) = (address(header.get(12..)?)?, address(header.get(16..)?)?);
    let [a, b, c, d, e, f, g, h] = array(content)?;
    let length = usize::from(u16::from_be_bytes([e, f]));
    let content = content.get(..length)?;
    if (g, h) != (0, 0) && sum(pseudo_header(from, to, length), content) != 0xffff {
        return None;
    }
    Some(Seen::Udp {
        mac,
        datagram: Datagram {
            from: SocketAddrV4::new(from, u16::from_be_bytes([a, b])),
            to: SocketAddrV4::new(to, u16::from_be_bytes([c, d])),
            payload: content.get(8..)?.to_vec(),
        },
    })
}

impl Datagram {
    /// The frame from one adapter to another.
    pub(crate) fn frame(&self, from: Mac, to: Mac) -> Vec<u8> {
        let length = 8 + self.payload.len();
        let mut udp = Vec::with_capacity(length);
        for half in [self.from.port(), self.to.port(), length as u16, 0] {
            udp.extend(half.to_be_bytes());
        }
        udp.extend_from_slice(&self.payload);
        let check = !sum(pseudo_header(*self.from.ip(), *self.to.ip(), length), &udp);
        // 0 would mean that there is none.
        let check = if check == 0 { 0xffff } else { check };
        udp[6..8].copy_from_slice(&check.to_be_bytes());

        let mut header = vec![0x45, 0];
        header.extend((20 + length as u16).to_be_bytes());
        header.extend([0, 0, 0x40, 0, 64, UDP, 0, 0]);
        header.extend(self.from.ip().octets());
        header.extend(self.to.ip().octets());
        let check = !sum(0, &header);
        header[10..12].copy_from_slice(&check.to_be_bytes());
        ethernet(from, to, IPV4, &[&header, &udp])
    }
}

/// "`ip` is at `mac`".
pub(crate) fn arp_reply(mac: Mac, ip: Ipv4Addr, to_mac: Mac, to: Ipv4Addr) -> Vec<u8> {
    let body = [&[0, 1, 8, 0, 6, 4, 0, 2][..], &mac, &ip.octets(), &to_mac, &to.octets()];
    ethernet(mac, to_mac, ARP, &body)
}

/// The server's answer to a client's message: OFFER, ACK, or NAK for another
/// address than the one there is.
pub(crate) fn dhcp_reply(
    message: &[u8],
    board: Ipv4Addr,
    server: Ipv4Addr,
    mask: Ipv4Addr,
) -> Option<Datagram> {
    const MAGIC: [u8; 4] = [99, 130, 83, 99];
    const LEASE: u32 = 86_400;
    let fixed = message.get(..236)?;
    let options = message.get(236..)?.strip_prefix(&MAGIC)?;
    let wanted = match option(options, 50) {
        Some(ip) => address(ip)?,
        None => address(fixed.get(12..)?)?,
    };
    let kind = match *option(options, 53)? {
        [1] => 2,
        [3] if wanted == board => 5,
        [3] => 6,
        _ => return None,
    };
    let mut reply = fixed.to_vec();
    reply[0] = 2;
    reply[12..28].fill(0);
    if kind != 6 {
        reply[16..20].copy_from_slice(&board.octets());
    }
    reply.extend(MAGIC);
    reply.extend([53, 1, kind, 54, 4]);
    reply.extend(server.octets());
    if kind != 6 {
        reply.extend([51, 4]);
        reply.extend(LEASE.to_be_bytes());
        reply.extend([1, 4]);
        reply.extend(mask.octets());
        reply.extend([3, 4]);
        reply.extend(server.octets());
    }
    reply.push(255);
    Some(Datagram {
        from: SocketAddrV4::new(server, 67),
        to: SocketAddrV4::new(Ipv4Addr::BROADCAST, 68),
        payload: reply,
    })
}

/// A DHCP option's content.
fn option(mut options: &[u8], wanted: u8) -> Option<&[u8]> {
    loop {
        match *options {
            [0, ref rest @ ..] => options = rest,
            [255, ..] | [] | [_] => return None,
            [code, length, ref rest @ ..] => {
                let (content, rest) = rest.split_at_checked(usize::from(length))?;
                if code == wanted {
                    return Some(content);
                }
                options = rest;
            }
        }
    }
}

fn ethernet(from: Mac, to: Mac, kind: [u8; 2], body: &[&[u8]]) -> Vec<u8> {
    let mut frame = [&to[..], &from, &kind].concat();
    frame.extend(body.concat());
    if frame.len() < MIN_FRAME {
        frame.resize(MIN_FRAME, 0);
    }
    frame
}

/// The part of a UDP checksum that comes from the addresses.
fn pseudo_header(from: Ipv4Addr, to: Ipv4Addr, length: usize) -> u32 {
    let words = [from.octets(), to.octets()].concat();
    u32::from(sum(0, &words)) + u32::from(UDP) + length as u32
}

/// The Internet checksum's sum (RFC 1071), not yet inverted.
fn sum(start: u32, bytes: &[u8]) -> u16 {
    let mut sum = u64::from(start);
    for pair in bytes.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u64::from(u16::from_be_bytes([pair[0], low]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

fn address(bytes: &[u8]) -> Option<Ipv4Addr> {
    array::<4>(bytes).map(Ipv4Addr::from)
}

/// The first bytes.
fn array<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.first_chunk().copied()
}
