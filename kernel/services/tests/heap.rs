//! The allocator against a model, and against a payload that overwrites it.

use proptest::prelude::*;
use sk_services::Heap;
use sk_services::heap::{Change, Corrupt};

#[derive(Clone, Debug)]
enum Op {
    Alloc { size: u32, align: u32 },
    Free { which: usize },
    Realloc { which: usize, size: u32 },
}

fn size() -> impl Strategy<Value = u32> {
    prop_oneof![0u32..64, 0u32..4096, Just(u32::MAX), Just(u32::MAX - 8), Just(65_000)]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (size(), 3u32..13).prop_map(|(size, a)| Op::Alloc { size, align: 1 << a }),
        3 => any::<usize>().prop_map(|which| Op::Free { which }),
        2 => (any::<usize>(), size()).prop_map(|(which, size)| Op::Realloc { which, size }),
    ]
}

/// A block of the model: offset, bytes asked for, the byte it is filled with.
type Held = (u32, u32, u8);

fn fill(mem: &mut [u32], at: u32, len: u32, byte: u8) {
    for i in at..at + len {
        let word = &mut mem[i as usize / 4];
        let mut bytes = word.to_le_bytes();
        bytes[i as usize % 4] = byte;
        *word = u32::from_le_bytes(bytes);
    }
}

fn holds(mem: &[u32], (at, len, byte): Held) -> bool {
    (at..at + len).all(|i| mem[i as usize / 4].to_le_bytes()[i as usize % 4] == byte)
}

fn overlaps(a: Held, b: Held) -> bool {
    a.0 < b.0 + b.1.max(1) && b.0 < a.0 + a.1.max(1)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// Blocks are aligned, inside, disjoint, and keep what was written to them.
    #[test]
    fn behaves_like_the_model(ops in prop::collection::vec(op(), 1..120), words in 0usize..20_000) {
        let mut mem = vec![0xDEAD_BEEF; words];
        let total = words as u32 * 4;
        let mut heap = Heap::new(&mut mem);
        let mut held: Vec<Held> = Vec::new();
        for (n, op) in ops.into_iter().enumerate() {
            let byte = n as u8;
            match op {
                Op::Alloc { size, align } => {
                    if let Some(at) = heap.alloc(&mut mem, size, align).unwrap() {
                        prop_assert_eq!(at % align, 0);
                        prop_assert!(u64::from(at) + u64::from(size) <= u64::from(total));
                        let new = (at, size, byte);
                        prop_assert!(!held.iter().any(|&h| overlaps(h, new)));
                        fill(&mut mem, at, size, byte);
                        held.push(new);
                    }
                }
                Op::Free { which } if !held.is_empty() => {
                    let block = held.swap_remove(which % held.len());
                    prop_assert!(holds(&mem, block));
                    prop_assert_eq!(heap.free(&mut mem, block.0), Ok(true));
                    prop_assert_eq!(heap.free(&mut mem, block.0), Ok(false), "freed twice");
                }
                Op::Realloc { which, size } if !held.is_empty() => {
                    let i = which % held.len();
                    let old = held[i];
                    match heap.realloc(&mut mem, old.0, size, 8).unwrap() {
                        Change::NoRoom => {}
                        Change::InPlace => {
                            prop_assert!(holds(&mem, (old.0, old.1.min(size), old.2)));
                            held[i] = (old.0, size, byte);
                            fill(&mut mem, old.0, size, byte);
                        }
                        Change::Moved { to, len } => {
                            prop_assert!(len >= old.1 && len <= size.next_multiple_of(8));
                            prop_assert!(holds(&mem, old), "untouched until it is copied");
                            prop_assert_eq!(heap.free(&mut mem, old.0), Ok(true));
                            held[i] = (to, size, byte);
                            fill(&mut mem, to, size, byte);
                        }
                        Change::NotABlock => prop_assert!(false, "it is one"),
                    }
                    let new = held[i];
                    prop_assert!(!held.iter().enumerate().any(|(j, &h)| j != i && overlaps(h, new)));
                }
                _ => {}
            }
            prop_assert!(held.iter().all(|&h| holds(&mem, h)));
            prop_assert!(heap.used() <= heap.size() && heap.used() <= heap.peak());
            prop_assert!(heap.used() >= held.iter().map(|h| h.1).sum());
        }
        // Given back in any order, everything joins to one block again.
        for (at, ..) in held {
            prop_assert_eq!(heap.free(&mut mem, at), Ok(true));
        }
        prop_assert_eq!(heap.used(), 0);
        if words >= 64 {
            let all = (words as u32 & !1) * 4 - 16;
            let class = all / 4 / 2;
            let step = if class < 16 { 1 } else { 1 << (class.ilog2() - 4) };
            let sure = (class / step * step) * 8; // what its list promises
            prop_assert!(heap.alloc(&mut mem, sure, 8).unwrap().is_some());
        }
    }

    /// Whatever is written over the heap: an answer, never a panic. Every
    /// block it hands out is inside.
    #[test]
    fn survives_any_overwriting(
        ops in prop::collection::vec((op(), any::<u32>(), any::<u32>(), 0u8..5), 1..200),
        words in 8usize..600,
    ) {
        let mut mem = vec![0; words];
        let mut heap = Heap::new(&mut mem);
        let mut held = vec![8u32];
        for (op, at, value, kind) in ops {
            let at = at as usize % words;
            match kind {
                0 => mem[at] = value,
                1 => mem[at] ^= 1 << (value % 32),
                2 => mem[at] = value % words as u32, // a link or a size that looks right
                3 => mem[at] = u32::MAX - value % 16, // one that overflows
                _ => {}
            }
            let inside = |at: u32, size: u32| {
                u64::from(at) + u64::from(size) <= words as u64 * 4
            };
            match op {
                Op::Alloc { size, align } => {
                    if let Ok(Some(at)) = heap.alloc(&mut mem, size, align) {
                        prop_assert!(inside(at, size));
                        held.push(at);
                    }
                }
                Op::Free { which } => {
                    let _ = heap.free(&mut mem, held[which % held.len()]);
                    let _ = heap.free(&mut mem, which as u32);
                }
                Op::Realloc { which, size } => {
                    match heap.realloc(&mut mem, held[which % held.len()], size, 8) {
                        Ok(Change::Moved { to, len }) => prop_assert!(inside(to, len)),
                        Ok(Change::InPlace) => prop_assert!(inside(held[which % held.len()], size)),
                        _ => {}
                    }
                }
            }
            let _ = (heap.used(), heap.peak());
        }
    }
}

#[test]
fn an_overwritten_header_is_an_error_from_then_on() {
    let mut mem = vec![0; 1024];
    let mut heap = Heap::new(&mut mem);
    let a = heap.alloc(&mut mem, 64, 8).unwrap().unwrap();
    let b = heap.alloc(&mut mem, 64, 8).unwrap().unwrap();
    // An overrun of `a` by two words: the header of `b`.
    for i in 0..18 {
        mem[a as usize / 4 + i] = 0x4141_4141;
    }
    assert_eq!(heap.free(&mut mem, b), Ok(false), "not a block any more");
    assert_eq!(heap.free(&mut mem, a), Ok(false), "its end does not fit");
    // The free block behind `b`: its link back is destroyed.
    mem[b as usize / 4 + 16] = 0x4242_4242;
    assert_eq!(heap.alloc(&mut mem, 8, 8), Err(Corrupt));
    assert_eq!(heap.alloc(&mut mem, 8, 8), Err(Corrupt), "and stays so");
}

#[test]
fn forged_links_and_sizes_are_found_out() {
    // Three free blocks of one list, apart from each other.
    let setup = |mem: &mut Vec<u32>| {
        let mut heap = Heap::new(mem);
        let all: Vec<u32> = (0..6).map(|_| heap.alloc(mem, 64, 8).unwrap().unwrap()).collect();
        for i in [0, 2, 4] {
            assert_eq!(heap.free(mem, all[i]), Ok(true));
        }
        (heap, all.into_iter().map(|at| at as usize / 4).collect::<Vec<_>>())
    };
    let mut mem = vec![0; 1024];
    // The head of the list (freed last) claims that a block in use is next.
    let (mut heap, at) = setup(&mut mem);
    mem[at[4]] = at[1] as u32 - 2;
    assert_eq!(heap.alloc(&mut mem, 64, 8), Err(Corrupt));
    // ... that the one after next is: free, but it does not point back.
    let (mut heap, at) = setup(&mut mem);
    mem[at[4]] = at[0] as u32 - 2;
    assert_eq!(heap.alloc(&mut mem, 64, 8), Err(Corrupt));
    // The middle one lies about the one before it; its neighbour is freed.
    let (mut heap, at) = setup(&mut mem);
    mem[at[2] + 1] = at[0] as u32 - 2;
    assert_eq!(heap.free(&mut mem, at[1] as u32 * 4), Err(Corrupt));
    // Sizes whose end is past the heap, or past the end of the numbers.
    for size in [1024, 1020, 0x7FFF_FFF0, u32::MAX - 1, u32::MAX, u32::MAX - at[1] as u32] {
        let (mut heap, at) = setup(&mut mem);
        mem[at[1] - 1] = size & !1;
        assert_eq!(heap.free(&mut mem, at[1] as u32 * 4), Ok(false), "{size:#x}");
        mem[at[4] - 1] = size | 1;
        assert_eq!(heap.alloc(&mut mem, 64, 8), Err(Corrupt), "{size:#x}");
    }
}

#[test]
fn foreign_addresses_are_no_blocks() {
    let mut mem = vec![0; 256];
    let mut heap = Heap::new(&mut mem);
    let at = heap.alloc(&mut mem, 100, 8).unwrap().unwrap();
    for foreign in [0, 4, at + 8, at - 8, at + 1, 1024, 0xFFFF_FFF8, u32::MAX] {
        assert_eq!(heap.free(&mut mem, foreign), Ok(false), "{foreign:#x}");
    }
    assert_eq!(heap.free(&mut mem, at), Ok(true));
}

#[test]
fn growing_takes_the_free_space_behind() {
    let mut mem = vec![0; 1024];
    let mut heap = Heap::new(&mut mem);
    let at = heap.alloc(&mut mem, 16, 8).unwrap().unwrap();
    for size in [32, 1000, 2000, 8] {
        assert_eq!(heap.realloc(&mut mem, at, size, 8), Ok(Change::InPlace));
    }
    assert_eq!(heap.used(), 16);
    assert_eq!(heap.realloc(&mut mem, at, 5000, 8), Ok(Change::NoRoom));
}
