//! The net services: what is copied where, what parks, what comes of it.

use sk_abi::SERVICES;
use sk_abi::net::{Addresses, DATAGRAM_MAX, Neighbour, NetError, UdpInfo, UdpPeer, flags};
use sk_services::{
    Board, Context, Fault, Memory, Network, Outcome, Park, Sent, Stream, Task, dispatch,
};
use std::collections::VecDeque;

const BASE: u32 = 0x0400_0000;
/// Read-only below this offset.
const WRITABLE: u32 = 0x1000;
const SIZE: u32 = 0x4000;
/// Where the tests have things.
const BUF: u32 = BASE + 0x2000;
const INFO: u32 = BASE + 0x3000;
const ARGS: u32 = BASE + 0x100;

struct Ram(Vec<u8>);

impl Ram {
    fn range(at: u32, len: u32, low: u32) -> Option<std::ops::Range<usize>> {
        let start = at.checked_sub(BASE)?;
        let end = start.checked_add(len)?;
        (start >= low && end <= SIZE).then_some(start as usize..end as usize)
    }
    fn at(&self, at: u32, len: usize) -> &[u8] {
        &self.0[(at - BASE) as usize..][..len]
    }
    fn put(&mut self, at: u32, bytes: &[u8]) {
        self.0[(at - BASE) as usize..][..bytes.len()].copy_from_slice(bytes);
    }
}

impl Memory for Ram {
    fn readable(&self, at: u32, len: u32) -> Option<&[u8]> {
        if len == 0 { Some(&[]) } else { self.0.get(Self::range(at, len, 0)?) }
    }
    fn writable(&mut self, at: u32, len: u32) -> Option<&mut [u8]> {
        if len == 0 { Some(&mut []) } else { self.0.get_mut(Self::range(at, len, WRITABLE)?) }
    }
    fn heap(&mut self) -> &mut [u32] {
        &mut []
    }
}

#[derive(Default)]
struct Desk {
    now: u64,
    bound: bool,
    arrived: VecDeque<(UdpInfo, Vec<u8>)>,
    sent: Vec<(UdpPeer, Vec<u8>)>,
    /// What the next sends come to; then they work.
    answers: VecDeque<Sent>,
    neighbours: u32,
    known: bool,
}

impl Board for Desk {
    fn now(&self) -> u64 {
        self.now
    }
    fn cycles(&self) -> u32 {
        0
    }
    fn push(&mut self, _: Stream, bytes: &[u8]) -> usize {
        bytes.len()
    }
    fn log(&mut self, _: &str) {}
    fn beat(&mut self) {}
    fn stop_requested(&self) -> bool {
        false
    }
    fn sync_code(&mut self, _: &[u8]) {}
}

impl Network for Desk {
    fn bind(&mut self, port: u16) -> Result<u16, NetError> {
        self.bound |= port != 68;
        match port {
            68 => Err(NetError::Reserved),
            0 => Ok(49_152),
            port => Ok(port),
        }
    }
    fn bind_any(&mut self) {
        self.bound = true;
    }
    fn close(&mut self, _: u16) -> bool {
        std::mem::take(&mut self.bound)
    }
    fn is_bound(&self) -> bool {
        self.bound
    }
    fn take(&mut self, buf: &mut [u8]) -> Option<UdpInfo> {
        let (info, bytes) = self.arrived.pop_front()?;
        let n = bytes.len().min(buf.len());
        buf[..n].copy_from_slice(&bytes[..n]);
        Some(info)
    }
    fn send(&mut self, peer: &UdpPeer, bytes: &[u8]) -> Sent {
        let answer = self.answers.pop_front().unwrap_or(Sent::Done);
        if answer == Sent::Done {
            self.sent.push((*peer, bytes.to_vec()));
        }
        answer
    }
    fn addresses(&self) -> Addresses {
        Addresses {
            ip: [1, 2, 3, 4],
            flags: if self.known { 3 } else { 1 },
            ..Addresses::default()
        }
    }
    fn neighbour(&self, at: u32) -> Option<Neighbour> {
        let ip = [10, 0, 0, at as u8];
        (at < self.neighbours).then_some(Neighbour { ip, ..Neighbour::default() })
    }
}

struct Bench {
    ram: Ram,
    desk: Desk,
    task: Task,
}

impl Bench {
    fn new() -> Self {
        let task = Task::new(BASE, BASE, 0, BASE + SIZE, &mut []);
        Self {
            ram: Ram(vec![0; SIZE as usize]),
            desk: Desk { bound: true, ..Desk::default() },
            task,
        }
    }
    fn ctx(&mut self) -> Context<'_, Ram, Desk> {
        Context { memory: &mut self.ram, board: &mut self.desk, task: &mut self.task }
    }
    fn call(&mut self, name: &str, args: &[u32]) -> Outcome {
        let slot = SERVICES.iter().find(|s| s.function == name).expect(name).slot;
        let mut r = [0; 4];
        r[..args.len()].copy_from_slice(args);
        dispatch(u32::from(slot), r, &mut self.ctx())
    }
    fn park(&mut self, name: &str, args: &[u32]) -> Park {
        match self.call(name, args) {
            Outcome::Park(park) => park,
            other => panic!("{name}: {other:?}"),
        }
    }
    /// Puts the arguments of `net.recv_until` where they can be read.
    fn until(&mut self, deadline_us: u64, buf: u32, len: u32, info: u32) {
        self.ram.put(ARGS, &deadline_us.to_le_bytes());
        for (at, word) in [(8, buf), (12, len), (16, info), (20, 0)] {
            self.ram.put(ARGS + at, &word.to_le_bytes());
        }
    }
}

fn returned(value: i32) -> Outcome {
    Outcome::Return(u64::from(value as u32))
}

fn error(error: NetError) -> Outcome {
    returned(error.code())
}

fn bad(slot: u8, arg: u8) -> Outcome {
    Outcome::Fault(Fault::Argument { slot, arg })
}

const PEER: UdpPeer = UdpPeer { ip: [10, 0, 2, 2], port: 4_000, local_port: 7 };

fn info(len: u32) -> UdpInfo {
    UdpInfo { peer: PEER, len, flags: 0 }
}

#[test]
fn a_waiting_datagram_is_taken_at_once() {
    let mut b = Bench::new();
    b.desk.arrived.push_back((info(5), b"hello".to_vec()));
    assert_eq!(b.call("net_recv", &[BUF, 100, INFO]), returned(5));
    assert_eq!(b.ram.at(BUF, 6), b"hello\0");
    assert_eq!(b.ram.at(INFO, 16), info(5).to_bytes());
}

#[test]
fn one_that_comes_later_goes_straight_into_the_buffer() {
    let mut b = Bench::new();
    let park = b.park("net_recv", &[BUF, 3, INFO]);
    assert_eq!(park.resume(&mut b.ctx()), Outcome::Park(park));
    assert_eq!(park.deliver(&mut b.ram, &info(5), b"hello"), Some(returned(3)));
    assert_eq!(b.ram.at(BUF, 4), b"hel\0");
    let cut = UdpInfo { flags: flags::TRUNCATED, ..info(5) };
    assert_eq!(b.ram.at(INFO, 16), cut.to_bytes());
    assert_eq!(Park::Yield.deliver(&mut b.ram, &info(5), b"hello"), None);
    assert_eq!(Park::SleepUntil(9).deliver(&mut b.ram, &info(5), b"hello"), None);
}

#[test]
fn an_empty_datagram_and_an_empty_buffer() {
    let mut b = Bench::new();
    let park = b.park("net_recv", &[0, 0, 0]);
    assert_eq!(park.deliver(&mut b.ram, &info(0), b""), Some(returned(0)));
    assert_eq!(park.deliver(&mut b.ram, &info(5), b"hello"), Some(returned(0)));
    b.desk.arrived.push_back((info(5), b"hello".to_vec()));
    assert_eq!(b.call("net_recv", &[0, 0, INFO]), returned(0));
    assert_eq!(b.ram.at(INFO + 12, 4), flags::TRUNCATED.to_le_bytes());
}

#[test]
fn bad_places_end_the_task_and_lose_nothing() {
    let mut b = Bench::new();
    b.desk.arrived.push_back((info(1), b"x".to_vec()));
    for (args, arg) in [
        ([BASE, 16, INFO], 0),
        ([BUF, SIZE, INFO], 0),
        ([BUF, u32::MAX, INFO], 0),
        ([BUF, 16, BASE], 2),
        ([BUF, 16, BASE + SIZE - 15], 2),
        ([BUF, 16, u32::MAX], 2),
    ] {
        assert_eq!(b.call("net_recv", &args), bad(41, arg), "{args:x?}");
        b.until(0, args[0], args[1], args[2]);
        assert_eq!(b.call("net_recv_until", &[ARGS]), bad(42, 0), "{args:x?}");
    }
    assert_eq!(b.call("net_recv_until", &[BASE + SIZE - 23]), bad(42, 0));
    assert_eq!(b.desk.arrived.len(), 1);
    b.ram.put(ARGS, &[0; 8]);
    assert_eq!(b.call("net_send", &[BASE + SIZE - 7, BUF, 1]), bad(43, 0));
    assert_eq!(b.call("net_send", &[ARGS, BASE + SIZE - 1, 2]), bad(43, 1));
    assert_eq!(b.call("net_addresses", &[BASE]), bad(44, 0));
    assert_eq!(b.call("net_arp", &[BASE, 1]), bad(45, 0));
    assert_eq!(b.call("net_arp", &[BUF, u32::MAX]), bad(45, 1));
    assert_eq!(b.call("net_bind", &[7, 2]), bad(40, 1));
}

#[test]
fn waits_end_in_time() {
    let mut b = Bench::new();
    b.desk.now = 1_000;
    b.until(0x1_0000_0000, BUF, 10, 0);
    let park = b.park("net_recv_until", &[ARGS]);
    b.desk.now = 0xFFFF_FFFF;
    assert_eq!(park.resume(&mut b.ctx()), Outcome::Park(park));
    b.desk.now = 0x1_0000_0000;
    assert_eq!(park.resume(&mut b.ctx()), error(NetError::Timeout));
    b.desk.arrived.push_back((info(2), b"ok".to_vec()));
    assert_eq!(b.call("net_recv_until", &[ARGS]), returned(2), "what waits is taken all the same");
    b.until(u64::MAX, BUF, 10, 0);
    b.desk.now = u64::MAX;
    assert!(matches!(b.call("net_recv_until", &[ARGS]), Outcome::Park(_)));
}

#[test]
fn nothing_bound_nothing_received() {
    let mut b = Bench::new();
    assert_eq!(b.call("net_close", &[0]), returned(0));
    assert_eq!(b.call("net_close", &[0]), error(NetError::NotBound));
    assert_eq!(b.call("net_close", &[70_000]), error(NetError::NotBound));
    assert_eq!(b.call("net_recv", &[BUF, 10, 0]), error(NetError::NotBound));
    assert_eq!(b.call("net_bind", &[68, 0]), error(NetError::Reserved));
    assert_eq!(b.call("net_bind", &[65_536, 0]), error(NetError::Reserved));
    assert_eq!(b.call("net_bind", &[0, 0]), returned(49_152));
    b.desk.bound = false;
    assert_eq!(b.call("net_bind", &[99_999, flags::ANY]), returned(0));
    assert!(b.desk.bound);
}

#[test]
fn sending_waits_but_not_for_ever() {
    let mut b = Bench::new();
    b.ram.put(ARGS, &[10, 0, 2, 2, 0xA0, 0x0F, 7, 0]);
    b.ram.put(BUF, b"ping");
    let args = [ARGS, BUF, 4];
    assert_eq!(b.call("net_send", &args), returned(0));
    assert_eq!(b.desk.sent, [(PEER, b"ping".to_vec())]);
    assert_eq!(b.call("net_send", &[ARGS, BUF, DATAGRAM_MAX]), returned(0));
    assert_eq!(b.call("net_send", &[ARGS, BUF, DATAGRAM_MAX + 1]), error(NetError::TooLong));
    b.desk.answers.push_back(Sent::Failed(NetError::Denied));
    assert_eq!(b.call("net_send", &args), error(NetError::Denied));

    b.desk.now = 500;
    b.desk.answers.push_back(Sent::Later(600, NetError::Unreachable));
    let park = b.park("net_send", &args);
    assert!(matches!(park, Park::Send(wait) if wait.again == 600 && wait.until > 1_000_000));
    assert_eq!(park.resume(&mut b.ctx()), returned(0));
    assert_eq!(b.desk.sent.len(), 3);

    b.desk.answers = (0..1_000).map(|_| Sent::Later(0, NetError::Unreachable)).collect();
    let mut park = b.park("net_send", &args);
    let mut tries = 0;
    loop {
        b.desk.now += 10_000;
        tries += 1;
        match park.resume(&mut b.ctx()) {
            Outcome::Park(next) => park = next,
            other => break assert_eq!(other, error(NetError::Unreachable)),
        }
    }
    assert_eq!(tries, 150);
}

#[test]
fn addresses_and_neighbours() {
    let mut b = Bench::new();
    assert_eq!(b.call("net_addresses", &[BUF]), error(NetError::NoAddress));
    b.desk.known = true;
    assert_eq!(b.call("net_addresses", &[BUF]), returned(0));
    assert_eq!(b.ram.at(BUF, 4), [1, 2, 3, 4]);
    b.desk.neighbours = 16;
    assert_eq!(b.call("net_arp", &[BUF, 2]), returned(2));
    assert_eq!(b.ram.at(BUF + 16, 4), [10, 0, 0, 1]);
    assert_eq!(b.ram.at(BUF + 32, 16), [0; 16]);
    assert_eq!(b.call("net_arp", &[BUF, 100]), returned(16));
    assert_eq!(b.call("net_arp", &[0, 0]), returned(0));
}
