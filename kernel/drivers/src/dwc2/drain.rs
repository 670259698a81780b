//! Taking a channel out of use.
//!
//! Silicon would allow "disable, wait for the halt, reuse". QEMU 7.2 to 10.0
//! would not: it reports the halt at once, but
//!
//! - a packet a device has not answered yet stays in flight; enabling the
//!   channel again, or the answer after a port reset, ends the emulator, and
//!   the late data go to the old DMA address;
//! - a packet a device answered NAK keeps being retried; enabling the channel
//!   again ends that, but a port reset or an unplug before ends the emulator.
//!
//! The two can be told apart: only the second kind sets HCINT.NAK. Hence the
//! steps: let the transfer finish; else disable, and wait for the halt; then,
//! if NAK was seen, run a SETUP packet (GET_STATUS) through the channel, which
//! every device must accept and which a later SETUP may abandon (USB 2.0
//! section 8.5.3); if not, retire the channel, and its buffer if a device may
//! still write there, until the late completion shows or the core was reset.
//! On silicon an idle endpoint always answers NAK, so nothing is retired there
//! unless the core itself hangs.

use super::channel::{Owner, SETUP, State, Transfer};
use super::regs::*;
use super::snapshot::Cause;
use super::{CHANNELS, Dwc2};
use sk_hal::usb::{Setup, TransferError};
use sk_hal::{Bus32, CacheOps, Direction, Micros};

/// How long a transfer may finish by itself.
pub(super) const QUIESCE: Micros = 50_000;
/// How long a halt may take; it can wait for the next frame (1 ms).
const HALT: Micros = 5_000;
/// How long the flushing SETUP may take.
const FLUSH: Micros = 20_000;
/// When a retired channel without a buffer is tried again: QEMU leaves a SETUP
/// to an absent address unanswered without having sent anything.
const PROBATION: Micros = 30_000_000;

const GET_STATUS: Setup = Setup { request_type: 0x80, request: 0, value: 0, index: 0, length: 2 };

impl<B: Bus32, C: CacheOps> Dwc2<B, C> {
    /// The owner gives the channel up; it may finish until `until`.
    pub(super) fn drain(&mut self, c: usize, until: Micros) {
        // Its end is seen by looking: every poll does while it is on its way out.
        self.silent &= !(1 << c);
        self.look_at = 0;
        let running = self.channels[c].state == State::Running;
        self.note_stale_split(c, running || self.channels[c].split.complete);
        let ch = &mut self.channels[c];
        ch.owner = Owner::Nobody;
        ch.timeout = None;
        match ch.state {
            State::Running => ch.state = State::Draining { until },
            State::Draining { until: old } => ch.state = State::Draining { until: until.min(old) },
            State::Idle | State::Backoff { .. } => self.release(c),
            _ => {}
        }
    }

    /// A halted channel and its buffer become free.
    pub(super) fn release(&mut self, c: usize) {
        let ch = &mut self.channels[c];
        ch.state = State::Idle;
        ch.owner = Owner::Nobody;
        ch.timeout = None;
        if let Some((home, buf)) = ch.lent.take() {
            self.pool.put(home, buf.take(&self.cache));
        }
    }

    /// Nothing is running and nothing is on its way out.
    pub(super) fn settled(&self) -> bool {
        self.channels.iter().all(super::Channel::is_settled)
    }

    /// Is a channel busy with an endpoint 0? Two at a time would steal each
    /// other's packets.
    fn endpoint0_on_wire(&self) -> bool {
        self.channels
            .iter()
            .any(|c| c.transfer.endpoint() == 0 && !c.is_settled() && c.state != State::Parked)
    }

    /// Must a new control transfer wait? Channels to be flushed go first, or
    /// back-to-back transfers would keep them waiting for ever.
    pub(super) fn endpoint0_taken(&self) -> bool {
        self.endpoint0_on_wire() || self.channels.iter().any(|c| c.state == State::Parked)
    }

    /// One step for a channel nobody owns.
    pub(super) fn drain_step(&mut self, c: usize, now: Micros) {
        if self.channels[c].state == State::Parked {
            if !self.stage.has_device() {
                self.release(c);
            } else if !self.endpoint0_on_wire() {
                self.flush(c, now);
            }
            return;
        }
        let bits = self.bus.read(hcint(c)) & HCINT_ALL;
        self.channels[c].nak_seen |= bits & HCINT_NAK != 0;
        let mut halted = false;
        if bits & HCINT_HALTED != 0 {
            halted = self.bus.read(hcchar(c)) & HCCHAR_ENABLE == 0;
            self.bus.write(hcint(c), bits);
        }
        let ended = halted && bits & HCINT_RESULT != 0;
        match self.channels[c].state {
            State::Draining { .. } | State::Flushing { .. } if halted => self.release(c),
            State::Draining { until } if now >= until => self.disable(c, now, false),
            State::Flushing { until } if now >= until => self.disable(c, now, true),
            State::Halting { .. } if ended => self.release(c),
            State::Halting { flushed, .. } if halted => {
                let nak = self.channels[c].nak_seen;
                // Every split transaction halts by itself, and there are none
                // in QEMU.
                let split = self.channels[c].transfer.split != 0;
                if split || nak && !self.stage.has_device() {
                    self.release(c);
                } else if nak && !flushed {
                    self.channels[c].state = State::Parked;
                } else {
                    self.retire(c, now, true);
                }
            }
            State::Halting { until, .. } if now >= until => {
                self.note(now, Cause::HaltStuck, Some(c));
                self.retire(c, now, false);
            }
            State::Retired { .. } if ended => {
                self.stats.returns = self.stats.returns.wrapping_add(1);
                self.release(c);
            }
            State::Retired { until: Some(until) } if now >= until => self.release(c),
            _ => {}
        }
    }

    /// Tells an enabled channel to halt.
    pub(super) fn disable(&mut self, c: usize, now: Micros, flushed: bool) {
        let char = self.bus.read(hcchar(c));
        if char & HCCHAR_ENABLE == 0 {
            // Halted already. Disabling an idle channel would never be answered.
            self.bus.write(hcint(c), HCINT_ALL);
            self.release(c);
            return;
        }
        self.stats.disables = self.stats.disables.wrapping_add(1);
        self.bus.write(hcchar(c), char | HCCHAR_DISABLE | HCCHAR_ENABLE);
        self.channels[c].state = State::Halting { until: now.saturating_add(HALT), flushed };
    }

    fn retire(&mut self, c: usize, now: Micros, halted: bool) {
        self.stats.retirements = self.stats.retirements.wrapping_add(1);
        self.bus.write(hcint(c), HCINT_ALL);
        let harmless = halted && !self.channels[c].transfer.is_in();
        if harmless {
            self.release(c);
        }
        let until = harmless.then(|| now.saturating_add(PROBATION));
        self.channels[c].state = State::Retired { until };
    }

    /// Ends QEMU's retries of a disabled transfer.
    fn flush(&mut self, c: usize, now: Micros) {
        let ch = &mut self.channels[c];
        let Some((home, buf)) = ch.lent.take() else {
            self.release(c);
            return;
        };
        let mut buf = buf.take(&self.cache);
        if let Some(packet) = buf.bytes_mut().first_chunk_mut() {
            *packet = GET_STATUS.to_bytes();
        }
        let base = buf.bus().0;
        ch.lent = Some((home, buf.give(&self.cache, Direction::ToDevice)));
        // Same device; endpoint 0, control, OUT, packets of 8.
        let device = ch.transfer.hcchar & (0x7F << 22 | HCCHAR_LOW_SPEED | HCCHAR_MC_1);
        let transfer = Transfer { hcchar: device | EP_CONTROL << 18 | 8, ..Transfer::NONE };
        self.start(c, transfer.with(base, 8, SETUP), None);
        self.channels[c].state = State::Flushing { until: now.saturating_add(FLUSH) };
    }

    /// After a soft reset: what is really reset can be used again. QEMU does
    /// nothing on a soft reset, and its HCCHAR keeps its value.
    pub(super) fn reclaim(&mut self) {
        for c in 0..CHANNELS {
            if self.channels[c].is_retired() && self.bus.read(hcchar(c)) == 0 {
                self.stats.returns = self.stats.returns.wrapping_add(1);
                self.release(c);
            }
        }
    }

    /// There is no channel for somebody. If that is because hung ones were
    /// retired, the core is started anew, which gives them back on silicon.
    pub(super) fn out_of_channels(&mut self, now: Micros) {
        let free = self.channels.iter().any(super::Channel::is_free);
        if !free && self.channels.iter().any(super::Channel::is_retired) {
            self.note(now, Cause::HaltStuck, None);
            self.lose_device(now);
        }
    }

    /// Ends the control transfer with `Gone`, closes all pipes, and gives all
    /// channels until `until` to finish.
    pub(super) fn drop_everything(&mut self, until: Micros) {
        self.control_abort(TransferError::Gone, until);
        for slot in 0..super::MAX_PIPES {
            if self.pipes[slot].open {
                self.pipe_close(slot, until);
            }
        }
        for c in 0..CHANNELS {
            if !self.channels[c].is_settled() {
                self.drain(c, until);
            }
        }
    }
}
