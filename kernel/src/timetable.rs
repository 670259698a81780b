//! The timetable: what the kernel does, how often, and how long it may take.
//!
//! | slot | what | budget |
//! | --- | --- | --- |
//! | usb | finished transfers, port changes, timeouts | one pass over 8 channels |
//! | net | received frames, ARP, DHCP | 16 frames |
//! | session | one step of the protocol, what there is to be sent | one X25519: 3 ms at 700 MHz |
//! | console | bytes to the UART | one FIFO |
//! | integrity | 16 KiB of code or a page table summed again | 32 KiB read and added |
//! | health | temperature, throttling, under-voltage | one mailbox message |
//!
//! Most slots have no period of their own: they are woken by an event or at the
//! time they asked for, so an idle board sleeps.

use crate::kernel::Kernel;
use sk_exec::{Events, Slot};
use sk_hal::Micros;

/// The USB controller wants attention.
pub const USB: u32 = 1 << 0;
/// Frames may have come.
pub const NET: u32 = 1 << 1;
/// The protocol has something to do.
pub const SESSION: u32 = 1 << 2;
/// Bytes wait for the UART.
pub const CONSOLE: u32 = 1 << 3;

/// A payload has gone: everything is to be looked at.
pub const INTEGRITY: u32 = 1 << 4;

/// Raised by the kernel's own slots and its idle loop; no interrupt handler
/// runs besides them.
pub static EVENTS: Events = Events::new();

/// Number of slots.
pub const SLOTS: usize = 6;

/// The table.
pub const TABLE: [Slot<Kernel>; SLOTS] = [
    Slot { name: "usb", period: 0, budget: 200, wake: USB, run: usb },
    Slot { name: "net", period: 0, budget: 1_500, wake: USB | NET, run: net },
    Slot { name: "session", period: 0, budget: 4_000, wake: SESSION, run: session },
    Slot { name: "console", period: 0, budget: 100, wake: CONSOLE, run: console },
    Slot { name: "integrity", period: 2_000_000, budget: 300, wake: INTEGRITY, run: integrity },
    Slot { name: "health", period: 2_000_000, budget: 200, wake: 0, run: health },
];
const _: () = assert!(sk_exec::load_permille(&TABLE) <= 10);
const _: () = assert!(sk_exec::longest_pass(&TABLE) <= 8_000);

fn usb(kernel: &mut Kernel, now: Micros) -> Option<Micros> {
    let at = kernel.usb_step(now);
    EVENTS.raise(NET);
    at
}

fn net(kernel: &mut Kernel, now: Micros) -> Option<Micros> {
    let (raised, at) = kernel.net_step(now);
    EVENTS.raise(raised);
    at
}

fn session(kernel: &mut Kernel, now: Micros) -> Option<Micros> {
    let (more, at) = kernel.session_step(now);
    if more {
        EVENTS.raise(SESSION);
    }
    at
}

fn console(kernel: &mut Kernel, now: Micros) -> Option<Micros> {
    // A FIFO of 16 bytes is empty after 1.4 ms at 115,200 baud.
    kernel.console_step().then_some(now + 1_300)
}

fn integrity(kernel: &mut Kernel, now: Micros) -> Option<Micros> {
    kernel.integrity_step(now)
}

fn health(kernel: &mut Kernel, _now: Micros) -> Option<Micros> {
    kernel.health_step();
    None
}
