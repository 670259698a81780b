//! A board on a test network.
#![allow(dead_code, unreachable_pub, reason = "not every test file uses all of it")]

use std::net::{Ipv4Addr, SocketAddrV4};

use sk_models::frames::FrameQueue;
use sk_models::lan::{Host, Lan};
use sk_net::{
    Address, AddressEvent, Net, NetConfig, NetMode, NetStorage, SendError, UdpMeta, UdpSink,
};

pub const MAC: [u8; 6] = [0xB8, 0x27, 0xEB, 0x01, 0x02, 0x03];
pub const IP: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 2);
pub const PEER_IP: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 9);
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 1);
pub const PORT: u16 = sk_net::SKP_PORT;
pub const PEER_PORT: u16 = 40_000;
pub const SECOND: u64 = 1_000_000;

/// The peer the golden frames speak of: 02:00:00:00:00:09, 192.168.7.9.
pub fn peer() -> Host {
    Host::new(9, PEER_IP)
}

pub fn peer_address() -> SocketAddrV4 {
    SocketAddrV4::new(PEER_IP, PEER_PORT)
}

pub fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).expect("hex")).collect()
}

/// Records what it is given; inverts the bytes in place, as a decryption would.
#[derive(Default)]
pub struct Recorder {
    pub ports: Vec<u16>,
    pub got: Vec<(UdpMeta, Vec<u8>)>,
}

impl UdpSink for Recorder {
    fn wants(&self, port: u16) -> bool {
        self.ports.contains(&port)
    }

    fn datagram(&mut self, _: u64, meta: &UdpMeta, payload: &mut [u8]) {
        self.got.push((*meta, payload.to_vec()));
        payload.iter_mut().for_each(|b| *b = !*b);
    }
}

pub struct Board {
    pub net: Net<'static>,
    pub device: FrameQueue,
    pub sink: Recorder,
    pub now: u64,
    pub polls: u32,
}

impl Board {
    pub fn new(mode: NetMode) -> Self {
        let config = NetConfig { mode, hostname: "sk-test", seed: 42 };
        let storage = Box::leak(Box::new(NetStorage::new()));
        Self {
            net: Net::new(&config, storage, 0),
            device: FrameQueue::new(MAC),
            sink: Recorder { ports: vec![PORT], got: Vec::new() },
            now: 0,
            polls: 0,
        }
    }

    /// 192.168.7.2/24, up, its announcements sent and forgotten.
    pub fn fixed() -> Self {
        let mut board =
            Self::new(NetMode::Static(Address { ip: IP, prefix: 24, gateway: Some(GATEWAY) }));
        board.poll();
        board.now = 10 * SECOND;
        board.poll();
        board.device.drain();
        while board.net.take_event().is_some() {}
        board
    }

    pub fn poll(&mut self) -> u32 {
        self.polls += 1;
        self.net.poll(self.now, &mut self.device, 64, &mut self.sink)
    }

    /// Receives one frame; returns what it made us send.
    pub fn receive(&mut self, frame: &[u8]) -> Vec<Vec<u8>> {
        self.device.push(frame);
        assert_eq!(self.poll(), 1);
        self.device.drain()
    }

    pub fn send(&mut self, to: SocketAddrV4, payload: &[u8]) -> Result<(), SendError> {
        self.net.send(self.now, &mut self.device, PORT, to, payload.len(), &mut |b| {
            b.copy_from_slice(payload);
        })
    }

    /// Sends and returns the frame.
    pub fn sent(&mut self, to: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
        self.send(to, payload).expect("sent");
        let mut frames = self.device.drain();
        assert_eq!(frames.len(), 1);
        frames.remove(0)
    }

    /// Makes the peer known, as its own ARP request does.
    pub fn meet(&mut self, host: &Host) {
        let answer = self.receive(&host.who_has(IP));
        assert_eq!(answer.len(), 1);
    }

    pub fn events(&mut self) -> Vec<AddressEvent> {
        std::iter::from_fn(|| self.net.take_event()).collect()
    }

    /// Runs until `until`, polled as the board is: when a frame waits or when
    /// the interface asked for it, and at no other time.
    pub fn run(&mut self, lan: &mut Lan, until: u64) {
        self.poll();
        loop {
            let carried = lan.carry(self.now, &mut self.device);
            if carried || self.device.waiting() > 0 {
                self.now += 200;
                self.poll();
                continue;
            }
            match self.net.next_deadline() {
                Some(at) if at <= until => {
                    assert!(at > self.now, "a deadline in the past: {at} at {}", self.now);
                    self.now = at;
                    self.poll();
                }
                _ => break,
            }
        }
        self.now = self.now.max(until);
    }
}
