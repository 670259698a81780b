//! Areas in, descriptors out: whole MiB as sections, the rest as pages from a
//! borrowed pool of coarse tables.
//!
//! A mapping is never put over another one, which makes undoing a failed call
//! exact: unmap what it had mapped so far and the tables are as before.

use super::{Attr, PAGE, SECTION, coarse_table, section, small_page};
use core::ops::Range;

/// Most coarse tables a pool may hold; more are ignored. Enough to map all of
/// a 512 MiB board by pages.
pub const MAX_TABLES: usize = 512;

/// Descriptors per coarse table.
const PAGES: usize = 256;
const WORDS: usize = MAX_TABLES / 64;

/// One region, `start..end` in bytes, both on 4 KiB boundaries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Area {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
    /// What it is for. [`Attr::Fault`] maps nothing, but the area must still
    /// be free: a guard page that something covers is refused.
    pub attr: Attr,
}

/// Why tables could not be changed. Nothing was changed then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MapError {
    /// `start` or `end` is not on a 4 KiB boundary.
    Unaligned {
        /// The offending address.
        at: u32,
    },
    /// `end` is not above `start`.
    Empty {
        /// Where the area starts.
        at: u32,
    },
    /// Something is mapped there already.
    Overlap {
        /// First address in conflict.
        at: u32,
    },
    /// Kernel and task areas share the MiB at `at`; the domain is per MiB.
    MixedDomains {
        /// The MiB.
        at: u32,
    },
    /// No coarse table is left in the pool.
    PoolEmpty,
    /// Unmapping would cut the section at `at` in pieces.
    PartOfSection {
        /// The section.
        at: u32,
    },
    /// The first-level entry for `at` is not one this mapper wrote.
    Foreign {
        /// The MiB.
        at: u32,
    },
}

/// What has been written since the last [`RegionMapper::take_dirty`]: clean
/// these words from the data cache, then invalidate the TLB.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Dirty {
    /// First-level entries, by index.
    pub l1: Range<usize>,
    /// Coarse tables, by index in the pool.
    pub tables: Range<usize>,
}

impl Dirty {
    fn mark(range: &mut Range<usize>, index: usize) {
        if range.start >= range.end {
            *range = index..index + 1;
        } else {
            range.start = range.start.min(index);
            range.end = range.end.max(index + 1);
        }
    }
}

/// Writes areas into a first-level table and a pool of coarse tables.
#[derive(Debug)]
pub struct RegionMapper<'t> {
    l1: &'t mut [u32; 4096],
    pool: &'t mut [[u32; PAGES]],
    pool_phys: u32,
    used: [u64; WORDS],
    dirty: Dirty,
}

/// A first-level entry, read back.
enum Slot {
    Free,
    Section,
    Table { index: usize, domain: u32 },
    Foreign,
}

impl<'t> RegionMapper<'t> {
    /// A mapper over cleared tables. `pool_phys` is the physical address of
    /// `pool` (1 KiB aligned). Both tables are zeroed: everything faults.
    ///
    /// # Errors
    /// [`MapError::Unaligned`] when the pool is not on a 1 KiB boundary.
    pub fn new(
        l1: &'t mut [u32; 4096],
        pool: &'t mut [[u32; PAGES]],
        pool_phys: u32,
    ) -> Result<Self, MapError> {
        if pool_phys & 0x3FF != 0 {
            return Err(MapError::Unaligned { at: pool_phys });
        }
        l1.fill(0);
        for table in pool.iter_mut() {
            table.fill(0);
        }
        let dirty = Dirty { l1: 0..l1.len(), tables: 0..pool.len() };
        Ok(Self { l1, pool, pool_phys, used: [0; WORDS], dirty })
    }

    /// Maps all `areas`, or none of them.
    ///
    /// # Errors
    /// See [`MapError`]; the tables are then as before the call.
    pub fn map(&mut self, areas: &[Area]) -> Result<(), MapError> {
        for (done, area) in areas.iter().enumerate() {
            if let Err(error) = self.map_one(area) {
                for undo in areas.iter().take(done) {
                    self.clear(undo.start, undo.end);
                }
                return Err(error);
            }
        }
        // A guard must hold against the areas that came after it, too.
        for area in areas.iter().filter(|a| a.attr == Attr::Fault) {
            if let Err(error) = self.require_free(area.start, area.end) {
                for undo in areas.iter().filter(|a| a.attr != Attr::Fault) {
                    self.clear(undo.start, undo.end);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Removes every mapping in `start..end`, mapped or not, and gives coarse
    /// tables that became empty back to the pool.
    ///
    /// # Errors
    /// [`MapError::PartOfSection`] when a section is only partly inside; as
    /// [`RegionMapper::map`] for the addresses.
    pub fn unmap(&mut self, start: u32, end: u32) -> Result<(), MapError> {
        check(start, end)?;
        for (mib, first, last) in chunks(start, end) {
            match self.slot(mib) {
                Slot::Section if !whole(first, last) => {
                    return Err(MapError::PartOfSection { at: address(mib, 0) });
                }
                Slot::Foreign => return Err(MapError::Foreign { at: address(mib, 0) }),
                _ => {}
            }
        }
        self.clear(start, end);
        Ok(())
    }

    /// The descriptor that maps `address`: a section's or a small page's word;
    /// 0 when it faults.
    #[must_use]
    pub fn descriptor(&self, address: u32) -> u32 {
        let mib = (address >> 20) as usize;
        match self.slot(mib) {
            Slot::Section => self.l1.get(mib).copied().unwrap_or(0),
            Slot::Table { index, .. } => {
                let page = (address >> 12) as usize % PAGES;
                self.pool.get(index).and_then(|t| t.get(page)).copied().unwrap_or(0)
            }
            Slot::Free | Slot::Foreign => 0,
        }
    }

    /// Coarse tables not in use.
    #[must_use]
    pub fn tables_free(&self) -> usize {
        let used: u32 = self.used.iter().map(|w| w.count_ones()).sum();
        self.pool.len().min(MAX_TABLES).saturating_sub(used as usize)
    }

    /// Both levels as they are: the first-level table, and the pool with the
    /// coarse tables, those not in use full of zeros.
    #[must_use]
    pub const fn tables(&self) -> (&[u32], &[[u32; PAGES]]) {
        (self.l1, self.pool)
    }

    /// What was written since the last call.
    pub fn take_dirty(&mut self) -> Dirty {
        core::mem::take(&mut self.dirty)
    }

    /// As [`RegionMapper::take_dirty`], as words and where they are, the first
    /// level being at `l1_phys`.
    pub fn take_written(&mut self, l1_phys: u32, mut each: impl FnMut(u32, &[u32])) {
        let Dirty { l1, tables } = self.take_dirty();
        if let Some(words) = self.l1.get(l1.clone()).filter(|w| !w.is_empty()) {
            each(l1_phys.wrapping_add(4 * l1.start as u32), words);
        }
        if let Some(pool) = self.pool.get(tables.clone()).filter(|t| !t.is_empty()) {
            each(self.pool_phys.wrapping_add(1024 * tables.start as u32), pool.as_flattened());
        }
    }

    fn map_one(&mut self, area: &Area) -> Result<(), MapError> {
        check(area.start, area.end)?;
        self.require_free(area.start, area.end)?;
        if area.attr == Attr::Fault {
            return Ok(());
        }
        for (mib, first, last) in chunks(area.start, area.end) {
            if let Err(error) = self.map_chunk(mib, first, last, area.attr) {
                // Everything before this chunk was written by this call.
                let reached = address(mib, 0);
                if reached > area.start {
                    self.clear(area.start, reached);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn map_chunk(
        &mut self,
        mib: usize,
        first: usize,
        last: usize,
        attr: Attr,
    ) -> Result<(), MapError> {
        let base = address(mib, 0);
        let index = match self.slot(mib) {
            Slot::Free if whole(first, last) => {
                self.write_l1(mib, section(base, attr));
                return Ok(());
            }
            Slot::Free => {
                let index = self.take_table().ok_or(MapError::PoolEmpty)?;
                let phys = self.pool_phys.wrapping_add(index as u32 * 1024);
                self.write_l1(mib, coarse_table(phys, attr.domain()));
                index
            }
            Slot::Table { index, domain } if domain == attr.domain() => index,
            Slot::Table { .. } => return Err(MapError::MixedDomains { at: base }),
            Slot::Section => return Err(MapError::Overlap { at: base }),
            Slot::Foreign => return Err(MapError::Foreign { at: base }),
        };
        Dirty::mark(&mut self.dirty.tables, index);
        if let Some(table) = self.pool.get_mut(index) {
            for (page, word) in table.iter_mut().enumerate().take(last + 1).skip(first) {
                *word = small_page(address(mib, page), attr);
            }
        }
        Ok(())
    }

    fn require_free(&self, start: u32, end: u32) -> Result<(), MapError> {
        for (mib, first, last) in chunks(start, end) {
            match self.slot(mib) {
                Slot::Free => {}
                Slot::Section => return Err(MapError::Overlap { at: address(mib, first) }),
                Slot::Foreign => return Err(MapError::Foreign { at: address(mib, 0) }),
                Slot::Table { index, .. } => {
                    let table = self.pool.get(index).map_or(&[][..], |t| &t[..]);
                    let busy = table.iter().enumerate().take(last + 1).skip(first);
                    if let Some((page, _)) = busy.into_iter().find(|(_, word)| **word != 0) {
                        return Err(MapError::Overlap { at: address(mib, page) });
                    }
                }
            }
        }
        Ok(())
    }

    /// Clears `start..end`; sections partly inside are left alone.
    fn clear(&mut self, start: u32, end: u32) {
        for (mib, first, last) in chunks(start, end) {
            match self.slot(mib) {
                Slot::Section if whole(first, last) => self.write_l1(mib, 0),
                Slot::Table { index, .. } => {
                    Dirty::mark(&mut self.dirty.tables, index);
                    let Some(table) = self.pool.get_mut(index) else { continue };
                    table.iter_mut().take(last + 1).skip(first).for_each(|word| *word = 0);
                    if table.iter().all(|word| *word == 0) {
                        self.write_l1(mib, 0);
                        if let Some(word) = self.used.get_mut(index / 64) {
                            *word &= !(1 << (index % 64));
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn take_table(&mut self) -> Option<usize> {
        for index in 0..self.pool.len().min(MAX_TABLES) {
            let word = self.used.get_mut(index / 64)?;
            if *word & 1 << (index % 64) == 0 {
                *word |= 1 << (index % 64);
                return Some(index);
            }
        }
        None
    }

    fn write_l1(&mut self, mib: usize, value: u32) {
        if let Some(word) = self.l1.get_mut(mib) {
            *word = value;
            Dirty::mark(&mut self.dirty.l1, mib);
        }
    }

    fn slot(&self, mib: usize) -> Slot {
        let word = self.l1.get(mib).copied().unwrap_or(0);
        match word & 3 {
            0 => Slot::Free,
            1 => {
                let index = ((word & 0xFFFF_FC00).wrapping_sub(self.pool_phys) / 1024) as usize;
                if index < self.pool.len() {
                    Slot::Table { index, domain: word >> 5 & 0xF }
                } else {
                    Slot::Foreign
                }
            }
            2 => Slot::Section,
            _ => Slot::Foreign,
        }
    }
}

fn check(start: u32, end: u32) -> Result<(), MapError> {
    for at in [start, end] {
        if at % PAGE != 0 {
            return Err(MapError::Unaligned { at });
        }
    }
    if end > start { Ok(()) } else { Err(MapError::Empty { at: start }) }
}

const fn whole(first: usize, last: usize) -> bool {
    first == 0 && last == PAGES - 1
}

const fn address(mib: usize, page: usize) -> u32 {
    mib as u32 * SECTION + page as u32 * PAGE
}

/// `start..end` cut at MiB boundaries: (MiB, first page, last page).
fn chunks(start: u32, end: u32) -> impl Iterator<Item = (usize, usize, usize)> {
    let first = (start / PAGE) as usize;
    let last = (end.saturating_sub(1) / PAGE) as usize;
    let mibs = if end > start { first / PAGES..last / PAGES + 1 } else { 0..0 };
    mibs.map(move |mib| {
        let from = if mib == first / PAGES { first % PAGES } else { 0 };
        let to = if mib == last / PAGES { last % PAGES } else { PAGES - 1 };
        (mib, from, to)
    })
}
