//! Split transactions (USB 2.0 sections 11.14 to 11.20): a full- or low-speed
//! device behind a high-speed hub is spoken to through the hub's transaction
//! translator. A *start split* hands one packet, or the request for one, to the
//! translator; a *complete split* fetches the result. Each of them is one
//! programming of the channel and ends in a halt:
//!
//! ```text
//!            ACK                    data or ACK: next packet, or done
//!   start ---------> complete ----> NAK: pause, start again (interrupt: over)
//!     ^  NAK: pause     | ^ NYET    STALL: refused
//!     +-----------------+ +-- again, bounded
//!       error, 3 times
//! ```
//!
//! Control and bulk packets stay in the translator until they are fetched, so
//! any pause will do. Interrupt packets do not: after a start split in
//! microframe n the result must be fetched in n+2 to n+4 (section 11.18.4), and
//! what is too late is lost. Start splits are made in the first half of a frame,
//! which keeps all of it in one frame.

use super::Dwc2;
use super::channel::{
    DATA1, ERROR_PAUSE, MAX_EMPTY_HALTS, MAX_ERRORS, MAX_REPEATS, Outcome, SETUP,
};
use super::regs::*;
use sk_hal::usb::{DeviceTarget, Speed, StaleSplit, TransferError};
use sk_hal::{Bus32, CacheOps, Micros};

/// A microframe.
const MICROFRAME: Micros = 125;
/// HFNUM counts microframes modulo this.
const FRAME_MASK: u32 = 0x3FFF;
/// Last microframe of a frame for the start split of an interrupt packet.
const LAST_START: u32 = 3;
/// Microframes after the start split, first and last for the complete split.
const FIRST_COMPLETE: u32 = 2;
const LAST_COMPLETE: u32 = 4;
/// NYETs before a packet is started anew: 2 ms, twice what a translator with
/// a full frame before it needs.
const MAX_NYETS: u8 = 16;
/// Pause after NAK: five microframes.
const NAK_PAUSE: Micros = 625;
/// The pause doubles after so many NAKs without a packet, ...
const NAKS_PER_DOUBLING: u8 = 8;
/// ... so often: an idle bulk IN costs 200 rounds a second, not 1600.
const NAK_DOUBLINGS: u8 = 3;

/// Where the split transaction of a channel stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Split {
    /// The start split was accepted: the complete split is next.
    pub(super) complete: bool,
    nyets: u8,
    naks: u8,
    /// Microframe of the start split (interrupt endpoints).
    frame: u32,
}

impl Split {
    pub(super) const NONE: Self = Self { complete: false, nyets: 0, naks: 0, frame: 0 };

    /// HCSPLT for the next programming.
    pub(super) fn register(self, start: u32) -> u32 {
        if self.complete { start | HCSPLT_COMPLETE } else { start }
    }
}

/// HCSPLT of a start split to `target`; 0 if it is reached without.
pub(super) fn route(target: &DeviceTarget) -> u32 {
    match target.behind {
        Some((hub, port)) if target.speed != Speed::High => {
            HCSPLT_ENABLE | HCSPLT_ALL | u32::from(hub & 0x7F) << 7 | u32::from(port & 0x7F)
        }
        _ => 0,
    }
}

impl<B: Bus32, C: CacheOps> Dwc2<B, C> {
    /// The microframe in which a periodic channel enabled now would run.
    fn next_microframe(&self) -> u32 {
        ((self.bus.read(HFNUM) & FRAME_MASK) + 1) & FRAME_MASK
    }

    fn is_periodic_split(&self, c: usize) -> bool {
        let t = &self.channels[c].transfer;
        t.split != 0 && t.is_interrupt()
    }

    /// How long an interrupt endpoint's split has to wait for its microframe.
    /// A start split that need not is taken down with its microframe.
    pub(super) fn split_wait(&mut self, c: usize) -> Option<Micros> {
        if !self.is_periodic_split(c) {
            return None;
        }
        let next = self.next_microframe();
        let split = &mut self.channels[c].split;
        let wait = if split.complete {
            FIRST_COMPLETE.saturating_sub(next.wrapping_sub(split.frame) & FRAME_MASK)
        } else {
            split.frame = next;
            if next & 7 <= LAST_START { 0 } else { 8 - (next & 7) }
        };
        (wait != 0).then(|| Micros::from(wait) * MICROFRAME)
    }

    /// Has the translator given up the result that was to be fetched?
    pub(super) fn split_is_late(&mut self, c: usize) -> bool {
        if !self.is_periodic_split(c) || !self.channels[c].split.complete {
            return false;
        }
        let age = self.next_microframe().wrapping_sub(self.channels[c].split.frame) & FRAME_MASK;
        let late = age > LAST_COMPLETE;
        if late {
            self.stats.split_late = self.stats.split_late.wrapping_add(1);
        }
        late
    }

    /// How one start or complete split ended; the tests are in the order in
    /// which the bits outrank each other.
    pub(super) fn decode_split(&mut self, c: usize, bits: u32, size: u32) -> Outcome {
        let stats = &mut self.stats;
        let ch = &mut self.channels[c];
        let interrupt = ch.transfer.is_interrupt();
        let complete = core::mem::take(&mut ch.split.complete);
        if bits & HCINT_AHB_ERROR != 0 {
            return Outcome::Failed(TransferError::Bus);
        }
        if complete && bits & HCINT_COMPLETE != 0 {
            // One packet, counted here: neither PktCnt nor the PID is needed.
            let t = &mut ch.transfer;
            let left = if t.is_in() { size & HCTSIZ_SIZE } else { 0 };
            let bytes = t.programmed.saturating_sub(left);
            t.moved = t.moved.saturating_add(bytes);
            if t.pid != SETUP {
                t.pid ^= DATA1;
            }
            let over = t.is_in() && bytes < t.max_packet() || t.moved >= t.total;
            ch.split = Split::NONE;
            ch.errors = 0;
            ch.repeats = 0;
            ch.empty_halts = 0;
            return if over { Outcome::Done } else { Outcome::Again { pause: 0 } };
        }
        if bits & HCINT_STALL != 0 {
            return Outcome::Failed(TransferError::Stall);
        }
        if bits & HCINT_XACT_ERROR != 0 {
            stats.transaction_errors = stats.transaction_errors.wrapping_add(1);
            return ch.split_error();
        }
        if bits & HCINT_BABBLE != 0 {
            return Outcome::Failed(TransferError::Babble);
        }
        if bits & HCINT_FRAME_OVERRUN != 0 && interrupt {
            return Outcome::Nothing;
        }
        if bits & HCINT_TOGGLE_ERROR != 0 {
            // As without splits: the device repeated a packet.
            stats.toggle_errors = stats.toggle_errors.wrapping_add(1);
            ch.errors = 0;
            ch.repeats += 1;
            if ch.repeats >= MAX_REPEATS {
                return Outcome::Failed(TransferError::Transaction);
            }
            return if interrupt { Outcome::Nothing } else { Outcome::Again { pause: 0 } };
        }
        if bits & HCINT_NYET != 0 && complete {
            stats.split_nyets = stats.split_nyets.wrapping_add(1);
            ch.split.nyets += 1;
            // An interrupt packet's patience is measured in microframes.
            ch.split.complete = interrupt || ch.split.nyets < MAX_NYETS;
            if !ch.split.complete {
                return ch.split_error();
            }
            let pause = if interrupt { 0 } else { MICROFRAME };
            return Outcome::Again { pause };
        }
        if bits & HCINT_NAK != 0 {
            if interrupt {
                return Outcome::Nothing;
            }
            ch.errors = 0;
            let doublings = (ch.split.naks / NAKS_PER_DOUBLING).min(NAK_DOUBLINGS);
            ch.split.naks = ch.split.naks.saturating_add(1);
            return Outcome::Again { pause: NAK_PAUSE << doublings };
        }
        if bits & HCINT_ACK != 0 && !complete {
            ch.split.complete = true;
            ch.split.nyets = 0;
            ch.empty_halts = 0;
            // It takes the translator a microframe at least.
            let pause = if interrupt { 0 } else { MICROFRAME };
            return Outcome::Again { pause };
        }
        stats.empty_halts = stats.empty_halts.wrapping_add(1);
        ch.empty_halts += 1;
        if ch.empty_halts >= MAX_EMPTY_HALTS {
            return Outcome::Failed(TransferError::Transaction);
        }
        ch.split.complete = complete;
        Outcome::Again { pause: 0 }
    }

    /// Remembers that the hub's translator may hold a packet of the channel's
    /// transfer for ever. Interrupt packets it drops by itself.
    pub(super) fn note_stale_split(&mut self, c: usize, holds: bool) {
        let t = &self.channels[c].transfer;
        if !holds || t.split == 0 || t.is_interrupt() {
            return;
        }
        let stale = StaleSplit {
            hub: (t.split >> 7 & 0x7F) as u8,
            port: (t.split & 0x7F) as u8,
            address: (t.hcchar >> 22 & 0x7F) as u8,
            endpoint: t.endpoint() as u8,
            bulk: t.hcchar >> 18 & 3 == EP_BULK,
            input: t.is_in(),
        };
        if self.stale_splits.iter().any(|known| *known == stale) {
            return;
        }
        if self.stale_splits.is_full() {
            let _ = self.stale_splits.pop_front();
        }
        let _ = self.stale_splits.push_back(stale);
    }
}

impl super::channel::Channel {
    /// An error on the way; the packet is started anew, three times in a row.
    fn split_error(&mut self) -> Outcome {
        self.split.nyets = 0;
        self.errors += 1;
        if self.errors >= MAX_ERRORS {
            return Outcome::Failed(TransferError::Transaction);
        }
        Outcome::Again { pause: ERROR_PAUSE }
    }
}
