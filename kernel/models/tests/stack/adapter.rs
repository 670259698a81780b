//! The adapters there are, as one.

use sk_hal::Micros;
use sk_hal::usb::{Setup, Speed};
use sk_models::ecm::EcmFunction;
use sk_models::lan9512::{LAN9512, Lan9512};
use sk_models::usb::{Answer, UsbFunction};

/// How long the LAN9512's link takes to negotiate. Shorter than on a cable: no
/// test is about that time.
pub const NEGOTIATION: Micros = 50_000;

#[allow(clippy::large_enum_variant)] // one exists at a time
pub enum Adapter {
    Ecm(EcmFunction),
    Lan(Lan9512),
}

impl Adapter {
    pub fn lan() -> Self {
        let mut chip = Lan9512::new(LAN9512);
        chip.set_autoneg_time(NEGOTIATION);
        Self::Lan(chip)
    }

    fn function(&mut self) -> &mut dyn UsbFunction {
        match self {
            Self::Ecm(ecm) => ecm,
            Self::Lan(lan) => lan,
        }
    }

    /// `true` = taken, or filtered out: that is no loss.
    pub fn push_frame(&mut self, frame: &[u8]) -> bool {
        match self {
            Self::Ecm(ecm) => ecm.push_frame(frame),
            Self::Lan(lan) => {
                let filtered = lan.counters.filtered;
                lan.push_frame(frame) || lan.counters.filtered > filtered
            }
        }
    }

    pub fn pop_frame(&mut self) -> Option<Vec<u8>> {
        match self {
            Self::Ecm(ecm) => ecm.pop_frame(),
            Self::Lan(lan) => lan.pop_frame(),
        }
    }

    /// Frames not yet fetched by the host.
    pub fn pending(&self) -> usize {
        match self {
            Self::Ecm(ecm) => ecm.pending(),
            Self::Lan(lan) => lan.pending(),
        }
    }

    pub fn set_link(&mut self, up: bool) {
        match self {
            Self::Ecm(ecm) => ecm.set_link(up),
            Self::Lan(lan) => lan.set_link(up),
        }
    }

    /// Control transfers are put off for ever.
    pub fn nak_control(&mut self, on: bool) {
        match self {
            Self::Ecm(ecm) => ecm.faults.nak_control = on,
            Self::Lan(lan) => lan.faults.nak_control = on,
        }
    }
}

impl UsbFunction for Adapter {
    fn speed(&self) -> Speed {
        match self {
            Self::Ecm(ecm) => ecm.speed(),
            Self::Lan(lan) => lan.speed(),
        }
    }
    fn reset(&mut self) {
        self.function().reset();
    }
    fn control(&mut self, setup: Setup, out: &[u8]) -> Answer {
        self.function().control(setup, out)
    }
    fn packet_out(&mut self, endpoint: u8, data: &[u8]) -> Answer {
        self.function().packet_out(endpoint, data)
    }
    fn packet_in(&mut self, endpoint: u8, max_packet: usize) -> Answer {
        self.function().packet_in(endpoint, max_packet)
    }
    fn advance(&mut self, now: Micros) {
        self.function().advance(now);
    }
}
