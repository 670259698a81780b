//! The DWC2 core in host mode, at register level, with a USB function on its
//! port and faults to order.
//!
//! Strict: what silicon would answer with silence or corruption is a panic
//! here - a doorbell before the barrier, a DMA address without the bus alias,
//! an enabled channel reprogrammed, a wrong toggle, FIFOs as they come out of
//! reset, a port reset that is too short. The other [`Personality`] behaves as
//! QEMU 7.2 to 10.0 does instead, whose assertions that end the emulator are
//! panics that begin with "QEMU abort".
//!
//! Time passes by [`Dwc2Model::advance`] only.

mod faults;
mod qemu;
mod registers;
mod silicon;
mod split;

pub use faults::{Fault, Faults};

use self::registers::Core;
use crate::memory::Memory;
use crate::usb::UsbFunction;
use sk_hal::Bus32;
use std::cell::RefCell;
use std::rc::Rc;

/// Which controller the model is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Personality {
    /// BCM2835.
    Silicon,
    /// QEMU with a device that answers NAK at once (usb-net).
    QemuSync,
    /// QEMU with a device that leaves a request unanswered until it has data
    /// (usb-redir).
    QemuAsync,
}

/// What the model has seen.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Packets whose toggle was not the one expected. QEMU only: on silicon
    /// that is a panic.
    pub wrong_toggles: u32,
    /// Port resets completed.
    pub port_resets: u32,
    /// Core soft resets.
    pub soft_resets: u32,
    /// Channels disabled.
    pub disables: u32,
    /// Transfers that a disabled channel completed afterwards (QEMU).
    pub zombies: u32,
    /// PINGs sent.
    pub pings: u32,
    /// Start splits sent.
    pub start_splits: u32,
    /// Complete splits sent.
    pub complete_splits: u32,
}

/// The model; clones share it.
#[derive(Clone)]
pub struct Dwc2Model(Rc<RefCell<Core>>);

impl Dwc2Model {
    /// A powered core without a device.
    #[must_use]
    pub fn new(memory: Memory, personality: Personality) -> Self {
        Self(Rc::new(RefCell::new(Core::new(memory, personality))))
    }

    /// Switches the USB power domain.
    pub fn power(&self, on: bool) {
        self.0.borrow_mut().powered = on;
    }

    /// Plugs a device in.
    pub fn attach(&self, function: Box<dyn UsbFunction>) {
        self.0.borrow_mut().attach(function);
    }

    /// Pulls it.
    pub fn detach(&self) {
        self.0.borrow_mut().detach();
    }

    /// Lets time pass.
    pub fn advance(&self, micros: u64) {
        self.0.borrow_mut().advance(micros);
    }

    /// Microseconds since the model began.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.0.borrow().now
    }

    /// The interrupt line.
    #[must_use]
    pub fn irq(&self) -> bool {
        self.0.borrow().irq()
    }

    /// Access to the faults.
    pub fn faults<R>(&self, f: impl FnOnce(&mut Faults) -> R) -> R {
        f(&mut self.0.borrow_mut().faults)
    }

    /// What was seen so far.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.0.borrow().seen
    }

    /// Channels that are enabled, as a bit map.
    #[must_use]
    pub fn enabled(&self) -> u8 {
        let core = self.0.borrow();
        (0..registers::CHANNELS).filter(|&c| core.channels[c].enabled()).fold(0, |m, c| m | 1 << c)
    }

    /// The channel enabled for IN on `endpoint`, if any.
    #[must_use]
    pub fn armed(&self, endpoint: u8) -> Option<usize> {
        let core = self.0.borrow();
        core.channels
            .iter()
            .position(|c| c.enabled() && c.is_in() && c.endpoint() == endpoint.into())
    }
}

impl Bus32 for Dwc2Model {
    fn read(&self, off: u32) -> u32 {
        self.0.borrow_mut().read(off)
    }
    fn write(&self, off: u32, value: u32) {
        self.0.borrow_mut().write(off, value);
    }
}
