//! A hub that says anything: of itself, of its ports, and of what has changed.

use sk_hal::Micros;
use sk_hal::net::FrameDevice;
use sk_hal::usb::{Setup, Speed};
use sk_models::ecm::EcmFunction;
use sk_models::hub::Hub;
use sk_models::mockhost::MockHost;
use sk_models::usb::{Answer, UsbFunction};
use sk_usb::UsbNet;
use sk_usb::hub::descriptor::{HubDescriptor, PortStatus, changes};

use crate::bytes::Bytes;

/// Polls in which it lies, at most.
const LIES: usize = 600;

/// A hub whose answers to requests of its class, and whose status changes, are
/// what is left of the data, for as long as there is any.
struct Liar {
    hub: Hub,
    /// Answers of the class and changes, in the order they are asked for.
    answers: Vec<u8>,
    at: usize,
    /// Requests that go out of their turn are refused.
    refuse: bool,
}

impl Liar {
    /// A length, then as many bytes; 255 = the truth this once.
    fn lie(&mut self) -> Option<Vec<u8>> {
        let mut rest = Bytes(self.answers.get(self.at..).unwrap_or_default());
        if rest.is_empty() {
            return None;
        }
        let length = rest.byte();
        let bytes = if length == 255 { None } else { Some(rest.take(usize::from(length % 72))) };
        self.at = self.answers.len() - rest.0.len();
        bytes.map(<[u8]>::to_vec)
    }
}

impl UsbFunction for Liar {
    fn speed(&self) -> Speed {
        self.hub.speed()
    }
    fn reset(&mut self) {
        self.hub.reset();
    }
    fn control(&mut self, setup: Setup, out: &[u8]) -> Answer {
        let class = setup.request_type & 0x60 == 0x20;
        if class
            && setup.is_in()
            && let Some(mut bytes) = self.lie()
        {
            bytes.truncate(usize::from(setup.length));
            return Answer::Data(bytes);
        }
        if class && !setup.is_in() {
            // Told lies, it asks for what is not due: strictness is not wanted.
            return if self.refuse { Answer::Stall } else { Answer::Ack };
        }
        self.hub.control(setup, out)
    }
    fn packet_out(&mut self, endpoint: u8, data: &[u8]) -> Answer {
        self.hub.packet_out(endpoint, data)
    }
    fn packet_in(&mut self, endpoint: u8, max_packet: usize) -> Answer {
        match self.lie() {
            Some(mut bytes) => {
                bytes.truncate(max_packet);
                Answer::Data(bytes)
            }
            None => self.hub.packet_in(endpoint, max_packet),
        }
    }
    fn advance(&mut self, now: Micros) {
        self.hub.advance(now);
    }
}

/// What is read of the bytes alone.
fn parse(data: &[u8]) {
    if let Ok(descriptor) = HubDescriptor::parse(data) {
        assert!(descriptor.ports > 0 && descriptor.power_good <= 510);
    }
    if let Ok(status) = PortStatus::parse(data) {
        assert_eq!(status.change & !0x1f, 0);
    }
    let _ = changes(data);
}

/// See the module. It neither spins nor leaks.
pub(crate) fn hub_answers(data: &[u8]) {
    let mut bytes = Bytes(data);
    let mode = bytes.byte();
    if mode & 1 == 0 {
        return parse(bytes.take(usize::MAX));
    }
    let hub = if mode & 2 == 0 { Hub::high_speed(4) } else { Hub::full_speed(4) };
    hub.plug(1, Box::new(EcmFunction::high_speed([2, 0, 0, 0, 0, 9])));
    let (answers, refuse) = (bytes.take(usize::MAX).to_vec(), mode & 4 != 0);
    let liar = Liar { hub, answers, at: 0, refuse };
    let mut net = UsbNet::new(MockHost::new(liar), [2, 0, 0, 0, 0, 1]);
    let mut now = 0;
    for _ in 0..LIES {
        net.poll(now);
        while net.event().is_some() {}
        let due = net.next_deadline().unwrap_or(now + 100_000);
        now = due.clamp(now + 100, now + 100_000);
        let _ = net.transmit(now, 60, &mut |out| out.fill(1));
    }
    assert!(net.host().open_pipes() <= 5, "{} pipes", net.host().open_pipes());
    net.host_mut().detach();
    net.poll(now);
    assert_eq!(net.host().open_pipes(), 0);
    assert!(!net.link_up() && net.adapter().is_none());
}
