//! Fetching an output stream: the client asks, the board only answers.
//!
//! Most of a short output comes unasked beside an event. What is missing is
//! fetched in runs of chunks, the next run when half of the last has come; a
//! gap with three chunks beyond it counts as lost, and so does silence.

use sk_wire::control::{FETCH_MAX, Fetch};
use sk_wire::frames::{CHUNK, Object};

use super::inbox::Inbox;
use super::sender::Rtt;
use crate::base::{MS, Micros};

const CHUNK_U32: u32 = CHUNK as u32;
const PATIENCE_MAX: Micros = 400 * MS;

/// One output stream on its way.
pub(super) struct Download<const W: usize> {
    object: Object,
    pub(super) inbox: Inbox<W>,
    /// Bytes the board is known to have.
    pub(super) known: u32,
    /// End of what was asked for.
    asked: u32,
    /// The gap that was asked for again.
    mended: Option<u32>,
    last: Micros,
    tries: u32,
    window: u8,
}

impl<const W: usize> Download<W> {
    pub(super) fn new(object: Object) -> Self {
        Download {
            object,
            inbox: Inbox::new(),
            known: 0,
            asked: 0,
            mended: None,
            last: 0,
            tries: 0,
            window: 16,
        }
    }

    pub(super) fn knows(&mut self, len: u32) {
        self.known = self.known.max(len);
    }

    pub(super) const fn is_complete(&self) -> bool {
        self.inbox.front() >= self.known
    }

    /// What was asked for in another session will not come.
    pub(super) fn restart(&mut self) {
        self.asked = self.inbox.front();
    }

    pub(super) fn chunk(&mut self, now: Micros, offset: u32, bytes: &[u8]) {
        if let Some(end) = u32::try_from(bytes.len()).ok().and_then(|len| offset.checked_add(len)) {
            self.knows(end);
        }
        if self.inbox.put(offset, bytes) {
            self.last = now;
            self.tries = 0;
            if self.inbox.front() >= self.asked {
                self.window = (self.window + 1).min(FETCH_MAX);
            }
        }
    }

    const fn is_waiting(&self) -> bool {
        self.asked > self.inbox.front()
    }

    pub(super) fn next_deadline(&self, now: Micros, rtt: &Rtt) -> Option<Micros> {
        if self.is_complete() {
            return None;
        }
        if self.is_waiting() {
            return Some(self.last.saturating_add(rtt.probe(self.tries, PATIENCE_MAX)));
        }
        // A full window waits for its reader, not for time.
        (self.inbox.front() < self.inbox.limit()).then_some(now)
    }

    /// What to ask for now, if anything.
    pub(super) fn next(&mut self, now: Micros, rtt: &Rtt) -> Option<Fetch> {
        let front = self.inbox.front();
        if self.is_waiting() && now >= self.last.saturating_add(rtt.probe(self.tries, PATIENCE_MAX))
        {
            self.asked = front;
            self.tries = self.tries.saturating_add(1);
            self.window = (self.window / 2).max(1);
        }
        let mut end = self.known.min(self.inbox.limit());
        let mut from = self.asked.max(front);
        if let Some((start, bytes)) = self.inbox.beyond() {
            let stale = bytes >= 3 * CHUNK_U32 && self.mended != Some(front);
            if stale || !self.is_waiting() {
                self.mended = Some(front);
                (from, end) = (front, start.min(end));
            }
        }
        let run = u32::from(self.window) * CHUNK_U32;
        let ahead = from.saturating_sub(front);
        if from >= end || (from > front && ahead > run / 2) {
            return None;
        }
        let count = (end - from).div_ceil(CHUNK_U32).min(u32::from(self.window));
        self.asked = self.asked.max(from.saturating_add(count * CHUNK_U32).min(end));
        self.last = now;
        Some(Fetch {
            object: self.object as u8,
            offset: from,
            count: u8::try_from(count).unwrap_or(FETCH_MAX),
        })
    }
}
