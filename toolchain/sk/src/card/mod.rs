//! An SD card that boots: what is on it, how it lies there, where it goes.
//!
//! The boot ROM of the BCM2835 looks for a FAT partition in the MBR of the card
//! and loads `bootcode.bin` from it; that loads `start*.elf` with its
//! `fixup*.dat`, and that reads `config.txt`, puts `kernel.img` at 0x8000, the
//! configuration where `config.txt` says, and lets the ARM go.

mod firmware;
mod target;
mod texts;
mod volume;

pub(crate) use firmware::Firmware;
pub(crate) use target::{System, Target};
pub(crate) use texts::{Facts, config_txt, readme};
pub(crate) use volume::{check, write};

/// The file in which the configuration lies.
pub(crate) const BLOB: &str = "serverkernel.cfg";

/// A file of the card.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

impl Entry {
    pub(crate) fn new(name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}

/// Which board the card is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Model {
    /// Raspberry Pi Zero
    Zero,
    /// Raspberry Pi Zero W
    ZeroW,
    /// Raspberry Pi 1 B, 256 or 512 MiB
    #[value(name = "1b")]
    OneB,
    /// Raspberry Pi 1 B+
    #[value(name = "1b-plus")]
    OneBPlus,
}

impl Model {
    /// As on its circuit board.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Zero => "Raspberry Pi Zero",
            Self::ZeroW => "Raspberry Pi Zero W",
            Self::OneB => "Raspberry Pi 1 Model B",
            Self::OneBPlus => "Raspberry Pi 1 Model B+",
        }
    }

    /// The name a board of this model gets if its owner gives none.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Zero => "zero",
            Self::ZeroW => "zero-w",
            Self::OneB => "1b",
            Self::OneBPlus => "1b-plus",
        }
    }
    /// Where its network cable goes.
    pub(crate) const fn network(self) -> &'static str {
        match self {
            Self::Zero | Self::ZeroW => {
                "\
A USB Ethernet adapter that offers CDC-ECM, or one of SMSC's LAN95xx, goes
into the port marked USB, power into the other one."
            }
            Self::OneB | Self::OneBPlus => "The network cable goes into the board's own socket.",
        }
    }
}
