//! A low-speed device: a mouse of the boot protocol, as far as a host without a
//! driver for it sees it. Endpoint 0 has packets of 8 bytes, so a descriptor
//! takes several.

use crate::usb::{Answer, UsbFunction};
use sk_hal::usb::{Setup, Speed};
use std::collections::VecDeque;

const DEVICE: [u8; 18] = [18, 1, 0x10, 1, 0, 0, 0, 8, 0x6d, 0x04, 0x77, 0xc0, 0, 0x72, 1, 2, 0, 1];
const CONFIGURATION: [u8; 34] = [
    9, 2, 34, 0, 1, 1, 0, 0xa0, 50, // value 1
    9, 4, 0, 0, 1, 3, 1, 2, 0, // HID, boot, mouse
    9, 0x21, 0x11, 1, 0, 1, 0x22, 46, 0, // HID
    7, 5, 0x81, 3, 4, 0, 10,
];

/// The mouse.
#[derive(Clone, Debug, Default)]
pub struct Mouse {
    /// Reports waiting for the host.
    pub reports: VecDeque<[u8; 4]>,
    /// Every control request so far.
    pub requests: Vec<Setup>,
    /// bConfigurationValue set by the host.
    pub configuration: u8,
}

impl UsbFunction for Mouse {
    fn speed(&self) -> Speed {
        Speed::Low
    }

    fn reset(&mut self) {
        self.configuration = 0;
    }

    fn control(&mut self, setup: Setup, _out: &[u8]) -> Answer {
        self.requests.push(setup);
        let [low, kind] = setup.value.to_le_bytes();
        let bytes: &[u8] = match (setup.request_type, setup.request) {
            (0x80, 6) if kind == 1 => &DEVICE,
            (0x80, 6) if kind == 2 && low == 0 => &CONFIGURATION,
            (0x00, 5) | (0x21, 0x0a) => return Answer::Ack,
            (0x00, 9) => {
                self.configuration = low;
                return Answer::Ack;
            }
            _ => return Answer::Stall,
        };
        Answer::Data(bytes[..bytes.len().min(setup.length.into())].to_vec())
    }

    fn packet_out(&mut self, _endpoint: u8, _data: &[u8]) -> Answer {
        Answer::Silence
    }

    fn packet_in(&mut self, endpoint: u8, _max_packet: usize) -> Answer {
        if endpoint != 1 || self.configuration == 0 {
            return Answer::Silence;
        }
        self.reports.pop_front().map_or(Answer::Nak, |report| Answer::Data(report.to_vec()))
    }
}
