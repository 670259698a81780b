//! What the engine asks of the machine it runs on.
//!
//! The kernel implements [`Board`] over its task region; the tests implement
//! it over a vector and a closure. The engine decides *when* and *whether*; the
//! board moves bytes and runs code, and never the other way round.

use sk_abi::Status;
use sk_abi::status::FaultRecord;
use sk_wire::LastEnd;
use sk_wire::control::{Message, Usage};
use sk_wire::frames::Object;
use sk_wire::manifest::Manifest;

use crate::base::Micros;

/// A payload's state of health, cheap to ask.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Progress {
    /// Processor time, us.
    pub cpu_us: u64,
    /// Time since entry, us.
    pub wall_us: u64,
    /// Signs of life.
    pub beats: u32,
    /// Slot of the last service plus 1; 0 = none.
    pub last_service: u16,
}

/// How a task ended.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Ending {
    /// OK, or why it was ended; once reported it never changes.
    pub status: Status,
    /// What the payload returned.
    pub exit: i32,
    /// Resources used.
    pub usage: Usage,
    /// Registers, when it faulted.
    pub fault: Option<FaultRecord>,
    /// By status; 0 = nothing to add.
    pub detail: u32,
    /// Panic or abort message, or empty.
    pub message: Message,
}

/// What the board's one task does.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(clippy::large_enum_variant)] // handed over once per task, never stored in numbers
pub enum TaskState {
    /// None was started, or its end was scrubbed away.
    Idle,
    /// Started and not ended.
    Running(Progress),
    /// Ended; the same ending until scrubbed.
    Ended(Ending),
}

/// What a client may know about the board.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Facts {
    /// Memory a task can have, KiB.
    pub memory_kib: u32,
    /// Clock of the processor.
    pub mhz: u16,
    /// Millidegrees Celsius; 0 = unknown.
    pub temperature_mc: i32,
    /// Bits of the firmware's GET_THROTTLED.
    pub throttle: u32,
    /// Longest wall time a task may have, ms.
    pub wall_ms_max: u32,
    /// ABI version.
    pub abi: u16,
    /// How the boot before ended.
    pub last_end: LastEnd,
}

/// The machine under the engine. No call may take longer than its contract
/// says: the kernel has one thread.
pub trait Board {
    /// Fills `out` with random bytes; `false` = there is no good randomness.
    fn random(&mut self, out: &mut [u8]) -> bool;

    /// Whose task the next `reserve` is for: the client's number in the configuration.
    fn owner(&mut self, client: usize) {
        let _ = client;
    }

    /// Lays out memory for a task, after checking every sum; nothing is touched
    /// on an error ([`Status::TOO_BIG`]). Called in IDLE only.
    fn reserve(&mut self, manifest: &Manifest) -> Result<(), Status>;

    /// Stores a piece of image or input inside what `reserve` laid out.
    fn write(&mut self, object: Object, offset: u32, bytes: &[u8]);

    /// The bytes of an object: image and input as far as reserved, output and
    /// error output as far as written (or kept), the log.
    fn bytes(&self, object: Object) -> &[u8];

    /// How many bytes of an output were dropped before `bytes(object)[0]`.
    fn dropped(&self, object: Object) -> u32 {
        let _ = object;
        0
    }

    /// Makes the image, whose digest is right by now, ready to run. The number
    /// beside an error is its detail, such as the id of the missing service.
    fn load(&mut self) -> Result<(), (Status, u32)>;

    /// The payload may be entered from now on; the kernel does so after this poll.
    fn start(&mut self, now: Micros);

    /// Ends the payload: it is asked to stop, and killed if it has not done so
    /// within a few milliseconds. `task` then reports its end with `why`, or the
    /// end it had already come to by itself.
    fn stop(&mut self, why: Status);

    /// What the task does.
    fn task(&self) -> TaskState;

    /// Zeroes a bounded piece of what the task could touch; `true` = nothing is
    /// left to do. Also ends the task in the sense of `task`.
    fn scrub_step(&mut self) -> bool;

    /// Facts of the board.
    fn facts(&self) -> Facts;
}
