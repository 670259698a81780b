//! DATA: the header in front of sealed frames.
//!
//! `prelude | receiver_index u32 | counter u64 | AEAD(frames)`. The counter is
//! the nonce; the header is not further authenticated, because a changed index
//! finds another key and a changed counter another nonce, and either fails the
//! tag (Noise rev. 34, 11.4; plain Noise has empty associated data in transport).

use crate::bytes::{Reader, Writer};
use crate::handshake::TAG_LEN;
use crate::prelude::{Kind, PRELUDE_LEN, Prelude};

/// Longest plaintext of one DATA: 22 whole ChaCha20 blocks.
pub const MAX_PLAINTEXT: usize = 1408;

/// Longest SKP/1 datagram: leaves 32 bytes of a 1500-byte MTU for a tunnel.
pub const MAX_DATAGRAM: usize = DataHeader::LEN + MAX_PLAINTEXT + TAG_LEN;

const _: () = assert!(MAX_DATAGRAM == 1440);

/// The clear part of a DATA datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DataHeader {
    /// The receiver's name for the session.
    pub receiver_index: u32,
    /// Nonce; each is used once.
    pub counter: u64,
}

impl DataHeader {
    /// Length of the header.
    pub const LEN: usize = 16;
    /// Length of the shortest DATA datagram (one byte of plaintext).
    pub const MIN_DATAGRAM: usize = Self::LEN + 1 + TAG_LEN;

    /// Reads the header of a whole DATA datagram, whose length must allow for
    /// 1 to [`MAX_PLAINTEXT`] bytes of plaintext.
    #[must_use]
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let length_ok = (Self::MIN_DATAGRAM..=MAX_DATAGRAM).contains(&datagram.len());
        if !length_ok || Prelude::parse(datagram)?.kind != Kind::Data {
            return None;
        }
        let mut r = Reader::new(datagram.get(PRELUDE_LEN..)?);
        Some(Self { receiver_index: r.u32()?, counter: r.u64()? })
    }

    /// The sixteen bytes.
    #[must_use]
    pub fn emit(&self) -> [u8; Self::LEN] {
        Writer::new()
            .put(&Prelude::new(Kind::Data).emit())
            .put(&self.receiver_index.to_le_bytes())
            .put(&self.counter.to_le_bytes())
            .done()
    }
}
