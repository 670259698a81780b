//! The record that survives a reset, and the patrol over what must not change.

use core::fmt::Write;
use proptest::prelude::*;
use sk_drivers::crash::{REGISTERS, ROW, Record, SOON, State, TEXT, Text, WORDS};
use sk_drivers::integrity::{Found, Patrol};

fn crash() -> Record {
    let mut record = Record::running(None);
    record.registers = core::array::from_fn(|i| 0x1000 + i as u32);
    record.detail = 7;
    write!(record.text, "kernel/src/kernel.rs:12: no\r\nway").unwrap();
    record.crashed(5, 12_345_678);
    record
}

#[test]
fn comes_back_as_it_was_written() {
    let record = crash();
    let read = Record::read(&record.words()).unwrap();
    assert_eq!(read, record);
    assert_eq!((read.state, read.cause, read.row), (State::Crashed, 5, 1));
    assert_eq!((read.uptime_ms, read.registers[REGISTERS - 1]), (12_345, 0x1000 + 19));
    assert_eq!(read.text.as_str(), "kernel/src/kernel.rs:12: no  way");
}

#[test]
fn every_flipped_bit_is_noticed() {
    let words = crash().words();
    for bit in 0..WORDS * 32 {
        let mut bad = words;
        bad[bit / 32] ^= 1 << (bit % 32);
        assert_eq!(Record::read(&bad), None, "bit {bit}");
    }
    for memory in [[0; WORDS], [u32::MAX; WORDS]] {
        assert_eq!(Record::read(&memory), None);
    }
}

#[test]
fn long_text_is_cut() {
    let mut text = Text::EMPTY;
    for _ in 0..TEXT {
        text.write_str("ä").unwrap();
    }
    assert_eq!(text.as_str().len(), TEXT);
    text = Text::EMPTY;
    text.write_str("a").unwrap();
    for _ in 0..TEXT {
        text.write_str("ä").unwrap();
    }
    assert_eq!(text.as_str().len(), TEXT - 1, "half a character is none");
}

/// One boot after the other, each ending as told: after how many is it enough?
fn rows(ends: &[Option<u64>]) -> Vec<u32> {
    let mut words = [0; WORDS];
    let mut rows = Vec::new();
    for end in ends {
        let before = Record::read(&words);
        let mut record = Record::running(before.as_ref());
        rows.push(record.row);
        if let Some(uptime) = end {
            record.crashed(1, *uptime);
        }
        words = record.words();
    }
    rows
}

#[test]
fn crashes_in_a_row_are_counted() {
    let soon = Some(2_000_000);
    assert_eq!(rows(&[soon, soon, soon, soon]), [0, 1, 2, ROW]);
    // A long life ends the row; its own crash is the first of the next.
    assert_eq!(rows(&[soon, soon, Some(SOON), soon]), [0, 1, 2, 1]);
    // Ended from outside: the row stays.
    assert_eq!(rows(&[soon, soon, None, soon]), [0, 1, 2, 2]);
    let mut restarted = Record { row: 2, ..Record::running(None) };
    restarted.state = State::Restarted;
    assert_eq!(Record::running(Some(&restarted)).row, 0);
}

fn walk(patrol: &mut Patrol<3>, areas: &[Vec<u32>; 3], step: usize) -> Found {
    loop {
        let piece = patrol.next(step);
        match patrol.take(&areas[piece.area][piece.start..piece.start + piece.len]) {
            Found::Nothing => {}
            found => return found,
        }
    }
}

fn areas() -> [Vec<u32>; 3] {
    let mut x = 1u32;
    [100, 7, 33].map(|len| {
        (0..len)
            .map(|_| {
                x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                x
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn any_changed_word_is_found(
        area in 0usize..3, at in 0usize..100, change in 1u32.., step in 1usize..50,
    ) {
        let mut memory = areas();
        let at = at % memory[area].len();
        let mut patrol = Patrol::new([100, 7, 33]);
        prop_assert_eq!(walk(&mut patrol, &memory, 16), Found::Whole);
        prop_assert_eq!(walk(&mut patrol, &memory, step), Found::Whole);
        memory[area][at] ^= change;
        prop_assert_eq!(walk(&mut patrol, &memory, step), Found::Changed(area));
    }

    #[test]
    fn two_words_swapped_are_found(i in 0usize..100, j in 0usize..100) {
        let mut memory = areas();
        prop_assume!(memory[0][i] != memory[0][j]);
        let mut patrol = Patrol::new([100, 7, 33]);
        prop_assert_eq!(walk(&mut patrol, &memory, 16), Found::Whole);
        memory[0].swap(i, j);
        prop_assert_eq!(walk(&mut patrol, &memory, 16), Found::Changed(0));
    }
}

#[test]
fn a_restarted_pass_still_knows() {
    let mut memory = areas();
    let mut patrol = Patrol::new([100, 7, 33]);
    assert_eq!(walk(&mut patrol, &memory, 16), Found::Whole);
    let piece = patrol.next(16);
    patrol.take(&memory[piece.area][..piece.len]);
    assert!(!patrol.is_at_start());
    patrol.restart();
    memory[0][0] ^= 1;
    assert_eq!(walk(&mut patrol, &memory, 16), Found::Changed(0));
}
