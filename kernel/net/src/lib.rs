//! Ethernet, ARP, IPv4, ICMP, DHCP and UDP over the frame trait.
//!
//! [`Net`] sits between a [`sk_hal::net::FrameDevice`] and whoever speaks UDP
//! (the session, the payload's services). It never waits: [`Net::poll`]
//! handles a bounded number of received frames, [`Net::send`] sends one
//! datagram or says why not, [`Net::next_deadline`] says when it wants to be
//! polled if nothing comes in.
//!
//! # Who does what
//!
//! | part | by | why |
//! | --- | --- | --- |
//! | UDP in and out, checksums, flow cache | us | the path every byte of a task takes: it must be short, and a datagram must be seen in place |
//! | ARP | us | `send` needs the table, services show it, and what a stranger can do to it must be bounded; smoltcp keeps its own cache private |
//! | ICMP echo, DHCP, IGMP | smoltcp | state machines without a hot path |
//!
//! smoltcp never sees the wire. A frame it should handle is checked by us
//! first (addresses, header checksum, no fragment, rate), copied into a slot,
//! and its answer is taken from another slot (`stack`). It never sees ARP
//! either: when our table learns a neighbour, or an echo request is about to
//! be answered, it is told by an ARP reply made up on the spot; when it asks
//! for a neighbour itself (to renew a lease), the request goes out and is
//! noted in our table as a question of ours.
//!
//! `send` does not queue while a neighbour is asked for: it returns
//! [`SendError::ArpPending`] and the caller, who knows whether the datagram is
//! still wanted, comes again. Nothing here is silently kept for later.
//!
//! What is dropped, and counted ([`Counters`]): fragments, IP options, wrong
//! lengths and checksums, sources that cannot be hosts, our own frames coming
//! back. No error is ever sent to a stranger; echo and ARP replies are rationed.
#![no_std]
#![forbid(unsafe_code)]

mod address;
mod arp;
pub mod checksum;
mod counters;
mod event;
mod flow;
mod inbound;
mod limit;
mod net;
mod stack;
pub mod task;
mod upkeep;

pub use address::Address;
pub use arp::{ARP_ENTRIES, ArpEntry};
pub use counters::Counters;
pub use event::AddressEvent;
pub use flow::MAX_PAYLOAD;
pub use net::{Net, NetConfig, NetMode, SendError};
pub use stack::NetStorage;
pub use task::Sockets;

use core::net::SocketAddrV4;

use sk_hal::Micros;

/// UDP port of the serverkernel protocol.
pub const SKP_PORT: u16 = 24139;
/// UDP port of a DHCP client (RFC 2131 section 4.1).
pub const DHCP_CLIENT_PORT: u16 = 68;
/// UDP port of multicast DNS (RFC 6762 section 3).
pub const MDNS_PORT: u16 = 5353;

/// Does `port` belong to the kernel, whatever a payload asks for?
#[must_use]
pub const fn is_reserved(port: u16) -> bool {
    matches!(port, SKP_PORT | DHCP_CLIENT_PORT | MDNS_PORT)
}

/// Where a datagram came from and went to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UdpMeta {
    /// The sender.
    pub src: SocketAddrV4,
    /// The address it was sent to: ours, a broadcast address, or a group.
    pub dst: SocketAddrV4,
    /// Sent to more than us: broadcast or multicast.
    pub broadcast: bool,
}

/// Who takes received datagrams.
pub trait UdpSink {
    /// Is anybody listening on `port`? Asked before the checksum is computed.
    fn wants(&self, port: u16) -> bool;

    /// A datagram for a port that is wanted. `payload` lies in the receive
    /// buffer and may be changed (decrypted) in place; it is gone afterwards.
    fn datagram(&mut self, now: Micros, meta: &UdpMeta, payload: &mut [u8]);
}
