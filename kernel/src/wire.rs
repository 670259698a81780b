//! The network as a running payload may use it: the rules are `sk-net`'s
//! ([`Sockets`]), the services' side `sk-services`'; here they meet the adapter.

use crate::kernel::Usb;
use crate::streams::Streams;
use core::net::{Ipv4Addr, SocketAddrV4};
use sk_abi::net::{Addresses, Neighbour, NetError, UdpInfo, UdpPeer, flags};
use sk_hal::net::FrameDevice;
use sk_hal::{Clock, Micros};
use sk_net::task::{Arrived, BindError, Destination, Policy, Refused};
use sk_net::{Net, SendError, Sockets};
use sk_services::{Board, Network, Sent, Stream};
use sk_wire::blob::{Client, UdpPolicy};

/// A send that waits for a neighbour or a buffer is tried again after this
/// time, if the adapter has not interrupted before.
const AGAIN: Micros = 10_000;

/// The interface and its adapter.
pub struct Wire<'k> {
    /// Addresses, neighbours, flows.
    pub net: &'k mut Net<'static>,
    /// The adapter.
    pub usb: &'k mut Usb,
}

/// What services ask of the kernel while a payload's memory is borrowed.
pub struct Desk<'d, 'k, K> {
    /// Output and the rest.
    pub streams: &'d mut Streams<K>,
    /// The task's ports and what waits for it.
    pub sockets: &'d mut Sockets<'static>,
    /// The way out.
    pub wire: &'d mut Wire<'k>,
}

/// What a client's tasks may do on the network.
pub fn policy(client: &Client) -> (Policy, u32) {
    let policy = match &client.udp {
        UdpPolicy::OwnSubnet => Policy::OwnSubnet,
        UdpPolicy::List(list) => Policy::Listed(
            list.iter()
                .map(|d| Destination {
                    ip: d.ip,
                    prefix: d.prefix,
                    port_min: d.port_min,
                    port_max: d.port_max,
                })
                .collect(),
        ),
    };
    (policy, client.packets_per_s)
}

/// What `net.recv` tells of a datagram.
#[inline]
pub fn info(arrived: &Arrived) -> UdpInfo {
    UdpInfo {
        peer: UdpPeer {
            ip: arrived.src.ip().octets(),
            port: arrived.src.port(),
            local_port: arrived.port,
        },
        len: arrived.len as u32,
        flags: if arrived.broadcast { flags::BROADCAST } else { 0 },
    }
}

impl<K: Clock> Board for Desk<'_, '_, K> {
    fn now(&self) -> u64 {
        self.streams.now()
    }

    fn cycles(&self) -> u32 {
        self.streams.cycles()
    }

    fn push(&mut self, stream: Stream, bytes: &[u8]) -> usize {
        self.streams.push(stream, bytes)
    }

    fn log(&mut self, line: &str) {
        self.streams.log(line);
    }

    fn beat(&mut self) {
        self.streams.beat();
    }

    fn stop_requested(&self) -> bool {
        self.streams.stop_requested()
    }

    fn sync_code(&mut self, code: &[u8]) {
        self.streams.sync_code(code);
    }
}

impl<K: Clock> Network for Desk<'_, '_, K> {
    fn bind(&mut self, port: u16) -> Result<u16, NetError> {
        self.sockets.bind(port).map_err(|error| match error {
            BindError::Reserved => NetError::Reserved,
            BindError::InUse => NetError::InUse,
            BindError::NoRoom => NetError::NoRoom,
        })
    }

    fn bind_any(&mut self) {
        self.sockets.bind_any();
    }

    fn close(&mut self, port: u16) -> bool {
        self.sockets.close(port)
    }

    fn is_bound(&self) -> bool {
        self.sockets.is_bound()
    }

    fn take(&mut self, buf: &mut [u8]) -> Option<UdpInfo> {
        self.sockets.take(buf).map(|arrived| info(&arrived))
    }

    fn send(&mut self, peer: &UdpPeer, bytes: &[u8]) -> Sent {
        let Some(address) = self.wire.net.address() else {
            return Sent::Failed(NetError::NoAddress);
        };
        let now = self.streams.now();
        let ip = Ipv4Addr::from(peer.ip);
        let source = match self.sockets.may_send(now, peer.local_port, ip, peer.port, &address) {
            Ok(source) => source,
            Err(Refused::NotBound) => return Sent::Failed(NetError::NotBound),
            Err(Refused::Denied) => return Sent::Failed(NetError::Denied),
            Err(Refused::NotBefore(at)) => return Sent::Later(at, NetError::Denied),
        };
        let to = SocketAddrV4::new(ip, peer.port);
        let Wire { net, usb } = &mut *self.wire;
        let sent = net.send(now, *usb, source, to, bytes.len(), &mut |buffer| {
            buffer.copy_from_slice(bytes);
        });
        let Err(error) = sent else { return Sent::Done };
        self.sockets.unsent();
        let again = now + AGAIN;
        match error {
            SendError::ArpPending => Sent::Later(again, NetError::Unreachable),
            SendError::NoBuffer => Sent::Later(again, NetError::NoDevice),
            SendError::NoAddress => Sent::Failed(NetError::NoAddress),
            SendError::TooLong => Sent::Failed(NetError::TooLong),
            SendError::NoRoute => Sent::Failed(NetError::Unreachable),
        }
    }

    fn addresses(&self) -> Addresses {
        let link = if self.wire.usb.link_up() { flags::LINK } else { 0 };
        let mac = self.wire.usb.mac().unwrap_or_default();
        let Some(address) = self.wire.net.address() else {
            return Addresses { mac, flags: link, ..Addresses::default() };
        };
        Addresses {
            ip: address.ip.octets(),
            mask: address.mask().to_be_bytes(),
            gateway: address.gateway.map_or([0; 4], |ip| ip.octets()),
            mac,
            prefix: address.prefix,
            flags: link | flags::ADDRESS,
        }
    }

    fn neighbour(&self, at: u32) -> Option<Neighbour> {
        let view = self.wire.net.arp_view(self.streams.now());
        let entry = view.into_iter().flatten().nth(at as usize)?;
        Some(Neighbour {
            ip: entry.ip.octets(),
            mac: entry.mac,
            reserved: 0,
            age_ms: u32::try_from(entry.age / 1_000).unwrap_or(u32::MAX),
        })
    }
}
