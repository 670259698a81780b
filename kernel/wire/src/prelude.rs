//! The first four bytes of every datagram, and the small types that several
//! datagrams share.
//!
//! A datagram is recognised by magic, version, type and *exact* length, in that
//! order, before a byte of it is interpreted; anything else is dropped without
//! a reply. All integers are little-endian.

/// UDP port of SKP/1 on the board.
pub const PORT: u16 = 24139;

/// The protocol version this crate speaks.
pub const VERSION: u8 = 1;

/// Length of the prelude in bytes.
pub const PRELUDE_LEN: usize = 4;

const MAGIC: [u8; 2] = *b"SK";

/// Random value of one boot; names the boot in every later message.
pub type BootId = [u8; 16];
/// BLAKE2s-128 of the capability map.
pub type CapsDigest = [u8; 16];
/// Random value by which a client recognises the answer to its HELLO.
pub type ClientNonce = [u8; 16];
/// Proof that a client can receive at the address it sends from.
pub type Cookie = [u8; 16];
/// BLAKE2s-64 of an X25519 public key: the short name of a key.
pub type KeyId = [u8; 8];

/// BLAKE2s-64 of `public_key`: key id of a client, fingerprint of a board.
#[must_use]
pub fn key_id(public_key: &[u8; 32]) -> KeyId {
    use blake2::{Blake2s, Digest, digest::consts::U8};
    Blake2s::<U8>::digest(public_key).into()
}

/// Datagram types.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// Board to everybody: "I am here and idle".
    Beacon = 0x01,
    /// Client to board(s): "who is there?"
    Hello = 0x02,
    /// The stateless answer to [`Kind::Hello`].
    HelloReply = 0x03,
    /// First handshake message.
    HsInit = 0x10,
    /// Second handshake message.
    HsResp = 0x11,
    /// Sealed frames of a session.
    Data = 0x20,
}

impl Kind {
    /// The type with number `byte`, if there is one.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0x01 => Self::Beacon,
            0x02 => Self::Hello,
            0x03 => Self::HelloReply,
            0x10 => Self::HsInit,
            0x11 => Self::HsResp,
            0x20 => Self::Data,
            _ => return None,
        })
    }
}

/// `'S' 'K' version type`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prelude {
    /// Protocol version of the sender.
    pub version: u8,
    /// What follows.
    pub kind: Kind,
}

impl Prelude {
    /// The prelude this version sends before a datagram of type `kind`.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        Self { version: VERSION, kind }
    }

    /// Reads a prelude. `None`: wrong magic, unknown type, or a version this
    /// crate does not speak.
    ///
    /// HELLO alone is exempt from the version check: its layout is the same in
    /// every version, and the range inside it is what decides. Version 0 does
    /// not exist.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let &[m0, m1, version, kind] = bytes.first_chunk::<PRELUDE_LEN>()?;
        let kind = Kind::from_byte(kind)?;
        let version_ok = version == VERSION || (kind == Kind::Hello && version != 0);
        ([m0, m1] == MAGIC && version_ok).then_some(Self { version, kind })
    }

    /// The four bytes.
    #[must_use]
    pub const fn emit(self) -> [u8; PRELUDE_LEN] {
        [MAGIC[0], MAGIC[1], self.version, self.kind as u8]
    }
}

/// What the board is doing, as it tells strangers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum State {
    /// Self-test, or no address yet.
    #[default]
    Boot = 0,
    /// Ready for a task.
    Idle = 1,
    /// A task is being received, checked or loaded.
    Reserved = 2,
    /// From the first instruction of a task to the end of scrubbing.
    Running = 3,
    /// Maintenance.
    Maint = 4,
    /// Up, but unable to run tasks; [`Reason`] says why.
    Fault = 5,
    /// The kernel has failed and is about to reset.
    Panic = 6,
}

impl State {
    /// The state with number `byte`, if there is one.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Boot,
            1 => Self::Idle,
            2 => Self::Reserved,
            3 => Self::Running,
            4 => Self::Maint,
            5 => Self::Fault,
            6 => Self::Panic,
            _ => return None,
        })
    }

    /// The state in one lower-case word.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Boot => "booting",
            Self::Idle => "idle",
            Self::Reserved => "reserved",
            Self::Running => "running",
            Self::Maint => "maintenance",
            Self::Fault => "fault",
            Self::Panic => "panic",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $code:literal $name:ident $text:literal,)*) => {
        /// Why a board is in [`State::Fault`] or [`State::Panic`]: the byte in BEACON and
        /// HELLO_REPLY, and the sentence on UART and screen.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[$doc])* #[doc = $text] $name = $code,)*
        }

        impl Reason {
            /// Every reason this version knows.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The reason with number `byte`, if there is one.
            #[must_use]
            pub const fn from_byte(byte: u8) -> Option<Self> {
                match byte { $($code => Some(Self::$name),)* _ => None }
            }

            /// What is wrong, in a clause without a full stop.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

reasons! {
    #[default]
    0 None "no fault",
    1 NoBlob "no configuration was loaded beside the kernel",
    2 BlobMagic "what was loaded beside the kernel is not a configuration",
    3 BlobVersion "the configuration is for another version of the kernel",
    4 BlobLength "the configuration is cut short, or bytes follow it",
    5 BlobDigest "the configuration's checksum is wrong",
    6 BlobField "a field of the configuration has a value that is not allowed",
    7 NoClients "the configuration lists no client",
    8 DuplicateClient "the configuration lists a client twice",
    9 WrongBoard "the configuration is for another board",
    10 Rng "the hardware random number generator failed its health test",
    11 Image "the kernel image is damaged",
    12 Memory "the board has too little memory, or its memory map makes no sense",
    13 SelfTest "a self-test failed",
    14 CrashLoop "the kernel crashed several times in a row, each time soon after its boot",
    15 Integrity "INTEGRITY: kernel code or page tables changed in memory",
}

macro_rules! last_ends {
    ($($(#[$doc:meta])* $code:literal $name:ident $text:literal,)*) => {
        /// How the boot before this one ended, as far as this one knows.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        #[repr(u8)]
        pub enum LastEnd {
            $($(#[$doc])* #[doc = $text] $name = $code,)*
        }

        impl LastEnd {
            /// Every end this version knows.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The end with number `byte`, if there is one.
            #[must_use]
            pub const fn from_byte(byte: u8) -> Option<Self> {
                match byte { $($code => Some(Self::$name),)* _ => None }
            }

            /// What happened, in a clause without a full stop.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

last_ends! {
    #[default]
    0 Unknown "power was off, or nothing is known of it",
    1 Restart "it was restarted in good order",
    2 NoWord "it ended without a word: hardware watchdog, reset line or supply",
    3 Panic "the kernel panicked",
    4 Fault "the kernel had a fault",
    5 Hang "the kernel hung; the software watchdog ended it",
    6 Invariant "the kernel found its own state inconsistent",
    7 Integrity "INTEGRITY: kernel code or page tables changed in memory",
}

/// What a client may do, as bits. A session's roles are those asked for *and*
/// allowed.
///
/// In the configuration the set has 32 bits, with DIRECT at bit 16. The
/// handshake has room for 16, so there DIRECT travels as bit 15
/// ([`Roles::to_wire`]); bits that mean nothing are refused in both places.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Roles(u32);

impl TryFrom<u32> for Roles {
    type Error = &'static str;

    fn try_from(bits: u32) -> Result<Self, Self::Error> {
        Self::from_bits(bits).ok_or("undefined role")
    }
}

impl From<Roles> for u32 {
    fn from(roles: Roles) -> Self {
        roles.0
    }
}

impl Roles {
    /// May do nothing.
    pub const NONE: Self = Self(0);
    /// May ask for the state of the board and of tasks.
    pub const OBSERVE: Self = Self(1);
    /// May submit tasks.
    pub const SUBMIT: Self = Self(2);
    /// May abort anybody's task, read the log, restart the board.
    pub const OPERATE: Self = Self(4);
    /// May read the audit log.
    pub const AUDIT: Self = Self(8);
    /// May ask for privileged (unshielded) execution.
    pub const DIRECT: Self = Self(1 << 16);

    const ALL: u32 = 0x1_000F;
    const WIRE_DIRECT: u16 = 1 << 15;

    /// The set with these bits (DIRECT at bit 16); `None` if one means nothing.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Option<Self> {
        if bits & !Self::ALL == 0 { Some(Self(bits)) } else { None }
    }

    /// The bits, DIRECT at bit 16.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The set as the handshake carries it, DIRECT at bit 15.
    #[must_use]
    pub const fn to_wire(self) -> u16 {
        let [low0, low1, ..] = self.0.to_le_bytes();
        let low = u16::from_le_bytes([low0, low1]);
        if self.contains(Self::DIRECT) { low | Self::WIRE_DIRECT } else { low }
    }

    /// Reads the handshake's form; `None` if a bit means nothing.
    #[must_use]
    pub const fn from_wire(wire: u16) -> Option<Self> {
        let low = (wire & !Self::WIRE_DIRECT) as u32;
        let direct = if wire & Self::WIRE_DIRECT != 0 { Self::DIRECT.0 } else { 0 };
        Self::from_bits(low | direct)
    }

    /// Whether every role of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The roles in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The roles in either set.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}
