//! Descriptors (USB 2.0 section 9.6): what a device says about itself.
//!
//! A descriptor is an allegation. [`Configuration::parse`] walks every byte
//! once (bLength at least 2 and never past the end, wTotalLength bounded by
//! what was received, interfaces and endpoints of full length), so that the
//! iterators that come after cannot fail.
//!
//! A configuration longer than the buffer it was read into is *truncated*, not
//! refused: what was received whole is used, the cut descriptor is not. If the
//! function looked for lies behind the cut, no class driver will match.

/// bDescriptorType values (USB 2.0 table 9-5, CDC 1.2 table 12).
pub mod kind {
    /// DEVICE.
    pub const DEVICE: u8 = 1;
    /// CONFIGURATION.
    pub const CONFIGURATION: u8 = 2;
    /// STRING.
    pub const STRING: u8 = 3;
    /// INTERFACE.
    pub const INTERFACE: u8 = 4;
    /// ENDPOINT.
    pub const ENDPOINT: u8 = 5;
    /// CS_INTERFACE: a class-specific descriptor of an interface.
    pub const CS_INTERFACE: u8 = 0x24;
}

/// Bytes of the configuration descriptor proper.
pub const CONFIGURATION_HEADER: usize = 9;

/// What is wrong with a descriptor. The device is at fault in every case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DescriptorError {
    /// Fewer bytes than its kind must have.
    Short,
    /// bLength below 2, or wTotalLength below the header.
    Length,
    /// bLength reaches past the end of the configuration.
    Overrun,
    /// bDescriptorType is not the one that was asked for.
    Kind,
    /// A field has a value the specification does not know.
    Field,
}

fn byte(bytes: &[u8], at: usize) -> Result<u8, DescriptorError> {
    bytes.get(at).copied().ok_or(DescriptorError::Short)
}

fn word(bytes: &[u8], at: usize) -> Result<u16, DescriptorError> {
    Ok(u16::from_le_bytes([byte(bytes, at)?, byte(bytes, at.saturating_add(1))?]))
}

/// The device descriptor (USB 2.0 table 9-8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeviceDescriptor {
    /// bDeviceClass, bDeviceSubClass, bDeviceProtocol.
    pub class: [u8; 3],
    /// bMaxPacketSize0: 8, 16, 32 or 64.
    pub max_packet0: u8,
    /// idVendor.
    pub vendor: u16,
    /// idProduct.
    pub product: u16,
    /// bNumConfigurations.
    pub configurations: u8,
}

impl DeviceDescriptor {
    /// bMaxPacketSize0 from the first eight bytes, all that can be asked for
    /// before it is known.
    ///
    /// # Errors
    /// `Short`, `Kind`, or `Field` for a size that is not 8, 16, 32 or 64.
    pub fn max_packet0(bytes: &[u8]) -> Result<u8, DescriptorError> {
        if byte(bytes, 1)? != kind::DEVICE {
            return Err(DescriptorError::Kind);
        }
        match byte(bytes, 7)? {
            size @ (8 | 16 | 32 | 64) => Ok(size),
            _ => Err(DescriptorError::Field),
        }
    }

    /// Reads all eighteen bytes.
    ///
    /// # Errors
    /// As [`Self::max_packet0`]; `Length` if bLength is below 18.
    pub fn parse(bytes: &[u8]) -> Result<Self, DescriptorError> {
        let max_packet0 = Self::max_packet0(bytes)?;
        if byte(bytes, 0)? < 18 {
            return Err(DescriptorError::Length);
        }
        Ok(Self {
            class: [byte(bytes, 4)?, byte(bytes, 5)?, byte(bytes, 6)?],
            max_packet0,
            vendor: word(bytes, 8)?,
            product: word(bytes, 10)?,
            configurations: byte(bytes, 17)?,
        })
    }
}

/// wTotalLength of a configuration whose header was read.
///
/// # Errors
/// `Short`, `Kind`, or `Length` if it is less than the header itself.
pub fn configuration_length(header: &[u8]) -> Result<u16, DescriptorError> {
    if byte(header, 1)? != kind::CONFIGURATION {
        return Err(DescriptorError::Kind);
    }
    let total = word(header, 2)?;
    if usize::from(total) < CONFIGURATION_HEADER {
        return Err(DescriptorError::Length);
    }
    Ok(total)
}

/// One descriptor, its length checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Raw<'a> {
    bytes: &'a [u8],
}

impl<'a> Raw<'a> {
    /// All bytes, bLength and bDescriptorType included; at least two.
    #[must_use]
    pub const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// bDescriptorType.
    #[must_use]
    pub fn kind(self) -> u8 {
        self.bytes.get(1).copied().unwrap_or(0)
    }

    /// The byte at `at`, if the descriptor is that long.
    #[must_use]
    pub fn byte(self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    /// The little-endian word at `at`, if the descriptor is that long.
    #[must_use]
    pub fn word(self, at: usize) -> Option<u16> {
        word(self.bytes, at).ok()
    }
}

/// Cuts the first descriptor off.
fn split(bytes: &[u8]) -> Result<(Raw<'_>, &[u8]), DescriptorError> {
    let length = usize::from(byte(bytes, 0)?);
    if length < 2 {
        return Err(DescriptorError::Length);
    }
    match (bytes.get(..length), bytes.get(length..)) {
        (Some(first), Some(rest)) => Ok((Raw { bytes: first }, rest)),
        _ => Err(DescriptorError::Overrun),
    }
}

/// The descriptors of a checked range, one after the other.
#[derive(Clone, Debug)]
pub struct Descriptors<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Descriptors<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        let (raw, rest) = split(self.rest).ok()?;
        self.rest = rest;
        Some(raw)
    }
}

/// A configuration with everything that follows it, its lengths checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Configuration<'a> {
    /// bConfigurationValue: what SET_CONFIGURATION wants.
    pub value: u8,
    /// The device has more than was received.
    pub truncated: bool,
    body: &'a [u8],
}

impl<'a> Configuration<'a> {
    /// Checks the configuration in `received`, the bytes that came.
    ///
    /// # Errors
    /// Anything of [`DescriptorError`]. A cut in the middle of a descriptor is
    /// an error only if wTotalLength says that all was received.
    pub fn parse(received: &'a [u8]) -> Result<Self, DescriptorError> {
        let total = usize::from(configuration_length(received)?);
        let truncated = total > received.len();
        let whole = received.get(..total).unwrap_or(received);
        let header = usize::from(byte(whole, 0)?);
        let value = byte(whole, 5)?;
        if header < CONFIGURATION_HEADER || whole.len() < CONFIGURATION_HEADER {
            return Err(DescriptorError::Short);
        }
        let body = whole.get(header..).ok_or(DescriptorError::Overrun)?;

        let mut rest = body;
        let mut checked = 0;
        while !rest.is_empty() {
            match split(rest) {
                Ok((raw, next)) => {
                    let least = match raw.kind() {
                        kind::INTERFACE => 9,
                        kind::ENDPOINT => 7,
                        _ => 2,
                    };
                    if raw.bytes.len() < least {
                        return Err(DescriptorError::Short);
                    }
                    checked += raw.bytes.len();
                    rest = next;
                }
                Err(DescriptorError::Overrun) if truncated => break,
                Err(error) => return Err(error),
            }
        }
        let body = body.get(..checked).unwrap_or(body);
        Ok(Self { value, truncated, body })
    }

    /// Every descriptor after the header, in order.
    #[must_use]
    pub const fn descriptors(&self) -> Descriptors<'a> {
        Descriptors { rest: self.body }
    }

    /// Every interface descriptor (each alternate setting is one) with what
    /// follows it.
    #[must_use]
    pub const fn interfaces(&self) -> Interfaces<'a> {
        Interfaces { rest: self.body }
    }
}

/// One alternate setting of an interface (USB 2.0 table 9-12).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interface<'a> {
    /// bInterfaceNumber.
    pub number: u8,
    /// bAlternateSetting.
    pub alternate: u8,
    /// bInterfaceClass.
    pub class: u8,
    /// bInterfaceSubClass.
    pub subclass: u8,
    /// bInterfaceProtocol.
    pub protocol: u8,
    body: &'a [u8],
}

impl<'a> Interface<'a> {
    /// What follows this interface descriptor, up to the next one.
    #[must_use]
    pub const fn descriptors(&self) -> Descriptors<'a> {
        Descriptors { rest: self.body }
    }

    /// Its endpoints.
    pub fn endpoints(&self) -> impl Iterator<Item = Endpoint> + use<'a> {
        self.descriptors().filter_map(Endpoint::from_raw)
    }
}

/// The interfaces of a configuration.
#[derive(Clone, Debug)]
pub struct Interfaces<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Interfaces<'a> {
    type Item = Interface<'a>;

    fn next(&mut self) -> Option<Interface<'a>> {
        let mut walk = Descriptors { rest: self.rest };
        let head = walk.find(|raw| raw.kind() == kind::INTERFACE)?;
        let start = walk.rest;
        let mut length = 0;
        for raw in walk.take_while(|raw| raw.kind() != kind::INTERFACE) {
            length += raw.bytes.len();
        }
        let (body, rest) = start.split_at_checked(length)?;
        self.rest = rest;
        Some(Interface {
            number: head.byte(2)?,
            alternate: head.byte(3)?,
            class: head.byte(5)?,
            subclass: head.byte(6)?,
            protocol: head.byte(7)?,
            body,
        })
    }
}

/// Transfer type (bmAttributes bits 1:0).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EndpointType {
    /// Control.
    Control,
    /// Isochronous.
    Isochronous,
    /// Bulk.
    Bulk,
    /// Interrupt.
    Interrupt,
}

/// An endpoint (USB 2.0 table 9-13).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// bEndpointAddress: bit 7 = IN, bits 3:0 number.
    pub address: u8,
    /// Transfer type.
    pub transfer: EndpointType,
    /// wMaxPacketSize, bits 10:0.
    pub max_packet: u16,
    /// bInterval.
    pub interval: u8,
}

impl Endpoint {
    fn from_raw(raw: Raw<'_>) -> Option<Self> {
        if raw.kind() != kind::ENDPOINT {
            return None;
        }
        Some(Self {
            address: raw.byte(2)?,
            transfer: match raw.byte(3)? & 3 {
                0 => EndpointType::Control,
                1 => EndpointType::Isochronous,
                2 => EndpointType::Bulk,
                _ => EndpointType::Interrupt,
            },
            max_packet: raw.word(4)? & 0x7ff,
            interval: raw.byte(6)?,
        })
    }

    /// Endpoint number.
    #[must_use]
    pub const fn number(&self) -> u8 {
        self.address & 0x0f
    }

    /// Device to host?
    #[must_use]
    pub const fn is_in(&self) -> bool {
        self.address & 0x80 != 0
    }
}
