//! Two-level segregated fit (Masmano, Ripoll, Crespo, Real: "TLSF: a new
//! dynamic memory allocator for real-time systems", ECRTS 2004): allocation
//! and release in constant time, over memory the payload can write to.
//!
//! The lists' heads and bitmaps are the kernel's; headers and links lie in the
//! heap, so a payload can overwrite them. Each one is therefore checked when
//! it is read: in bounds, even, pointing back, in the right list. What does
//! not hold together ends in [`Corrupt`], never in a panic, an access outside
//! the heap or a loop: no operation follows more than a fixed number of links.
//!
//! A block is two words of header and an even number of words of payload, all
//! at multiples of 8 bytes:
//!
//! ```text
//! word 0   index of the block before it in memory (NONE: it is the first)
//! word 1   words of payload, bit 0: free
//! word 2   free blocks only: next in its list      payload starts here
//! word 3   free blocks only: previous in its list
//! ```
//!
//! The last block is an empty one that is never free.

/// The allocator's words in the heap contradict each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Corrupt;

/// What [`Heap::realloc`] came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// There is no block at that address.
    NotABlock,
    /// No room; the block is as it was.
    NoRoom,
    /// The block has the new size where it is.
    InPlace,
    /// A new block was allocated: copy `len` bytes there, then free the old one.
    Moved {
        /// Byte offset of the new block in the heap.
        to: u32,
        /// Bytes to copy.
        len: u32,
    },
}

const NONE: u32 = u32::MAX;
const FREE: u32 = 1;
/// Words of a block's header.
const HEADER: u32 = 2;
/// Fewest words of payload: room for the two links.
const LEAST: u32 = 2;
/// Second-level classes per power of two.
const SECOND: usize = 16;
const SECOND_LOG: u32 = SECOND.ilog2();
/// First-level classes: sizes in units of two words, up to 2^26 of them.
const FIRST: usize = 24;

/// The kernel's part of a task's heap.
#[derive(Clone, Debug)]
pub struct Heap {
    words: u32,
    used: u32,
    peak: u32,
    corrupt: bool,
    first: u32,
    second: [u16; FIRST],
    heads: [[u32; SECOND]; FIRST],
}

/// A block whose header was checked.
#[derive(Clone, Copy)]
struct Block {
    at: u32,
    before: u32,
    size: u32,
    free: bool,
}

impl Block {
    fn next(self) -> u32 {
        self.at + HEADER + self.size
    }
}

type Checked<T> = Result<T, Corrupt>;

fn get(mem: &[u32], at: u32) -> Checked<u32> {
    mem.get(at as usize).copied().ok_or(Corrupt)
}

fn set(mem: &mut [u32], at: u32, value: u32) -> Checked<()> {
    *mem.get_mut(at as usize).ok_or(Corrupt)? = value;
    Ok(())
}

/// Makes the header of a block that became part of another no header, so that
/// freeing it once more is recognised.
fn wipe(mem: &mut [u32], block: Block) -> Checked<()> {
    set(mem, block.at, 0)?;
    set(mem, block.at + 1, 0)
}

/// The list that holds free blocks of `size` words.
fn class(size: u32) -> (usize, usize) {
    let units = size / 2;
    if units < SECOND as u32 {
        return (0, units as usize);
    }
    let log = units.ilog2();
    let second = units >> (log - SECOND_LOG) & (SECOND as u32 - 1);
    ((log - SECOND_LOG + 1) as usize, second as usize)
}

/// The first list all of whose blocks have at least `size` words.
fn class_above(size: u32) -> (usize, usize) {
    let units = size / 2;
    if units < SECOND as u32 {
        return class(size);
    }
    let step = 1 << (units.ilog2() - SECOND_LOG);
    class(units.saturating_add(step - 1).saturating_mul(2))
}

/// Bytes asked for as words of payload; `None` beyond what any heap has.
fn words(bytes: u32) -> Option<u32> {
    Some(bytes.max(1).checked_next_multiple_of(8)? / 4)
}

impl Heap {
    /// Prepares `mem` (8-byte aligned on the board; 512 MiB at most are used).
    #[must_use]
    pub fn new(mem: &mut [u32]) -> Self {
        let words = u32::try_from(mem.len()).unwrap_or(u32::MAX).min(1 << 27) & !1;
        let mut heap = Self {
            words,
            used: 0,
            peak: 0,
            corrupt: false,
            first: 0,
            second: [0; FIRST],
            heads: [[NONE; SECOND]; FIRST],
        };
        let Some(size) = words.checked_sub(2 * HEADER).filter(|&s| s >= LEAST) else {
            heap.words = 0;
            return heap;
        };
        let made = heap.write(mem, Block { at: 0, before: NONE, size, free: false });
        let end = Block { at: HEADER + size, before: 0, size: 0, free: false };
        let made = made.and_then(|()| heap.write(mem, end));
        let made = made.and_then(|()| heap.insert(mem, 0));
        heap.corrupt = made.is_err();
        heap.used = 0;
        heap
    }

    /// Bytes of the heap, bookkeeping included.
    #[must_use]
    pub const fn size(&self) -> u32 {
        self.words * 4
    }

    /// Bytes in use, bookkeeping of the blocks in use included.
    #[must_use]
    pub const fn used(&self) -> u32 {
        self.used.saturating_mul(4)
    }

    /// The most that was ever in use.
    #[must_use]
    pub const fn peak(&self) -> u32 {
        self.peak.saturating_mul(4)
    }

    /// A block of at least `size` bytes at a multiple of `align` (a power of
    /// two from 8 to 4096, which the heap's address must be a multiple of):
    /// its byte offset, `None` if there is no room.
    ///
    /// # Errors
    /// [`Corrupt`], now and from now on.
    pub fn alloc(&mut self, mem: &mut [u32], size: u32, align: u32) -> Checked<Option<u32>> {
        let result = if self.corrupt { Err(Corrupt) } else { self.try_alloc(mem, size, align) };
        self.corrupt |= result.is_err();
        result
    }

    /// Gives the block at byte offset `at` back; `false`: there is none (or it
    /// is free already).
    ///
    /// # Errors
    /// [`Corrupt`], now and from now on.
    pub fn free(&mut self, mem: &mut [u32], at: u32) -> Checked<bool> {
        let result = if self.corrupt { Err(Corrupt) } else { self.try_free(mem, at) };
        self.corrupt |= result.is_err();
        result
    }

    /// Changes the size of the block at byte offset `at`. A block that must
    /// move goes to a multiple of `align`.
    ///
    /// # Errors
    /// [`Corrupt`], now and from now on.
    pub fn realloc(&mut self, mem: &mut [u32], at: u32, size: u32, align: u32) -> Checked<Change> {
        let result =
            if self.corrupt { Err(Corrupt) } else { self.try_realloc(mem, at, size, align) };
        self.corrupt |= result.is_err();
        result
    }

    fn try_alloc(&mut self, mem: &mut [u32], size: u32, align: u32) -> Checked<Option<u32>> {
        let Some(size) = words(size) else {
            return Ok(None);
        };
        let align = (align / 4).max(2);
        // Aligned further, a block may need a gap before it that is a block.
        let extra = if align > 2 { align + HEADER } else { 0 };
        let Some(need) = size.checked_add(extra).filter(|&n| n <= self.words) else {
            return Ok(None);
        };
        let Some(at) = self.search(need) else {
            return Ok(None);
        };
        let mut block = self.block(mem, at)?;
        if !block.free || block.size < need {
            return Err(Corrupt);
        }
        self.remove(mem, block)?;
        let start = block.at + HEADER;
        let mut aligned = start.next_multiple_of(align);
        if aligned != start && aligned - start < HEADER + LEAST {
            aligned += align;
        }
        if aligned != start {
            let gap = Block { size: aligned - start - HEADER, ..block };
            let rest = Block {
                at: aligned - HEADER,
                before: block.at,
                size: block.size - (aligned - start),
                free: false,
            };
            self.write(mem, gap)?;
            self.write(mem, rest)?;
            set(mem, rest.next(), rest.at)?;
            self.insert(mem, gap.at)?;
            block = rest;
        }
        self.take(mem, block, size)?;
        Ok(Some((block.at + HEADER) * 4))
    }

    fn try_free(&mut self, mem: &mut [u32], at: u32) -> Checked<bool> {
        let Some(mut block) = self.allocated(mem, at) else {
            return Ok(false);
        };
        self.used = self.used.saturating_sub(block.size + HEADER);
        let next = self.block(mem, block.next())?;
        if next.free {
            self.remove(mem, next)?;
            wipe(mem, next)?;
            block.size += HEADER + next.size;
        }
        if block.before != NONE {
            let before = self.block(mem, block.before)?;
            if before.next() != block.at {
                return Err(Corrupt);
            }
            if before.free {
                self.remove(mem, before)?;
                wipe(mem, block)?;
                block = Block { size: before.size + HEADER + block.size, ..before };
            }
        }
        self.write(mem, Block { free: false, ..block })?;
        set(mem, block.next(), block.at)?;
        self.insert(mem, block.at)?;
        Ok(true)
    }

    fn try_realloc(&mut self, mem: &mut [u32], at: u32, size: u32, align: u32) -> Checked<Change> {
        let Some(block) = self.allocated(mem, at) else {
            return Ok(Change::NotABlock);
        };
        let Some(wanted) = words(size) else {
            return Ok(Change::NoRoom);
        };
        let next = self.block(mem, block.next())?;
        let room = if next.free { block.size + HEADER + next.size } else { block.size };
        if wanted <= room {
            self.used = self.used.saturating_sub(block.size + HEADER);
            let mut whole = block;
            if next.free {
                self.remove(mem, next)?;
                wipe(mem, next)?;
                whole.size = room;
                set(mem, whole.next(), whole.at)?;
            }
            self.take(mem, whole, wanted)?;
            return Ok(Change::InPlace);
        }
        Ok(match self.try_alloc(mem, size, align)? {
            Some(to) => Change::Moved { to, len: block.size * 4 },
            None => Change::NoRoom,
        })
    }

    /// Makes the first `size` words of a block that is in no list an allocated
    /// one, and what is left over, if it is enough, a free one.
    fn take(&mut self, mem: &mut [u32], block: Block, size: u32) -> Checked<()> {
        let mut block = Block { free: false, ..block };
        let left = block.size.checked_sub(size).ok_or(Corrupt)?;
        if left >= HEADER + LEAST {
            let end = block.next();
            block.size = size;
            let rest =
                Block { at: block.next(), before: block.at, size: left - HEADER, free: false };
            // A free neighbour was joined before, so nothing free follows.
            self.write(mem, rest)?;
            set(mem, end, rest.at)?;
            self.insert(mem, rest.at)?;
        }
        self.write(mem, block)?;
        self.used = self.used.saturating_add(block.size + HEADER);
        self.peak = self.peak.max(self.used);
        Ok(())
    }

    /// The allocated block whose payload is at a byte offset the payload gave.
    fn allocated(&self, mem: &[u32], at: u32) -> Option<Block> {
        if !at.is_multiple_of(8) {
            return None;
        }
        let block = self.block(mem, (at / 4).checked_sub(HEADER)?).ok()?;
        (!block.free && block.size >= LEAST).then_some(block)
    }

    /// The block at `at`, if its header holds together with that of the block
    /// after it.
    fn block(&self, mem: &[u32], at: u32) -> Checked<Block> {
        if !at.is_multiple_of(2) || at >= self.words {
            return Err(Corrupt);
        }
        let before = get(mem, at)?;
        let header = get(mem, at + 1)?;
        let block = Block { at, before, size: header & !FREE, free: header & FREE != 0 };
        let last = self.words - HEADER;
        let limit = last.checked_sub(at).ok_or(Corrupt)?;
        let in_order =
            if before == NONE { at == 0 } else { before < at && before.is_multiple_of(2) };
        if !in_order || !block.size.is_multiple_of(2) {
            return Err(Corrupt);
        }
        if at == last {
            return if block.size == 0 && !block.free { Ok(block) } else { Err(Corrupt) };
        }
        if block.size < LEAST || block.size > limit - HEADER || get(mem, block.next())? != at {
            return Err(Corrupt);
        }
        Ok(block)
    }

    fn write(&self, mem: &mut [u32], block: Block) -> Checked<()> {
        set(mem, block.at, block.before)?;
        set(mem, block.at + 1, block.size | if block.free { FREE } else { 0 })
    }

    /// Head of a list whose blocks all have `need` words or more.
    fn search(&self, need: u32) -> Option<u32> {
        let (first, second) = class_above(need);
        let same = u32::from(*self.second.get(first)?) & (u32::MAX << second);
        let (first, second) = if same != 0 {
            (first, same.trailing_zeros())
        } else {
            let above = self.first & u32::MAX.checked_shl(first as u32 + 1)?;
            if above == 0 {
                return None;
            }
            let first = above.trailing_zeros() as usize;
            (first, u32::from(*self.second.get(first)?).trailing_zeros())
        };
        self.heads.get(first)?.get(second as usize).copied().filter(|&at| at != NONE)
    }

    fn head(&mut self, (first, second): (usize, usize)) -> Checked<&mut u32> {
        self.heads.get_mut(first).and_then(|row| row.get_mut(second)).ok_or(Corrupt)
    }

    /// Marks the block at `at` free and puts it at the head of its list.
    fn insert(&mut self, mem: &mut [u32], at: u32) -> Checked<()> {
        let size = get(mem, at + 1)? & !FREE;
        let class = class(size);
        let old = core::mem::replace(self.head(class)?, at);
        set(mem, at + 1, size | FREE)?;
        set(mem, at + 2, old)?;
        set(mem, at + 3, NONE)?;
        if old != NONE {
            let next = self.block(mem, old)?;
            if !next.free {
                return Err(Corrupt);
            }
            set(mem, old + 3, at)?;
        }
        self.first |= 1 << class.0;
        *self.second.get_mut(class.0).ok_or(Corrupt)? |= 1 << class.1;
        Ok(())
    }

    /// Takes a free block out of its list.
    fn remove(&mut self, mem: &mut [u32], block: Block) -> Checked<()> {
        let class = class(block.size);
        let (next, previous) = (get(mem, block.at + 2)?, get(mem, block.at + 3)?);
        if next != NONE {
            let linked = self.block(mem, next)?;
            if !linked.free || get(mem, next + 3)? != block.at {
                return Err(Corrupt);
            }
        }
        if previous != NONE {
            let linked = self.block(mem, previous)?;
            if !linked.free || get(mem, previous + 2)? != block.at {
                return Err(Corrupt);
            }
        } else if *self.head(class)? != block.at {
            return Err(Corrupt);
        }
        if next != NONE {
            set(mem, next + 3, previous)?;
        }
        if previous != NONE {
            return set(mem, previous + 2, next);
        }
        *self.head(class)? = next;
        if next == NONE {
            let row = self.second.get_mut(class.0).ok_or(Corrupt)?;
            *row &= !(1 << class.1);
            if *row == 0 {
                self.first &= !(1 << class.0);
            }
        }
        Ok(())
    }
}
