//! [`CacheOps`] on the lines of ARM1176's 16 KiB data cache (32 bytes, TRM
//! 3.2.22): which operations in which order is said in [`sk_hal::cp15`].

use crate::cp15::Cp15;
use sk_hal::{BusAddr, CacheOps, Cp15Ops, cp15};

/// The core's caches.
#[derive(Clone, Copy, Debug)]
pub struct Caches;

// SAFETY: used below only, on slices: what is cleaned loses nothing, and what
// is invalidated is whole lines, exclusively borrowed, of a `DmaBuf` none of
// whose lines is dirty since `clean` or `discard` when the device got it.
const CORE: Cp15 = unsafe { Cp15::new() };

impl CacheOps for Caches {
    #[inline]
    fn clean(&self, _bus: BusAddr, mem: &[u8]) {
        cp15::clean(&CORE, mem.as_ptr() as u32, mem.len() as u32);
    }

    #[inline]
    fn discard(&self, _bus: BusAddr, mem: &mut [u8]) {
        cp15::discard(&CORE, mem.as_ptr() as u32, mem.len() as u32);
    }

    #[inline]
    fn invalidate(&self, _bus: BusAddr, mem: &mut [u8]) {
        cp15::invalidate(&CORE, mem.as_ptr() as u32, mem.len() as u32);
    }

    #[inline]
    fn dsb(&self) {
        CORE.dsb();
    }

    #[inline]
    fn dmb(&self) {
        CORE.dmb();
    }

    #[inline]
    fn sync_code(&self, code: &[u8]) {
        cp15::sync_code(&CORE, code.as_ptr() as u32, code.len() as u32);
    }
}
