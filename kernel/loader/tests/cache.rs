//! What the kernel does to memory for one task after the other, at the same
//! addresses: map, load, scrub, unmap. Whatever was translated and executed
//! there before, the new text is what is executed now.

mod common;

use common::Image;
use sk_drivers::mmu::{Area, Attr, DACR_CLIENTS, RegionMapper, Tables, small_page};
use sk_loader::{Access, Layout, Load, Part, Plan, Progress, Request, TaskMemory};
use sk_models::memory::Memory;

const L1: u32 = 0x0010_8000;
const POOL: u32 = 0x0011_0000;

const REGION: u32 = 0x0400_0000;
const LEN: u32 = 0x0030_0000;

struct Ram(Vec<u8>);

impl TaskMemory for Ram {
    fn bytes(&mut self, at: u32, len: u32) -> Option<&mut [u8]> {
        let at = at.checked_sub(REGION)? as usize;
        self.0.get_mut(at..at.checked_add(len as usize)?)
    }
}

fn tables(memory: &Memory) -> Tables<'static, Memory> {
    memory.range(L1, 4 * 4096);
    memory.range(POOL, 8 * 1024);
    let l1: &'static mut [u32; 4096] = Box::leak(Box::new([0; 4096]));
    let pool: &'static mut [[u32; 256]] = Box::leak(Box::new([[0; 256]; 8]));
    let mapper = RegionMapper::new(l1, pool, POOL).unwrap();
    let mut tables = Tables::new(mapper, L1, memory.clone());
    tables.take_over(DACR_CLIENTS);
    tables
}

/// The parts of a task with the rights that the kernel gives them.
fn areas(layout: &Layout) -> Vec<Area> {
    let attr = |access| match access {
        Access::ReadExecute => Attr::TaskText,
        Access::ReadWrite => Attr::TaskData,
        Access::Read => Attr::TaskRo,
    };
    let parts = layout.areas().iter().filter(|part| part.mapped > 0);
    let area = |part: &sk_loader::Area| Area {
        start: part.start,
        end: part.start + part.mapped,
        attr: attr(part.access),
    };
    parts.map(area).collect()
}

fn image(text: usize, seed: u8) -> Image {
    let byte = |i: usize| (i as u8).wrapping_mul(7) ^ (i >> 8) as u8 ^ seed;
    Image { text: (0..text).map(byte).collect(), data: vec![seed; 64], ..Image::default() }
}

fn runs_what_was_loaded(memory: &Memory, budgets: &[u32]) {
    let mut ram = Ram(vec![0; LEN as usize]);
    memory.window(REGION, &ram.0);
    let mut tables = tables(memory);
    // Tasks one after the other at the same addresses, the text longer and
    // shorter, and not always whole lines or pages.
    for (i, &len) in [8192, 4100, 12_000, 36].iter().enumerate() {
        let bytes = image(len, 17 * (i as u8 + 1)).bytes();
        let plan = Plan::parse(&bytes).unwrap();
        let request = Request {
            region_start: REGION,
            region_end: REGION + LEN,
            heap: 4096,
            input: 0,
            output: 0,
            args: 0,
            input_at: None,
        };
        let layout = Layout::new(&plan, &request).unwrap();
        let text = layout.area(Part::Text);
        assert_eq!(memory.translate_fetch(text.start), 0, "task {i}: nothing is left mapped");
        tables.map(&areas(&layout)).unwrap();
        // The task before ran there, and the core ran ahead.
        let _ = memory.fetch(text.start, text.mapped as usize);
        let mut load = Load::new();
        let mut steps = budgets.iter().cycle();
        let mut budget = || *steps.next().unwrap();
        while load.step(&plan, &layout, &mut ram, memory, budget()).unwrap() == Progress::More {}
        let mut expected = plan.text.to_vec();
        expected.resize(text.mapped as usize, 0);
        let page = small_page(text.start, Attr::TaskText);
        assert_eq!(memory.translate_fetch(text.start), page, "task {i}");
        assert_eq!(memory.fetch(text.start, text.mapped as usize), expected, "task {i}");
        ram.bytes(text.start, text.mapped).unwrap().fill(0);
        tables.unmap(REGION, REGION + LEN).unwrap();
    }
}

#[test]
fn the_text_of_the_last_task_is_not_executed_again() {
    runs_what_was_loaded(&Memory::new(), &[u32::MAX]);
}

#[test]
fn whatever_the_caches_do_and_in_steps_of_any_size() {
    for seed in 0..8 {
        runs_what_was_loaded(&Memory::seeded(seed), &[3_000, 17, 100_000, 999]);
    }
}
