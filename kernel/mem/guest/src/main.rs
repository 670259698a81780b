//! Runs every routine of `sk-mem` on the emulated core and says on the UART
//! what came out.
//!
//! 1. [`costs`]: one line `cost NAME` for each call between the markers of the
//!    counting plugin, which writes down the instructions in the same order,
//!    then `costed`.
//! 2. [`checks`]: every alignment and length, every kind of overlap, guard
//!    bytes, and both ends of the two arenas, around which nothing is mapped;
//!    then `all right`.
//!
//! Any fault ends it with a line that begins with `wrong`. Read by
//! `toolchain/e2e/tests/memory.rs`.
#![no_std]
#![no_main]
#![allow(unreachable_pub)]

mod checks;
mod costs;
mod memory;
mod uart;

use core::arch::global_asm;
use uart::say;

global_asm!(include_str!("boot.S"), options(raw));

/// Entered by `boot.S`: caches and MMU on, .bss cleared.
#[unsafe(no_mangle)]
extern "C" fn guest_main() -> ! {
    memory::fill();
    costs::run();
    say!("costed");
    checks::run();
    say!("all right");
    stop()
}

/// A byte outside the arenas was touched, or LDM or STM met no word boundary.
#[unsafe(no_mangle)]
extern "C" fn guest_aborted(pc: u32, address: u32) -> ! {
    say!("wrong: data abort at pc {pc:#x}, address {address:#x}");
    stop()
}

/// A routine did not give a register back.
#[unsafe(no_mangle)]
extern "C" fn guest_spoiled() -> ! {
    say!("wrong: a register that a callee keeps was changed");
    stop()
}

#[panic_handler]
fn panicked(info: &core::panic::PanicInfo) -> ! {
    say!("wrong: {}", info.message());
    stop()
}

fn stop() -> ! {
    loop {
        core::hint::spin_loop();
    }
}
