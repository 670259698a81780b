//! The other side of the adapter: a switch, and hosts that speak to the board.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::adapter::Adapter;
use sk_hal::Micros;
use sk_models::lan::{Host, parse_arp};
use sk_session::client::{Client, ClientError, ClientEvent};
use sk_wire::control::Receipt;
use sk_wire::{Beacon, Hello, HelloReply, MAX_DATAGRAM, PORT};
use smoltcp::wire::ArpOperation;

/// From one end of the network to the other.
const DELAY: Micros = 150;
/// Frames an adapter keeps for the host.
const ADAPTER_FRAMES: usize = 48;
/// Where a host's HELLO comes from.
const HELLO_PORT: u16 = 40_001;
/// Where its session comes from.
const CLIENT_PORT: u16 = 40_002;
/// Shortest frame without FCS (IEEE 802.3 section 3.2.8).
const SHORTEST: usize = 60;

/// What a client told, gathered.
#[derive(Default, Debug)]
pub struct Told {
    pub connected: u32,
    pub started: bool,
    pub stdout: Vec<u8>,
    pub sent: u32,
    pub receipt: Option<Receipt>,
    pub error: Option<ClientError>,
}

/// A host with, perhaps, a client on it.
pub struct Peer {
    pub host: Host,
    board: Option<Ipv4Addr>,
    board_mac: Option<[u8; 6]>,
    asked_at: Micros,
    waiting: Vec<(u16, Vec<u8>)>,
    client: Option<Box<Client<'static>>>,
    pub told: Told,
    pub beacons: Vec<(Micros, Ipv4Addr, Beacon)>,
    pub replies: Vec<HelloReply>,
}

impl Peer {
    fn new(host: Host) -> Self {
        Self {
            host,
            board: None,
            board_mac: None,
            asked_at: 0,
            waiting: vec![],
            client: None,
            told: Told::default(),
            beacons: vec![],
            replies: vec![],
        }
    }

    /// Puts a client on the host, in place of an earlier one.
    pub fn start(&mut self, client: Client<'static>) {
        self.client = Some(Box::new(client));
        self.told = Told::default();
    }

    pub fn client(&self) -> &Client<'static> {
        self.client.as_ref().expect("started")
    }

    pub fn hello(&mut self, nonce: [u8; 16]) {
        self.waiting.push((HELLO_PORT, Hello::new(nonce).emit().to_vec()));
    }

    pub fn is_over(&self) -> bool {
        self.told.receipt.is_some() || self.told.error.is_some()
    }

    fn hear(&mut self, now: Micros, frame: &[u8], out: &mut Vec<Vec<u8>>) {
        out.extend(self.host.receive(now, frame));
        if let Some((ArpOperation::Reply, (mac, ip), _)) = parse_arp(frame)
            && Some(ip) == self.board
        {
            self.board_mac = Some(mac);
        }
        for (_, from, to, mut payload) in std::mem::take(&mut self.host.datagrams) {
            match to.port() {
                PORT => {
                    let beacon = Beacon::parse(&payload).expect("a beacon");
                    self.board = Some(*from.ip());
                    self.beacons.push((now, *from.ip(), beacon));
                }
                HELLO_PORT => {
                    self.replies.push(HelloReply::parse(&payload).expect("a reply"));
                }
                CLIENT_PORT => {
                    assert_eq!(Some(*from.ip()), self.board);
                    if let Some(client) = &mut self.client {
                        client.receive(now, &mut payload);
                    }
                    self.run_client(now);
                }
                _ => {}
            }
        }
    }

    fn run_client(&mut self, now: Micros) {
        let Some(client) = &mut self.client else { return };
        client.poll(now);
        let told = &mut self.told;
        while let Some(event) = client.event() {
            match event {
                ClientEvent::Connected { .. } => told.connected += 1,
                ClientEvent::Progress { sent, .. } => told.sent = sent,
                ClientEvent::Started => told.started = true,
                ClientEvent::Stdout(bytes) => told.stdout.extend_from_slice(bytes),
                ClientEvent::Finished(receipt) => {
                    assert!(told.receipt.replace(receipt).is_none(), "two receipts");
                }
                ClientEvent::Failed(error) => {
                    assert!(told.error.replace(error).is_none(), "failed twice");
                }
                _ => {}
            }
        }
        let mut buffer = [0; MAX_DATAGRAM];
        while let Some(len) = client.transmit(now, &mut buffer) {
            self.waiting.push((CLIENT_PORT, buffer[..len].to_vec()));
        }
    }

    fn run(&mut self, now: Micros, out: &mut Vec<Vec<u8>>) {
        if self.client.as_ref().is_some_and(|c| c.next_deadline(now).is_some_and(|at| at <= now)) {
            self.run_client(now);
        }
        if self.waiting.is_empty() {
            return;
        }
        let Some(board) = self.board else { return };
        match self.board_mac {
            Some(mac) => {
                let to = SocketAddrV4::new(board, PORT);
                for (port, payload) in self.waiting.drain(..) {
                    out.push(self.host.udp(mac, port, to, &payload));
                }
            }
            None if now >= self.asked_at => {
                self.asked_at = now + 1_000_000;
                out.push(self.host.who_has(board));
            }
            None => {}
        }
    }
}

/// One whole frame: not glued to another, and with nothing in the padding.
fn is_whole(frame: &[u8]) -> bool {
    let len = match frame[12..14] {
        [8, 0] => 14 + usize::from(u16::from_be_bytes([frame[16], frame[17]])),
        [8, 6] => 14 + 28,
        _ => return false,
    };
    frame.len() == len.max(SHORTEST) && frame[len..].iter().all(|byte| *byte == 0)
}

/// Hosts and a switch.
pub struct Network {
    pub peers: Vec<Peer>,
    to_hosts: VecDeque<(Micros, Vec<u8>)>,
    to_board: VecDeque<(Micros, Vec<u8>)>,
    /// Frames the adapter had no room for.
    pub dropped: u32,
    /// Frames from the board that were not right. After a pipe stopped in the
    /// middle of a frame, the next one may be glued to what the adapter has.
    pub spoiled: u32,
}

impl Network {
    pub fn new(hosts: Vec<Host>) -> Self {
        Self {
            peers: hosts.into_iter().map(Peer::new).collect(),
            to_hosts: VecDeque::new(),
            to_board: VecDeque::new(),
            dropped: 0,
            spoiled: 0,
        }
    }

    /// Carries frames; an adapter that is not there loses them.
    pub fn carry(&mut self, now: Micros, mut adapter: Option<&mut Adapter>) {
        if let Some(adapter) = &mut adapter {
            while let Some(frame) = adapter.pop_frame() {
                assert!(frame.len() >= SHORTEST, "a runt of {} on the wire", frame.len());
                self.spoiled += u32::from(!is_whole(&frame));
                self.to_hosts.push_back((now + DELAY, frame));
            }
        }
        let mut out = vec![];
        while self.to_hosts.front().is_some_and(|(at, _)| *at <= now) {
            let (_, frame) = self.to_hosts.pop_front().expect("seen");
            for peer in &mut self.peers {
                peer.hear(now, &frame, &mut out);
            }
        }
        for peer in &mut self.peers {
            peer.run(now, &mut out);
        }
        self.to_board.extend(out.into_iter().map(|frame| (now + DELAY, frame)));
        while self.to_board.front().is_some_and(|(at, _)| *at <= now) {
            let (_, mut frame) = self.to_board.pop_front().expect("seen");
            frame.resize(frame.len().max(SHORTEST), 0);
            let taken = adapter
                .as_mut()
                .is_some_and(|a| a.pending() < ADAPTER_FRAMES && a.push_frame(&frame));
            self.dropped += u32::from(!taken);
        }
    }
}
