//! The Ethernet function of a LAN9512 or LAN9514, and its relatives LAN9500,
//! 9500A, 9505 and 9530, as a double: registers behind vendor requests, PHY,
//! FIFOs and their formats, interrupt endpoint.
//!
//! Written from the chip's documented behaviour, to be judged by a driver that
//! is not ours. What a driver may get wrong has its effect here: a transfer
//! without its short packet is held back, command words that disagree stop the
//! transmit path until HW_CFG.LRST, a frame nobody's address filter wants never
//! arrives, a reset forgets the station address.
//!
//! Time passes by [`UsbFunction::advance`] only: without it no reset ends and
//! no link comes up.
//!
//! Simplified: BULK_IN_DLY is stored and not waited for; pause frames,
//! back-pressure, wake-up, GPIO and MAC_CR.PADSTR are stored and do nothing; a
//! frame takes no time on the wire.

mod crc;
mod descriptors;
mod faults;
mod function;
mod phy;
mod registers;
mod rx;
#[cfg(test)]
mod tests;
mod tx;

pub use self::crc::fcs;
pub use self::faults::{Counters, LanFaults, RxFault};
pub use self::phy::Link;
pub use self::registers::offset;
pub use self::rx::RX_FIFO;
pub use self::tx::TX_FIFO;

use self::registers::Registers;
use self::rx::Receive;
use self::tx::Transmit;
use sk_hal::Micros;
use sk_hal::usb::{Setup, Speed};
use std::collections::VecDeque;

/// Endpoint of frames to the host (bulk IN).
pub const BULK_IN: u8 = 1;
/// Endpoint of frames from the host (bulk OUT).
pub const BULK_OUT: u8 = 2;
/// Endpoint of INT_STS (interrupt IN).
pub const INTERRUPT: u8 = 3;

/// idProduct and chip id of the function in a LAN9512 and LAN9514.
pub const LAN9512: u16 = 0xEC00;
/// LAN9500.
pub const LAN9500: u16 = 0x9500;
/// LAN9505.
pub const LAN9505: u16 = 0x9505;
/// LAN9500A.
pub const LAN9500A: u16 = 0x9E00;
/// LAN9530.
pub const LAN9530: u16 = 0x9530;

/// Control requests that are kept.
const REQUESTS_KEPT: usize = 10_000;

/// The function. See the module.
#[derive(Clone, Debug)]
pub struct Lan9512 {
    product: u16,
    speed: Speed,
    /// Misbehaviour.
    pub faults: LanFaults,
    /// What was seen.
    pub counters: Counters,
    /// The first control requests.
    pub requests: Vec<Setup>,
    now: Micros,
    address: u8,
    configuration: u8,
    halted: Vec<u8>,
    registers: Registers,
    rx: Receive,
    tx: Transmit,
    wire: VecDeque<Vec<u8>>,
    flapped_at: Micros,
}

impl Lan9512 {
    /// At high speed, its cable in. `product` is also the chip's id.
    #[must_use]
    pub fn new(product: u16) -> Self {
        Self {
            product,
            speed: Speed::High,
            faults: LanFaults::default(),
            counters: Counters::default(),
            requests: Vec::new(),
            now: 0,
            address: 0,
            configuration: 0,
            halted: Vec::new(),
            registers: Registers::new(product),
            rx: Receive::default(),
            tx: Transmit::default(),
            wire: VecDeque::new(),
            flapped_at: 0,
        }
    }

    /// The same at full speed, as behind a slow hub: packets of 64 bytes.
    #[must_use]
    pub fn full_speed(mut self) -> Self {
        self.speed = Speed::Full;
        self
    }

    /// With a serial EEPROM. The boards have none; then E2P_CMD times out.
    #[must_use]
    pub fn with_eeprom(mut self, contents: impl Into<Vec<u8>>) -> Self {
        self.registers.eeprom = contents.into();
        self.registers.reset();
        self
    }

    /// Sets how long autonegotiation takes (1.8 s unless told).
    pub fn set_autoneg_time(&mut self, time: Micros) {
        self.registers.phy.autoneg_time = time;
        self.registers.phy.reset();
    }

    /// Sets what the other end of the cable can do (ANLPAR); takes effect with
    /// the next autonegotiation.
    pub fn set_partner(&mut self, abilities: u16) {
        self.registers.phy.partner = abilities;
    }

    /// Plugs the network cable in or out. A link takes its time.
    pub fn set_link(&mut self, up: bool) {
        self.registers.phy.set_cable(up);
    }

    /// The link, once it is agreed on.
    #[must_use]
    pub fn link(&self) -> Option<Link> {
        self.registers.phy.link()
    }

    /// Would the chip take frames from the wire?
    #[must_use]
    pub fn carries_frames(&self) -> bool {
        self.configuration != 0 && self.link().is_some() && self.registers.receives()
    }

    /// The next frame the host sent, without its check sequence.
    pub fn pop_frame(&mut self) -> Option<Vec<u8>> {
        self.wire.pop_front()
    }

    /// Frames not yet fetched by the host.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.rx.waiting()
    }

    /// Has the host something to fetch: would bulk IN not be answered NAK?
    #[must_use]
    pub fn has_input(&self) -> bool {
        self.rx.waiting() > 0 || self.rx.is_open()
    }

    /// Bytes of an OUT transfer that has not been closed by a short packet.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.tx.unfinished()
    }

    /// The value a register holds, without the effects of reading it.
    #[must_use]
    pub fn register(&self, offset: u16) -> u32 {
        self.registers.peek(offset)
    }

    /// Station address of the filter.
    #[must_use]
    pub fn mac(&self) -> [u8; 6] {
        let [a, b, c, d] = self.registers.get(offset::ADDRL).to_le_bytes();
        let [e, f, ..] = self.registers.get(offset::ADDRH).to_le_bytes();
        [a, b, c, d, e, f]
    }

    /// idProduct.
    #[must_use]
    pub fn product(&self) -> u16 {
        self.product
    }

    /// bConfigurationValue set by the host.
    #[must_use]
    pub fn configuration(&self) -> u8 {
        self.configuration
    }

    /// USB address.
    #[must_use]
    pub fn address(&self) -> u8 {
        self.address
    }

    /// Halts an endpoint (address, bit 7 = IN) until CLEAR_FEATURE.
    pub fn halt(&mut self, address: u8) {
        if !self.halted.contains(&address) {
            self.halted.push(address);
        }
    }
}
