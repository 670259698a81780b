//! Memory that is not coherent: a write-back data cache and a write buffer
//! before it, an instruction fetch and a table walk that see neither, and bus
//! masters that see memory alone.
//!
//! ARM1176 as far as software must know it (TRM DDI0301H chapters 6 and 7):
//! lines of 32 bytes, allocated on reads only; a dirty line may be written back
//! at any time, and any line may be read in again at any time; what is cleaned
//! or stored past the cache is in memory after the next DSB and, perhaps, not
//! before. Where the core *may* do something, this double does the thing that
//! hurts: always, or with [`Memory::seeded`] by the seed.
//!
//! The CPU's view of a buffer is a slice in the hands of a driver. So the double
//! does not see a store when it happens: at each call that is given the slice it
//! compares it with what it showed there last. What is different was stored
//! meanwhile, and its lines have been dirty since. The bytes of the slice change
//! only in calls that are given it to be written: until a driver invalidates, it
//! reads what it read before, as if the line had been read in again too early.
//!
//! - `data`: the lines of a buffer, and the write buffer,
//! - `ops`: what CPU and devices do to them,
//! - `stale`: what the front end of the core remembers (code, branches,
//!   prefetched instructions; translations),
//! - `code`: instruction fetch and table walk.

mod code;
mod data;
mod ops;
mod stale;

use data::{Region, Writes};
use sk_hal::{BusAddr, CpuOwned, DmaBuf};
use stale::Stale;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What a DMA address must carry on BCM2835: the L2-coherent alias.
pub const ALIAS: u32 = 0x4000_0000;
/// What is left of a bus address without its alias.
const PHYSICAL: u32 = 0x3FFF_FFFF;
const LINE: u32 = sk_hal::dma::LINE as u32;

/// The bytes of one line.
type Line = [u8; LINE as usize];

/// splitmix64; without a seed it says no to everything.
#[derive(Clone, Copy, Default)]
struct Dice(Option<u64>);

impl Dice {
    fn next(&mut self) -> u64 {
        let Some(state) = &mut self.0 else { return 0 };
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Once in `n` times.
    fn one_in(&mut self, n: u64) -> bool {
        self.0.is_some() && self.next().is_multiple_of(n)
    }
}

#[derive(Default)]
struct State {
    /// Buffers by physical address.
    regions: BTreeMap<u32, Region>,
    writes: Writes,
    /// What device writes replaced since the last barrier: without one the CPU
    /// may read it still, though it has seen that the device is done.
    unordered: Vec<(u32, Vec<u8>)>,
    /// Maintenance that no DSB has completed.
    undrained: bool,
    /// Ranges cleaned since then: erratum 716151.
    cleaned: Vec<(u32, u32)>,
    barriers: u64,
    dsb_was_last: bool,
    code: Stale<Line>,
    pages: Stale<u32>,
    l1: u32,
    dice: Dice,
    next: u32,
}

/// Memory, caches and all; clones share it.
#[derive(Clone, Default)]
pub struct Memory(Rc<RefCell<State>>);

impl Memory {
    /// Empty memory, in which nothing reaches memory or is dropped without
    /// having been told to.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Empty memory in which `seed` decides what is written back, drained and
    /// read in when nobody asked for it.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let memory = Self::new();
        memory.0.borrow_mut().dice = Dice(Some(seed));
        memory
    }

    /// A DMA buffer of `len` bytes (rounded up to whole lines). The CPU has
    /// written all of it; in memory is something else.
    #[must_use]
    pub fn buffer(&self, len: usize) -> DmaBuf<CpuOwned> {
        let len = len.next_multiple_of(sk_hal::dma::LINE).max(sk_hal::dma::LINE);
        let slice = Box::leak(vec![0xCB; len].into_boxed_slice());
        let mut s = self.0.borrow_mut();
        let phys = 0x0010_0000 + s.next;
        s.next += u32::try_from(len).expect("small buffers") + 0x1000;
        s.next = s.next.next_multiple_of(LINE);
        s.regions.insert(phys, Region::new(len, None));
        DmaBuf::new(slice, BusAddr(phys | ALIAS)).expect("aligned and padded")
    }

    /// Memory of `len` bytes at physical address `at` (whole lines), as that of
    /// the page tables.
    ///
    /// # Panics
    /// If it is not whole lines.
    pub fn range(&self, at: u32, len: usize) {
        let whole = at.is_multiple_of(LINE) && len.is_multiple_of(LINE as usize);
        assert!(whole, "memory of part of a line");
        self.0.borrow_mut().regions.insert(at, Region::new(len, None));
    }

    /// The same where `slice` is the CPU's view of it, as the task region: an
    /// operation that is told of no address is for the address of its slice.
    /// The slice stays where it is as long as it is used.
    ///
    /// # Panics
    /// As [`Memory::range`].
    pub fn window(&self, at: u32, slice: &[u8]) {
        self.range(at, slice.len());
        self.0.borrow_mut().regions.insert(at, Region::new(slice.len(), Some(slice)));
    }

    /// Device read of `len` bytes at `bus`.
    ///
    /// # Panics
    /// Without the bus alias, or if the range is not inside one buffer: on the
    /// board that is a wild DMA.
    #[must_use]
    pub fn device_read(&self, bus: u32, len: usize) -> Vec<u8> {
        let s = &mut *self.0.borrow_mut();
        s.unrest();
        let (at, region) = s.device(bus, len, "read");
        region.memory[at..at + len].to_vec()
    }

    /// Device write at `bus`.
    ///
    /// # Panics
    /// As [`Memory::device_read`], and if the buffer was neither cleaned nor
    /// discarded since the CPU had it.
    pub fn device_write(&self, bus: u32, data: &[u8]) {
        let s = &mut *self.0.borrow_mut();
        s.unrest();
        let (at, region) = s.device(bus, data.len(), "write");
        assert!(region.is_lent(at, data.len()), "DMA write to a buffer the CPU has: {bus:#x}");
        let place = &mut region.memory[at..at + data.len()];
        let old = place.to_vec();
        place.copy_from_slice(data);
        s.unordered.push((bus & PHYSICAL, old));
    }

    /// Is there maintenance that no DSB has completed yet? A doorbell rung now
    /// is a bug; register models assert on it.
    #[must_use]
    pub fn dsb_missing(&self) -> bool {
        self.0.borrow().undrained
    }

    /// Barriers so far, DMB and DSB alike.
    #[must_use]
    pub fn barriers(&self) -> u64 {
        self.0.borrow().barriers
    }
}

impl State {
    /// The region that holds `phys .. phys + len`, and where in it that is.
    fn find(&mut self, phys: u32, len: usize) -> Option<(usize, &mut Region)> {
        let (base, region) = self.regions.range_mut(..=phys).next_back()?;
        let at = (phys - base) as usize;
        (at + len <= region.memory.len()).then_some((at, region))
    }

    fn device(&mut self, bus: u32, len: usize, what: &str) -> (usize, &mut Region) {
        assert_eq!(bus & !PHYSICAL, ALIAS, "bus alias of a DMA {what} at {bus:#x}");
        match self.find(bus & PHYSICAL, len) {
            Some(found) => found,
            None => panic!("DMA {what} outside any buffer: {bus:#x}+{len}"),
        }
    }
}
