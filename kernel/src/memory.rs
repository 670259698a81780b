//! The map the kernel runs on, and what of it changes for a task.
//!
//! The boot code's coarse map is left as soon as Rust runs: here text becomes
//! read-only, everything else never-executed, and what nobody needs (the first
//! page, the pages below the stacks, the VideoCore's memory, the task region)
//! faults. Edits are brought into force by [`Tables`].

use sk_bcm2835::cp15::Control;
use sk_bcm2835::{Cp15, map};
use sk_drivers::mmu::{Area, Attr, DACR_CLIENTS, MapError, PAGE, RegionMapper, Tables};

/// Coarse tables in the pool of `kernel.ld`.
const L2_TABLES: usize = 32;

unsafe extern "C" {
    static mut __l1_final: [u32; 4096];
    static mut __l2_tables: [[u32; 256]; L2_TABLES];
    static __image_start: u8;
    static __asm_start: u8;
    static __asm_end: u8;
    static __text_end: u8;
    static __image_end: u8;
    static __data_start: u8;
    static __stacks_start: u8;
    static __fiq_stack: u8;
    static __fiq_stack_top: u8;
    static __irq_stack: u8;
    static __irq_stack_top: u8;
    static __abt_stack: u8;
    static __abt_stack_top: u8;
    static __und_stack: u8;
    static __und_stack_top: u8;
    static __svc_stack: u8;
    static __svc_stack_top: u8;
}

/// The address of a linker symbol.
macro_rules! addr {
    ($symbol:ident) => {
        (&raw const $symbol) as u32
    };
}

const fn page_up(at: u32) -> u32 {
    (at + PAGE - 1) & !(PAGE - 1)
}

/// The image as the firmware loaded it, which nothing writes.
pub fn image() -> &'static [u32] {
    let (start, end) = (addr!(__image_start), addr!(__image_end));
    let words = end.saturating_sub(start).div_ceil(4) as usize;
    // SAFETY: read-only memory of the image, mapped for the kernel's lifetime;
    // what follows its last byte in the word is of the same page.
    unsafe { core::slice::from_raw_parts(start as *const u32, words) }
}

/// The kernel's tables.
pub struct Memory {
    tables: Tables<'static, Cp15>,
    control: Control,
}

impl Memory {
    /// Builds the final map and switches to it. Called once.
    ///
    /// # Safety
    /// Called once, from the one thread, on the boot map.
    ///
    /// # Panics
    /// If the kernel's own areas cannot be mapped: a fault of `kernel.ld`.
    pub unsafe fn take_over() -> Self {
        let (l1, l2) = (&raw mut __l1_final, &raw mut __l2_tables);
        // SAFETY: called once, so these are the only references ever made to
        // the tables, which lie in a section nothing else is placed in.
        let (l1, l2) = unsafe { (&mut *l1, &mut *l2) };
        let l1_phys = l1.as_ptr() as u32;
        let l2_phys = l2.as_ptr() as u32;
        let mut mapper = RegionMapper::new(l1, l2, l2_phys).expect("kernel.ld aligns the pool");
        let area = |start, end, attr| Area { start, end, attr };
        let stack = |bottom, top| area(bottom, top, Attr::KernelData);
        mapper
            .map(&[
                area(addr!(__asm_start), addr!(__asm_end), Attr::UserText),
                area(addr!(__asm_end), addr!(__text_end), Attr::KernelText),
                area(addr!(__text_end), page_up(addr!(__image_end)), Attr::KernelRo),
                area(addr!(__data_start), addr!(__stacks_start), Attr::KernelData),
                stack(addr!(__fiq_stack), addr!(__fiq_stack_top)),
                stack(addr!(__irq_stack), addr!(__irq_stack_top)),
                stack(addr!(__abt_stack), addr!(__abt_stack_top)),
                stack(addr!(__und_stack), addr!(__und_stack_top)),
                stack(addr!(__svc_stack), addr!(__svc_stack_top)),
                area(map::LOG_RING, map::LOG_RING + map::LOG_RING_LEN, Attr::KernelData),
                area(
                    map::CRASH_RECORD,
                    map::CRASH_RECORD + map::CRASH_RECORD_LEN,
                    Attr::KernelData,
                ),
                area(map::PERIPHERALS, map::PERIPHERALS + map::PERIPHERALS_LEN, Attr::Device),
            ])
            .expect("kernel.ld lays the areas out apart");
        // SAFETY: the tables clean their own words, and the new map holds this
        // code, its stack, its data and the peripherals at the addresses they
        // have now.
        let mut tables = Tables::new(mapper, l1_phys, unsafe { Cp15::new() });
        tables.take_over(DACR_CLIENTS);
        Self { tables, control: Control::read() }
    }

    /// The control registers as this map needs them.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// First-level table and pool, for those who check that they are as they were.
    pub fn tables(&self) -> [&[u32]; 2] {
        let (l1, pool) = self.tables.words();
        [l1, pool.as_flattened()]
    }

    /// Maps areas of the task region.
    ///
    /// # Errors
    /// As [`RegionMapper::map`]; nothing is mapped then.
    pub fn map(&mut self, areas: &[Area]) -> Result<(), MapError> {
        self.tables.map(areas)
    }

    /// Removes every mapping in `start..end` of the task region.
    ///
    /// # Errors
    /// As [`RegionMapper::unmap`].
    pub fn unmap(&mut self, start: u32, end: u32) -> Result<(), MapError> {
        self.tables.unmap(start, end)
    }
}
