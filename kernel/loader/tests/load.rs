//! Layout and loading, into memory that is a vector.

mod common;

use common::{Image, image};
use proptest::prelude::*;
use sk_abi::{Status, TaskInfo};
use sk_hal::{BusAddr, CacheOps};
use sk_loader::{
    Access, Field, GUARD, GUARD_ABOVE, Layout, Load, Part, Plan, Progress, Request, TaskMemory,
};
use std::cell::RefCell;

struct Ram {
    start: u32,
    bytes: Vec<u8>,
}

impl TaskMemory for Ram {
    fn bytes(&mut self, at: u32, len: u32) -> Option<&mut [u8]> {
        let at = at.checked_sub(self.start)? as usize;
        self.bytes.get_mut(at..at.checked_add(len as usize)?)
    }
}

impl Ram {
    fn word(&self, at: u32) -> u32 {
        let at = (at - self.start) as usize;
        u32::from_le_bytes(self.bytes[at..at + 4].try_into().unwrap())
    }
    fn slice(&self, at: u32, len: u32) -> &[u8] {
        &self.bytes[(at - self.start) as usize..][..len as usize]
    }
}

/// Instruction fetch sees only what was synced.
#[derive(Default)]
struct Fetched(RefCell<Vec<u8>>);

impl CacheOps for Fetched {
    fn clean(&self, _: BusAddr, _: &[u8]) {}
    fn discard(&self, _: BusAddr, _: &mut [u8]) {}
    fn invalidate(&self, _: BusAddr, _: &mut [u8]) {}
    fn dsb(&self) {}
    fn dmb(&self) {}
    fn sync_code(&self, code: &[u8]) {
        self.0.borrow_mut().extend(code);
    }
}

fn request(start: u32, len: u32) -> Request {
    Request {
        region_start: start,
        region_end: start.saturating_add(len),
        heap: 5000,
        input: 100,
        output: 9000,
        args: 10,
        input_at: None,
    }
}

/// Loads in steps of `budget`; memory starts out full of somebody's bytes.
fn load(plan: &Plan<'_>, start: u32, budget: u32) -> (Layout, Ram, Vec<u8>) {
    let layout = Layout::new(plan, &request(start, 4 << 20)).unwrap();
    let low = layout.area(Part::Stack).start;
    let mut ram = Ram { start: low, bytes: vec![0xAA; (layout.end() - low) as usize] };
    let cache = Fetched::default();
    let mut load = Load::new();
    let mut steps = 0;
    while load.step(plan, &layout, &mut ram, &cache, budget).unwrap() == Progress::More {
        steps += 1;
        assert!(steps < 1_000_000);
    }
    (layout, ram, cache.0.into_inner())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// At three bases, in steps of any size: the same program, moved.
    #[test]
    fn relocation_at_three_bases(image in image(), budget in 1u32..20_000) {
        let bytes = image.bytes();
        let plan = Plan::parse(&bytes).unwrap();
        for start in [0x0400_0000u32, 0x0812_3000, 0x1F00_0000] {
            let (layout, ram, fetched) = load(&plan, start, budget);
            let text = layout.area(Part::Text);
            let data = layout.area(Part::Data);
            prop_assert_eq!(ram.slice(text.start, text.len), &image.text[..]);
            prop_assert_eq!(&fetched[..], ram.slice(text.start, text.mapped), "all of it synced");
            prop_assert_eq!(layout.entry, text.start + image.entry);
            let mut expected = image.data.clone();
            for &w in &image.relocs {
                let at = w as usize * 4;
                let old = u32::from_le_bytes(expected[at..at + 4].try_into().unwrap());
                expected[at..at + 4].copy_from_slice(&old.wrapping_add(text.start).to_le_bytes());
                prop_assert_eq!(ram.word(data.start + w * 4), old.wrapping_add(text.start));
            }
            expected.resize(data.mapped as usize, 0);
            prop_assert_eq!(ram.slice(data.start, data.mapped), &expected[..]);
            let stack = layout.area(Part::Stack);
            prop_assert!(ram.slice(stack.start, stack.mapped).iter().all(|&b| b == 0));
            let heap = layout.area(Part::Heap);
            prop_assert!(ram.slice(heap.start, heap.mapped).iter().all(|&b| b == 0xAA));
        }
    }

    /// Areas are in order, whole pages, inside, disjoint; or it is TOO_BIG.
    #[test]
    fn layouts_fit_or_are_refused(
        image in image(),
        start in any::<u32>(), len in any::<u32>(),
        heap in any::<u32>(), input in any::<u32>(), output in any::<u32>(), small in any::<bool>(),
    ) {
        let bytes = image.bytes();
        let plan = Plan::parse(&bytes).unwrap();
        let shrink = if small { 0xF_FFFF } else { u32::MAX };
        let region_start = start & !0xFFF;
        let request = Request {
            region_start,
            region_end: region_start.saturating_add(len),
            heap: heap & shrink, input: input & shrink, output: output & shrink, args: 7,
            input_at: None,
        };
        let need: u64 = u64::from(GUARD + GUARD_ABOVE) + [
            u64::from(plan.stack_len), image.text.len() as u64,
            image.data.len() as u64 + u64::from(image.bss),
            u64::from(request.heap), 87, u64::from(request.input), u64::from(request.output),
        ].iter().map(|l| l.next_multiple_of(4096)).sum::<u64>();
        let fits = u64::from(region_start) + need <= u64::from(request.region_end);
        match Layout::new(&plan, &request) {
            Err(r) => {
                prop_assert_eq!((r.status, r.field), (Status::TOO_BIG, Field::Region));
                prop_assert!(!fits);
            }
            Ok(layout) => {
                prop_assert!(fits);
                let mut next = u64::from(region_start) + u64::from(GUARD);
                for a in layout.areas() {
                    prop_assert_eq!(u64::from(a.start), next);
                    prop_assert!(a.start % 4096 == 0 && a.mapped % 4096 == 0 && a.len <= a.mapped);
                    next += u64::from(a.mapped);
                    if a.part == Part::Stack {
                        next += u64::from(GUARD_ABOVE);
                    }
                }
                prop_assert!(next <= u64::from(request.region_end));
                prop_assert_eq!(layout.area(Part::Data).start,
                    layout.area(Part::Text).start + plan.data_offset());
            }
        }
    }

    /// The range checks against a page-by-page model of the map.
    #[test]
    fn access_checks_agree_with_the_page_map(
        image in image(), at in 0u32..0x20_0000, len in 0u32..40_000, top in any::<bool>(),
    ) {
        let bytes = image.bytes();
        let plan = Plan::parse(&bytes).unwrap();
        let start = 0x0400_0000;
        let layout = Layout::new(&plan, &request(start, 4 << 20)).unwrap();
        let at = if top { u32::MAX - at } else { start + 0xE_0000 + at };
        let page = |p: u64, write: bool| layout.areas().iter().any(|a| {
            (u64::from(a.start)..u64::from(a.start) + u64::from(a.mapped)).contains(&p)
                && (!write || a.access == Access::ReadWrite)
        });
        let all = |write| (u64::from(at)..u64::from(at) + u64::from(len)).all(|p| page(p, write));
        prop_assert_eq!(layout.readable(at, len), all(false));
        prop_assert_eq!(layout.writable(at, len), all(true));
    }
}

#[test]
fn nothing_is_writable_and_executable() {
    let image = Image { text: vec![0; 4], data: vec![1; 4], ..Image::default() }.bytes();
    let layout =
        Layout::new(&Plan::parse(&image).unwrap(), &request(0x0400_0000, 4 << 20)).unwrap();
    let access = |part| layout.area(part).access;
    assert_eq!(access(Part::Text), Access::ReadExecute);
    for part in [Part::Stack, Part::Data, Part::Heap, Part::Output] {
        assert_eq!(access(part), Access::ReadWrite);
    }
    assert_eq!((access(Part::Info), access(Part::Input)), (Access::Read, Access::Read));
    let info = layout.describe(TaskInfo { deadline_us: 9, ..TaskInfo::default() });
    assert_eq!((info.abi, info.size, info.deadline_us), (1, 80, 9));
    assert_eq!(info.stack_end + GUARD_ABOVE, layout.area(Part::Text).start);
    assert!(!layout.readable(info.stack_end, 1), "a page between stack and text is nobody's");
    assert_eq!(info.stack_start, 0x0410_0000);
    assert_eq!((info.args, info.args_len), (layout.area(Part::Info).start + 80, 10));
}

#[test]
fn input_that_is_there_already_stays_where_it_is() {
    let image = Image { text: vec![0; 4], ..Image::default() }.bytes();
    let plan = Plan::parse(&image).unwrap();
    let at = |input_at| Request { input_at: Some(input_at), ..request(0x0400_0000, 4 << 20) };
    let layout = Layout::new(&plan, &at(0x0420_0000)).unwrap();
    assert_eq!(layout.area(Part::Input).start, 0x0420_0000);
    assert_eq!(layout.area(Part::Output).start, 0x0420_1000);
    assert!(!layout.readable(0x041F_FFFF, 1), "the gap before it is nobody's");
    let status = |input_at| Layout::new(&plan, &at(input_at)).unwrap_err().status;
    assert_eq!(status(0x0420_0800), Status::RANGE);
    assert_eq!(status(0x0410_0000), Status::TOO_BIG, "below what lies before it");
    assert_eq!(status(0x043F_F000), Status::TOO_BIG);
    assert_eq!(status(0xFFFF_F000), Status::TOO_BIG);
}

#[test]
fn a_bad_region_or_argument_string_is_refused() {
    let image = Image { text: vec![0; 4], ..Image::default() }.bytes();
    let plan = Plan::parse(&image).unwrap();
    let odd = Request { region_start: 0x0400_0800, ..request(0x0400_0000, 4 << 20) };
    assert_eq!(Layout::new(&plan, &odd).unwrap_err().status, Status::RANGE);
    let args = Request { args: 2049, ..request(0x0400_0000, 4 << 20) };
    assert_eq!(Layout::new(&plan, &args).unwrap_err().status, Status::RANGE);
}

#[test]
fn a_bad_relocation_is_found_while_loading() {
    let image =
        Image { text: vec![0; 4], data: vec![0; 8], relocs: vec![1, 2], ..Image::default() };
    let bytes = image.bytes();
    let plan = Plan::parse(&bytes).unwrap();
    let layout = Layout::new(&plan, &request(0x0400_0000, 4 << 20)).unwrap();
    let mut ram = Ram { start: 0x0410_0000, bytes: vec![0; 1 << 20] };
    let refusal =
        Load::new().step(&plan, &layout, &mut ram, &Fetched::default(), u32::MAX).unwrap_err();
    assert_eq!((refusal.status, refusal.field), (Status::RELOC, Field::Relocs));
    assert_eq!(
        refusal.to_string(),
        "relocs: RELOC (0x0406): a relocation of the image is out of range or order"
    );
}

/// The range checks at every edge there is, and beyond the end of the numbers,
/// against arithmetic that cannot wrap.
#[test]
fn no_range_wraps_around() {
    let image = Image { text: vec![0; 5000], data: vec![1; 4], bss: 9000, ..Image::default() };
    let bytes = image.bytes();
    let plan = Plan::parse(&bytes).unwrap();
    let layouts = [0x0400_0000, 0xFFFF_FFFF_u32 - (4 << 20) + 1 - 4096].map(|start: u32| {
        let start = start & !0xFFF;
        let asked = Request { heap: 8192, output: 4096, ..request(start, 4 << 20) };
        let region_end = u32::try_from(u64::from(start) + (4 << 20)).unwrap_or(0xFFFF_F000);
        Layout::new(&plan, &Request { region_end, ..asked }).unwrap()
    });
    for layout in layouts {
        let mut edges = vec![0, 1, 4095, 4096, 1 << 31, u32::MAX];
        for a in layout.areas() {
            edges.extend([a.start, a.start + a.len, a.start + a.mapped, a.len, a.mapped]);
        }
        let near = |edge: &u32| [-2i32, -1, 0, 1, 2].map(|by| edge.wrapping_add_signed(by));
        let mut numbers: Vec<u32> = edges.iter().flat_map(near).collect();
        // Lengths that lead from one edge to another, and past the end.
        let apart: Vec<u32> =
            edges.iter().flat_map(|a| edges.iter().map(|b| b.wrapping_sub(*a))).collect();
        numbers.extend(apart);
        numbers.sort_unstable();
        numbers.dedup();
        let page = |at: u64, write: bool| {
            layout.areas().iter().any(|a| {
                (u64::from(a.start)..u64::from(a.start) + u64::from(a.mapped)).contains(&at)
                    && (!write || a.access == Access::ReadWrite)
            })
        };
        for &at in &numbers {
            for &len in &numbers {
                let end = u64::from(at) + u64::from(len);
                let all = |write| {
                    // Page by page is enough: rights change at pages only.
                    len == 0
                        || (end <= 1 << 32
                            && len <= 64 << 20
                            && (u64::from(at) >> 12..=(end - 1) >> 12)
                                .all(|p| page((p << 12).max(u64::from(at)), write)))
                };
                assert_eq!(layout.readable(at, len), all(false), "{at:#x} + {len:#x}");
                assert_eq!(layout.writable(at, len), all(true), "{at:#x} + {len:#x}");
                let found = layout.areas().iter().find(|a| {
                    u64::from(at) >= u64::from(a.start)
                        && end <= u64::from(a.start) + u64::from(a.len)
                });
                assert_eq!(layout.find(at, len), found.copied(), "{at:#x} + {len:#x}");
            }
        }
    }
}
