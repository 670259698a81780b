//! Where postcard writes to and reads from.
//!
//! postcard's own are made to be inlined into the code of every field of every
//! message; here that would be a third of the code of the protocol. What these
//! do for a field is not inlined, and writing and comparing are one type.

use core::fmt;

use heapless::Vec;
use postcard::{Error, Result, de_flavors, ser_flavors};
use serde::de::{DeserializeSeed, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

enum Sink<'a> {
    /// Bytes go here; how many have.
    Write(&'a mut [u8], usize),
    /// Bytes must be these.
    Compare(&'a [u8]),
}

impl ser_flavors::Flavor for Sink<'_> {
    /// Bytes written, or left to be compared.
    type Output = usize;

    #[inline(never)]
    fn try_extend(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Sink::Write(buffer, at) => {
                let place = buffer.get_mut(*at..).and_then(|rest| rest.get_mut(..bytes.len()));
                place.ok_or(Error::SerializeBufferFull)?.copy_from_slice(bytes);
                *at += bytes.len();
            }
            Sink::Compare(there) => {
                *there = there.strip_prefix(bytes).ok_or(Error::SerdeSerCustom)?;
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn try_push(&mut self, byte: u8) -> Result<()> {
        self.try_extend(&[byte])
    }

    fn finalize(self) -> Result<usize> {
        Ok(match self {
            Sink::Write(_, at) => at,
            Sink::Compare(rest) => rest.len(),
        })
    }
}

/// Encodes into `buffer`; how many bytes.
pub(crate) fn write<T: Serialize + ?Sized>(value: &T, buffer: &mut [u8]) -> Result<usize> {
    postcard::serialize_with_flavor(value, Sink::Write(buffer, 0))
}

/// Does `bytes` begin with the encoding of `value`? How many are left behind it.
pub(crate) fn compare<T: Serialize + ?Sized>(value: &T, bytes: &[u8]) -> Result<usize> {
    postcard::serialize_with_flavor(value, Sink::Compare(bytes))
}

struct Source<'a>(&'a [u8]);

impl<'a> de_flavors::Flavor<'a> for Source<'a> {
    type Remainder = &'a [u8];
    type Source = &'a [u8];

    #[inline(never)]
    fn pop(&mut self) -> Result<u8> {
        let (first, rest) = self.0.split_first().ok_or(Error::DeserializeUnexpectedEnd)?;
        self.0 = rest;
        Ok(*first)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }

    #[inline(never)]
    fn try_take_n(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) =
            self.0.split_at_checked(count).ok_or(Error::DeserializeUnexpectedEnd)?;
        self.0 = rest;
        Ok(taken)
    }

    fn finalize(self) -> Result<&'a [u8]> {
        Ok(self.0)
    }
}

/// Takes a value from the front of `bytes`; what is left behind it.
pub(crate) fn take<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<(T, &'a [u8])> {
    let mut deserializer = postcard::Deserializer::from_flavor(Source(bytes));
    let value = T::deserialize(&mut deserializer)?;
    Ok((value, deserializer.finalize()?))
}

/// Byte arrays, and lists of them, a byte at a time in a loop: serde's own code
/// for `[u8; 32]` is one piece of code 32 times. For `deserialize_with`.
struct Bytes<const N: usize>;

impl<'a, const N: usize> Visitor<'a> for Bytes<N> {
    type Value = [u8; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> core::result::Result<[u8; N], A::Error> {
        let mut bytes = [0; N];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(at, &self))?;
        }
        Ok(bytes)
    }
}

impl<'a, const N: usize> DeserializeSeed<'a> for Bytes<N> {
    type Value = [u8; N];

    fn deserialize<D: Deserializer<'a>>(self, from: D) -> core::result::Result<[u8; N], D::Error> {
        from.deserialize_tuple(N, self)
    }
}

/// Takes a byte array.
pub(crate) fn array<'a, const N: usize, D: Deserializer<'a>>(
    from: D,
) -> core::result::Result<[u8; N], D::Error> {
    Bytes.deserialize(from)
}

struct List<const N: usize, const MAX: usize>;

impl<'a, const N: usize, const MAX: usize> Visitor<'a> for List<N, MAX> {
    type Value = Vec<[u8; N], MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of bytes")
    }

    fn visit_seq<A: SeqAccess<'a>>(
        self,
        mut seq: A,
    ) -> core::result::Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = seq.next_element_seed(Bytes)? {
            let length = list.len() + 1;
            list.push(item).map_err(|_| A::Error::invalid_length(length, &self))?;
        }
        Ok(list)
    }
}

/// Takes a list of byte arrays.
pub(crate) fn list<'a, const N: usize, const MAX: usize, D: Deserializer<'a>>(
    from: D,
) -> core::result::Result<Vec<[u8; N], MAX>, D::Error> {
    from.deserialize_seq(List)
}
