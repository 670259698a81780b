//! What a payload's fault was: from what the processor says, and where things
//! lie, to the status its client is told.
//!
//! The processor's word is the fault status (`sk_abi::fault`); an address
//! alone says more only about who owns what lies there.

use core::ops::Range;
use sk_abi::Status;
use sk_abi::fault::{Cause, DIVISION_BY_ZERO, cause, udf};

/// Why the payload stopped, as the vectors saw it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trap {
    /// Undefined instruction.
    Undefined {
        /// The word there, if it was ARM code that may be read.
        instruction: Option<u32>,
        /// FPEXC.EX: the VFP wants help with an operation (TRM 20.4.3).
        vfp: bool,
    },
    /// Instruction fetch, or a breakpoint.
    Prefetch {
        /// Instruction fault status.
        status: u32,
    },
    /// Data access.
    Data {
        /// Data fault status.
        status: u32,
        /// Fault address.
        address: u32,
    },
}

/// Where things lie.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Map<'a> {
    /// The payload's stack.
    pub stack: Range<u32>,
    /// What lies below the stack and is never mapped.
    pub guard: u32,
    /// What is the kernel's: its image and memory, devices, its part of the
    /// task region.
    pub kernel: &'a [Range<u32>],
}

/// How far below the lowest stack a pointer may be and still be called one.
const STACK_REACH: u32 = sk_abi::image::STACK_MAX;
/// How far below the stack pointer a function touches: what a frame's last
/// store may lie under it.
const RED: u32 = 4096;

impl Map<'_> {
    fn is_kernel(&self, address: u32) -> bool {
        self.kernel.iter().any(|range| range.contains(&address))
    }

    /// Is `address` below the stack because the stack is too small? Either it
    /// is in the guard, or the stack pointer itself is below, and the address
    /// is between the two: a frame that is larger than the guard.
    fn is_overflow(&self, address: u32, sp: u32) -> bool {
        let start = self.stack.start;
        let guard = start.saturating_sub(self.guard)..start;
        let reach = start.saturating_sub(STACK_REACH)..start;
        guard.contains(&address)
            || reach.contains(&sp) && address < start && address >= sp.saturating_sub(RED)
    }
}

/// The status, and the address it is about.
#[must_use]
pub fn classify(trap: Trap, pc: u32, sp: u32, map: &Map<'_>) -> (Status, u32) {
    match trap {
        Trap::Undefined { instruction: Some(word), .. } if word == udf(DIVISION_BY_ZERO) => {
            (Status::DIV_ZERO, pc)
        }
        Trap::Undefined { vfp: true, .. } => (Status::VFP, pc),
        Trap::Undefined { .. } => (Status::UNDEF, pc),
        Trap::Prefetch { status } if cause(status) == Cause::Breakpoint => (Status::BKPT, pc),
        Trap::Prefetch { .. } if map.is_kernel(pc) => (Status::KERNEL_ACCESS, pc),
        Trap::Prefetch { .. } => (Status::PREFETCH_ABORT, pc),
        // Noticed late: the address register is of something else.
        Trap::Data { status, .. } if cause(status) == Cause::Imprecise => (Status::DATA_ABORT, 0),
        Trap::Data { status, address } => {
            let status = match cause(status) {
                Cause::Breakpoint => Status::BKPT,
                _ if map.is_overflow(address, sp) => Status::STACK,
                // In the way of something else, which is worse.
                Cause::Alignment => Status::ALIGNMENT,
                Cause::External => Status::DATA_ABORT,
                _ if map.is_kernel(address) => Status::KERNEL_ACCESS,
                _ => Status::DATA_ABORT,
            };
            (status, address)
        }
    }
}
