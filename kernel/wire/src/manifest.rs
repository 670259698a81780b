//! The manifest: what a client wants run, and within which limits
//! (protocol section 1.16, element list after RFC 9124).
//!
//! It travels in SUBMIT before a byte of code does, fixes size and digest of
//! image and input, and is bound to one boot of one board by `boot_id`: the
//! same manifest sent to a restarted board is refused, never run again.

use heapless::String;
use serde::{Deserialize, Serialize};

/// Version of the manifest.
pub const MANIFEST_VERSION: u8 = 1;
/// Format `skx1-armv6k`; the number of its bit in the beacon's format bits.
pub const FORMAT_SKX1: u8 = 0;
/// Longest argument string, bytes.
pub const ARGS_MAX: usize = 256;

/// A BLAKE2s-256 digest.
pub type Digest = [u8; 32];

/// A task's name: `seq` rises strictly per client key, `random` tells apart two
/// clients that share a key and a lost counter file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug, Serialize, Deserialize)]
pub struct TaskId {
    /// Strictly increasing per client; 0 is not used.
    pub seq: u64,
    /// Drawn at random.
    pub random: u64,
}

impl TaskId {
    /// In STATUS and ABORT: whatever task is active.
    pub const ACTIVE: TaskId = TaskId { seq: 0, random: 0 };
}

/// Size and digest of an object.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Part {
    /// Bytes.
    pub size: u32,
    /// BLAKE2s-256 of them.
    #[serde(deserialize_with = "crate::codec::array")]
    pub digest: Digest,
}

/// Memory asked for beyond image and input, bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Memory {
    /// Heap.
    pub heap: u32,
    /// Stack; 0 = what the image header says.
    pub stack: u32,
    /// Room for output.
    pub stdout: u32,
    /// Room for error output.
    pub stderr: u32,
}

/// Time allowed, milliseconds; 0 = as much as the board allows.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Time {
    /// From entry to end.
    pub wall_ms: u32,
    /// Of that, in the payload's own code.
    pub cpu_ms: u32,
    /// Longest time between two signs of life; 0 = none asked for.
    pub heartbeat_ms: u32,
}

/// Bits of [`Manifest::flags`].
pub mod flags {
    /// Run privileged; needs the role.
    pub const DIRECT: u16 = 1;
    /// Let the task finish when the client's session is lost.
    pub const DETACH: u16 = 2;
    /// When output is full drop the oldest (else: OUTPUT_LIMIT).
    pub const DROP_OLDEST: u16 = 4;
    /// Information for tools: running it twice does no harm.
    pub const RETRY_SAFE: u16 = 8;
    /// Every bit this version knows.
    pub const ALL: u16 = 15;
}

/// What is to be run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// [`MANIFEST_VERSION`].
    pub version: u8,
    /// The boot it is meant for.
    #[serde(deserialize_with = "crate::codec::array")]
    pub boot_id: [u8; 16],
    /// [`FORMAT_SKX1`].
    pub format: u8,
    /// ABI version the image was built for.
    pub abi: u16,
    /// The image.
    pub image: Part,
    /// The input.
    pub input: Part,
    /// Memory.
    pub memory: Memory,
    /// Time.
    pub time: Time,
    /// Bits of [`flags`].
    pub flags: u16,
    /// Class of the task, for tools; 0.
    pub class: u8,
    /// The task's name.
    pub task_id: TaskId,
    /// Argument string handed to the payload.
    pub args: String<ARGS_MAX>,
}

impl Manifest {
    /// Is the bit set?
    #[must_use]
    pub const fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}
