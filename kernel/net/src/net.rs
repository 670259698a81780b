//! The interface: link, address, sending, polling. Receiving is in `inbound`.

use core::net::{Ipv4Addr, SocketAddrV4};

use sk_hal::Micros;
use sk_hal::net::FrameDevice;

use crate::address::{Address, is_host, is_multicast};
use crate::arp::{self, ARP_ENTRIES, ArpEntry, Lookup};
use crate::counters::{Counters, count};
use crate::event::{AddressEvent, Events};
use crate::flow::{FlowCache, Header, MAX_PAYLOAD, Route, ports};
use crate::inbound::Verdict;
use crate::limit::TokenBucket;
use crate::stack::{NetStorage, Stack};
use crate::upkeep::transmit;
use crate::{DHCP_CLIENT_PORT, UdpSink};

pub(crate) const SECOND: Micros = 1_000_000;

pub(crate) const BROADCAST_MAC: [u8; 6] = [0xFF; 6];
const TTL: u8 = 64;

/// Where the address comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NetMode {
    /// From the configuration.
    Static(Address),
    /// From a DHCP server (RFC 2131).
    Dhcp,
}

/// How to start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NetConfig<'c> {
    /// Where the address comes from.
    pub mode: NetMode,
    /// Name told to the DHCP server, at most 32 bytes; empty = none.
    pub hostname: &'c str,
    /// Random, other on every start: DHCP transaction ids. Not for secrets.
    pub seed: u64,
}

/// Why a datagram was not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SendError {
    /// We have no address (yet).
    NoAddress,
    /// The neighbour is being asked for: try again in a few milliseconds.
    ArpPending,
    /// The adapter has no buffer free, or the link is down.
    NoBuffer,
    /// More than [`MAX_PAYLOAD`] bytes.
    TooLong,
    /// Not a destination: no gateway leads there, ourselves, or a port that is
    /// 0 or (as source) the DHCP client's.
    NoRoute,
}

/// One network interface. See the crate's head.
pub struct Net<'a> {
    pub(crate) mode: NetMode,
    pub(crate) seed: u64,
    /// Set while the link is up.
    pub(crate) mac: Option<[u8; 6]>,
    /// The last link's, to recognise a flap.
    pub(crate) last_mac: [u8; 6],
    pub(crate) down_since: Micros,
    pub(crate) address: Option<Address>,
    pub(crate) arp: arp::Table,
    pub(crate) flows: FlowCache,
    pub(crate) stack: Stack<'a>,
    pub(crate) counters: Counters,
    pub(crate) events: Events,
    /// Earliest of the times below.
    pub(crate) due: Micros,
    pub(crate) stack_at: Micros,
    pub(crate) give_up_at: Micros,
    pub(crate) announce_at: Micros,
    pub(crate) announce_left: u8,
    pub(crate) defended: Option<Micros>,
    pub(crate) igmp_until: Micros,
    /// Transaction of the last DHCP message we sent.
    pub(crate) dhcp_xid: Option<u32>,
    pub(crate) echo_budget: TokenBucket,
    pub(crate) arp_budget: TokenBucket,
    pub(crate) ask_budget: TokenBucket,
    pub(crate) egress_budget: TokenBucket,
}

impl<'a> Net<'a> {
    /// An interface whose link is down; the first [`poll`](Self::poll) looks.
    /// `storage` is taken for good.
    pub fn new(config: &NetConfig<'_>, storage: &'a mut NetStorage<'a>, now: Micros) -> Self {
        let dhcp = config.mode == NetMode::Dhcp;
        Self {
            mode: config.mode,
            seed: config.seed,
            mac: None,
            last_mac: [0; 6],
            down_since: now,
            address: None,
            arp: arp::Table::default(),
            flows: FlowCache::new(),
            stack: Stack::new(storage, config.hostname, dhcp),
            counters: Counters::default(),
            events: Events::default(),
            due: Micros::MAX,
            stack_at: Micros::MAX,
            give_up_at: Micros::MAX,
            announce_at: Micros::MAX,
            announce_left: 0,
            defended: None,
            igmp_until: 0,
            dhcp_xid: None,
            // Ping at 50 a second, ARP at 50 answers and 20 questions: far
            // more than a sane network asks for, little enough in a storm.
            echo_budget: TokenBucket::new(16, 20_000),
            arp_budget: TokenBucket::new(32, 20_000),
            ask_budget: TokenBucket::new(32, 50_000),
            // A server that binds and withdraws in a circle gets one message
            // of ours a second.
            egress_budget: TokenBucket::new(8, SECOND),
        }
    }

    /// Our address, also while the link is down for a moment.
    #[must_use]
    pub fn address(&self) -> Option<Address> {
        self.address
    }

    /// Our station address, while the link is up.
    #[must_use]
    pub fn mac(&self) -> Option<[u8; 6]> {
        self.mac
    }

    /// The next change of link or address not yet taken.
    pub fn take_event(&mut self) -> Option<AddressEvent> {
        self.events.take()
    }

    /// What came, went and was dropped.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The known neighbours.
    #[must_use]
    pub fn arp_view(&self, now: Micros) -> [Option<ArpEntry>; ARP_ENTRIES] {
        self.arp.view(now)
    }

    pub(crate) fn mode_is_static(&self) -> bool {
        self.mode != NetMode::Dhcp
    }

    /// When `poll` wants to be called though nothing has been received; never
    /// in the past of a poll that has been made. `None` = not at all: a frame
    /// or a change of link is what is waited for.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Micros> {
        (self.mac.is_some() && self.due != Micros::MAX).then_some(self.due)
    }

    /// Joins a multicast group (at most four). `false` = it cannot be joined.
    pub fn join(&mut self, group: Ipv4Addr, now: Micros) -> bool {
        let joined = self.stack.join(group);
        if joined {
            self.stack_at = now;
            self.reschedule();
        }
        joined
    }

    /// Looks at the link, handles at most `max_frames` received frames, then
    /// what is due. Returns the number of frames handled.
    pub fn poll<D: FrameDevice, S: UdpSink>(
        &mut self,
        now: Micros,
        device: &mut D,
        max_frames: u32,
        sink: &mut S,
    ) -> u32 {
        let mac = match device.link_up() {
            true => device.mac().filter(is_station),
            false => None,
        };
        if mac != self.mac {
            self.link_changed(now, mac);
        }
        let mut frames = 0;
        while frames < max_frames {
            let mut verdict = Verdict::Done;
            if !device.receive(now, &mut |frame| verdict = self.inbound(now, frame, sink)) {
                break;
            }
            frames += 1;
            if !matches!(verdict, Verdict::Done) {
                self.answer(now, device, verdict);
            }
        }
        if now >= self.due && self.mac.is_some() {
            self.timers(now, device);
        }
        frames
    }

    /// Sends one datagram of `len` bytes that `fill` writes in place; `fill`
    /// is called only if it goes out.
    pub fn send<D: FrameDevice>(
        &mut self,
        now: Micros,
        device: &mut D,
        src_port: u16,
        dst: SocketAddrV4,
        len: usize,
        fill: &mut dyn FnMut(&mut [u8]),
    ) -> Result<(), SendError> {
        if len > MAX_PAYLOAD {
            return Err(SendError::TooLong);
        }
        let remote = u32::from_ne_bytes(dst.ip().octets());
        let answer = ports(dst.port(), src_port);
        let sent = match self.flows.header(remote, answer, now) {
            Some(header) => {
                count(&mut self.counters.flow_out);
                header.send(now, device, len, fill)
            }
            None => {
                let header = self.resolve(now, device, src_port, dst)?;
                header.send(now, device, len, fill)
            }
        };
        if !sent {
            count(&mut self.counters.transmit_failed);
            return Err(SendError::NoBuffer);
        }
        count(&mut self.counters.udp_out);
        count(&mut self.counters.transmitted);
        Ok(())
    }

    /// The long way to a header; a unicast one becomes a flow.
    #[cold]
    #[inline(never)]
    fn resolve(
        &mut self,
        now: Micros,
        device: &mut dyn FrameDevice,
        source_port: u16,
        dst: SocketAddrV4,
    ) -> Result<Header, SendError> {
        let address = self.address.ok_or(SendError::NoAddress)?;
        let from_mac = self.mac.ok_or(SendError::NoBuffer)?;
        let destination = u32::from(*dst.ip());
        let mut route = Route {
            to_mac: BROADCAST_MAC,
            from_mac,
            source: address.ip.into(),
            source_port,
            destination,
            destination_port: dst.port(),
            ttl: TTL,
        };
        let ports_ok = source_port != 0 && source_port != DHCP_CLIENT_PORT && dst.port() != 0;
        if !ports_ok || *dst.ip() == address.ip {
            return Err(SendError::NoRoute);
        }
        if destination == u32::MAX || destination == address.broadcast() {
            return Ok(Header::new(&route));
        }
        if is_multicast(destination) {
            // RFC 1112 section 6.4: the lower 23 bits of the group. Section
            // 6.1: one hop unless asked otherwise; RFC 6762 section 11 wants
            // 255 in mDNS, whose group no router forwards.
            let [_, b, c, d] = destination.to_be_bytes();
            route.to_mac = [0x01, 0x00, 0x5E, b & 0x7F, c, d];
            route.ttl = if destination >> 8 == 0x00E0_0000 { 255 } else { 1 };
            return Ok(Header::new(&route));
        }
        if !is_host(destination) {
            return Err(SendError::NoRoute);
        }
        let hop = next_hop(&address, destination).ok_or(SendError::NoRoute)?;
        route.to_mac = self.neighbour(now, device, hop).ok_or(SendError::ArpPending)?;
        let header = Header::new(&route);
        self.flows.insert(header, now);
        Ok(header)
    }

    /// The adapter of a neighbour; asks for it if it must.
    pub(crate) fn neighbour(
        &mut self,
        now: Micros,
        device: &mut dyn FrameDevice,
        ip: u32,
    ) -> Option<[u8; 6]> {
        match self.arp.lookup(ip, now) {
            Lookup::Known(mac) => Some(mac),
            Lookup::Refresh(mac) => {
                self.ask(now, device, ip, mac);
                Some(mac)
            }
            Lookup::Unknown => {
                self.ask(now, device, ip, BROADCAST_MAC);
                None
            }
        }
    }

    /// Sends an ARP request, if it is time for one.
    fn ask(&mut self, now: Micros, device: &mut dyn FrameDevice, ip: u32, to: [u8; 6]) {
        let (Some(mac), Some(address)) = (self.mac, self.address) else {
            return;
        };
        if !self.arp.may_ask(ip, now) || !self.ask_budget.take(now) {
            return;
        }
        let frame = arp::frame(arp::REQUEST, to, (mac, address.ip.into()), ([0; 6], ip));
        if transmit(&mut self.counters, now, device, &frame) {
            self.arp.asked(ip, now);
        }
    }
}

pub(crate) fn next_hop(address: &Address, destination: u32) -> Option<u32> {
    if address.on_link(destination) {
        return Some(destination);
    }
    address.gateway.map(Into::into)
}

/// A station address: not a group's, not all zero.
fn is_station(mac: &[u8; 6]) -> bool {
    mac[0] & 1 == 0 && *mac != [0; 6]
}
