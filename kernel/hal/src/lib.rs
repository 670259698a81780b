//! Traits between the parts of the serverkernel, and nothing else.
//!
//! A seam sits where a specification changes: registers ([`Bus32`]) below a
//! driver, memory shared with a bus master ([`DmaBuf`] over [`CacheOps`])
//! below everything that uses DMA, *transfers* ([`usb::UsbHost`]) between the
//! USB host controller and the class drivers, *frames* ([`net::FrameDevice`])
//! between a network adapter and the IP stack. Each has a double on the host
//! (`sk-models`), so the code above it runs in `cargo test`.
//!
//! Time is an argument: [`Micros`] since boot, taken once per poll from the
//! 1 MHz system timer. Nothing here waits.
#![no_std]
#![forbid(unsafe_code)]

pub mod cp15;
pub mod dma;
pub mod net;
pub mod ordered;
pub mod regs;
pub mod usb;

pub use cp15::Cp15Ops;
pub use dma::{BusAddr, CacheOps, CpuOwned, DeviceOwned, Direction, DmaBuf};
pub use ordered::Ordered;
pub use regs::{Bus32, Reg};

/// Microseconds since boot (64 bit: never wraps in practice).
pub type Micros = u64;

/// The time source: the 1 MHz system timer on the board.
pub trait Clock {
    /// Microseconds since boot.
    fn now(&self) -> Micros;
}

/// What resets the board unless it is fed in time.
pub trait Watchdog {
    /// Fed at time `now`; the time it allows starts anew.
    fn feed(&mut self, now: Micros);
}

/// Two at once: the one with the shorter time in front.
impl<A: Watchdog, B: Watchdog> Watchdog for (A, B) {
    fn feed(&mut self, now: Micros) {
        self.0.feed(now);
        self.1.feed(now);
    }
}

/// Random bytes for keys, cookies and identifiers.
///
/// An implementation must be cryptographically strong; one that has failed its
/// health test returns `false` and leaves `out` zeroed.
pub trait Entropy {
    /// Fills `out`; `false` = no good randomness to be had.
    #[must_use]
    fn fill(&mut self, out: &mut [u8]) -> bool;
}
