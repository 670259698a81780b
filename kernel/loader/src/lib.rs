//! Payload image checks and relocation arithmetic: bytes in, plan out.
//!
//! An image is an allegation. [`Plan::parse`] turns it into something whose
//! lengths were checked, without doing anything; [`Layout::new`] finds
//! addresses and permissions in the task's region; [`Load`] carries the two
//! out in bounded steps over a [`TaskMemory`], which is memory on the board and
//! a vector in tests. The format is described in [`sk_abi::image`].
//!
//! Whatever is refused is refused with a status and the name of the field that
//! was wrong; nothing here panics, whatever the bytes.
#![no_std]
#![forbid(unsafe_code)]

mod layout;
mod load;
mod plan;
mod read;

pub use layout::{Access, Area, GUARD, GUARD_ABOVE, Layout, Part, Request};
pub use load::{Load, Progress, TaskMemory};
pub use plan::{Imports, Plan, RelocCursor};

use sk_abi::Status;

/// Which part of an image, or of what was asked along with it, was wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    /// The first byte.
    Magic,
    /// Format version, high half of the second byte.
    Format,
    /// ABI version, low half of the second byte.
    Abi,
    /// The presence bits.
    Presence,
    /// The header's text length.
    TextLen,
    /// The entry offset.
    Entry,
    /// The header's data length.
    DataLen,
    /// The length of zeroed data.
    BssLen,
    /// The stack size.
    Stack,
    /// The number of relocations, or one of them.
    Relocs,
    /// The number of imports, or one of them.
    Imports,
    /// The flags.
    Flags,
    /// The text itself.
    Text,
    /// The data itself.
    Data,
    /// Bytes after the end.
    Trailing,
    /// The region: everything together does not fit.
    Region,
}

impl Field {
    /// The field's name as the format's description has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Field::Magic => "magic",
            Field::Format => "format version",
            Field::Abi => "ABI version",
            Field::Presence => "presence bits",
            Field::TextLen => "text_len",
            Field::Entry => "entry",
            Field::DataLen => "data_len",
            Field::BssLen => "bss_len",
            Field::Stack => "stack",
            Field::Relocs => "relocs",
            Field::Imports => "imports",
            Field::Flags => "flags",
            Field::Text => "text",
            Field::Data => "data",
            Field::Trailing => "bytes after the end",
            Field::Region => "region",
        }
    }
}

/// Why an image is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// What goes to the client.
    pub status: Status,
    /// What was wrong.
    pub field: Field,
}

impl Refusal {
    pub(crate) const fn new(status: Status, field: Field) -> Self {
        Self { status, field }
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}: {}", self.field.name(), self.status)
    }
}

impl core::error::Error for Refusal {}
