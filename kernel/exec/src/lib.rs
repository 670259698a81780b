//! The cyclic executive: a timetable, run in order, that measures itself.
//!
//! The kernel has no threads. It has a const table that reads like a timetable
//! (slot, period, budget, function) and one loop that polls it. A slot is a
//! bounded step of some state machine; it is due when its period comes round,
//! when an event it waits for has happened, or at the time it asked for itself.
//!
//! * A slot that is late runs **once**: missed ticks are counted, not made up
//!   for, so an overload cannot feed itself.
//! * Every run is timed. Worst case, slips and overruns are kept per slot and
//!   can be asked for, so the schedule can be seen to hold.
//! * Whether a table *can* hold is arithmetic, done when it is compiled:
//!   [`load_permille`] and [`longest_pass`] are `const`.
//! * Whether it *does* hold is asked at run time, before the watchdogs are fed:
//!   [`Executive::check`], [`Guard`].
//! * While a payload runs, the kernel's own work is held to a share of the
//!   time: [`Share`].
//!
//! ```
//! use sk_exec::{Events, Executive, Slot, load_permille};
//! use sk_hal::{Clock, Micros};
//!
//! const USB: u32 = 1 << 0;
//! static EVENTS: Events = Events::new();
//!
//! struct Board { led: bool, frames: u32 }
//!
//! const TABLE: [Slot<Board>; 2] = [
//!     Slot { name: "usb", period: 1_000, budget: 200, wake: USB, run: |board, _now| {
//!         board.frames += 1;
//!         None
//!     } },
//!     Slot { name: "led", period: 500_000, budget: 10, wake: 0, run: |board, _now| {
//!         board.led = !board.led;
//!         None
//!     } },
//! ];
//! const _: () = assert!(load_permille(&TABLE) <= 500);
//!
//! # struct Timer; impl Clock for Timer { fn now(&self) -> Micros { 7 } }
//! # let timer = Timer;
//! let mut board = Board { led: false, frames: 0 };
//! let mut executive = Executive::new(&TABLE, &EVENTS, timer.now());
//! assert_eq!(executive.poll(&mut board, &timer), 2);
//! EVENTS.raise(USB); // from the interrupt handler
//! assert_eq!(executive.poll(&mut board, &timer), 1);
//! assert_eq!(executive.next_due(timer.now()), Some(1_007));
//! ```
#![no_std]
#![forbid(unsafe_code)]

mod events;
mod executive;
mod guard;
mod share;
mod slot;

pub use events::Events;
pub use executive::{Broken, Executive};
pub use guard::Guard;
pub use share::Share;
pub use slot::{Slot, SlotReport, load_permille, longest_pass};
