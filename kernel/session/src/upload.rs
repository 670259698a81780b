//! The receiving end of an upload: one bit per chunk (protocol section 1.10).
//!
//! Writes are idempotent, so a duplicated, reordered or replayed chunk needs no
//! special case and the receiver needs no timer. The first bytes written stay;
//! whether they were the right ones is for the digest at COMMIT to say.

use sk_abi::Status;
use sk_wire::frames::{ACK_SPAN, CHUNK};

/// Largest object that can be uploaded, bytes.
pub const OBJECT_MAX: u32 = 16 << 20;
/// Chunks of the largest object.
pub const CHUNKS_MAX: usize = (OBJECT_MAX as usize).div_ceil(CHUNK);
/// An ACK is due after this many chunks at the latest.
pub const ACK_EVERY: u8 = 8;

const CHUNK_U32: u32 = CHUNK as u32;

/// Number of chunks of an object of `size` bytes.
#[must_use]
pub const fn chunks(size: u32) -> u32 {
    size.div_ceil(CHUNK_U32)
}

/// What a PUT turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Put {
    /// Not seen before: to be written.
    New,
    /// Seen before: to be ignored, but acknowledged.
    Duplicate,
}

/// Which chunks of one object have arrived, and whether an ACK is owed.
#[derive(Debug)]
pub struct Upload {
    size: u32,
    base: u32,
    /// One more than the highest chunk seen.
    top: u32,
    /// The chunk that comes next if nothing is lost or reordered.
    expected: u32,
    unacknowledged: u8,
    ack_due: bool,
    bits: [u8; CHUNKS_MAX.div_ceil(8)],
}

impl Upload {
    /// Nothing expected.
    #[must_use]
    pub const fn new() -> Self {
        Upload {
            size: 0,
            base: 0,
            top: 0,
            expected: 0,
            unacknowledged: 0,
            ack_due: false,
            bits: [0; CHUNKS_MAX.div_ceil(8)],
        }
    }

    /// Starts over for an object of `size` bytes; `false` if that is too many.
    #[must_use]
    pub fn begin(&mut self, size: u32) -> bool {
        if size > OBJECT_MAX {
            return false;
        }
        let used = (self.top as usize).div_ceil(8).min(self.bits.len());
        if let Some(bits) = self.bits.get_mut(..used) {
            bits.fill(0);
        }
        self.size = size;
        (self.base, self.top, self.expected) = (0, 0, 0);
        (self.unacknowledged, self.ack_due) = (0, false);
        true
    }

    /// Is everything there?
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.base == chunks(self.size)
    }

    /// First missing chunk.
    #[must_use]
    pub const fn base(&self) -> u32 {
        self.base
    }

    fn has(&self, index: u32) -> bool {
        self.bits.get(index as usize / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
    }

    /// Takes note of `len` bytes at `offset`. Only whole chunks at their own
    /// places are right, the last one shorter; anything else is RANGE.
    pub fn put(&mut self, offset: u32, len: usize) -> Result<Put, Status> {
        let index = offset / CHUNK_U32;
        let right = offset < self.size
            && offset.is_multiple_of(CHUNK_U32)
            && len == (self.size - offset).min(CHUNK_U32) as usize;
        let Some(byte) = self.bits.get_mut(index as usize / 8).filter(|_| right) else {
            return Err(Status::RANGE);
        };
        let bit = 1 << (index % 8);
        let put = if *byte & bit == 0 { Put::New } else { Put::Duplicate };
        *byte |= bit;
        self.unacknowledged = self.unacknowledged.saturating_add(1);
        self.ack_due |=
            put == Put::Duplicate || index != self.expected || self.unacknowledged >= ACK_EVERY;
        self.expected = index + 1;
        self.top = self.top.max(index + 1);
        while self.base < self.top && self.has(self.base) {
            self.base += 1;
        }
        self.ack_due |= self.is_complete();
        Ok(put)
    }

    /// Nothing more is waiting to be received: whatever is owed is owed now.
    pub fn queue_empty(&mut self) {
        self.ack_due |= self.unacknowledged > 0;
    }

    /// Asks for an ACK whatever has arrived.
    pub fn request_ack(&mut self) {
        self.ack_due = true;
    }

    /// Should an ACK be sent?
    #[must_use]
    pub const fn ack_due(&self) -> bool {
        self.ack_due
    }

    /// What an ACK says: `(base, bitmap)`; nothing is owed afterwards.
    pub fn take_ack(&mut self) -> (u32, [u8; ACK_SPAN / 8]) {
        (self.unacknowledged, self.ack_due) = (0, false);
        let mut bitmap = [0; ACK_SPAN / 8];
        let first = self.base.saturating_add(1);
        let (byte, shift) = (first as usize / 8, first % 8);
        let used = (self.top.saturating_sub(first) as usize).div_ceil(8);
        for (i, out) in bitmap.iter_mut().enumerate().take(used) {
            let at = |k: usize| u16::from(self.bits.get(byte + i + k).copied().unwrap_or(0));
            // The window of 8 bits may straddle two bytes of the bitmap.
            *out = ((at(0) | at(1) << 8) >> shift).to_le_bytes()[0];
        }
        (self.base, bitmap)
    }
}

impl Default for Upload {
    fn default() -> Self {
        Upload::new()
    }
}
