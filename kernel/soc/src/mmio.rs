//! Volatile access to one peripheral's registers.
//!
//! The AXI fabric may return reads from different peripherals out of order
//! (BCM2835 ARM Peripherals 1.3). The rule there is a barrier before the first
//! write to a peripheral and after the last read from it; kept here at every
//! access, so that no caller has to know which was first or last.

use crate::cp15;
use sk_hal::Bus32;

/// One peripheral's registers.
#[derive(Clone, Copy, Debug)]
pub struct Mmio {
    base: u32,
}

impl Mmio {
    /// Registers at physical address `base`.
    ///
    /// # Safety
    /// `base` is the first register of a peripheral of this SoC that is mapped
    /// as device memory at its physical address, and every offset the holder
    /// uses is a 32-bit register of that block.
    #[must_use]
    pub const unsafe fn new(base: u32) -> Self {
        Self { base }
    }
}

impl Bus32 for Mmio {
    #[inline]
    fn read(&self, off: u32) -> u32 {
        // SAFETY: by the contract of `new`, base + off is a device register
        // that is mapped for the kernel's lifetime; no reference is formed.
        let value = unsafe { ((self.base + off) as *const u32).read_volatile() };
        cp15::dmb();
        value
    }

    #[inline]
    fn write(&self, off: u32, value: u32) {
        cp15::dmb();
        // SAFETY: as in `read`.
        unsafe { ((self.base + off) as *mut u32).write_volatile(value) }
    }
}
