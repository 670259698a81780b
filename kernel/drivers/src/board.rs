//! What board this is, from the revision code the firmware reports
//! (mailbox tag 0x10002, ATAG_REVISION or `linux,revision`).
//!
//! New-style codes carry a flag in bit 23 and fields below it; old-style codes
//! are a number in the low byte, with warranty bits 24 and 25 above.

/// Models of the BCM2835 family. The Compute Module and the A boards have no
/// LAN chip but run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Model {
    /// A.
    A,
    /// B: LAN9512.
    B,
    /// A+.
    APlus,
    /// B+: LAN9514.
    BPlus,
    /// Compute Module 1.
    Compute,
    /// Zero: bare OTG port.
    Zero,
    /// Zero W: bare OTG port, radio on the PL011's pins 32/33.
    ZeroW,
    /// A code this table does not know, or a board with another processor.
    Unknown,
}

/// The activity LED.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Led {
    /// GPIO number.
    pub pin: u8,
    /// Lit when the pin is low.
    pub active_low: bool,
}

/// A board.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Board {
    /// The revision code itself.
    pub code: u32,
    /// The model.
    pub model: Model,
    /// RAM fitted, shared with the VideoCore, in MiB; 0 = unknown.
    pub memory_mib: u16,
    /// The activity LED, if the model has one at a known pin.
    pub led: Option<Led>,
    /// Does the firmware give the PL011 to the radio, so that the console pins
    /// must be rerouted?
    pub uart_remux: bool,
    /// Is there an Ethernet chip on the board?
    pub lan: bool,
}

const NEW_STYLE: u32 = 1 << 23;

impl Board {
    /// Decodes a revision code. Never fails: what is not known is
    /// [`Model::Unknown`] without LED.
    #[must_use]
    pub const fn from_revision(code: u32) -> Self {
        let (model, memory_mib) =
            if code & NEW_STYLE != 0 { new_style(code) } else { old_style(code & 0xFF) };
        let led = match model {
            Model::A | Model::B => Some(Led { pin: 16, active_low: true }),
            Model::APlus | Model::BPlus | Model::Compute => {
                Some(Led { pin: 47, active_low: false })
            }
            Model::Zero | Model::ZeroW => Some(Led { pin: 47, active_low: true }),
            Model::Unknown => None,
        };
        Self {
            code,
            model,
            memory_mib,
            led,
            uart_remux: matches!(model, Model::ZeroW),
            lan: matches!(model, Model::B | Model::BPlus),
        }
    }

    /// The board's name as people write it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.model {
            Model::A => "Raspberry Pi 1 A",
            Model::B => "Raspberry Pi 1 B",
            Model::APlus => "Raspberry Pi 1 A+",
            Model::BPlus => "Raspberry Pi 1 B+",
            Model::Compute => "Raspberry Pi Compute Module 1",
            Model::Zero => "Raspberry Pi Zero",
            Model::ZeroW => "Raspberry Pi Zero W",
            Model::Unknown => "unknown board",
        }
    }
}

/// Bits 22:20 memory, 15:12 processor (0 = BCM2835), 11:4 type.
const fn new_style(code: u32) -> (Model, u16) {
    let memory = 256u16 << (code >> 20 & 7);
    if code >> 12 & 0xF != 0 {
        return (Model::Unknown, memory);
    }
    let model = match code >> 4 & 0xFF {
        0x00 => Model::A,
        0x01 => Model::B,
        0x02 => Model::APlus,
        0x03 => Model::BPlus,
        0x06 => Model::Compute,
        0x09 => Model::Zero,
        0x0C => Model::ZeroW,
        _ => Model::Unknown,
    };
    (model, memory)
}

const fn old_style(code: u32) -> (Model, u16) {
    match code {
        0x02..=0x06 => (Model::B, 256),
        0x07..=0x09 => (Model::A, 256),
        0x0D..=0x0F => (Model::B, 512),
        0x10 | 0x13 => (Model::BPlus, 512),
        0x11 | 0x14 => (Model::Compute, 512),
        // The A+ was sold with 256 and with 512 MiB under the same code.
        0x12 | 0x15 => (Model::APlus, 0),
        _ => (Model::Unknown, 0),
    }
}
