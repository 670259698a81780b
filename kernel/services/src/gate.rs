//! The gate: a slot number and four registers in, an [`Outcome`] out.
//!
//! The `match` over slots and the decoding of registers come from `sk-abi`'s
//! list; handlers are the methods of one trait, with exactly the parameters of
//! the list. A slot without a service is a named case, not a hole in a table.

use crate::context::{Board, Context, Memory, Network};
use sk_abi::net::{Addresses, Neighbour, UdpInfo, UdpPeer, UdpRecv};
use sk_abi::{Never, Status, TaskInfo, for_each_service};

/// An address a payload passed: not checked, not usable as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UserPtr(pub u32);

/// How a call ends for the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Outcome {
    /// Go on in the payload with r0 = low word, r1 = high word.
    Return(u64),
    /// Do not go on yet.
    Park(Park),
    /// The task has ended as it wanted to, or hit a limit.
    End(Ending),
    /// The call was wrong: the task ends, the client learns where.
    Fault(Fault),
}

/// What a parked task waits for. Give it back to [`Park::resume`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Park {
    /// The kernel's slots get one turn.
    Yield,
    /// A point on the clock of [`Board::now`].
    SleepUntil(u64),
    /// Work that is done in pieces, one per [`Park::resume`].
    Job(Job),
    /// A datagram; see [`Park::deliver`].
    Receive(Receive),
    /// The network takes a datagram.
    Send(Send),
}

/// A task that waits for a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Receive {
    /// Where it goes, and how many bytes of it.
    pub buf: u32,
    /// Room in bytes.
    pub len: u32,
    /// Where its [`UdpInfo`] goes, 0: nowhere.
    pub info: u32,
    /// Until when; `u64::MAX` for ever.
    pub until: u64,
    /// Slot of the service, for a fault.
    pub slot: u8,
}

/// A task whose datagram could not be sent at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Send {
    /// Where to.
    pub peer: UdpPeer,
    /// Its bytes.
    pub buf: u32,
    /// How many.
    pub len: u32,
    /// When to try again, if nothing happens before.
    pub again: u64,
    /// When to give up.
    pub until: u64,
}

/// Work too long for one slice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Job {
    /// Zero `len` bytes at `at`, then return `block`.
    Zero {
        /// Next byte.
        at: u32,
        /// Bytes to go.
        len: u32,
        /// The result.
        block: u32,
    },
    /// Copy `len` bytes, then free block `old` and return block `new`.
    Move {
        /// Next byte to read.
        from: u32,
        /// Next byte to write.
        to: u32,
        /// Bytes to go.
        len: u32,
        /// The block to be freed.
        old: u32,
        /// The result.
        new: u32,
    },
    /// Append `len` bytes to a stream, then return `total`.
    Write {
        /// Which stream.
        stream: crate::Stream,
        /// Next byte.
        at: u32,
        /// Bytes to go.
        len: u32,
        /// The result.
        total: u32,
        /// Slot of the service, for a fault.
        slot: u8,
    },
    /// Make `len` bytes of code visible to instruction fetch.
    Sync {
        /// Next byte.
        at: u32,
        /// Bytes to go.
        len: u32,
    },
}

/// A task that has come to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ending {
    /// [`Status::OK`] for `task.exit`. Why, is in [`crate::Task::message`].
    pub status: Status,
    /// The exit code; -1 unless the status is OK.
    pub code: i32,
}

/// What was wrong with a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A pointer, length or value is not allowed.
    Argument {
        /// The service.
        slot: u8,
        /// Which parameter, from 0.
        arg: u8,
    },
    /// There is no such service, or it was withdrawn from this client.
    Unknown {
        /// What was in r12.
        slot: u32,
    },
}

impl Fault {
    /// The status of a task that ended so.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Fault::Argument { .. } => Status::SYSCALL_ARG,
            Fault::Unknown { .. } => Status::SYSCALL_UNKNOWN,
        }
    }

    /// The `far` field of the fault record.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Fault::Argument { arg, .. } => arg as u32,
            Fault::Unknown { slot } => slot,
        }
    }

    /// The `service` field of the fault record: slot plus 1, 0 if there is no
    /// such slot.
    #[must_use]
    pub const fn service(self) -> u16 {
        match self {
            Fault::Argument { slot, .. } => slot as u16 + 1,
            Fault::Unknown { slot } if slot < sk_abi::SLOTS as u32 => slot as u16 + 1,
            Fault::Unknown { .. } => 0,
        }
    }
}

/// Why a handler does not return to the payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    Arg(u8),
    Park(Park),
    End(Ending),
}

impl Stop {
    fn outcome(self, slot: u8) -> Outcome {
        match self {
            Stop::Arg(arg) => Outcome::Fault(Fault::Argument { slot, arg }),
            Stop::Park(park) => Outcome::Park(park),
            Stop::End(ending) => Outcome::End(ending),
        }
    }
}

/// Bytes that one step of a job moves. At about 8 instructions per 32 bytes
/// this stays well below 20,000 instructions; a code sync costs more per byte.
pub(crate) const STEP: u32 = 32 * 1024;

impl Park {
    /// Goes on with what the task waits for. Until then: `Outcome::Park` again.
    pub fn resume<M: Memory, B: Board + Network>(self, ctx: &mut Context<'_, M, B>) -> Outcome {
        match self {
            Park::Yield => Outcome::Return(0),
            Park::SleepUntil(at) if ctx.board.now() < at => Outcome::Park(self),
            Park::SleepUntil(_) => Outcome::Return(0),
            Park::Job(job) => match ctx.step(job) {
                Ok(value) => Outcome::Return(u64::from(value)),
                Err((slot, stop)) => stop.outcome(slot),
            },
            Park::Receive(wait) => finished(ctx.receive(wait), wait.slot),
            Park::Send(wait) => finished(ctx.send(wait.peer, wait.buf, wait.len, wait.until), SEND),
        }
    }

    /// Hands a datagram that has just come to a task that waits for one,
    /// without a stop in a queue: what the call comes to. `None`: it waits for
    /// something else.
    #[inline]
    pub fn deliver<M: Memory>(
        self,
        memory: &mut M,
        info: &UdpInfo,
        bytes: &[u8],
    ) -> Option<Outcome> {
        let Park::Receive(wait) = self else { return None };
        Some(finished(wait.fill(memory, info, bytes), wait.slot))
    }
}

fn finished(result: Result<i32, Stop>, slot: u8) -> Outcome {
    match result {
        Ok(value) => Outcome::Return(<i32 as ResultType>::registers(value)),
        Err(stop) => stop.outcome(slot),
    }
}

/// Slot of `net.send`.
const SEND: u8 = 43;

/// The four argument registers, taken by AAPCS section 6.4: a 64-bit value
/// starts at an even register.
pub(crate) struct Registers {
    r: [u32; 4],
    next: usize,
}

impl Registers {
    fn word(&mut self) -> u32 {
        let word = self.r.get(self.next).copied().unwrap_or(0);
        self.next += 1;
        word
    }
}

/// A parameter type of a signature, as a handler gets it.
pub(crate) trait Parameter {
    type Checked;
    fn take(r: &mut Registers) -> Self::Checked;
}

macro_rules! parameters {
    ($($ty:ty => $checked:ty, $r:ident $take:expr;)*) => {$(
        impl Parameter for $ty {
            type Checked = $checked;
            fn take($r: &mut Registers) -> $checked { $take }
        }
    )*};
}
parameters! {
    u32 => u32, r r.word();
    i32 => i32, r r.word() as i32;
    *const u8 => UserPtr, r UserPtr(r.word());
    *mut u8 => UserPtr, r UserPtr(r.word());
    *const UdpPeer => UserPtr, r UserPtr(r.word());
    *const UdpRecv => UserPtr, r UserPtr(r.word());
    *mut UdpInfo => UserPtr, r UserPtr(r.word());
    *mut Addresses => UserPtr, r UserPtr(r.word());
    *mut Neighbour => UserPtr, r UserPtr(r.word());
    u64 => u64, r {
        r.next = r.next.next_multiple_of(2);
        let low = r.word();
        u64::from(r.word()) << 32 | u64::from(low)
    };
}

/// A result type of a signature, as a handler gives it and as r0:r1.
pub(crate) trait ResultType {
    type Given;
    fn registers(given: Self::Given) -> u64;
}

macro_rules! results {
    ($($ty:ty => $given:ty, $v:pat => $r:expr;)*) => {$(
        impl ResultType for $ty {
            type Given = $given;
            fn registers($v: $given) -> u64 { $r }
        }
    )*};
}
results! {
    () => (), () => 0;
    u32 => u32, v => u64::from(v);
    i32 => i32, v => u64::from(v as u32);
    u64 => u64, v => v;
    *mut u8 => UserPtr, v => u64::from(v.0);
    *const TaskInfo => UserPtr, v => u64::from(v.0);
    Never => core::convert::Infallible, v => match v {};
}

macro_rules! gate {
    ($($slot:literal $ty:ident $f:ident $name:literal
       ($($p:ident: $pt:ty),*) -> $ret:ty, $text:literal;)*) => {
        /// One method per service, with the signature of the list.
        pub(crate) trait Services {
            $(fn $f(&mut self, $($p: <$pt as Parameter>::Checked),*)
                -> Result<<$ret as ResultType>::Given, Stop>;)*
        }

        /// Carries out one call: `slot` from r12, `args` from r0 to r3.
        /// Takes at most about 20,000 instructions, whatever they are.
        pub fn dispatch<M: Memory, B: Board + Network>(
            slot: u32,
            args: [u32; 4],
            ctx: &mut Context<'_, M, B>,
        ) -> Outcome {
            if !ctx.task.allowed.has(slot) {
                return unknown(slot);
            }
            #[allow(unused_mut, unused_variables)]
            let mut r = Registers { r: args, next: 0 };
            match slot {
                $($slot => {
                    $(let $p = <$pt as Parameter>::take(&mut r);)*
                    match ctx.$f($($p),*) {
                        Ok(given) => Outcome::Return(<$ret as ResultType>::registers(given)),
                        Err(stop) => stop.outcome($slot),
                    }
                })*
                _ => unknown(slot),
            }
        }
    };
}
for_each_service!(gate);

/// The handler of every slot without a service.
fn unknown(slot: u32) -> Outcome {
    Outcome::Fault(Fault::Unknown { slot })
}
