//! The stack over the controller's driver over its register model, with a clock.
#![allow(dead_code, unreachable_pub)]

use sk_drivers::dwc2::{Buffers, Dwc2, Resources};
use sk_hal::Micros;
use sk_hal::net::FrameDevice;
use sk_models::dwc2::{Dwc2Model, Personality};
use sk_models::ecm::EcmFunction;
use sk_models::lan9512::Lan9512;
use sk_models::memory::Memory;
use sk_models::usb::UsbFunction;
use sk_usb::{UsbEvent, UsbNet};
use std::cell::RefCell;
use std::rc::Rc;

pub const MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x57];
pub const SECOND: Micros = 1_000_000;
pub const BOTH: [Personality; 2] = [Personality::Silicon, Personality::QemuSync];

pub type Adapter = Rc<RefCell<EcmFunction>>;

/// The cable's end of an adapter.
pub trait Cable {
    fn sent(&mut self) -> Option<Vec<u8>>;
    fn give(&mut self, frame: &[u8]) -> bool;
}

impl Cable for EcmFunction {
    fn sent(&mut self) -> Option<Vec<u8>> {
        self.pop_frame()
    }
    fn give(&mut self, frame: &[u8]) -> bool {
        self.push_frame(frame)
    }
}

impl Cable for Lan9512 {
    fn sent(&mut self) -> Option<Vec<u8>> {
        self.pop_frame()
    }
    fn give(&mut self, frame: &[u8]) -> bool {
        self.push_frame(frame)
    }
}

/// An adapter in the controller's hands and in the test's.
pub fn ecm(function: EcmFunction) -> Adapter {
    Rc::new(RefCell::new(function))
}

/// A broadcast.
pub fn frame(length: usize, seed: usize) -> Vec<u8> {
    let byte = |i: usize| if i < 6 { 0xff } else { u8::try_from((i * 7 + seed) % 251).unwrap() };
    (0..length.min(1514)).map(byte).collect()
}

pub struct Rig {
    pub net: UsbNet<Dwc2<Dwc2Model, Memory>>,
    pub model: Dwc2Model,
    pub events: Vec<UsbEvent>,
    pub polls: u32,
    /// Frames that came.
    pub received: Vec<Vec<u8>>,
}

impl Rig {
    pub fn new(root: Box<dyn UsbFunction>) -> Self {
        Self::on(Personality::Silicon, root)
    }

    pub fn on(personality: Personality, root: Box<dyn UsbFunction>) -> Self {
        let rig = Self::bare(personality);
        rig.model.attach(root);
        rig
    }

    pub fn empty() -> Self {
        Self::bare(Personality::Silicon)
    }

    fn bare(personality: Personality) -> Self {
        let memory = Memory::new();
        let model = Dwc2Model::new(memory.clone(), personality);
        let buffers = Buffers {
            control: core::array::from_fn(|_| memory.buffer(1056)),
            rx: core::array::from_fn(|_| memory.buffer(4096)),
            tx: core::array::from_fn(|_| memory.buffer(1568)),
            int: core::array::from_fn(|_| memory.buffer(64)),
        };
        let host = Dwc2::new(model.clone(), memory, buffers);
        Self {
            net: UsbNet::new(host, MAC),
            model,
            events: Vec::new(),
            polls: 0,
            received: Vec::new(),
        }
    }

    /// Lets time pass; the stack is polled by interrupt and deadline.
    pub fn run(&mut self, time: Micros) {
        let end = self.model.now() + time;
        self.until(end, |_| false);
    }

    fn until(&mut self, end: Micros, mut done: impl FnMut(&Self) -> bool) -> bool {
        while self.model.now() < end {
            let now = self.model.now();
            if self.model.irq() || self.net.next_deadline().is_none_or(|due| now >= due) {
                self.net.poll(now);
                self.polls += 1;
                self.events.extend(std::iter::from_fn(|| self.net.event()));
                // What stopped a pipe is told here too.
                let received = &mut self.received;
                while self.net.receive(now, &mut |bytes| received.push(bytes.to_vec())) {}
            }
            if done(self) {
                return true;
            }
            self.model.advance(125.min(end - now));
        }
        false
    }

    /// Until frames can be sent.
    pub fn link(&mut self) {
        let end = self.model.now() + 40 * SECOND;
        let up = self.until(end, |rig| rig.net.can_transmit());
        assert!(up, "{:?} {}", self.events, self.net.host().dump());
    }

    /// One frame each way.
    pub fn echo<C: Cable>(&mut self, adapter: &Rc<RefCell<C>>, frame: &[u8]) {
        let now = self.model.now();
        let sent = self.net.transmit(now, frame.len(), &mut |to| to.copy_from_slice(frame));
        assert!(sent, "{:?}", self.events);
        let mut got = None;
        self.until(now + SECOND, |_| {
            got = adapter.borrow_mut().sent();
            got.is_some()
        });
        assert_eq!(got.as_deref(), Some(frame), "{:?}", self.events);
        assert!(adapter.borrow_mut().give(frame));
        let end = self.model.now() + SECOND;
        self.received.clear();
        assert!(self.until(end, |rig| !rig.received.is_empty()), "{:?}", self.events);
        assert_eq!(self.received, [frame]);
    }

    pub fn errors(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, UsbEvent::Error { .. })).count()
    }

    /// Nothing is in use.
    pub fn nothing_open(&self) {
        let whole =
            Resources { channels: 8, retired: 0, held: 0, control: 2, rx: 4, tx: 4, int: 3 };
        assert_eq!(self.net.host().resources(), whole, "{:?}", self.events);
        assert_eq!(self.model.enabled(), 0);
        assert!(self.net.mac().is_none() && self.net.adapter().is_none());
    }

    /// All is pulled, and nothing of it is left.
    pub fn all_gone(mut self) {
        self.model.detach();
        self.run(SECOND);
        self.nothing_open();
    }
}
