//! A payload's turn: its registers, the way in, the reasons for coming back.
//!
//! There is no thread to switch to: [`Context::run`] is a call that lets the
//! payload go on and returns when it asks for a service, when an interrupt is
//! due, or when it faults (`vectors.S`).

use sk_bcm2835::cp15;

/// Registers of a payload between two turns. Layout known to `vectors.S`.
#[repr(C)]
pub struct Context {
    /// r0 to r12, sp, lr.
    pub r: [u32; 15],
    /// Where it goes on.
    pub pc: u32,
    /// Program status: user mode, interrupts open.
    pub cpsr: u32,
}

/// Why a turn ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Service call: slot in r12.
    Service,
    /// An interrupt is pending.
    Interrupt,
    /// Undefined instruction.
    Undefined,
    /// Instruction fetch fault or breakpoint.
    PrefetchAbort,
    /// Data access fault.
    DataAbort,
}

/// User mode, interrupts open, ARM state, little endian.
const USER: u32 = 0x10;
/// The same in system mode: privileged, with the registers of user mode, so
/// that the vectors need not know the difference.
const SYSTEM: u32 = 0x1F;
/// Thumb state.
const THUMB: u32 = 1 << 5;

/// How a payload runs.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Mode {
    /// In user mode, behind the MMU.
    #[default]
    Shielded,
    /// Privileged.
    Direct,
}

unsafe extern "C" {
    fn enter_task(context: *mut Context) -> u32;
    fn drain_aborts() -> u32;
}

/// Takes an external abort that is pending, if there is one: it belongs to what
/// ran before. Its fault status, or 0.
pub fn pending_abort() -> u32 {
    // SAFETY: opens imprecise aborts for a moment; the vector for them knows.
    unsafe { drain_aborts() }
}

impl Context {
    /// A context that has nothing to run.
    pub const fn empty() -> Self {
        Self { r: [0; 15], pc: 0, cpsr: USER }
    }

    /// About to call `entry(r0, r1)` with stack `sp`; returns to `lr`.
    pub fn at_entry(mode: Mode, entry: u32, r0: u32, r1: u32, sp: u32, lr: u32) -> Self {
        let mut r = [0; 15];
        r[0] = r0;
        r[1] = r1;
        r[13] = sp;
        r[14] = lr;
        let cpsr = if mode == Mode::Direct { SYSTEM } else { USER };
        Self { r, pc: entry, cpsr }
    }

    /// Is it in Thumb state?
    pub const fn is_thumb(&self) -> bool {
        self.cpsr & THUMB != 0
    }

    /// Lets the payload run until something ends its turn.
    pub fn run(&mut self) -> Reason {
        cp15::hand_over_peripherals();
        // SAFETY: `enter_task` follows the C calling convention and writes only
        // this context; a shielded payload runs in user mode behind the task map,
        // so it can reach no memory but its own. A direct one could do anything:
        // that is what its client's role is for.
        let reason = unsafe { enter_task(self) };
        cp15::hand_over_peripherals();
        match reason {
            0 => Reason::Service,
            1 | 5 => Reason::Interrupt,
            2 => Reason::Undefined,
            3 => Reason::PrefetchAbort,
            _ => Reason::DataAbort,
        }
    }
}
