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

impl Stop {
    pub(super) const fn new(why: Status, now: Micros) -> Self {
        Self { why, asked: now, by: now.saturating_add(GRACE) }
    }
}

const fn us(ms: u32) -> Micros {
    ms as Micros * 1000
}

impl<K: Clock + Copy> Tasks<K> {
    /// Time begins to count.
    pub(super) fn start_clocks(&mut self, now: Micros) {
        let most = self.facts.wall_ms_max;
        let wall = if self.wall_ms == 0 { most } else { self.wall_ms.min(most) };
        self.started = now;
        self.deadline = now.saturating_add(us(wall));
        self.last_call = self.deadline - (us(wall) / 10).min(LAST_CALL);
        (self.on_cpu, self.cpu_us) = (None, 0);
        (self.beats, self.beaten) = (0, now);
        self.stop = None;
    }

    /// The present turn is over: what it took is processor time.
    pub(super) fn charge(&mut self, now: Micros) {
        if let Some(since) = self.on_cpu.take() {
            self.cpu_us += now.saturating_sub(since);
        }
    }

    /// Why it must be ended now, if it must. Between turns.
    pub(super) fn overdue(&mut self, now: Micros) -> Option<Status> {
        let beats = self.streams.beats();
        if beats != self.beats {
            (self.beats, self.beaten) = (beats, now);
        }
        if now >= self.last_call {
            self.streams.request_stop();
        }
        let silent = us(self.heartbeat_ms);
        match self.stop {
            Some(stop) if now >= stop.by => Some(stop.why),
            _ if now >= self.deadline => Some(Status::WALL_DEADLINE),
            _ if self.cpu_ms != 0 && self.cpu_us >= us(self.cpu_ms) => Some(Status::CPU_LIMIT),
            _ if silent != 0 && now >= self.beaten + silent => Some(Status::HEARTBEAT),
            _ => None,
        }
    }

    /// When it must be looked at again, whether it waits or not.
    pub(super) fn limit(&self) -> Micros {
        let silent = us(self.heartbeat_ms);
        let beat = if silent == 0 { Micros::MAX } else { self.beaten + silent };
        self.deadline.min(beat).min(self.stop.map_or(Micros::MAX, |stop| stop.by))
    }

    /// When it must be looked at again, if it runs from `now` on.
    pub fn next_look(&self, now: Micros) -> Micros {
        let cpu = match self.cpu_ms {
            0 => Micros::MAX,
            ms => now.saturating_add(us(ms).saturating_sub(self.cpu_us)),
        };
        self.limit().min(cpu)
    }
}
