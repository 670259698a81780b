//! HS_INIT and HS_RESP, the two messages of `Noise_IKpsk2`, and what they carry.
//!
//! The layouts follow the Noise tokens: `e, es, s, ss, payload` then
//! `e, ee, se, psk, payload` (Noise Protocol Framework rev. 34, 7.5 and 9.4).
//! The cryptography is in `sk-session`; here are bytes only.

use crate::bytes::{Reader, Writer};
use crate::discovery::{Hello, HelloReply, body};
use crate::prelude::{
    BootId, CapsDigest, ClientNonce, Cookie, Kind, Prelude, Roles, State, VERSION,
};

/// Length of an authentication tag.
pub const TAG_LEN: usize = 16;

/// First handshake message, client to board.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HsInit {
    /// The client's name for the session: the board's DATA will carry it.
    pub sender_index: u32,
    /// As in the HELLO that got the cookie.
    pub client_nonce: ClientNonce,
    /// Ephemeral public key.
    pub e: [u8; 32],
    /// Sealed static public key.
    pub s: [u8; 48],
    /// Sealed [`InitPayload`].
    pub payload: [u8; 48],
    /// BLAKE2s-128 keyed with the cookie over everything before it.
    pub mac: [u8; 16],
}

impl HsInit {
    /// Length of the datagram.
    pub const LEN: usize = 168;
    /// Length of what `mac` covers.
    pub const MACED_LEN: usize = Self::LEN - 16;

    /// Checks and reads an HS_INIT.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut r = body(bytes, Kind::HsInit, Self::LEN)?;
        Some(Self {
            sender_index: r.u32()?,
            client_nonce: r.array()?,
            e: r.array()?,
            s: r.array()?,
            payload: r.array()?,
            mac: r.array()?,
        })
    }

    /// The bytes that `mac` covers: the datagram without its last 16.
    #[must_use]
    pub fn maced_part(&self) -> [u8; Self::MACED_LEN] {
        Writer::new()
            .put(&Prelude::new(Kind::HsInit).emit())
            .put(&self.sender_index.to_le_bytes())
            .put(&self.client_nonce)
            .put(&self.e)
            .put(&self.s)
            .put(&self.payload)
            .done()
    }

    /// The datagram.
    #[must_use]
    pub fn emit(&self) -> [u8; Self::LEN] {
        Writer::new().put(&self.maced_part()).put(&self.mac).done()
    }
}

/// Second handshake message, board to client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HsResp {
    /// The board's name for the session: the client's DATA will carry it.
    pub sender_index: u32,
    /// The client's name for it, from HS_INIT.
    pub receiver_index: u32,
    /// Ephemeral public key.
    pub e: [u8; 32],
    /// Sealed [`RespPayload`].
    pub payload: [u8; 64],
}

impl HsResp {
    /// Length of the datagram.
    pub const LEN: usize = 108;

    /// Checks and reads an HS_RESP.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut r = body(bytes, Kind::HsResp, Self::LEN)?;
        Some(Self {
            sender_index: r.u32()?,
            receiver_index: r.u32()?,
            e: r.array()?,
            payload: r.array()?,
        })
    }

    /// The datagram.
    #[must_use]
    pub fn emit(&self) -> [u8; Self::LEN] {
        Writer::new()
            .put(&Prelude::new(Kind::HsResp).emit())
            .put(&self.sender_index.to_le_bytes())
            .put(&self.receiver_index.to_le_bytes())
            .put(&self.e)
            .put(&self.payload)
            .done()
    }
}

// Neither must the handshake amplify.
const _: () = assert!(HsResp::LEN <= HsInit::LEN);

/// What the client says in HS_INIT (32 bytes). Replayable and without forward
/// secrecy, so it carries no command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InitPayload {
    /// Strictly increasing per client key and boot: kills replays.
    pub hs_counter: u64,
    /// Roles asked for.
    pub want_roles: Roles,
    /// Reserved for features of the protocol; 0 in version 1.
    pub features: u32,
    /// The boot the client means to talk to.
    pub boot_id: BootId,
}

impl InitPayload {
    /// Length of the plaintext.
    pub const LEN: usize = 32;

    /// Reads the plaintext; undefined roles and flags are refused.
    #[must_use]
    pub fn parse(bytes: &[u8; Self::LEN]) -> Option<Self> {
        let mut r = Reader::new(bytes);
        let hs_counter = r.u64()?;
        let want_roles = Roles::from_wire(r.u16()?)?;
        r.u16().filter(|&flags| flags == 0)?;
        Some(Self { hs_counter, want_roles, features: r.u32()?, boot_id: r.array()? })
    }

    /// The plaintext.
    #[must_use]
    pub fn emit(&self) -> [u8; Self::LEN] {
        Writer::new()
            .put(&self.hs_counter.to_le_bytes())
            .put(&self.want_roles.to_wire().to_le_bytes())
            .put(&[0, 0])
            .put(&self.features.to_le_bytes())
            .put(&self.boot_id)
            .done()
    }
}

/// What the board says in HS_RESP (48 bytes).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RespPayload {
    /// This boot.
    pub boot_id: BootId,
    /// Digest of the capability map.
    pub caps_digest: CapsDigest,
    /// What the board is doing.
    pub state: State,
    /// The version spoken from here on.
    pub ver: u8,
    /// Roles asked for and allowed.
    pub granted_roles: Roles,
    /// DATA packets the board can take in a burst.
    pub window: u16,
    /// Reserved for features of the protocol; 0 in version 1.
    pub features: u32,
    /// How long the board will accept the session's keys, in ms.
    pub session_ms: u32,
}

impl RespPayload {
    /// Length of the plaintext.
    pub const LEN: usize = 48;

    /// Reads the plaintext; undefined values and a non-zero reserved field are
    /// refused.
    #[must_use]
    pub fn parse(bytes: &[u8; Self::LEN]) -> Option<Self> {
        let mut r = Reader::new(bytes);
        let boot_id = r.array()?;
        let caps_digest = r.array()?;
        let state = State::from_byte(r.u8()?)?;
        let ver = r.u8().filter(|&ver| ver == VERSION)?;
        let granted_roles = Roles::from_wire(r.u16()?)?;
        let window = r.u16()?;
        r.u16().filter(|&reserved| reserved == 0)?;
        let (features, session_ms) = (r.u32()?, r.u32()?);
        Some(Self { boot_id, caps_digest, state, ver, granted_roles, window, features, session_ms })
    }

    /// The plaintext.
    #[must_use]
    pub fn emit(&self) -> [u8; Self::LEN] {
        Writer::new()
            .put(&self.boot_id)
            .put(&self.caps_digest)
            .put(&[self.state as u8, self.ver])
            .put(&self.granted_roles.to_wire().to_le_bytes())
            .put(&self.window.to_le_bytes())
            .put(&[0, 0])
            .put(&self.features.to_le_bytes())
            .put(&self.session_ms.to_le_bytes())
            .done()
    }
}

/// What both ends must have seen alike before the handshake: the whole HELLO
/// exchange. An edit to any of it makes the first decryption fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prologue {
    /// The version chosen.
    pub ver: u8,
    /// From HELLO.
    pub ver_min: u8,
    /// From HELLO.
    pub ver_max: u8,
    /// From HELLO.
    pub client_nonce: ClientNonce,
    /// From HELLO_REPLY.
    pub cookie: Cookie,
    /// From HELLO_REPLY.
    pub boot_id: BootId,
    /// From HELLO_REPLY.
    pub caps_digest: CapsDigest,
}

impl Prologue {
    /// Length in bytes.
    pub const LEN: usize = 71;

    /// The prologue as a client sees it.
    #[must_use]
    pub const fn from_exchange(hello: &Hello, reply: &HelloReply) -> Self {
        Self {
            ver: reply.ver,
            ver_min: hello.ver_min,
            ver_max: hello.ver_max,
            client_nonce: hello.client_nonce,
            cookie: reply.cookie,
            boot_id: reply.boot_id,
            caps_digest: reply.caps_digest,
        }
    }

    /// The bytes hashed.
    #[must_use]
    pub fn emit(&self) -> [u8; Self::LEN] {
        Writer::new()
            .put(b"SKP1")
            .put(&[self.ver, self.ver_min, self.ver_max])
            .put(&self.client_nonce)
            .put(&self.cookie)
            .put(&self.boot_id)
            .put(&self.caps_digest)
            .done()
    }
}
