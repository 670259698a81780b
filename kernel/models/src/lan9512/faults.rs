//! Ways to misbehave, and what the model counts.

use std::collections::VecDeque;

use sk_hal::Micros;

/// What is wrong with one received frame's status word or trailer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RxFault {
    /// Nothing: to damage a later frame.
    None,
    /// The length field says this instead.
    Length(u16),
    /// The length field says so many bytes more than there are.
    TooLong(u16),
    /// The length field says so many bytes less than there are.
    TooShort(u16),
    /// These bits of the status word are set as well.
    Status(u32),
    /// The four bytes of the frame check sequence are wrong; no error bit.
    Fcs,
    /// The block ends after so many bytes, whatever its length field says.
    Cut(usize),
}

/// Ways to misbehave. All off by default.
#[derive(Clone, Debug, Default)]
pub struct LanFaults {
    /// Descriptors given instead of the right ones: type, index, bytes.
    pub replace: Vec<(u8, u8, Vec<u8>)>,
    /// Standard requests refused: bmRequestType, bRequest.
    pub stall: Vec<(u8, u8)>,
    /// No handshake at all, to anything: pulled out, or dead.
    pub gone: bool,
    /// Control transfers are put off for ever.
    pub nak_control: bool,
    /// So many of the next register requests are refused.
    pub stall_registers: u32,
    /// So many of the next register requests get no handshake.
    pub silent_registers: u32,
    /// Replies to reads of these registers: offset, bytes. Any length up to
    /// what was asked for will do.
    pub replies: Vec<(u16, Vec<u8>)>,
    /// HW_CFG.LRST and HW_CFG.SRST never clear.
    pub reset_sticks: bool,
    /// PM_CTRL.PHY_RST and BMCR.RST never clear.
    pub phy_reset_sticks: bool,
    /// MII_ACC.BUSY never clears.
    pub mii_sticks: bool,
    /// Endpoints (address, bit 7 = IN) that CLEAR_FEATURE does not help.
    pub broken: Vec<u8>,
    /// So many empty packets are given on the bulk IN endpoint while there is
    /// no frame, whatever HW_CFG.BIR says.
    pub empty_ins: usize,
    /// The next packet of the bulk IN endpoint babbles.
    pub babble: bool,
    /// Bulk OUT packets are put off for ever.
    pub nak_out: bool,
    /// The transmitter sends nothing: its FIFO fills.
    pub tx_stuck: bool,
    /// What is wrong with the next received frames, one each.
    pub rx: VecDeque<RxFault>,
    /// Bytes given instead of the next interrupt status.
    pub interrupt: Option<Vec<u8>>,
    /// The interrupt endpoint never says anything.
    pub silent_interrupt: bool,
    /// The cable goes out and in, so long each.
    pub flap: Option<Micros>,
    /// This frame comes again and again, faster than anybody reads: whenever
    /// the FIFO is read it is full.
    pub flood: Option<Vec<u8>>,
}

/// What the model has seen.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counters {
    /// Frames from the wire that got into the receive FIFO.
    pub received: u64,
    /// Frames the host has begun to fetch.
    pub fetched: u64,
    /// Frames the address filter kept out.
    pub filtered: u64,
    /// Frames for which the receive FIFO had no room.
    pub overrun: u64,
    /// Frames that came without link or with the receiver off.
    pub deaf: u64,
    /// Frames from the wire that were too long.
    pub too_long: u64,
    /// Frames put on the wire.
    pub sent: u64,
    /// Frames sent without link.
    pub no_link: u64,
    /// Frames shorter than 60 bytes with padding off, or longer than allowed.
    pub bad_size: u64,
    /// Frames that brought a wrong frame check sequence of their own.
    pub bad_fcs: u64,
    /// Frames sent with FDPX not as the link is.
    pub wrong_duplex: u64,
    /// Frames whose checksum the chip put in.
    pub checksums: u64,
    /// Frames the chip's checksum logic is known to damage.
    pub mangled: u64,
    /// Times the transmit path lost the command words.
    pub lost_sync: u64,
    /// Bytes of bulk OUT thrown away after that.
    pub discarded: u64,
    /// Register requests served.
    pub accesses: u64,
    /// Control requests answered STALL, those of the knobs included.
    pub refused: u64,
    /// Accesses to registers that do not exist.
    pub reserved: u64,
    /// Writes to the MII registers while a transaction was running.
    pub mii_overlaps: u64,
    /// Times the chip was reset by HW_CFG.
    pub resets: u64,
}
