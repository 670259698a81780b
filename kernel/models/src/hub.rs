//! USB hubs as doubles: ports with children that come and go, a high-speed
//! hub's transaction translator, and faults to order.
//!
//! [`Hub`] is a handle; clones share the hub, so a test keeps one while another
//! is plugged in. Controller models reach the children through
//! [`UsbFunction::as_hub`]. Strict: a port reset without debounce, or a packet
//! for a child that still recovers from its reset, is a panic.

use crate::attached::{Attached, Visitor};
use crate::usb::{Answer, UsbFunction};
use sk_hal::usb::{Setup, Speed};
use std::cell::RefCell;
use std::rc::Rc;

/// What the translator of a hub holds at most for bulk and control.
const TT_BUFFERS: usize = 2;
/// Port reset as the hub drives it.
const RESET_TIME: u64 = 15_000;
/// Recovery after it (USB 2.0 section 7.1.7.5).
const RECOVERY: u64 = 10_000;
/// Debounce interval (the same).
const DEBOUNCE: u64 = 100_000;

const C_CONNECTION: u16 = 1 << 0;
const C_ENABLE: u16 = 1 << 1;
const C_OVER_CURRENT: u16 = 1 << 3;
const C_RESET: u16 = 1 << 4;

/// Ways to misbehave. All off by default.
#[derive(Clone, Debug, Default)]
pub struct HubFaults {
    /// Bytes given instead of the hub descriptor.
    pub descriptor: Option<Vec<u8>>,
    /// Bytes given instead of any port's status.
    pub status: Option<Vec<u8>>,
    /// Bytes given by the status change endpoint at each poll.
    pub bitmap: Option<Vec<u8>>,
    /// Requests refused: bmRequestType, bRequest.
    pub stall: Vec<(u8, u8)>,
    /// The status change endpoint is halted.
    pub halted: bool,
    /// No handshake at all, to anything.
    pub silent: bool,
    /// A port reset, once begun, does not end.
    pub endless_reset: bool,
    /// So many port resets do not enable the port.
    pub refuse_enable: u32,
    /// A quarter of the answers to hub requests is noise; seed, not 0.
    pub noise: u64,
}

/// What a hub has seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HubSeen {
    /// Port resets.
    pub resets: u32,
    /// GET_STATUS of ports.
    pub looks: u32,
    /// Polls of the status change endpoint.
    pub polls: u32,
    /// CLEAR_TT_BUFFER.
    pub tt_clears: u32,
    /// Transactions the translator carried out.
    pub tt_transactions: u32,
}

#[derive(Default)]
struct Port {
    child: Option<Attached>,
    powered: bool,
    enabled: bool,
    over_current: bool,
    reset_until: Option<u64>,
    recovered_at: u64,
    connected_at: u64,
    change: u16,
}

impl Port {
    fn connected(&self) -> bool {
        self.powered && !self.over_current && self.child.is_some()
    }

    fn status(&self, high: bool) -> u16 {
        let speed = self.child.as_ref().filter(|_| self.connected()).map(Attached::speed);
        u16::from(self.connected())
            | u16::from(self.enabled) << 1
            | u16::from(self.over_current) << 3
            | u16::from(self.reset_until.is_some()) << 4
            | u16::from(self.powered) << 8
            | u16::from(speed == Some(Speed::Low)) << 9
            | u16::from(high && speed == Some(Speed::High)) << 10
    }

    fn off(&mut self) {
        self.enabled = false;
        self.reset_until = None;
    }
}

/// A transaction the translator was given by a start split.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    pub(crate) address: u8,
    pub(crate) endpoint: u8,
    /// 0 control, 2 bulk, 3 interrupt.
    pub(crate) kind: u8,
    pub(crate) input: bool,
    pub(crate) setup: bool,
    pub(crate) data1: bool,
    pub(crate) data: Vec<u8>,
    /// Microframe of the start split.
    pub(crate) frame: u64,
    /// HCTSIZ and HCDMA of the start split: the complete split must have them.
    pub(crate) registers: (u32, u32),
}

pub(crate) struct State {
    speed: Speed,
    device: Vec<u8>,
    configuration: Vec<u8>,
    ports: Vec<Port>,
    value: u8,
    now: u64,
    faults: HubFaults,
    seen: HubSeen,
    pub(crate) translator: Vec<Transaction>,
    /// Microframes after the start split in which a transaction is done.
    pub(crate) latency: u64,
}

/// A hub; clones share it.
#[derive(Clone)]
pub struct Hub(Rc<RefCell<State>>);

impl Hub {
    /// A LAN9512's hub: high speed, one translator; `ports` downstream.
    #[must_use]
    pub fn high_speed(ports: u8) -> Self {
        let device = vec![18, 1, 0, 2, 9, 0, 1, 64, 0x24, 0x04, 0x12, 0x95, 0, 2, 0, 0, 0, 1];
        Self::new(Speed::High, device, 12, ports)
    }

    /// QEMU's: full speed.
    #[must_use]
    pub fn full_speed(ports: u8) -> Self {
        let device = vec![18, 1, 0x10, 1, 9, 0, 0, 8, 0x09, 0x04, 0xaa, 0x55, 1, 1, 1, 2, 3, 1];
        Self::new(Speed::Full, device, 255, ports)
    }

    fn new(speed: Speed, device: Vec<u8>, interval: u8, ports: u8) -> Self {
        let bytes = 1 + ports / 8;
        let mut configuration = vec![9, 2, 25, 0, 1, 1, 0, 0xe0, 0];
        configuration.extend([9, 4, 0, 0, 1, 9, 0, 0, 0]);
        configuration.extend([7, 5, 0x81, 3, bytes, 0, interval]);
        Self(Rc::new(RefCell::new(State {
            speed,
            device,
            configuration,
            ports: (0..ports).map(|_| Port::default()).collect(),
            value: 0,
            now: 0,
            faults: HubFaults::default(),
            seen: HubSeen::default(),
            translator: Vec::new(),
            latency: 1,
        })))
    }

    /// Plugs a device into a port (from 1).
    pub fn plug(&self, port: u8, function: Box<dyn UsbFunction>) {
        let mut s = self.0.borrow_mut();
        let now = s.now;
        let port = &mut s.ports[usize::from(port) - 1];
        assert!(port.child.is_none(), "one device at a time");
        port.child = Some(Attached::new(function));
        port.connected_at = now;
        if port.connected() {
            port.change |= C_CONNECTION;
        }
    }

    /// Pulls it.
    pub fn unplug(&self, port: u8) {
        let mut s = self.0.borrow_mut();
        let port = &mut s.ports[usize::from(port) - 1];
        if port.connected() {
            port.change |= C_CONNECTION;
        }
        port.child = None;
        port.off();
    }

    /// A bad contact: gone and back at once.
    pub fn flap(&self, port: u8) {
        let mut s = self.0.borrow_mut();
        let now = s.now;
        let port = &mut s.ports[usize::from(port) - 1];
        if port.connected() {
            port.change |= C_CONNECTION;
            port.connected_at = now;
            port.off();
        }
    }

    /// Too much current is drawn at a port, or no longer.
    pub fn over_current(&self, port: u8, over: bool) {
        let mut s = self.0.borrow_mut();
        let port = &mut s.ports[usize::from(port) - 1];
        if port.over_current != over {
            port.over_current = over;
            port.change |= C_OVER_CURRENT;
            if over {
                port.powered = false;
                port.off();
            }
        }
    }

    /// Access to the faults.
    pub fn faults<R>(&self, f: impl FnOnce(&mut HubFaults) -> R) -> R {
        f(&mut self.0.borrow_mut().faults)
    }

    /// Microframes the translator takes for a transaction, 1 or more.
    pub fn set_latency(&self, microframes: u64) {
        self.0.borrow_mut().latency = microframes;
    }

    /// What was seen so far.
    #[must_use]
    pub fn seen(&self) -> HubSeen {
        self.0.borrow().seen
    }

    /// Bulk and control transactions the translator holds.
    #[must_use]
    pub fn held(&self) -> usize {
        self.0.borrow().translator.iter().filter(|t| t.kind != 3).count()
    }

    /// Is the child on this port enabled?
    #[must_use]
    pub fn enabled(&self, port: u8) -> bool {
        self.0.borrow().ports[usize::from(port) - 1].enabled
    }

    pub(crate) fn state<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.0.borrow_mut())
    }

    /// Shows every child that hears the bus to `f`, with the hub's address and
    /// port that its splits must name.
    pub(crate) fn visit(&self, address: u8, route: Option<(u8, u8)>, f: &mut Visitor<'_>) {
        let mut s = self.0.borrow_mut();
        let (high, now) = (s.speed == Speed::High, s.now);
        for (n, port) in s.ports.iter_mut().enumerate() {
            let ready = now >= port.recovered_at;
            if !port.enabled || port.reset_until.is_some() {
                continue;
            }
            let child = port.child.as_mut().expect("enabled");
            let slow = child.speed() != Speed::High;
            let route = if high { slow.then_some((address, n as u8 + 1)) } else { route };
            f(child, route, ready);
            child.visit_children(route, f);
        }
    }
}

impl State {
    fn noisy(&mut self) -> Option<Vec<u8>> {
        if self.faults.noise == 0 {
            return None;
        }
        let mut next = || {
            let mut x = self.faults.noise;
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            self.faults.noise = x;
            x
        };
        if !next().is_multiple_of(4) {
            return None;
        }
        let len = (next() % 20) as usize;
        Some((0..len).map(|_| (next() >> 32) as u8).collect())
    }

    fn hub_descriptor(&self) -> Vec<u8> {
        let n = self.ports.len() as u8;
        // Individual power and over-current; 100 ms; port 1 not removable.
        let mut bytes = vec![0, 0x29, n, 0x09, 0, 50, 1];
        bytes.extend(vec![0x02; usize::from(n / 8 + 1)]);
        bytes.extend(vec![0xff; usize::from(n / 8 + 1)]);
        bytes[0] = bytes.len() as u8;
        bytes
    }

    fn port_request(&mut self, setup: Setup) -> Option<Answer> {
        let (high, now) = (self.speed == Speed::High, self.now);
        if (setup.request_type, setup.request) == (0x23, 8) {
            assert!(high, "CLEAR_TT_BUFFER to a hub without a translator");
            self.seen.tt_clears += 1;
            let (endpoint, address) = (setup.value as u8 & 15, (setup.value >> 4) as u8 & 127);
            let input = setup.value & 1 << 15 != 0;
            self.translator.retain(|t| {
                let control = t.kind == 0 && endpoint == 0;
                (t.endpoint, t.address) != (endpoint, address) || !control && t.input != input
            });
            return Some(Answer::Ack);
        }
        let refuse = self.faults.refuse_enable > 0;
        let endless = self.faults.endless_reset;
        let status = self.faults.status.clone();
        let port = self.ports.get_mut(usize::from(setup.index as u8).checked_sub(1)?)?;
        match (setup.request_type, setup.request, setup.value) {
            (0xa3, 0, 0) => {
                self.seen.looks += 1;
                let mut bytes = port.status(high).to_le_bytes().to_vec();
                bytes.extend(port.change.to_le_bytes());
                return Some(Answer::Data(status.unwrap_or(bytes)));
            }
            (0x23, 3, 4) => {
                self.seen.resets += 1;
                if !port.connected() {
                    return Some(Answer::Ack);
                }
                if self.faults.noise == 0 && status.is_none() {
                    assert!(now >= port.connected_at + DEBOUNCE, "port reset without debounce");
                }
                port.enabled = false;
                port.reset_until = Some(if endless { u64::MAX } else { now + RESET_TIME });
                if refuse {
                    self.faults.refuse_enable -= 1;
                    port.reset_until = Some((now + RESET_TIME) | (1 << 63));
                }
            }
            (0x23, 3, 8) if !port.powered && !port.over_current => {
                port.powered = true;
                port.connected_at = now;
                if port.connected() {
                    port.change |= C_CONNECTION;
                }
            }
            (0x23, 3, 8) => {}
            (0x23, 1, 1) => port.enabled = false,
            (0x23, 1, 16..=20) => port.change &= !(1 << (setup.value - 16)),
            _ => return None,
        }
        Some(Answer::Ack)
    }
}

impl UsbFunction for Hub {
    fn speed(&self) -> Speed {
        self.0.borrow().speed
    }

    fn reset(&mut self) {
        let mut s = self.0.borrow_mut();
        s.value = 0;
        s.translator.clear();
        for port in &mut s.ports {
            port.off();
            (port.powered, port.change) = (false, 0);
        }
    }

    fn control(&mut self, setup: Setup, _out: &[u8]) -> Answer {
        let mut s = self.0.borrow_mut();
        if s.faults.silent {
            return Answer::Silence;
        }
        if s.faults.stall.contains(&(setup.request_type, setup.request)) {
            return Answer::Stall;
        }
        let [low, kind] = setup.value.to_le_bytes();
        let class = setup.request_type & 0x60 == 0x20;
        if class
            && setup.is_in()
            && let Some(mut noise) = s.noisy()
        {
            noise.truncate(usize::from(setup.length));
            return Answer::Data(noise);
        }
        let answer = match (setup.request_type, setup.request) {
            (0x80, 6) if kind == 1 => Some(Answer::Data(s.device.clone())),
            (0x80, 6) if kind == 2 && low == 0 => Some(Answer::Data(s.configuration.clone())),
            (0x80, 0) => Some(Answer::Data(vec![1, 0])),
            (0x00, 5) => Some(Answer::Ack),
            (0x00, 9) if low <= 1 => {
                s.value = low;
                Some(Answer::Ack)
            }
            (0x02, 1) => {
                s.faults.halted = false;
                Some(Answer::Ack)
            }
            _ if s.value == 0 => None,
            (0xa0, 6) if kind == 0x29 => {
                let bytes = s.faults.descriptor.clone().unwrap_or_else(|| s.hub_descriptor());
                Some(Answer::Data(bytes))
            }
            (0xa0, 0) => Some(Answer::Data(vec![0, 0, 0, 0])),
            (0x20, 1) if setup.value <= 1 => Some(Answer::Ack),
            _ => s.port_request(setup),
        };
        match answer {
            Some(Answer::Data(mut bytes)) => {
                bytes.truncate(usize::from(setup.length));
                Answer::Data(bytes)
            }
            Some(answer) => answer,
            None => Answer::Stall,
        }
    }

    fn packet_out(&mut self, _endpoint: u8, _data: &[u8]) -> Answer {
        Answer::Silence
    }

    fn packet_in(&mut self, endpoint: u8, max_packet: usize) -> Answer {
        let mut s = self.0.borrow_mut();
        if endpoint != 1 || s.value == 0 || s.faults.silent {
            return Answer::Silence;
        }
        s.seen.polls += 1;
        if s.faults.halted {
            return Answer::Stall;
        }
        let mut map = vec![0; 1 + s.ports.len() / 8];
        for (n, _) in s.ports.iter().enumerate().filter(|(_, port)| port.change != 0) {
            map[(n + 1) / 8] |= 1 << ((n + 1) % 8);
        }
        if let Some(bytes) = s.faults.bitmap.clone().or_else(|| s.noisy()) {
            map = bytes;
        } else if map.iter().all(|byte| *byte == 0) {
            return Answer::Nak;
        }
        map.truncate(max_packet);
        Answer::Data(map)
    }

    fn advance(&mut self, now: u64) {
        let mut s = self.0.borrow_mut();
        s.now = now;
        for port in &mut s.ports {
            if let Some(until) = port.reset_until
                && now >= until & !(1 << 63)
            {
                port.reset_until = None;
                port.enabled = until >> 63 == 0 && port.connected();
                port.change |= if port.enabled { C_RESET } else { C_RESET | C_ENABLE };
                port.recovered_at = now + RECOVERY;
                if let Some(child) = &mut port.child {
                    child.reset();
                }
            }
            if let Some(child) = &mut port.child {
                child.function.advance(now);
            }
        }
    }

    fn as_hub(&self) -> Option<Hub> {
        Some(self.clone())
    }
}

impl State {
    /// Takes a transaction; `false` = no buffer is free.
    pub(crate) fn accept(&mut self, transaction: Transaction) -> bool {
        assert_eq!(self.speed, Speed::High, "a split to a hub without a translator");
        let same = |t: &Transaction| {
            (t.address, t.endpoint, t.input)
                == (transaction.address, transaction.endpoint, transaction.input)
        };
        self.translator.retain(|t| !same(t) && (t.kind != 3 || transaction.frame < t.frame + 8));
        let held = self.translator.iter().filter(|t| t.kind != 3).count();
        if transaction.kind != 3 && held >= TT_BUFFERS {
            return false;
        }
        self.seen.tt_transactions += 1;
        self.translator.push(transaction);
        true
    }
}
