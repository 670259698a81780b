//! Boot data as the firmware writes it, and as it never should.

use proptest::prelude::*;
use sk_drivers::bootdata::{BootError, Form, PhysRead, Range, Window, parse};
use std::cell::Cell;

const CORE: u32 = 0x5441_0001;
const MEM: u32 = 0x5441_0002;
const INITRD2: u32 = 0x5442_0005;
const SERIAL: u32 = 0x5441_0006;
const REVISION: u32 = 0x5441_0007;
const CMDLINE: u32 = 0x5441_0009;

/// What the emulator leaves at 0x100 for a raw kernel with an initrd: CORE,
/// MEM, INITRD2, CMDLINE.
fn emulator() -> Vec<u32> {
    let mut w = vec![5, CORE, 1, 0x1000, 0, 4, MEM, 0x1C00_0000, 0];
    w.extend([4, INITRD2, 0x0800_0000, 0x1234]);
    // "console=ttyAMA0" and its NUL.
    w.extend([6, CMDLINE, 0x736E_6F63, 0x3D65_6C6F, 0x4179_7474, 0x0030_414D]);
    w.extend([0, 0]);
    w
}

/// A 256 MiB 1B that leaves 192 MiB to the ARM.
fn small_board() -> Vec<u32> {
    let mut w = vec![2, CORE, 4, MEM, 0x0C00_0000, 0];
    w.extend([4, INITRD2, 0x0200_0000, 0x1000]);
    w.extend([4, SERIAL, 0x9ABC_DEF0, 0x1]);
    w.extend([3, REVISION, 0x0002]);
    // A tag unknown here, then the end.
    w.extend([3, 0x5441_0063, 7, 0, 0]);
    w
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

fn at(base: u32, words: &[u32]) -> Result<sk_drivers::bootdata::BootData, BootError> {
    parse(&Window { base, bytes: &bytes(words) }, base)
}

const ZERO: &[u8] = include_bytes!("fixtures/zero-512.dtb");
const SMALL: &[u8] = include_bytes!("fixtures/b-256.dtb");
/// Where trees lie in these tests.
const TREE: u32 = 0x0B00_0000;

fn tree(bytes: &[u8]) -> Result<sk_drivers::bootdata::BootData, BootError> {
    // Memory comes in words, a file need not.
    let mut memory = bytes.to_vec();
    memory.resize(bytes.len().next_multiple_of(4), 0xFF);
    parse(&Window { base: TREE, bytes: &memory }, TREE)
}

#[test]
fn the_emulators_list() {
    let d = at(0x100, &emulator()).unwrap();
    assert_eq!(d.form, Form::Atags);
    assert_eq!(d.place, Range { start: 0x100, size: 84 });
    assert_eq!(d.memory_end(), Some(0x1C00_0000));
    assert_eq!(d.initrd, Range::new(0x0800_0000, 0x1234));
    assert_eq!(&d.command_line[..], b"console=ttyAMA0");
    assert_eq!((d.revision, d.serial), (None, None));
}

#[test]
fn a_small_boards_list() {
    let d = at(0x100, &small_board()).unwrap();
    assert_eq!(d.memory_end(), Some(0x0C00_0000));
    assert_eq!((d.revision, d.serial), (Some(2), Some(0x1_9ABC_DEF0)));
    assert!(d.command_line.is_empty());
}

#[test]
fn a_big_boards_tree() {
    let d = tree(ZERO).unwrap();
    assert_eq!(d.form, Form::DeviceTree);
    assert_eq!(d.place, Range { start: TREE, size: ZERO.len() as u32 });
    assert_eq!(&d.memory[..], &[Range { start: 0, size: 0x1C00_0000 }]);
    assert_eq!(d.initrd, Range::new(0x0200_0000, 0x3000));
    assert_eq!((d.revision, d.serial), (Some(0x0090_0093), Some(0x1A2B_3C4D)));
    assert_eq!(d.reset_status, Some(0x1000));
    assert_eq!(&d.command_line[..], b"coherent_pool=1M console=serial0,115200");
}

#[test]
fn a_small_boards_tree_with_two_cell_numbers() {
    let d = tree(SMALL).unwrap();
    assert_eq!(&d.memory[..], &[Range { start: 0, size: 0x0C00_0000 }]);
    assert_eq!(d.initrd, Range::new(0x0200_0000, 0x1004));
    assert_eq!((d.revision, d.serial), (Some(2), Some(0xDEAD_BEEF)));
}

#[test]
fn without_an_address_the_legacy_place_is_tried() {
    let list = bytes(&emulator());
    let low = Window { base: 0x100, bytes: &list };
    for r2 in [0, 1, 0x102, 0x2000, 0x2000_0000, 0xFFFF_FFFC, 0xFFFF_FFFF] {
        assert_eq!(parse(&low, r2).unwrap().place.start, 0x100, "{r2:#x}");
    }
    let empty = Window { base: 0, bytes: &[0; 0x400] };
    assert_eq!(parse(&empty, 0).unwrap_err(), BootError::NotFound);
    assert_eq!(parse(&Window { base: 0, bytes: &[] }, 0x100).unwrap_err(), BootError::NotFound);
}

#[test]
fn lists_that_lie() {
    let bad = |words: &[u32]| at(0x1000, words).unwrap_err();
    // Sizes below the contents, below the header, beyond everything.
    assert_eq!(bad(&[2, CORE, 3, MEM, 1, 0, 0]), BootError::BadTag { at: 0x1008 });
    assert_eq!(bad(&[2, CORE, 1, MEM, 1, 0, 0]), BootError::BadTag { at: 0x1008 });
    assert_eq!(bad(&[2, CORE, 0, MEM, 1, 0, 0]), BootError::BadTag { at: 0x1008 });
    assert_eq!(bad(&[2, CORE, 0x4000_0001, 7, 0]), BootError::BadTag { at: 0x1008 });
    assert_eq!(bad(&[2, CORE, 0x1001, 7, 0]), BootError::BadTag { at: 0x1008 });
    assert_eq!(bad(&[0, CORE, 0, 0]), BootError::BadTag { at: 0x1000 });
    // No end.
    assert_eq!(bad(&[2, CORE]), BootError::Unreadable { at: 0x1008 });
    let endless: Vec<u32> = [2, CORE].repeat(200);
    assert_eq!(bad(&endless), BootError::Endless);
    assert_eq!(bad(&[2, CORE, 9, CMDLINE, 0x41]), BootError::Unreadable { at: 0x1028 });
    // Values.
    let with = |tags: &[u32]| at(0x1000, &[&[2, CORE], tags, &[0, 0]].concat());
    let memory = [4, MEM, 0x1000_0000, 0];
    assert_eq!(with(&[4, MEM, 2, u32::MAX]).unwrap_err(), BootError::BadMemory);
    assert_eq!(with(&[memory, memory].concat()).unwrap_err(), BootError::MemoryOverlap);
    let many: Vec<u32> = (0..5).flat_map(|i| [4, MEM, 0x1000, i * 0x1000]).collect();
    assert_eq!(with(&many).unwrap_err(), BootError::MemoryOverlap);
    let initrd = |start, size| with(&[memory, [4, INITRD2, start, size]].concat());
    assert_eq!(initrd(0x100_0000, 0).unwrap_err(), BootError::BadInitrd);
    assert_eq!(initrd(0xFFFF_FFF0, 0x10).unwrap_err(), BootError::BadInitrd);
    assert_eq!(initrd(0x0FFF_0000, 0x2_0000).unwrap_err(), BootError::InitrdOutsideMemory);
    assert_eq!(initrd(0x800, 0x900).unwrap_err(), BootError::InitrdOverBootData);
    assert!(initrd(0x0FFF_0000, 0x1_0000).is_ok());
    let twice = [[4, INITRD2, 0x100_0000, 16], [4, INITRD2, 0x100_0000, 16]].concat();
    assert_eq!(with(&twice).unwrap_err(), BootError::Repeated);
    // Without MEM the ramdisk is believed; the caller asks the mailbox.
    assert!(with(&[4, INITRD2, 0x100_0000, 16]).is_ok());
}

#[test]
fn a_ramdisk_over_the_kernel_is_refused() {
    let d = at(0x100, &small_board()).unwrap();
    let image = Range::new(0x8000, 0x8_0000).unwrap();
    let data = Range::new(0x10_0000, 0x30_0000).unwrap();
    assert_eq!(d.check_initrd(&[image, data]), Ok(()));
    let over = Range::new(0x0200_0FFF, 1).unwrap();
    let refused = BootError::InitrdOverReserved { reserved: over };
    assert_eq!(d.check_initrd(&[image, over]), Err(refused));
    let beside = Range::new(0x0200_1000, 1).unwrap();
    assert_eq!(d.check_initrd(&[beside]), Ok(()));
}

#[test]
fn a_long_command_line_is_cut_and_an_open_one_ends_with_its_tag() {
    let mut words = vec![2, CORE, 2 + 400, CMDLINE];
    words.extend([0x6161_6161; 400]);
    words.extend([0, 0]);
    let d = at(0x100, &words).unwrap();
    assert_eq!(d.command_line.len(), 1024);
    let d = at(0x100, &[2, CORE, 3, CMDLINE, 0x6262_6262, 0, 0]).unwrap();
    assert_eq!(&d.command_line[..], b"bbbb");
}

fn patched(source: &[u8], at: usize, word: u32) -> Vec<u8> {
    let mut tree = source.to_vec();
    tree[at..at + 4].copy_from_slice(&word.to_be_bytes());
    tree
}

#[test]
fn trees_whose_header_lies() {
    let size = ZERO.len() as u32;
    for (field, word) in [
        (4, 0), // total size
        (4, 39),
        (4, 0x4_0001),
        (4, u32::MAX),
        (8, 0),        // structure offset
        (8, size),     //
        (8, 0x39),     // odd
        (8, u32::MAX), //
        (12, size),    // strings offset
        (12, u32::MAX),
        (20, 16), // version
        (24, 18), // last compatible version
        (32, u32::MAX),
        (32, size), // strings size
        (36, size), // structure size
        (36, u32::MAX),
        (36, 3),
    ] {
        let error = tree(&patched(ZERO, field, word)).unwrap_err();
        assert_eq!(error, BootError::BadHeader, "field {field} = {word:#x}");
    }
}

/// Offset of the value of the first property that has this value.
fn find(source: &[u8], value: &[u32]) -> usize {
    let wanted: Vec<u8> = value.iter().flat_map(|w| w.to_be_bytes()).collect();
    let at = (0..source.len()).step_by(4).find(|at| source[*at..].starts_with(&wanted));
    at.expect("in the tree")
}

#[test]
fn trees_whose_values_lie() {
    let bad = |source: &[u8], at, word| tree(&patched(source, at, word)).unwrap_err();
    let start = find(ZERO, &[0x0200_0000]);
    let end = find(ZERO, &[0x0200_3000]);
    assert_eq!(bad(ZERO, start, 0x0200_3000), BootError::BadInitrd);
    assert_eq!(bad(ZERO, start, 0x0200_3001), BootError::BadInitrd);
    let high = patched(ZERO, start, 0x1B00_0000);
    assert_eq!(bad(&high, end, 0x1C00_0001), BootError::InitrdOutsideMemory);
    assert_eq!(bad(ZERO, end, TREE + 1), BootError::InitrdOverBootData);
    // Length of the initrd start, then of the memory's reg.
    assert!(matches!(bad(ZERO, start - 8, 3), BootError::BadProperty { .. }));
    assert!(matches!(bad(ZERO, start - 8, u32::MAX), BootError::BadStructure { .. }));
    // A length that reaches out of the structure but not out of the tree.
    let line = find(ZERO, &[u32::from_be_bytes(*b"cohe")]);
    assert!(matches!(bad(ZERO, line - 8, 0x180), BootError::BadStructure { .. }));
    let reg = find(ZERO, &[0, 0x1C00_0000]);
    assert!(matches!(bad(ZERO, reg - 8, 7), BootError::BadProperty { .. }));
    assert!(matches!(bad(ZERO, reg - 8, 0), BootError::BadProperty { .. }));
    // Memory above 4 GiB.
    let high = find(SMALL, &[0, 0, 0, 0x0C00_0000]);
    assert_eq!(bad(SMALL, high, 1), BootError::BadMemory);
    // The empty second bank, made to overlap the first.
    let mut overlap = patched(SMALL, high + 20, 0x0BFF_F000);
    assert!(tree(&overlap).is_ok(), "still empty");
    overlap = patched(&overlap, high + 28, 0x1000);
    assert_eq!(tree(&overlap).unwrap_err(), BootError::MemoryOverlap);
}

#[test]
fn every_truncation_is_an_error() {
    for source in [ZERO, SMALL] {
        for cut in 0..source.len() {
            let error = parse(&Window { base: TREE, bytes: &source[..cut] }, TREE).unwrap_err();
            assert!(matches!(error, BootError::Unreadable { .. } | BootError::NotFound), "{cut}");
        }
    }
    let list = bytes(&emulator());
    for cut in 0..list.len() {
        let window = Window { base: 0x100, bytes: &list[..cut] };
        let error = parse(&window, 0x100).unwrap_err();
        assert!(matches!(error, BootError::Unreadable { .. } | BootError::NotFound), "{cut}");
    }
}

/// Counts reads, and sees to it that they stay where they belong.
struct Guarded<'m> {
    window: Window<'m>,
    reads: Cell<usize>,
}

impl PhysRead for Guarded<'_> {
    fn read32(&self, addr: u32) -> Option<u32> {
        assert_eq!(addr % 4, 0, "unaligned read at {addr:#x}");
        self.reads.set(self.reads.get() + 1);
        self.window.read32(addr)
    }
}

/// Parses whatever it is, and checks what any result must satisfy.
fn harmless(bytes: &[u8], base: u32) {
    let memory = Guarded { window: Window { base, bytes }, reads: Cell::new(0) };
    if let Ok(d) = parse(&memory, base) {
        for (i, m) in d.memory.iter().enumerate() {
            assert!(m.size > 0 && m.start.checked_add(m.size).is_some());
            assert!(d.memory.iter().skip(i + 1).all(|other| !other.overlaps(m)));
        }
        if let Some(i) = d.initrd {
            assert!(i.size > 0 && i.start.checked_add(i.size).is_some());
            assert!(!i.overlaps(&d.place));
        }
        assert!(d.place.start == base && d.place.size > 0);
    }
    assert!(memory.reads.get() < 200 * bytes.len().max(64), "{} reads", memory.reads.get());
}

proptest! {
    #[test]
    fn random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600), base in any::<u32>()) {
        harmless(&bytes, base & !3);
    }

    #[test]
    fn random_tags(words in proptest::collection::vec(prop_oneof![
        0u32..8, Just(CORE), Just(MEM), Just(INITRD2), Just(CMDLINE), Just(SERIAL), any::<u32>(),
    ], 0..80), base in any::<u32>()) {
        harmless(&bytes(&[&[2, CORE], &words[..]].concat()), base & !3);
    }

    #[test]
    fn damaged_trees(changes in proptest::collection::vec(
        (any::<prop::sample::Index>(), prop_oneof![0u32..16, any::<u32>()]), 1..6,
    ), small in any::<bool>(), base in any::<u32>()) {
        let mut tree = if small { SMALL.to_vec() } else { ZERO.to_vec() };
        for (index, word) in changes {
            let at = index.index(tree.len() / 4) * 4;
            if at != 0 {
                tree[at..at + 4].copy_from_slice(&word.to_be_bytes());
            }
        }
        harmless(&tree, base & !3);
    }
}
