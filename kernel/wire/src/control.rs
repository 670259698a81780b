//! Control messages (protocol section 1.11): requests, answers, receipts, events.
//!
//! All are postcard. A request is `[request_id, op, body]`, an answer
//! `[request_id, op | 0x80, status, body]`; a refusal's body is always
//! [`Refusal`]. There is one valid encoding of a message: trailing bytes and
//! varints longer than needed are refused ([`decode`]). postcard does not
//! describe itself, so the bytes are frozen by `tests/golden.rs`.

use core::fmt;

use heapless::String;
use serde::{Deserialize, Serialize};
use sk_abi::Status;
use sk_abi::status::FaultRecord;

use crate::codec;
use crate::manifest::{Digest, TaskId};

/// Longest text in a receipt or refusal, bytes.
pub const MESSAGE_MAX: usize = 200;
/// A receipt, an answer or an event never takes more bytes than this.
pub const CONTROL_MAX: usize = 900;
/// Most CHUNKs one FETCH may ask for.
pub const FETCH_MAX: u8 = 32;

/// Bounded text: a panic message, the name of a service.
pub type Message = String<MESSAGE_MAX>;

/// A message that does not decode, or does not fit its buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CodecError {
    /// Does not decode, or has bytes after its end.
    Malformed,
    /// Decodes, but is not the one valid encoding of what it says.
    NotCanonical,
    /// The buffer is too small.
    NoRoom,
}

impl CodecError {
    /// The status that names this error to the peer.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            CodecError::Malformed => Status::BAD_FIELD,
            CodecError::NotCanonical => Status::NOT_CANONICAL,
            CodecError::NoRoom => Status::BAD_LENGTH,
        }
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CodecError::Malformed => "the message does not decode",
            CodecError::NotCanonical => "the message is not in its one valid encoding",
            CodecError::NoRoom => "the message does not fit",
        })
    }
}

/// Encodes into `buffer`; the bytes written come back.
pub fn encode<'b, T: Serialize + ?Sized>(
    value: &T,
    buffer: &'b mut [u8],
) -> Result<&'b [u8], CodecError> {
    let len = codec::write(value, buffer).map_err(|_| CodecError::NoRoom)?;
    buffer.get(..len).ok_or(CodecError::NoRoom)
}

/// Takes a value from the front of `bytes`; only its canonical encoding.
fn take<'a, T: Serialize + Deserialize<'a>>(bytes: &'a [u8]) -> Result<(T, &'a [u8]), CodecError> {
    let (value, rest) = codec::take::<T>(bytes).map_err(|_| CodecError::Malformed)?;
    if codec::compare(&value, bytes) != Ok(rest.len()) {
        return Err(CodecError::NotCanonical);
    }
    Ok((value, rest))
}

/// Decodes all of `bytes`: nothing may be left over, and encoding the value
/// again must give the same bytes.
pub fn decode<'a, T: Serialize + Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, CodecError> {
    match take(bytes)? {
        (value, []) => Ok(value),
        _ => Err(CodecError::Malformed),
    }
}

/// What a request asks for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Op {
    /// The capability map (not answered yet).
    CapsGet = 1,
    /// Evidence bound to the session (not answered yet).
    Attest = 2,
    /// [`crate::manifest::Manifest`] -> [`Accepted`].
    Submit = 3,
    /// [`TaskId`] -> [`Started`], when image and input were checked and loaded.
    Commit = 4,
    /// [`TaskId`] or [`TaskId::ACTIVE`] -> [`TaskStatus`].
    Status = 5,
    /// [`Abort`] -> [`Aborted`], after the task is dead.
    Abort = 6,
    /// [`TaskId`] -> [`Receipt`].
    Result = 7,
    /// [`Fetch`] -> [`Fetched`], then CHUNK frames.
    Fetch = 8,
    /// [`TaskId`] -> nothing: the board may forget the output.
    ResultAck = 9,
    /// Level of the log (not answered yet).
    LogLevel = 10,
    /// New public configuration (not answered yet).
    ConfigPush = 11,
    /// Restart (not answered yet).
    Reboot = 12,
    /// nothing -> [`Pong`].
    Ping = 13,
    /// [`Close`] -> nothing; the session is gone afterwards.
    Close = 14,
}

impl Op {
    /// The request with this number.
    #[must_use]
    pub const fn new(number: u8) -> Option<Op> {
        Some(match number {
            1 => Op::CapsGet,
            2 => Op::Attest,
            3 => Op::Submit,
            4 => Op::Commit,
            5 => Op::Status,
            6 => Op::Abort,
            7 => Op::Result,
            8 => Op::Fetch,
            9 => Op::ResultAck,
            10 => Op::LogLevel,
            11 => Op::ConfigPush,
            12 => Op::Reboot,
            13 => Op::Ping,
            14 => Op::Close,
            _ => return None,
        })
    }
}

/// Set in the op of an answer.
pub const ANSWER: u8 = 0x80;

/// Head of a request, with its body still encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request<'a> {
    /// Chosen by the client; the same id again means the same request again.
    pub id: u32,
    /// Number of the [`Op`], unchecked.
    pub op: u8,
    /// The body, for [`decode`].
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// Splits a CTRL frame that came from a client.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, CodecError> {
        let ((id, op), body) = take(bytes)?;
        Ok(Request { id, op, body })
    }
}

/// Encodes a request.
pub fn request<'b, T: Serialize>(
    id: u32,
    op: Op,
    body: &T,
    buffer: &'b mut [u8],
) -> Result<&'b [u8], CodecError> {
    encode(&(id, op as u8, body), buffer)
}

/// Head of an answer, with its body still encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer<'a> {
    /// Of the request.
    pub id: u32,
    /// Number of the [`Op`], without [`ANSWER`].
    pub op: u8,
    /// How it went.
    pub status: Status,
    /// The body, for [`decode`]; a [`Refusal`] unless `status` is OK.
    pub body: &'a [u8],
}

impl<'a> Answer<'a> {
    /// Splits a CTRL frame that came from a board.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, CodecError> {
        let ((id, op, status), body): ((u32, u8, u16), _) = take(bytes)?;
        if op & ANSWER == 0 {
            return Err(CodecError::Malformed);
        }
        Ok(Answer { id, op: op & !ANSWER, status: Status(status), body })
    }
}

/// Encodes an answer; `op` is the request's, known or not.
pub fn answer<'b, T: Serialize>(
    id: u32,
    op: u8,
    status: Status,
    body: &T,
    buffer: &'b mut [u8],
) -> Result<&'b [u8], CodecError> {
    encode(&(id, op | ANSWER, status.0, body), buffer)
}

/// Where the board or a task is (protocol section 1.11).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug, Serialize, Deserialize)]
pub enum Phase {
    /// No task.
    #[default]
    Idle,
    /// Waiting for image and input.
    Receiving,
    /// Computing digests.
    Verifying,
    /// Copying, relocating, mapping.
    Loading,
    /// The payload runs.
    Running,
    /// The task ended; its result waits for the client.
    Replying,
    /// Memory is being zeroed.
    Scrub,
    /// No valid configuration: nothing is ever run.
    Fault,
    /// Of a task: over, known from the journal only.
    Done,
}

/// Body of every answer whose status is not OK.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// By status: BUSY free_in_ms; UNRESOLVED the service id; TOO_BIG bytes
    /// available; else 0.
    pub detail: u32,
    /// More, for a human; often empty.
    pub message: Message,
}

/// Answer to SUBMIT.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Accepted {
    /// Datagrams the board has room for.
    pub credit: u16,
    /// Time within which the upload must be committed, ms.
    pub expires_ms: u32,
    /// Where the task is; not Receiving when the SUBMIT was a repetition.
    pub phase: Phase,
}

/// Answer to COMMIT.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Started {
    /// Where the task is by now.
    pub phase: Phase,
}

/// Answer to STATUS.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct TaskStatus {
    /// The task meant.
    pub task_id: TaskId,
    /// Where it is.
    pub phase: Phase,
    /// How it ended; OK before that.
    pub status: u16,
    /// Processor time, us.
    pub cpu_us: u64,
    /// Time since entry, us.
    pub wall_us: u64,
    /// Bytes of output so far.
    pub stdout: u32,
    /// Bytes of error output so far.
    pub stderr: u32,
    /// Signs of life.
    pub beats: u32,
    /// Slot of the last service plus 1; 0 = none.
    pub last_service: u16,
}

/// ABORT.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Abort {
    /// Which task; [`TaskId::ACTIVE`] for whichever is active.
    pub task_id: TaskId,
    /// For the log; the receipt says ABORTED_OWNER or ABORTED_OPERATOR.
    pub reason: u16,
}

/// Answer to ABORT.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Aborted {
    /// The task meant.
    pub task_id: TaskId,
    /// Its one final status: another than ABORTED_... if it ended by itself first.
    pub status: u16,
}

/// FETCH: `count` chunks of an object from `offset` on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fetch {
    /// Number of the object.
    pub object: u8,
    /// First byte.
    pub offset: u32,
    /// Chunks; 1 to [`FETCH_MAX`], more is clipped.
    pub count: u8,
}

/// Answer to FETCH.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fetched {
    /// First byte still kept (0 unless the oldest are dropped).
    pub start: u32,
    /// Bytes written so far.
    pub end: u32,
}

/// CLOSE.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Close {
    /// Why: 0 = done.
    pub code: u16,
}

/// Answer to PING: facts of the board.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Pong {
    /// Time since reset, ms.
    pub uptime_ms: u64,
    /// What the board does.
    pub phase: Phase,
    /// The active task, if its owner or an operator asks.
    pub task_id: TaskId,
    /// Memory for tasks, KiB.
    pub memory_kib: u32,
    /// Clock of the processor.
    pub mhz: u16,
    /// Millidegrees Celsius; 0 = unknown.
    pub temperature_mc: i32,
    /// Bits of the firmware's GET_THROTTLED.
    pub throttle: u32,
    /// Tasks ended since boot.
    pub tasks: u32,
    /// Datagrams dropped since boot.
    pub drops: u32,
    /// Number of the [`LastEnd`](crate::LastEnd): how the boot before ended.
    pub last_end: u8,
}

/// Resources used.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Usage {
    /// Processor time, us.
    pub cpu_us: u64,
    /// From entry to end, us.
    pub wall_us: u64,
    /// Highest use of heap and stack, bytes.
    pub peak_mem: u32,
    /// Service calls.
    pub syscalls: u32,
}

/// A task's output as it ended. With drop-oldest, bytes below `start` are gone
/// and the digest is over what is kept.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Output {
    /// First byte kept.
    pub start: u32,
    /// Bytes written in all.
    pub len: u32,
    /// BLAKE2s-256 of what is kept.
    #[serde(deserialize_with = "crate::codec::array")]
    pub digest: Digest,
}

/// [`FaultRecord`] on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(remote = "FaultRecord")]
struct FaultMirror {
    kind: u16,
    service: u16,
    fsr: u32,
    far: u32,
    pc: u32,
    lr: u32,
    sp: u32,
    cpsr: u32,
    r: [u32; 13],
    elapsed_us: u32,
    base: u32,
}

/// A fault record that can be encoded.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Fault(#[serde(with = "FaultMirror")] pub FaultRecord);

/// Bits of [`Receipt::flags`].
pub mod receipt_flags {
    /// Ran privileged, without the shield.
    pub const UNSHIELDED: u16 = 1;
    /// Never entered: it ended before RUNNING.
    pub const NOT_STARTED: u16 = 2;
}

/// The one statement of how a task ended.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Receipt {
    /// The boot it ran in.
    #[serde(deserialize_with = "crate::codec::array")]
    pub boot_id: [u8; 16],
    /// The task.
    pub task_id: TaskId,
    /// How it ended ([`Status`]).
    pub status: u16,
    /// What the payload returned; meaningful when `status` is OK.
    pub exit: i32,
    /// What was run.
    #[serde(deserialize_with = "crate::codec::array")]
    pub image_digest: Digest,
    /// On what.
    #[serde(deserialize_with = "crate::codec::array")]
    pub input_digest: Digest,
    /// What came out.
    pub stdout: Output,
    /// Bytes of error output in all.
    pub stderr_len: u32,
    /// Resources used.
    pub usage: Usage,
    /// Bits of [`receipt_flags`].
    pub flags: u16,
    /// By status: the service id of UNRESOLVED, and so on.
    pub detail: u32,
    /// Registers, when the payload faulted.
    pub fault: Option<Fault>,
    /// The panic message, the name of what was missing; cut, never split in a character.
    pub message: Message,
}

impl Receipt {
    /// How it ended.
    #[must_use]
    pub const fn status(&self) -> Status {
        Status(self.status)
    }
}

/// EVENT: best-effort news to the owner; whatever matters can be asked for too.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant)] // lives on the stack for the time of one datagram
pub enum Event {
    /// The task is alive; lengths of its output so far.
    Progress {
        /// The task.
        task_id: TaskId,
        /// Where it is.
        phase: Phase,
        /// Bytes of output.
        stdout: u32,
        /// Bytes of error output.
        stderr: u32,
    },
    /// The task ended.
    Ended(Receipt),
}

/// The front part of `text` that fits a [`Message`], cut between characters.
#[must_use]
pub fn message(text: &str) -> Message {
    let mut out = Message::new();
    for letter in text.chars() {
        if out.push(letter).is_err() {
            break;
        }
    }
    out
}
