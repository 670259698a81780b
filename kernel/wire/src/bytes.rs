//! A reader and a writer over fixed arrays, for layouts given as tables.
//!
//! Neither can index out of range: the reader answers `None`, the writer drops
//! what does not fit and is checked for fullness by every golden test.

/// Takes fields off the front of a slice.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Succeeds if nothing but zeros is left.
    pub(crate) fn zeros(self) -> Option<()> {
        self.0.iter().all(|&byte| byte == 0).then_some(())
    }
}

/// Not inlined: it is there for every field of every layout.
#[inline(never)]
fn put(bytes: &mut [u8], at: usize, field: &[u8]) -> usize {
    let end = at.saturating_add(field.len());
    if let Some(place) = bytes.get_mut(at..end) {
        place.copy_from_slice(field);
    }
    end
}

/// Puts fields into an array that starts out zeroed.
pub(crate) struct Writer<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Writer<N> {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; N], at: 0 }
    }

    pub(crate) fn put(mut self, field: &[u8]) -> Self {
        self.at = put(&mut self.bytes, self.at, field);
        self
    }

    /// The array; what was not written is the zero padding.
    pub(crate) fn done(self) -> [u8; N] {
        debug_assert!(self.at <= N, "a layout is longer than its datagram");
        self.bytes
    }
}
