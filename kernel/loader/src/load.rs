//! Carrying a plan out, a bounded step at a time.
//!
//! The order is that of the ARM1176 TRM for code that was written as data:
//! copy, clean the data cache, invalidate the instruction cache. The text is
//! made visible piece by piece, so no step is longer than its budget.

use crate::{Field, Layout, Part, Plan, Refusal, RelocCursor};
use sk_abi::Status;
use sk_hal::CacheOps;

/// The memory of one task, by address.
pub trait TaskMemory {
    /// The bytes at `at .. at + len`, to be written by the kernel whatever the
    /// payload may do there; `None` outside the task's region.
    fn bytes(&mut self, at: u32, len: u32) -> Option<&mut [u8]>;
}

/// How far a [`Load`] is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Call again.
    More,
    /// The task can be entered.
    Done,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Offset in the text's pages.
    Text(u32),
    /// Offset in the data's pages (data, bss, rest of the last page).
    Data(u32),
    Relocs(RelocCursor),
    /// Offset in the stack.
    Stack(u32),
    Done,
}

/// A loading in progress. Holds no reference to the image or the memory, so it
/// can be kept from one slot of the executive to the next.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    phase: Phase,
}

/// What one relocation costs of a budget, in bytes of copying.
const RELOC_COST: u32 = 16;

impl Default for Load {
    fn default() -> Self {
        Self::new()
    }
}

impl Load {
    /// Nothing done yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { phase: Phase::Text(0) }
    }

    /// Does work worth about `budget` bytes of copying (at least one piece).
    /// `plan` and `layout` are the same at every call.
    ///
    /// # Errors
    /// A relocation that is malformed or out of range, or memory that is not
    /// there. The task's memory is then half written and must be scrubbed.
    pub fn step(
        &mut self,
        plan: &Plan<'_>,
        layout: &Layout,
        memory: &mut impl TaskMemory,
        cache: &impl CacheOps,
        budget: u32,
    ) -> Result<Progress, Refusal> {
        let mut left = budget.max(RELOC_COST);
        loop {
            let (cost, next) = match self.phase {
                Phase::Done => return Ok(Progress::Done),
                Phase::Text(at) => {
                    let area = layout.area(Part::Text);
                    let len = left.min(area.mapped.saturating_sub(at));
                    let piece = bytes(memory, area.start, at, len, Field::Text)?;
                    copy(plan.text, at, piece);
                    cache.sync_code(piece);
                    let next = if at + len == area.mapped {
                        Phase::Data(0)
                    } else {
                        Phase::Text(at + len)
                    };
                    (len, next)
                }
                Phase::Data(at) => {
                    let area = layout.area(Part::Data);
                    let len = left.min(area.mapped.saturating_sub(at));
                    copy(plan.data, at, bytes(memory, area.start, at, len, Field::Data)?);
                    let next = if at + len == area.mapped {
                        Phase::Relocs(RelocCursor::new(plan))
                    } else {
                        Phase::Data(at + len)
                    };
                    (len, next)
                }
                Phase::Relocs(mut cursor) => match cursor.next(plan)? {
                    Some(off) => {
                        let word = bytes(memory, layout.data_start, off, 4, Field::Relocs)?;
                        add(word, layout.area(Part::Text).start)?;
                        (RELOC_COST, Phase::Relocs(cursor))
                    }
                    None => (0, Phase::Stack(0)),
                },
                Phase::Stack(at) => {
                    let area = layout.area(Part::Stack);
                    let len = left.min(area.mapped.saturating_sub(at));
                    bytes(memory, area.start, at, len, Field::Stack)?.fill(0);
                    let next =
                        if at + len == area.mapped { Phase::Done } else { Phase::Stack(at + len) };
                    (len, next)
                }
            };
            self.phase = next;
            left = left.saturating_sub(cost);
            if matches!(next, Phase::Done) {
                return Ok(Progress::Done);
            }
            if left < RELOC_COST {
                return Ok(Progress::More);
            }
        }
    }
}

fn bytes(
    memory: &mut impl TaskMemory,
    start: u32,
    off: u32,
    len: u32,
    field: Field,
) -> Result<&mut [u8], Refusal> {
    if len == 0 {
        return Ok(&mut []);
    }
    let at = start.checked_add(off);
    at.and_then(|at| memory.bytes(at, len)).ok_or(Refusal::new(Status::SEGMENT, field))
}

/// `to` becomes what `from` has at `at`, and zeros where it has no more.
fn copy(from: &[u8], at: u32, to: &mut [u8]) {
    let from = from.get(at as usize..).unwrap_or(&[]);
    let (full, zeroed) = to.split_at_mut(from.len().min(to.len()));
    if let Some(from) = from.get(..full.len()) {
        full.copy_from_slice(from);
    }
    zeroed.fill(0);
}

/// R_ARM_RELATIVE (ELF for the Arm Architecture, section 4.6.1.8): the word
/// plus the displacement of the image, modulo 2^32.
fn add(word: &mut [u8], base: u32) -> Result<(), Refusal> {
    let word: &mut [u8; 4] =
        word.try_into().map_err(|_| Refusal::new(Status::RELOC, Field::Relocs))?;
    *word = u32::from_le_bytes(*word).wrapping_add(base).to_le_bytes();
    Ok(())
}
