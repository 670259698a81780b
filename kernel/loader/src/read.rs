//! Varints: LEB128 in its shortest form, 32 bits.

use crate::{Field, Refusal};
use sk_abi::Status;

/// A cursor over bytes that were received.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn byte(&mut self, field: Field) -> Result<u8, Refusal> {
        let (&first, rest) = self.rest.split_first().ok_or(Refusal::new(Status::HEADER, field))?;
        self.rest = rest;
        Ok(first)
    }

    pub(crate) fn take(&mut self, len: u32, field: Field) -> Result<&'a [u8], Refusal> {
        let (taken, rest) =
            self.rest.split_at_checked(len as usize).ok_or(Refusal::new(Status::SEGMENT, field))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn varint(&mut self, field: Field) -> Result<u32, Refusal> {
        let bad = Refusal::new(Status::HEADER, field);
        let mut value = 0u32;
        for shift in [0u32, 7, 14, 21, 28] {
            let byte = self.byte(field)?;
            let bits = u32::from(byte & 0x7F);
            if shift == 28 && byte > 0x0F {
                return Err(bad); // more than 32 bits, or a sixth byte
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                // A last byte of zero could have been left out.
                return if byte == 0 && shift > 0 { Err(bad) } else { Ok(value) };
            }
        }
        Err(bad)
    }
}
