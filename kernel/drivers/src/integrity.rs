//! Has memory that nobody writes been written? A patrol that re-sums it.
//!
//! Code, constants and the kernel's page tables do not change while no payload
//! is there. Summed at boot, and again and again in small steps, they tell of a
//! stray pointer, of DMA gone astray, of a payload that ran without the shield,
//! or of a flipped bit. It is a check against accidents: what can write the
//! kernel's memory on purpose could change the sums as well.
//!
//! The sum is rotated and added to, a word at a time, and multiplied by an odd
//! number after every eight. That is one instruction a word on this core, whose
//! adder has a rotation in front: a pass over 350 KB costs some 150,000
//! instructions, where BLAKE2s takes ten million and CRC-32 with a table half a
//! million. Each step is a bijection of the sum and of the word, so a change of
//! one word, of one bit of it or of all, is always seen; more than that with
//! the odds of 32 bits.

/// Words after which the sum is multiplied.
const BLOCK: usize = 8;
/// Odd, and far from any power of two (Knuth, TAOCP 6.4: the golden ratio).
const FACTOR: u32 = 0x9E37_79B1;

/// A running sum over words.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sum(u32);

impl Sum {
    /// Over nothing.
    #[must_use]
    pub const fn new() -> Self {
        // Not zero: memory full of zeros has a sum that tells its length.
        Self(1)
    }

    /// Adds words in order. The sum depends on where they were cut, unless that
    /// is at a multiple of eight.
    pub fn add(&mut self, words: &[u32]) {
        let mut sum = self.0;
        let add = |sum: u32, word: u32| sum.rotate_left(1).wrapping_add(word);
        let (blocks, rest) = words.as_chunks::<BLOCK>();
        for &[a, b, c, d, e, f, g, h] in blocks {
            // Written out: built for size, the compiler would make a loop of it.
            sum = add(add(add(add(sum, a), b), c), d);
            sum = add(add(add(add(sum, e), f), g), h).wrapping_mul(FACTOR);
        }
        for &word in rest {
            sum = add(sum, word);
        }
        self.0 = sum;
    }

    /// The sum.
    #[must_use]
    pub const fn value(&self) -> u32 {
        self.0
    }
}

/// What a step of the patrol came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// So far so good; the pass is not over.
    Nothing,
    /// A pass is over, and everything is as it was at the first.
    Whole,
    /// This area is not what it was.
    Changed(usize),
}

/// The next piece to be read: words `start .. start + len` of an area.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Which area.
    pub area: usize,
    /// First word.
    pub start: usize,
    /// How many; 0 only if there is no area.
    pub len: usize,
}

/// Walks over `N` areas, a piece at a time. The first pass is what later ones
/// are compared with.
#[derive(Clone, Debug)]
pub struct Patrol<const N: usize> {
    /// Their lengths in words.
    lengths: [usize; N],
    known: [Option<Sum>; N],
    area: usize,
    at: usize,
    sum: Sum,
}

impl<const N: usize> Patrol<N> {
    /// Over areas of these lengths, in words.
    #[must_use]
    pub const fn new(lengths: [usize; N]) -> Self {
        Self { lengths, known: [None; N], area: 0, at: 0, sum: Sum::new() }
    }

    /// Back to the start of the pass, when what was summed so far may have
    /// changed for good reason. What is known stays known.
    pub const fn restart(&mut self) {
        (self.area, self.at, self.sum) = (0, 0, Sum::new());
    }

    /// Is this the first piece of a pass?
    #[must_use]
    pub const fn is_at_start(&self) -> bool {
        self.area == 0 && self.at == 0
    }

    /// What [`Patrol::take`] is to be given next, all of it: `words` or fewer,
    /// rounded to a multiple of eight.
    #[must_use]
    pub fn next(&self, words: usize) -> Piece {
        let words = (words & !(BLOCK - 1)).max(BLOCK);
        let left = self.lengths.get(self.area).map_or(0, |len| len.saturating_sub(self.at));
        Piece { area: self.area, start: self.at, len: left.min(words) }
    }

    /// Takes the words of the next piece.
    pub fn take(&mut self, words: &[u32]) -> Found {
        self.sum.add(words);
        self.at = self.at.saturating_add(words.len());
        if self.lengths.get(self.area).is_some_and(|&len| self.at < len) {
            return Found::Nothing;
        }
        let area = self.area;
        let sum = core::mem::replace(&mut self.sum, Sum::new());
        (self.area, self.at) = (area + 1, 0);
        if self.area >= N {
            self.area = 0;
        }
        match self.known.get_mut(area) {
            Some(Some(known)) if *known != sum => return Found::Changed(area),
            Some(known) => *known = Some(sum),
            None => {}
        }
        if self.area == 0 { Found::Whole } else { Found::Nothing }
    }
}
