//! The memory's double: each omission it is there for shows.

use sk_hal::cp15::{self, Cp15Ops};
use sk_hal::{BusAddr, CacheOps, Direction, DmaBuf};
use sk_models::memory::{ALIAS, Memory};

const AT: u32 = 0x0020_0000;

#[test]
fn what_is_stored_and_not_cleaned_stays_in_the_cache() {
    let memory = Memory::new();
    let mut buf = memory.buffer(64);
    buf.bytes_mut().fill(1);
    assert_eq!(memory.device_read(buf.bus().0, 4), [0xDB; 4]);
    CacheOps::dsb(&memory);
    assert_eq!(memory.device_read(buf.bus().0, 4), [0xDB; 4]);
}

#[test]
fn what_is_cleaned_waits_for_the_dsb() {
    let memory = Memory::new();
    let mut buf = memory.buffer(64);
    buf.bytes_mut().fill(1);
    memory.clean(buf.bus(), buf.bytes());
    CacheOps::dmb(&memory);
    assert_eq!(memory.device_read(buf.bus().0, 4), [0xDB; 4]);
    assert!(memory.dsb_missing());
    CacheOps::dsb(&memory);
    assert_eq!(memory.device_read(buf.bus().0, 4), [1; 4]);
}

#[test]
fn with_a_seed_a_line_may_be_written_back_unasked() {
    let early = (0..64).filter(|&seed| {
        let memory = Memory::seeded(seed);
        let buf = memory.buffer(32);
        memory.clean(buf.bus(), buf.bytes());
        (0..3).any(|_| memory.device_read(buf.bus().0, 1) == [0xCB])
    });
    assert!((8..56).contains(&early.count()));
}

/// A buffer given to a device that has written `9` to it.
fn written(memory: &Memory, mut mem: Vec<u8>) -> Vec<u8> {
    let bus = BusAddr(AT | ALIAS);
    memory.window(AT, &mem);
    memory.discard(bus, &mut mem);
    CacheOps::dsb(memory);
    memory.device_write(bus.0, &vec![9; mem.len()]);
    mem
}

#[test]
fn without_the_barrier_the_old_bytes_are_read() {
    let memory = Memory::new();
    let mut mem = written(&memory, vec![1; 32]);
    memory.invalidate(BusAddr(AT | ALIAS), &mut mem);
    assert_ne!(mem, [9; 32]);
    CacheOps::dmb(&memory);
    memory.invalidate(BusAddr(AT | ALIAS), &mut mem);
    assert_eq!(mem, [9; 32]);
}

#[test]
fn without_the_second_invalidate_the_old_bytes_are_read() {
    let memory = Memory::new();
    let mem = written(&memory, vec![1; 32]);
    CacheOps::dmb(&memory);
    assert_ne!(mem, [9; 32]);
}

#[test]
#[should_panic(expected = "invalidate of a dirty line")]
fn an_invalidate_of_what_was_never_cleaned() {
    let memory = Memory::new();
    let mut mem = vec![1; 32];
    memory.window(AT, &mem);
    memory.invalidate(BusAddr(AT | ALIAS), &mut mem);
}

#[test]
#[should_panic(expected = "a buffer the CPU has")]
fn a_device_writes_to_what_was_not_given() {
    let memory = Memory::new();
    let buf = memory.buffer(32);
    memory.device_write(buf.bus().0, &[1]);
}

#[test]
#[should_panic(expected = "a buffer the CPU has")]
fn a_device_writes_after_the_buffer_was_taken() {
    let memory = Memory::new();
    let buf = memory.buffer(32).give(&memory, Direction::Both).take(&memory);
    memory.device_write(buf.bus().0, &[1]);
}

#[test]
#[should_panic(expected = "bus alias")]
fn a_device_is_given_the_physical_address() {
    let memory = Memory::new();
    let buf = memory.buffer(32);
    let _ = memory.device_read(buf.bus().0 & !ALIAS, 1);
}

#[test]
#[should_panic(expected = "bus alias")]
fn a_device_is_given_the_alias_past_the_l2() {
    let memory = Memory::new();
    let buf = memory.buffer(32);
    memory.device_write(buf.bus().0 | 0xC000_0000, &[1]);
}

#[test]
#[should_panic(expected = "bus alias")]
fn a_buffer_without_the_alias_is_maintained() {
    let buf = DmaBuf::new(Box::leak(Box::new([0; 32])), BusAddr(AT)).unwrap();
    let _ = buf.give(&Memory::new(), Direction::Both);
}

#[test]
#[should_panic(expected = "outside any buffer")]
fn a_device_writes_past_the_end() {
    let memory = Memory::new();
    let buf = memory.buffer(32);
    memory.device_write(buf.bus().0 + 30, &[1, 2, 3]);
}

#[test]
#[should_panic(expected = "part of a line")]
fn an_invalidate_takes_part_of_a_line() {
    let memory = Memory::new();
    memory.range(AT, 64);
    cp15::invalidate(&memory, AT, 40);
}

#[test]
#[should_panic(expected = "outside of a buffer")]
fn a_range_ends_behind_its_last_line() {
    let memory = Memory::new();
    memory.range(AT, 64);
    memory.clean_range(AT, AT + 64);
}

#[test]
#[should_panic(expected = "716151")]
fn a_store_follows_a_clean_too_closely() {
    let memory = Memory::new();
    let mut buf = memory.buffer(32);
    memory.clean(buf.bus(), buf.bytes());
    buf.bytes_mut()[0] = 1;
    memory.clean(buf.bus(), buf.bytes());
}

#[test]
#[should_panic(expected = "WFI without a DSB")]
fn the_core_sleeps_with_stores_underway() {
    let memory = Memory::new();
    Cp15Ops::dsb(&memory);
    Cp15Ops::dmb(&memory);
    memory.wait_for_interrupt();
}

/// What leaves one operation out, or does them in another order, executes what
/// was there before.
#[test]
fn every_step_of_a_code_change_counts() {
    type Op = fn(&Memory);
    fn clean(memory: &Memory) {
        memory.clean_range(AT, AT + 31);
    }
    fn forget(memory: &Memory) {
        (0..4).for_each(|_| memory.instruction_invalidate());
        memory.eleven_nops();
    }
    let right: [Op; 6] =
        [clean, Cp15Ops::dsb, forget, Cp15Ops::branch_flush, Cp15Ops::dsb, Cp15Ops::prefetch_flush];
    let executes = |ops: &[Op]| {
        let memory = Memory::new();
        memory.range(AT, 32);
        let old = memory.fetch(AT, 32);
        memory.stored(AT, &[0x1111_1111; 8]);
        ops.iter().for_each(|op| op(&memory));
        memory.fetch(AT, 32) != old
    };
    assert!(executes(&right));
    for left_out in 0..right.len() {
        let mut ops = right.to_vec();
        ops.remove(left_out);
        assert!(!executes(&ops), "without step {left_out}");
    }
    for swapped in 0..right.len() - 1 {
        // The branch predictor may be flushed before or after the pause.
        let mut ops = right.to_vec();
        ops.swap(swapped, swapped + 1);
        assert!(!executes(&ops), "steps {swapped} and {} swapped", swapped + 1);
    }
}
