//! The running task's memory.

use crate::region::Region;
use sk_loader::{Layout, Part};

/// As its services see it.
pub(super) struct View<'a> {
    pub(super) region: &'a mut Region,
    pub(super) layout: &'a Layout,
}

impl sk_services::Memory for View<'_> {
    fn readable(&self, at: u32, len: u32) -> Option<&[u8]> {
        if len == 0 {
            return Some(&[]);
        }
        self.layout.readable(at, len).then(|| self.region.bytes(at, len)).flatten()
    }

    fn writable(&mut self, at: u32, len: u32) -> Option<&mut [u8]> {
        if len == 0 {
            return Some(&mut []);
        }
        self.layout.writable(at, len).then(|| self.region.bytes_mut(at, len)).flatten()
    }

    fn heap(&mut self) -> &mut [u32] {
        let area = self.layout.area(Part::Heap);
        self.region.words_mut(area.start, area.mapped).unwrap_or(&mut [])
    }
}
