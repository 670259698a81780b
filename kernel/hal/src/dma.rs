//! Memory shared with a bus master, as a change of owner.
//!
//! ARM1176's caches are never snooped (TRM 3.2.22; lines of 32 bytes), so a
//! buffer belongs either to the CPU or to the device, and cache work happens
//! at the change of owner and nowhere else. Giving a buffer away consumes it;
//! the bytes cannot be touched until it is taken back.
//!
//! [`CacheOps`] receives the slice itself. On the board it maintains the lines
//! of that memory ([`crate::cp15`]); the double on the host sees in the slice
//! what the CPU stored since the last call, and shows in it what the CPU would
//! read, so a missing clean, invalidate or barrier shows in a test.

use core::marker::PhantomData;

/// Size of a cache line: buffers are aligned to and padded to this.
pub const LINE: usize = 32;

/// An address as a bus master sees it (ARM physical | 0x4000_0000 on BCM2835).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct BusAddr(pub u32);

/// Which way the bytes of a transfer go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// The device reads memory the CPU wrote.
    ToDevice,
    /// The device writes memory the CPU will read.
    FromDevice,
    /// Both, as a mailbox message.
    Both,
}

/// Cache maintenance and barriers. `mem` is always whole cache lines.
pub trait CacheOps {
    /// Makes what the CPU wrote to `mem` visible at `bus` (clean by line).
    /// Takes effect for the device only after [`CacheOps::dsb`].
    fn clean(&self, bus: BusAddr, mem: &[u8]);
    /// Drops the CPU's copies of `mem` *before* a device writes there, so that
    /// no dirty line is evicted over its data. Contents become unspecified.
    fn discard(&self, bus: BusAddr, mem: &mut [u8]);
    /// Drops the CPU's (possibly speculatively refilled) copies *after* a
    /// device wrote at `bus`, so that the next read comes from memory.
    fn invalidate(&self, bus: BusAddr, mem: &mut [u8]);
    /// Data synchronisation barrier: earlier stores and cache operations have
    /// reached memory. Before every doorbell.
    fn dsb(&self);
    /// Data memory barrier: orders accesses before and after it.
    fn dmb(&self);
    /// After code was written to memory: clean D, DSB, invalidate I and the
    /// branch predictor, prefetch flush.
    fn sync_code(&self, code: &[u8]);
}

impl<C: CacheOps + ?Sized> CacheOps for &C {
    fn clean(&self, bus: BusAddr, mem: &[u8]) {
        (**self).clean(bus, mem);
    }
    fn discard(&self, bus: BusAddr, mem: &mut [u8]) {
        (**self).discard(bus, mem);
    }
    fn invalidate(&self, bus: BusAddr, mem: &mut [u8]) {
        (**self).invalidate(bus, mem);
    }
    fn dsb(&self) {
        (**self).dsb();
    }
    fn dmb(&self) {
        (**self).dmb();
    }
    fn sync_code(&self, code: &[u8]) {
        (**self).sync_code(code);
    }
}

/// State of a [`DmaBuf`] the CPU may read and write.
#[derive(Debug)]
pub enum CpuOwned {}
/// State of a [`DmaBuf`] a device may read or write.
#[derive(Debug)]
pub enum DeviceOwned {}

/// A DMA buffer: whole cache lines at a known bus address, owned by the CPU or
/// by a device.
#[derive(Debug)]
pub struct DmaBuf<Owner> {
    mem: &'static mut [u8],
    bus: BusAddr,
    direction: Direction,
    owner: PhantomData<Owner>,
}

impl DmaBuf<CpuOwned> {
    /// A buffer over `mem`, which a device sees at `bus`. `None` unless both
    /// the address and the length are whole cache lines.
    pub fn new(mem: &'static mut [u8], bus: BusAddr) -> Option<Self> {
        let whole = mem.len().is_multiple_of(LINE)
            && (bus.0 as usize).is_multiple_of(LINE)
            && !mem.is_empty();
        whole.then_some(Self { mem, bus, direction: Direction::Both, owner: PhantomData })
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.mem
    }

    /// The bytes, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.mem
    }

    /// Hands the buffer to a device. Includes the DSB that must come before
    /// the doorbell.
    pub fn give<C: CacheOps>(self, cache: &C, direction: Direction) -> DmaBuf<DeviceOwned> {
        match direction {
            Direction::ToDevice | Direction::Both => cache.clean(self.bus, self.mem),
            Direction::FromDevice => cache.discard(self.bus, self.mem),
        }
        cache.dsb();
        DmaBuf { mem: self.mem, bus: self.bus, direction, owner: PhantomData }
    }
}

impl DmaBuf<DeviceOwned> {
    /// Takes the buffer back. The caller has seen the device finish with it.
    pub fn take<C: CacheOps>(self, cache: &C) -> DmaBuf<CpuOwned> {
        cache.dmb();
        if self.direction != Direction::ToDevice {
            cache.invalidate(self.bus, self.mem);
        }
        DmaBuf { mem: self.mem, bus: self.bus, direction: Direction::Both, owner: PhantomData }
    }
}

impl<Owner> DmaBuf<Owner> {
    /// Where a bus master finds the buffer.
    pub fn bus(&self) -> BusAddr {
        self.bus
    }

    /// Length in bytes: a multiple of [`LINE`].
    pub fn capacity(&self) -> usize {
        self.mem.len()
    }
}
