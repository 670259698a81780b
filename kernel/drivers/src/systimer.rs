//! The 1 MHz system timer: the time base, and one-shot interrupts.
//!
//! BCM2835 ARM Peripherals chapter 12: a free-running 64-bit counter that does
//! not depend on the ARM or core clock, and four 32-bit equality comparators.
//! C0 and C2 belong to the VideoCore; [`Channel`] cannot name them. Because the
//! comparison is for equality, a value already in the past matches only after
//! the low word wrapped (71.6 minutes); [`SysTimer::arm`] re-reads the counter
//! after programming and says so instead.

use sk_hal::{Bus32, Clock, Micros};

const CS: u32 = 0x00;
const CLO: u32 = 0x04;
const CHI: u32 = 0x08;

/// The longest distance that is programmed: half the wrap, so that "passed"
/// stays decidable. A later deadline interrupts early and is armed again.
const FARTHEST: Micros = 1 << 31;

/// A comparator the ARM may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Channel {
    /// Compare 1, GPU interrupt 1.
    C1,
    /// Compare 3, GPU interrupt 3.
    C3,
}

impl Channel {
    const fn offset(self) -> u32 {
        match self {
            Self::C1 => 0x10,
            Self::C3 => 0x18,
        }
    }

    const fn bit(self) -> u32 {
        match self {
            Self::C1 => 1 << 1,
            Self::C3 => 1 << 3,
        }
    }
}

/// What became of a request for an interrupt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "a deadline that has passed will not interrupt"]
pub enum Armed {
    /// The comparator will match, or has just matched and is pending. For a
    /// deadline more than 2^31 us away the match comes early.
    Set,
    /// The deadline is not in the future: handle it now. (Within the same
    /// microsecond a match may still follow; it is harmless.)
    AlreadyPassed,
}

/// The system timer.
#[derive(Clone, Copy, Debug)]
pub struct SysTimer<B> {
    bus: B,
}

impl<B: Bus32> SysTimer<B> {
    /// The timer behind `bus`.
    pub const fn new(bus: B) -> Self {
        Self { bus }
    }

    /// Asks for one match of `channel` at time `at` (microseconds since the
    /// counter was zero).
    pub fn arm(&self, channel: Channel, at: Micros) -> Armed {
        let now = self.now();
        if at <= now {
            self.ack(channel);
            return Armed::AlreadyPassed;
        }
        let target = at.min(now + FARTHEST);
        // A match left over from the last use would look like this one's.
        self.ack(channel);
        self.bus.write(channel.offset(), target as u32);
        if self.now() >= target && !self.matched(channel) {
            // Programmed too late: equality was missed.
            return Armed::AlreadyPassed;
        }
        Armed::Set
    }

    /// Has `channel` matched since it was last acknowledged?
    pub fn matched(&self, channel: Channel) -> bool {
        self.bus.read(CS) & channel.bit() != 0
    }

    /// Clears the match of `channel` (and of no other) and so its interrupt.
    pub fn ack(&self, channel: Channel) {
        self.bus.write(CS, channel.bit());
    }

    /// The low 32 bits, for measuring short spans cheaply.
    pub fn low(&self) -> u32 {
        self.bus.read(CLO)
    }
}

impl<B: Bus32> Clock for SysTimer<B> {
    /// CHI, CLO, CHI again: equal high words vouch for the low one. If they
    /// differ the low word has just wrapped, so the second CLO is small and the
    /// second CHI is its own; it cannot wrap again for 71 minutes.
    fn now(&self) -> Micros {
        let before = self.bus.read(CHI);
        let low = self.bus.read(CLO);
        let after = self.bus.read(CHI);
        let low = if before == after { low } else { self.bus.read(CLO) };
        u64::from(after) << 32 | u64::from(low)
    }
}
