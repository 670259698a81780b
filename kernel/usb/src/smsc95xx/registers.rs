//! Registers of the LAN95xx (offsets are the wIndex of the vendor requests)
//! and of its PHY (IEEE 802.3 clause 22), as far as they are used.

use sk_hal::usb::Setup;

/// Interrupt status; write 1 to clear.
pub const INT_STS: u16 = 0x08;
/// The PHY has an interrupt (also in [`INT_EP_CTL`] and on the interrupt endpoint).
pub const INT_PHY: u32 = 1 << 15;
/// The transmitter found no sense in what it was sent.
pub const INT_TX_ERROR: u32 = 1 << 14;

/// Transmitter.
pub const TX_CFG: u16 = 0x10;
/// Transmitter on.
pub const TX_ON: u32 = 1 << 2;

/// Hardware configuration.
pub const HW_CFG: u16 = 0x14;
/// Burst cap enable.
pub const HW_BCE: u32 = 1 << 1;
/// Lite reset: everything but USB and PHY. Clears itself.
pub const HW_LRST: u32 = 1 << 3;
/// Multiple Ethernet frames per USB transfer.
pub const HW_MEF: u32 = 1 << 5;
/// Stall the bulk OUT pipe at a wrong length.
pub const HW_SBP: u32 = 1 << 8;
/// Bytes between status word and frame.
pub const HW_RXDOFF: u32 = 3 << 9;
/// Bulk IN answers NAK when it has nothing, instead of an empty packet.
pub const HW_BIR: u32 = 1 << 12;

/// Power management.
pub const PM_CTRL: u16 = 0x20;
/// PHY reset. Clears itself.
pub const PM_PHY_RST: u32 = 1 << 4;

/// LED pins.
pub const LED_GPIO_CFG: u16 = 0x24;
/// Full duplex, link and speed LEDs.
pub const LED_ALL: u32 = 0x0111_0000;

/// Automatic flow control.
pub const AFC_CFG: u16 = 0x2C;
/// Marks of the receive FIFO at 15.5 and 3 KiB, back-pressure of 350 us, for
/// any frame: what every driver starts with.
pub const AFC_DEFAULT: u32 = 0x00F8_30A1;
/// Throttle the sender whatever it sends: multicast, broadcast, to us, any.
pub const AFC_ON: u32 = 0xF;

/// Longest burst of the bulk IN pipe, in packets.
pub const BURST_CAP: u16 = 0x38;
/// What the interrupt endpoint reports.
pub const INT_EP_CTL: u16 = 0x68;
/// How long a burst is held open for another frame, in units of 1/60 us.
pub const BULK_IN_DLY: u16 = 0x6C;

/// MAC control.
pub const MAC_CR: u16 = 0x100;
/// Receive our own frames not (half duplex).
pub const MAC_RCVOWN: u32 = 1 << 23;
/// Full duplex.
pub const MAC_FDPX: u32 = 1 << 20;
/// Let all multicast through.
pub const MAC_MCPAS: u32 = 1 << 19;
/// Transmitter on.
pub const MAC_TXEN: u32 = 1 << 3;
/// Receiver on.
pub const MAC_RXEN: u32 = 1 << 2;

/// Station address, bytes 4 and 5.
pub const ADDRH: u16 = 0x104;
/// Station address, bytes 0 to 3, the first lowest.
pub const ADDRL: u16 = 0x108;
/// Multicast hash, high.
pub const HASHH: u16 = 0x10C;
/// Multicast hash, low.
pub const HASHL: u16 = 0x110;

/// MII management: PHY address, register, command.
pub const MII_ADDR: u16 = 0x114;
/// An MII access is under way.
pub const MII_BUSY: u32 = 1;
/// It is a write.
pub const MII_WRITE: u32 = 1 << 1;
/// MII management: the value.
pub const MII_DATA: u16 = 0x118;
/// The built-in PHY's address.
const PHY: u32 = 1;

/// Pause frames.
pub const FLOW: u16 = 0x11C;
/// Obey pause frames, and the longest time in our own.
pub const FLOW_ON: u32 = 0xFFFF_0002;
/// Ethertype of VLAN tags.
pub const VLAN1: u16 = 0x120;
/// That of IEEE 802.1Q.
pub const VLAN_8021Q: u32 = 0x8100;
/// Checksum offload.
pub const COE_CR: u16 = 0x130;

/// PHY: basic mode control.
pub const BMCR: u8 = 0;
/// Reset. Clears itself.
pub const BMCR_RESET: u16 = 1 << 15;
/// Digital loopback.
pub const BMCR_LOOPBACK: u16 = 1 << 14;
/// Autonegotiation.
pub const BMCR_ANEN: u16 = 1 << 12;
/// Power down.
pub const BMCR_PDOWN: u16 = 1 << 11;
/// Off the MII.
pub const BMCR_ISOLATE: u16 = 1 << 10;
/// Negotiate anew.
pub const BMCR_ANRST: u16 = 1 << 9;
/// PHY: basic mode status.
pub const BMSR: u8 = 1;
/// Link; stays 0 until it is read once it was lost.
pub const BMSR_LINK: u32 = 1 << 2;
/// PHY: what we can, to the partner.
pub const ANAR: u8 = 4;
/// 10 and 100 Mbit/s, both duplexes, pause both ways or one.
pub const ANAR_ALL: u16 = 0x01E1 | 0x0C00;
/// PHY: what the partner can.
pub const ANLPAR: u8 = 5;
/// Pause, symmetric.
pub const AN_PAUSE: u32 = 1 << 10;
/// Pause, asymmetric.
pub const AN_PAUSE_ASYM: u32 = 1 << 11;
/// PHY: interrupt causes; reading clears them.
pub const PHY_CAUSE: u8 = 29;
/// PHY: interrupt mask.
pub const PHY_MASK: u8 = 30;
/// Autonegotiation complete, link down.
pub const PHY_EVENTS: u16 = 0x40 | 0x10;
/// PHY: special status.
pub const PHY_SPECIAL: u8 = 31;
/// The link is full duplex.
pub const PHY_FULL: u32 = 1 << 4;

/// The vendor request that reads a register.
#[must_use]
pub const fn read(register: u16) -> Setup {
    Setup { request_type: 0xC0, request: 0xA1, value: 0, index: register, length: 4 }
}

/// The vendor request that writes one; the data stage is the value, lowest
/// byte first.
#[must_use]
pub const fn write(register: u16) -> Setup {
    Setup { request_type: 0x40, request: 0xA0, value: 0, index: register, length: 4 }
}

/// What to write to [`MII_ADDR`] for a PHY register; `command` is 0 or [`MII_WRITE`].
#[must_use]
pub(crate) const fn mii(register: u8, command: u32) -> u32 {
    PHY << 11 | (register as u32) << 6 | command | MII_BUSY
}
