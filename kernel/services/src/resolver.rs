//! The resolver's table: a perfect hash over service ids, built at compile time.
//!
//! One multiply-shift, one load (of a pair of words), one compare: entry
//! `(id * multiplier) >> shift` holds the only service whose id can be the one
//! asked for. The multiplier is found by trying odd numbers until no two ids
//! share an entry (Dietzfelbinger's multiplicative hashing; for 128 of them at
//! most a table of 1024 entries needs a few thousand tries).
//!
//! `asm/resolver.S` is the look-up itself, ten instructions of text for
//! `global_asm!`; it runs in the payload's mode, from pages that a payload may
//! read and execute. [`look_up`] is the same in Rust.

use sk_abi::{SERVICES, SLOTS};

/// Entries of the table for the services of `sk-abi`.
pub const ENTRIES: usize = 512;

/// Bytes of one [`Entry`] on the board.
pub const ENTRY_SIZE: usize = 8;

/// A perfect hash of some ids into `2^(32 - shift)` places.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hash {
    /// What an id is multiplied by, modulo 2^32.
    pub multiplier: u32,
    /// What the product is shifted right by.
    pub shift: u32,
}

impl Hash {
    /// The place of an id.
    #[must_use]
    pub const fn place(self, id: u32) -> usize {
        (id.wrapping_mul(self.multiplier) >> self.shift) as usize
    }
}

/// An entry of the table as it lies in memory: id and value, 0 for none.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<V> {
    /// The id, 0 in an empty place.
    pub id: u32,
    /// What it resolves to.
    pub value: V,
}

/// Finds a perfect hash of `ids` into `N` places (a power of two, at least 2),
/// or `None` after `tries` multipliers.
#[must_use]
pub const fn search<const N: usize>(ids: &[u32], tries: u32) -> Option<Hash> {
    assert!(
        N.is_power_of_two() && N >= 2 && N <= 1 << 16,
        "the table's size must be a power of two"
    );
    let shift = 32 - N.ilog2();
    // In an entry: the number of the try that put an id there.
    let mut seen = [0u32; N];
    let mut multiplier: u32 = 0x9E37_79B1; // 2^32 / golden ratio, odd
    let mut try_no = 1;
    while try_no <= tries {
        let hash = Hash { multiplier, shift };
        let mut i = 0;
        while i < ids.len() {
            let place = hash.place(ids[i]);
            if seen[place] == try_no {
                break;
            }
            seen[place] = try_no;
            i += 1;
        }
        if i == ids.len() {
            return Some(hash);
        }
        // Another odd number; the increment is even and not a power of two.
        multiplier = multiplier.wrapping_add(0x3C6E_F372);
        try_no += 1;
    }
    None
}

/// The table of `N` places for ids with values; `empty` in all others.
#[must_use]
pub const fn table<V: Copy, const N: usize>(
    hash: Hash,
    ids: &[u32],
    values: &[V],
    empty: V,
) -> [Entry<V>; N] {
    assert!(ids.len() == values.len(), "one value for each id");
    let mut table = [Entry { id: 0, value: empty }; N];
    let mut i = 0;
    while i < ids.len() {
        let entry = &mut table[hash.place(ids[i])];
        assert!(entry.id == 0, "two ids in one place");
        *entry = Entry { id: ids[i], value: values[i] };
        i += 1;
    }
    table
}

/// The look-up in Rust: what the assembly does. `empty` for an unknown id.
pub fn look_up<V: Copy>(table: &[Entry<V>], hash: Hash, id: u32, empty: V) -> V {
    match table.get(hash.place(id)) {
        Some(entry) if entry.id == id => entry.value,
        _ => empty,
    }
}

/// Ids of all services, in the order of [`SERVICES`].
pub const IDS: [u32; SERVICES.len()] = {
    let mut ids = [0; SERVICES.len()];
    let mut i = 0;
    while i < ids.len() {
        ids[i] = SERVICES[i].id;
        i += 1;
    }
    ids
};

/// Slots of all services, in the order of [`SERVICES`].
pub const SLOT_NUMBERS: [u8; SERVICES.len()] = {
    let mut slots = [0; SERVICES.len()];
    let mut i = 0;
    while i < slots.len() {
        slots[i] = SERVICES[i].slot;
        i += 1;
    }
    slots
};

/// Id and slot of every service. What [`SERVICES`] says of them besides, for
/// people, stays out of a program that asks no more than this.
pub fn ids_and_slots() -> impl Iterator<Item = (u32, u8)> {
    const BOTH: [(u32, u8); SERVICES.len()] = {
        let mut both = [(0, 0); SERVICES.len()];
        let mut i = 0;
        while i < both.len() {
            both[i] = (IDS[i], SLOT_NUMBERS[i]);
            i += 1;
        }
        both
    };
    BOTH.iter().copied()
}

/// The perfect hash of the services.
#[allow(long_running_const_eval)]
pub const HASH: Hash = match search::<ENTRIES>(&IDS, 100_000) {
    Some(hash) => hash,
    None => panic!("no perfect hash of the services was found: double ENTRIES"),
};

/// For each place of the table the slot that resolves there plus 1, 0 for none.
/// [`fill`] makes the same without 4 KiB of constants.
pub const PLACES: [Entry<u8>; ENTRIES] = {
    let mut slots = SLOT_NUMBERS;
    let mut i = 0;
    while i < slots.len() {
        assert!((slots[i] as usize) < SLOTS);
        slots[i] += 1;
        i += 1;
    }
    table(HASH, &IDS, &slots, 0)
};

/// The table for a task: the words of [`ENTRIES`] entries, in which a service
/// that `address` gives no address for is unknown.
pub fn fill(words: &mut [u32; ENTRIES * 2], mut address: impl FnMut(u8) -> Option<u32>) {
    words.fill(0);
    for (id, slot) in ids_and_slots() {
        if let Some(address) = address(slot)
            && let Some(pair) = words.as_chunks_mut::<2>().0.get_mut(HASH.place(id))
        {
            *pair = [id, address];
        }
    }
}
