//! The driver against the register model, on silicon's and on QEMU's behaviour.

extern crate std;

mod abort_traps;
mod bring_up;
mod caches;
mod faults;
mod qemu;
mod random;
mod splits;
mod transfers;

use super::*;
use sk_hal::usb::PipeKind;
use sk_models::dwc2::{Dwc2Model, Personality};
use sk_models::memory::Memory;
use sk_models::usb::{Answer, UsbFunction};
use std::boxed::Box;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::vec::Vec;

const ALL: [Personality; 3] = [Personality::Silicon, Personality::QemuSync, Personality::QemuAsync];
const SILICON: Personality = Personality::Silicon;

/// What a test sees of its device.
#[derive(Default)]
struct DeviceState {
    /// Control requests that came through, with their OUT data.
    requests: Vec<(Setup, Vec<u8>)>,
    /// Control IN answers by bRequest.
    replies: Vec<(u8, Vec<u8>)>,
    /// OUT packets of endpoint 2.
    packets: Vec<Vec<u8>>,
    /// OUT transfers of endpoint 2, cut at short packets.
    frames: Vec<Vec<u8>>,
    partial: Vec<u8>,
    /// Answer OUT packets with NYET.
    nyet: bool,
    /// IN transfers of endpoint 1, and how much of the first was sent.
    to_send: VecDeque<Vec<u8>>,
    sent: usize,
    /// After so many idle polls an IN is answered with a zero-length packet.
    zlp_after: Option<u32>,
    idle: u32,
    /// Interrupt data of endpoint 3.
    events: VecDeque<Vec<u8>>,
    event_polls: u32,
}

struct TestDevice(Rc<RefCell<DeviceState>>, Speed);

impl TestDevice {
    fn max_packet(&self) -> usize {
        if self.1 == Speed::High { 512 } else { 64 }
    }
}

impl UsbFunction for TestDevice {
    fn speed(&self) -> Speed {
        self.1
    }
    fn reset(&mut self) {
        let mut s = self.0.borrow_mut();
        s.partial.clear();
        s.sent = 0;
    }
    fn control(&mut self, setup: Setup, out: &[u8]) -> Answer {
        let mut s = self.0.borrow_mut();
        s.requests.push((setup, out.to_vec()));
        if !setup.is_in() {
            return if setup.request == 0x77 { Answer::Stall } else { Answer::Ack };
        }
        match s.replies.iter().find(|(r, _)| *r == setup.request) {
            Some((_, bytes)) => {
                let len = bytes.len().min(setup.length.into());
                Answer::Data(bytes[..len].to_vec())
            }
            None => Answer::Stall,
        }
    }
    fn packet_out(&mut self, endpoint: u8, data: &[u8]) -> Answer {
        assert_eq!(endpoint, 2);
        let short = data.len() < self.max_packet();
        let mut s = self.0.borrow_mut();
        s.packets.push(data.to_vec());
        s.partial.extend_from_slice(data);
        if short {
            let frame = std::mem::take(&mut s.partial);
            s.frames.push(frame);
        }
        if s.nyet { Answer::Nyet } else { Answer::Ack }
    }
    fn packet_in(&mut self, endpoint: u8, max_packet: usize) -> Answer {
        let mut s = self.0.borrow_mut();
        if endpoint == 3 {
            s.event_polls += 1;
            return s.events.pop_front().map_or(Answer::Nak, Answer::Data);
        }
        assert_eq!(endpoint, 1);
        let sent = s.sent;
        let Some(frame) = s.to_send.front() else {
            s.idle += 1;
            if s.zlp_after.is_some_and(|n| s.idle >= n) {
                s.idle = 0;
                return Answer::Data(Vec::new());
            }
            return Answer::Nak;
        };
        let chunk = frame[sent..frame.len().min(sent + max_packet)].to_vec();
        s.idle = 0;
        s.sent += chunk.len();
        if chunk.len() < max_packet {
            s.to_send.pop_front();
            s.sent = 0;
        }
        Answer::Data(chunk)
    }
}

/// A controller, its driver, and a device.
struct Rig {
    host: Dwc2<Dwc2Model, Memory>,
    model: Dwc2Model,
    device: Rc<RefCell<DeviceState>>,
    speed: Speed,
    /// The hub and the port on it, if the device is behind one.
    behind: Option<(u8, u8)>,
    /// Polled every so many microseconds instead of by interrupt.
    polled: Option<u64>,
    next_poll: u64,
    polls: u64,
}

impl Rig {
    fn bare(personality: Personality, speed: Speed) -> Self {
        Self::on(Memory::new(), personality, speed)
    }

    fn on(memory: Memory, personality: Personality, speed: Speed) -> Self {
        let model = Dwc2Model::new(memory.clone(), personality);
        let buffers = Buffers {
            control: core::array::from_fn(|_| memory.buffer(32 + 1024)),
            rx: core::array::from_fn(|_| memory.buffer(2048)),
            tx: core::array::from_fn(|_| memory.buffer(2048)),
            int: core::array::from_fn(|_| memory.buffer(64)),
        };
        let host = Dwc2::new(model.clone(), memory, buffers);
        let device = Rc::new(RefCell::new(DeviceState::default()));
        device.borrow_mut().replies.push((6, (0..18).collect()));
        device.borrow_mut().replies.push((0, std::vec![0, 0]));
        Self { host, model, device, speed, behind: None, polled: None, next_poll: 0, polls: 0 }
    }

    fn plug(&self) {
        self.model.attach(Box::new(TestDevice(self.device.clone(), self.speed)));
    }

    /// With a device that is ready, addressed and configured.
    fn new(personality: Personality, speed: Speed) -> Self {
        let mut rig = Self::bare(personality, speed);
        rig.plug();
        rig.enumerate();
        rig
    }

    fn target(&self, address: u8) -> DeviceTarget {
        let max_packet0 = if self.speed == Speed::Low { 8 } else { 64 };
        let device = DeviceTarget { address, speed: self.speed, max_packet0, behind: self.behind };
        match self.behind {
            Some((hub, _)) if hub == address => {
                DeviceTarget { speed: Speed::High, max_packet0: 64, behind: None, ..device }
            }
            _ => device,
        }
    }

    fn enumerate(&mut self) {
        let ready = Port::Ready(self.speed);
        assert!(self.until(2_000_000, |r| r.host.port() == ready), "{}", self.host.dump());
        self.request(0, setup(0x00, 5, 7, 0)).expect("SET_ADDRESS");
        self.run(2_000);
        self.request(7, setup(0x00, 9, 1, 0)).expect("SET_CONFIGURATION");
    }

    /// Runs for `micros`, polling by interrupt and deadline, or by `polled`.
    fn run(&mut self, micros: u64) {
        let end = self.model.now() + micros;
        self.until(end - self.model.now(), |_| false);
    }

    fn until(&mut self, micros: u64, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.model.now() + micros;
        loop {
            let now = self.model.now();
            let due = match self.polled {
                Some(every) => {
                    let due = now >= self.next_poll;
                    if due {
                        self.next_poll = now + every;
                    }
                    due
                }
                None => self.model.irq() || self.host.next_deadline().is_none_or(|d| now >= d),
            };
            if due {
                self.host.poll(now);
                self.polls += 1;
            }
            if done(self) {
                return true;
            }
            if now >= end {
                return false;
            }
            self.model.advance(125);
        }
    }

    fn now(&self) -> u64 {
        self.model.now()
    }

    fn control(&mut self, address: u8, setup: Setup, out: &[u8]) -> Result<Vec<u8>, TransferError> {
        let (now, target) = (self.now(), self.target(address));
        self.host.control(now, target, setup, out).expect("a control transfer starts");
        let mut result = None;
        self.until(7_000_000, |r| {
            result = r.host.control_result().map(|r| r.map(<[u8]>::to_vec));
            result.is_some()
        });
        result.expect("a control transfer ends")
    }

    fn request(&mut self, address: u8, setup: Setup) -> Result<Vec<u8>, TransferError> {
        self.control(address, setup, &[])
    }

    fn descriptor(&mut self) -> Result<Vec<u8>, TransferError> {
        self.request(7, setup(0x80, 6, 0x100, 18))
    }

    fn try_open(&mut self, kind: PipeKind) -> Result<PipeId, StartError> {
        let endpoint = match kind {
            PipeKind::BulkIn => 1,
            PipeKind::BulkOut => 2,
            PipeKind::InterruptIn { .. } => 3,
        };
        let bulk = if self.speed == Speed::High { 512 } else { 64 };
        let max_packet = if endpoint == 3 { 16 } else { bulk };
        let config = PipeConfig { target: self.target(7), endpoint, max_packet, kind };
        self.host.open(self.model.now(), config, 2048)
    }

    fn open(&mut self, kind: PipeKind) -> PipeId {
        self.try_open(kind).expect("pipe opens")
    }

    fn send(&mut self, pipe: PipeId, bytes: &[u8]) -> Result<(), StartError> {
        let now = self.now();
        self.host.send(now, pipe, bytes.len(), true, &mut |b| b.copy_from_slice(bytes))
    }

    fn receive(&mut self, pipe: PipeId) -> Option<Result<Vec<u8>, TransferError>> {
        let now = self.now();
        let mut got = Vec::new();
        self.host.receive(now, pipe, &mut |b| got = b.to_vec()).map(|r| r.map(|()| got))
    }

    fn wait_receive(&mut self, pipe: PipeId) -> Result<Vec<u8>, TransferError> {
        let mut got = None;
        self.until(2_000_000, |r| {
            got = r.receive(pipe);
            got.is_some()
        });
        got.expect("something arrives")
    }

    /// All that was handed over is back.
    fn assert_no_leak(&self) {
        let r = self.host.resources();
        let whole = Resources {
            channels: CHANNELS,
            retired: 0,
            held: 0,
            control: CONTROL_BUFFERS,
            rx: RX_BUFFERS,
            tx: TX_BUFFERS,
            int: INT_BUFFERS,
        };
        assert_eq!(r, whole, "{}", self.host.dump());
        assert_eq!(self.model.enabled(), 0);
    }
}

fn setup(request_type: u8, request: u8, value: u16, length: u16) -> Setup {
    Setup { request_type, request, value, index: 0, length }
}

fn pattern(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + seed * 13 + i / 256) as u8).collect()
}
