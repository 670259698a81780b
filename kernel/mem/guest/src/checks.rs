//! What the routines must do, looked at byte by byte.

use crate::memory::{FROM, GUARD, Numbers, Routine, SIZE, TO, get, put};

/// Bytes looked at on either side.
const MARGIN: usize = 36;
const LONGEST: usize = 300;
/// Random calls of up to this length.
const RANDOM: usize = 600;
const LONG: usize = 5000;

pub fn run() {
    copies();
    moves();
    fills();
    comparisons();
    sums();
}

/// One copy into guards, which are put back.
fn copy(routine: Routine, to: usize, from: usize, n: usize) {
    let value = routine.call(to, from, n);
    assert!(value == to, "copy {to:#x} {from:#x} {n}: the value is {value:#x}");
    let low = (to - MARGIN.min(to - TO))..to;
    let high = (to + n)..(to + n + MARGIN).min(TO + SIZE);
    for at in low.chain(high) {
        assert!(get(at) == GUARD, "copy {to:#x} {from:#x} {n}: {at:#x} was written");
    }
    for i in 0..n {
        assert!(get(to + i) == get(from + i), "copy {to:#x} {from:#x} {n}: byte {i}");
        put(to + i, GUARD);
    }
}

fn copies() {
    let memcpy = Routine::memcpy();
    for to in 0..32 {
        for from in 0..32 {
            for n in 0..=LONGEST {
                copy(memcpy, TO + MARGIN + to, FROM + from, n);
            }
        }
    }
    // At the ends of what is mapped.
    for n in 0..=LONGEST {
        for routine in [memcpy, Routine::aeabi_memcpy(), Routine::memmove()] {
            copy(routine, TO, FROM + SIZE - n, n);
            copy(routine, TO + SIZE - n, FROM, n);
            copy(routine, TO + SIZE - n, FROM + SIZE - n, n);
        }
    }
    let mut numbers = Numbers::new();
    for _ in 0..RANDOM {
        let (to, from) = (numbers.below(64), numbers.below(64));
        let n = numbers.below(LONG);
        copy(memcpy, TO + to, FROM + from, n);
        copy(Routine::memmove(), TO + to, FROM + from, n);
    }
}

/// One move within bytes that are a copy of `FROM`'s, and are so again after.
/// Everything is within `len` bytes.
fn shift(to: usize, from: usize, n: usize, len: usize) {
    let value = Routine::memmove().call(TO + to, TO + from, n);
    assert!(value == TO + to, "memmove's value");
    for i in 0..len {
        let before = if (to..to + n).contains(&i) { i - to + from } else { i };
        assert!(get(TO + i) == get(FROM + before), "move {to} {from} {n}: byte {i}");
        if i != before {
            put(TO + i, get(FROM + i));
        }
    }
}

fn moves() {
    for i in 0..2 * LONG {
        put(TO + i, get(FROM + i));
    }
    // By up to more than a word, from any alignment.
    for from in 8..16 {
        for to in from - 8..=from + 8 {
            for n in 0..=LONGEST {
                shift(to, from, n, n + 40);
            }
        }
    }
    // By up to more than a line and a block.
    for from in 72..76 {
        for to in from - 70..=from + 70 {
            for n in (0..=140).chain([190, 191, 192, 193, 255, 256, 257, 300]) {
                shift(to, from, n, n + 160);
            }
        }
    }
    let mut numbers = Numbers::new();
    for _ in 0..RANDOM {
        let (to, from) = (numbers.below(300), numbers.below(300));
        let n = numbers.below(LONG);
        shift(to, from, n, n + 330);
    }
    for i in 0..2 * LONG {
        put(TO + i, GUARD);
    }
}

fn fill(to: usize, n: usize, which: usize) {
    let byte = 0x100 + 7 * n + to;
    let byte = match which {
        0 => {
            let value = Routine::memset().call(to, byte, n);
            assert!(value == to, "memset's value");
            byte as u8
        }
        1 => {
            Routine::aeabi_memset().call(to, n, byte);
            byte as u8
        }
        _ => {
            Routine::aeabi_memclr().call(to, n, 0xFF);
            0
        }
    };
    let low = (to - MARGIN.min(to - TO))..to;
    let high = (to + n)..(to + n + MARGIN).min(TO + SIZE);
    for at in low.chain(high) {
        assert!(get(at) == GUARD, "fill {to:#x} {n}: {at:#x} was written");
    }
    for i in 0..n {
        assert!(get(to + i) == byte, "fill {to:#x} {n}: byte {i}");
        put(to + i, GUARD);
    }
}

fn fills() {
    let mut numbers = Numbers::new();
    for which in 0..3 {
        for n in 0..=LONGEST {
            for to in 0..32 {
                fill(TO + MARGIN + to, n, which);
            }
            fill(TO, n, which);
            fill(TO + SIZE - n, n, which);
        }
        for _ in 0..RANDOM {
            fill(TO + numbers.below(64), numbers.below(LONG), which);
        }
    }
}

/// Compares bytes that are equal; then with one that differs, among them and
/// after them.
fn compare(a: usize, b: usize, n: usize, numbers: &mut Numbers) {
    for routine in [Routine::memcmp(), Routine::bcmp()] {
        assert!(routine.call(a, b, n) == 0, "compare {a:#x} {b:#x} {n}: equal");
    }
    let place = numbers.below(n + 1);
    if a + place >= TO + SIZE || b + place >= FROM + SIZE {
        return;
    }
    let (was, theirs) = (get(a + place), get(b + place));
    let other = theirs ^ (1 + numbers.below(255)) as u8;
    put(a + place, other);
    // What comes later must not count.
    let later = a + place + 1 + numbers.below(8);
    let kept = (later < TO + SIZE).then(|| get(later));
    if kept.is_some() {
        put(later, !get(later));
    }
    let expected = if place == n { 0 } else { i32::from(other) - i32::from(theirs) };
    if place < n || kept.is_none() {
        let value = Routine::memcmp().call(a, b, n) as i32;
        assert!(
            value.signum() == expected.signum(),
            "compare {a:#x} {b:#x} {n}: {value} for byte {place}"
        );
        assert!((Routine::bcmp().call(a, b, n) == 0) == (expected == 0), "bcmp");
    } else {
        assert!(Routine::memcmp().call(a, b, n) == 0, "compare {a:#x} {b:#x} {n}: beyond");
    }
    if let Some(byte) = kept {
        put(later, byte);
    }
    put(a + place, was);
}

fn comparisons() {
    let mut numbers = Numbers::new();
    for a in 0..32 {
        for b in 0..32 {
            for i in 0..LONGEST + 8 {
                put(TO + a + i, get(FROM + b + i));
            }
            for n in 0..=LONGEST {
                compare(TO + a, FROM + b, n, &mut numbers);
            }
        }
    }
    for n in 0..=LONGEST {
        for i in 0..n {
            put(TO + SIZE - n + i, get(FROM + SIZE - n + i));
        }
        compare(TO + SIZE - n, FROM + SIZE - n, n, &mut numbers);
    }
    for _ in 0..RANDOM {
        let (a, b, n) = (numbers.below(64), numbers.below(64), numbers.below(LONG));
        for i in 0..n + 8 {
            put(TO + a + i, get(FROM + b + i));
        }
        compare(TO + a, FROM + b, n, &mut numbers);
    }
}

/// What `sk_ones_sum` must say of bytes whose plain sum is `total`: with the
/// carries back in.
fn folded(total: u64) -> usize {
    let total = (total & 0xFFFF_FFFF) + (total >> 32);
    ((total & 0xFFFF_FFFF) + (total >> 32)) as usize
}

/// All lengths up to `longest`.
fn sum(at: usize, longest: usize) {
    let mut total = 0u64;
    for n in 0..=longest {
        let value = Routine::ones_sum().call(at, n, 0);
        assert!(value == folded(total), "sum {at:#x} {n}: {value:#x}");
        if n < longest {
            total += u64::from(get(at + n)) << (8 * (n % 4));
        }
    }
}

fn sums() {
    for from in 0..32 {
        sum(FROM + from, LONGEST);
    }
    sum(FROM + 1, 2000);
    for n in 0..=LONGEST {
        let at = FROM + SIZE - n;
        let total = (0..n).fold(0, |t, i| t + (u64::from(get(at + i)) << (8 * (i % 4))));
        assert!(Routine::ones_sum().call(at, n, 0) == folded(total), "sum at the end, {n}");
    }
    // Every addition carries, and none.
    for byte in [0xFF, 0] {
        for i in 0..2000 {
            put(TO + i, byte);
        }
        for at in 0..4 {
            sum(TO + at, 1500);
        }
    }
    // Nothing is touched for no bytes.
    for at in 0..4 {
        assert!(Routine::ones_sum().call(at, 0, 0) == 0, "no bytes");
    }
}
