//! Runs every routine of `sk-mem` on the emulated core and says on the UART
//! what came out.
//!
//! 1. [`costs`]: one line `cost NAME` for each call between the markers of the
//!    counting plugin, which writes down the instructions in the same order,
//!    then `phase: costed`.
//! 2. [`checks`]: every alignment and length, every kind of overlap, guard
//!    bytes, and both ends of the two arenas, around which nothing is mapped;
//!    then `phase: all right`.
//!
//! Any fault ends it with a line that begins with `phase: wrong`. Read by
//! `toolchain/e2e/tests/memory.rs`.
#![no_std]
#![no_main]
#![allow(unreachable_pub)]

mod checks;
mod costs;
mod memory;
mod uart;

use core::arch::global_asm;
// The symbols that are tested.
use sk_mem as _;
use uart::say;

global_asm!(include_str!("boot.S"), options(raw));

/// Entered by `boot.S`: caches and MMU on, .bss cleared.
#[unsafe(no_mangle)]
extern "C" fn guest_main() -> ! {
    memory::fill();
    costs::run();
    say!("phase: costed");
    memory::fill();
    checks::run();
    say!("phase: all right");
    stop()
}

/// A byte outside the arenas was touched, or LDM or STM met no word boundary.
#[unsafe(no_mangle)]
extern "C" fn guest_aborted(pc: u32, address: u32) -> ! {
    say!("phase: wrong: data abort at pc {pc:#x}, address {address:#x}");
    stop()
}

/// A routine did not give a register back.
#[unsafe(no_mangle)]
extern "C" fn guest_spoiled() -> ! {
    say!("phase: wrong: a register that a callee keeps was changed");
    stop()
}

#[panic_handler]
fn panicked(info: &core::panic::PanicInfo) -> ! {
    say!("phase: wrong: {}", info.message());
    stop()
}

fn stop() -> ! {
    loop {
        core::hint::spin_loop();
    }
}
