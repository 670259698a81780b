//! The BCM2835 interrupt controller (ARM Peripherals chapter 7).
//!
//! Level-type, no priorities, acknowledged at the device. The basic pending
//! register repeats some GPU interrupts as *shortcuts* (bits 10 to 20), and
//! its bits 8 and 9 ("something in pending 1/2") leave those out: a decoder
//! that trusts bits 8 and 9 never sees USB or the UART. This one reads all
//! three pending registers and ignores bits 8 to 20. Sources the GPU uses show
//! up as well, so the result is masked with what was enabled here.

use sk_hal::Bus32;

const BASIC_PENDING: u32 = 0x00;
const PENDING_1: u32 = 0x04;
const PENDING_2: u32 = 0x08;
const FIQ_CONTROL: u32 = 0x0C;
const ENABLE: [u32; 3] = [0x10, 0x14, 0x18];
const DISABLE: [u32; 3] = [0x1C, 0x20, 0x24];

/// FIQ control bit 7: the source in bits 6:0 raises FIQ.
const FIQ_ENABLE: u32 = 1 << 7;
/// Basic interrupts proper; the rest of that register is shortcuts.
const BASIC: u32 = 0xFF;

/// An interrupt source: 0 to 63 GPU, 64 to 71 basic.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Source(u8);

impl Source {
    /// System timer compare 1.
    pub const TIMER_1: Self = Self(1);
    /// System timer compare 3.
    pub const TIMER_3: Self = Self(3);
    /// DWC2 USB.
    pub const USB: Self = Self(9);
    /// AUX: mini UART, SPI 1 and 2.
    pub const AUX: Self = Self(29);
    /// PL011 UART.
    pub const UART: Self = Self(57);
    /// Hardware random number generator.
    pub const RNG: Self = Self(61);
    /// ARM timer.
    pub const ARM_TIMER: Self = Self(64);
    /// VideoCore to ARM mailbox.
    pub const MAILBOX: Self = Self(65);

    /// The source of that number, if there is one.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number < 72 { Some(Self(number)) } else { None }
    }

    /// 0 to 71.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    const fn bank(self) -> usize {
        (self.0 / 32) as usize
    }

    const fn bit(self) -> u32 {
        1 << (self.0 % 32)
    }
}

/// Sources that want attention, in ascending order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pending([u32; 3]);

impl Pending {
    /// None at all?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0[0] | self.0[1] | self.0[2] == 0
    }

    /// Is `source` among them?
    #[must_use]
    pub const fn contains(&self, source: Source) -> bool {
        self.0[source.bank()] & source.bit() != 0
    }
}

impl Iterator for Pending {
    type Item = Source;

    fn next(&mut self) -> Option<Source> {
        for (bank, word) in (0u8..).zip(self.0.iter_mut()) {
            if *word != 0 {
                let bit = word.trailing_zeros() as u8;
                *word &= *word - 1;
                return Some(Source(bank * 32 + bit));
            }
        }
        None
    }
}

/// The interrupt controller.
#[derive(Debug)]
pub struct Irq<B> {
    bus: B,
    enabled: [u32; 3],
}

impl<B: Bus32> Irq<B> {
    /// Takes the controller over: every source and FIQ off, whatever an earlier
    /// boot stage left on.
    pub fn new(bus: B) -> Self {
        bus.write(FIQ_CONTROL, 0);
        bus.write(DISABLE[0], u32::MAX);
        bus.write(DISABLE[1], u32::MAX);
        bus.write(DISABLE[2], BASIC);
        Self { bus, enabled: [0; 3] }
    }

    /// Lets `source` raise IRQ. If it was the FIQ source it is that no longer.
    pub fn enable(&mut self, source: Source) {
        if self.fiq() == Some(source) {
            self.clear_fiq();
        }
        self.enabled[source.bank()] |= source.bit();
        self.bus.write(ENABLE[source.bank()], source.bit());
    }

    /// Stops `source` from raising IRQ.
    pub fn disable(&mut self, source: Source) {
        self.enabled[source.bank()] &= !source.bit();
        self.bus.write(DISABLE[source.bank()], source.bit());
    }

    /// Is `source` enabled as IRQ?
    #[must_use]
    pub const fn is_enabled(&self, source: Source) -> bool {
        self.enabled[source.bank()] & source.bit() != 0
    }

    /// Makes `source` the one FIQ. Its normal enable goes off first: the
    /// controller would raise both.
    pub fn select_fiq(&mut self, source: Source) {
        self.disable(source);
        self.bus.write(FIQ_CONTROL, FIQ_ENABLE | u32::from(source.number()));
    }

    /// No source raises FIQ any more.
    pub fn clear_fiq(&mut self) {
        self.bus.write(FIQ_CONTROL, 0);
    }

    /// The source that raises FIQ.
    pub fn fiq(&self) -> Option<Source> {
        let control = self.bus.read(FIQ_CONTROL);
        if control & FIQ_ENABLE == 0 { None } else { Source::new((control & 0x7F) as u8) }
    }

    /// What is pending among the sources enabled as IRQ.
    pub fn pending(&self) -> Pending {
        Pending([
            self.bus.read(PENDING_1) & self.enabled[0],
            self.bus.read(PENDING_2) & self.enabled[1],
            self.bus.read(BASIC_PENDING) & self.enabled[2] & BASIC,
        ])
    }
}
