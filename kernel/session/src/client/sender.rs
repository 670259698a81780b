//! The sending end of an upload (protocol section 1.10): window, loss, timers.
//!
//! A chunk is known by the counter of the DATA that carried it last. An ACK
//! says which chunks are there and the highest counter seen, so a chunk is lost
//! when something sent three datagrams later has arrived and it has not
//! (RFC 9002, 6.1.1). The window starts at 16 and grows by one a round trip; a
//! loss halves it, once for all that were sent before it was noticed (RFC 9002,
//! 7.3.2), as RFC 8085 demands of bulk UDP.

use heapless::{Deque, Vec};
use sk_wire::frames::{ACK_SPAN, Ack, CHUNK, Object};

use crate::base::{MS, Micros};
use crate::upload::chunks;

/// Datagrams in flight, at most.
pub(super) const WINDOW_MAX: usize = 64;
const WINDOW_START: u32 = 16;
const WINDOW_MIN: u32 = 2;
/// Later datagrams that make one count as lost.
const REORDER: u64 = 3;
const PROBE_MIN: Micros = 20 * MS;
const PROBE_MAX: Micros = 160 * MS;

/// Round trip times, smoothed as in RFC 9002, 5.3.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rtt {
    smoothed: Option<Micros>,
}

impl Rtt {
    pub(super) const fn new() -> Self {
        Rtt { smoothed: None }
    }

    pub(super) fn sample(&mut self, rtt: Micros) {
        self.smoothed = Some(self.smoothed.map_or(rtt, |old| (old * 7 + rtt) / 8));
    }

    /// Time after which silence is suspicious; doubles with `tries`.
    pub(super) fn probe(&self, tries: u32, max: Micros) -> Micros {
        let base = (self.smoothed.unwrap_or(50 * MS) * 3).max(PROBE_MIN);
        // A path slower than the cap must not be probed faster than it answers.
        (base << tries.min(8)).min(max.max(base))
    }
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    piece: Piece,
    counter: u64,
    at: Micros,
}

/// A chunk of image (0) or input (1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    pub(super) object: Object,
    pub(super) index: u32,
}

impl Piece {
    /// Its place in the object.
    pub(super) const fn range(self) -> core::ops::Range<usize> {
        let start = self.index as usize * CHUNK;
        start..start + CHUNK
    }
}

/// State of the upload of both objects.
#[derive(Debug)]
pub(super) struct Sender {
    counts: [u32; 2],
    bases: [u32; 2],
    next: [u32; 2],
    in_flight: Vec<Sent, WINDOW_MAX>,
    lost: Deque<Piece, WINDOW_MAX>,
    window: u32,
    grown: u32,
    credit: u32,
    /// Losses of datagrams below this counter were already answered for.
    recovery: u64,
    last: Micros,
    probes: u32,
    pub(super) retransmitted: u32,
}

const fn place(object: Object) -> usize {
    if matches!(object, Object::Image) { 0 } else { 1 }
}

impl Sender {
    pub(super) fn new(image: usize, input: usize) -> Self {
        let count = |len| chunks(u32::try_from(len).unwrap_or(u32::MAX));
        Sender {
            counts: [count(image), count(input)],
            bases: [0; 2],
            next: [0; 2],
            in_flight: Vec::new(),
            lost: Deque::new(),
            window: WINDOW_START,
            grown: 0,
            credit: 32,
            recovery: 0,
            last: 0,
            probes: 0,
            retransmitted: 0,
        }
    }

    /// Everything sent before counts as lost: another session is used now.
    pub(super) fn restart(&mut self) {
        self.in_flight.clear();
        self.lost.clear();
        self.next = self.bases;
        self.recovery = 0;
    }

    pub(super) fn set_credit(&mut self, credit: u16) {
        self.credit = u32::from(credit).max(1);
    }

    pub(super) fn total(&self) -> u32 {
        self.counts.iter().sum()
    }

    /// Chunks acknowledged in order.
    pub(super) fn done(&self) -> u32 {
        self.bases.iter().sum()
    }

    pub(super) fn is_complete(&self) -> bool {
        self.bases == self.counts
    }

    /// The chunk to be sent next, if the window allows one.
    pub(super) fn peek(&self) -> Option<Piece> {
        let limit = self.window.min(self.credit).min(u32::try_from(WINDOW_MAX).unwrap_or(u32::MAX));
        if self.in_flight.len() >= limit as usize {
            return None;
        }
        if let Some(piece) = self.lost.front() {
            return Some(*piece);
        }
        [Object::Image, Object::Input].into_iter().find_map(|object| {
            let at = place(object);
            let (next, base, count) =
                (*self.next.get(at)?, *self.bases.get(at)?, *self.counts.get(at)?);
            // Farther ahead an ACK could not speak of it.
            let span = u32::try_from(ACK_SPAN).unwrap_or(u32::MAX);
            (next < count && next - base < span).then_some(Piece { object, index: next })
        })
    }

    /// The chunk of the last [`Sender::peek`] went out in datagram `counter`.
    pub(super) fn sent(&mut self, now: Micros, piece: Piece, counter: u64) {
        if self.lost.front() == Some(&piece) {
            self.lost.pop_front();
            self.retransmitted = self.retransmitted.saturating_add(1);
        } else if let Some(next) = self.next.get_mut(place(piece.object)) {
            *next = (*next).max(piece.index + 1);
        }
        // Cannot fail: `peek` has seen to it.
        let _ = self.in_flight.push(Sent { piece, counter, at: now });
        self.last = now;
    }

    /// Takes in an ACK; a sample of the round trip time may come of it.
    pub(super) fn acked(&mut self, now: Micros, ack: &Ack<'_>) -> Option<Micros> {
        self.set_credit(ack.credit);
        let object = sk_wire::frames::Object::new(ack.object)?;
        let at = place(object);
        let (base, count) = (self.bases.get_mut(at)?, *self.counts.get(at)?);
        *base = (*base).max(ack.base.min(count));
        let (mut newest, mut arrived, mut lost_counter) = (None::<Sent>, 0, None);
        let base = *base;
        let has =
            |piece: Piece| piece.object == object && (piece.index < base || ack.has(piece.index));
        let mut lost: Vec<Piece, WINDOW_MAX> = Vec::new();
        self.in_flight.retain(|sent| {
            if has(sent.piece) {
                arrived += 1;
                if newest.is_none_or(|newest| newest.counter < sent.counter) {
                    newest = Some(*sent);
                }
                return false;
            }
            // Only of the object this ACK speaks of is it known what is missing.
            let gone = sent.piece.object == object && sent.counter + REORDER <= ack.highest;
            if gone {
                lost_counter = lost_counter.max(Some(sent.counter));
                // As many places as there are in flight.
                let _ = lost.push(sent.piece);
            }
            !gone
        });
        for _ in 0..self.lost.len() {
            if let Some(piece) = self.lost.pop_front().filter(|piece| !has(*piece)) {
                let _ = self.lost.push_back(piece);
            }
        }
        for piece in lost {
            self.lose(piece);
        }
        if arrived > 0 {
            self.probes = 0;
            self.last = now;
            self.grown += arrived;
            if self.grown >= self.window {
                self.grown = 0;
                self.window = (self.window + 1).min(u32::try_from(WINDOW_MAX).unwrap_or(u32::MAX));
            }
        }
        if lost_counter.is_some_and(|counter| counter >= self.recovery) {
            self.recovery = ack.highest.saturating_add(1);
            self.shrink();
        }
        newest.map(|newest| now.saturating_sub(newest.at))
    }

    fn shrink(&mut self) {
        self.window = (self.window / 2).max(WINDOW_MIN);
        self.grown = 0;
    }

    fn lose(&mut self, piece: Piece) {
        if self.lost.push_back(piece).is_err()
            && let Some(next) = self.next.get_mut(place(piece.object))
        {
            // No room to remember it: go back to it.
            *next = (*next).min(piece.index);
        }
    }

    /// When silence becomes suspicious.
    pub(super) fn deadline(&self, rtt: &Rtt) -> Option<Micros> {
        let oldest = self.in_flight.first()?;
        Some(self.last.max(oldest.at).saturating_add(rtt.probe(self.probes, PROBE_MAX)))
    }

    /// Sends the two oldest again if nothing was heard for too long.
    pub(super) fn poll(&mut self, now: Micros, rtt: &Rtt) {
        if self.deadline(rtt).is_none_or(|deadline| now < deadline) {
            return;
        }
        self.probes = self.probes.saturating_add(1);
        self.last = now;
        for _ in 0..2 {
            if !self.in_flight.is_empty() {
                let oldest = self.in_flight.remove(0);
                self.lose(oldest.piece);
            }
        }
        if self.probes >= 2 {
            self.shrink();
        }
    }
}
