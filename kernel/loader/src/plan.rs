//! Reading an image: its parts and what it asks for.

use crate::read::Reader;
use crate::{Field, Refusal};
use sk_abi::{Status, image};

/// An image whose header and lengths were checked. Relocations are checked
/// where they are walked: by [`Plan::check`], or by [`crate::Load`] in steps.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// Code and constants.
    pub text: &'a [u8],
    /// Initialised data.
    pub data: &'a [u8],
    /// Bytes of zeroed data after it.
    pub bss_len: u32,
    /// Entry point as an offset in the text.
    pub entry: u32,
    /// Stack in bytes.
    pub stack_len: u32,
    /// [`sk_abi::image::flags`], all known.
    pub flags: u32,
    relocs: &'a [u8],
    reloc_count: u32,
    imports: &'a [u8],
    header_len: usize,
}

impl<'a> Plan<'a> {
    /// Reads an image. Takes time in proportion to the number of imports only.
    ///
    /// # Errors
    /// A status and the field that was wrong.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let bad = |field| Refusal::new(Status::HEADER, field);
        let mut r = Reader::new(bytes);
        if r.byte(Field::Magic)? != image::MAGIC {
            return Err(bad(Field::Magic));
        }
        let version = r.byte(Field::Format)?;
        if version >> 4 != image::FORMAT_VERSION {
            return Err(Refusal::new(Status::FORMAT, Field::Format));
        }
        if version & 0xF != image::VERSION & 0xF {
            return Err(Refusal::new(Status::ABI, Field::Abi));
        }
        let presence = r.byte(Field::Presence)?;
        if presence & !image::presence::KNOWN != 0 {
            return Err(bad(Field::Presence));
        }
        let text_len = r.varint(Field::TextLen)?;
        let mut optional = |bit, field, absent, max| {
            if presence & bit == 0 {
                return Ok(absent);
            }
            let value = r.varint(field)?;
            match value {
                0 => Err(bad(field)),
                v if v > max => Err(Refusal::new(Status::TOO_BIG, field)),
                v => Ok(v),
            }
        };
        let entry = optional(image::presence::ENTRY, Field::Entry, 0, u32::MAX)?;
        let data_len = optional(image::presence::DATA, Field::DataLen, 0, image::DATA_MAX)?;
        let bss_len = optional(image::presence::BSS, Field::BssLen, 0, image::BSS_MAX)?;
        let stack_units = optional(
            image::presence::STACK,
            Field::Stack,
            image::STACK_DEFAULT / image::STACK_UNIT,
            image::STACK_MAX / image::STACK_UNIT,
        )?;
        let reloc_count = optional(image::presence::RELOCS, Field::Relocs, 0, u32::MAX)?;
        let imports = optional(image::presence::IMPORTS, Field::Imports, 0, image::IMPORTS_MAX)?;
        let flags = optional(image::presence::FLAGS, Field::Flags, 0, u32::MAX)?;

        if text_len < 4 {
            return Err(bad(Field::TextLen));
        }
        if text_len > image::TEXT_MAX {
            return Err(Refusal::new(Status::TOO_BIG, Field::TextLen));
        }
        if entry % 4 != 0 || entry > text_len - 4 {
            return Err(Refusal::new(Status::ENTRY, Field::Entry));
        }
        if flags & !image::flags::KNOWN != 0 {
            return Err(bad(Field::Flags));
        }
        if reloc_count > data_len / 4 {
            return Err(Refusal::new(Status::RELOC, Field::Relocs));
        }

        let header_len = bytes.len() - r.rest().len();
        let text = r.take(text_len, Field::Text)?;
        let data = r.take(data_len, Field::Data)?;
        // Imports have a known size and stand at the end, so what is between
        // must be the relocations.
        let import_bytes = imports.checked_mul(4).ok_or(bad(Field::Imports))? as usize;
        let (relocs, imports) = r
            .rest()
            .len()
            .checked_sub(import_bytes)
            .and_then(|at| r.rest().split_at_checked(at))
            .ok_or(Refusal::new(Status::SEGMENT, Field::Imports))?;
        if reloc_count == 0 && !relocs.is_empty() {
            return Err(bad(Field::Trailing));
        }
        if relocs.len() < reloc_count as usize {
            return Err(Refusal::new(Status::SEGMENT, Field::Relocs));
        }
        let plan = Self {
            text,
            data,
            bss_len,
            entry,
            stack_len: stack_units * image::STACK_UNIT,
            flags,
            relocs,
            reloc_count,
            imports,
            header_len,
        };
        let mut last = None;
        for id in plan.imports() {
            if last.is_some_and(|last| id <= last) {
                return Err(bad(Field::Imports));
            }
            last = Some(id);
        }
        Ok(plan)
    }

    /// Walks all relocations as well: the whole of what can be known before
    /// the image is loaded. For tools; a kernel lets [`crate::Load`] find out.
    ///
    /// # Errors
    /// The first relocation that is malformed, out of order or out of range.
    pub fn check(&self) -> Result<(), Refusal> {
        let mut cursor = RelocCursor::new(self);
        while cursor.next(self)?.is_some() {}
        Ok(())
    }

    /// Bytes of the header.
    #[must_use]
    pub const fn header_len(&self) -> usize {
        self.header_len
    }

    /// Bytes the relocations take.
    #[must_use]
    pub const fn relocs_len(&self) -> usize {
        self.relocs.len()
    }

    /// How many relocations are announced.
    #[must_use]
    pub const fn reloc_count(&self) -> u32 {
        self.reloc_count
    }

    /// Ids of the services the payload cannot do without, ascending.
    #[must_use]
    pub fn imports(&self) -> Imports<'a> {
        Imports { rest: self.imports }
    }

    /// The first import that `offered` does not know or does not grant.
    pub fn unresolved(&self, mut offered: impl FnMut(u32) -> bool) -> Option<u32> {
        self.imports().find(|&id| !offered(id))
    }

    /// Must it be run privileged?
    #[must_use]
    pub const fn needs_direct(&self) -> bool {
        self.flags & image::flags::DIRECT != 0
    }

    /// Where data starts, seen from the start of the text: the next page.
    #[must_use]
    pub fn data_offset(&self) -> u32 {
        // At most TEXT_MAX, so neither cast nor rounding can overflow.
        (self.text.len() as u32).next_multiple_of(image::PAGE)
    }
}

/// The ids of an image's imports.
#[derive(Clone, Debug)]
pub struct Imports<'a> {
    rest: &'a [u8],
}

impl Iterator for Imports<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let (id, rest) = self.rest.split_first_chunk::<4>()?;
        self.rest = rest;
        Some(u32::from_le_bytes(*id))
    }
}

/// A place in the list of relocations. Apart from the image, so that it can be
/// kept between two steps.
#[derive(Clone, Copy, Debug)]
pub struct RelocCursor {
    at: usize,
    left: u32,
    /// Words of the data up to and including the last one relocated.
    words: u32,
}

impl RelocCursor {
    /// Before the first relocation.
    #[must_use]
    pub const fn new(plan: &Plan<'_>) -> Self {
        Self { at: 0, left: plan.reloc_count, words: 0 }
    }

    /// Byte offset in the data of the next word that holds an address; `None`
    /// after the last.
    ///
    /// # Errors
    /// The relocation is malformed or outside the data, or bytes are left over
    /// after the last one.
    pub fn next(&mut self, plan: &Plan<'_>) -> Result<Option<u32>, Refusal> {
        let bad = Refusal::new(Status::RELOC, Field::Relocs);
        let rest = plan.relocs.get(self.at..).ok_or(bad)?;
        if self.left == 0 {
            return if rest.is_empty() {
                Ok(None)
            } else {
                Err(Refusal::new(Status::HEADER, Field::Trailing))
            };
        }
        let mut r = Reader::new(rest);
        let step = r.varint(Field::Relocs).map_err(|_| bad)?;
        let words = self.words.checked_add(step).ok_or(bad)?;
        if step == 0 || words as usize > plan.data.len() / 4 {
            return Err(bad);
        }
        self.words = words;
        self.left -= 1;
        self.at += rest.len() - r.rest().len();
        Ok(Some((words - 1) * 4))
    }
}
