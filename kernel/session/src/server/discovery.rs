//! Beacons and answers to HELLO (protocol sections 1.4 and 1.6).
//!
//! A board announces itself only while it is idle and has an address; in FAULT
//! it says so at once and then every 5 s; a kernel that found itself broken says
//! so three times before the board is reset. Periods are spread by a quarter both
//! ways so that boards switched on together do not speak together. Answers to
//! HELLO are limited to 20 a second in all, and those to a broadcast HELLO wait
//! up to 50 ms, so that a room full of boards does not answer at once. An
//! answer is never longer than what asked for it.

use heapless::Deque;
use sk_hal::Entropy;
use sk_wire::{Hello, State};

use crate::base::{Bucket, Destination, Endpoint, MS, Micros, SECOND, earliest};

/// Beacons sent at the faster pace after becoming idle.
const FAST: u32 = 10;
const FAST_PERIOD: Micros = SECOND;
const SLOW_PERIOD: Micros = 5 * SECOND;
/// Beacons that tell of a crash, and their period.
const LAST_WORDS: u32 = 3;
const LAST_WORDS_PERIOD: Micros = 50 * MS;
/// Longest wait before a broadcast HELLO is answered.
const SPREAD: Micros = 50 * MS;
/// Answers that can wait.
const WAITING: usize = 8;

#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) at: Micros,
    pub(super) to: Endpoint,
    pub(super) hello: Hello,
}

pub(super) struct Discovery {
    announces: Option<State>,
    next_beacon: Micros,
    beacons: u32,
    pub(super) sequence: u32,
    replies: Bucket,
    waiting: Deque<Waiting, WAITING>,
}

/// A fraction of `range`, at random; the middle when there is no randomness.
fn spread(range: Micros, entropy: &mut impl Entropy) -> Micros {
    let mut bytes = [0; 4];
    if !entropy.fill(&mut bytes) {
        return range / 2;
    }
    range.saturating_mul(Micros::from(u32::from_le_bytes(bytes))) >> 32
}

impl Discovery {
    pub(super) const fn new() -> Self {
        Discovery {
            announces: None,
            next_beacon: 0,
            beacons: 0,
            sequence: 0,
            // 16 + 4 in any one second: never more than 20.
            replies: Bucket::new(16, 4),
            waiting: Deque::new(),
        }
    }

    /// Takes note of what the board does; only IDLE, FAULT and PANIC are announced.
    pub(super) fn set_state(&mut self, now: Micros, state: State, address_valid: bool) {
        let announces = Some(state).filter(|state| {
            address_valid && matches!(state, State::Idle | State::Fault | State::Panic)
        });
        if announces != self.announces {
            self.announces = announces;
            self.next_beacon = now;
            self.beacons = if state == State::Fault { FAST } else { 0 };
        }
    }

    /// Takes in a HELLO; `false` = it will not be answered.
    pub(super) fn hello(
        &mut self,
        now: Micros,
        to: Endpoint,
        broadcast: bool,
        hello: Hello,
        entropy: &mut impl Entropy,
    ) -> bool {
        if self.waiting.is_full() || !self.replies.take(now) {
            return false;
        }
        let at = if broadcast { now + spread(SPREAD, entropy) } else { now };
        self.waiting.push_back(Waiting { at, to, hello }).is_ok()
    }

    /// The next HELLO whose answer is due.
    pub(super) fn due_reply(&mut self, now: Micros) -> Option<Waiting> {
        for _ in 0..self.waiting.len() {
            let waiting = self.waiting.pop_front()?;
            if waiting.at <= now {
                return Some(waiting);
            }
            // Cannot fail: one was just taken out.
            let _ = self.waiting.push_back(waiting);
        }
        None
    }

    /// Is a beacon due? If so, where to, and its number.
    pub(super) fn due_beacon(
        &mut self,
        now: Micros,
        entropy: &mut impl Entropy,
    ) -> Option<(Destination, u32)> {
        if self.announces.is_none() || now < self.next_beacon {
            return None;
        }
        if self.announces == Some(State::Panic) {
            return self.last_word(now);
        }
        self.beacons = self.beacons.saturating_add(1);
        let period = if self.beacons < FAST { FAST_PERIOD } else { SLOW_PERIOD };
        self.next_beacon = now + period - period / 4 + spread(period / 2, entropy);
        self.sequence = self.sequence.wrapping_add(1);
        Some((Destination::Broadcast, self.sequence))
    }

    /// The beacon of a board that is about to be reset: a few, soon, then none.
    fn last_word(&mut self, now: Micros) -> Option<(Destination, u32)> {
        if self.beacons >= LAST_WORDS {
            self.next_beacon = Micros::MAX;
            return None;
        }
        self.beacons += 1;
        self.next_beacon = now.saturating_add(LAST_WORDS_PERIOD);
        self.sequence = self.sequence.wrapping_add(1);
        Some((Destination::Broadcast, self.sequence))
    }

    pub(super) fn next_deadline(&self) -> Option<Micros> {
        let mut at = None;
        earliest(&mut at, self.announces.map(|_| self.next_beacon));
        earliest(&mut at, self.waiting.iter().map(|waiting| waiting.at).min());
        at
    }
}
