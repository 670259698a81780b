//! Faults: what the kernel says when it has one itself, and what it says of a
//! payload's.
//!
//! A fault of the kernel leaves its registers in the crash record and on the
//! UART, and ends in a reset ([`crash`]).

use crate::crash::{self, Registers};
use crate::task::Reason;
use core::fmt::Write;
use core::ops::Range;
use sk_bcm2835::{cp15, map};
use sk_services::fault::Trap;
use sk_wire::LastEnd;

/// Called by the vectors with {r0-r12, sp, lr, pc} of the kernel.
#[unsafe(no_mangle)]
extern "C" fn kernel_fault(kind: u32, frame: &[u32; 16], cpsr: u32) -> ! {
    let (name, cause) = match kind {
        2 => ("undefined instruction", LastEnd::Fault),
        3 => ("prefetch abort", LastEnd::Fault),
        4 => ("data abort", LastEnd::Fault),
        5 => ("the executive does not come round", LastEnd::Hang),
        _ => ("unexpected exception", LastEnd::Fault),
    };
    let (dfsr, ifsr) = (cp15::data_fault_status(), cp15::instruction_fault_status());
    let far = cp15::fault_address();
    let mut registers: Registers = [0; _];
    for (to, from) in registers.iter_mut().zip(frame.iter().chain(&[cpsr, dfsr, ifsr, far])) {
        *to = *from;
    }
    let pc = frame.last().copied().unwrap_or(0);
    crash::note(cause, kind, &registers, format_args!("{name} at {pc:#x}"));
    crash::end(&|out| {
        let _ = writeln!(out, "\r\n*** kernel fault: {name}\r");
        for (row, values) in frame.chunks(4).enumerate() {
            for (i, value) in values.iter().enumerate() {
                let _ = write!(out, "r{:<2} {value:08x}  ", row * 4 + i);
            }
            let _ = write!(out, "\r\n");
        }
        let _ = write!(out, "cpsr {cpsr:08x}  dfsr {dfsr:08x}  ifsr {ifsr:08x}  far {far:08x}");
    })
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    let line = info.location().map_or(0, core::panic::Location::line);
    crash::note(LastEnd::Panic, line, &[0; _], format_args!("{info}"));
    crash::end(&|out| {
        let _ = write!(out, "\r\n*** kernel {info}");
    })
}

/// What the processor says of a payload's fault: what kind it was, and the
/// fault status (TRM 6.9). `instruction` is the word at the program counter.
pub fn trap(reason: Reason, instruction: Option<u32>) -> (Trap, u32) {
    match reason {
        Reason::PrefetchAbort => {
            let status = cp15::instruction_fault_status();
            (Trap::Prefetch { status }, status)
        }
        Reason::DataAbort => {
            let status = cp15::data_fault_status();
            (Trap::Data { status, address: cp15::fault_address() }, status)
        }
        _ => (Trap::Undefined { instruction, vfp: cp15::vfp_wants_help() }, 0),
    }
}

/// What is the kernel's, whatever task runs: its image and memory up to the
/// resolver's table, the devices, and where other kernels have their vectors.
pub const KERNEL: [Range<u32>; 3] = [
    0x1000..map::TASK_REGION + crate::gates::TABLE_LEN,
    map::PERIPHERALS..map::PERIPHERALS + map::PERIPHERALS_LEN,
    0xFFFF_0000..0xFFFF_FFFF,
];
