//! Page table edits against a walk that looks into memory alone and a TLB that
//! remembers.

use sk_drivers::mmu::{Area, Attr, DACR_CLIENTS, MapError, RegionMapper, SECTION, Tables};
use sk_drivers::mmu::{section, small_page};
use sk_models::memory::Memory;

const L1: u32 = 0x0010_8000;
const POOL: u32 = 0x0011_0000;
const TASK: u32 = 0x0400_0000;

fn words(memory: &Memory, at: u32, count: usize) -> Vec<u32> {
    memory.range(at, 4 * count);
    vec![0; count]
}

/// Tables with `areas` in them, of which the core knows nothing yet.
fn tables(memory: &Memory, areas: &[Area]) -> Tables<'static, Memory> {
    let l1: &'static mut [u32] = words(memory, L1, 4096).leak();
    let (pool, _) = words(memory, POOL, 4 * 256).leak().as_chunks_mut::<256>();
    let mut mapper = RegionMapper::new(l1.try_into().unwrap(), pool, POOL).unwrap();
    mapper.map(areas).unwrap();
    Tables::new(mapper, L1, memory.clone())
}

fn area(start: u32, pages: u32, attr: Attr) -> Area {
    Area { start, end: start + 0x1000 * pages, attr }
}

/// Everybody asks about these before and after, so stale answers are remembered
/// wherever they can be.
const ASKED: [u32; 9] = [
    0x0000_8000,
    TASK,
    TASK + 0x1000,
    TASK + 0x2000,
    TASK + SECTION,
    TASK + 2 * SECTION,
    TASK + 3 * SECTION + 0x5000,
    TASK + 3 * SECTION + 0xF_E000,
    TASK + 200 * SECTION,
];

fn agrees(memory: &Memory, tables: &Tables<'_, Memory>, when: &str) {
    for at in ASKED {
        let told = tables.descriptor(at);
        assert_eq!(memory.translate_fetch(at), told, "{when}: fetch at {at:#x}");
        assert_eq!(memory.translate(at), told, "{when}: access at {at:#x}");
    }
}

fn memories() -> impl Iterator<Item = Memory> {
    std::iter::once(Memory::new()).chain((0..24).map(Memory::seeded))
}

#[test]
fn an_edit_is_in_force_when_the_call_returns() {
    for memory in memories() {
        let mut tables = tables(&memory, &[area(0, 256, Attr::KernelText)]);
        tables.take_over(DACR_CLIENTS);
        agrees(&memory, &tables, "taken over");
        assert_eq!(memory.translate_fetch(0x8000), section(0, Attr::KernelText));

        tables
            .map(&[area(TASK, 2, Attr::TaskText), area(TASK + SECTION, 256, Attr::TaskData)])
            .unwrap();
        agrees(&memory, &tables, "mapped");
        assert_eq!(
            memory.translate_fetch(TASK + 0x1000),
            small_page(TASK + 0x1000, Attr::TaskText)
        );

        tables.map(&[area(TASK + 0x2000, 1, Attr::TaskData)]).unwrap();
        agrees(&memory, &tables, "a page more in the same table");

        tables.unmap(TASK + 0x1000, TASK + 0x2000).unwrap();
        agrees(&memory, &tables, "one page of it less");

        // First and last of a table, and far apart in the first level.
        let last = area(TASK + 3 * SECTION + 0xF_E000, 2, Attr::TaskData);
        let far = area(TASK + 200 * SECTION, 256, Attr::TaskData);
        tables.map(&[area(TASK + 3 * SECTION, 6, Attr::TaskData), last, far]).unwrap();
        agrees(&memory, &tables, "mapped far apart");

        tables.unmap(TASK, TASK + 201 * SECTION).unwrap();
        agrees(&memory, &tables, "unmapped");
        assert_eq!(memory.translate(TASK + SECTION), 0);

        // The same coarse table for another MiB, other rights for the first.
        tables.map(&[area(TASK + 3 * SECTION, 16, Attr::TaskRo)]).unwrap();
        tables.map(&[area(TASK, 1, Attr::TaskData)]).unwrap();
        agrees(&memory, &tables, "mapped anew");
    }
}

/// A walk in the middle of an edit that fails finds what will not be; that must
/// not stay in the TLB.
#[test]
fn an_edit_that_is_undone_leaves_nothing_behind() {
    for memory in memories() {
        let mut tables = tables(&memory, &[]);
        tables.take_over(DACR_CLIENTS);
        agrees(&memory, &tables, "empty");
        let clash = [area(TASK, 1, Attr::TaskText), area(TASK, 1, Attr::TaskData)];
        assert_eq!(tables.map(&clash), Err(MapError::Overlap { at: TASK }));
        agrees(&memory, &tables, "refused");
        assert_eq!(tables.map(&[area(TASK, 1, Attr::TaskRo)]), Ok(()));
        assert!(tables.unmap(TASK + 1, TASK + 2).is_err());
        agrees(&memory, &tables, "refused again");
    }
}

#[test]
fn the_switch_itself_forgets_the_map_before() {
    for memory in memories() {
        // The boot map: other rights, another table.
        let boot: Vec<u32> = (0..4096).map(|mib| section(mib << 20, Attr::KernelData)).collect();
        memory.range(0x0020_0000, 4 * 4096);
        sk_hal::cp15::clean_tables(&memory, 0x0020_0000, &boot);
        sk_hal::cp15::switch_tables(&memory, 0x0020_0000, DACR_CLIENTS);
        assert_eq!(memory.translate_fetch(0x8000), section(0, Attr::KernelData));
        assert_eq!(memory.translate_fetch(TASK), section(TASK, Attr::KernelData));

        let mut tables = tables(&memory, &[area(0, 256, Attr::KernelText)]);
        tables.take_over(DACR_CLIENTS);
        agrees(&memory, &tables, "taken over");
        assert_eq!(memory.translate_fetch(TASK), 0);
    }
}
