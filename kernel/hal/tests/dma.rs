//! A buffer's way to a device and back, on memory that is not coherent.

use sk_hal::{CacheOps, Direction, DmaBuf};
use sk_models::memory::Memory;

/// Bytes that say which round they are of.
fn pattern(round: usize, len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + round * 31 + i / 32) as u8).collect()
}

/// No surprises, then some by each of many seeds.
fn memories() -> impl Iterator<Item = Memory> {
    std::iter::once(Memory::new()).chain((0..40).map(Memory::seeded))
}

#[test]
fn a_device_reads_what_the_cpu_wrote() {
    for memory in memories() {
        let mut buf = memory.buffer(200);
        for round in 0..8 {
            let bytes = pattern(round, buf.capacity());
            buf.bytes_mut().copy_from_slice(&bytes);
            let given = buf.give(&memory, Direction::ToDevice);
            assert_eq!(memory.device_read(given.bus().0, bytes.len()), bytes);
            buf = given.take(&memory);
            assert_eq!(buf.bytes(), bytes);
        }
    }
}

#[test]
fn the_cpu_reads_what_a_device_wrote() {
    for memory in memories() {
        let mut buf = memory.buffer(200);
        for round in 0..8 {
            buf.bytes_mut()[5] = 0x55;
            let bytes = pattern(round, buf.capacity());
            let given = buf.give(&memory, Direction::FromDevice);
            for (i, part) in bytes.chunks(60).enumerate() {
                memory.device_write(given.bus().0 + 60 * i as u32, part);
            }
            buf = given.take(&memory);
            assert_eq!(buf.bytes(), bytes);
        }
    }
}

#[test]
fn a_message_goes_both_ways() {
    for memory in memories() {
        let mut buf = memory.buffer(64);
        for round in 0..8 {
            let question = pattern(round, 64);
            buf.bytes_mut().copy_from_slice(&question);
            let given = buf.give(&memory, Direction::Both);
            assert_eq!(memory.device_read(given.bus().0, 64), question);
            memory.device_write(given.bus().0 + 8, b"answer");
            buf = given.take(&memory);
            assert_eq!(buf.bytes()[8..14], *b"answer");
            assert_eq!(buf.bytes()[14..], question[14..]);
        }
    }
}

#[test]
fn every_doorbell_may_be_rung_after_a_give() {
    for direction in [Direction::ToDevice, Direction::FromDevice, Direction::Both] {
        let memory = Memory::new();
        let given = memory.buffer(64).give(&memory, direction);
        assert!(!memory.dsb_missing(), "{direction:?}");
        let _ = given.take(&memory);
    }
}

#[test]
fn a_buffer_is_whole_lines() {
    let bus = sk_hal::BusAddr;
    let slice = |len| Box::leak(vec![0; len].into_boxed_slice());
    assert!(DmaBuf::new(slice(64), bus(0x4010_0000)).is_some());
    assert!(DmaBuf::new(slice(0), bus(0x4010_0000)).is_none());
    assert!(DmaBuf::new(slice(48), bus(0x4010_0000)).is_none());
    assert!(DmaBuf::new(slice(64), bus(0x4010_0010)).is_none());
}

#[test]
fn cache_operations_work_through_a_reference_too() {
    let memory = Memory::new();
    let mut buf = memory.buffer(32);
    buf.bytes_mut().fill(9);
    let given = buf.give(&&memory, Direction::Both);
    memory.device_write(given.bus().0, &[8; 4]);
    let buf = given.take(&&memory);
    assert_eq!(buf.bytes()[..8], [8, 8, 8, 8, 9, 9, 9, 9]);
    CacheOps::sync_code(&&memory, &[]);
}
