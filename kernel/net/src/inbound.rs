//! Received frames: the fast path of established flows, and the long way that
//! checks everything and says what was wrong.
//!
//! The fast path accepts; it never rejects. A frame that fails any of its
//! tests is looked at again by the long way, so that both agree on what is
//! delivered, and each drop is counted once, under its reason.

use core::net::{Ipv4Addr, SocketAddrV4};

use sk_hal::Micros;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, DhcpMessageType, DhcpPacket, DhcpRepr, EthernetFrame,
    EthernetProtocol, IpProtocol, Ipv4Packet, UdpPacket,
};

use crate::address::{is_host, is_multicast};
use crate::arp::Learned;
use crate::checksum::sum;
use crate::counters::count;
use crate::flow::{HEADER_LEN, Head};
use crate::net::Net;
use crate::upkeep::DhcpMessage;
use crate::{DHCP_CLIENT_PORT, UdpMeta, UdpSink};

const ETHERNET_LEN: usize = 14;
const IP_LEN: usize = 20;
const UDP_LEN: usize = 8;
/// UDP port of a DHCP server.
const DHCP_SERVER_PORT: u16 = 67;
const ICMP_ECHO: [u8; 2] = [8, 0];

/// What is left to do once the frame is out of the adapter's buffer.
pub(crate) enum Verdict {
    /// Nothing: delivered or dropped.
    Done,
    /// A neighbour was learned, or asks for us.
    Arp { ip: u32, mac: [u8; 6], learned: bool, reply: bool },
    /// Somebody uses our address.
    Conflict { mac: [u8; 6] },
    /// An echo request for us is in smoltcp's slot.
    Echo { source: u32 },
    /// A message for the DHCP client is in smoltcp's slot.
    Dhcp(DhcpMessage),
    /// An IGMP message is in smoltcp's slot.
    Igmp,
}

/// Why a frame is dropped: the counter to raise.
type Drop = fn(&mut crate::Counters) -> &mut u32;

/// Says which counter, and gives up.
macro_rules! drop_as {
    ($name:ident) => {
        return Err((|c| &mut c.$name) as Drop)
    };
}

impl Net<'_> {
    /// Takes one received frame.
    #[inline(always)]
    pub(crate) fn inbound<S: UdpSink>(
        &mut self,
        now: Micros,
        frame: &mut [u8],
        sink: &mut S,
    ) -> Verdict {
        count(&mut self.counters.received);
        if self.established(now, frame, sink) {
            return Verdict::Done;
        }
        match self.examine(now, frame, sink) {
            Ok(verdict) => verdict,
            Err(counter) => {
                count(counter(&mut self.counters));
                Verdict::Done
            }
        }
    }

    /// The fast path: a datagram of a known flow, right in every respect, is
    /// delivered. `false` = it is something else.
    #[inline(always)]
    fn established<S: UdpSink>(&mut self, now: Micros, frame: &mut [u8], sink: &mut S) -> bool {
        let Some((head, body)) = frame.split_first_chunk_mut::<HEADER_LEN>() else {
            return false;
        };
        let head = Head::read(head);
        if !self.flows.expects(&head, now)
            || head.total_len() != head.udp_len() + IP_LEN
            || !sink.wants(head.destination_port())
        {
            return false;
        }
        let Some(payload) = head.udp_len().checked_sub(UDP_LEN).and_then(|len| body.get_mut(..len))
        else {
            return false;
        };
        if !head.ip_checksum_ok() || !head.udp_checksum_ok(payload) {
            return false;
        }
        count(&mut self.counters.flow_in);
        count(&mut self.counters.udp_in);
        sink.datagram(now, &meta(&head, false), payload);
        true
    }

    /// The long way.
    #[cold]
    #[inline(never)]
    fn examine<S: UdpSink>(
        &mut self,
        now: Micros,
        frame: &mut [u8],
        sink: &mut S,
    ) -> Result<Verdict, Drop> {
        let Some(ours) = self.mac else { drop_as!(not_for_us) };
        let Ok(ethernet) = EthernetFrame::new_checked(&*frame) else { drop_as!(runt) };
        let (to, from) = (ethernet.dst_addr(), ethernet.src_addr());
        if to.0 != ours && to.is_unicast() {
            drop_as!(not_for_us)
        }
        if !from.is_unicast() || from.0 == ours || from.0 == [0; 6] {
            drop_as!(bad_source)
        }
        match ethernet.ethertype() {
            EthernetProtocol::Ipv4 => self.ipv4(now, frame, to.0 == ours, from.0, sink),
            EthernetProtocol::Arp => self.arp_packet(now, ethernet.payload(), ours),
            _ => drop_as!(other_ethertype),
        }
    }

    /// RFC 826, with the limits named in `arp`.
    fn arp_packet(&mut self, now: Micros, payload: &[u8], ours: [u8; 6]) -> Result<Verdict, Drop> {
        count(&mut self.counters.arp_in);
        let parsed = ArpPacket::new_checked(payload).and_then(|p| ArpRepr::parse(&p));
        let Ok(ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr: mac,
            source_protocol_addr: ip,
            target_protocol_addr: target,
            ..
        }) = parsed
        else {
            drop_as!(arp_malformed)
        };
        let request = match operation {
            ArpOperation::Request => true,
            ArpOperation::Reply => false,
            ArpOperation::Unknown(_) => drop_as!(arp_malformed),
        };
        if !mac.is_unicast() || mac.0 == [0; 6] || mac.0 == ours {
            drop_as!(bad_source)
        }
        let Some(address) = self.address else { drop_as!(no_address) };
        let (ip, mac) = (u32::from(ip), mac.0);
        if ip == u32::from(address.ip) {
            return Ok(Verdict::Conflict { mac });
        }
        let for_us = target == address.ip;
        if ip == 0 && request && for_us {
            // A probe (RFC 5227): answered, and nothing learned.
            return Ok(Verdict::Arp { ip, mac, learned: false, reply: true });
        }
        if !address.accepts_source(ip) || !address.on_link(ip) {
            drop_as!(bad_source)
        }
        let learned = match self.arp.learn(ip, mac, request && for_us, now) {
            Learned::Nothing if !request => drop_as!(arp_unsolicited),
            Learned::Nothing => false,
            Learned::Same | Learned::New => true,
            Learned::Changed => {
                count(&mut self.counters.arp_changed);
                self.flows.clear();
                true
            }
        };
        if !learned && !for_us {
            // The bulk of a network's ARP: others asking for others.
            return Ok(Verdict::Done);
        }
        Ok(Verdict::Arp { ip, mac, learned, reply: request && for_us })
    }

    fn ipv4<S: UdpSink>(
        &mut self,
        now: Micros,
        frame: &mut [u8],
        unicast: bool,
        from: [u8; 6],
        sink: &mut S,
    ) -> Result<Verdict, Drop> {
        let Some((_, packet)) = frame.split_at_checked(ETHERNET_LEN) else { drop_as!(runt) };
        let Ok(ip) = Ipv4Packet::new_checked(packet) else { drop_as!(ip_malformed) };
        if ip.version() != 4 || usize::from(ip.header_len()) < IP_LEN {
            drop_as!(ip_malformed)
        }
        if usize::from(ip.header_len()) != IP_LEN {
            drop_as!(ip_options)
        }
        if packet.get(..IP_LEN).map(sum) != Some(0xFFFF) {
            drop_as!(ip_checksum)
        }
        // MF, an offset, or the bit that must be zero (RFC 791 section 3.1).
        if packet.get(6).is_none_or(|b| b & 0xBF != 0) || ip.frag_offset() != 0 {
            drop_as!(ip_fragment)
        }
        let (source, target) = (u32::from(ip.src_addr()), ip.dst_addr());
        let total = ETHERNET_LEN + usize::from(ip.total_len());
        let protocol = ip.next_header();
        if protocol == IpProtocol::Udp
            && let Ok(udp) = UdpPacket::new_checked(ip.payload())
            && udp.dst_port() == DHCP_CLIENT_PORT
        {
            if self.mode_is_static() || udp.src_port() != DHCP_SERVER_PORT || !is_host(source) {
                drop_as!(dhcp_ignored)
            }
            let message = dhcp_message(udp.payload(), self.mac);
            count(&mut self.counters.dhcp_in);
            return Ok(match frame.get(..total).is_some_and(|f| self.stack.load(f)) {
                true => Verdict::Dhcp(message),
                false => Verdict::Done,
            });
        }
        let Some(address) = self.address else { drop_as!(no_address) };
        let destination = u32::from(target);
        let broadcast = destination == u32::MAX || destination == address.broadcast();
        let group = is_multicast(destination);
        // RFC 1122 section 3.3.6: a frame to all must be a datagram to all.
        if target != address.ip || !unicast {
            let meant = broadcast
                || self.stack.is_joined(target)
                || (group && self.stack.has_groups() && protocol == IpProtocol::Igmp);
            if !meant {
                drop_as!(not_for_us)
            }
        }
        if !address.accepts_source(source) {
            drop_as!(bad_source)
        }
        match protocol {
            IpProtocol::Udp => self.udp(now, frame, total, broadcast || group, from, sink),
            IpProtocol::Icmp => {
                // Only an echo request, and only to us alone: a broadcast
                // ping makes an amplifier (RFC 1122 section 3.2.2.6).
                if broadcast || group || ip.payload().get(..2) != Some(&ICMP_ECHO) {
                    drop_as!(icmp_ignored)
                }
                if !self.echo_budget.take(now) {
                    drop_as!(icmp_limited)
                }
                count(&mut self.counters.icmp_echo);
                Ok(match frame.get(..total).is_some_and(|f| self.stack.load(f)) {
                    true => Verdict::Echo { source },
                    false => Verdict::Done,
                })
            }
            IpProtocol::Igmp if group && self.stack.has_groups() => {
                count(&mut self.counters.igmp_in);
                Ok(match frame.get(..total).is_some_and(|f| self.stack.load(f)) {
                    true => Verdict::Igmp,
                    false => Verdict::Done,
                })
            }
            _ => drop_as!(ip_protocol),
        }
    }

    /// A datagram to an address of ours; `total` = end of the IP packet in
    /// the frame.
    fn udp<S: UdpSink>(
        &mut self,
        now: Micros,
        frame: &mut [u8],
        total: usize,
        broadcast: bool,
        from: [u8; 6],
        sink: &mut S,
    ) -> Result<Verdict, Drop> {
        let Some((head, payload)) =
            frame.get_mut(..total).and_then(|f| f.split_first_chunk_mut::<HEADER_LEN>())
        else {
            drop_as!(udp_length)
        };
        let head = Head::read(head);
        // Neither longer than the packet (P5) nor shorter: nothing hides
        // behind a datagram.
        if head.udp_len() != total - ETHERNET_LEN - IP_LEN {
            drop_as!(udp_length)
        }
        if head.source_port() == 0 || head.destination_port() == 0 {
            drop_as!(udp_port_zero)
        }
        if !sink.wants(head.destination_port()) {
            drop_as!(udp_no_listener)
        }
        if !head.udp_checksum_ok(payload) {
            drop_as!(udp_checksum)
        }
        self.arp.confirm(u32::from_be(head.source), &from, now);
        count(&mut self.counters.udp_in);
        sink.datagram(now, &meta(&head, broadcast), payload);
        Ok(Verdict::Done)
    }
}

#[inline(always)]
fn meta(head: &Head, broadcast: bool) -> UdpMeta {
    let address = |word: u32| Ipv4Addr::from(word.to_ne_bytes());
    UdpMeta {
        src: SocketAddrV4::new(address(head.source), head.source_port()),
        dst: SocketAddrV4::new(address(head.destination), head.destination_port()),
        broadcast,
    }
}

/// What a DHCP message for `mac` says, as far as events tell of it.
fn dhcp_message(payload: &[u8], mac: Option<[u8; 6]>) -> DhcpMessage {
    let Ok(packet) = DhcpPacket::new_checked(payload) else {
        return DhcpMessage::Other;
    };
    let Ok(repr) = DhcpRepr::parse(&packet) else {
        return DhcpMessage::Other;
    };
    if Some(repr.client_hardware_address.0) != mac {
        return DhcpMessage::Other;
    }
    let xid = repr.transaction_id;
    match (repr.message_type, repr.server_identifier) {
        (DhcpMessageType::Offer, Some(server)) => {
            DhcpMessage::Offer { xid, ip: repr.your_ip, server }
        }
        (DhcpMessageType::Nak, Some(_)) => DhcpMessage::Nak { xid },
        _ => DhcpMessage::Other,
    }
}
