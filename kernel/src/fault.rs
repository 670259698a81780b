//! Faults: what the kernel says when it has one itself, and what it says of a
//! payload's.
//!
//! A fault of the kernel prints its registers on the UART, polled and without
//! the heap, the ring or a lock, and stops. It never recurses: a fault while
//! printing halts at once.

use crate::task::Reason;
use core::fmt::{self, Write};
use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering};
use sk_bcm2835::{Mmio, cp15, map};
use sk_hal::Bus32;
use sk_services::fault::Trap;

/// The UART in an emergency: polled, each byte waited for a bounded time.
pub struct Emergency(Mmio);

const DR: u32 = 0x00;
const FR: u32 = 0x18;
const FR_TXFF: u32 = 1 << 5;
/// Polls per byte: at 115,200 Bd a byte takes 87 us, some 10,000 reads.
const POLLS: u32 = 200_000;

impl Emergency {
    /// The PL011 as the kernel left it.
    pub fn new() -> Self {
        // SAFETY: UART0 is the PL011, mapped as device memory in every map of
        // ours; DR and FR are registers of it.
        Self(unsafe { Mmio::new(map::UART0) })
    }
}

impl Write for Emergency {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        for byte in s.bytes() {
            let mut left = POLLS;
            while self.0.read(FR) & FR_TXFF != 0 && left > 0 {
                left -= 1;
            }
            self.0.write(DR, u32::from(byte));
        }
        Ok(())
    }
}

static DYING: AtomicBool = AtomicBool::new(false);

/// Stops for good. The watchdog, where it is armed, resets the board.
pub fn halt() -> ! {
    loop {
        cp15::wfi();
    }
}

fn once() {
    // Not a read-modify-write: there is one thread, and the exclusive monitor
    // may be in any state here.
    if DYING.load(Ordering::Relaxed) {
        halt();
    }
    DYING.store(true, Ordering::Relaxed);
}

/// Called by the vectors with {r0-r12, sp, lr, pc} of the kernel.
#[unsafe(no_mangle)]
extern "C" fn kernel_fault(kind: u32, frame: &[u32; 16], cpsr: u32) -> ! {
    once();
    let name = match kind {
        2 => "undefined instruction",
        3 => "prefetch abort",
        4 => "data abort",
        _ => "unexpected exception",
    };
    let mut out = Emergency::new();
    let _ = writeln!(out, "\r\n*** kernel fault: {name}\r");
    for (row, regs) in frame.chunks(4).enumerate() {
        for (i, value) in regs.iter().enumerate() {
            let _ = write!(out, "r{:<2} {value:08x}  ", row * 4 + i);
        }
        let _ = write!(out, "\r\n");
    }
    let _ = writeln!(
        out,
        "cpsr {cpsr:08x}  dfsr {:08x}  ifsr {:08x}  far {:08x}\r\n*** stopped\r",
        cp15::data_fault_status(),
        cp15::instruction_fault_status(),
        cp15::fault_address()
    );
    halt()
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    once();
    let _ = writeln!(Emergency::new(), "\r\n*** kernel panic: {info}\r\n*** stopped\r");
    halt()
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
