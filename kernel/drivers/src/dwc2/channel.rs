//! Host channels: programming one, and decoding how it ended.

use super::regs::*;
use super::snapshot::Cause;
use super::split::{self, Split};
use super::{CHANNELS, Dwc2, Home, Stage};
use sk_hal::usb::{DeviceTarget, Speed, TransferError};
use sk_hal::{Bus32, CacheOps, DeviceOwned, DmaBuf, Micros};

/// Data PIDs as HCTSIZ encodes them.
pub(super) const DATA0: u32 = 0;
/// DATA1.
pub(super) const DATA1: u32 = 2;
/// SETUP.
pub(super) const SETUP: u32 = 3;

/// Bus errors in a row before giving up (USB 2.0 section 10.2.6).
pub(super) const MAX_ERRORS: u8 = 3;
/// Packets with a wrong toggle, without a right one, before giving up.
pub(super) const MAX_REPEATS: u8 = 8;
/// Halts without a result and without progress before giving up.
pub(super) const MAX_EMPTY_HALTS: u8 = 8;
/// Pause after a transaction error, so that a failing device costs at most
/// 4000 interrupts per second.
pub(super) const ERROR_PAUSE: Micros = 250;
/// A poll is wanted this long after the last one while a transfer with a
/// deadline runs, in case the interrupt is lost.
const BUSY_FALLBACK: Micros = 10_000;
/// The same for a bulk IN that may idle for hours.
const IDLE_FALLBACK: Micros = 100_000;

/// Who waits for a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    /// Nobody: free, or being taken out of use.
    Nobody,
    /// The control transfer.
    Control,
    /// The pipe in this slot.
    Pipe(u8),
}

/// What a channel is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// Not enabled.
    Idle,
    /// Enabled for its owner.
    Running,
    /// Not enabled; to be started again with the rest of its transfer.
    Backoff { until: Micros },
    /// Enabled, nobody cares for the result; let finish until then.
    Draining { until: Micros },
    /// Told to disable; the halt must be seen before anything else.
    Halting { until: Micros, flushed: bool },
    /// Halted, but QEMU may still be retrying: waits for its turn to flush.
    Parked,
    /// Running the harmless SETUP that ends such retries.
    Flushing { until: Micros },
    /// Must not be enabled: a packet may be in flight. If nothing can be
    /// written to memory by it, it may be tried again at `until`.
    Retired { until: Option<Micros> },
}

/// One transfer on a channel: the part of it that was asked for in total, and
/// the part of that which is programmed at the moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transfer {
    /// HCCHAR without enable, disable and frame parity.
    pub(super) hcchar: u32,
    /// HCSPLT of a start split; 0 = no split transactions.
    pub(super) split: u32,
    /// Bus address of the first byte.
    pub(super) base: u32,
    /// Bytes in all; for IN a multiple of the packet size.
    pub(super) total: u32,
    /// Bytes moved before the present programming.
    pub(super) moved: u32,
    /// Bytes of the present programming.
    pub(super) programmed: u32,
    /// Packets of the present programming.
    pub(super) packets: u32,
    /// PID of the next packet.
    pub(super) pid: u32,
    /// Begin with PING.
    pub(super) ping: bool,
}

impl Transfer {
    pub(super) const NONE: Self = Self {
        hcchar: 0,
        split: 0,
        base: 0,
        total: 0,
        moved: 0,
        programmed: 0,
        packets: 0,
        pid: DATA0,
        ping: false,
    };

    /// A transfer of `total` bytes at bus address `base` with endpoint
    /// `endpoint` of `target`.
    pub(super) fn new(
        target: &DeviceTarget,
        endpoint: u8,
        kind: u32,
        input: bool,
        max_packet: u16,
    ) -> Self {
        let mut hcchar = u32::from(max_packet) & 0x7FF
            | (u32::from(endpoint) & 15) << 11
            | kind << 18
            | HCCHAR_MC_1
            | (u32::from(target.address) & 0x7F) << 22;
        if input {
            hcchar |= HCCHAR_IN;
        }
        if target.speed == Speed::Low {
            hcchar |= HCCHAR_LOW_SPEED;
        }
        Self { hcchar, split: split::route(target), ..Self::NONE }
    }

    /// With the bytes to be moved and the first PID.
    pub(super) fn with(self, base: u32, total: u32, pid: u32) -> Self {
        Self { base, total, pid, moved: 0, ..self }
    }

    pub(super) fn is_in(&self) -> bool {
        self.hcchar & HCCHAR_IN != 0
    }

    pub(super) fn endpoint(&self) -> u32 {
        self.hcchar >> 11 & 15
    }

    pub(super) fn is_interrupt(&self) -> bool {
        self.hcchar >> 18 & 3 == EP_INTERRUPT
    }

    pub(super) fn max_packet(&self) -> u32 {
        (self.hcchar & 0x7FF).max(1)
    }
}

/// One host channel.
pub(super) struct Channel {
    pub(super) state: State,
    pub(super) owner: Owner,
    /// The buffer the controller may be using.
    pub(super) lent: Option<(Home, DmaBuf<DeviceOwned>)>,
    pub(super) transfer: Transfer,
    /// When the transfer has failed.
    pub(super) timeout: Option<Micros>,
    /// The device answered NAK since the channel was last enabled.
    pub(super) nak_seen: bool,
    /// Where a split transaction stands.
    pub(super) split: Split,
    pub(super) errors: u8,
    pub(super) repeats: u8,
    pub(super) empty_halts: u8,
}

impl Channel {
    pub(super) fn new() -> Self {
        Self {
            state: State::Idle,
            owner: Owner::Nobody,
            lent: None,
            transfer: Transfer::NONE,
            timeout: None,
            nak_seen: false,
            split: Split::NONE,
            errors: 0,
            repeats: 0,
            empty_halts: 0,
        }
    }

    pub(super) fn is_free(&self) -> bool {
        self.state == State::Idle && self.owner == Owner::Nobody
    }

    pub(super) fn is_retired(&self) -> bool {
        matches!(self.state, State::Retired { .. })
    }

    pub(super) fn holds_buffer(&self) -> bool {
        self.lent.is_some()
    }

    /// Idle for good: neither running nor on its way out.
    pub(super) fn is_settled(&self) -> bool {
        self.state == State::Idle || self.is_retired()
    }

    /// Its end will show in HAINT, or nothing is to be expected of it.
    pub(super) fn is_calm(&self) -> bool {
        matches!(self.state, State::Idle | State::Running | State::Retired { .. })
    }

    pub(super) fn deadline(&self, last_poll: Micros) -> Option<Micros> {
        let soon = last_poll.saturating_add(1_000);
        Some(match self.state {
            State::Idle => return None,
            State::Running => match self.timeout {
                Some(t) => t.min(last_poll.saturating_add(BUSY_FALLBACK)),
                None => last_poll.saturating_add(IDLE_FALLBACK),
            },
            State::Backoff { until } => until,
            State::Draining { until }
            | State::Halting { until, .. }
            | State::Flushing { until } => until.min(soon),
            State::Parked => soon,
            State::Retired { until } => return until,
        })
    }
}

/// How a programming of a channel ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// All of it is done, or a short packet ended it.
    Done,
    /// An interrupt endpoint has nothing, or missed its frame.
    Nothing,
    /// The rest must be programmed again, at once or after a pause.
    Again { pause: Micros },
    /// It failed.
    Failed(TransferError),
}

impl<B: Bus32, C: CacheOps> Dwc2<B, C> {
    /// A free channel for `owner`, the lowest.
    pub(super) fn allocate(&mut self, owner: Owner) -> Option<usize> {
        let c = self.channels.iter().position(Channel::is_free)?;
        self.channels[c].owner = owner;
        Some(c)
    }

    /// Starts a transfer on an idle channel of the caller's.
    pub(super) fn start(&mut self, c: usize, transfer: Transfer, timeout: Option<Micros>) {
        let ch = &mut self.channels[c];
        ch.transfer = transfer;
        ch.timeout = timeout;
        ch.split = Split::NONE;
        ch.errors = 0;
        ch.repeats = 0;
        ch.empty_halts = 0;
        self.program(c);
    }

    /// Programs what is left of the channel's transfer and enables it.
    fn program(&mut self, c: usize) {
        if let Some(wait) = self.split_wait(c) {
            let until = self.last_poll.saturating_add(wait);
            self.look_at = self.look_at.min(until);
            self.channels[c].state = State::Backoff { until };
            return;
        }
        let ch = &mut self.channels[c];
        let t = &mut ch.transfer;
        let most = if t.split == 0 { MAX_SIZE } else { t.max_packet() };
        t.programmed = t.total.saturating_sub(t.moved).min(most);
        t.packets = packets(t.programmed, t.max_packet()).clamp(1, MAX_PACKETS);
        let mut hcchar = t.hcchar;
        if t.is_interrupt() && self.bus.read(HFNUM) & 1 == 0 {
            // The next (micro)frame is an odd one.
            hcchar |= HCCHAR_ODD_FRAME;
        }
        let ping = if t.ping && !t.is_in() && t.pid != SETUP { HCTSIZ_PING } else { 0 };
        let size =
            t.programmed | t.packets << HCTSIZ_PACKETS_SHIFT | t.pid << HCTSIZ_PID_SHIFT | ping;
        self.bus.write(hcint(c), HCINT_ALL);
        let mask = if self.silent & 1 << c != 0 { 0 } else { HCINT_HALTED | HCINT_AHB_ERROR };
        self.bus.write(hcintmsk(c), mask);
        self.bus.write(hcsplt(c), ch.split.register(t.split));
        self.bus.write(hctsiz(c), size);
        // From our own count, not from what HCDMA has become: a stale address
        // would be written to.
        self.bus.write(hcdma(c), t.base.wrapping_add(t.moved));
        self.bus.write(hcchar_reg(c), hcchar | HCCHAR_ENABLE);
        ch.nak_seen = false;
        ch.state = State::Running;
    }

    /// A poll between two looks at everything. `false` = a look is due.
    pub(super) fn quick_poll(&mut self, now: Micros) -> bool {
        if now >= self.look_at || self.stage != Stage::Ready {
            return false;
        }
        let interrupts = self.bus.read(GINTSTS);
        if interrupts & (GINTSTS_PORT | GINTSTS_DISCONNECT) != 0 {
            return false;
        }
        let mut ended = self.silent;
        if interrupts & GINTSTS_CHANNEL != 0 {
            ended |= self.bus.read(HAINT) & ((1 << CHANNELS) - 1);
        }
        while ended != 0 {
            let c = 31 - ended.leading_zeros() as usize;
            ended &= !(1 << c);
            match self.channels[c].state {
                State::Running => self.service_running(c, now),
                // A second halt, as below.
                State::Idle => self.bus.write(hcint(c), HCINT_ALL),
                _ => return false,
            }
            if !self.channels[c].is_calm() {
                self.look_at = now;
            }
        }
        true
    }

    /// Lets the end of a silent channel interrupt from now on.
    pub(super) fn unmute(&mut self, c: usize, now: Micros) {
        if self.silent & 1 << c != 0 {
            self.silent &= !(1 << c);
            self.bus.write(hcintmsk(c), HCINT_HALTED | HCINT_AHB_ERROR);
            // QEMU raises nothing for what ended before.
            if self.channels[c].state == State::Running {
                self.service_running(c, now);
            }
        }
    }

    /// Looks at every channel: results, timeouts, the steps of `drain`.
    pub(super) fn service_channels(&mut self, now: Micros) {
        let summary = self.bus.read(HAINT);
        for c in 0..CHANNELS {
            match self.channels[c].state {
                State::Idle => {
                    // A second halt of a transfer already dealt with; as a
                    // level it would interrupt for ever.
                    if summary & 1 << c != 0 {
                        self.bus.write(hcint(c), HCINT_ALL);
                    }
                }
                State::Running => self.service_running(c, now),
                State::Backoff { until } => {
                    if summary & 1 << c != 0 {
                        self.bus.write(hcint(c), HCINT_ALL);
                    }
                    if now >= until {
                        self.go_on(c, now);
                    }
                }
                _ => self.drain_step(c, now),
            }
        }
    }

    fn service_running(&mut self, c: usize, now: Micros) {
        let mut bits = self.bus.read(hcint(c)) & HCINT_ALL;
        self.channels[c].nak_seen |= bits & HCINT_NAK != 0;
        if bits & (HCINT_HALTED | HCINT_AHB_ERROR) == 0 {
            if self.channels[c].timeout.is_some_and(|t| now >= t) {
                self.finish(c, now, Outcome::Failed(TransferError::Timeout));
            }
            return;
        }
        let enabled = self.bus.read(hcchar_reg(c)) & HCCHAR_ENABLE != 0;
        self.bus.write(hcint(c), bits);
        if enabled && bits & HCINT_AHB_ERROR == 0 {
            // A halt of the previous transfer, seen late: this one runs.
            self.stats.stale_halts = self.stats.stale_halts.wrapping_add(1);
            return;
        }
        if bits & HCINT_RESULT == 0 {
            // Nothing but the halt. If it was a late one and the channel
            // finished between the two reads above, the result is there now.
            let late = self.bus.read(hcint(c)) & HCINT_ALL;
            self.bus.write(hcint(c), late);
            bits |= late;
        }
        let size = self.bus.read(hctsiz(c));
        let outcome = self.decode(c, bits, size);
        self.finish(c, now, outcome);
    }

    /// The order of the tests is that in which the bits outrank each other.
    fn decode(&mut self, c: usize, bits: u32, size: u32) -> Outcome {
        if bits & HCINT_AHB_ERROR != 0 {
            return Outcome::Failed(TransferError::Bus);
        }
        if self.channels[c].transfer.split != 0 {
            return self.decode_split(c, bits, size);
        }
        let complete = self.account(c, bits, size);
        let stats = &mut self.stats;
        let ch = &mut self.channels[c];
        let interrupt = ch.transfer.is_interrupt();
        if bits & HCINT_COMPLETE != 0 {
            return Outcome::Done;
        }
        if bits & HCINT_STALL != 0 {
            return Outcome::Failed(TransferError::Stall);
        }
        if bits & HCINT_XACT_ERROR != 0 {
            stats.transaction_errors = stats.transaction_errors.wrapping_add(1);
            if bits & (HCINT_NAK | HCINT_ACK | HCINT_NYET) != 0 {
                ch.errors = 0;
            }
            ch.errors += 1;
            if ch.errors >= MAX_ERRORS {
                return Outcome::Failed(TransferError::Transaction);
            }
            return Outcome::Again { pause: ERROR_PAUSE };
        }
        if bits & HCINT_BABBLE != 0 {
            return Outcome::Failed(TransferError::Babble);
        }
        if bits & HCINT_FRAME_OVERRUN != 0 {
            return Outcome::Nothing;
        }
        if bits & HCINT_TOGGLE_ERROR != 0 {
            // The device repeated a packet whose ACK it missed. The core has
            // answered ACK and dropped it; what we want is next.
            stats.toggle_errors = stats.toggle_errors.wrapping_add(1);
            // The bus works.
            ch.errors = 0;
            ch.repeats += 1;
            if ch.repeats >= MAX_REPEATS {
                return Outcome::Failed(TransferError::Transaction);
            }
            return Outcome::Again { pause: 0 };
        }
        if bits & HCINT_NAK != 0 && interrupt {
            return Outcome::Nothing;
        }
        if complete {
            return Outcome::Done;
        }
        stats.empty_halts = stats.empty_halts.wrapping_add(1);
        ch.empty_halts += 1;
        if ch.empty_halts >= MAX_EMPTY_HALTS {
            return Outcome::Failed(TransferError::Transaction);
        }
        Outcome::Again { pause: 0 }
    }

    /// Adds up what the present programming moved, and sets the next PID.
    /// True if the counts say that the transfer is over.
    ///
    /// For a completed transfer the packets follow from the bytes, because
    /// QEMU does not count a zero-length packet in PktCnt. For one cut short
    /// PktCnt is right on both; an OUT's XferSize then is not, for it counts
    /// what the core fetched from memory, not what the device accepted.
    fn account(&mut self, c: usize, bits: u32, size: u32) -> bool {
        let left = size & HCTSIZ_SIZE;
        let packets_left = size >> HCTSIZ_PACKETS_SHIFT & HCTSIZ_PACKETS;
        let complete = bits & HCINT_COMPLETE != 0;
        let t = self.channels[c].transfer;
        let max_packet = t.max_packet();
        let counted = t.packets.saturating_sub(packets_left);
        let read = t.programmed.saturating_sub(left);
        let (bytes, packets) = match (complete, t.is_in()) {
            (true, true) if left == 0 => (read, t.packets),
            // The last one was short.
            (true, true) => (read, packets(read + 1, max_packet)),
            (true, false) => (t.programmed, t.packets),
            (false, true) => (read, counted),
            (false, false) => (counted.saturating_mul(max_packet).min(t.programmed), counted),
        };
        let core = size >> HCTSIZ_PID_SHIFT & 3;
        let pid = self.next_pid(t.pid, packets, core, complete);
        let ch = &mut self.channels[c];
        ch.transfer.pid = pid;
        ch.transfer.moved = t.moved.saturating_add(bytes);
        ch.transfer.ping = !t.is_in() && (size & HCTSIZ_PING != 0 || bits & HCINT_NYET != 0);
        if packets > 0 {
            ch.errors = 0;
            ch.repeats = 0;
            ch.empty_halts = 0;
        }
        let short = t.is_in() && bytes < packets.saturating_mul(max_packet);
        packets > 0 && (short || packets == t.packets)
    }

    /// The PID after `packets` packets that began with `pid`.
    ///
    /// Silicon writes the next PID back to HCTSIZ, and after an aborted
    /// transfer only that is reliable. QEMU never changes the field. So: count,
    /// until the core has been seen to change the field once; from then on
    /// believe the field, and count the disagreements. (QEMU never changes it,
    /// so there the count decides for ever. On silicon the two agree, and the
    /// first odd number of packets settles which of the two it is.)
    pub(super) fn next_pid(&mut self, pid: u32, packets: u32, core: u32, complete: bool) -> u32 {
        if pid == SETUP {
            return SETUP;
        }
        let counted = if packets & 1 == 1 { pid ^ DATA1 } else { pid };
        if core != pid && core & 1 == 0 {
            self.pid_written_back = true;
        }
        if !self.pid_written_back || core & 1 != 0 {
            return counted;
        }
        if complete && core != counted {
            self.stats.pid_disagreements = self.stats.pid_disagreements.wrapping_add(1);
        }
        core
    }

    /// Programs the rest, unless the time for it has passed.
    fn go_on(&mut self, c: usize, now: Micros) {
        if self.split_is_late(c) {
            self.finish(c, now, Outcome::Nothing);
        } else {
            self.program(c);
        }
    }

    /// Tells the owner, or goes on.
    fn finish(&mut self, c: usize, now: Micros, outcome: Outcome) {
        match outcome {
            Outcome::Again { pause } => {
                let ch = &mut self.channels[c];
                if ch.timeout.is_some_and(|t| now >= t) {
                    self.finish(c, now, Outcome::Failed(TransferError::Timeout));
                } else if pause == 0 {
                    self.go_on(c, now);
                } else {
                    ch.state = State::Backoff { until: now.saturating_add(pause) };
                }
            }
            Outcome::Done => {
                let owner = self.rest(c);
                match owner {
                    Owner::Control => self.control_stage_done(c, now),
                    Owner::Pipe(slot) => self.pipe_done(slot.into(), c, now),
                    Owner::Nobody => self.release(c),
                }
            }
            Outcome::Nothing => {
                let owner = self.rest(c);
                if let Owner::Pipe(slot) = owner {
                    self.pipe_nothing(slot.into(), c, now);
                }
            }
            Outcome::Failed(error) => {
                if error != TransferError::Stall {
                    self.note(now, Cause::Transfer(error), Some(c));
                }
                self.note_stale_split(c, error != TransferError::Stall);
                let owner = self.channels[c].owner;
                let stuck = matches!(error, TransferError::Timeout | TransferError::Bus);
                if stuck {
                    // Still enabled: the owner loses the channel.
                    self.drain(c, now);
                } else {
                    self.rest(c);
                }
                match owner {
                    Owner::Control => self.control_failed(c, error),
                    Owner::Pipe(slot) => self.pipe_failed(slot.into(), c, error),
                    Owner::Nobody => {}
                }
                if error == TransferError::Bus {
                    self.lose_device(now);
                }
            }
        }
    }

    /// A halted channel becomes idle; it stays its owner's.
    fn rest(&mut self, c: usize) -> Owner {
        self.silent &= !(1 << c);
        let ch = &mut self.channels[c];
        ch.state = State::Idle;
        ch.timeout = None;
        ch.owner
    }
}

/// Packets of `max_packet` bytes that hold so many bytes. Bulk and control
/// endpoints have powers of two, and ARM1176 has no divide instruction.
fn packets(bytes: u32, max_packet: u32) -> u32 {
    if max_packet.is_power_of_two() {
        (bytes + (max_packet - 1)) >> (31 - max_packet.leading_zeros())
    } else {
        bytes.div_ceil(max_packet)
    }
}

/// HCCHAR under a name that locals do not shadow.
fn hcchar_reg(c: usize) -> u32 {
    hcchar(c)
}
