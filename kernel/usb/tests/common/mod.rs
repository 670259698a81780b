//! A stack over a mock controller over a model adapter, with a clock.
#![allow(dead_code, unreachable_pub)]

use sk_hal::Micros;
use sk_hal::net::FrameDevice;
use sk_models::ecm::EcmFunction;
use sk_models::mockhost::MockHost;
use sk_usb::{UsbEvent, UsbNet};

pub const MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x57];
pub const FALLBACK: [u8; 6] = [0x02, 0xb8, 0x27, 1, 2, 3];

pub struct Rig {
    pub net: UsbNet<MockHost<EcmFunction>>,
    pub now: Micros,
    pub events: Vec<UsbEvent>,
    pub polls: u32,
}

pub fn variants() -> [EcmFunction; 2] {
    [EcmFunction::qemu(MAC), EcmFunction::high_speed(MAC)]
}

impl Rig {
    pub fn new(function: EcmFunction) -> Self {
        let net = UsbNet::new(MockHost::new(function), FALLBACK);
        Self { net, now: 1_000, events: Vec::new(), polls: 0 }
    }

    /// A rig whose adapter carries frames.
    pub fn running(function: EcmFunction) -> Self {
        let mut rig = Self::new(function);
        rig.settle();
        assert!(rig.net.link_up(), "{:?}", rig.events);
        rig
    }

    pub fn poll(&mut self) {
        self.net.poll(self.now);
        self.polls += 1;
        while let Some(event) = self.net.event() {
            self.events.push(event);
        }
    }

    /// Polls as the executive would: at deadlines, and every millisecond.
    pub fn run(&mut self, time: Micros) {
        let end = self.now + time;
        while self.now < end {
            self.poll();
            let next = self.net.next_deadline().unwrap_or(end).clamp(self.now + 50, end);
            self.now = next.min(self.now + 1_000);
        }
        self.poll();
    }

    /// Polls at deadlines only; anything `next_deadline` forgets comes late.
    pub fn run_by_deadlines(&mut self, time: Micros) {
        let end = self.now + time;
        while self.now < end {
            self.poll();
            self.now = self.net.next_deadline().unwrap_or(end).clamp(self.now + 1, end);
        }
        self.poll();
    }

    /// Until the link is up, 5 s at most.
    pub fn settle(&mut self) {
        for _ in 0..500 {
            if self.net.link_up() {
                return;
            }
            self.run(10_000);
        }
    }

    pub fn device(&mut self) -> &mut EcmFunction {
        &mut self.net.host_mut().function
    }

    pub fn host(&mut self) -> &mut MockHost<EcmFunction> {
        self.net.host_mut()
    }

    pub fn receive(&mut self) -> Option<Vec<u8>> {
        let mut frame = None;
        let got = self.net.receive(self.now, &mut |bytes| frame = Some(bytes.to_vec()));
        assert_eq!(got, frame.is_some());
        frame
    }

    pub fn transmit(&mut self, frame: &[u8]) -> bool {
        self.net.transmit(self.now, frame.len(), &mut |to| to.copy_from_slice(frame))
    }

    /// One frame each way.
    pub fn echo(&mut self, frame: &[u8]) {
        assert!(self.transmit(frame), "length {}", frame.len());
        self.poll();
        assert_eq!(self.device().pop_frame(), Some(padded(frame)));
        assert_eq!(self.device().unfinished(), 0);
        assert!(self.device().push_frame(frame));
        self.poll();
        assert_eq!(self.receive().as_deref(), Some(frame));
        assert_eq!(self.receive(), None);
    }

    /// Nothing that silicon would not forgive was done.
    pub fn assert_clean(&mut self) {
        let host = self.host();
        assert_eq!(host.toggle_errors, 0);
        assert_eq!(host.too_early, 0);
        assert_eq!(host.stale_handles, 0);
    }

    /// Errors reported so far.
    pub fn errors(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, UsbEvent::Error { .. })).count()
    }
}

/// As it goes out.
pub fn padded(frame: &[u8]) -> Vec<u8> {
    let mut bytes = frame.to_vec();
    bytes.resize(bytes.len().max(60), 0);
    bytes
}

pub fn frame(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from((i * 7 + seed) % 251).unwrap()).collect()
}
