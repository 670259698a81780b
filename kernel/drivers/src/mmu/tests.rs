//! Descriptors against the numbers of the TRM, and the mapper against an
//! independent walk of the tables.

extern crate std;

use super::*;
use proptest::prelude::*;
use std::boxed::Box;
use std::vec;
use std::vec::Vec;

/// What an access may do, read from a descriptor by TRM tables 6-1 and 6-2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Access {
    privileged: &'static str,
    user: &'static str,
    execute: bool,
    cached: bool,
    device: bool,
    domain: u32,
    phys: u32,
}

fn decode(apx: u32, ap: u32, xn: u32, tex: u32, cb: u32, domain: u32, phys: u32) -> Access {
    let (privileged, user) = match (apx, ap) {
        (0, 0) => ("", ""),
        (0, 1) => ("rw", ""),
        (0, 2) => ("rw", "r"),
        (0, 3) => ("rw", "rw"),
        (1, 1) => ("r", ""),
        (1, 2) => ("r", "r"),
        reserved => panic!("reserved {reserved:?}"),
    };
    let (cached, device) = match (tex, cb) {
        (0, 0b11) => (true, false),
        (0, 0b01) => (false, true),
        (1, 0b00) => (false, false),
        other => panic!("memory type {other:?}"),
    };
    Access { privileged, user, execute: xn == 0, cached, device, domain, phys }
}

/// The walk the core does, from the picture of TRM figures 6-6 and 6-7.
fn walk(l1: &[u32; 4096], pool: &[[u32; 256]], pool_phys: u32, va: u32) -> Option<Access> {
    let bits = |w: u32, hi: u32, lo: u32| w >> lo & ((1 << (hi - lo + 1)) - 1);
    let first = l1[(va >> 20) as usize];
    match first & 3 {
        0 => None,
        2 => {
            assert_eq!(first & 1 << 18, 0, "not a supersection");
            assert_eq!(first & (1 << 19 | 1 << 17 | 1 << 9), 0, "NS, nG, P");
            Some(decode(
                bits(first, 15, 15),
                bits(first, 11, 10),
                bits(first, 4, 4),
                bits(first, 14, 12),
                bits(first, 3, 2),
                bits(first, 8, 5),
                first & 0xFFF0_0000 | va & 0xF_FFFF,
            ))
        }
        1 => {
            assert_eq!(first & (1 << 9 | 0b11100), 0, "P, NS, SBZ");
            let index = ((first & 0xFFFF_FC00) - pool_phys) as usize / 1024;
            let second = pool[index][(va >> 12 & 0xFF) as usize];
            match second & 3 {
                0 => None,
                1 => panic!("large page"),
                _ => Some(decode(
                    bits(second, 9, 9),
                    bits(second, 5, 4),
                    second & 1,
                    bits(second, 8, 6),
                    bits(second, 3, 2),
                    bits(first, 8, 5),
                    second & 0xFFFF_F000 | va & 0xFFF,
                )),
            }
        }
        _ => panic!("reserved first-level descriptor"),
    }
}

/// What each attribute promises.
fn promised(attr: Attr) -> Option<(&'static str, &'static str, bool)> {
    Some(match attr {
        Attr::Fault => return None,
        Attr::KernelText => ("r", "", true),
        Attr::KernelRo => ("r", "", false),
        Attr::KernelData | Attr::Device | Attr::Uncached => ("rw", "", false),
        Attr::TaskText => ("rw", "r", true),
        Attr::TaskData => ("rw", "rw", false),
        Attr::TaskRo => ("rw", "r", false),
        Attr::UserText => ("r", "r", true),
    })
}

const POOL: u32 = 0x0018_0000;

struct Tables {
    l1: Box<[u32; 4096]>,
    pool: Vec<[u32; 256]>,
}

impl Tables {
    fn new(tables: usize) -> Self {
        Self { l1: Box::new([0xFFFF_FFFF; 4096]), pool: vec![[0xFFFF_FFFF; 256]; tables] }
    }

    fn mapper(&mut self) -> RegionMapper<'_> {
        RegionMapper::new(&mut self.l1, &mut self.pool, POOL).unwrap()
    }

    fn at(&self, va: u32) -> Option<Access> {
        walk(&self.l1, &self.pool, POOL, va)
    }
}

#[test]
fn sections_are_the_numbers_of_the_manual() {
    let low = |attr| section(0x1230_0000, attr) & 0x000F_FFFF;
    assert_eq!(section(0x123F_FFFF, Attr::KernelData), 0x1230_041E);
    assert_eq!(low(Attr::KernelText), 0x0840E);
    assert_eq!(low(Attr::KernelRo), 0x0841E);
    assert_eq!(low(Attr::Device), 0x10416);
    assert_eq!(low(Attr::Uncached), 0x01412);
    assert_eq!(low(Attr::TaskText), 0x0082E);
    assert_eq!(low(Attr::TaskData), 0x00C3E);
    assert_eq!(low(Attr::TaskRo), 0x0083E);
    assert_eq!(low(Attr::UserText), 0x0880E);
    assert_eq!(section(0x1230_0000, Attr::Fault), 0);
}

#[test]
fn pages_are_the_numbers_of_the_manual() {
    let low = |attr| small_page(0x1234_5000, attr) & 0xFFF;
    assert_eq!(small_page(0x1234_5FFF, Attr::KernelData), 0x1234_501F);
    assert_eq!(low(Attr::KernelText), 0x21E);
    assert_eq!(low(Attr::KernelRo), 0x21F);
    assert_eq!(low(Attr::Device), 0x417);
    assert_eq!(low(Attr::Uncached), 0x053);
    assert_eq!(low(Attr::TaskText), 0x02E);
    assert_eq!(low(Attr::TaskData), 0x03F);
    assert_eq!(low(Attr::TaskRo), 0x02F);
    assert_eq!(low(Attr::UserText), 0x22E);
    assert_eq!(small_page(0x1234_5000, Attr::Fault), 0);
    assert_eq!(coarse_table(0x0018_07FF, DOMAIN_TASK), 0x0018_0421);
    assert_eq!(DACR_CLIENTS, 0b0101);
}

#[test]
fn a_section_and_a_page_of_one_attribute_grant_the_same() {
    for attr in Attr::ALL {
        let mut t = Tables::new(2);
        t.mapper()
            .map(&[
                Area { start: 0x0100_0000, end: 0x0110_0000, attr },
                Area { start: 0x0120_0000, end: 0x0120_1000, attr },
            ])
            .unwrap();
        let (big, small) = (t.at(0x0100_0000), t.at(0x0120_0000));
        assert_eq!(big.is_none(), attr == Attr::Fault);
        let Some((big, small)) = big.zip(small) else { continue };
        assert_eq!((small.phys, t.at(0x0120_1000)), (0x0120_0000, None));
        assert_eq!(Access { phys: 0, ..big }, Access { phys: 0, ..small });
        assert_eq!(promised(attr), Some((big.privileged, big.user, big.execute)));
        assert_eq!(big.device, attr == Attr::Device);
        assert_eq!(big.cached, !matches!(attr, Attr::Device | Attr::Uncached));
    }
}

#[test]
fn nobody_gets_more_than_the_rule_allows() {
    for attr in Attr::ALL {
        let Some((privileged, user, execute)) = promised(attr) else { continue };
        assert!(!(user.contains('w') && execute), "{attr:?}: user writes and executes");
        let kernel = matches!(
            attr,
            Attr::KernelText | Attr::KernelRo | Attr::KernelData | Attr::Device | Attr::Uncached
        );
        assert_eq!(user.is_empty(), kernel, "{attr:?}");
        if privileged.contains('w') && execute {
            assert_eq!(attr, Attr::TaskText, "only payload code, while it is loaded");
        }
    }
}

/// Every two areas of every two attributes over six places in two MiB, mapped
/// together, one after the other, and with the first taken away again: what the
/// core would see is never writable and executable for a payload, and what is
/// the kernel's or a device is never a payload's.
#[test]
fn no_order_of_calls_opens_a_page() {
    const BASE: u32 = 0x0400_0000;
    // The whole of a MiB, and pages at its edges and in the next.
    let places = [
        (0, SECTION),
        (0, PAGE),
        (SECTION - PAGE, SECTION),
        (SECTION - PAGE, SECTION + PAGE),
        (SECTION, 2 * SECTION),
        (SECTION + PAGE, SECTION + 3 * PAGE),
    ];
    let probes = [0, PAGE, SECTION - PAGE, SECTION, SECTION + PAGE, SECTION + 2 * PAGE];
    let holds = |t: &Tables, may: &dyn Fn(u32) -> Vec<Attr>| {
        for probe in probes {
            let seen = t.at(BASE + probe);
            let promises: Vec<_> = may(probe).into_iter().map(promised).collect();
            let seen_as = seen.map(|a| (a.privileged, a.user, a.execute));
            assert!(seen_as.is_none() || promises.contains(&seen_as), "{probe:#x}: {seen_as:?}");
            if let Some(access) = seen {
                assert!(!(access.user.contains('w') && access.execute));
                assert!(!access.device || (access.user.is_empty() && !access.execute));
                assert_eq!(access.phys, BASE + probe);
            }
        }
    };
    let area = |(start, end): (u32, u32), attr| Area { start: BASE + start, end: BASE + end, attr };
    for first in places {
        for second in places {
            for a in Attr::ALL {
                for b in Attr::ALL {
                    let areas = [area(first, a), area(second, b)];
                    let within = |(start, end): (u32, u32), at| (start..end).contains(&at);
                    let may = |at| {
                        let mine = [(first, a), (second, b)];
                        mine.into_iter().filter(|(p, _)| within(*p, at)).map(|(_, x)| x).collect()
                    };
                    let mut t = Tables::new(3);
                    let together = t.mapper().map(&areas).is_ok();
                    holds(&t, &may);
                    let mut t = Tables::new(3);
                    let mut mapper = t.mapper();
                    let one = mapper.map(&areas[..1]).is_ok();
                    let two = mapper.map(&areas[1..]).is_ok();
                    // A guard is no mapping, so what comes later may lie on it.
                    if a != Attr::Fault && b != Attr::Fault {
                        assert_eq!(together, one && two, "{areas:x?}");
                    }
                    holds(&t, &may);
                    let mut t = Tables::new(3);
                    let mut mapper = t.mapper();
                    let both = mapper.map(&areas[..1]).is_ok() && mapper.map(&areas[1..]).is_ok();
                    if both && mapper.unmap(BASE + first.0, BASE + first.1).is_ok() {
                        holds(&t, &|at| if within(first, at) { vec![] } else { may(at) });
                    }
                }
            }
        }
    }
}

#[test]
fn a_kernel_with_guards_maps_as_drawn() {
    let mut t = Tables::new(4);
    let areas = [
        Area { start: 0x8000, end: 0x5_0000, attr: Attr::KernelText },
        Area { start: 0x5_0000, end: 0x5_2000, attr: Attr::UserText },
        Area { start: 0x5_2000, end: 0x6_0000, attr: Attr::KernelRo },
        Area { start: 0x10_0000, end: 0x14_0000, attr: Attr::KernelData },
        Area { start: 0x14_0000, end: 0x14_1000, attr: Attr::Fault },
        Area { start: 0x14_1000, end: 0x40_0000, attr: Attr::KernelData },
        Area { start: 0x2000_0000, end: 0x2100_0000, attr: Attr::Device },
    ];
    let mut m = t.mapper();
    m.map(&areas).unwrap();
    assert_eq!(m.tables_free(), 2);
    assert_eq!(m.descriptor(0x20_0000), section(0x20_0000, Attr::KernelData));
    assert_eq!(m.descriptor(0x5_1000), small_page(0x5_1000, Attr::UserText));
    assert_eq!(m.take_dirty(), Dirty { l1: 0..4096, tables: 0..4 });
    assert_eq!(m.take_dirty(), Dirty::default());
    for fault in [0, 0x7FFF, 0x6_0000, 0x14_0000, 0x14_0FFF, 0x40_0000, 0x1FFF_FFFF, u32::MAX] {
        assert_eq!(t.at(fault), None, "{fault:#x}");
    }
    assert_eq!(t.at(0x8000).unwrap().privileged, "r");
    assert!(t.at(0x2020_1000).unwrap().device);
}

#[test]
fn the_last_page_of_the_address_space_is_left_out_and_nothing_wraps() {
    let mut t = Tables::new(1);
    let last = Area { start: 0xFFFF_E000, end: 0xFFFF_F000, attr: Attr::KernelData };
    t.mapper().map(&[last]).unwrap();
    assert!(t.at(0xFFFF_EFFF).is_some());
    assert_eq!(t.at(0xFFFF_F000), None);
}

#[test]
fn refusals_are_named_and_change_nothing() {
    let area = |start, end, attr| Area { start, end, attr };
    let base = area(0x0400_3000, 0x0400_5000, Attr::TaskData);
    for (bad, error) in [
        (area(0x100, 0x2000, Attr::TaskData), MapError::Unaligned { at: 0x100 }),
        (area(0x1000, 0x2001, Attr::TaskData), MapError::Unaligned { at: 0x2001 }),
        (area(0x2000, 0x2000, Attr::TaskData), MapError::Empty { at: 0x2000 }),
        (area(0x3000, 0x2000, Attr::Fault), MapError::Empty { at: 0x3000 }),
        (area(0x0400_4000, 0x0400_6000, Attr::TaskRo), MapError::Overlap { at: 0x0400_4000 }),
        (area(0x0400_4000, 0x0400_6000, Attr::Fault), MapError::Overlap { at: 0x0400_4000 }),
        (area(0x0400_0000, 0x0500_0000, Attr::TaskRo), MapError::Overlap { at: 0x0400_3000 }),
        (
            area(0x0400_6000, 0x0400_7000, Attr::KernelRo),
            MapError::MixedDomains { at: 0x0400_0000 },
        ),
        (area(0x0410_1000, 0x0450_1000, Attr::TaskData), MapError::PoolEmpty),
    ] {
        let mut t = Tables::new(2);
        let mut m = t.mapper();
        m.map(&[base]).unwrap();
        assert_eq!(m.map(&[area(0x0600_0000, 0x0610_0000, Attr::TaskData), bad]), Err(error));
        assert_eq!(m.tables_free(), 1, "{error:?}");
        assert_eq!(m.descriptor(0x0600_0000), 0, "{error:?}");
        assert_eq!(m.descriptor(0x0410_1000), 0, "{error:?}");
        assert_eq!(m.descriptor(0x0420_0000), 0, "{error:?}");
        assert_eq!(m.descriptor(0x0400_4000), small_page(0x0400_4000, Attr::TaskData));
    }
}

#[test]
fn a_guard_holds_against_later_areas_of_the_same_call() {
    let mut t = Tables::new(2);
    let mut m = t.mapper();
    let areas = [
        Area { start: 0x1000, end: 0x2000, attr: Attr::Fault },
        Area { start: 0, end: 0x4000, attr: Attr::KernelData },
    ];
    assert_eq!(m.map(&areas), Err(MapError::Overlap { at: 0x1000 }));
    assert_eq!((m.descriptor(0), m.tables_free()), (0, 2));
}

#[test]
fn unmapping_gives_tables_back_and_never_cuts_a_section() {
    let mut t = Tables::new(1);
    let mut m = t.mapper();
    let area = Area { start: 0x0400_0000, end: 0x0420_1000, attr: Attr::TaskData };
    m.map(&[area]).unwrap();
    assert_eq!(m.tables_free(), 0);
    let cut = MapError::PartOfSection { at: 0x0410_0000 };
    assert_eq!(m.unmap(0x0400_0000, 0x0410_1000), Err(cut));
    assert_ne!(m.descriptor(0x0400_0000), 0);
    m.take_dirty();
    m.unmap(0x0420_0000, 0x0430_0000).unwrap();
    assert_eq!(m.take_dirty(), Dirty { l1: 0x42..0x43, tables: 0..1 });
    assert_eq!(m.tables_free(), 1);
    m.unmap(0x0400_0000, 0x0420_0000).unwrap();
    m.map(&[area]).unwrap();
    m.unmap(0, 0xFFFF_F000).unwrap();
    assert!(t.l1.iter().all(|w| *w == 0));
    assert!(t.pool.iter().flatten().all(|w| *w == 0));
}

fn attr() -> impl Strategy<Value = Attr> {
    (0..Attr::ALL.len()).prop_map(|i| Attr::ALL[i])
}

fn area() -> impl Strategy<Value = Area> {
    // Few MiB, so that areas meet; sometimes whole ones.
    let any_pages = (0u32..1200, 1u32..400).prop_map(|(p, n)| (p, p + n));
    let mibs = (0u32..5, 1u32..3).prop_map(|(m, n)| (m * 256, (m + n) * 256));
    (prop_oneof![any_pages, mibs], attr()).prop_map(|((a, b), attr)| Area {
        start: a * PAGE,
        end: b * PAGE,
        attr,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Page by page against a plain list of what was accepted: an accepted
    /// area grants exactly its attribute, a refused one changes nothing,
    /// unmapping all leaves nothing and loses no table.
    #[test]
    fn tables_say_what_was_mapped(areas in proptest::collection::vec(area(), 1..8),
                                  tables in 0usize..6) {
        let mut t = Tables::new(tables);
        let mut pages = vec![Attr::Fault; 2000];
        let mut m = t.mapper();
        for a in &areas {
            let before = (m.tables_free(), m.descriptor(a.start));
            if m.map(core::slice::from_ref(a)).is_ok() {
                for p in a.start / PAGE..a.end / PAGE {
                    prop_assert_eq!(pages[p as usize], Attr::Fault);
                    pages[p as usize] = a.attr;
                }
            } else {
                prop_assert_eq!(before, (m.tables_free(), m.descriptor(a.start)));
            }
        }
        for (p, attr) in pages.iter().enumerate() {
            let va = p as u32 * PAGE + 0x123;
            let got = t.at(va);
            let rights = got.map(|g| (g.privileged, g.user, g.execute));
            prop_assert_eq!(rights, promised(*attr), "page {:#x}", va);
            if let Some(g) = got {
                prop_assert_eq!((g.phys, g.domain), (va, attr.domain()));
            }
        }
        // A fresh mapper would clear; take the tables over by hand instead.
        let mut m = t.mapper();
        for a in &areas {
            let _ = m.map(core::slice::from_ref(a));
        }
        m.unmap(0, 2000 * PAGE).unwrap();
        prop_assert_eq!(m.tables_free(), tables);
        prop_assert!(t.l1.iter().all(|w| *w == 0));
        prop_assert!(t.pool.iter().flatten().all(|w| *w == 0));
    }
}
