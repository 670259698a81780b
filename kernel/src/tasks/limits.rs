//! How long a payload may go on: time, processor time, signs of life, and being
//! asked to stop.
//!
//! Looked at whenever a turn begins or ends, so once a tick at least. Wall time
//! counts from the first instruction, whatever happens. Processor time is what
//! passes while the payload or a service on its behalf has the processor; a
//! payload that waits, and what the kernel does for others, is left out.

use super::Tasks;
use sk_abi::Status;
use sk_hal::{Clock, Micros};

/// A payload that is told to stop may go on for so long.
pub(super) const GRACE: Micros = 5_000;
/// `task.should_stop` is 1 for so long before the deadline, or for a tenth of
/// the time allowed if that is less.
const LAST_CALL: Micros = 100_000;

/// It was told to stop.
#[derive(Clone, Copy)]
pub(super) struct Stop {
    pub(super) why: Status,
    pub(super) asked: Micros,
    by: Micros,
}

const fn us(ms: u32) -> Micros {
    ms as Micros * 1000
}

/// The clocks of one run. Looked at in every turn, so what can be known before
/// is: a turn that is not the last compares twice.
pub(super) struct Clocks {
    pub(super) started: Micros,
    pub(super) deadline: Micros,
    /// Processor time, and how much of it there may be.
    pub(super) cpu_us: u64,
    cpu_most: u64,
    /// The present turn counts as processor time since then.
    on_cpu: Option<Micros>,
    /// Longest time without a sign of life; 0 = none is asked for.
    silence: Micros,
    /// Signs of life seen, and when the last was.
    beats: u32,
    beaten: Micros,
    pub(super) stop: Option<Stop>,
    /// `task.should_stop` becomes 1 then; never, once it has.
    last_call: Micros,
    /// The earliest end by anything but processor time.
    pub(super) limit: Micros,
}

impl Clocks {
    pub(super) const STOPPED: Self = Self {
        started: 0,
        deadline: 0,
        cpu_us: 0,
        cpu_most: u64::MAX,
        on_cpu: None,
        silence: 0,
        beats: 0,
        beaten: 0,
        stop: None,
        last_call: Micros::MAX,
        limit: 0,
    };

    /// From `now` on; limits in milliseconds, 0 = none but for `wall`.
    pub(super) fn start(now: Micros, wall: u32, cpu: u32, silence: u32) -> Self {
        let deadline = now.saturating_add(us(wall));
        let mut clocks = Self {
            started: now,
            deadline,
            cpu_most: if cpu == 0 { u64::MAX } else { us(cpu) },
            silence: us(silence),
            beaten: now,
            last_call: deadline - (us(wall) / 10).min(LAST_CALL),
            ..Self::STOPPED
        };
        clocks.set_limit();
        clocks
    }

    fn set_limit(&mut self) {
        let beat =
            if self.silence == 0 { Micros::MAX } else { self.beaten.saturating_add(self.silence) };
        let stop = self.stop.map_or(Micros::MAX, |stop| stop.by);
        self.limit = self.deadline.min(beat).min(stop);
    }

    /// It is told to stop.
    pub(super) fn stop(&mut self, why: Status, now: Micros) {
        self.stop = Some(Stop { why, asked: now, by: now.saturating_add(GRACE) });
        self.set_limit();
    }

    /// A turn begins.
    pub(super) fn resume(&mut self, now: Micros) {
        self.on_cpu = Some(now);
    }

    /// The present turn is over: what it took is processor time.
    pub(super) fn charge(&mut self, now: Micros) {
        if let Some(since) = self.on_cpu.take() {
            self.cpu_us += now.saturating_sub(since);
        }
    }

    /// Why the payload must be ended now, if it must; between turns.
    fn judge(&self, now: Micros) -> Option<Status> {
        match self.stop {
            Some(stop) if now >= stop.by => Some(stop.why),
            _ if now >= self.deadline => Some(Status::WALL_DEADLINE),
            _ if self.cpu_us >= self.cpu_most => Some(Status::CPU_LIMIT),
            _ if now >= self.limit => Some(Status::HEARTBEAT),
            _ => None,
        }
    }
}

impl<K: Clock + Copy> Tasks<K> {
    /// Why it must be ended now, if it must. Between turns.
    pub(super) fn overdue(&mut self, now: Micros) -> Option<Status> {
        if self.clocks.silence != 0 {
            let beats = self.streams.beats();
            if beats != self.clocks.beats {
                (self.clocks.beats, self.clocks.beaten) = (beats, now);
                self.clocks.set_limit();
            }
        }
        if now >= self.clocks.last_call {
            self.clocks.last_call = Micros::MAX;
            self.streams.request_stop();
        }
        let clocks = &self.clocks;
        if now < clocks.limit && clocks.cpu_us < clocks.cpu_most { None } else { clocks.judge(now) }
    }

    /// When it must be looked at, besides every tick: to be a tick late with the
    /// processor time is good enough.
    pub fn next_look(&self) -> Micros {
        self.clocks.limit
    }
}
