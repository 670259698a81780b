//! Memory as a bus master sees it, apart from what the CPU sees.
//!
//! The CPU's bytes live in leaked host buffers ([`sk_hal::DmaBuf`]); the
//! device's in [`Memory`]. Only the calls of [`CacheOps`] carry bytes between
//! them, and a cleaned line reaches the device only at the next DSB. So a
//! driver that forgets a clean, an invalidate or a barrier works on stale
//! bytes here as it would on the board.

use sk_hal::{BusAddr, CacheOps, CpuOwned, DmaBuf};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What a DMA address must carry on BCM2835: the L2-coherent alias.
pub const ALIAS: u32 = 0x4000_0000;

#[derive(Default)]
struct State {
    /// Device-visible buffers by bus address.
    regions: BTreeMap<u32, Vec<u8>>,
    /// Cleaned, but not yet past a DSB.
    pending: Vec<(u32, Vec<u8>)>,
    next: u32,
}

/// Device-visible memory; clones share it.
#[derive(Clone, Default)]
pub struct Memory(Rc<RefCell<State>>);

impl Memory {
    /// Empty memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A DMA buffer of `len` bytes (rounded up to whole lines), whose device
    /// side is filled with 0xDB so that an omitted clean shows.
    #[must_use]
    pub fn buffer(&self, len: usize) -> DmaBuf<CpuOwned> {
        let len = len.next_multiple_of(sk_hal::dma::LINE).max(sk_hal::dma::LINE);
        let mut s = self.0.borrow_mut();
        let bus = ALIAS | (0x0010_0000 + s.next);
        s.next += u32::try_from(len).expect("small buffers") + 0x1000;
        s.next = s.next.next_multiple_of(32);
        s.regions.insert(bus, vec![0xDB; len]);
        DmaBuf::new(Box::leak(vec![0xCB; len].into_boxed_slice()), BusAddr(bus))
            .expect("aligned and padded")
    }

    /// Device read of `len` bytes at `bus`.
    ///
    /// # Panics
    /// If the range is not inside one buffer: on the board that is a wild DMA.
    #[must_use]
    pub fn device_read(&self, bus: u32, len: usize) -> Vec<u8> {
        let s = self.0.borrow();
        let (base, bytes) =
            s.regions.range(..=bus).next_back().expect("DMA read outside any buffer");
        let at = (bus - base) as usize;
        assert!(at + len <= bytes.len(), "DMA read past a buffer: {bus:#x}+{len}");
        bytes[at..at + len].to_vec()
    }

    /// Device write at `bus`.
    ///
    /// # Panics
    /// As [`Memory::device_read`].
    pub fn device_write(&self, bus: u32, data: &[u8]) {
        let mut s = self.0.borrow_mut();
        let (base, bytes) =
            s.regions.range_mut(..=bus).next_back().expect("DMA write outside any buffer");
        let at = (bus - base) as usize;
        assert!(at + data.len() <= bytes.len(), "DMA write past a buffer: {bus:#x}+{}", data.len());
        bytes[at..at + data.len()].copy_from_slice(data);
    }

    /// Are there cleaned lines that no DSB has pushed out yet? A doorbell rung
    /// now is a bug; register models assert on it.
    #[must_use]
    pub fn dsb_missing(&self) -> bool {
        !self.0.borrow().pending.is_empty()
    }
}

impl CacheOps for Memory {
    fn clean(&self, bus: BusAddr, mem: &[u8]) {
        self.0.borrow_mut().pending.push((bus.0, mem.to_vec()));
    }
    fn discard(&self, _bus: BusAddr, mem: &mut [u8]) {
        mem.fill(0xCD);
    }
    fn invalidate(&self, bus: BusAddr, mem: &mut [u8]) {
        mem.copy_from_slice(&self.device_read(bus.0, mem.len()));
    }
    fn dsb(&self) {
        let pending = std::mem::take(&mut self.0.borrow_mut().pending);
        for (bus, bytes) in pending {
            self.device_write(bus, &bytes);
        }
    }
    fn dmb(&self) {}
    fn sync_code(&self, _code: &[u8]) {}
}
