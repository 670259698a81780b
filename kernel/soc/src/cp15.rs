//! Coprocessor 15 of ARM1176JZF-S (TRM chapter 3). The v7 mnemonics `dsb`,
//! `dmb` and `isb` do not exist on this core; these are their v6 encodings.

use core::arch::asm;
use sk_hal::Cp15Ops;

/// The core, as [`Cp15Ops`]: an instruction each. What they are made into is in
/// [`sk_hal::cp15`].
#[derive(Clone, Copy, Debug)]
pub struct Cp15(());

impl Cp15 {
    /// Access to the operations.
    ///
    /// # Safety
    /// Some of them lose data that was not written back or change the map; who
    /// makes a `Cp15` answers for whom it is handed to: only to code that knows
    /// what the lines hold, and that keeps the kernel mapped.
    #[must_use]
    pub const unsafe fn new() -> Self {
        Self(())
    }
}

macro_rules! operations {
    ($($name:ident $(($($arg:ident),+))?: $op:literal;)+ + $($other:tt)*) => {
        impl Cp15Ops for Cp15 {
            $($other)*
            $(
                #[inline(always)]
                fn $name(&self $($(, $arg: u32)+)?) {
                    // SAFETY: by the contract of `Cp15::new`; ordering is stated
                    // by the default memory clobber of `asm!`.
                    unsafe { operations!(@asm $op $($($arg)+)?) }
                }
            )+
        }
    };
    (@asm $op:literal) => {
        asm!($op, r = in(reg) 0, options(nostack, preserves_flags))
    };
    (@asm $op:literal $($arg:ident)+) => {
        asm!($op, $($arg = in(reg) $arg,)+ options(nostack, preserves_flags))
    };
}

operations! {
    dsb: "mcr p15, 0, {r}, c7, c10, 4";
    dmb: "mcr p15, 0, {r}, c7, c10, 5";
    clean_range(start, last): "mcrr p15, 0, {last}, {start}, c12";
    clean_invalidate_range(start, last): "mcrr p15, 0, {last}, {start}, c14";
    invalidate_range(start, last): "mcrr p15, 0, {last}, {start}, c6";
    instruction_invalidate: "mcr p15, 0, {r}, c7, c5, 0";
    branch_flush: "mcr p15, 0, {r}, c7, c5, 6";
    prefetch_flush: "mcr p15, 0, {r}, c7, c5, 4";
    tlb_invalidate: "mcr p15, 0, {r}, c8, c7, 0";
    set_domains(dacr): "mcr p15, 0, {dacr}, c3, c0, 0";
    set_tables(l1): "mcr p15, 0, {l1}, c2, c0, 0";
    wait_for_interrupt: "mcr p15, 0, {r}, c7, c0, 4";
    +
    #[inline(always)]
    fn eleven_nops(&self) {
        // SAFETY: nothing is done.
        unsafe { asm!(".rept 11", "nop", ".endr", options(nostack, preserves_flags)) }
    }
}

/// Between the kernel's accesses to peripherals and those of a payload.
#[inline(always)]
pub fn hand_over_peripherals() {
    // SAFETY: a barrier.
    sk_hal::cp15::hand_over_peripherals(&unsafe { Cp15::new() });
}

/// Sleeps until an interrupt is pending, masked in CPSR or not (TRM 10.2.2).
#[inline(always)]
pub fn wfi() {
    // SAFETY: a barrier and a wait.
    sk_hal::cp15::sleep(&unsafe { Cp15::new() });
}

macro_rules! read_reg {
    ($(#[$doc:meta])* $name:ident, $op:literal) => {
        $(#[$doc])*
        #[inline(always)]
        #[must_use]
        pub fn $name() -> u32 {
            let value: u32;
            // SAFETY: reads a CP15 register without side effects.
            unsafe { asm!($op, v = out(reg) value, options(nostack, preserves_flags, nomem)) }
            value
        }
    };
}

read_reg!(
    /// Data fault status (TRM 3.2.20).
    data_fault_status, "mrc p15, 0, {v}, c5, c0, 0"
);
read_reg!(
    /// Instruction fault status.
    instruction_fault_status, "mrc p15, 0, {v}, c5, c0, 1"
);
read_reg!(
    /// Data fault address.
    fault_address, "mrc p15, 0, {v}, c6, c0, 0"
);
read_reg!(
    /// Main ID: 0x410F_B767 on the board.
    main_id, "mrc p15, 0, {v}, c0, c0, 0"
);

/// Cycle counter. Stands still (reads 0) where there is none.
#[inline(always)]
#[must_use]
pub fn cycles() -> u32 {
    let value: u32;
    // SAFETY: reads CCNT (TRM 3.2.52); not `nomem`, so that two reads stay two.
    unsafe {
        asm!("mrc p15, 0, {v}, c15, c12, 1", v = out(reg) value, options(nostack, preserves_flags));
    }
    value
}

/// Does the VFP want help with an operation? FPEXC.EX (TRM 20.4.3), the mark of
/// an undefined instruction that is none.
#[must_use]
pub fn vfp_wants_help() -> bool {
    let fpexc: u32;
    // SAFETY: reads a register without side effects.
    unsafe {
        asm!(".fpu vfpv2", "fmrx {v}, fpexc", v = out(reg) fpexc, options(nostack, preserves_flags, nomem));
    }
    fpexc >> 31 != 0
}

/// The control registers that privileged code could have changed, as they were
/// when this was made.
#[derive(Clone, Copy, Debug)]
pub struct Control {
    system: u32,
    coprocessors: u32,
    table: u32,
    domains: u32,
    vectors: u32,
}

impl Control {
    /// Reads them.
    #[must_use]
    pub fn read() -> Self {
        let (system, coprocessors, table, domains, vectors);
        // SAFETY: reads of CP15 registers without side effects.
        unsafe {
            asm!(
                "mrc p15, 0, {system}, c1, c0, 0",
                "mrc p15, 0, {coprocessors}, c1, c0, 2",
                "mrc p15, 0, {table}, c2, c0, 0",
                "mrc p15, 0, {domains}, c3, c0, 0",
                "mrc p15, 0, {vectors}, c12, c0, 0",
                system = out(reg) system,
                coprocessors = out(reg) coprocessors,
                table = out(reg) table,
                domains = out(reg) domains,
                vectors = out(reg) vectors,
                options(nostack, preserves_flags, nomem)
            );
        }
        Self { system, coprocessors, table, domains, vectors }
    }

    /// Puts them back, closes what is open to user mode only by choice (TTBCR,
    /// FCSE, context, performance counters), and forgets translations.
    pub fn restore(&self) {
        // SAFETY: the values are those the kernel ran with before.
        unsafe {
            asm!(
                "mcr p15, 0, {domains}, c3, c0, 0",
                "mcr p15, 0, {zero}, c2, c0, 2",
                "mcr p15, 0, {table}, c2, c0, 0",
                "mcr p15, 0, {vectors}, c12, c0, 0",
                "mcr p15, 0, {coprocessors}, c1, c0, 2",
                "mcr p15, 0, {system}, c1, c0, 0",
                "mcr p15, 0, {zero}, c13, c0, 0",
                "mcr p15, 0, {zero}, c13, c0, 1",
                "mcr p15, 0, {zero}, c15, c9, 0",
                domains = in(reg) self.domains,
                table = in(reg) self.table,
                vectors = in(reg) self.vectors,
                coprocessors = in(reg) self.coprocessors,
                system = in(reg) self.system,
                zero = in(reg) 0,
                options(nostack, preserves_flags)
            );
        }
        // SAFETY: translations are read again from the tables in force.
        sk_hal::cp15::forget_translations(&unsafe { Cp15::new() });
    }
}

/// Masks FIQ.
#[inline(always)]
pub fn mask_fiq() {
    // SAFETY: holds FIQ back; nothing waits for one.
    unsafe { asm!("cpsid f", options(nomem, nostack, preserves_flags)) }
}

/// Lets FIQ through from now on.
///
/// # Safety
/// The FIQ vector leads to a handler that can interrupt the caller anywhere.
#[inline(always)]
pub unsafe fn open_fiq() {
    // SAFETY: the caller's contract.
    unsafe { asm!("cpsie f", options(nostack, preserves_flags)) }
}

/// What of the processor's state the kernel runs under and never changes:
/// control register, table base and its split, domains, vectors, and of the
/// program status the mode, the endianness and the masks of IRQ and FIQ (TRM 3.2.7, 3.2.13 to 3.2.16, 3.2.43).
#[must_use]
pub fn setting() -> [u32; 6] {
    let (control, base, split, domains, vectors, status): (u32, u32, u32, u32, u32, u32);
    // SAFETY: reads registers without side effects.
    unsafe {
        asm!(
            "mrc p15, 0, {c}, c1, c0, 0",
            "mrc p15, 0, {b}, c2, c0, 0",
            "mrc p15, 0, {s}, c2, c0, 2",
            "mrc p15, 0, {d}, c3, c0, 0",
            "mrc p15, 0, {v}, c12, c0, 0",
            "mrs {p}, cpsr",
            c = out(reg) control,
            b = out(reg) base,
            s = out(reg) split,
            d = out(reg) domains,
            v = out(reg) vectors,
            p = out(reg) status,
            options(nostack, preserves_flags, nomem)
        );
    }
    [control, base, split, domains, vectors, status & 0x2DF]
}

/// Zeroes what a payload could leave in the VFP and TLS registers (TRM 20.4,
/// 3.2.48), switches the VFP on if somebody has switched it off, with no
/// exception pending, and sets RunFast again.
pub fn reset_task_registers() {
    // SAFETY: the kernel is built soft-float and keeps nothing in the VFP; the
    // thread ID registers are not used by it.
    unsafe {
        asm!(
            ".fpu vfpv2",
            "fmxr fpexc, {enabled}",
            "vmov d0, {z}, {z}", "vmov d1, {z}, {z}", "vmov d2, {z}, {z}", "vmov d3, {z}, {z}",
            "vmov d4, {z}, {z}", "vmov d5, {z}, {z}", "vmov d6, {z}, {z}", "vmov d7, {z}, {z}",
            "vmov d8, {z}, {z}", "vmov d9, {z}, {z}", "vmov d10, {z}, {z}", "vmov d11, {z}, {z}",
            "vmov d12, {z}, {z}", "vmov d13, {z}, {z}", "vmov d14, {z}, {z}", "vmov d15, {z}, {z}",
            "fmxr fpscr, {runfast}",
            "mcr p15, 0, {z}, c13, c0, 2",
            "mcr p15, 0, {z}, c13, c0, 3",
            "mcr p15, 0, {z}, c13, c0, 4",
            z = in(reg) 0,
            runfast = in(reg) 0x0300_0000,
            enabled = in(reg) 0x4000_0000,
            options(nostack, preserves_flags)
        );
    }
}
