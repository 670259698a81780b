//! The replay window of RFC 6479: a ring of words instead of a shifted bitmap.
//!
//! Moving the window forward clears whole words and never shifts bits. One
//! word is always being overwritten, so of 1024 bits [`WINDOW`] = 992 are
//! behind the newest counter.

const WORDS: usize = 32;
const WORD_BITS: u64 = u32::BITS as u64;

/// How far behind the newest counter (itself included) one is still accepted.
pub const WINDOW: u64 = (WORDS as u64 - 1) * WORD_BITS;

/// Which counters were received. Says nothing about who sent them: call
/// [`ReplayWindow::accept`] only after the tag was verified.
#[derive(Clone, Debug)]
pub struct ReplayWindow {
    /// One more than the highest counter accepted.
    next: u64,
    words: [u32; WORDS],
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self::new()
    }
}

/// `(index of the word in the ring, bit in the word)`.
const fn place(counter: u64) -> (usize, u32) {
    let bit = 1 << (counter % WORD_BITS);
    ((counter / WORD_BITS % WORDS as u64) as usize, bit)
}

impl ReplayWindow {
    /// Nothing received.
    #[must_use]
    pub const fn new() -> Self {
        Self { next: 0, words: [0; WORDS] }
    }

    /// One more than the highest counter accepted; 0 at first.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Whether `counter` may be accepted: neither seen nor too old. 2^64 - 1 is
    /// never accepted; Noise reserves it (rev. 34, 5.1).
    #[must_use]
    pub fn is_fresh(&self, counter: u64) -> bool {
        if counter >= self.next {
            return counter != u64::MAX;
        }
        let (word, bit) = place(counter);
        self.next - counter <= WINDOW && self.words.get(word).is_some_and(|word| word & bit == 0)
    }

    /// Marks `counter` as received; `false` (and no change) if it is not fresh.
    pub fn accept(&mut self, counter: u64) -> bool {
        if !self.is_fresh(counter) {
            return false;
        }
        if counter >= self.next {
            // The word of the old highest counter stays; those after it, up to
            // the new one's, hold bits from a lap ago.
            let old = self.next.saturating_sub(1) / WORD_BITS;
            let new = counter / WORD_BITS;
            for lap_word in (old + 1..=new).rev().take(WORDS) {
                let (word, _) = place(lap_word * WORD_BITS);
                if let Some(word) = self.words.get_mut(word) {
                    *word = 0;
                }
            }
            self.next = counter + 1;
        }
        let (word, bit) = place(counter);
        if let Some(word) = self.words.get_mut(word) {
            *word |= bit;
        }
        true
    }
}
