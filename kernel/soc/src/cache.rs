//! [`CacheOps`] on the lines of ARM1176's 16 KiB data cache (32 bytes, TRM
//! 3.2.22), by the MCRR range forms: one instruction whatever the length.

use crate::cp15;
use sk_hal::{BusAddr, CacheOps};

/// The core's caches.
#[derive(Clone, Copy, Debug)]
pub struct Caches;

fn ends(mem: &[u8]) -> (u32, u32) {
    let start = mem.as_ptr() as u32;
    (start, start + (mem.len() as u32).saturating_sub(1))
}

impl CacheOps for Caches {
    fn clean(&self, _bus: BusAddr, mem: &[u8]) {
        let (start, last) = ends(mem);
        // SAFETY: writing back lines of a live buffer loses nothing.
        unsafe { cp15::clean_range(start, last) }
    }

    fn discard(&self, _bus: BusAddr, mem: &mut [u8]) {
        let (start, last) = ends(mem);
        // SAFETY: the buffer is whole lines and exclusively borrowed (DmaBuf),
        // and its contents are given up; clean+invalidate is safe even so.
        unsafe { cp15::clean_invalidate_range(start, last) }
    }

    fn invalidate(&self, _bus: BusAddr, mem: &mut [u8]) {
        let (start, last) = ends(mem);
        // SAFETY: whole lines, exclusively borrowed, none dirty since `discard`
        // or `clean` when the device took the buffer.
        unsafe { cp15::invalidate_range(start, last) }
    }

    fn dsb(&self) {
        cp15::dsb();
    }

    fn dmb(&self) {
        cp15::dmb();
    }

    fn sync_code(&self, code: &[u8]) {
        if !code.is_empty() {
            let (start, last) = ends(code);
            // SAFETY: as in `clean`.
            unsafe { cp15::clean_range(start, last) }
        }
        cp15::dsb();
        cp15::instruction_invalidate();
        cp15::branch_flush();
        cp15::dsb();
        cp15::prefetch_flush();
    }
}
