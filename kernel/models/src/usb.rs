//! USB functions (devices) as doubles: what answers on the other end of the
//! wire, below a host controller model or behind a mock of the transfer trait.

use crate::hub::Hub;
use sk_hal::Micros;
use sk_hal::usb::{Setup, Speed};
use std::cell::RefCell;
use std::rc::Rc;

/// A device's answer to one packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// OUT: accepted. IN: use `Data`.
    Ack,
    /// IN: the packet's bytes (at most the packet size; may be empty).
    Data(Vec<u8>),
    /// Not now.
    Nak,
    /// OUT at high speed: accepted, but ask with PING before the next.
    Nyet,
    /// Refused until CLEAR_FEATURE(ENDPOINT_HALT).
    Stall,
    /// No handshake at all: a transaction error at the host.
    Silence,
    /// IN: more bytes than the packet size.
    Babble,
}

/// A USB function. Toggles and addresses are the caller's business; `control`
/// is a whole control transfer, `packet_*` one packet of another endpoint.
pub trait UsbFunction {
    /// Signalling rate it attaches with.
    fn speed(&self) -> Speed;
    /// Bus reset: back to address 0, unconfigured.
    fn reset(&mut self);
    /// A control transfer: `Data` for IN, `Ack` for OUT, `Stall`, `Nak` (not
    /// yet), `Silence`. SET_ADDRESS is given here too.
    fn control(&mut self, setup: Setup, out: &[u8]) -> Answer;
    /// One OUT packet to `endpoint`.
    fn packet_out(&mut self, endpoint: u8, data: &[u8]) -> Answer;
    /// One IN packet of at most `max_packet` bytes from `endpoint`.
    fn packet_in(&mut self, endpoint: u8, max_packet: usize) -> Answer;
    /// It is `now` (microseconds, never going back): what takes a device time
    /// ends here. Whoever drives a function calls this before each packet or
    /// request; functions without a clock of their own ignore it.
    fn advance(&mut self, now: Micros) {
        let _ = now;
    }
    /// A handle to the hub this is, if it is one.
    fn as_hub(&self) -> Option<Hub> {
        None
    }
}

/// One function, shared between a host model and the test that watches it.
impl<F: UsbFunction + ?Sized> UsbFunction for Rc<RefCell<F>> {
    fn speed(&self) -> Speed {
        self.borrow().speed()
    }
    fn reset(&mut self) {
        self.borrow_mut().reset();
    }
    fn control(&mut self, setup: Setup, out: &[u8]) -> Answer {
        self.borrow_mut().control(setup, out)
    }
    fn packet_out(&mut self, endpoint: u8, data: &[u8]) -> Answer {
        self.borrow_mut().packet_out(endpoint, data)
    }
    fn packet_in(&mut self, endpoint: u8, max_packet: usize) -> Answer {
        self.borrow_mut().packet_in(endpoint, max_packet)
    }
    fn advance(&mut self, now: Micros) {
        self.borrow_mut().advance(now);
    }
    fn as_hub(&self) -> Option<Hub> {
        self.borrow().as_hub()
    }
}
