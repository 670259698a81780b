//! Start-up tests of the seed words, after NIST SP 800-90B section 4.4.
//!
//! The claim tested is modest, because no vendor data backs a better one: half
//! a bit of entropy per bit, 1024 bits in a seed of which 256 are needed.
//! Cut-offs of the proportion and repetition tests are for a false alarm once
//! in 2^30 starts of a source that just meets the claim. The tests of whole
//! words alarm once in some 20 million starts of a perfect source, so a caller
//! may try once more before it believes them.

use super::{SEED_WORDS, Seed};

/// What is wrong with the words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Defect {
    /// A word of all zeros.
    AllZero,
    /// A word of all ones.
    AllOne,
    /// The same word twice in a row.
    StuckWord,
    /// Repetition count test: the same byte [`REPEATED_BYTES`] times in a row.
    Repetition,
    /// Adaptive proportion test over bytes: one value too often.
    ByteProportion,
    /// Adaptive proportion test over bits: one value too often.
    BitProportion,
}

/// 1 + ceil(30 / H), H = 4 bits per byte.
const REPEATED_BYTES: u32 = 9;
/// Bytes of the whole seed, one window: P(X >= 45) <= 2^-30 for 1/16 each.
const BYTE_CUTOFF: u32 = 45;
/// Bits per window.
const BIT_WINDOW: usize = 1024;
/// P(X >= 810) <= 2^-30 for 2^-0.5 each.
const BIT_CUTOFF: u32 = 810;

/// Tests a seed.
///
/// # Errors
/// The first [`Defect`] found.
pub fn check(seed: &Seed) -> Result<(), Defect> {
    if seed.contains(&0) {
        return Err(Defect::AllZero);
    }
    if seed.contains(&u32::MAX) {
        return Err(Defect::AllOne);
    }
    if seed.iter().zip(seed.iter().skip(1)).any(|(a, b)| a == b) {
        return Err(Defect::StuckWord);
    }
    bytes(seed)?;
    bits(seed)
}

fn bytes(seed: &Seed) -> Result<(), Defect> {
    let all = || seed.iter().flat_map(|w| w.to_le_bytes());
    let mut last = None;
    let mut run = 0;
    for byte in all() {
        run = if last == Some(byte) { run + 1 } else { 1 };
        last = Some(byte);
        if run >= REPEATED_BYTES {
            return Err(Defect::Repetition);
        }
    }
    // The standard counts the window's first value only; with one window a
    // favoured value must not get away by not being first, so all are counted.
    let mut counts = [0u32; 256];
    for byte in all() {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    if counts.iter().any(|c| *c >= BYTE_CUTOFF) { Err(Defect::ByteProportion) } else { Ok(()) }
}

fn bits(seed: &Seed) -> Result<(), Defect> {
    const _: () = assert!((SEED_WORDS * 32).is_multiple_of(BIT_WINDOW));
    for window in seed.chunks_exact(BIT_WINDOW / 32) {
        let ones: u32 = window.iter().map(|w| w.count_ones()).sum();
        if ones.max(BIT_WINDOW as u32 - ones) >= BIT_CUTOFF {
            return Err(Defect::BitProportion);
        }
    }
    Ok(())
}
