//! The table's rules, one by one.

extern crate std;

use super::*;

const A: u32 = 0x0A00_0001;
const ONE: [u8; 6] = [2, 0, 0, 0, 0, 1];
const TWO: [u8; 6] = [2, 0, 0, 0, 0, 2];
const SECOND: Micros = 1_000_000;

#[test]
fn an_unasked_reply_creates_nothing() {
    let mut table = Table::default();
    assert_eq!(table.learn(A, ONE, false, 0), Learned::Nothing);
    assert_eq!(table.lookup(A, 0), Lookup::Unknown);
    assert!(table.view(0).iter().all(Option::is_none));
}

#[test]
fn an_asked_reply_does_for_three_seconds() {
    for (at, learned) in [(3 * SECOND, Learned::New), (3 * SECOND + 1, Learned::Nothing)] {
        let mut table = Table::default();
        table.asked(A, 0);
        assert_eq!(table.lookup(A, at), Lookup::Unknown);
        assert_eq!(table.learn(A, ONE, false, at), learned);
    }
}

#[test]
fn a_request_for_us_creates_an_entry() {
    let mut table = Table::default();
    assert_eq!(table.learn(A, ONE, true, 5), Learned::New);
    assert_eq!(table.lookup(A, 5), Lookup::Known(ONE));
    let entry = table.view(25)[0].expect("an entry");
    assert_eq!((u32::from(entry.ip), entry.mac, entry.age), (A, ONE, 20));
}

#[test]
fn questions_are_a_second_apart() {
    let mut table = Table::default();
    assert!(table.may_ask(A, 0));
    table.asked(A, 0);
    assert!(!table.may_ask(A, SECOND - 1));
    assert!(table.may_ask(A, SECOND));
    assert!(table.may_ask(A + 1, 1));
}

#[test]
fn a_binding_is_fresh_then_refreshed_then_gone() {
    let mut table = Table::default();
    table.learn(A, ONE, true, 0);
    assert_eq!(table.lookup(A, REFRESH - 1), Lookup::Known(ONE));
    assert_eq!(table.lookup(A, REFRESH), Lookup::Refresh(ONE));
    assert_eq!(table.lookup(A, LIFETIME), Lookup::Unknown);
    assert_eq!(table.view(LIFETIME)[0], None);
    assert_eq!(table.learn(A, TWO, false, LIFETIME), Learned::Nothing, "run out is not there");
    table.learn(A, ONE, true, LIFETIME);
    table.confirm(A, &ONE, LIFETIME + 50 * SECOND);
    assert_eq!(table.lookup(A, LIFETIME + 90 * SECOND), Lookup::Known(ONE));
    table.confirm(A, &TWO, LIFETIME + 91 * SECOND);
    assert_eq!(
        table.lookup(A, LIFETIME + 110 * SECOND),
        Lookup::Unknown,
        "not confirmed by another"
    );
}

#[test]
fn a_binding_just_confirmed_does_not_move() {
    let mut table = Table::default();
    table.learn(A, ONE, true, 0);
    assert_eq!(table.learn(A, TWO, false, LOCK - 1), Learned::Nothing);
    assert_eq!(table.learn(A, TWO, true, LOCK - 1), Learned::Nothing);
    assert_eq!(table.lookup(A, LOCK - 1), Lookup::Known(ONE));
    assert_eq!(table.learn(A, TWO, false, LOCK), Learned::Changed);
    assert_eq!(table.lookup(A, LOCK), Lookup::Known(TWO));
    assert_eq!(table.learn(A, TWO, false, LOCK), Learned::Same);
}

#[test]
fn a_storm_of_strangers_displaces_strangers() {
    let mut table = Table::default();
    table.learn(A, ONE, true, 1);
    table.lookup(A, 2);
    for i in 0..1000 {
        table.learn(0x0A01_0000 + i, TWO, true, 3 + u64::from(i));
    }
    assert_eq!(table.lookup(A, 2000), Lookup::Known(ONE));
    assert_eq!(table.view(2000).iter().flatten().count(), ARP_ENTRIES);
}

#[test]
fn what_is_used_least_lately_makes_room() {
    let mut table = Table::default();
    for i in 0..ARP_ENTRIES as u32 {
        table.learn(A + i, ONE, true, 0);
    }
    for i in 0..ARP_ENTRIES as u32 {
        table.lookup(A + i, 100 - u64::from(i));
    }
    table.asked(A + 99, 200);
    let last = A + ARP_ENTRIES as u32 - 1;
    assert_eq!(table.lookup(last, 201), Lookup::Unknown);
    assert_eq!(table.lookup(A, 201), Lookup::Known(ONE));
}

#[test]
fn zero_is_nobody() {
    let mut table = Table::default();
    table.asked(0, 0);
    assert_eq!(table.learn(0, ONE, true, 0), Learned::Nothing);
    assert_eq!(table.lookup(0, 0), Lookup::Unknown);
}
