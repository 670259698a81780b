//! What goes on beside UDP: link, address, smoltcp's timers, and the answers
//! that a received frame asks for.

use core::net::Ipv4Addr;

use sk_hal::Micros;
use sk_hal::net::FrameDevice;

use crate::address::Address;
use crate::arp;
use crate::counters::{Counters, count};
use crate::event::AddressEvent;
use crate::inbound::Verdict;
use crate::net::{BROADCAST_MAC, Net, NetMode, SECOND, next_hop};
use crate::stack::Lease;

/// After this long without a lease the search is reported as failed.
const DHCP_GIVE_UP: Micros = 10 * SECOND;
/// A lease is kept over a link that was down for less than this.
const LINK_FLAP: Micros = 30 * SECOND;
/// Gratuitous ARP after a new address (RFC 5227 section 1.1: ANNOUNCE_NUM,
/// ANNOUNCE_INTERVAL).
const ANNOUNCE_NUM: u8 = 2;
const ANNOUNCE_INTERVAL: Micros = 2 * SECOND;
/// Between two reactions to a conflict (RFC 5227 DEFEND_INTERVAL).
const DEFEND_INTERVAL: Micros = 10 * SECOND;
/// When the adapter has no buffer, and the shortest sleep of smoltcp's timers.
const RETRY: Micros = 10_000;
/// Longest wait for an IGMP report after a query (25.5 s, RFC 2236 section
/// 2.2), and how often it is looked for.
const IGMP_WATCH: Micros = 26 * SECOND;
const IGMP_STEP: Micros = 100_000;
/// Frames smoltcp may send in one go.
const EGRESS_FRAMES: usize = 4;

/// What a DHCP server's message says, for the events.
pub(crate) enum DhcpMessage {
    Offer { xid: u32, ip: Ipv4Addr, server: Ipv4Addr },
    Nak { xid: u32 },
    Other,
}

impl Net<'_> {
    /// What a received frame asks for that could not be done while it lay in
    /// the adapter's buffer.
    #[cold]
    #[inline(never)]
    pub(crate) fn answer(&mut self, now: Micros, device: &mut dyn FrameDevice, verdict: Verdict) {
        match verdict {
            Verdict::Done => {}
            Verdict::Arp { ip, mac, learned, reply } => {
                if let (Some(ours), Some(address)) = (self.mac, self.address) {
                    let us = (ours, address.ip.into());
                    if learned {
                        self.stack.introduce(now, us, ip, mac);
                        // It may be the one a lease renewal waits for.
                        self.service_stack(now, device);
                    }
                    if reply && self.arp_budget.take(now) {
                        let frame = arp::frame(arp::REPLY, mac, us, (mac, ip));
                        transmit(&mut self.counters, now, device, &frame);
                    } else if reply {
                        count(&mut self.counters.arp_limited);
                    }
                }
            }
            Verdict::Conflict { mac } => self.defend(now, mac),
            Verdict::Echo { source } => {
                let (Some(ours), Some(address)) = (self.mac, self.address) else {
                    return;
                };
                if let Some(hop) = next_hop(&address, source)
                    && let Some(mac) = self.neighbour(now, device, hop)
                {
                    self.stack.introduce(now, (ours, address.ip.into()), hop, mac);
                    self.stack.ingest(now);
                    self.flush(now, device);
                }
            }
            Verdict::Dhcp(message) => {
                self.dhcp_message(message);
                self.stack.ingest(now);
                self.service_stack(now, device);
            }
            Verdict::Igmp => {
                self.stack.ingest(now);
                self.igmp_until = now.saturating_add(IGMP_WATCH);
                self.service_stack(now, device);
            }
        }
        self.reschedule();
    }

    fn defend(&mut self, now: Micros, mac: [u8; 6]) {
        count(&mut self.counters.arp_conflict);
        let quiet = self.defended.is_some_and(|at| now.saturating_sub(at) < DEFEND_INTERVAL);
        if !quiet {
            self.defended = Some(now);
            self.events.push(AddressEvent::Conflict(mac), &mut self.counters);
            self.announce_left = self.announce_left.max(1);
            self.announce_at = now;
        }
    }

    /// Reports what smoltcp will not: offers and refusals.
    fn dhcp_message(&mut self, message: DhcpMessage) {
        let event = match message {
            DhcpMessage::Offer { xid, ip, server }
                if Some(xid) == self.dhcp_xid && self.address.is_none() =>
            {
                AddressEvent::DhcpOffered { ip, server }
            }
            DhcpMessage::Nak { xid } if Some(xid) == self.dhcp_xid => AddressEvent::DhcpNak,
            _ => return,
        };
        self.events.push(event, &mut self.counters);
    }

    #[cold]
    pub(crate) fn link_changed(&mut self, now: Micros, mac: Option<[u8; 6]>) {
        if let Some(old) = self.mac.take() {
            self.last_mac = old;
            self.down_since = now;
            self.events.push(AddressEvent::LinkDown, &mut self.counters);
        }
        self.flows.clear();
        self.arp.clear();
        let Some(new) = mac else { return };
        self.mac = Some(new);
        self.events.push(AddressEvent::LinkUp(new), &mut self.counters);
        // Another sequence on every link, the same in every replay.
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.stack.start(now, new, self.seed);
        match self.mode {
            NetMode::Static(address) if address.is_valid() => {
                self.set_address(now, Some(address));
                self.events.push(AddressEvent::Static(address), &mut self.counters);
            }
            NetMode::Static(_) => {
                self.events.push(AddressEvent::StaticRefused, &mut self.counters);
            }
            NetMode::Dhcp => {
                let flap = new == self.last_mac && now.saturating_sub(self.down_since) < LINK_FLAP;
                if self.address.is_some() && flap {
                    self.set_address(now, self.address);
                } else {
                    self.stack.reset_dhcp();
                    self.lost(now);
                }
            }
        }
        self.stack_at = now;
        self.reschedule();
    }

    fn set_address(&mut self, now: Micros, address: Option<Address>) {
        self.address = address;
        self.flows.clear();
        self.arp.clear();
        self.stack.set_address(address);
        self.announce_left = if address.is_some() { ANNOUNCE_NUM } else { 0 };
        self.announce_at = now;
    }

    /// No lease (any more): the search starts.
    fn lost(&mut self, now: Micros) {
        if self.address.is_some() {
            self.set_address(now, None);
            self.events.push(AddressEvent::DhcpLost, &mut self.counters);
        }
        self.give_up_at = now.saturating_add(DHCP_GIVE_UP);
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn timers(&mut self, now: Micros, device: &mut dyn FrameDevice) {
        if now >= self.stack_at {
            self.service_stack(now, device);
        }
        if self.announce_left > 0 && now >= self.announce_at {
            self.announce(now, device);
        }
        if now >= self.give_up_at {
            self.give_up_at = Micros::MAX;
            self.events.push(AddressEvent::DhcpGaveUp, &mut self.counters);
        }
        self.reschedule();
    }

    fn announce(&mut self, now: Micros, device: &mut dyn FrameDevice) {
        let (Some(mac), Some(address)) = (self.mac, self.address) else {
            self.announce_left = 0;
            return;
        };
        let ip = address.ip.into();
        let frame = arp::frame(arp::REQUEST, BROADCAST_MAC, (mac, ip), ([0; 6], ip));
        if transmit(&mut self.counters, now, device, &frame) {
            self.announce_left -= 1;
            self.announce_at = now.saturating_add(ANNOUNCE_INTERVAL);
        } else {
            self.announce_at = now.saturating_add(RETRY);
        }
    }

    /// Lets smoltcp send, takes over what became of the lease, and asks when
    /// it wants to go on.
    fn service_stack(&mut self, now: Micros, device: &mut dyn FrameDevice) {
        for _ in 0..EGRESS_FRAMES {
            if !device.can_transmit() || !self.egress_budget.ready(now) {
                break;
            }
            self.stack.egress(now);
            if !self.flush(now, device) {
                break;
            }
            self.egress_budget.take(now);
        }
        match self.stack.lease() {
            None => {}
            Some(Lease::Bound(address)) => {
                self.give_up_at = Micros::MAX;
                self.set_address(now, Some(address));
                self.events.push(AddressEvent::DhcpBound(address), &mut self.counters);
            }
            Some(Lease::Refused) => {
                self.events.push(AddressEvent::DhcpRefused, &mut self.counters);
                if self.address.is_some() {
                    self.lost(now);
                }
            }
            // Without an address there was nothing to lose.
            Some(Lease::Lost) if self.address.is_none() => {}
            Some(Lease::Lost) => self.lost(now),
        }
        self.stack_at = self
            .stack
            .poll_at(now)
            .unwrap_or(Micros::MAX)
            .max(self.egress_budget.next())
            .max(now.saturating_add(RETRY));
        if now < self.igmp_until {
            self.stack_at = self.stack_at.min(now.saturating_add(IGMP_STEP));
        }
    }

    /// Sends what smoltcp put into its slot. `false` = nothing there.
    fn flush(&mut self, now: Micros, device: &mut dyn FrameDevice) -> bool {
        let Some(frame) = self.stack.take() else {
            return false;
        };
        match frame {
            // An ARP request of smoltcp's own, for a server or gateway.
            [_, _, _, _, _, _, _, _, _, _, _, _, 0x08, 0x06, arp @ ..] => {
                if let Some(&[a, b, c, d]) = arp.get(24..28) {
                    self.arp.asked(u32::from_be_bytes([a, b, c, d]), now);
                }
            }
            // A DHCP message: it is the only UDP that comes this way.
            [_, _, _, _, _, _, _, _, _, _, _, _, 0x08, 0x00, ip @ ..] if ip.get(9) == Some(&17) => {
                if let Some(&[a, b, c, d]) = ip.get(20 + 8 + 4..20 + 8 + 8) {
                    self.dhcp_xid = Some(u32::from_be_bytes([a, b, c, d]));
                }
            }
            _ => {}
        }
        transmit(&mut self.counters, now, device, frame);
        true
    }

    pub(crate) fn reschedule(&mut self) {
        let announce = match self.announce_left {
            0 => Micros::MAX,
            _ => self.announce_at,
        };
        self.due = self.stack_at.min(self.give_up_at).min(announce);
    }
}

/// Sends a frame that exists elsewhere.
pub(crate) fn transmit(
    counters: &mut Counters,
    now: Micros,
    device: &mut dyn FrameDevice,
    frame: &[u8],
) -> bool {
    let sent = device.transmit(now, frame.len(), &mut |buffer| {
        for (to, from) in buffer.iter_mut().zip(frame) {
            *to = *from;
        }
    });
    count(match sent {
        true => &mut counters.transmitted,
        false => &mut counters.transmit_failed,
    });
    sent
}
