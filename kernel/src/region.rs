//! The task region: the one place where the kernel touches a payload's memory.
//!
//! Addresses come from a [`Layout`] or were laid out by [`crate::task_board`];
//! here they become slices. Everything else in the kernel is safe code over
//! those slices.

use sk_bcm2835::map;

/// `start .. end`, page aligned; nothing else of the kernel is in there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    /// First address.
    pub start: u32,
    /// First address after it.
    pub end: u32,
}

impl Region {
    /// The region on a board whose ARM memory ends at `memory_end`.
    ///
    /// # Safety
    /// Made once; `memory_end` is not above the end of the ARM's memory.
    pub unsafe fn new(memory_end: u32) -> Self {
        let end = memory_end.saturating_sub(1 << 20) & !0xFFF;
        Self { start: map::TASK_REGION, end: end.max(map::TASK_REGION) }
    }

    fn holds(&self, at: u32, len: u32) -> bool {
        at >= self.start && at.checked_add(len).is_some_and(|end| end <= self.end)
    }

    /// The bytes at `at .. at + len`; `None` outside the region. The caller has
    /// mapped them.
    pub fn bytes(&self, at: u32, len: u32) -> Option<&[u8]> {
        // SAFETY: inside the region, which is plain memory that no kernel object
        // lives in; the payload, which could write it, does not run meanwhile.
        self.holds(at, len)
            .then(|| unsafe { core::slice::from_raw_parts(at as *const u8, len as usize) })
    }

    /// As [`Region::bytes`], to be written.
    pub fn bytes_mut(&mut self, at: u32, len: u32) -> Option<&mut [u8]> {
        // SAFETY: as in `bytes`; `&mut self` keeps other slices away.
        self.holds(at, len)
            .then(|| unsafe { core::slice::from_raw_parts_mut(at as *mut u8, len as usize) })
    }

    /// The words of `at .. at + len` (both multiples of 4), to be written.
    pub fn words_mut(&mut self, at: u32, len: u32) -> Option<&mut [u32]> {
        // SAFETY: as in `bytes_mut`; aligned, and every bit pattern is a u32.
        (at.is_multiple_of(4) && self.holds(at, len))
            .then(|| unsafe { core::slice::from_raw_parts_mut(at as *mut u32, len as usize / 4) })
    }
}

impl sk_loader::TaskMemory for Region {
    fn bytes(&mut self, at: u32, len: u32) -> Option<&mut [u8]> {
        self.bytes_mut(at, len)
    }
}
