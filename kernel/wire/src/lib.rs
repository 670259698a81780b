//! Every datagram, control message and the configuration blob of SKP/1.
//!
//! Bytes and their meaning, nothing else: no cryptography beyond the blob's
//! checksum, no state, no time. Kernel and host tools link the same code. A
//! parser returns a value only if the input has the exact length, zero padding
//! and no undefined bits, so that every value has one encoding; byte-exact
//! golden files in `tests/golden` freeze that encoding per protocol version.
#![no_std]
#![forbid(unsafe_code)]

mod bytes;
mod codec;

pub mod blob;
pub mod control;
pub mod data;
pub mod discovery;
pub mod frames;
pub mod handshake;
pub mod manifest;
pub mod prelude;

pub use data::{DataHeader, MAX_DATAGRAM, MAX_PLAINTEXT};
pub use discovery::{Beacon, Hello, HelloReply, Label};
pub use handshake::{HsInit, HsResp, InitPayload, Prologue, RespPayload, TAG_LEN};
pub use prelude::{
    BootId, CapsDigest, ClientNonce, Cookie, KeyId, Kind, LastEnd, PORT, Prelude, Reason, Roles,
    State, VERSION, key_id,
};

/// A received datagram, told apart by magic, version, type and exact length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Datagram {
    /// A board announces itself.
    Beacon(Beacon),
    /// A client looks for boards.
    Hello(Hello),
    /// A board answers.
    HelloReply(HelloReply),
    /// A client opens a session.
    HsInit(HsInit),
    /// A board accepts it.
    HsResp(HsResp),
    /// Sealed frames; they stay in the caller's buffer, to be opened in place.
    Data(DataHeader),
}

impl Datagram {
    /// Recognises and reads a UDP payload. `None`: drop it without a reply.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        Some(match Prelude::parse(bytes)?.kind {
            Kind::Beacon => Self::Beacon(Beacon::parse(bytes)?),
            Kind::Hello => Self::Hello(Hello::parse(bytes)?),
            Kind::HelloReply => Self::HelloReply(HelloReply::parse(bytes)?),
            Kind::HsInit => Self::HsInit(HsInit::parse(bytes)?),
            Kind::HsResp => Self::HsResp(HsResp::parse(bytes)?),
            Kind::Data => Self::Data(DataHeader::parse(bytes)?),
        })
    }
}
