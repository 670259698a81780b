//! smoltcp, between two slots of one frame each.
//!
//! [`Stack`] runs a smoltcp interface with at most one socket, the DHCP
//! client. Its device is a pair of buffers: what [`Stack::load`] put into the
//! receive slot is processed by [`Stack::ingest`]; what it wants to send lies
//! in the transmit slot until [`Stack::take`]. So it can neither see a frame
//! that was not checked nor hold a buffer of the adapter.
//!
//! smoltcp asserts where its caller is supposed to know better: an interface
//! address, a gateway or a server that is not unicast ends in a panic. All
//! three can come from a DHCP server, so [`Stack::lease`] hands out nothing
//! that [`Address::is_valid`] refuses, and no DHCP message from an address that
//! is no host's gets this far.

use core::net::Ipv4Addr;

use heapless::Vec;
use sk_hal::Micros;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet, SocketStorage};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::dhcpv4;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{DhcpOption, EthernetAddress, HardwareAddress, IpCidr, Ipv4Cidr};

use crate::address::Address;
use crate::arp;

/// The largest frame, without FCS.
pub(crate) const FRAME_LEN: usize = 1514;
/// Longest host name sent; longer ones are cut (RFC 1035 labels end at 63).
const HOSTNAME_LEN: usize = 32;
/// Multicast groups at once: smoltcp's table.
const GROUPS: usize = 4;
/// DHCP option 12, host name (RFC 2132 section 3.14).
const OPTION_HOSTNAME: u8 = 12;

/// While nobody has answered yet: a DISCOVER every 2 s, so that five fit into
/// the 10 s after which link-local addressing would begin.
const DISCOVER: Duration = Duration::from_secs(2);
/// First wait for the answer to a REQUEST; doubles every second try.
const REQUEST: Duration = Duration::from_secs(2);

/// Memory that must outlive [`Net`](crate::Net): smoltcp's socket table and
/// the two frame slots, about 3.5 KiB.
pub struct NetStorage<'a> {
    sockets: [SocketStorage<'a>; 1],
    hostname: [u8; HOSTNAME_LEN],
    options: [DhcpOption<'a>; 1],
    rx: [u8; FRAME_LEN],
    tx: [u8; FRAME_LEN],
}

impl NetStorage<'_> {
    /// Empty storage.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            sockets: [SocketStorage::EMPTY; 1],
            hostname: [0; HOSTNAME_LEN],
            options: [DhcpOption { kind: OPTION_HOSTNAME, data: &[] }],
            rx: [0; FRAME_LEN],
            tx: [0; FRAME_LEN],
        }
    }
}

impl Default for NetStorage<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// What the DHCP client came to.
pub(crate) enum Lease {
    Bound(Address),
    /// Bound, but to nonsense; the client has started over.
    Refused,
    Lost,
}

/// See the module.
pub(crate) struct Stack<'a> {
    iface: Option<Interface>,
    sockets: SocketSet<'a>,
    dhcp: Option<SocketHandle>,
    groups: Vec<Ipv4Addr, GROUPS>,
    rx: &'a mut [u8; FRAME_LEN],
    rx_len: usize,
    tx: &'a mut [u8; FRAME_LEN],
    tx_len: usize,
}

impl<'a> Stack<'a> {
    pub(crate) fn new(storage: &'a mut NetStorage<'a>, hostname: &str, dhcp: bool) -> Self {
        let NetStorage { sockets, hostname: name, options, rx, tx } = storage;
        let mut len = 0;
        for (to, from) in name.iter_mut().zip(hostname.bytes()) {
            *to = from;
            len += 1;
        }
        let name: &'a [u8] = name.get(..len).unwrap_or_default();
        let mut sockets = SocketSet::new(&mut sockets[..]);
        let dhcp = dhcp.then(|| {
            let mut socket = dhcpv4::Socket::new();
            let mut retry = dhcpv4::RetryConfig::default();
            retry.discover_timeout = DISCOVER;
            retry.initial_request_timeout = REQUEST;
            socket.set_retry_config(retry);
            if !name.is_empty() {
                options[0].data = name;
                socket.set_outgoing_options(options);
            }
            sockets.add(socket)
        });
        Self { iface: None, sockets, dhcp, groups: Vec::new(), rx, rx_len: 0, tx, tx_len: 0 }
    }

    /// A fresh interface for a link that has come up; `mac` must be unicast.
    pub(crate) fn start(&mut self, now: Micros, mac: [u8; 6], seed: u64) {
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(mac)));
        config.random_seed = seed;
        self.rx_len = 0;
        self.tx_len = 0;
        let mut port = Slots { rx: None, tx: self.tx, tx_len: &mut self.tx_len };
        let mut iface = Interface::new(config, &mut port, instant(now));
        for group in &self.groups {
            // Cannot fail: the table is as large as ours, all are multicast.
            let _ = iface.join_multicast_group(*group);
        }
        self.iface = Some(iface);
    }

    /// Our address, which must be valid, or none.
    pub(crate) fn set_address(&mut self, address: Option<Address>) {
        let Some(iface) = &mut self.iface else { return };
        iface.update_ip_addrs(|addresses| {
            addresses.clear();
            if let Some(a) = address {
                // Room for two.
                let _ = addresses.push(IpCidr::Ipv4(Ipv4Cidr::new(a.ip, a.prefix)));
            }
        });
        iface.routes_mut().remove_default_ipv4_route();
        if let Some(gateway) = address.and_then(|a| a.gateway) {
            // Room for two.
            let _ = iface.routes_mut().add_default_ipv4_route(gateway);
        }
    }

    /// Puts a frame into the receive slot. `false` = longer than any frame.
    pub(crate) fn load(&mut self, frame: &[u8]) -> bool {
        let Some(slot) = self.rx.get_mut(..frame.len()) else {
            return false;
        };
        slot.copy_from_slice(frame);
        self.rx_len = frame.len();
        true
    }

    /// Processes the frame in the receive slot. An answer is in the transmit
    /// slot afterwards.
    pub(crate) fn ingest(&mut self, now: Micros) {
        let Some(iface) = &mut self.iface else { return };
        let mut slots =
            Slots { rx: self.rx.get(..self.rx_len), tx: self.tx, tx_len: &mut self.tx_len };
        iface.poll_ingress_single(instant(now), &mut slots, &mut self.sockets);
        self.rx_len = 0;
    }

    /// Tells the neighbour cache what our table knows: an ARP reply to `us`.
    /// The receive slot is left alone.
    pub(crate) fn introduce(&mut self, now: Micros, us: ([u8; 6], u32), ip: u32, mac: [u8; 6]) {
        let Some(iface) = &mut self.iface else { return };
        let frame = arp::frame(arp::REPLY, us.0, (mac, ip), us);
        let mut slots = Slots { rx: Some(&frame), tx: self.tx, tx_len: &mut self.tx_len };
        iface.poll_ingress_single(instant(now), &mut slots, &mut self.sockets);
    }

    /// Lets timers send; at most one frame, into the transmit slot.
    pub(crate) fn egress(&mut self, now: Micros) {
        let Some(iface) = &mut self.iface else { return };
        let mut slots = Slots { rx: None, tx: self.tx, tx_len: &mut self.tx_len };
        iface.poll_egress(instant(now), &mut slots, &mut self.sockets);
    }

    /// Takes the frame from the transmit slot.
    pub(crate) fn take(&mut self) -> Option<&[u8]> {
        let len = core::mem::take(&mut self.tx_len);
        self.tx.get(..len).filter(|frame| !frame.is_empty())
    }

    /// When the sockets want [`egress`](Self::egress) next. IGMP reports are
    /// not in it: smoltcp does not say.
    pub(crate) fn poll_at(&mut self, now: Micros) -> Option<Micros> {
        let at = self.iface.as_mut()?.poll_at(instant(now), &self.sockets)?;
        Some(u64::try_from(at.total_micros()).unwrap_or(0))
    }

    /// Starts the DHCP client over.
    pub(crate) fn reset_dhcp(&mut self) {
        if let Some(handle) = self.dhcp {
            self.sockets.get_mut::<dhcpv4::Socket>(handle).reset();
        }
    }

    /// What changed about the lease since the last call.
    pub(crate) fn lease(&mut self) -> Option<Lease> {
        let socket = self.sockets.get_mut::<dhcpv4::Socket>(self.dhcp?);
        let config = match socket.poll()? {
            dhcpv4::Event::Configured(config) => config,
            dhcpv4::Event::Deconfigured => return Some(Lease::Lost),
        };
        let mut address = Address {
            ip: config.address.address(),
            prefix: config.address.prefix_len(),
            gateway: config.router,
        };
        // A board needs no gateway to serve its own network: one that cannot
        // be right is no reason to have no address.
        if !address.is_valid() {
            address.gateway = None;
        }
        if address.is_valid() {
            return Some(Lease::Bound(address));
        }
        socket.reset();
        // The reset reports a loss of what was never used.
        let _ = socket.poll();
        Some(Lease::Refused)
    }

    /// Joins a multicast group. `false` = no group, or four are joined.
    pub(crate) fn join(&mut self, group: Ipv4Addr) -> bool {
        if !group.is_multicast() {
            return false;
        }
        if self.groups.contains(&group) {
            return true;
        }
        if self.groups.push(group).is_err() {
            return false;
        }
        if let Some(iface) = &mut self.iface {
            // As above, cannot fail.
            let _ = iface.join_multicast_group(group);
        }
        true
    }

    /// Is `group` joined?
    pub(crate) fn is_joined(&self, group: Ipv4Addr) -> bool {
        self.groups.contains(&group)
    }

    /// Is any group joined?
    pub(crate) fn has_groups(&self) -> bool {
        !self.groups.is_empty()
    }
}

fn instant(now: Micros) -> Instant {
    Instant::from_micros(i64::try_from(now).unwrap_or(i64::MAX))
}

/// The device smoltcp sees.
struct Slots<'s> {
    rx: Option<&'s [u8]>,
    tx: &'s mut [u8; FRAME_LEN],
    tx_len: &'s mut usize,
}

struct Received<'t>(&'t [u8]);

struct Transmit<'t> {
    tx: &'t mut [u8; FRAME_LEN],
    tx_len: &'t mut usize,
}

impl Device for Slots<'_> {
    type RxToken<'t>
        = Received<'t>
    where
        Self: 't;
    type TxToken<'t>
        = Transmit<'t>
    where
        Self: 't;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Transmit<'_>)> {
        let rx = self.rx.take()?;
        Some((Received(rx), Transmit { tx: self.tx, tx_len: self.tx_len }))
    }

    fn transmit(&mut self, _: Instant) -> Option<Transmit<'_>> {
        (*self.tx_len == 0).then_some(Transmit { tx: self.tx, tx_len: self.tx_len })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME_LEN;
        capabilities.max_burst_size = Some(1);
        capabilities
    }
}

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

impl TxToken for Transmit<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        // smoltcp keeps to `max_transmission_unit` without fragmentation.
        let len = len.min(FRAME_LEN);
        *self.tx_len = len;
        let (frame, _) = self.tx.split_at_mut(len);
        frame.fill(0);
        f(frame)
    }
}
