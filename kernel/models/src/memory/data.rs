//! The lines of a buffer, and the write buffer.

use super::{LINE, Line};
use std::collections::VecDeque;

const LEN: usize = LINE as usize;

/// What the data cache holds of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cached {
    /// Nothing.
    No,
    /// What memory held when it was read in or written back.
    Clean(Line),
    /// Stores that are nowhere else.
    Dirty(Line),
}

/// A range of memory that software knows as one slice.
pub(super) struct Region {
    /// What bus masters, table walks and instruction fetches see.
    pub(super) memory: Vec<u8>,
    /// What the slice held when it was last seen; `None` before that.
    shown: Option<Vec<u8>>,
    lines: Vec<Cached>,
    /// Cleaned or discarded and not invalidated since, by line.
    lent: Vec<bool>,
    /// Where the slice is, to find the region by it.
    host: Option<usize>,
}

impl Region {
    pub(super) fn new(len: usize, slice: Option<&[u8]>) -> Self {
        let lines = len / LEN;
        Self {
            // Nothing like what the CPU has stored.
            memory: vec![0xDB; len],
            shown: None,
            lines: vec![Cached::No; lines],
            lent: vec![false; lines],
            host: slice.map(|slice| slice.as_ptr() as usize),
        }
    }

    /// Where in the region `slice` is, if it is.
    pub(super) fn place_of(&self, slice: &[u8]) -> Option<usize> {
        let at = (slice.as_ptr() as usize).checked_sub(self.host?)?;
        (at + slice.len() <= self.memory.len()).then_some(at)
    }

    pub(super) fn lines(&self) -> usize {
        self.lines.len()
    }

    pub(super) fn line(&mut self, n: usize) -> &mut Cached {
        &mut self.lines[n]
    }

    pub(super) fn lend(&mut self, n: usize, lent: bool) {
        self.lent[n] = lent;
    }

    pub(super) fn is_lent(&self, at: usize, len: usize) -> bool {
        len == 0 || self.lent[at / LEN..=(at + len - 1) / LEN].iter().all(|&lent| lent)
    }

    /// The bytes of line `n` in memory.
    pub(super) fn in_memory(&self, n: usize) -> Line {
        self.memory[n * LEN..][..LEN].try_into().expect("a line")
    }

    pub(super) fn store_in_memory(&mut self, n: usize, bytes: &Line) {
        self.memory[n * LEN..][..LEN].copy_from_slice(bytes);
    }

    /// The lines of `at .. at + now.len()` that were stored to since the slice
    /// was last shown, with the bytes stored; those are shown from now on.
    pub(super) fn stored(&mut self, at: usize, now: &[u8]) -> Vec<(usize, usize, Vec<u8>)> {
        let mut found = Vec::new();
        let mut from = at;
        while from < at + now.len() {
            let to = ((from / LEN + 1) * LEN).min(at + now.len());
            let bytes = &now[from - at..to - at];
            if self.shown.as_ref().is_none_or(|shown| shown[from..to] != *bytes) {
                found.push((from / LEN, from % LEN, bytes.to_vec()));
            }
            from = to;
        }
        self.show(at, now);
        found
    }

    /// The slice holds `now` at `at`.
    pub(super) fn show(&mut self, at: usize, now: &[u8]) {
        if self.shown.is_none() && now.len() < self.memory.len() {
            // The rest is unseen, and is like nothing that will be seen there.
            let mut unlike = self.memory.clone();
            unlike.iter_mut().for_each(|byte| *byte ^= 0xA5);
            self.shown = Some(unlike);
        }
        let shown = self.shown.get_or_insert_with(|| now.to_vec());
        shown[at..at + now.len()].copy_from_slice(now);
    }
}

/// Lines on their way to memory, oldest first.
#[derive(Default)]
pub(super) struct Writes(VecDeque<(u32, Line)>);

impl Writes {
    pub(super) fn push(&mut self, line: u32, bytes: Line) {
        self.0.push_back((line, bytes));
    }

    pub(super) fn pop(&mut self) -> Option<(u32, Line)> {
        self.0.pop_front()
    }

    /// What a load finds of a line that is on its way.
    pub(super) fn forward(&self, line: u32) -> Option<Line> {
        self.0.iter().rev().find(|(at, _)| *at == line).map(|(_, bytes)| *bytes)
    }
}
