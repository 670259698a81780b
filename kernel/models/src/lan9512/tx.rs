//! From bulk OUT to the wire: command words, segments, checksum insertion and
//! the transmit FIFO.

use std::collections::VecDeque;

use super::Lan9512;
use super::crc::{fcs, ones_sum};
use super::descriptors::packet_size;
use super::registers::INT_TX_ERROR;
use super::registers::offset::*;
use super::rx::{LONGEST, SHORTEST};
use crate::usb::{Answer, UsbFunction};

/// Bytes of the transmit FIFO.
pub const TX_FIFO: usize = 8 * 1024;

const FIRST: u32 = 1 << 13;
const LAST: u32 = 1 << 12;
const CHECKSUM: u32 = 1 << 14;
const NO_CRC: u32 = 1 << 13;
const NO_PAD: u32 = 1 << 12;
/// HW_CFG: a length error stalls the endpoint.
const STALL_ON_ERROR: u32 = 1 << 8;
const LOOPBACK: u32 = 1 << 21;
const FULL_DUPLEX: u32 = 1 << 20;
/// The chip's checksum logic needs more than this.
const CHECKSUM_SHORTEST: usize = 45;

/// Transmit FIFO and what is being put together.
#[derive(Clone, Debug, Default)]
pub(super) struct Transmit {
    /// The transfer so far: no short packet has closed it.
    collecting: Vec<u8>,
    /// Segments of a frame whose last one has not come, and its command B.
    segments: Option<(Vec<u8>, u32)>,
    fifo: VecDeque<Vec<u8>>,
    used: usize,
    /// The command words were lost: nothing makes sense until a reset.
    lost: bool,
}

impl Transmit {
    /// Empties the FIFO; the command words stay lost.
    pub(super) fn flush(&mut self) {
        *self = Self { lost: self.lost, ..Self::default() };
    }

    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    pub(super) fn used(&self) -> usize {
        self.used
    }

    pub(super) fn unfinished(&self) -> usize {
        self.collecting.len()
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

impl Lan9512 {
    /// One packet of bulk OUT.
    pub(super) fn bulk_out(&mut self, data: &[u8]) -> Answer {
        if self.registers.in_reset() || self.faults.nak_out {
            return Answer::Nak;
        }
        if self.tx.lost {
            return self.out_of_step(data.len());
        }
        self.transmit();
        if self.tx.used + self.tx.collecting.len() + data.len() > TX_FIFO {
            // A transfer that will never fit is no transfer.
            return if self.tx.used == 0 { self.lose_sync(data.len()) } else { Answer::Nak };
        }
        self.tx.collecting.extend(data);
        if data.len() == packet_size(self.speed()) {
            return Answer::Ack;
        }
        let transfer = std::mem::take(&mut self.tx.collecting);
        if self.take_apart(&transfer).is_none() {
            return self.lose_sync(0);
        }
        self.transmit();
        Answer::Ack
    }

    fn lose_sync(&mut self, bytes: usize) -> Answer {
        self.counters.lost_sync += 1;
        self.registers.raise(INT_TX_ERROR);
        self.tx.lost = true;
        self.tx.collecting.clear();
        self.tx.segments = None;
        self.out_of_step(bytes)
    }

    fn out_of_step(&mut self, bytes: usize) -> Answer {
        self.counters.discarded += bytes as u64;
        if self.registers.get(HW_CFG) & STALL_ON_ERROR != 0 {
            self.halt(0x02);
            return Answer::Stall;
        }
        Answer::Ack
    }

    /// The buffers of one transfer. `None` = the command words contradict each
    /// other or the data.
    fn take_apart(&mut self, transfer: &[u8]) -> Option<()> {
        let mut at = 0;
        while at < transfer.len() {
            let (a, b) = (word(transfer, at)?, word(transfer, at + 4)?);
            let (size, skip) = (a as usize & 0x7FF, a as usize >> 16 & 0x1F);
            let total = b as usize & 0x7FF;
            if skip > 3 || size == 0 {
                return None;
            }
            let start = at + 8 + skip;
            let data = transfer.get(start..start + size)?;
            let (mut frame, command) = match (self.tx.segments.take(), a & FIRST != 0) {
                (None, true) => (Vec::new(), b),
                (Some((_, before)), false) if before & 0x7FF != b & 0x7FF => return None,
                (Some(begun), false) => begun,
                // A first segment within a frame, or a later one outside.
                _ => return None,
            };
            frame.extend(data);
            if a & LAST == 0 && frame.len() < total {
                self.tx.segments = Some((frame, command));
            } else if a & LAST != 0 && frame.len() == total {
                self.finish(frame, command);
            } else {
                return None;
            }
            at = (start + size).next_multiple_of(4);
        }
        Some(())
    }

    /// A whole frame goes into the FIFO.
    fn finish(&mut self, mut frame: Vec<u8>, command: u32) {
        if command & CHECKSUM != 0 && self.registers.get(COE_CR) & 1 << 16 != 0 {
            self.insert_checksum(&mut frame);
        }
        if command & NO_CRC != 0 {
            let own = frame.split_off(frame.len().saturating_sub(4));
            if own != fcs(&frame) {
                self.counters.bad_fcs += 1;
                return;
            }
        } else if command & NO_PAD == 0 && frame.len() < SHORTEST {
            frame.resize(SHORTEST, 0);
        }
        let tagged = frame.get(12..14) == Some(&[0x81, 0][..]);
        let longest = if tagged { LONGEST + 4 } else { LONGEST };
        if !(SHORTEST..=longest).contains(&frame.len()) {
            self.counters.bad_size += 1;
            return;
        }
        self.tx.used += frame.len();
        self.tx.fifo.push_back(frame);
    }

    /// Takes the preamble off and puts the checksum in. What the chip is known
    /// to damage is damaged.
    fn insert_checksum(&mut self, frame: &mut Vec<u8>) {
        let Some(preamble) = word(frame, 0) else {
            return;
        };
        frame.drain(..4);
        let (start, place) = (preamble as usize & 0xFFFF, preamble as usize >> 16);
        self.counters.checksums += 1;
        let sum = frame.get(start..).map(ones_sum);
        match (sum, frame.get_mut(place..place.saturating_add(2))) {
            (Some(sum), Some(field)) => field.copy_from_slice(&(!sum).to_be_bytes()),
            _ => self.counters.mangled += 1,
        }
        if frame.len() <= CHECKSUM_SHORTEST || place + 4 > frame.len() {
            self.counters.mangled += 1;
            if let Some(byte) = frame.last_mut() {
                *byte = !*byte;
            }
        }
    }

    /// Puts on the wire what may go.
    pub(super) fn transmit(&mut self) {
        if !self.registers.transmits() || self.faults.tx_stuck {
            return;
        }
        let mac = self.registers.get(MAC_CR);
        while let Some(frame) = self.tx.fifo.pop_front() {
            self.tx.used -= frame.len();
            if mac & LOOPBACK != 0 {
                if self.registers.receives() {
                    self.receive(frame);
                }
                continue;
            }
            let Some(link) = self.registers.phy.link() else {
                self.counters.no_link += 1;
                continue;
            };
            if link.full != (mac & FULL_DUPLEX != 0) {
                self.counters.wrong_duplex += 1;
            }
            self.counters.sent += 1;
            self.wire.push_back(frame);
        }
    }
}
