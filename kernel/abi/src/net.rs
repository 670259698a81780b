//! What the `net` services take and write: C layouts and result codes.
//!
//! IPv4 addresses are four bytes in the order in which they are written;
//! ports and all other numbers are in the machine's order (little-endian).

/// UDP port of the serverkernel protocol. It, [`DHCP_CLIENT_PORT`] and
/// [`MDNS_PORT`] are never a payload's.
pub const SKP_PORT: u16 = 24139;
/// UDP port of a DHCP client (RFC 2131 section 4.1).
pub const DHCP_CLIENT_PORT: u16 = 68;
/// UDP port of multicast DNS (RFC 6762 section 3).
pub const MDNS_PORT: u16 = 5353;

/// The longest datagram a payload can send, in bytes: one Ethernet frame.
pub const DATAGRAM_MAX: u32 = 1472;
/// Ports a task can have bound at a time, besides [`flags::ANY`].
pub const PORTS_MAX: usize = 8;
/// Most entries `net.arp` writes.
pub const NEIGHBOURS_MAX: u32 = 16;

/// Bits of parameters and fields of the `net` services.
pub mod flags {
    /// `net.bind`: every port that is neither the kernel's nor 0.
    pub const ANY: u32 = 1 << 0;
    /// [`UdpInfo::flags`](super::UdpInfo::flags): the buffer was too short.
    pub const TRUNCATED: u32 = 1 << 0;
    /// [`UdpInfo::flags`](super::UdpInfo::flags): sent to more than this board.
    pub const BROADCAST: u32 = 1 << 1;
    /// [`Addresses::flags`](super::Addresses::flags): the cable is in.
    pub const LINK: u8 = 1 << 0;
    /// [`Addresses::flags`](super::Addresses::flags): `ip` is valid.
    pub const ADDRESS: u8 = 1 << 1;
}

/// Why a `net` service did not do what it was asked for: its result, negative.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
pub enum NetError {
    /// The port belongs to the kernel, or is not a port.
    Reserved = -1,
    /// The task has that port already.
    InUse = -2,
    /// The task has as many ports as it can have.
    NoRoom = -3,
    /// The task has not bound that port (or any).
    NotBound = -4,
    /// Nothing was received in time.
    Timeout = -5,
    /// The board has no address.
    NoAddress = -6,
    /// The client's tasks may not send there.
    Denied = -7,
    /// Nobody answers there, or no way leads there.
    Unreachable = -8,
    /// More than [`DATAGRAM_MAX`] bytes.
    TooLong = -9,
    /// The adapter takes nothing: no cable, or its buffers stay full.
    NoDevice = -10,
    /// A negative result this version does not know.
    Other = -128,
}

impl NetError {
    /// All that a kernel returns.
    pub const ALL: [Self; 10] = [
        Self::Reserved,
        Self::InUse,
        Self::NoRoom,
        Self::NotBound,
        Self::Timeout,
        Self::NoAddress,
        Self::Denied,
        Self::Unreachable,
        Self::TooLong,
        Self::NoDevice,
    ];

    /// The result it is.
    #[must_use]
    pub const fn code(self) -> i32 {
        self as i32
    }

    /// A service's result: a number, or an error.
    ///
    /// # Errors
    /// If it is negative.
    pub fn check(result: i32) -> Result<u32, Self> {
        u32::try_from(result)
            .map_err(|_| Self::ALL.into_iter().find(|e| e.code() == result).unwrap_or(Self::Other))
    }

    /// It in words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Reserved => "the port belongs to the kernel",
            Self::InUse => "the port is bound already",
            Self::NoRoom => "too many ports are bound",
            Self::NotBound => "the port is not bound",
            Self::Timeout => "nothing was received in time",
            Self::NoAddress => "the board has no address",
            Self::Denied => "the destination is not allowed",
            Self::Unreachable => "the destination does not answer",
            Self::TooLong => "the datagram is too long",
            Self::NoDevice => "the network adapter takes nothing",
            Self::Other => "the network service failed",
        }
    }
}

/// The other end of an exchange, and this one's port: where `net.send` sends
/// to and from, and where a received datagram came from and to. So an answer
/// needs no rearranging.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct UdpPeer {
    /// Its IPv4 address.
    pub ip: [u8; 4],
    /// Its port.
    pub port: u16,
    /// The port of this board. To send: 0 for the port bound first.
    pub local_port: u16,
}

/// What `net.recv` tells of a datagram.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct UdpInfo {
    /// Where it came from, and to which port.
    pub peer: UdpPeer,
    /// Bytes it had; more than were copied if it was cut.
    pub len: u32,
    /// [`flags::TRUNCATED`], [`flags::BROADCAST`].
    pub flags: u32,
}

/// The arguments of `net.recv_until`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct UdpRecv {
    /// Until when to wait, on the clock of `time.now`.
    pub deadline_us: u64,
    /// Address of the buffer.
    pub buf: u32,
    /// Its length.
    pub len: u32,
    /// Address of a [`UdpInfo`], or 0.
    pub info: u32,
    /// Zero.
    pub reserved: u32,
}

/// What `net.addresses` writes.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Addresses {
    /// The board's address.
    pub ip: [u8; 4],
    /// Its network's mask.
    pub mask: [u8; 4],
    /// The default router, 0.0.0.0 for none.
    pub gateway: [u8; 4],
    /// The station address.
    pub mac: [u8; 6],
    /// Ones in `mask`.
    pub prefix: u8,
    /// [`flags::LINK`], [`flags::ADDRESS`].
    pub flags: u8,
}

/// An entry of the ARP table.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Neighbour {
    /// Its address.
    pub ip: [u8; 4],
    /// Its adapter.
    pub mac: [u8; 6],
    /// Zero.
    pub reserved: u16,
    /// Milliseconds since it was last heard of.
    pub age_ms: u32,
}

const _: () = {
    use core::mem::{align_of, offset_of, size_of};
    assert!(size_of::<UdpPeer>() == UdpPeer::SIZE && align_of::<UdpPeer>() == 2);
    assert!(offset_of!(UdpPeer, ip) == 0);
    assert!(offset_of!(UdpPeer, port) == 4);
    assert!(offset_of!(UdpPeer, local_port) == 6);
    assert!(size_of::<UdpInfo>() == UdpInfo::SIZE && align_of::<UdpInfo>() == 4);
    assert!(offset_of!(UdpInfo, peer) == 0);
    assert!(offset_of!(UdpInfo, len) == 8);
    assert!(offset_of!(UdpInfo, flags) == 12);
    assert!(size_of::<UdpRecv>() == UdpRecv::SIZE && align_of::<UdpRecv>() == 8);
    assert!(offset_of!(UdpRecv, deadline_us) == 0);
    assert!(offset_of!(UdpRecv, buf) == 8);
    assert!(offset_of!(UdpRecv, len) == 12);
    assert!(offset_of!(UdpRecv, info) == 16);
    assert!(offset_of!(UdpRecv, reserved) == 20);
    assert!(size_of::<Addresses>() == Addresses::SIZE && align_of::<Addresses>() == 1);
    assert!(offset_of!(Addresses, ip) == 0);
    assert!(offset_of!(Addresses, mask) == 4);
    assert!(offset_of!(Addresses, gateway) == 8);
    assert!(offset_of!(Addresses, mac) == 12);
    assert!(offset_of!(Addresses, prefix) == 18);
    assert!(offset_of!(Addresses, flags) == 19);
    assert!(size_of::<Neighbour>() == Neighbour::SIZE && align_of::<Neighbour>() == 4);
    assert!(offset_of!(Neighbour, ip) == 0);
    assert!(offset_of!(Neighbour, mac) == 4);
    assert!(offset_of!(Neighbour, reserved) == 10);
    assert!(offset_of!(Neighbour, age_ms) == 12);
};

impl UdpPeer {
    /// Bytes of the structure.
    pub const SIZE: usize = 8;

    /// Read from a task's memory.
    #[must_use]
    pub const fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        let [a, b, c, d, p0, p1, l0, l1] = *bytes;
        Self {
            ip: [a, b, c, d],
            port: u16::from_le_bytes([p0, p1]),
            local_port: u16::from_le_bytes([l0, l1]),
        }
    }
}

impl UdpInfo {
    /// Bytes of the structure.
    pub const SIZE: usize = 16;

    /// As it is written into a task's memory.
    #[must_use]
    pub const fn to_bytes(&self) -> [u8; Self::SIZE] {
        let [a, b, c, d] = self.peer.ip;
        let [p0, p1] = self.peer.port.to_le_bytes();
        let [o0, o1] = self.peer.local_port.to_le_bytes();
        let [l0, l1, l2, l3] = self.len.to_le_bytes();
        let [f0, f1, f2, f3] = self.flags.to_le_bytes();
        [a, b, c, d, p0, p1, o0, o1, l0, l1, l2, l3, f0, f1, f2, f3]
    }
}

impl UdpRecv {
    /// Bytes of the structure.
    pub const SIZE: usize = 24;

    /// Read from a task's memory.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        let mut words = bytes.as_chunks::<4>().0.iter().map(|w| u32::from_le_bytes(*w));
        let mut word = || words.next().unwrap_or(0);
        let (low, high) = (word(), word());
        Self {
            deadline_us: u64::from(high) << 32 | u64::from(low),
            buf: word(),
            len: word(),
            info: word(),
            reserved: word(),
        }
    }
}

impl Addresses {
    /// Bytes of the structure.
    pub const SIZE: usize = 20;

    /// As it is written into a task's memory.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        let mut out = [0; Self::SIZE];
        let rest = [self.prefix, self.flags];
        let parts: [&[u8]; 5] = [&self.ip, &self.mask, &self.gateway, &self.mac, &rest];
        for (to, from) in out.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        out
    }
}

impl Neighbour {
    /// Bytes of the structure.
    pub const SIZE: usize = 16;

    /// As it is written into a task's memory.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        let mut out = [0; Self::SIZE];
        let age = self.age_ms.to_le_bytes();
        let parts: [&[u8]; 4] = [&self.ip, &self.mac, &[0, 0], &age];
        for (to, from) in out.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        out
    }
}
