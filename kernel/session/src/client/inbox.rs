//! Puts an output stream back in order.
//!
//! Chunks come at any offset, twice, or not at all. A window of bytes beyond
//! the last byte in order is kept; what is outside it is dropped and asked for
//! again. The digest runs over the bytes as they come in order.

use blake2::{Blake2s256, Digest as _};
use sk_wire::manifest::Digest;

/// Separate pieces beyond the last byte in order; more are dropped.
const PIECES: usize = 40;

/// One output stream with a window of `W` bytes.
pub(super) struct Inbox<const W: usize> {
    ring: [u8; W],
    /// First byte not handed out yet.
    taken: u32,
    /// First byte missing.
    front: u32,
    /// What there is beyond: disjoint, ascending, not touching.
    pieces: heapless::Vec<(u32, u32), PIECES>,
    hash: Blake2s256,
    /// Bytes the board had dropped before we could have them.
    pub(super) skipped: bool,
}

impl<const W: usize> Inbox<W> {
    pub(super) fn new() -> Self {
        Inbox {
            ring: [0; W],
            taken: 0,
            front: 0,
            pieces: heapless::Vec::new(),
            hash: Blake2s256::new(),
            skipped: false,
        }
    }

    /// First byte missing.
    pub(super) const fn front(&self) -> u32 {
        self.front
    }

    /// End of the window: bytes from here on cannot be kept.
    pub(super) fn limit(&self) -> u32 {
        self.taken.saturating_add(u32::try_from(W).unwrap_or(u32::MAX))
    }

    /// First byte that is there beyond a gap, and how many bytes there are
    /// beyond the gap in all.
    pub(super) fn beyond(&self) -> Option<(u32, u32)> {
        let (start, _) = self.pieces.first()?;
        Some((*start, self.pieces.iter().map(|(start, end)| end - start).sum()))
    }

    /// Takes in a chunk; `true` = some of it was new.
    pub(super) fn put(&mut self, offset: u32, bytes: &[u8]) -> bool {
        let Some(end) = u32::try_from(bytes.len()).ok().and_then(|len| offset.checked_add(len))
        else {
            return false;
        };
        let end = end.min(self.limit());
        let start = offset.max(self.front);
        if start >= end || !self.insert(start, end) {
            return false;
        }
        for at in start..end {
            let byte = bytes.get((at - offset) as usize).copied().unwrap_or(0);
            if let Some(place) = self.ring.get_mut(at as usize % W) {
                *place = byte;
            }
        }
        if let Some((first, stop)) =
            self.pieces.first().copied().filter(|(first, _)| *first == self.front)
        {
            self.pieces.remove(0);
            debug_assert_eq!(first, self.front);
            self.advance(stop);
        }
        true
    }

    fn advance(&mut self, to: u32) {
        let (from, upto) = (self.front as usize % W, to as usize % W);
        let parts = if self.front == to {
            [None, None]
        } else if from < upto {
            [self.ring.get(from..upto), None]
        } else {
            [self.ring.get(from..), self.ring.get(..upto)]
        };
        for part in parts.into_iter().flatten() {
            self.hash.update(part);
        }
        self.front = to;
    }

    /// Enters a range; `false` = nothing new in it, or no room to note it.
    fn insert(&mut self, mut start: u32, mut end: u32) -> bool {
        if self.pieces.iter().any(|(first, stop)| *first <= start && end <= *stop) {
            return false;
        }
        let (low, high) = (start, end);
        let touches = |piece: &(u32, u32)| piece.0 <= high && low <= piece.1;
        if self.pieces.is_full() && !self.pieces.iter().any(touches) {
            return false;
        }
        for (first, stop) in self.pieces.iter().copied().filter(touches) {
            start = start.min(first);
            end = end.max(stop);
        }
        self.pieces.retain(|piece| !touches(piece));
        let at =
            self.pieces.iter().position(|(first, _)| *first > start).unwrap_or(self.pieces.len());
        self.pieces.insert(at, (start, end)).is_ok()
    }

    /// The board no longer has bytes below `start`: goes on from there.
    pub(super) fn skip_to(&mut self, start: u32) {
        if start > self.front && self.taken == self.front {
            self.skipped = true;
            self.pieces.clear();
            (self.taken, self.front) = (start, start);
        }
    }

    /// Bytes in order that were not handed out yet?
    pub(super) const fn has_bytes(&self) -> bool {
        self.taken < self.front
    }

    /// Hands out bytes in order, each once.
    pub(super) fn take(&mut self) -> Option<&[u8]> {
        if !self.has_bytes() {
            return None;
        }
        let from = self.taken as usize % W;
        let len = (self.front - self.taken) as usize;
        let bytes = self.ring.get(from..(from + len).min(W))?;
        self.taken = self.taken.saturating_add(u32::try_from(bytes.len()).ok()?);
        Some(bytes)
    }

    /// Digest of all bytes in order.
    pub(super) fn digest(&self) -> Digest {
        self.hash.clone().finalize().into()
    }
}
