//! The transmit ring, and the text that marks a gap in it.

/// Bytes in order of arrival, at most `N`.
#[derive(Debug)]
pub(super) struct Ring<const N: usize> {
    bytes: [u8; N],
    first: usize,
    len: usize,
}

impl<const N: usize> Ring<N> {
    pub(super) const fn new() -> Self {
        assert!(N >= 64, "room for the mark of a gap");
        Self { bytes: [0; N], first: 0, len: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn free(&self) -> usize {
        N - self.len
    }

    /// Takes as much of `bytes` as fits and returns how much that was.
    pub(super) fn push(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.free());
        for (i, byte) in bytes.iter().take(taken).enumerate() {
            if let Some(place) = self.bytes.get_mut((self.first + self.len + i) % N) {
                *place = *byte;
            }
        }
        self.len += taken;
        taken
    }

    pub(super) fn pop(&mut self) -> Option<u8> {
        if self.len == 0 {
            return None;
        }
        let byte = self.bytes.get(self.first).copied();
        self.first = (self.first + 1) % N;
        self.len -= 1;
        byte
    }
}

/// A short line of text without `core::fmt`.
pub(super) struct Text {
    bytes: [u8; 40],
    len: usize,
}

impl Text {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; 40], len: 0 }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    /// `\r\n[N bytes lost]\r\n`
    pub(super) fn gap(&mut self, lost: u32) {
        self.put(b"\r\n[");
        let mut digits = [0u8; 10];
        let mut at = digits.len();
        let mut rest = lost;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
            at -= 1;
            if rest == 0 {
                break;
            }
        }
        self.put(digits.get(at..).unwrap_or(&[]));
        self.put(b" bytes lost]\r\n");
    }

    fn put(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(place) = self.bytes.get_mut(self.len) {
                *place = *byte;
                self.len += 1;
            }
        }
    }
}
