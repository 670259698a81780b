//! The sequences of CP15 operations, on the core's caches as far as software can
//! tell, and the order between peripherals on a fabric that takes liberties.

use sk_hal::cp15::{self, Cp15Ops};
use sk_hal::{Bus32, BusAddr, CacheOps, Ordered};
use sk_models::fabric::Fabric;
use sk_models::memory::Memory;
use std::cell::{Cell, RefCell};

const CODE: u32 = 0x0410_0000;

fn memories() -> impl Iterator<Item = Memory> {
    std::iter::once(Memory::new()).chain((0..40).map(Memory::seeded))
}

#[test]
fn code_that_was_written_is_what_is_executed() {
    for memory in memories() {
        let mut code = vec![0; 256];
        memory.window(CODE, &code);
        for round in 0..6u8 {
            // Has run, or has been run ahead into.
            let _ = memory.fetch(CODE, 256);
            code.fill(round + 1);
            memory.sync_code(&code);
            assert_eq!(memory.fetch(CODE, 256), code, "round {round}");
        }
    }
}

#[test]
fn code_in_pieces_that_share_lines() {
    for memory in memories() {
        let mut code = vec![0; 256];
        memory.window(CODE, &code);
        let _ = memory.fetch(CODE, 256);
        for (from, to) in [(0, 41), (41, 42), (42, 96), (96, 250), (250, 256)] {
            code[from..to].fill(to as u8);
            memory.sync_code(&code[from..to]);
            assert_eq!(memory.fetch(CODE, to), code[..to]);
        }
    }
}

#[test]
fn nothing_is_maintained_for_no_bytes() {
    let memory = Memory::new();
    // No line is in any buffer: touching one would be noticed.
    cp15::clean(&memory, 0x0500_0000, 0);
    cp15::discard(&memory, 0x0500_0000, 0);
    cp15::invalidate(&memory, 0x0500_0000, 0);
    cp15::clean_tables(&memory, 0x0500_0000, &[]);
    memory.sync_code(&[]);
}

/// A range ends with its last byte: one more would be in the neighbour's line,
/// which is in no buffer here.
#[test]
fn the_last_line_is_maintained_and_the_next_is_not() {
    for len in 1..=96u32 {
        let memory = Memory::new();
        let bytes = [7u8; 96];
        let lines = (len as usize).next_multiple_of(32);
        memory.window(CODE, &bytes[..lines]);
        let bus = BusAddr(CODE | 0x4000_0000);
        memory.clean(bus, &bytes[..lines]);
        cp15::clean(&memory, CODE, len);
        cp15::discard(&memory, CODE, len);
        Cp15Ops::dsb(&memory);
        assert_eq!(memory.device_read(bus.0, lines), bytes[..lines]);
        if len.is_multiple_of(32) {
            cp15::invalidate(&memory, CODE, len);
        }
    }
}

#[test]
fn an_invalidate_is_complete_on_return() {
    for memory in memories() {
        let mut bytes = vec![7u8; 64];
        memory.window(CODE, &bytes);
        let bus = BusAddr(CODE | 0x4000_0000);
        memory.discard(bus, &mut bytes);
        Cp15Ops::dsb(&memory);
        memory.device_write(bus.0, &[9; 64]);
        Cp15Ops::dmb(&memory);
        memory.invalidate(bus, &mut bytes);
        assert_eq!(bytes, [9; 64]);
        assert!(!memory.dsb_missing());
    }
}

#[test]
fn the_core_sleeps_after_a_barrier_only() {
    let memory = Memory::new();
    Cp15Ops::dmb(&memory);
    cp15::sleep(&memory);
}

/// Registers that remember, all peripherals together, what was written when.
struct Log<'l> {
    name: u32,
    log: &'l RefCell<Vec<(u32, u32, u32)>>,
    reads: Cell<u32>,
}

impl Bus32 for Log<'_> {
    fn read(&self, off: u32) -> u32 {
        self.reads.set(self.reads.get() + 1);
        self.name << 16 | off
    }
    fn write(&self, off: u32, value: u32) {
        self.log.borrow_mut().push((self.name, off, value));
    }
}

#[test]
fn reads_and_writes_of_different_peripherals_keep_their_order() {
    let log = RefCell::new(Vec::new());
    let block = |name| Log { name, log: &log, reads: Cell::new(0) };
    let (timer, uart) = (block(1), block(2));
    let memory = Memory::new();
    let fabric = Fabric::new(&memory, vec![&timer, &uart]);
    let t = Ordered::new(fabric.port(0), memory.clone());
    let u = Ordered::new(fabric.port(1), memory.clone());
    assert_eq!((t.read(4), u.read(8), t.read(12)), (0x1_0004, 0x2_0008, 0x1_000C));
    t.write(0, 1);
    u.write(0, 2);
    u.write(4, 3);
    t.write(4, 4);
    assert_eq!(u.read(0), 0x2_0000);
    fabric.settle();
    assert_eq!(*log.borrow(), [(1, 0, 1), (2, 0, 2), (2, 4, 3), (1, 4, 4)]);
}

#[test]
fn without_barriers_the_fabric_takes_its_liberties() {
    let log = RefCell::new(Vec::new());
    let block = |name| Log { name, log: &log, reads: Cell::new(0) };
    let (timer, uart) = (block(1), block(2));
    let memory = Memory::new();
    let fabric = Fabric::new(&memory, vec![&timer, &uart]);
    let (t, u) = (fabric.port(0), fabric.port(1));
    assert_eq!((t.read(4), t.read(8), u.read(8)), (0x1_0004, 0x1_0008, 0x1_0008));
    t.write(0, 1);
    t.write(4, 2);
    u.write(0, 3);
    fabric.settle();
    assert_eq!(*log.borrow(), [(1, 0, 1), (2, 0, 3), (1, 4, 2)]);
}
