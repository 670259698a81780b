//! Calls through the gate: right ones, wrong ones, and any at all.

use proptest::prelude::*;
use sk_abi::net::{Addresses, Neighbour, NetError, UdpInfo, UdpPeer};
use sk_abi::{SERVICES, Status};
use sk_services::{
    Allowed, Board, Context, Ending, Fault, Job, Memory, Network, Outcome, Park, Sent, Stream,
    Task, dispatch,
};

const BASE: u32 = 0x0400_0000;
/// Read-only below this offset, writable above; the heap is the second half.
const WRITABLE: u32 = 0x1000;
const SIZE: u32 = 0x4_0000;
const HEAP: u32 = SIZE / 2;

/// Memory as words, so that the heap can be had as words without unsafe code.
struct Ram {
    bytes: Vec<u8>,
    heap: Vec<u32>,
    heap_bytes: Vec<u8>,
}

impl Ram {
    fn new() -> Self {
        let bytes = (0..HEAP).map(|i| i as u8).collect();
        Self {
            bytes,
            heap: vec![0; (SIZE - HEAP) as usize / 4],
            heap_bytes: vec![0xEE; (SIZE - HEAP) as usize],
        }
    }
    fn off(at: u32, len: u32, low: u32) -> Option<std::ops::Range<usize>> {
        let start = at.checked_sub(BASE)?;
        let end = start.checked_add(len)?;
        let inside = start >= low && (end <= HEAP || start >= HEAP) && end <= SIZE;
        inside.then_some(start as usize..end as usize)
    }
}

impl Memory for Ram {
    fn readable(&self, at: u32, len: u32) -> Option<&[u8]> {
        if len == 0 {
            return Some(&[]);
        }
        let r = Self::off(at, len, 0)?;
        let h = HEAP as usize;
        if r.start < h { self.bytes.get(r) } else { self.heap_bytes.get(r.start - h..r.end - h) }
    }
    fn writable(&mut self, at: u32, len: u32) -> Option<&mut [u8]> {
        if len == 0 {
            return Some(&mut []);
        }
        let r = Self::off(at, len, WRITABLE)?;
        let h = HEAP as usize;
        if r.start < h {
            self.bytes.get_mut(r)
        } else {
            self.heap_bytes.get_mut(r.start - h..r.end - h)
        }
    }
    fn heap(&mut self) -> &mut [u32] {
        &mut self.heap
    }
}

#[derive(Default)]
struct Desk {
    now: u64,
    out: Vec<u8>,
    err: Vec<u8>,
    log: Vec<String>,
    beats: u32,
    synced: usize,
    room: usize,
    stop: bool,
}

impl Board for Desk {
    fn now(&self) -> u64 {
        self.now
    }
    fn cycles(&self) -> u32 {
        7
    }
    fn push(&mut self, stream: Stream, bytes: &[u8]) -> usize {
        let n = bytes.len().min(self.room);
        self.room -= n;
        match stream {
            Stream::Output => self.out.extend(&bytes[..n]),
            Stream::Error => self.err.extend(&bytes[..n]),
        }
        n
    }
    fn log(&mut self, line: &str) {
        self.log.push(line.into());
    }
    fn beat(&mut self) {
        self.beats += 1;
    }
    fn stop_requested(&self) -> bool {
        self.stop
    }
    fn sync_code(&mut self, code: &[u8]) {
        self.synced += code.len();
    }
}

// What becomes of network calls is tested in tests/net.rs.
impl Network for Desk {
    fn bind(&mut self, port: u16) -> Result<u16, NetError> {
        if port == 68 { Err(NetError::Reserved) } else { Ok(port.max(1)) }
    }
    fn bind_any(&mut self) {}
    fn close(&mut self, port: u16) -> bool {
        port == 0
    }
    fn is_bound(&self) -> bool {
        self.beats.is_multiple_of(2)
    }
    fn take(&mut self, buf: &mut [u8]) -> Option<UdpInfo> {
        buf.first_mut().map(|b| *b = 1)?;
        Some(UdpInfo { len: 1, ..UdpInfo::default() })
    }
    fn send(&mut self, peer: &UdpPeer, _: &[u8]) -> Sent {
        if peer.port & 1 == 0 { Sent::Done } else { Sent::Later(self.now, NetError::Unreachable) }
    }
    fn addresses(&self) -> Addresses {
        Addresses::default()
    }
    fn neighbour(&self, at: u32) -> Option<Neighbour> {
        (at < 3).then(Neighbour::default)
    }
}

struct Bench {
    ram: Ram,
    desk: Desk,
    task: Task,
}

impl Bench {
    fn new() -> Self {
        let mut ram = Ram::new();
        let task = Task::new(BASE + 0x40, BASE + 0x100, 0x80, BASE + HEAP, &mut ram.heap);
        Self { ram, desk: Desk { room: usize::MAX, ..Desk::default() }, task }
    }
    fn call(&mut self, name: &str, args: &[u32]) -> Outcome {
        let slot = SERVICES.iter().find(|s| s.function == name).expect(name).slot;
        let mut r = [0; 4];
        r[..args.len()].copy_from_slice(args);
        self.raw(u32::from(slot), r)
    }
    fn raw(&mut self, slot: u32, args: [u32; 4]) -> Outcome {
        dispatch(slot, args, &mut self.ctx())
    }
    fn ctx(&mut self) -> Context<'_, Ram, Desk> {
        Context { memory: &mut self.ram, board: &mut self.desk, task: &mut self.task }
    }
    /// Runs parked work to its end.
    fn finish(&mut self, mut outcome: Outcome) -> Outcome {
        for _ in 0..1000 {
            let Outcome::Park(park @ Park::Job(_)) = outcome else {
                return outcome;
            };
            outcome = park.resume(&mut self.ctx());
        }
        panic!("a job without end")
    }
}

fn bad(slot: u8, arg: u8) -> Outcome {
    Outcome::Fault(Fault::Argument { slot, arg })
}

#[test]
fn the_input_is_read_in_order_until_its_end() {
    let mut b = Bench::new();
    let buf = BASE + 0x2000;
    assert_eq!(b.call("io_read", &[buf, 0x70]), Outcome::Return(0x70));
    assert_eq!(b.ram.bytes[0x2000..0x2070], b.ram.bytes[0x100..0x170]);
    assert_eq!(b.call("io_read", &[buf, 0x70]), Outcome::Return(0x10));
    assert_eq!(b.ram.bytes[0x2000..0x2010], b.ram.bytes[0x170..0x180]);
    assert_eq!(b.call("io_read", &[buf, 0x70]), Outcome::Return(0));
    assert_eq!(b.call("io_read", &[BASE, 1]), bad(16, 0), "read-only memory");
}

#[test]
fn output_of_any_length_arrives_in_pieces() {
    let mut b = Bench::new();
    let parked = b.call("io_write", &[BASE, 100_000]);
    assert!(matches!(parked, Outcome::Park(Park::Job(Job::Write { .. }))));
    assert_eq!(b.finish(parked), Outcome::Return(100_000));
    assert_eq!(b.desk.out, b.ram.bytes[..100_000]);
    assert_eq!(b.call("io_error", &[BASE, 3]), Outcome::Return(3));
    assert_eq!(b.desk.err, [0, 1, 2]);
}

#[test]
fn output_past_the_limit_ends_the_task_and_keeps_what_fitted() {
    let mut b = Bench::new();
    b.desk.room = 10;
    let end = Ending { status: Status::OUTPUT_LIMIT, code: -1 };
    assert_eq!(b.call("io_write", &[BASE, 11]), Outcome::End(end));
    assert_eq!(b.desk.out.len(), 10);
}

#[test]
fn every_bad_pointer_names_service_and_argument() {
    let mut b = Bench::new();
    let wrong = [0, 4, BASE - 1, BASE + SIZE, 0x2000_0000, 0x8000, 0xFFFF_FFF0, u32::MAX];
    for p in wrong {
        for len in [1, 64, 0x8000_0000, u32::MAX] {
            assert_eq!(b.call("io_read", &[p, len]), bad(16, 0), "{p:#x}+{len:#x}");
            assert_eq!(b.call("io_write", &[p, len]), bad(17, 0));
            assert_eq!(b.call("io_error", &[p, len]), bad(18, 0));
            assert_eq!(b.call("task_sync_code", &[p, len]), bad(7, 0));
            assert_eq!(b.call("io_log", &[p, len]), bad(19, 0));
            assert_eq!(b.call("task_abort", &[p, len]), bad(6, 0));
        }
        if p != 0 {
            assert_eq!(b.call("mem_free", &[p]), bad(27, 0));
            assert_eq!(b.call("mem_realloc", &[p, 8, 0]), bad(26, 0));
        }
    }
    assert_eq!(b.call("mem_alloc", &[8, 3]), bad(24, 1));
    assert_eq!(b.call("mem_alloc", &[8, 8192]), bad(24, 1));
    assert_eq!(b.call("mem_realloc", &[0, 8, 3]), bad(26, 2));
    assert!(b.desk.out.is_empty() && b.desk.err.is_empty() && b.desk.log.is_empty());
}

#[test]
fn withdrawn_and_unknown_services_are_named() {
    let mut b = Bench::new();
    for slot in [8, 127, 128, 0xFFFF_FFFF] {
        assert_eq!(b.raw(slot, [0; 4]), Outcome::Fault(Fault::Unknown { slot }));
    }
    b.task.allowed.set(3, false);
    let fault = Fault::Unknown { slot: 3 };
    assert_eq!(b.raw(3, [0; 4]), Outcome::Fault(fault));
    assert_eq!((fault.status(), fault.service()), (Status::SYSCALL_UNKNOWN, 4));
    assert_eq!(b.desk.beats, 0);
    assert_eq!(b.raw(5, [0; 4]), Outcome::Return(0));
    let clock = Allowed::by_id(|id| id == sk_abi::service::hash("time.now/1"));
    assert!(clock.has(32) && !clock.has(33) && !clock.has(200));
}

#[test]
fn endings_carry_code_and_message() {
    let mut b = Bench::new();
    let exit = Outcome::End(Ending { status: Status::OK, code: -3 });
    assert_eq!(b.call("task_exit", &[-3i32 as u32]), exit);
    let abort = Outcome::End(Ending { status: Status::PANIC, code: -1 });
    b.ram.bytes[..5].copy_from_slice(b"alas!");
    assert_eq!(b.call("task_abort", &[BASE, 5]), abort);
    assert_eq!(b.task.message(), b"alas!");
    assert_eq!(b.call("task_abort", &[BASE, 5000]), abort);
    assert_eq!(b.task.message().len(), sk_abi::task::MESSAGE_MAX);
}

#[test]
fn time_is_64_bits_wide_both_ways() {
    let mut b = Bench::new();
    b.desk.now = 0x1_2345_6789;
    b.task.deadline = 0x1_2345_6790;
    assert_eq!(b.call("time_now", &[]), Outcome::Return(0x1_2345_6789));
    assert_eq!(b.call("task_remaining", &[]), Outcome::Return(7));
    assert_eq!(b.call("time_sleep_until", &[0x2345_6789, 1]), Outcome::Return(0));
    let until = Park::SleepUntil(0x1_2345_678A);
    assert_eq!(b.call("time_sleep_until", &[0x2345_678A, 1]), Outcome::Park(until));
    assert_eq!(until.resume(&mut b.ctx()), Outcome::Park(until));
    b.desk.now += 1;
    assert_eq!(until.resume(&mut b.ctx()), Outcome::Return(0));
}

#[test]
fn the_log_is_cut_to_whole_characters() {
    let mut b = Bench::new();
    let text = "ä".repeat(100);
    b.ram.bytes[1..=text.len()].copy_from_slice(text.as_bytes());
    b.ram.bytes[0] = b'x';
    assert_eq!(b.call("io_log", &[BASE, 201]), Outcome::Return(0));
    assert_eq!(b.desk.log, [format!("x{}", "ä".repeat(59))]);
}

#[test]
fn memory_moves_and_is_zeroed() {
    let mut b = Bench::new();
    let parked = b.call("mem_calloc", &[1000, 100]);
    let Outcome::Return(block) = b.finish(parked) else { panic!("{parked:?}") };
    let block = block as u32;
    let at = (block - BASE - HEAP) as usize;
    assert_eq!(b.ram.heap_bytes[at..at + 100_000], [0; 100_000]);
    assert_eq!(b.ram.heap_bytes[at + 100_000], 0xEE);
    b.ram.heap_bytes[at..at + 100].fill(0x55);

    let small = b.call("mem_alloc", &[16, 16]);
    assert!(matches!(small, Outcome::Return(1..)));
    let used = b.task.heap.used();
    let shrunk = b.call("mem_realloc", &[block, 100, 0]);
    assert_eq!(shrunk, Outcome::Return(u64::from(block)));
    assert!(b.task.heap.used() < used);
    // What was cut off is taken, so the block cannot grow where it is.
    assert!(matches!(b.call("mem_alloc", &[96_000, 0]), Outcome::Return(1..)));
    let grown = b.call("mem_realloc", &[block, 5000, 0]);
    let Outcome::Return(moved) = b.finish(grown) else { panic!("{grown:?}") };
    assert_ne!(moved as u32, block);
    let to = (moved as u32 - BASE - HEAP) as usize;
    assert_eq!(b.ram.heap_bytes[to..to + 100], [0x55; 100]);
    assert_eq!(b.call("mem_free", &[block]), bad(27, 0), "given back by the move");
    assert_eq!(b.call("mem_alloc", &[u32::MAX, 0]), Outcome::Return(0));
    assert_eq!(b.call("mem_calloc", &[0x10000, 0x10000]), Outcome::Return(0));
    assert_eq!(b.call("mem_size", &[]), Outcome::Return(u64::from(SIZE - HEAP)));
}

#[test]
fn an_overwritten_heap_ends_the_task_with_a_reason() {
    let mut b = Bench::new();
    b.ram.heap.fill(0x5A5A_5A5A);
    let end = Ending { status: Status::PANIC, code: -1 };
    assert_eq!(b.call("mem_alloc", &[8, 0]), Outcome::End(end));
    assert_eq!(b.task.message(), b"the heap's bookkeeping was overwritten");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Any calls with any registers: no panic, and every job ends.
    #[test]
    fn any_call_has_an_outcome(
        calls in prop::collection::vec(
            (0u32..140, prop::array::uniform4(prop_oneof![
                any::<u32>(), 0u32..300, BASE..BASE + SIZE, Just(u32::MAX), Just(BASE + HEAP + 8),
            ]), any::<u32>()),
            1..40),
    ) {
        let mut b = Bench::new();
        b.desk.room = 1 << 20;
        for (slot, args, junk) in calls {
            let outcome = b.raw(slot, args);
            let known = SERVICES.iter().any(|s| u32::from(s.slot) == slot);
            prop_assert_eq!(matches!(outcome, Outcome::Fault(Fault::Unknown { .. })), !known);
            let _ = b.finish(outcome);
            let at = junk as usize % b.ram.heap.len();
            b.ram.heap[at] = junk;
        }
    }
}
