//! BEACON, HELLO and HELLO_REPLY: everything a stranger may see.
//!
//! None of them is authenticated. A beacon is a hint; HELLO_REPLY hands out an
//! address cookie and is never longer than the HELLO that asked for it, so the
//! board cannot be used to amplify. Padding and undefined flag bits must be
//! zero, so each value has exactly one encoding.

use crate::bytes::{Reader, Writer};
use crate::prelude::{
    BootId, CapsDigest, ClientNonce, Cookie, KeyId, Kind, PRELUDE_LEN, Prelude, Reason, State,
    VERSION,
};

/// Flag: built with developer conveniences that weaken it.
pub const FLAG_INSECURE_DEV: u8 = 1;
/// Flag: the address is an IPv4 link-local one.
pub const FLAG_LINK_LOCAL: u8 = 2;
/// Flag: tasks need an author's signature.
pub const FLAG_AUTHOR_REQUIRED: u8 = 4;
/// Flag: anybody may ask for Evidence.
pub const FLAG_PUBLIC_ATTEST: u8 = 8;
const FLAGS: u8 = 0x0F;

/// Format bit: the payload image `skx1-armv6k`.
pub const FORMAT_SKX1: u8 = 1;

/// Sixteen bytes of UTF-8, zero padded: a name a person gave to a board.
///
/// Control characters are refused, because the text ends up on terminals.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
#[serde(into = "[u8; 16]")]
pub struct Label([u8; 16]);

impl<'a> serde::Deserialize<'a> for Label {
    fn deserialize<D: serde::Deserializer<'a>>(from: D) -> Result<Self, D::Error> {
        Self::try_from(crate::codec::array(from)?).map_err(serde::de::Error::custom)
    }
}

impl TryFrom<[u8; 16]> for Label {
    type Error = &'static str;

    fn try_from(bytes: [u8; 16]) -> Result<Self, Self::Error> {
        Self::from_bytes(bytes).ok_or("not a clean label")
    }
}

impl From<Label> for [u8; 16] {
    fn from(label: Label) -> Self {
        label.0
    }
}

impl Label {
    /// No text.
    pub const EMPTY: Self = Self([0; 16]);

    /// Cuts `text` at the last character boundary within 16 bytes. `None` if
    /// it holds a control character.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let cut = text.get(..text.floor_char_boundary(16))?;
        let mut bytes = [0; 16];
        bytes.get_mut(..cut.len())?.copy_from_slice(cut.as_bytes());
        Self::from_bytes(bytes)
    }

    /// Checks the sixteen bytes of a datagram.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        let text_len = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
        let (text, padding) = bytes.split_at_checked(text_len)?;
        let clean = core::str::from_utf8(text).is_ok_and(|t| !t.chars().any(char::is_control));
        (clean && padding.iter().all(|&b| b == 0)).then_some(Self(bytes))
    }

    /// The zero-padded bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The text without its padding.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let len = self.0.iter().position(|&b| b == 0).unwrap_or(self.0.len());
        // Both checks were made when the label was built.
        self.0.get(..len).and_then(|text| core::str::from_utf8(text).ok()).unwrap_or("")
    }
}

/// "I am here": broadcast while idle, and once on entering FAULT or PANIC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Beacon {
    /// What the board is doing.
    pub state: State,
    /// `FLAG_*` bits.
    pub flags: u8,
    /// UDP port of the service.
    pub port: u16,
    /// This boot.
    pub boot_id: BootId,
    /// [`crate::key_id`] of the board's Noise key.
    pub fingerprint: KeyId,
    /// Digest of the capability map.
    pub caps_digest: CapsDigest,
    /// Count of beacons in this boot.
    pub sequence: u32,
    /// Seconds since boot.
    pub uptime_s: u32,
    /// Memory a task could have now, in KiB.
    pub free_kib: u32,
    /// Present clock of the processor, in MHz.
    pub mhz: u16,
    /// `FORMAT_*` bits: image formats accepted.
    pub formats: u8,
    /// Why the board is in FAULT.
    pub reason: Reason,
    /// The board's name.
    pub label: Label,
}

impl Beacon {
    /// Length of the datagram.
    pub const LEN: usize = 80;

    /// Checks and reads a BEACON.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut r = body(bytes, Kind::Beacon, Self::LEN)?;
        Some(Self {
            state: State::from_byte(r.u8()?)?,
            flags: r.u8().filter(|flags| flags & !FLAGS == 0)?,
            port: r.u16()?,
            boot_id: r.array()?,
            fingerprint: r.array()?,
            caps_digest: r.array()?,
            sequence: r.u32()?,
            uptime_s: r.u32()?,
            free_kib: r.u32()?,
            mhz: r.u16()?,
            formats: r.u8()?,
            reason: Reason::from_byte(r.u8()?)?,
            label: Label::from_bytes(r.array()?)?,
        })
    }

    /// The datagram.
    #[must_use]
    pub fn emit(&self) -> [u8; Self::LEN] {
        Writer::new()
            .put(&Prelude::new(Kind::Beacon).emit())
            .put(&[self.state as u8, self.flags & FLAGS])
            .put(&self.port.to_le_bytes())
            .put(&self.boot_id)
            .put(&self.fingerprint)
            .put(&self.caps_digest)
            .put(&self.sequence.to_le_bytes())
            .put(&self.uptime_s.to_le_bytes())
            .put(&self.free_kib.to_le_bytes())
            .put(&self.mhz.to_le_bytes())
            .put(&[self.formats, self.reason as u8])
            .put(self.label.as_bytes())
            .done()
    }
}

/// "Who is there, and do we share a version?" Broadcast or to one board.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hello {
    /// Lowest version the client speaks (at least 1).
    pub ver_min: u8,
    /// Highest version the client speaks (at least `ver_min`).
    pub ver_max: u8,
    /// Random; comes back in the reply.
    pub client_nonce: ClientNonce,
}

impl Hello {
    /// Length of the datagram: longer than needed, so that the reply is shorter.
    pub const LEN: usize = 128;

    /// The HELLO of a client that speaks this version only.
    #[must_use]
    pub const fn new(client_nonce: ClientNonce) -> Self {
        Self { ver_min: VERSION, ver_max: VERSION, client_nonce }
    }

    /// Checks and reads a HELLO. Its flags and padding must be zero.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut r = body(bytes, Kind::Hello, Self::LEN)?;
        let ver_min = r.u8().filter(|&min| min != 0)?;
        let ver_max = r.u8().filter(|&max| max >= ver_min)?;
        r.u16().filter(|&flags| flags == 0)?;
        let client_nonce = r.array()?;
        r.zeros()?;
        Some(Self { ver_min, ver_max, client_nonce })
    }

    /// The datagram.
    #[must_use]
    pub fn emit(&self) -> [u8; Self::LEN] {
        Writer::new()
            .put(&Prelude::new(Kind::Hello).emit())
            .put(&[self.ver_min, self.ver_max, 0, 0])
            .put(&self.client_nonce)
            .done()
    }
}

/// The stateless answer to [`Hello`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HelloReply {
    /// The version the board chose.
    pub ver: u8,
    /// What the board is doing.
    pub state: State,
    /// `FLAG_*` bits (the high byte is reserved).
    pub flags: u8,
    /// From the HELLO.
    pub client_nonce: ClientNonce,
    /// This boot.
    pub boot_id: BootId,
    /// To be used as the MAC key of HS_INIT.
    pub cookie: Cookie,
    /// [`crate::key_id`] of the board's Noise key.
    pub fingerprint: KeyId,
    /// Digest of the capability map.
    pub caps_digest: CapsDigest,
    /// Seconds since boot.
    pub uptime_s: u32,
    /// When the present task must have ended, in ms from now; 0 if idle.
    pub free_in_ms: u32,
    /// Why the board is in FAULT.
    pub reason: Reason,
}

impl HelloReply {
    /// Length of the datagram.
    pub const LEN: usize = 96;

    /// Checks and reads a HELLO_REPLY.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut r = body(bytes, Kind::HelloReply, Self::LEN)?;
        let ver = r.u8().filter(|&ver| ver != 0)?;
        let state = State::from_byte(r.u8()?)?;
        let [flags, 0] = r.array()? else { return None };
        if flags & !FLAGS != 0 {
            return None;
        }
        let reply = Self {
            ver,
            state,
            flags,
            client_nonce: r.array()?,
            boot_id: r.array()?,
            cookie: r.array()?,
            fingerprint: r.array()?,
            caps_digest: r.array()?,
            uptime_s: r.u32()?,
            free_in_ms: r.u32()?,
            reason: Reason::from_byte(r.u8()?)?,
        };
        r.zeros()?;
        Some(reply)
    }

    /// The datagram.
    #[must_use]
    pub fn emit(&self) -> [u8; Self::LEN] {
        Writer::new()
            .put(&Prelude::new(Kind::HelloReply).emit())
            .put(&[self.ver, self.state as u8, self.flags & FLAGS, 0])
            .put(&self.client_nonce)
            .put(&self.boot_id)
            .put(&self.cookie)
            .put(&self.fingerprint)
            .put(&self.caps_digest)
            .put(&self.uptime_s.to_le_bytes())
            .put(&self.free_in_ms.to_le_bytes())
            .put(&[self.reason as u8])
            .done()
    }
}

// A reply longer than its request would make the board an amplifier.
const _: () = assert!(HelloReply::LEN <= Hello::LEN);

/// What follows the prelude of a datagram of type `kind` and length `len`.
pub(crate) fn body(bytes: &[u8], kind: Kind, len: usize) -> Option<Reader<'_>> {
    let right = bytes.len() == len && Prelude::parse(bytes)?.kind == kind;
    right.then_some(Reader::new(bytes.get(PRELUDE_LEN..)?))
}
