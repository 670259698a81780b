//! serverkernel: the image `kernel.img`.
//!
//! Composition and nothing else: the thinking is in the crates beside this one,
//! the unsafe floor in `sk-bcm2835`. In the order of a boot:
//!
//! * `boot.S`, `vectors.S`, `gates.S`: from reset to Rust, in and out of a payload;
//! * [`early`]: takes the boot data before anything is cleared;
//! * [`memory`]: the map the kernel runs on;
//! * [`machine`]: brings the board's blocks up, in sentences on the UART;
//! * [`kernel`]: everything that lives, and the timetable it lives by;
//! * [`tasks`], [`task`], [`streams`], [`region`], [`gates`], [`direct`]: the payload;
//! * [`watch`], [`fault`], [`crash`]: whether all is well, what is said when something
//!   breaks, and what the next boot is told.
#![no_std]
#![no_main]
// A binary exports nothing; `pub` here means "for the other modules".
#![allow(unreachable_pub)]

mod crash;
mod direct;
mod dma;
mod early;
mod fault;
mod gates;
mod kernel;
mod machine;
mod memory;
mod region;
mod streams;
mod task;
mod tasks;
mod timetable;
mod watch;
mod wire;

use core::arch::global_asm;
// memcpy and its kin, in place of the compiler's.
use sk_mem as _;

global_asm!(include_str!("boot.S"), options(raw));
global_asm!(include_str!("vectors.S"), options(raw));

/// Entered by `boot.S`: caches and MMU on, .bss cleared, interrupts masked.
#[unsafe(no_mangle)]
extern "C" fn kernel_main() -> ! {
    // SAFETY: the boot code calls this once, after `early`.
    let taken = unsafe { early::taken() };
    // SAFETY: once, on the boot map, from the one thread.
    let memory = unsafe { memory::Memory::take_over() };
    kernel::start(machine::Machine::bring_up(taken, memory)).run()
}
