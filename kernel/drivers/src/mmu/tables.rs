//! Tables in use: every edit is brought into force before the call returns.

use super::{Area, MapError, RegionMapper};
use sk_hal::cp15::{self, Cp15Ops};

/// A [`RegionMapper`] whose tables the core walks, or is about to.
///
/// The walk does not look into the data cache, and old translations stay in the
/// TLB and with what was prefetched (TRM 3.2.13, 6.3.2): what an edit wrote is
/// cleaned line by line, and then all of that is flushed.
#[derive(Debug)]
pub struct Tables<'t, O> {
    mapper: RegionMapper<'t>,
    l1_phys: u32,
    ops: O,
}

impl<'t, O: Cp15Ops> Tables<'t, O> {
    /// The tables of `mapper`, whose first level is at `l1_phys`.
    pub const fn new(mapper: RegionMapper<'t>, l1_phys: u32, ops: O) -> Self {
        Self { mapper, l1_phys, ops }
    }

    /// Makes these tables the ones that are walked. They map the code that
    /// calls this, its stack and data, as before.
    pub fn take_over(&mut self, dacr: u32) {
        self.clean();
        cp15::switch_tables(&self.ops, self.l1_phys, dacr);
    }

    /// As [`RegionMapper::map`], and in force.
    ///
    /// # Errors
    /// As [`RegionMapper::map`]; nothing is mapped then.
    pub fn map(&mut self, areas: &[Area]) -> Result<(), MapError> {
        let done = self.mapper.map(areas);
        self.publish();
        done
    }

    /// As [`RegionMapper::unmap`], and in force.
    ///
    /// # Errors
    /// As [`RegionMapper::unmap`].
    pub fn unmap(&mut self, start: u32, end: u32) -> Result<(), MapError> {
        let done = self.mapper.unmap(start, end);
        self.publish();
        done
    }

    /// As [`RegionMapper::descriptor`].
    #[must_use]
    pub fn descriptor(&self, address: u32) -> u32 {
        self.mapper.descriptor(address)
    }

    /// As [`RegionMapper::tables`].
    #[must_use]
    pub const fn words(&self) -> (&[u32], &[[u32; 256]]) {
        self.mapper.tables()
    }

    /// After an edit that failed too: it was undone, but a line may have been
    /// written back, and walked, in between.
    fn publish(&mut self) {
        self.clean();
        cp15::tables_changed(&self.ops);
    }

    fn clean(&mut self) {
        let ops = &self.ops;
        self.mapper.take_written(self.l1_phys, |at, words| cp15::clean_tables(ops, at, words));
    }
}
