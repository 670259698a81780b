//! Instruction fetch and table walk: both look into memory, past the data cache
//! and the write buffer, and remember what they found.

use super::{LINE, Line, Memory, State};

const PAGE: u32 = 0x1000;

impl State {
    fn line_in_memory(&self, at: u32) -> Line {
        let (base, region) = self.regions.range(..=at).next_back().expect("code in memory");
        region.in_memory((at - base) as usize / LINE as usize)
    }

    /// The word at `at` in memory; 0, a fault, where no buffer is.
    fn word_in_memory(&self, at: u32) -> u32 {
        let Some((base, region)) = self.regions.range(..=at).next_back() else { return 0 };
        let at = (at - base) as usize;
        let word = region.memory.get(at..at + 4).and_then(|word| word.try_into().ok());
        word.map_or(0, u32::from_le_bytes)
    }

    /// The descriptor that maps `page`, as the tables in memory have it; 0 is a
    /// fault.
    fn walk(&self, page: u32) -> u32 {
        let first = self.word_in_memory(self.l1 + (page >> 20) * 4);
        match first & 3 {
            1 => self.word_in_memory((first & !0x3FF) + (page >> 12 & 0xFF) * 4),
            2 => first,
            _ => 0,
        }
    }
}

impl Memory {
    /// The `len` bytes at physical address `at` as an instruction fetch sees
    /// them.
    ///
    /// # Panics
    /// Outside of any buffer.
    #[must_use]
    pub fn fetch(&self, at: u32, len: usize) -> Vec<u8> {
        let s = &mut *self.0.borrow_mut();
        let mut code = std::mem::take(&mut s.code);
        let end = at + u32::try_from(len).expect("an address");
        let lines = (at & !(LINE - 1)..end).step_by(LINE as usize);
        let bytes: Vec<u8> =
            lines.flat_map(|line| code.execute(line, || s.line_in_memory(line))).collect();
        s.code = code;
        bytes[(at % LINE) as usize..][..len].to_vec()
    }

    /// The descriptor with which a load or store at `address` is translated; 0
    /// is a fault.
    #[must_use]
    pub fn translate(&self, address: u32) -> u32 {
        self.translation(address, false)
    }

    /// The same for an instruction fetch.
    #[must_use]
    pub fn translate_fetch(&self, address: u32) -> u32 {
        self.translation(address, true)
    }

    fn translation(&self, address: u32, fetch: bool) -> u32 {
        let s = &mut *self.0.borrow_mut();
        let mut pages = std::mem::take(&mut s.pages);
        let page = address & !(PAGE - 1);
        let found = if fetch {
            pages.execute(page, || s.walk(page))
        } else {
            pages.look(page, || s.walk(page))
        };
        s.pages = pages;
        found
    }

    /// The address of a slice of a window.
    pub(super) fn address_of(&self, slice: &[u8]) -> u32 {
        let s = self.0.borrow();
        let mut places = s.regions.iter();
        let found = places.find_map(|(base, region)| Some(base + region.place_of(slice)? as u32));
        found.expect("the slice is of a window")
    }

    pub(super) fn invalidate_code(&self) {
        let s = &mut *self.0.borrow_mut();
        s.dsb_was_last = false;
        s.code.invalidate_unsurely();
    }

    pub(super) fn pause(&self) {
        let s = &mut *self.0.borrow_mut();
        s.dsb_was_last = false;
        let mut code = std::mem::take(&mut s.code);
        code.pause(|line| s.line_in_memory(line));
        s.code = code;
    }

    pub(super) fn invalidate_pages(&self) {
        let s = &mut *self.0.borrow_mut();
        s.dsb_was_last = false;
        let mut pages = std::mem::take(&mut s.pages);
        pages.invalidate(|page| s.walk(page));
        s.pages = pages;
    }

    pub(super) fn flush_branches(&self) {
        let s = &mut *self.0.borrow_mut();
        s.dsb_was_last = false;
        s.code.branch_flush();
        s.pages.branch_flush();
    }

    pub(super) fn flush_prefetched(&self) {
        let s = &mut *self.0.borrow_mut();
        s.dsb_was_last = false;
        let mut code = std::mem::take(&mut s.code);
        code.prefetch_flush(|line| s.line_in_memory(line));
        s.code = code;
        let mut pages = std::mem::take(&mut s.pages);
        pages.prefetch_flush(|page| s.walk(page));
        s.pages = pages;
    }
}
