//! The PL011 UART as console: written through a ring, never waited for.
//!
//! A byte takes 87 us at 115,200 baud and the FIFO holds 16, so a driver that
//! waits for room stops a cyclic kernel for milliseconds; emulators never fill
//! the FIFO and do not show it. [`Pl011::write`] puts bytes into a ring and
//! [`Pl011::drain`] moves as many as fit into the FIFO, once per slot. Only
//! [`Emergency`], for panics, waits, and no longer than a few byte times.
//!
//! Registers: ARM PrimeCell UART (PL011) TRM DDI0183, BCM2835 ARM Peripherals
//! chapter 13. The write of LCRH latches the divisors and so comes after them.

mod ring;

use crate::wait;
use core::cell::Cell;
use ring::Ring;
use sk_hal::{Bus32, Clock, Micros, Reg};
use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::register_bitfields;

const DR: u32 = 0x00;
const FR: u32 = 0x18;
const IBRD: u32 = 0x24;
const FBRD: u32 = 0x28;
const LCRH: u32 = 0x2C;
const CR: u32 = 0x30;
const IMSC: u32 = 0x38;
const ICR: u32 = 0x44;

register_bitfields! [u32,
    Data [
        BYTE OFFSET(0) NUMBITS(8) [],
        /// Framing, parity, break, overrun.
        ERRORS OFFSET(8) NUMBITS(4) []
    ],
    Flags [
        BUSY OFFSET(3) NUMBITS(1) [],
        RXFE OFFSET(4) NUMBITS(1) [],
        TXFF OFFSET(5) NUMBITS(1) []
    ],
    Line [
        FEN OFFSET(4) NUMBITS(1) [],
        WLEN OFFSET(5) NUMBITS(2) [ Eight = 3 ]
    ],
    Control [
        UARTEN OFFSET(0) NUMBITS(1) [],
        TXE OFFSET(8) NUMBITS(1) [],
        RXE OFFSET(9) NUMBITS(1) []
    ],
    Interrupts [
        RX OFFSET(4) NUMBITS(1) [],
        /// Bytes below the FIFO level that nothing follows.
        RT OFFSET(6) NUMBITS(1) []
    ]
];

/// Depth of both FIFOs.
pub const FIFO: usize = 16;
/// All interrupt bits of ICR.
const ICR_ALL: u32 = 0x7FF;
/// Time for what the firmware left in the FIFO: 17 bytes at 9600 baud.
const DRAIN_US: Micros = 18_000;
/// Longest wait of [`Emergency`] for room: a look takes 50 ns at the very least,
/// so at least 50 byte times at 115,200 baud.
const EMERGENCY_LOOKS: u32 = 100_000;

/// Why the UART was not set up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InitError {
    /// No divisor gives this rate within 2 % from this clock.
    NoDivisor {
        /// UART clock in Hz.
        clock_hz: u32,
        /// Rate asked for.
        baud: u32,
    },
}

/// A baud rate divisor: 16 bits and 64ths.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Divisor {
    /// IBRD.
    pub integer: u16,
    /// FBRD, 0 to 63.
    pub fraction: u8,
}

impl Divisor {
    /// The divisor for `baud` from `clock_hz`, which the firmware reports
    /// (mailbox tag 0x30002, clock 2): 48 MHz today, 3 MHz on older cards.
    /// `None` if the rate would be off by more than 2 %.
    #[must_use]
    pub const fn new(clock_hz: u32, baud: u32) -> Option<Self> {
        if baud == 0 {
            return None;
        }
        // clock / (16 baud) in 64ths, rounded.
        let hz4 = clock_hz as u64 * 4;
        let sixty_fourths = (hz4 + baud as u64 / 2) / baud as u64;
        if sixty_fourths < 64 || sixty_fourths > 0xFFFF * 64 {
            return None;
        }
        if hz4.abs_diff(sixty_fourths * baud as u64) * 50 > hz4 {
            return None;
        }
        Some(Self { integer: (sixty_fourths / 64) as u16, fraction: (sixty_fourths % 64) as u8 })
    }
}

/// What happened on the line since boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Bytes that found no room in the ring.
    pub dropped: u32,
    /// Bytes received with a framing, parity, break or overrun error.
    pub damaged: u32,
}

/// A PL011 with a transmit ring of `N` bytes.
#[derive(Debug)]
pub struct Pl011<B, const N: usize = 4096> {
    bus: B,
    ring: Ring<N>,
    /// Dropped since the ring last took bytes; a mark for them is owed.
    gap: u32,
    counters: Counters,
}

impl<B: Bus32, const N: usize> Pl011<B, N> {
    /// The UART behind `bus`, as the firmware left it. Bytes may be written to
    /// the ring before [`Pl011::init`].
    pub const fn new(bus: B) -> Self {
        let counters = Counters { dropped: 0, damaged: 0 };
        Self { bus, ring: Ring::new(), gap: 0, counters }
    }

    /// 8 data bits, no parity, FIFOs on, at `baud` from `clock_hz`. Lets the
    /// firmware's last bytes out first (18 ms at most). The pins are set by
    /// [`crate::gpio::Gpio::route_uart`], best before this.
    ///
    /// # Errors
    /// [`InitError::NoDivisor`]; the UART is then as the firmware left it.
    pub fn init<K: Clock + ?Sized>(
        &mut self,
        clock: &K,
        clock_hz: u32,
        baud: u32,
    ) -> Result<(), InitError> {
        let Some(divisor) = Divisor::new(clock_hz, baud) else {
            return Err(InitError::NoDivisor { clock_hz, baud });
        };
        // Turning it off cuts a byte short. If it never falls idle, so be it.
        wait::until(clock, DRAIN_US, || !self.flags().is_set(Flags::BUSY));
        self.bus.write(CR, 0);
        self.bus.write(IMSC, 0);
        // FEN off empties the transmit FIFO.
        self.line().set(0);
        self.bus.write(ICR, ICR_ALL);
        self.bus.write(IBRD, u32::from(divisor.integer));
        self.bus.write(FBRD, u32::from(divisor.fraction));
        self.line().write(Line::FEN::SET + Line::WLEN::Eight);
        Reg::<_, Control::Register>::new(&self.bus, CR)
            .write(Control::UARTEN::SET + Control::TXE::SET + Control::RXE::SET);
        Ok(())
    }

    /// Puts bytes into the ring and returns how many it took; the rest is
    /// dropped, counted, and leaves a mark in the text. Never waits.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        if !self.pay_gap() {
            self.lose(bytes.len());
            return 0;
        }
        let taken = self.ring.push(bytes);
        self.lose(bytes.len() - taken);
        taken
    }

    /// As [`Pl011::write`] but all or nothing, for framed data that a gap in
    /// the middle would make unreadable.
    pub fn write_whole(&mut self, bytes: &[u8]) -> bool {
        let fits = self.pay_gap() && bytes.len() <= self.ring.free();
        if fits {
            self.ring.push(bytes);
        } else {
            self.lose(bytes.len());
        }
        fits
    }

    /// Moves up to `max` bytes from the ring to the FIFO, as many as fit, and
    /// returns how many.
    pub fn drain(&mut self, max: usize) -> usize {
        let mut moved = 0;
        while moved < max && !self.flags().is_set(Flags::TXFF) {
            let Some(byte) = self.ring.pop() else { break };
            self.bus.write(DR, u32::from(byte));
            moved += 1;
        }
        moved
    }

    /// The next received byte. Damaged ones are counted and left out.
    pub fn read(&mut self) -> Option<u8> {
        // At most one FIFO's worth of damage per call.
        for _ in 0..FIFO {
            if self.flags().is_set(Flags::RXFE) {
                return None;
            }
            let data = Reg::<_, Data::Register>::new(&self.bus, DR).extract();
            if data.read(Data::ERRORS) == 0 {
                return Some(data.read(Data::BYTE) as u8);
            }
            self.counters.damaged = self.counters.damaged.saturating_add(1);
        }
        None
    }

    /// Raise interrupts for received bytes? Off after [`Pl011::init`].
    pub fn set_receive_interrupt(&mut self, on: bool) {
        let both = Interrupts::RX::SET + Interrupts::RT::SET;
        self.bus.write(ICR, both.value);
        self.bus.write(IMSC, if on { both.value } else { 0 });
    }

    /// Bytes waiting in the ring.
    #[must_use]
    pub const fn queued(&self) -> usize {
        self.ring.len()
    }

    /// Losses since boot.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// A writer for a kernel that is about to die.
    pub const fn emergency(&self) -> Emergency<'_, B> {
        Emergency::new(&self.bus)
    }

    fn lose(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.gap = self.gap.saturating_add(bytes);
        self.counters.dropped = self.counters.dropped.saturating_add(bytes);
    }

    /// Writes the mark of an earlier gap. `false` = still no room for it.
    fn pay_gap(&mut self) -> bool {
        if self.gap == 0 {
            return true;
        }
        let mut mark = ring::Text::new();
        mark.gap(self.gap);
        let room = mark.bytes().len() < self.ring.free();
        if room {
            self.ring.push(mark.bytes());
            self.gap = 0;
        }
        room
    }

    fn flags(&self) -> Reg<'_, B, Flags::Register> {
        Reg::new(&self.bus, FR)
    }

    fn line(&self) -> Reg<'_, B, Line::Register> {
        Reg::new(&self.bus, LCRH)
    }
}

/// Polled output for panics and fault reports: past the ring, bounded per byte,
/// and without a clock, since that may be what is broken.
#[derive(Debug)]
pub struct Emergency<'b, B> {
    bus: &'b B,
    /// There was no room once; no byte is waited for again.
    dead: Cell<bool>,
}

impl<'b, B: Bus32> Emergency<'b, B> {
    /// Writes to the UART behind `bus`, which must have been set up.
    pub const fn new(bus: &'b B) -> Self {
        Self { bus, dead: Cell::new(false) }
    }

    /// Sends `bytes`, each as soon as there is room. If there is none for some
    /// milliseconds the line is dead, and from then on what does not fit is
    /// left out: a panic must not take seconds.
    pub fn write(&self, bytes: &[u8]) {
        for byte in bytes {
            if self.seen(|flags| !flags.is_set(Flags::TXFF)) {
                self.bus.write(DR, u32::from(*byte));
            }
        }
    }

    /// Waits until the last byte has left, with the same bound.
    pub fn flush(&self) {
        self.seen(|flags| !flags.is_set(Flags::BUSY));
    }

    fn seen(&self, wanted: impl Fn(Reg<'_, B, Flags::Register>) -> bool) -> bool {
        let looks = if self.dead.get() { 1 } else { EMERGENCY_LOOKS };
        let seen = (0..looks).any(|_| wanted(self.flags()));
        self.dead.set(!seen);
        seen
    }

    fn flags(&self) -> Reg<'_, B, Flags::Register> {
        Reg::new(self.bus, FR)
    }
}

impl<B: Bus32> core::fmt::Write for Emergency<'_, B> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.write(text.as_bytes());
        Ok(())
    }
}

impl<B: Bus32, const N: usize> core::fmt::Write for Pl011<B, N> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.write(text.as_bytes());
        Ok(())
    }
}
