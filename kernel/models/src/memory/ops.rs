//! What the CPU does to the data cache and the write buffer: by instruction
//! ([`Cp15Ops`], at addresses), and by [`CacheOps`], which runs the sequences of
//! the board ([`sk_hal::cp15`]) on those instructions.

use super::data::Cached;
use super::{ALIAS, LINE, Line, Memory, PHYSICAL, State};
use sk_hal::cp15::{self, Cp15Ops};
use sk_hal::{BusAddr, CacheOps};

impl State {
    /// Something happens that nobody asked for, if there is a seed.
    pub(super) fn unrest(&mut self) {
        if self.dice.one_in(4) {
            self.drain_one();
        }
        if !self.dice.one_in(2) {
            return;
        }
        let region = self.dice.next() as usize % self.regions.len().max(1);
        let Some((&base, region)) = self.regions.iter_mut().nth(region) else { return };
        let n = self.dice.next() as usize % region.lines();
        let at = base + n as u32 * LINE;
        match *region.line(n) {
            // Evicted.
            Cached::Dirty(bytes) => {
                *region.line(n) = Cached::No;
                self.writes.push(at, bytes);
            }
            Cached::Clean(_) => *region.line(n) = Cached::No,
            // Read in by speculation, or because a neighbour was read.
            Cached::No => {
                let bytes = self.writes.forward(at).unwrap_or(region.in_memory(n));
                *region.line(n) = Cached::Clean(bytes);
            }
        }
    }

    fn drain_one(&mut self) -> bool {
        let Some((at, bytes)) = self.writes.pop() else { return false };
        if let Some((at, region)) = self.find(at, LINE as usize) {
            region.store_in_memory(at / LINE as usize, &bytes);
        }
        true
    }

    /// What the CPU reads at `at .. at + len`: cache, then write buffer, then
    /// memory, where without a barrier it may be what was there before a device
    /// wrote.
    fn load(&mut self, at: u32, len: usize) -> Vec<u8> {
        let (place, region) = self.find(at, len).expect("part of a buffer");
        let mut bytes = region.memory[place..place + len].to_vec();
        for (from, old) in self.unordered.iter().rev() {
            overlay(&mut bytes, at, *from, old);
        }
        let lines = place / LINE as usize..(place + len).div_ceil(LINE as usize);
        let base = at - place as u32;
        for n in lines {
            let line = base + n as u32 * LINE;
            let forwarded = self.writes.forward(line);
            let cached = match *self.find(line, 0).expect("a line of it").1.line(n) {
                Cached::Clean(bytes) | Cached::Dirty(bytes) => Some(bytes),
                Cached::No => forwarded,
            };
            if let Some(cached) = cached {
                overlay(&mut bytes, at, line, &cached);
            }
        }
        bytes
    }

    /// The CPU has `now` in its slice of `phys`: what is new there was stored.
    pub(super) fn observe(&mut self, phys: u32, now: &[u8]) {
        if now.is_empty() {
            return;
        }
        let Some((at, region)) = self.find(phys, now.len()) else {
            panic!("maintenance of {phys:#x}+{}, which is no buffer", now.len());
        };
        let base = phys - at as u32;
        for (n, from, bytes) in region.stored(at, now) {
            let line = base + n as u32 * LINE;
            assert!(
                !self.cleaned.iter().any(|(start, last)| (*start..=*last).contains(&line)),
                "erratum 716151: store to {line:#x}, cleaned without a DSB since"
            );
            let mut whole: Line = self.load(line, LINE as usize).try_into().expect("a line");
            whole[from..from + bytes.len()].copy_from_slice(&bytes);
            let miss = self.dice.one_in(4);
            let (_, region) = self.find(phys, now.len()).expect("found before");
            if miss && *region.line(n) == Cached::No {
                // Not allocated on a write: past the cache.
                self.writes.push(line, whole);
            } else {
                *region.line(n) = Cached::Dirty(whole);
            }
        }
    }

    /// The CPU reads `phys ..` into its slice.
    fn present(&mut self, phys: u32, slice: &mut [u8]) {
        if self.undrained {
            // The lines may still be there, with what was in them.
            return;
        }
        slice.copy_from_slice(&self.load(phys, slice.len()));
        if let Some((at, region)) = self.find(phys, slice.len()) {
            region.show(at, slice);
        }
    }

    /// Does `each` to the cached lines of `start ..= last`, which are lent to a
    /// device afterwards or not. `each` gets the line's address and returns what
    /// is left in the cache and what is written back.
    fn maintain(
        &mut self,
        start: u32,
        last: u32,
        lent: bool,
        each: impl Fn(u32, Cached) -> (Cached, Option<Line>),
    ) {
        self.unrest();
        self.dsb_was_last = false;
        self.undrained = true;
        assert!(start <= last, "maintenance of {start:#x} to {last:#x}");
        let (first, end) = (start & !(LINE - 1), last | (LINE - 1));
        let found = self.regions.range_mut(..=first).next_back();
        let inside = found.filter(|(base, r)| r.memory.len() > (end - **base) as usize);
        let Some((base, region)) = inside else {
            panic!("maintenance of lines outside of a buffer: {start:#x} to {last:#x}");
        };
        for line in (first..=end).step_by(LINE as usize) {
            let n = ((line - base) / LINE) as usize;
            let (left, written) = each(line, *region.line(n));
            *region.line(n) = left;
            region.lend(n, lent);
            if let Some(bytes) = written {
                self.writes.push(line, bytes);
            }
        }
    }

    /// No barrier was between the sign that a device is done and the
    /// invalidate: that may have come first, and the lines may have been read in
    /// again before the device wrote.
    fn read_in_too_early(&mut self, start: u32, last: u32) {
        for line in (start..=last).step_by(LINE as usize) {
            let old = self.load(line, LINE as usize).try_into().expect("a line");
            if let Some((at, region)) = self.find(line, LINE as usize) {
                let n = at / LINE as usize;
                if region.in_memory(n) != old {
                    *region.line(n) = Cached::Clean(old);
                }
            }
        }
    }

    fn barrier(&mut self) {
        self.unordered.clear();
        self.barriers += 1;
    }
}

impl Cp15Ops for Memory {
    fn dsb(&self) {
        let s = &mut *self.0.borrow_mut();
        while s.drain_one() {}
        s.undrained = false;
        s.cleaned.clear();
        s.code.complete();
        s.pages.complete();
        s.barrier();
        s.dsb_was_last = true;
    }

    fn dmb(&self) {
        let s = &mut *self.0.borrow_mut();
        s.unrest();
        s.barrier();
        s.dsb_was_last = false;
    }

    fn clean_range(&self, start: u32, last: u32) {
        let s = &mut *self.0.borrow_mut();
        s.maintain(start, last, true, |_, cached| match cached {
            Cached::Dirty(bytes) => (Cached::Clean(bytes), Some(bytes)),
            other => (other, None),
        });
        s.cleaned.push((start & !(LINE - 1), last));
    }

    fn clean_invalidate_range(&self, start: u32, last: u32) {
        self.0.borrow_mut().maintain(start, last, true, |_, cached| match cached {
            Cached::Dirty(bytes) => (Cached::No, Some(bytes)),
            _ => (Cached::No, None),
        });
    }

    fn invalidate_range(&self, start: u32, last: u32) {
        let whole = start.is_multiple_of(LINE) && last % LINE == LINE - 1;
        assert!(whole, "invalidate of part of a line: {start:#x} to {last:#x}");
        let s = &mut *self.0.borrow_mut();
        s.maintain(start, last, false, |line, cached| {
            assert!(
                !matches!(cached, Cached::Dirty(_)),
                "invalidate of a dirty line at {line:#x}: its stores are lost, or were written \
                 over what a device wrote"
            );
            (Cached::No, None)
        });
        if !s.unordered.is_empty() {
            s.read_in_too_early(start, last);
        }
    }

    fn instruction_invalidate(&self) {
        self.invalidate_code();
    }

    fn eleven_nops(&self) {
        self.pause();
    }

    fn branch_flush(&self) {
        self.flush_branches();
    }

    fn prefetch_flush(&self) {
        self.flush_prefetched();
    }

    fn tlb_invalidate(&self) {
        self.invalidate_pages();
    }

    fn set_domains(&self, _dacr: u32) {}

    fn set_tables(&self, l1: u32) {
        self.0.borrow_mut().l1 = l1;
    }

    fn wait_for_interrupt(&self) {
        assert!(self.0.borrow().dsb_was_last, "WFI without a DSB right before it");
    }

    fn stored(&self, start: u32, words: &[u32]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.0.borrow_mut().observe(start, &bytes);
    }
}

impl CacheOps for Memory {
    fn clean(&self, bus: BusAddr, mem: &[u8]) {
        let phys = physical(bus);
        self.0.borrow_mut().observe(phys, mem);
        cp15::clean(self, phys, mem.len() as u32);
    }

    fn discard(&self, bus: BusAddr, mem: &mut [u8]) {
        let phys = physical(bus);
        self.0.borrow_mut().observe(phys, mem);
        cp15::discard(self, phys, mem.len() as u32);
        // What is read now is anybody's guess.
        mem.fill(0xCD);
        let s = &mut *self.0.borrow_mut();
        if let Some((at, region)) = s.find(phys, mem.len()) {
            region.show(at, mem);
        }
    }

    fn invalidate(&self, bus: BusAddr, mem: &mut [u8]) {
        let phys = physical(bus);
        self.0.borrow_mut().observe(phys, mem);
        cp15::invalidate(self, phys, mem.len() as u32);
        self.0.borrow_mut().present(phys, mem);
    }

    fn dsb(&self) {
        Cp15Ops::dsb(self);
    }

    fn dmb(&self) {
        Cp15Ops::dmb(self);
    }

    fn sync_code(&self, code: &[u8]) {
        let phys = if code.is_empty() { 0 } else { self.address_of(code) };
        self.0.borrow_mut().observe(phys, code);
        cp15::sync_code(self, phys, code.len() as u32);
    }
}

/// `bytes`, which are at `at`, become what `new` has, which is at `from`.
fn overlay(bytes: &mut [u8], at: u32, from: u32, new: &[u8]) {
    let first = at.max(from);
    let end = (at + bytes.len() as u32).min(from + new.len() as u32);
    if first < end {
        let part = &new[(first - from) as usize..(end - from) as usize];
        bytes[(first - at) as usize..(end - at) as usize].copy_from_slice(part);
    }
}

fn physical(bus: BusAddr) -> u32 {
    assert_eq!(bus.0 & !PHYSICAL, ALIAS, "bus alias of {:#x}", bus.0);
    bus.0 & PHYSICAL
}
