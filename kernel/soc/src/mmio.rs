//! Volatile access to one peripheral's registers.

use crate::cp15::Cp15;
use sk_hal::{Bus32, Ordered};

/// The accesses themselves.
#[derive(Clone, Copy, Debug)]
struct Registers {
    base: u32,
}

impl Bus32 for Registers {
    #[inline(always)]
    fn read(&self, off: u32) -> u32 {
        // SAFETY: by the contract of `Mmio::new`, base + off is a device register
        // that is mapped for the kernel's lifetime; no reference is formed.
        unsafe { ((self.base + off) as *const u32).read_volatile() }
    }

    #[inline(always)]
    fn write(&self, off: u32, value: u32) {
        // SAFETY: as in `read`.
        unsafe { ((self.base + off) as *mut u32).write_volatile(value) }
    }
}

/// One peripheral's registers, with the barriers of [`Ordered`].
#[derive(Clone, Copy, Debug)]
pub struct Mmio(Ordered<Registers, Cp15>);

impl Mmio {
    /// Registers at physical address `base`.
    ///
    /// # Safety
    /// `base` is the first register of a peripheral of this SoC that is mapped
    /// as device memory at its physical address, and every offset the holder
    /// uses is a 32-bit register of that block.
    #[must_use]
    pub const unsafe fn new(base: u32) -> Self {
        // SAFETY: `Ordered` uses barriers only.
        Self(Ordered::new(Registers { base }, unsafe { Cp15::new() }))
    }
}

impl Bus32 for Mmio {
    #[inline]
    fn read(&self, off: u32) -> u32 {
        self.0.read(off)
    }

    #[inline]
    fn write(&self, off: u32, value: u32) {
        self.0.write(off, value);
    }
}
