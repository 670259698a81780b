//! A small network on the other end of a [`FrameQueue`]: hosts that answer
//! ARP, take UDP and echo replies, and a DHCP server that can misbehave.
//!
//! Frames are built and taken apart with smoltcp's wire formats: an opinion
//! independent of the stack under test wherever that has its own.

use std::net::{Ipv4Addr, SocketAddrV4};

use sk_hal::Micros;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress,
    EthernetFrame, EthernetProtocol, Icmpv4Packet, Icmpv4Repr, IpProtocol, Ipv4Packet, Ipv4Repr,
    UdpPacket, UdpRepr,
};

use crate::frames::FrameQueue;

/// The Ethernet broadcast address.
pub const BROADCAST: [u8; 6] = [0xFF; 6];

/// What an ARP packet says of one side: hardware and protocol address.
pub type Station = ([u8; 6], Ipv4Addr);

/// Ethernet addresses of a frame: to, from.
pub type Macs = ([u8; 6], [u8; 6]);

/// A frame around `payload`.
#[must_use]
pub fn ethernet(macs: Macs, protocol: EthernetProtocol, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 14 + payload.len()];
    let mut frame = EthernetFrame::new_unchecked(&mut out);
    frame.set_dst_addr(EthernetAddress(macs.0));
    frame.set_src_addr(EthernetAddress(macs.1));
    frame.set_ethertype(protocol);
    frame.payload_mut().copy_from_slice(payload);
    out
}

/// An IPv4 frame (DF, identification 0, `ttl`).
#[must_use]
pub fn ipv4(
    macs: Macs,
    src: Ipv4Addr,
    dst: Ipv4Addr,
    next_header: IpProtocol,
    ttl: u8,
    payload: &[u8],
) -> Vec<u8> {
    let repr = Ipv4Repr {
        src_addr: src,
        dst_addr: dst,
        next_header,
        payload_len: payload.len(),
        hop_limit: ttl,
    };
    let mut out = vec![0; 20 + payload.len()];
    let mut packet = Ipv4Packet::new_unchecked(&mut out);
    repr.emit(&mut packet, &ChecksumCapabilities::default());
    packet.payload_mut().copy_from_slice(payload);
    ethernet(macs, EthernetProtocol::Ipv4, &out)
}

/// A UDP frame with a right checksum.
#[must_use]
pub fn udp(macs: Macs, src: SocketAddrV4, dst: SocketAddrV4, ttl: u8, payload: &[u8]) -> Vec<u8> {
    let repr = UdpRepr { src_port: src.port(), dst_port: dst.port() };
    let mut out = vec![0; 8 + payload.len()];
    repr.emit(
        &mut UdpPacket::new_unchecked(&mut out),
        &(*src.ip()).into(),
        &(*dst.ip()).into(),
        payload.len(),
        |buffer| buffer.copy_from_slice(payload),
        &ChecksumCapabilities::default(),
    );
    ipv4(macs, *src.ip(), *dst.ip(), IpProtocol::Udp, ttl, &out)
}

/// An ARP frame: `sender` and `target` as (hardware, protocol) addresses.
#[must_use]
pub fn arp(macs: Macs, operation: ArpOperation, sender: Station, target: Station) -> Vec<u8> {
    let repr = ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr: EthernetAddress(sender.0),
        source_protocol_addr: sender.1,
        target_hardware_addr: EthernetAddress(target.0),
        target_protocol_addr: target.1,
    };
    let mut out = vec![0; repr.buffer_len()];
    repr.emit(&mut ArpPacket::new_unchecked(&mut out));
    ethernet(macs, EthernetProtocol::Arp, &out)
}

/// A UDP frame taken apart; `None` = not UDP, or something in it is wrong.
#[must_use]
pub fn parse_udp(frame: &[u8]) -> Option<(SocketAddrV4, SocketAddrV4, Vec<u8>)> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    if frame.ethertype() != EthernetProtocol::Ipv4 {
        return None;
    }
    let ip = Ipv4Packet::new_checked(frame.payload()).ok()?;
    if !ip.verify_checksum() || ip.next_header() != IpProtocol::Udp {
        return None;
    }
    let packet = UdpPacket::new_checked(ip.payload()).ok()?;
    let (src, dst) = (ip.src_addr(), ip.dst_addr());
    packet.verify_checksum(&src.into(), &dst.into()).then(|| {
        (
            SocketAddrV4::new(src, packet.src_port()),
            SocketAddrV4::new(dst, packet.dst_port()),
            packet.payload().to_vec(),
        )
    })
}

/// An ARP frame taken apart: operation, sender, target.
#[must_use]
pub fn parse_arp(frame: &[u8]) -> Option<(ArpOperation, Station, Station)> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    if frame.ethertype() != EthernetProtocol::Arp {
        return None;
    }
    let packet = ArpPacket::new_checked(frame.payload()).ok()?;
    match ArpRepr::parse(&packet).ok()? {
        ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr,
            source_protocol_addr,
            target_hardware_addr,
            target_protocol_addr,
        } => Some((
            operation,
            (source_hardware_addr.0, source_protocol_addr),
            (target_hardware_addr.0, target_protocol_addr),
        )),
        _ => None,
    }
}

/// A DHCP server (RFC 2131) with one address to give.
#[derive(Clone, Debug)]
pub struct DhcpServer {
    /// The address it gives.
    pub offer: Ipv4Addr,
    /// The network mask it gives.
    pub mask: Ipv4Addr,
    /// The router it gives.
    pub router: Option<Ipv4Addr>,
    /// Lease time in seconds.
    pub lease: u32,
    /// Fault: answers nothing at all.
    pub silent: bool,
    /// Fault: answers no REQUEST.
    pub offers_only: bool,
    /// Fault: so many REQUESTs are refused with a NAK.
    pub naks: u32,
    /// Fault: answers with somebody else's transaction id.
    pub wrong_xid: bool,
    /// Messages received, in order.
    pub log: Vec<DhcpMessageType>,
    /// Host name of the last message (option 12).
    pub hostname: Option<String>,
}

impl DhcpServer {
    /// A server that works.
    #[must_use]
    pub fn new(offer: Ipv4Addr, router: Option<Ipv4Addr>, lease: u32) -> Self {
        Self {
            offer,
            mask: Ipv4Addr::new(255, 255, 255, 0),
            router,
            lease,
            silent: false,
            offers_only: false,
            naks: 0,
            wrong_xid: false,
            log: Vec::new(),
            hostname: None,
        }
    }

    /// The answer to a client's message, if it gets one.
    fn answer(&mut self, server: Ipv4Addr, message: &[u8]) -> Option<Vec<u8>> {
        let packet = DhcpPacket::new_checked(message).ok()?;
        let request = DhcpRepr::parse(&packet).ok()?;
        self.log.push(request.message_type);
        self.hostname = packet
            .options()
            .find(|o| o.kind == 12)
            .map(|o| String::from_utf8_lossy(o.data).into_owned());
        if self.silent {
            return None;
        }
        let message_type = match request.message_type {
            DhcpMessageType::Discover => DhcpMessageType::Offer,
            DhcpMessageType::Request if self.offers_only => return None,
            DhcpMessageType::Request if self.naks > 0 => {
                self.naks -= 1;
                DhcpMessageType::Nak
            }
            DhcpMessageType::Request => DhcpMessageType::Ack,
            _ => return None,
        };
        let granted = message_type != DhcpMessageType::Nak;
        let reply = DhcpRepr {
            message_type,
            transaction_id: request.transaction_id ^ u32::from(self.wrong_xid),
            secs: 0,
            client_hardware_address: request.client_hardware_address,
            client_ip: Ipv4Addr::UNSPECIFIED,
            your_ip: if granted { self.offer } else { Ipv4Addr::UNSPECIFIED },
            server_ip: server,
            router: self.router.filter(|_| granted),
            subnet_mask: granted.then_some(self.mask),
            relay_agent_ip: Ipv4Addr::UNSPECIFIED,
            broadcast: false,
            requested_ip: None,
            client_identifier: None,
            server_identifier: Some(server),
            parameter_request_list: None,
            dns_servers: None,
            max_size: None,
            lease_duration: granted.then_some(self.lease),
            renew_duration: None,
            rebind_duration: None,
            additional_options: &[],
        };
        let mut out = vec![0; reply.buffer_len()];
        reply.emit(&mut DhcpPacket::new_unchecked(&mut out)).ok()?;
        Some(out)
    }
}

/// An echo reply a host got: identifier, sequence number, data.
pub type EchoReply = (u16, u16, Vec<u8>);

/// A host.
#[derive(Clone, Debug)]
pub struct Host {
    /// Hardware address.
    pub mac: [u8; 6],
    /// Protocol address.
    pub ip: Ipv4Addr,
    /// Fault: does not answer ARP requests.
    pub mute: bool,
    /// Its DHCP server, if it is one.
    pub dhcp: Option<DhcpServer>,
    /// Datagrams received: when, from, to, payload.
    pub datagrams: Vec<(Micros, SocketAddrV4, SocketAddrV4, Vec<u8>)>,
    /// Echo replies received.
    pub echoes: Vec<EchoReply>,
    /// ARP requests seen that ask for this host.
    pub asked: u32,
}

impl Host {
    /// A host that works.
    #[must_use]
    pub fn new(last_byte: u8, ip: Ipv4Addr) -> Self {
        Self {
            mac: [0x02, 0, 0, 0, 0, last_byte],
            ip,
            mute: false,
            dhcp: None,
            datagrams: Vec::new(),
            echoes: Vec::new(),
            asked: 0,
        }
    }

    /// A datagram from here.
    #[must_use]
    pub fn udp(&self, to: [u8; 6], port: u16, dst: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
        let src = SocketAddrV4::new(self.ip, port);
        udp((to, self.mac), src, dst, 64, payload)
    }

    /// An echo request from here.
    #[must_use]
    pub fn ping(
        &self,
        to: [u8; 6],
        dst: Ipv4Addr,
        ident: u16,
        seq_no: u16,
        data: &[u8],
    ) -> Vec<u8> {
        let repr = Icmpv4Repr::EchoRequest { ident, seq_no, data };
        let mut out = vec![0; repr.buffer_len()];
        repr.emit(&mut Icmpv4Packet::new_unchecked(&mut out), &ChecksumCapabilities::default());
        ipv4((to, self.mac), self.ip, dst, IpProtocol::Icmp, 64, &out)
    }

    /// Who has `ip`?
    #[must_use]
    pub fn who_has(&self, ip: Ipv4Addr) -> Vec<u8> {
        let us = (self.mac, self.ip);
        arp((BROADCAST, self.mac), ArpOperation::Request, us, ([0; 6], ip))
    }

    /// An ARP reply nobody may have asked for.
    #[must_use]
    pub fn is_at(&self, to: Station) -> Vec<u8> {
        arp((to.0, self.mac), ArpOperation::Reply, (self.mac, self.ip), to)
    }

    /// Takes a frame from the wire; returns its answers.
    pub fn receive(&mut self, now: Micros, bytes: &[u8]) -> Vec<Vec<u8>> {
        let Ok(frame) = EthernetFrame::new_checked(bytes) else {
            return Vec::new();
        };
        if frame.dst_addr().is_unicast() && frame.dst_addr().0 != self.mac {
            return Vec::new();
        }
        if let Some((ArpOperation::Request, sender, (_, target))) = parse_arp(bytes) {
            if target != self.ip || sender.1 == self.ip {
                return Vec::new();
            }
            self.asked += 1;
            return match self.mute {
                true => Vec::new(),
                false => vec![self.is_at(sender)],
            };
        }
        if let Some((src, dst, payload)) = parse_udp(bytes) {
            if *dst.ip() != self.ip
                && *dst.ip() != Ipv4Addr::BROADCAST
                && frame.dst_addr().0 != BROADCAST
            {
                return Vec::new();
            }
            let answer = match &mut self.dhcp {
                Some(server) if dst.port() == 67 => server.answer(self.ip, &payload),
                _ => None,
            };
            self.datagrams.push((now, src, dst, payload));
            return answer
                .map(|message| {
                    // To the address it gives, by hardware address: what
                    // most servers do (RFC 2131 section 4.1).
                    let to = self.dhcp.as_ref().map_or(Ipv4Addr::BROADCAST, |s| s.offer);
                    let macs = (frame.src_addr().0, self.mac);
                    let src = SocketAddrV4::new(self.ip, 67);
                    udp(macs, src, SocketAddrV4::new(to, 68), 64, &message)
                })
                .into_iter()
                .collect();
        }
        self.take_echo(&frame);
        Vec::new()
    }

    fn take_echo(&mut self, frame: &EthernetFrame<&[u8]>) {
        let Ok(ip) = Ipv4Packet::new_checked(frame.payload()) else {
            return;
        };
        if ip.next_header() != IpProtocol::Icmp || ip.dst_addr() != self.ip {
            return;
        }
        let Ok(packet) = Icmpv4Packet::new_checked(ip.payload()) else {
            return;
        };
        if let Ok(Icmpv4Repr::EchoReply { ident, seq_no, data }) =
            Icmpv4Repr::parse(&packet, &ChecksumCapabilities::default())
        {
            self.echoes.push((ident, seq_no, data.to_vec()));
        }
    }
}

/// Hosts on one switch with the adapter under test.
#[derive(Clone, Default, Debug)]
pub struct Lan {
    /// The hosts.
    pub hosts: Vec<Host>,
    /// Every frame the adapter sent, when.
    pub sent: Vec<(Micros, Vec<u8>)>,
}

impl Lan {
    /// A network of these hosts.
    #[must_use]
    pub fn new(hosts: Vec<Host>) -> Self {
        Self { hosts, sent: Vec::new() }
    }

    /// Carries what the adapter sent to the hosts and their answers back.
    /// Returns whether anything was carried.
    pub fn carry(&mut self, now: Micros, adapter: &mut FrameQueue) -> bool {
        let frames = adapter.drain();
        let any = !frames.is_empty();
        for frame in frames {
            for host in &mut self.hosts {
                for answer in host.receive(now, &frame) {
                    adapter.push(answer);
                }
            }
            self.sent.push((now, frame));
        }
        any
    }
}
