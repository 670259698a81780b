//! UDP.
//!
//! A task has ports; what arrives at any of them comes out of one queue, in
//! order, with the sender and the port it was sent to.

use crate::Kernel;
use sk_abi::net::{Addresses, Neighbour, NetError, UdpInfo, UdpPeer, flags};

/// The board's network, from [`Kernel::net`].
#[derive(Clone, Copy, Debug)]
pub struct Net<'k> {
    pub(crate) k: &'k Kernel,
}

/// A datagram that was received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received<'b> {
    /// Who sent it, and to which port of ours; to be given to [`Net::send`] for
    /// an answer.
    pub peer: UdpPeer,
    /// What the buffer took of it.
    pub bytes: &'b [u8],
    /// Bytes it had.
    pub len: usize,
    /// Was it sent to more than this board?
    pub broadcast: bool,
}

impl Received<'_> {
    /// Was the buffer too short?
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.bytes.len() < self.len
    }
}

impl Net<'_> {
    /// Takes the datagrams for `port`, 0: any free one. Which it is.
    ///
    /// # Errors
    /// [`NetError::Reserved`], [`NetError::InUse`], [`NetError::NoRoom`] (eight
    /// at a time).
    pub fn bind(&self, port: u16) -> Result<u16, NetError> {
        NetError::check(self.k.sys.net_bind(port, 0)).map(|port| port as u16)
    }

    /// Takes the datagrams for all ports but the kernel's.
    ///
    /// # Errors
    /// None at present.
    pub fn bind_any(&self) -> Result<(), NetError> {
        NetError::check(self.k.sys.net_bind(0, flags::ANY)).map(drop)
    }

    /// Gives a port back, 0: all of them. What has been received can still be
    /// read.
    ///
    /// # Errors
    /// [`NetError::NotBound`].
    pub fn close(&self, port: u16) -> Result<(), NetError> {
        NetError::check(self.k.sys.net_close(port)).map(drop)
    }

    /// Waits for a datagram.
    ///
    /// # Errors
    /// [`NetError::NotBound`].
    #[inline]
    pub fn recv<'b>(&self, buf: &'b mut [u8]) -> Result<Received<'b>, NetError> {
        let mut info = UdpInfo::default();
        let copied = self.k.sys.net_recv(buf, &mut info);
        received(buf, &info, copied)
    }

    /// Waits for a datagram until [`Kernel::now`] reaches `us`.
    ///
    /// # Errors
    /// [`NetError::Timeout`], [`NetError::NotBound`].
    pub fn recv_until<'b>(&self, buf: &'b mut [u8], us: u64) -> Result<Received<'b>, NetError> {
        let mut info = UdpInfo::default();
        let copied = self.k.sys.net_recv_until(buf, &mut info, us);
        received(buf, &info, copied)
    }

    /// Waits for a datagram for at most `us` microseconds; 0: takes what is there.
    ///
    /// # Errors
    /// [`NetError::Timeout`], [`NetError::NotBound`].
    pub fn recv_timeout<'b>(&self, buf: &'b mut [u8], us: u64) -> Result<Received<'b>, NetError> {
        self.recv_until(buf, self.k.now().saturating_add(us))
    }

    /// Sends a datagram of at most 1472 bytes from a port of ours
    /// ([`UdpPeer::local_port`]). Waits for a neighbour to answer, for room, and
    /// for the pace the client is held to, 1.5 s at most.
    ///
    /// # Errors
    /// [`NetError`], all but the ones of binding and receiving.
    #[inline]
    pub fn send(&self, peer: &UdpPeer, bytes: &[u8]) -> Result<(), NetError> {
        NetError::check(self.k.sys.net_send(peer, bytes)).map(drop)
    }

    /// The same, to an address, from `local_port` (0: the port bound first).
    ///
    /// # Errors
    /// As [`Net::send`].
    pub fn send_to(
        &self,
        local_port: u16,
        to: core::net::SocketAddrV4,
        bytes: &[u8],
    ) -> Result<(), NetError> {
        self.send(&UdpPeer { ip: to.ip().octets(), port: to.port(), local_port }, bytes)
    }

    /// The board's addresses.
    ///
    /// # Errors
    /// [`NetError::NoAddress`].
    pub fn addresses(&self) -> Result<Addresses, NetError> {
        let mut out = Addresses::default();
        NetError::check(self.k.sys.net_addresses(&mut out))?;
        Ok(out)
    }

    /// Writes the ARP table's entries (16 at most) to `out`; how many.
    pub fn neighbours(&self, out: &mut [Neighbour]) -> usize {
        self.k.sys.net_arp(out)
    }
}

#[inline]
fn received<'b>(buf: &'b [u8], info: &UdpInfo, copied: i32) -> Result<Received<'b>, NetError> {
    let copied = NetError::check(copied)? as usize;
    Ok(Received {
        peer: info.peer,
        bytes: buf.get(..copied).unwrap_or_default(),
        len: info.len as usize,
        broadcast: info.flags & flags::BROADCAST != 0,
    })
}
