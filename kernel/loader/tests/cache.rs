//! Loading, as the instruction fetch sees it: whatever was executed at the same
//! place before, the new text is executed now.

mod common;

use common::Image;
use sk_loader::{Layout, Load, Part, Plan, Progress, Request, TaskMemory};
use sk_models::memory::Memory;

const REGION: u32 = 0x0400_0000;
const LEN: u32 = 0x0030_0000;

struct Ram(Vec<u8>);

impl TaskMemory for Ram {
    fn bytes(&mut self, at: u32, len: u32) -> Option<&mut [u8]> {
        let at = at.checked_sub(REGION)? as usize;
        self.0.get_mut(at..at.checked_add(len as usize)?)
    }
}

fn image(text: usize, seed: u8) -> Image {
    let byte = |i: usize| (i as u8).wrapping_mul(7) ^ (i >> 8) as u8 ^ seed;
    Image { text: (0..text).map(byte).collect(), data: vec![seed; 64], ..Image::default() }
}

fn runs_what_was_loaded(memory: &Memory, budgets: &[u32]) {
    let mut ram = Ram(vec![0; LEN as usize]);
    memory.window(REGION, &ram.0);
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
        // The task before ran there, and the core ran ahead.
        let _ = memory.fetch(text.start, text.mapped as usize);
        let mut load = Load::new();
        let mut steps = budgets.iter().cycle();
        let mut budget = || *steps.next().unwrap();
        while load.step(&plan, &layout, &mut ram, memory, budget()).unwrap() == Progress::More {}
        let mut expected = plan.text.to_vec();
        expected.resize(text.mapped as usize, 0);
        assert_eq!(memory.fetch(text.start, text.mapped as usize), expected, "task {i}");
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
