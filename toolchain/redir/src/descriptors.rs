//! What QEMU must be told of a function before it accepts it, from the
//! function's own descriptors (USB 2.0 section 9.6).

use sk_hal::usb::{Setup, Speed};
use sk_models::usb::{Answer, UsbFunction};

use crate::wire::{
    Connect, ENDPOINTS, EndpointInfo, EndpointType, InterfaceInfo, Message, endpoint_index,
};

const DEVICE: u8 = 1;
const CONFIGURATION: u8 = 2;
const INTERFACE: u8 = 4;
const ENDPOINT: u8 = 5;

/// A function's descriptors.
#[derive(Clone, Debug)]
pub(crate) struct Descriptors {
    device: Vec<u8>,
    configurations: Vec<Vec<u8>>,
}

fn descriptor(function: &mut dyn UsbFunction, kind: u8, index: u8, length: u16) -> Option<Vec<u8>> {
    let value = u16::from_le_bytes([index, kind]);
    let setup = Setup { request_type: 0x80, request: 6, value, index: 0, length };
    match function.control(setup, &[]) {
        Answer::Data(bytes) => Some(bytes),
        _ => None,
    }
}

impl Descriptors {
    /// Asks for them; `None` if the function does not give them.
    pub(crate) fn read(function: &mut dyn UsbFunction) -> Option<Self> {
        let device = descriptor(function, DEVICE, 0, 18)?;
        let count = *device.get(17)?;
        let mut configurations = Vec::new();
        for index in 0..count.min(8) {
            configurations.push(descriptor(function, CONFIGURATION, index, 4096)?);
        }
        Some(Self { device, configurations })
    }

    /// `device_connect`.
    pub(crate) fn connect(&self, speed: Speed) -> Connect {
        let byte = |at: usize| self.device.get(at).copied().unwrap_or(0);
        let half = |at| u16::from_le_bytes([byte(at), byte(at + 1)]);
        Connect {
            speed: match speed {
                Speed::Low => 0,
                Speed::Full => 1,
                Speed::High => 2,
            },
            class: byte(4),
            subclass: byte(5),
            protocol: byte(6),
            vendor: half(8),
            product: half(10),
            version: half(12),
        }
    }

    /// The layout of a configuration by its value, with all interfaces in
    /// setting 0; of the first one if there is none with this value.
    pub(crate) fn layout(&self, value: u8) -> Layout {
        let with_value = self.configurations.iter().find(|bytes| bytes.get(5) == Some(&value));
        let bytes = with_value.or(self.configurations.first());
        Layout { bytes: bytes.cloned().unwrap_or_default(), alternates: Vec::new() }
    }
}

/// A configuration and the settings chosen in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    bytes: Vec<u8>,
    alternates: Vec<(u8, u8)>,
}

impl Layout {
    /// Notes SET_INTERFACE.
    pub(crate) fn choose(&mut self, interface: u8, alternate: u8) {
        self.alternates.retain(|(chosen, _)| *chosen != interface);
        self.alternates.push((interface, alternate));
    }

    fn alternate(&self, interface: u8) -> u8 {
        self.alternates.iter().find(|(i, _)| *i == interface).map_or(0, |(_, chosen)| *chosen)
    }

    /// The two tables: what `interface_info` and `ep_info` say.
    pub(crate) fn tables(&self) -> (Vec<InterfaceInfo>, Box<[EndpointInfo; ENDPOINTS]>) {
        let mut interfaces = Vec::new();
        let mut endpoints = Box::new([EndpointInfo::ABSENT; ENDPOINTS]);
        let control =
            EndpointInfo { kind: EndpointType::Control, max_packet: 64, ..EndpointInfo::ABSENT };
        (endpoints[0], endpoints[16]) = (control, control);
        let mut current = None;
        let mut rest = self.bytes.as_slice();
        while let Some((piece, after)) = split(rest) {
            rest = after;
            match *piece {
                [_, INTERFACE, number, alternate, _, class, subclass, protocol, ..] => {
                    current = (self.alternate(number) == alternate).then_some(number);
                    if current.is_some() {
                        interfaces.push(InterfaceInfo { number, class, subclass, protocol });
                    }
                }
                [_, ENDPOINT, address, attributes, low, high, interval, ..] => {
                    let Some(interface) = current else { continue };
                    endpoints[endpoint_index(address)] = EndpointInfo {
                        kind: match attributes & 3 {
                            0 => EndpointType::Control,
                            1 => EndpointType::Isochronous,
                            2 => EndpointType::Bulk,
                            _ => EndpointType::Interrupt,
                        },
                        interval,
                        interface,
                        max_packet: u16::from_le_bytes([low, high]) & 0x7ff,
                    };
                }
                _ => {}
            }
        }
        (interfaces, endpoints)
    }

    /// Both as messages, in the order in which they are sent.
    pub(crate) fn messages(&self) -> [Message; 2] {
        let (interfaces, endpoints) = self.tables();
        [Message::InterfaceInfo(interfaces), Message::EndpointInfo(endpoints)]
    }
}

/// The first descriptor and what follows it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = usize::from(*bytes.first()?);
    if length < 2 {
        return None;
    }
    bytes.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sk_models::ecm::EcmFunction;

    fn addresses(layout: &Layout) -> Vec<usize> {
        let (_, endpoints) = layout.tables();
        (0..32).filter(|at| endpoints[*at].kind != EndpointType::Absent).collect()
    }

    #[test]
    fn endpoints_come_with_the_setting_that_has_them() {
        let mut function = EcmFunction::high_speed([2, 0, 0, 0, 0, 1]);
        let descriptors = Descriptors::read(&mut function).unwrap();
        assert_eq!(descriptors.connect(Speed::High).vendor, 0x0bda);
        // The vendor's own configuration: bulk 0x81, 0x02, interrupt 0x83.
        assert_eq!(addresses(&descriptors.layout(1)), [0, 2, 16, 17, 19]);
        let mut ecm = descriptors.layout(2);
        assert_eq!(addresses(&ecm), [0, 16, 17]);
        ecm.choose(1, 1);
        assert_eq!(addresses(&ecm), [0, 2, 16, 17, 18]);
        let (interfaces, endpoints) = ecm.tables();
        assert_eq!(interfaces.len(), 2);
        assert_eq!((endpoints[18].max_packet, endpoints[18].interface), (512, 1));
        assert_eq!((endpoints[17].kind, endpoints[17].interval), (EndpointType::Interrupt, 8));
        ecm.choose(1, 0);
        assert_eq!(addresses(&ecm), [0, 16, 17]);
    }

    #[test]
    fn descriptors_cut_anywhere_are_read_as_far_as_they_go() {
        let mut function = EcmFunction::high_speed([2, 0, 0, 0, 0, 1]);
        let whole = Descriptors::read(&mut function).unwrap().layout(2);
        for length in 0..whole.bytes.len() {
            let layout = Layout { bytes: whole.bytes[..length].to_vec(), alternates: vec![(1, 1)] };
            assert!(layout.tables().0.len() <= 2);
        }
        let zero = Layout { bytes: vec![0; 40], alternates: Vec::new() };
        assert!(zero.tables().0.is_empty());
    }
}
