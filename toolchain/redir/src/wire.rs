//! The usbredir messages as bytes: little endian, packed.
//!
//! Numbers and layouts are those of the protocol's description
//! (`docs/usb-redirection-protocol.md` of usbredir, version 0.7, BSD licence),
//! as far as control, bulk and interrupt transfers need them. Every message has
//! a header of type, length and id; the id has 32 bits in HELLO and 64 in all
//! others once both sides have announced [`caps::IDS_64`].

/// Capabilities, as bits of HELLO's word.
pub mod caps {
    /// `device_connect` ends with the device's version.
    pub const CONNECT_VERSION: u32 = 1 << 1;
    /// `ep_info` ends with packet sizes.
    pub const MAX_PACKET: u32 = 1 << 4;
    /// Ids have 64 bits.
    pub const IDS_64: u32 = 1 << 5;
    /// A bulk packet's length has 32 bits.
    pub const BULK_32: u32 = 1 << 6;
    /// What this side announces. Streams (bit 0) would lengthen `ep_info`;
    /// bulk receiving (bit 7) and acknowledged disconnects (bit 3) are not done.
    pub const OURS: u32 = CONNECT_VERSION | MAX_PACKET | IDS_64 | BULK_32;
}

/// How a request went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Status {
    /// Done.
    Success = 0,
    /// Taken back by the guest, or the device is going.
    Cancelled = 1,
    /// The request made no sense.
    Invalid = 2,
    /// A bus error.
    IoError = 3,
    /// The function refused.
    Stall = 4,
    /// No answer in time.
    Timeout = 5,
    /// More bytes than asked for.
    Babble = 6,
}

/// Endpoints of one direction pair: 16 OUT, then 16 IN.
pub const ENDPOINTS: usize = 32;

/// What an endpoint is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum EndpointType {
    /// Control.
    Control = 0,
    /// Isochronous.
    Isochronous = 1,
    /// Bulk.
    Bulk = 2,
    /// Interrupt.
    Interrupt = 3,
    /// There is none of this address.
    Absent = 255,
}

/// One endpoint's line in `ep_info`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EndpointInfo {
    /// Its kind.
    pub kind: EndpointType,
    /// bInterval.
    pub interval: u8,
    /// The interface it belongs to.
    pub interface: u8,
    /// Bytes of a packet.
    pub max_packet: u16,
}

impl EndpointInfo {
    /// No endpoint.
    pub const ABSENT: Self =
        Self { kind: EndpointType::Absent, interval: 0, interface: 0, max_packet: 0 };
}

/// Where an endpoint address stands in `ep_info`.
#[must_use]
pub const fn endpoint_index(address: u8) -> usize {
    (((address & 0x80) >> 3) | (address & 0x0f)) as usize
}

/// One interface's line in `interface_info`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InterfaceInfo {
    /// bInterfaceNumber.
    pub number: u8,
    /// bInterfaceClass.
    pub class: u8,
    /// bInterfaceSubClass.
    pub subclass: u8,
    /// bInterfaceProtocol.
    pub protocol: u8,
}

/// `device_connect`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Connect {
    /// 0 low, 1 full, 2 high.
    pub speed: u8,
    /// bDeviceClass.
    pub class: u8,
    /// bDeviceSubClass.
    pub subclass: u8,
    /// bDeviceProtocol.
    pub protocol: u8,
    /// idVendor.
    pub vendor: u16,
    /// idProduct.
    pub product: u16,
    /// bcdDevice.
    pub version: u16,
}

/// A control transfer, or its outcome.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Control {
    /// Endpoint, bit 7 = IN.
    pub endpoint: u8,
    /// bRequest.
    pub request: u8,
    /// bmRequestType.
    pub request_type: u8,
    /// 0 in a request.
    pub status: u8,
    /// wValue.
    pub value: u16,
    /// wIndex.
    pub index: u16,
    /// wLength, or how many bytes were moved.
    pub length: u16,
    /// OUT in a request, IN in an answer.
    pub data: Vec<u8>,
}

/// A bulk transfer, or its outcome.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bulk {
    /// Endpoint, bit 7 = IN.
    pub endpoint: u8,
    /// 0 in a request.
    pub status: u8,
    /// Bytes asked for, or moved.
    pub length: u32,
    /// Stream number; 0.
    pub stream: u32,
    /// OUT in a request, IN in an answer.
    pub data: Vec<u8>,
}

/// One packet of an interrupt endpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interrupt {
    /// Endpoint, bit 7 = IN.
    pub endpoint: u8,
    /// [`Status`].
    pub status: u8,
    /// Bytes moved.
    pub length: u16,
    /// The bytes.
    pub data: Vec<u8>,
}

/// What stands after the header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// The first message each way: who it is, and its capabilities.
    Hello {
        /// Name and version, at most 63 bytes of it.
        version: String,
        /// Its first word of capabilities.
        caps: u32,
    },
    /// A device is there.
    DeviceConnect(Connect),
    /// It is gone.
    DeviceDisconnect,
    /// Bus reset.
    Reset,
    /// The interfaces of the configuration, at most 32.
    InterfaceInfo(Vec<InterfaceInfo>),
    /// Its endpoints.
    EndpointInfo(Box<[EndpointInfo; ENDPOINTS]>),
    /// SET_CONFIGURATION.
    SetConfiguration(u8),
    /// GET_CONFIGURATION.
    GetConfiguration,
    /// The answer to both.
    ConfigurationStatus {
        /// [`Status`].
        status: u8,
        /// bConfigurationValue.
        configuration: u8,
    },
    /// SET_INTERFACE.
    SetAlternate {
        /// The interface.
        interface: u8,
        /// Its setting.
        alternate: u8,
    },
    /// GET_INTERFACE.
    GetAlternate(u8),
    /// The answer to both.
    AlternateStatus {
        /// [`Status`].
        status: u8,
        /// The interface.
        interface: u8,
        /// Its setting.
        alternate: u8,
    },
    /// The endpoint's packets are to be sent as they come.
    StartInterrupt(u8),
    /// No longer.
    StopInterrupt(u8),
    /// The answer to both.
    InterruptStatus {
        /// [`Status`].
        status: u8,
        /// The endpoint.
        endpoint: u8,
    },
    /// The request with the id of this message is not wanted any more.
    Cancel,
    /// A control transfer or its outcome.
    Control(Control),
    /// A bulk transfer or its outcome.
    Bulk(Bulk),
    /// A packet of an interrupt endpoint.
    Interrupt(Interrupt),
    /// A type that is not spoken here.
    Other {
        /// Its type.
        kind: u32,
        /// What came with it.
        body: Vec<u8>,
    },
}

/// A message with its id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    /// Chosen by whoever asks, repeated in the answer.
    pub id: u64,
    /// The rest.
    pub message: Message,
}

/// Layouts that depend on what both sides can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Format {
    common: u32,
}

impl Format {
    /// The layouts when these capabilities are common to both sides; 0 until
    /// both HELLOs are through.
    #[must_use]
    pub const fn of(common: u32) -> Self {
        Self { common }
    }

    const fn has(self, capability: u32) -> bool {
        self.common & capability != 0
    }

    const fn header_len(self, kind: u32) -> usize {
        if self.has(caps::IDS_64) && kind != kind::HELLO { 16 } else { 12 }
    }
}

mod kind {
    pub(super) const HELLO: u32 = 0;
    pub(super) const DEVICE_CONNECT: u32 = 1;
    pub(super) const DEVICE_DISCONNECT: u32 = 2;
    pub(super) const RESET: u32 = 3;
    pub(super) const INTERFACE_INFO: u32 = 4;
    pub(super) const EP_INFO: u32 = 5;
    pub(super) const SET_CONFIGURATION: u32 = 6;
    pub(super) const GET_CONFIGURATION: u32 = 7;
    pub(super) const CONFIGURATION_STATUS: u32 = 8;
    pub(super) const SET_ALT_SETTING: u32 = 9;
    pub(super) const GET_ALT_SETTING: u32 = 10;
    pub(super) const ALT_SETTING_STATUS: u32 = 11;
    pub(super) const START_INTERRUPT_RECEIVING: u32 = 15;
    pub(super) const STOP_INTERRUPT_RECEIVING: u32 = 16;
    pub(super) const INTERRUPT_RECEIVING_STATUS: u32 = 17;
    pub(super) const CANCEL_DATA_PACKET: u32 = 21;
    pub(super) const CONTROL_PACKET: u32 = 100;
    pub(super) const BULK_PACKET: u32 = 101;
    pub(super) const INTERRUPT_PACKET: u32 = 103;
}

/// Bytes of HELLO's text.
const VERSION_LEN: usize = 64;

/// No message that a guest may send is longer; QEMU's longest is a bulk OUT
/// of one channel's transfer (19 bits of length).
pub const MAX_BODY: usize = 1 << 20;

/// Why bytes are no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// The header announces more than [`MAX_BODY`].
    TooLong(u32),
    /// A message of this type cannot have this length.
    Length {
        /// The type.
        kind: u32,
        /// Bytes of its body.
        length: usize,
    },
    /// A field has a value that does not exist.
    Value {
        /// The type.
        kind: u32,
    },
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLong(length) => write!(f, "a message of {length} bytes"),
            Self::Length { kind, length } => {
                write!(f, "a message of type {kind} with {length} bytes")
            }
            Self::Value { kind } => write!(f, "a field out of range in a message of type {kind}"),
        }
    }
}

impl std::error::Error for Malformed {}

impl Packet {
    /// Adds the message to `out`.
    pub fn encode(&self, format: Format, out: &mut Vec<u8>) {
        let (kind, body) = self.message.encode(format);
        out.extend(kind.to_le_bytes());
        out.extend((body.len() as u32).to_le_bytes());
        if format.header_len(kind) == 16 {
            out.extend(self.id.to_le_bytes());
        } else {
            out.extend((self.id as u32).to_le_bytes());
        }
        out.extend(body);
    }

    /// The first message in `bytes` and how many it takes; `None` if it is not
    /// complete.
    ///
    /// # Errors
    /// [`Malformed`]: where the next message begins may not be known, so the
    /// connection is of no more use.
    pub fn decode(format: Format, bytes: &[u8]) -> Result<Option<(Self, usize)>, Malformed> {
        let mut header = Reader(bytes);
        let (Some(kind), Some(length)) = (header.u32(), header.u32()) else {
            return Ok(None);
        };
        if length as usize > MAX_BODY {
            return Err(Malformed::TooLong(length));
        }
        let id =
            if format.header_len(kind) == 16 { header.u64() } else { header.u32().map(u64::from) };
        let (Some(id), Some(body)) = (id, header.0.get(..length as usize)) else {
            return Ok(None);
        };
        let message = Message::decode(format, kind, body)?;
        Ok(Some((Self { id, message }, format.header_len(kind) + body.len())))
    }
}

impl Message {
    fn encode(&self, format: Format) -> (u32, Vec<u8>) {
        let mut body = Vec::new();
        let kind = match self {
            Self::Hello { version, caps } => {
                let text = &version.as_bytes()[..version.len().min(VERSION_LEN - 1)];
                body.extend_from_slice(text);
                body.resize(VERSION_LEN, 0);
                body.extend(caps.to_le_bytes());
                kind::HELLO
            }
            Self::DeviceConnect(connect) => {
                body.extend([connect.speed, connect.class, connect.subclass, connect.protocol]);
                body.extend(connect.vendor.to_le_bytes());
                body.extend(connect.product.to_le_bytes());
                if format.has(caps::CONNECT_VERSION) {
                    body.extend(connect.version.to_le_bytes());
                }
                kind::DEVICE_CONNECT
            }
            Self::DeviceDisconnect => kind::DEVICE_DISCONNECT,
            Self::Reset => kind::RESET,
            Self::InterfaceInfo(interfaces) => {
                let known = &interfaces[..interfaces.len().min(32)];
                body.extend((known.len() as u32).to_le_bytes());
                let columns: [fn(&InterfaceInfo) -> u8; 4] =
                    [|i| i.number, |i| i.class, |i| i.subclass, |i| i.protocol];
                for column in columns {
                    let mut bytes = [0; 32];
                    bytes.iter_mut().zip(known).for_each(|(byte, i)| *byte = column(i));
                    body.extend(bytes);
                }
                kind::INTERFACE_INFO
            }
            Self::EndpointInfo(endpoints) => {
                body.extend(endpoints.iter().map(|e| e.kind as u8));
                body.extend(endpoints.iter().map(|e| e.interval));
                body.extend(endpoints.iter().map(|e| e.interface));
                if format.has(caps::MAX_PACKET) {
                    body.extend(endpoints.iter().flat_map(|e| e.max_packet.to_le_bytes()));
                }
                kind::EP_INFO
            }
            Self::SetConfiguration(value) => {
                body.push(*value);
                kind::SET_CONFIGURATION
            }
            Self::GetConfiguration => kind::GET_CONFIGURATION,
            Self::ConfigurationStatus { status, configuration } => {
                body.extend([*status, *configuration]);
                kind::CONFIGURATION_STATUS
            }
            Self::SetAlternate { interface, alternate } => {
                body.extend([*interface, *alternate]);
                kind::SET_ALT_SETTING
            }
            Self::GetAlternate(interface) => {
                body.push(*interface);
                kind::GET_ALT_SETTING
            }
            Self::AlternateStatus { status, interface, alternate } => {
                body.extend([*status, *interface, *alternate]);
                kind::ALT_SETTING_STATUS
            }
            Self::StartInterrupt(endpoint) => {
                body.push(*endpoint);
                kind::START_INTERRUPT_RECEIVING
            }
            Self::StopInterrupt(endpoint) => {
                body.push(*endpoint);
                kind::STOP_INTERRUPT_RECEIVING
            }
            Self::InterruptStatus { status, endpoint } => {
                body.extend([*status, *endpoint]);
                kind::INTERRUPT_RECEIVING_STATUS
            }
            Self::Cancel => kind::CANCEL_DATA_PACKET,
            Self::Control(packet) => {
                body.extend([packet.endpoint, packet.request, packet.request_type, packet.status]);
                for half in [packet.value, packet.index, packet.length] {
                    body.extend(half.to_le_bytes());
                }
                body.extend_from_slice(&packet.data);
                kind::CONTROL_PACKET
            }
            Self::Bulk(packet) => {
                body.extend([packet.endpoint, packet.status]);
                body.extend((packet.length as u16).to_le_bytes());
                body.extend(packet.stream.to_le_bytes());
                if format.has(caps::BULK_32) {
                    body.extend(((packet.length >> 16) as u16).to_le_bytes());
                }
                body.extend_from_slice(&packet.data);
                kind::BULK_PACKET
            }
            Self::Interrupt(packet) => {
                body.extend([packet.endpoint, packet.status]);
                body.extend(packet.length.to_le_bytes());
                body.extend_from_slice(&packet.data);
                kind::INTERRUPT_PACKET
            }
            Self::Other { kind, body: bytes } => {
                body.extend_from_slice(bytes);
                *kind
            }
        };
        (kind, body)
    }

    fn decode(format: Format, kind: u32, body: &[u8]) -> Result<Self, Malformed> {
        let wrong = Malformed::Length { kind, length: body.len() };
        let mut reader = Reader(body);
        let message = Self::read(format, kind, &mut reader).ok_or(wrong)?;
        if let Self::EndpointInfo(_) = message
            && body[..ENDPOINTS].iter().any(|kind| endpoint_type(*kind).is_none())
        {
            return Err(Malformed::Value { kind });
        }
        // Data packets and unknown messages have taken all.
        if reader.0.is_empty() { Ok(message) } else { Err(wrong) }
    }

    /// `None` if the body is too short; what is too much is left.
    fn read(format: Format, kind: u32, body: &mut Reader<'_>) -> Option<Self> {
        Some(match kind {
            kind::HELLO => {
                let text = body.take(VERSION_LEN)?;
                let text = text.split(|byte| *byte == 0).next()?;
                let version = String::from_utf8_lossy(text).into_owned();
                // More words of capabilities may come one day.
                let caps = body.u32()?;
                body.0 = &[];
                Self::Hello { version, caps }
            }
            kind::DEVICE_CONNECT => Self::DeviceConnect(Connect {
                speed: body.u8()?,
                class: body.u8()?,
                subclass: body.u8()?,
                protocol: body.u8()?,
                vendor: body.u16()?,
                product: body.u16()?,
                version: if format.has(caps::CONNECT_VERSION) { body.u16()? } else { 0 },
            }),
            kind::DEVICE_DISCONNECT => Self::DeviceDisconnect,
            kind::RESET => Self::Reset,
            kind::INTERFACE_INFO => {
                let count = body.u32()? as usize;
                let [numbers, classes, subclasses, protocols] =
                    [body.take(32)?, body.take(32)?, body.take(32)?, body.take(32)?];
                let rows = numbers.iter().zip(classes).zip(subclasses).zip(protocols);
                let rows = rows.map(|(((n, c), s), p)| InterfaceInfo {
                    number: *n,
                    class: *c,
                    subclass: *s,
                    protocol: *p,
                });
                Self::InterfaceInfo(rows.take(count).collect())
            }
            kind::EP_INFO => {
                let mut endpoints = Box::new([EndpointInfo::ABSENT; ENDPOINTS]);
                let [kinds, intervals, interfaces] =
                    [body.take(ENDPOINTS)?, body.take(ENDPOINTS)?, body.take(ENDPOINTS)?];
                for (at, endpoint) in endpoints.iter_mut().enumerate() {
                    *endpoint = EndpointInfo {
                        kind: endpoint_type(kinds[at]).unwrap_or(EndpointType::Absent),
                        interval: intervals[at],
                        interface: interfaces[at],
                        max_packet: 0,
                    };
                }
                if format.has(caps::MAX_PACKET) {
                    for endpoint in endpoints.iter_mut() {
                        endpoint.max_packet = body.u16()?;
                    }
                }
                Self::EndpointInfo(endpoints)
            }
            kind::SET_CONFIGURATION => Self::SetConfiguration(body.u8()?),
            kind::GET_CONFIGURATION => Self::GetConfiguration,
            kind::CONFIGURATION_STATUS => {
                Self::ConfigurationStatus { status: body.u8()?, configuration: body.u8()? }
            }
            kind::SET_ALT_SETTING => {
                Self::SetAlternate { interface: body.u8()?, alternate: body.u8()? }
            }
            kind::GET_ALT_SETTING => Self::GetAlternate(body.u8()?),
            kind::ALT_SETTING_STATUS => Self::AlternateStatus {
                status: body.u8()?,
                interface: body.u8()?,
                alternate: body.u8()?,
            },
            kind::START_INTERRUPT_RECEIVING => Self::StartInterrupt(body.u8()?),
            kind::STOP_INTERRUPT_RECEIVING => Self::StopInterrupt(body.u8()?),
            kind::INTERRUPT_RECEIVING_STATUS => {
                Self::InterruptStatus { status: body.u8()?, endpoint: body.u8()? }
            }
            kind::CANCEL_DATA_PACKET => Self::Cancel,
            kind::CONTROL_PACKET => Self::Control(Control {
                endpoint: body.u8()?,
                request: body.u8()?,
                request_type: body.u8()?,
                status: body.u8()?,
                value: body.u16()?,
                index: body.u16()?,
                length: body.u16()?,
                data: body.rest(),
            }),
            kind::BULK_PACKET => {
                let (endpoint, status) = (body.u8()?, body.u8()?);
                let (low, stream) = (body.u16()?, body.u32()?);
                let high = if format.has(caps::BULK_32) { body.u16()? } else { 0 };
                let length = (u32::from(high) << 16) | u32::from(low);
                Self::Bulk(Bulk { endpoint, status, length, stream, data: body.rest() })
            }
            kind::INTERRUPT_PACKET => Self::Interrupt(Interrupt {
                endpoint: body.u8()?,
                status: body.u8()?,
                length: body.u16()?,
                data: body.rest(),
            }),
            _ => Self::Other { kind, body: body.rest() },
        })
    }
}

fn endpoint_type(number: u8) -> Option<EndpointType> {
    Some(match number {
        0 => EndpointType::Control,
        1 => EndpointType::Isochronous,
        2 => EndpointType::Bulk,
        3 => EndpointType::Interrupt,
        255 => EndpointType::Absent,
        _ => return None,
    })
}

/// Bytes from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0).to_vec()
    }
}
