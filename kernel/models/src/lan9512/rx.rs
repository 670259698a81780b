//! From the wire to bulk IN: address filter, receive FIFO, status words and
//! the packing of frames into transfers.

use std::collections::VecDeque;

use super::Lan9512;
use super::crc::{fcs, hash_index, ones_sum};
use super::descriptors::packet_size;
use super::faults::RxFault;
use super::registers::offset::*;
use super::registers::{INT_RX_DROPPED, Registers};
use crate::usb::{Answer, UsbFunction};

/// Bytes of the receive FIFO.
pub const RX_FIFO: usize = 20 * 1024;
/// Shortest frame on a wire, without its check sequence.
pub(super) const SHORTEST: usize = 60;
/// Longest frame without a tag and without its check sequence.
pub(super) const LONGEST: usize = 1514;
/// Bytes a VLAN tag adds.
const TAG: usize = 4;

const RX_ALL: u32 = 1 << 31;
const MULTICAST_ALL: u32 = 1 << 19;
const PROMISCUOUS: u32 = 1 << 18;
const INVERSE: u32 = 1 << 17;
const PASS_BAD: u32 = 1 << 16;
const HASH_ONLY: u32 = 1 << 15;
const HASH: u32 = 1 << 13;
const NO_BROADCAST: u32 = 1 << 11;

const FILTER_FAIL: u32 = 1 << 30;
const ERROR: u32 = 1 << 15;
const BROADCAST: u32 = 1 << 13;
const MULTICAST: u32 = 1 << 10;
const TOO_LONG: u32 = 1 << 7;
const ETHERTYPE: u32 = 1 << 5;

/// Receive FIFO and the transfer being given.
#[derive(Clone, Debug, Default)]
pub(super) struct Receive {
    /// Blocks: status word, offset, frame, check sequence, checksum.
    fifo: VecDeque<Vec<u8>>,
    used: usize,
    burst: Vec<u8>,
    sent: usize,
    /// A transfer has begun and its short packet has not been sent.
    open: bool,
}

impl Receive {
    pub(super) fn flush(&mut self) {
        *self = Self::default();
    }

    /// Bytes in the FIFO.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// Is a transfer under way?
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    pub(super) fn waiting(&self) -> usize {
        self.fifo.len()
    }

    fn put(&mut self, block: Vec<u8>) -> bool {
        let size = block.len().next_multiple_of(4);
        let room = self.used + size <= RX_FIFO;
        if room {
            self.used += size;
            self.fifo.push_back(block);
        }
        room
    }

    /// Moves one more block into the transfer, if it may become so long.
    fn pack(&mut self, limit: usize) -> bool {
        let start = self.burst.len().next_multiple_of(4);
        let first = self.burst.is_empty();
        let Some(block) = self.fifo.pop_front_if(|block| first || start + block.len() <= limit)
        else {
            return false;
        };
        self.used -= block.len().next_multiple_of(4);
        self.burst.resize(start, 0);
        self.burst.extend(block);
        true
    }
}

/// Does the filter let the address through, and is it one of ours exactly?
/// (`None` = kept out.)
fn filter(registers: &Registers, address: &[u8]) -> Option<bool> {
    let mac = registers.get(MAC_CR);
    let has = |bits| mac & bits != 0;
    let mut own = registers.get(ADDRL).to_le_bytes().to_vec();
    own.extend(&registers.get(ADDRH).to_le_bytes()[..2]);
    let perfect = address == own;
    let hashed = || {
        let index = hash_index(address);
        let half = registers.get(if index & 32 != 0 { HASHH } else { HASHL });
        half >> (index & 31) & 1 == 1
    };
    let group = address.first().is_some_and(|octet| octet & 1 == 1);
    let matched = if address == [0xFF; 6] {
        !has(NO_BROADCAST)
    } else if group {
        has(MULTICAST_ALL) || has(HASH) && hashed() || perfect
    } else if has(HASH_ONLY) && has(HASH) {
        hashed()
    } else {
        perfect != has(INVERSE)
    };
    let all = has(RX_ALL) || has(PROMISCUOUS) && address != [0xFF; 6];
    (matched || all).then_some(matched)
}

impl Lan9512 {
    /// A frame arrives from the wire, without its check sequence; a short one
    /// is padded, as its sender would have done. `false` = it was not taken,
    /// and a counter says why.
    pub fn push_frame(&mut self, frame: impl Into<Vec<u8>>) -> bool {
        if self.registers.phy.link().is_none() || !self.registers.receives() {
            self.counters.deaf += 1;
            return false;
        }
        self.receive(frame.into())
    }

    pub(super) fn receive(&mut self, mut frame: Vec<u8>) -> bool {
        if frame.len() < SHORTEST {
            frame.resize(SHORTEST, 0);
        }
        let Some(exact) = filter(&self.registers, &frame[..6]) else {
            self.counters.filtered += 1;
            return false;
        };
        let kind = u16::from_be_bytes([frame[12], frame[13]]);
        let tagged = [VLAN1, VLAN2].iter().any(|&r| self.registers.get(r) == kind.into());
        let mut status = if exact { 0 } else { FILTER_FAIL };
        if frame.len() > LONGEST + if tagged { TAG } else { 0 } {
            self.counters.too_long += 1;
            // The length field has 14 bits; the watchdog cuts at 2 KiB.
            frame.truncate(2044);
            if self.registers.get(MAC_CR) & PASS_BAD == 0 {
                return false;
            }
            status |= TOO_LONG | ERROR;
        }
        if frame.starts_with(&[0xFF; 6]) {
            status |= BROADCAST;
        } else if frame[0] & 1 == 1 {
            status |= MULTICAST;
        }
        if kind >= 0x600 {
            status |= ETHERTYPE;
        }
        let block = self.block(&frame, status);
        let taken = self.rx.put(block);
        if taken {
            self.counters.received += 1;
        } else {
            self.counters.overrun += 1;
            self.registers.raise(INT_RX_DROPPED);
        }
        taken
    }

    fn block(&mut self, frame: &[u8], mut status: u32) -> Vec<u8> {
        let mut tail = fcs(frame).to_vec();
        let coe = self.registers.get(COE_CR);
        if coe & 1 != 0 {
            // Mode 0 starts behind the Ethernet header; mode 1 also skips a tag.
            let start = if coe & 2 != 0 && frame[12..14] == [0x81, 0] { 18 } else { 14 };
            tail.extend(ones_sum(&frame[start..]).to_be_bytes());
        }
        let mut length = (frame.len() + tail.len()) as u16;
        let mut cut = usize::MAX;
        match self.faults.rx.pop_front().unwrap_or(RxFault::None) {
            RxFault::None => {}
            RxFault::Length(said) => length = said,
            RxFault::TooLong(more) => length = length.saturating_add(more),
            RxFault::TooShort(less) => length = length.saturating_sub(less),
            RxFault::Status(bits) => status |= bits,
            RxFault::Fcs => tail[0] ^= 0x55,
            RxFault::Cut(at) => cut = at,
        }
        status |= u32::from(length & 0x3FFF) << 16;
        let mut block = status.to_le_bytes().to_vec();
        block.resize(4 + (self.registers.get(HW_CFG) >> 9 & 3) as usize, 0);
        block.extend(frame);
        block.extend(tail);
        block.truncate(cut);
        block
    }

    /// Fills the FIFO to its last block, in a flood. A frame more would not be
    /// taken, so that none is counted as lost.
    fn refill(&mut self) {
        let Some(frame) = self.faults.flood.clone() else { return };
        if self.registers.phy.link().is_none() || !self.registers.receives() {
            return;
        }
        // Status word, offset, check sequence and checksum come with it.
        let block = (frame.len().max(SHORTEST) + 16).next_multiple_of(4);
        while self.rx.used + block <= RX_FIFO && self.receive(frame.clone()) {}
    }

    /// One packet of bulk IN. Simplified: what is in the FIFO is given at
    /// once, the chip waits BULK_IN_DLY for more before a short packet.
    pub(super) fn bulk_in(&mut self) -> Answer {
        if std::mem::take(&mut self.faults.babble) {
            return Answer::Babble;
        }
        let hw = self.registers.get(HW_CFG);
        let (capped, several, naks) = (hw & 2 != 0, hw & 1 << 5 != 0, hw & 1 << 12 != 0);
        let size = packet_size(self.speed());
        let limit = if capped { self.registers.get(BURST_CAP) as usize * size } else { RX_FIFO };
        self.refill();
        if !self.rx.open {
            if !self.rx.pack(limit) {
                if self.faults.empty_ins > 0 {
                    self.faults.empty_ins -= 1;
                    return Answer::Data(Vec::new());
                }
                return if naks { Answer::Nak } else { Answer::Data(Vec::new()) };
            }
            self.rx.open = true;
            self.counters.fetched += 1;
        }
        while several && self.rx.pack(limit) {
            self.counters.fetched += 1;
        }
        let rest = &self.rx.burst[self.rx.sent..];
        let packet = rest[..rest.len().min(size)].to_vec();
        self.rx.sent += packet.len();
        // A transfer that fills its last packet is closed by an empty one.
        if packet.len() < size {
            self.rx.burst.clear();
            self.rx.sent = 0;
            self.rx.open = false;
        }
        Answer::Data(packet)
    }
}
