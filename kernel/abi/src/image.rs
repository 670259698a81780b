//! The payload image `skx1`: what is sent to a board.
//!
//! ```text
//! 'K'  version  presence  text_len
//! [entry] [data_len] [bss_len] [stack] [relocs] [imports] [flags]
//! text  data  relocations  imports
//! ```
//!
//! `text_len` and the optional fields are varints (LEB128, at most five bytes,
//! in their shortest form). An optional field stands in the header only if its
//! presence bit is set, and then it is not zero: each image has one encoding.
//!
//! * `entry`: byte offset in the text, a multiple of 4.
//! * `data_len`: bytes of data in the file. In memory data starts at the text's
//!   address + `text_len` rounded up to [`PAGE`], and bss follows at once.
//! * `stack`: units of [`STACK_UNIT`]; absent = [`STACK_DEFAULT`].
//! * `relocs`: how many words of the data hold an address. Each is a varint:
//!   the distance in words from the previous one (the first: from the start of
//!   the data, plus one), so never zero. The loader adds the text's address.
//! * `imports`: how many services the payload cannot do without; as many ids
//!   follow, 32 bits little-endian, ascending.

/// The first byte.
pub const MAGIC: u8 = b'K';

/// Version of this format (the high four bits of the second byte).
pub const FORMAT_VERSION: u8 = 1;

/// The second byte: format version and ABI version.
pub const VERSION: u8 = FORMAT_VERSION << 4 | crate::ABI_VERSION;

/// Bits of the presence byte, in the order of the fields. Bit 7 is zero.
pub mod presence {
    /// `entry` is present (else 0).
    pub const ENTRY: u8 = 1 << 0;
    /// `data_len` is present (else 0).
    pub const DATA: u8 = 1 << 1;
    /// `bss_len` is present (else 0).
    pub const BSS: u8 = 1 << 2;
    /// `stack` is present (else [`super::STACK_DEFAULT`]).
    pub const STACK: u8 = 1 << 3;
    /// `relocs` is present (else 0).
    pub const RELOCS: u8 = 1 << 4;
    /// `imports` is present (else 0).
    pub const IMPORTS: u8 = 1 << 5;
    /// `flags` is present (else 0).
    pub const FLAGS: u8 = 1 << 6;
    /// The bits this version knows.
    pub const KNOWN: u8 = 0x7F;
}

/// Bits of the `flags` field.
pub mod flags {
    /// Contains VFP instructions. Every kernel of this version runs it; one for
    /// a board without VFP could not.
    pub const HARD_FLOAT: u32 = 1 << 0;
    /// Needs privileges: refused when run shielded.
    pub const DIRECT: u32 = 1 << 1;
    /// The flags this version knows.
    pub const KNOWN: u32 = 0x3;
}

/// Unit of memory protection: areas of a task start at multiples of it.
pub const PAGE: u32 = 4096;
/// Unit of the `stack` field in bytes.
pub const STACK_UNIT: u32 = 256;
/// Stack of an image without a `stack` field, in bytes.
pub const STACK_DEFAULT: u32 = 16 * 1024;
/// Largest stack in bytes.
pub const STACK_MAX: u32 = 16 * 1024 * 1024;
/// Largest text (code and constants) in bytes.
pub const TEXT_MAX: u32 = 16 * 1024 * 1024;
/// Largest initialised data in bytes.
pub const DATA_MAX: u32 = 16 * 1024 * 1024;
/// Largest zeroed data in bytes.
pub const BSS_MAX: u32 = 256 * 1024 * 1024;
/// Most imports.
pub const IMPORTS_MAX: u32 = crate::SLOTS as u32;
/// Shortest possible image: four bytes of header, one instruction.
pub const SMALLEST: usize = 8;
