//! CDC-ECM network adapters as doubles.
//!
//! [`EcmFunction::qemu`] is QEMU's `usb-net` as a host sees it: full speed,
//! two configurations (RNDIS first), frames glued when the closing short packet
//! is missing, a notification endpoint that answers every poll.
//! [`EcmFunction::high_speed`] is built like an RTL8152: a vendor's own
//! configuration first, 512-byte packets, endpoints that are dead until their
//! alternate setting is selected, notifications only when something changed.

use crate::usb::{Answer, UsbFunction};
use sk_hal::usb::{Setup, Speed};
use std::collections::VecDeque;

/// Endpoint of notifications (IN).
pub const NOTIFICATION: u8 = 1;
/// Endpoint of frames, both directions.
pub const DATA: u8 = 2;

/// Index of the station address string.
const STRING_MAC: u8 = 3;
/// bConfigurationValue of the ECM configuration of the QEMU variant.
pub const QEMU_ECM: u8 = 1;
/// bConfigurationValue of the ECM configuration of the high-speed variant.
pub const HIGH_SPEED_ECM: u8 = 2;
/// Longest OUT transfer QEMU's device collects.
const OUT_LIMIT: usize = 2048;

/// When the notification endpoint speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Notify {
    /// Each time it is asked (QEMU).
    Always,
    /// When the link changed, the first time after SET_CONFIGURATION.
    OnChange,
    /// Never.
    Never,
}

/// Ways to misbehave. All off by default.
#[derive(Clone, Debug, Default)]
pub struct EcmFaults {
    /// Descriptors given instead of the right ones: type, index, bytes.
    pub replace: Vec<(u8, u8, Vec<u8>)>,
    /// wTotalLength given instead of the right one.
    pub total_length: Option<u16>,
    /// Requests refused: bmRequestType, bRequest.
    pub stall: Vec<(u8, u8)>,
    /// No handshake at all, to anything.
    pub silent: bool,
    /// Control transfers are put off for ever.
    pub nak_control: bool,
    /// Endpoints (address, bit 7 = IN) that CLEAR_FEATURE does not help.
    pub broken: Vec<u8>,
    /// So many empty IN transfers are given while there is no frame.
    pub empty_ins: usize,
    /// The next IN packet of the data endpoint babbles.
    pub babble: bool,
    /// OUT packets of the data endpoint are put off for ever.
    pub nak_out: bool,
    /// Bytes given instead of the next notification.
    pub notification: Option<Vec<u8>>,
}

/// A CDC-ECM adapter.
#[derive(Clone, Debug)]
pub struct EcmFunction {
    speed: Speed,
    device: Vec<u8>,
    configurations: Vec<Vec<u8>>,
    ecm_value: u8,
    max_packet: usize,
    /// Endpoints answer only in alternate setting 1 (QEMU does not look).
    pub strict_alternate: bool,
    /// When notifications are given.
    pub notify: Notify,
    /// Station address, as its string tells.
    pub mac: [u8; 6],
    /// Misbehaviour.
    pub faults: EcmFaults,
    /// Every control request so far.
    pub requests: Vec<Setup>,
    /// Last SetEthernetPacketFilter.
    pub filter: Option<u16>,
    link: bool,
    notices: VecDeque<Vec<u8>>,
    address: u8,
    configuration: u8,
    alternate: u8,
    halted: Vec<u8>,
    to_host: VecDeque<Vec<u8>>,
    sent: usize,
    from_host: VecDeque<Vec<u8>>,
    collecting: Vec<u8>,
}

fn with_length(mut body: Vec<u8>) -> Vec<u8> {
    let total = u16::try_from(body.len()).expect("short");
    body[2..4].copy_from_slice(&total.to_le_bytes());
    body
}

/// Communications interface of ECM with its functional descriptors (23 bytes).
const ECM_FUNCTIONAL: [u8; 23] = [
    5, 0x24, 0x00, 0x10, 0x01, // header, CDC 1.10
    5, 0x24, 0x06, 0, 1, // union: control 0, data 1
    13, 0x24, 0x0f, STRING_MAC, 0, 0, 0, 0, 0xea, 0x05, 0, 0, 0, // Ethernet, 1514
];

impl EcmFunction {
    /// QEMU's `usb-net` (0525:a4a2) at full speed.
    #[must_use]
    pub fn qemu(mac: [u8; 6]) -> Self {
        let device =
            vec![18, 1, 0x00, 0x02, 0x02, 0, 0, 64, 0x25, 0x05, 0xa2, 0xa4, 0, 0, 1, 2, 10, 2];
        let mut rndis = vec![
            9, 2, 0, 0, 2, 2, 9, 0xc0, 0x32, // value 2
            9, 4, 0, 0, 1, 0x02, 0x02, 0xff, 6, // communications, ACM, vendor protocol
            5, 0x24, 0x00, 0x10, 0x01, // header
            5, 0x24, 0x01, 0x00, 0x01, // call management
            4, 0x24, 0x02, 0x00, // abstract control
            5, 0x24, 0x06, 0x00, 0x01, // union
            7, 5, 0x81, 3, 16, 0, 32,
        ];
        rndis.extend([9, 4, 1, 0, 2, 0x0a, 0, 0, 4]);
        rndis.extend([7, 5, 0x82, 2, 64, 0, 0, 7, 5, 0x02, 2, 64, 0, 0]);
        let mut ecm = vec![
            9, 2, 0, 0, 2, 1, 7, 0xc0, 0x32, // value 1
            9, 4, 0, 0, 1, 0x02, 0x06, 0x00, 5,
        ];
        ecm.extend(ECM_FUNCTIONAL);
        ecm.extend([7, 5, 0x81, 3, 16, 0, 32]);
        ecm.extend([9, 4, 1, 0, 0, 0x0a, 0, 0, 0]);
        ecm.extend([9, 4, 1, 1, 2, 0x0a, 0, 0, 4]);
        ecm.extend([7, 5, 0x82, 2, 64, 0, 0, 7, 5, 0x02, 2, 64, 0, 0]);
        let configurations = vec![with_length(rndis), with_length(ecm)];
        Self::new(Speed::Full, device, configurations, QEMU_ECM, 64, mac)
    }

    /// A high-speed adapter that wants everything done by the book.
    #[must_use]
    pub fn high_speed(mac: [u8; 6]) -> Self {
        let device =
            vec![18, 1, 0x10, 0x02, 0, 0, 0, 64, 0xda, 0x0b, 0x52, 0x81, 0, 0x20, 1, 2, 10, 2];
        let vendor = vec![
            9, 2, 0, 0, 1, 1, 0, 0xa0, 50, // value 1
            9, 4, 0, 0, 3, 0xff, 0xff, 0, 0, // vendor specific
            7, 5, 0x81, 2, 0, 2, 0, 7, 5, 0x02, 2, 0, 2, 0, 7, 5, 0x83, 3, 2, 0, 8,
        ];
        let mut ecm = vec![
            9, 2, 0, 0, 2, 2, 0, 0xa0, 50, // value 2
            8, 11, 0, 2, 0x02, 0x06, 0, 0, // interface association
            9, 4, 0, 0, 1, 0x02, 0x06, 0x00, 5,
        ];
        ecm.extend(ECM_FUNCTIONAL);
        ecm.extend([7, 5, 0x81, 3, 16, 0, 8]);
        ecm.extend([9, 4, 1, 0, 0, 0x0a, 0, 0, 0]);
        ecm.extend([9, 4, 1, 1, 2, 0x0a, 0, 0, 4]);
        ecm.extend([7, 5, 0x82, 2, 0, 2, 0, 7, 5, 0x02, 2, 0, 2, 0]);
        let configurations = vec![with_length(vendor), with_length(ecm)];
        let mut function = Self::new(Speed::High, device, configurations, HIGH_SPEED_ECM, 512, mac);
        function.strict_alternate = true;
        function.notify = Notify::OnChange;
        function
    }

    fn new(
        speed: Speed,
        device: Vec<u8>,
        configurations: Vec<Vec<u8>>,
        ecm_value: u8,
        max_packet: usize,
        mac: [u8; 6],
    ) -> Self {
        Self {
            speed,
            device,
            configurations,
            ecm_value,
            max_packet,
            strict_alternate: false,
            notify: Notify::Always,
            mac,
            faults: EcmFaults::default(),
            requests: Vec::new(),
            filter: None,
            link: true,
            notices: VecDeque::new(),
            address: 0,
            configuration: 0,
            alternate: 0,
            halted: Vec::new(),
            to_host: VecDeque::new(),
            sent: 0,
            from_host: VecDeque::new(),
            collecting: Vec::new(),
        }
    }

    /// The configuration at `index`, as the device gives it.
    #[must_use]
    pub fn configuration_bytes(&self, index: usize) -> &[u8] {
        &self.configurations[index]
    }

    /// A frame from the wire; dropped while the ECM configuration is not set.
    /// Any length will do: what is no frame tests the driver.
    pub fn push_frame(&mut self, frame: impl Into<Vec<u8>>) -> bool {
        let up = self.carries_frames();
        if up {
            self.to_host.push_back(frame.into());
        }
        up
    }

    /// The next frame the host sent.
    pub fn pop_frame(&mut self) -> Option<Vec<u8>> {
        self.from_host.pop_front()
    }

    /// Bytes of an OUT transfer that has not been closed by a short packet.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.collecting.len()
    }

    /// Frames not yet fetched by the host.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.to_host.len()
    }

    /// Is the ECM configuration set?
    #[must_use]
    pub fn carries_frames(&self) -> bool {
        self.configuration == self.ecm_value
    }

    /// bConfigurationValue set by the host.
    #[must_use]
    pub fn configuration(&self) -> u8 {
        self.configuration
    }

    /// Alternate setting of the data interface.
    #[must_use]
    pub fn alternate(&self) -> u8 {
        self.alternate
    }

    /// USB address.
    #[must_use]
    pub fn address(&self) -> u8 {
        self.address
    }

    /// Plugs the network cable in or out.
    pub fn set_link(&mut self, up: bool) {
        if self.link != up {
            self.link = up;
            self.note_change();
        }
    }

    /// Halts an endpoint (address, bit 7 = IN) until CLEAR_FEATURE.
    pub fn halt(&mut self, address: u8) {
        if !self.halted.contains(&address) {
            self.halted.push(address);
        }
    }

    fn note_change(&mut self) {
        if self.notify == Notify::OnChange && self.carries_frames() {
            let up = u8::from(self.link);
            self.notices.push_back(vec![0xa1, 0x00, up, 0, 0, 0, 0, 0]);
            let mut speed = vec![0xa1, 0x2a, 0, 0, 0, 0, 8, 0];
            speed.extend(100_000_000_u32.to_le_bytes());
            speed.extend(100_000_000_u32.to_le_bytes());
            self.notices.push_back(speed);
        }
    }

    fn string(&self, index: u8) -> Option<Vec<u8>> {
        let text = match index {
            0 => return Some(vec![4, 3, 0x09, 0x04]),
            STRING_MAC => self.mac.iter().map(|octet| format!("{octet:02X}")).collect(),
            1 | 2 | 4..=10 => format!("String {index}"),
            _ => return None,
        };
        let mut bytes = vec![0, 3];
        bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        bytes[0] = u8::try_from(bytes.len()).expect("short");
        Some(bytes)
    }

    fn descriptor(&self, kind: u8, index: u8) -> Option<Vec<u8>> {
        if let Some((.., bytes)) =
            self.faults.replace.iter().find(|(k, i, _)| (*k, *i) == (kind, index))
        {
            return Some(bytes.clone());
        }
        match kind {
            1 => Some(self.device.clone()),
            2 => {
                let mut bytes = self.configurations.get(usize::from(index))?.clone();
                if let Some(total) = self.faults.total_length {
                    bytes[2..4].copy_from_slice(&total.to_le_bytes());
                }
                Some(bytes)
            }
            3 => self.string(index),
            _ => None,
        }
    }

    fn deconfigure(&mut self) {
        self.alternate = 0;
        self.halted.clear();
        self.to_host.clear();
        self.notices.clear();
        self.collecting.clear();
        self.sent = 0;
        self.filter = None;
    }

    fn mute(&self, endpoint: u8) -> bool {
        self.faults.silent
            || self.configuration == 0
            || (self.strict_alternate && endpoint == DATA && self.alternate != 1)
    }

    fn halted(&self, address: u8) -> bool {
        self.halted.contains(&address) || self.faults.broken.contains(&address)
    }

    fn notification(&mut self) -> Answer {
        if let Some(bytes) = self.faults.notification.take() {
            return Answer::Data(bytes);
        }
        match self.notify {
            // QEMU names interface 1 here, though 0 is the control interface.
            Notify::Always => {
                Answer::Data(vec![0xa1, 0x00, u8::from(self.link), 0x00, 0x01, 0x00, 0x00, 0x00])
            }
            Notify::OnChange => self.notices.pop_front().map_or(Answer::Nak, Answer::Data),
            Notify::Never => Answer::Nak,
        }
    }
}

impl UsbFunction for EcmFunction {
    fn speed(&self) -> Speed {
        self.speed
    }

    fn reset(&mut self) {
        self.deconfigure();
        self.address = 0;
        self.configuration = 0;
    }

    fn control(&mut self, setup: Setup, _out: &[u8]) -> Answer {
        self.requests.push(setup);
        if self.faults.silent {
            return Answer::Silence;
        }
        if self.faults.nak_control {
            return Answer::Nak;
        }
        if self.faults.stall.contains(&(setup.request_type, setup.request)) {
            return Answer::Stall;
        }
        let [value, high] = setup.value.to_le_bytes();
        let [index, _] = setup.index.to_le_bytes();
        let data = match (setup.request_type, setup.request) {
            (0x80, 6) => self.descriptor(high, value),
            (0x80, 8) => Some(vec![self.configuration]),
            (0x81, 10) => Some(vec![if index == 1 { self.alternate } else { 0 }]),
            (0x80, 0) => Some(vec![1, 0]),
            (0x81, 0) => Some(vec![0, 0]),
            (0x82, 0) => Some(vec![u8::from(self.halted(index)), 0]),
            (0x00, 5) if value < 128 => {
                self.address = value;
                return Answer::Ack;
            }
            (0x00, 9) if value == 0 || self.configurations.iter().any(|c| c[5] == value) => {
                self.deconfigure();
                self.configuration = value;
                self.note_change();
                return Answer::Ack;
            }
            (0x01, 11) if self.carries_frames() && (index, value) == (0, 0) => return Answer::Ack,
            (0x01, 11) if self.carries_frames() && index == 1 && value <= 1 => {
                self.alternate = value;
                return Answer::Ack;
            }
            (0x02, 1) if setup.value == 0 => {
                self.halted.retain(|address| *address != index);
                return Answer::Ack;
            }
            (0x02, 3) if setup.value == 0 => {
                self.halt(index);
                return Answer::Ack;
            }
            (0x21, 0x43) if self.carries_frames() => {
                self.filter = Some(setup.value);
                return Answer::Ack;
            }
            _ => None,
        };
        match data {
            Some(mut bytes) => {
                bytes.truncate(usize::from(setup.length));
                Answer::Data(bytes)
            }
            None => Answer::Stall,
        }
    }

    fn packet_out(&mut self, endpoint: u8, data: &[u8]) -> Answer {
        if endpoint != DATA || self.mute(endpoint) {
            return Answer::Silence;
        }
        if self.halted(endpoint) {
            return Answer::Stall;
        }
        if self.faults.nak_out {
            return Answer::Nak;
        }
        let room = OUT_LIMIT.saturating_sub(self.collecting.len());
        self.collecting.extend(data.iter().take(room));
        // Exactly one rule ends a frame: a packet that is not full.
        if !data.len().is_multiple_of(self.max_packet) || data.is_empty() {
            let frame = std::mem::take(&mut self.collecting);
            if !frame.is_empty() && self.carries_frames() {
                self.from_host.push_back(frame);
            }
        }
        Answer::Ack
    }

    fn packet_in(&mut self, endpoint: u8, max_packet: usize) -> Answer {
        if self.mute(endpoint) || !matches!(endpoint, NOTIFICATION | DATA) {
            return Answer::Silence;
        }
        if self.halted(endpoint | 0x80) {
            return Answer::Stall;
        }
        let answer = if endpoint == NOTIFICATION {
            self.notification()
        } else if std::mem::take(&mut self.faults.babble) {
            Answer::Babble
        } else if let Some(frame) = self.to_host.front() {
            let packet: Vec<u8> =
                frame.iter().skip(self.sent).take(self.max_packet).copied().collect();
            if packet.len() < self.max_packet {
                self.to_host.pop_front();
                self.sent = 0;
            } else {
                self.sent += packet.len();
            }
            Answer::Data(packet)
        } else if self.faults.empty_ins > 0 {
            self.faults.empty_ins -= 1;
            Answer::Data(Vec::new())
        } else {
            Answer::Nak
        };
        match answer {
            Answer::Data(bytes) if bytes.len() > max_packet => Answer::Babble,
            answer => answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x57];

    fn get(function: &mut EcmFunction, kind: u8, index: u8) -> Vec<u8> {
        let value = u16::from_le_bytes([index, kind]);
        let setup = Setup { request_type: 0x80, request: 6, value, index: 0, length: 255 };
        match function.control(setup, &[]) {
            Answer::Data(bytes) => bytes,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_qemu_variant_has_its_lengths() {
        let mut function = EcmFunction::qemu(MAC);
        let (rndis, ecm) = (get(&mut function, 2, 0), get(&mut function, 2, 1));
        assert_eq!((rndis.len(), rndis[5]), (67, 2));
        assert_eq!((ecm.len(), ecm[5]), (80, 1));
        for bytes in [rndis, ecm] {
            assert_eq!(usize::from(u16::from_le_bytes([bytes[2], bytes[3]])), bytes.len());
        }
        let mac = get(&mut function, 3, STRING_MAC);
        assert_eq!(&mac[..6], &[26, 3, b'5', 0, b'2', 0]);
    }

    #[test]
    fn full_packets_are_glued_until_a_short_one_comes() {
        let mut function = EcmFunction::qemu(MAC);
        let set = Setup { request_type: 0, request: 9, value: 1, index: 0, length: 0 };
        assert_eq!(function.control(set, &[]), Answer::Ack);
        function.packet_out(DATA, &[1; 64]);
        function.packet_out(DATA, &[2; 64]);
        assert_eq!(function.pop_frame(), None);
        assert_eq!(function.unfinished(), 128);
        function.packet_out(DATA, &[]);
        assert_eq!(function.pop_frame().map(|frame| frame.len()), Some(128));
        assert!(function.push_frame(vec![0; 128]));
        let lengths: Vec<_> = (0..3)
            .map(|_| match function.packet_in(DATA, 64) {
                Answer::Data(bytes) => bytes.len(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(lengths, [64, 64, 0]);
        assert_eq!(function.packet_in(DATA, 64), Answer::Nak);
    }
}
