//! Reset and watchdog: the part of the power-management block a kernel needs.
//!
//! Every write carries a password in bits 31:24 and is ignored without it. The
//! watchdog is a 20-bit counter of 2^-16 s ticks, so 15.99 s is the longest.
//! RSTS tells why the board started; its even bits 0 to 10 double as a mail
//! slot for the boot partition, where all ones (0x555) mean *halt*: they are
//! cleared before a reboot or the board may stay down.
//!
//! Some emulators have no counter here and reset on the first arming, so
//! whether to arm is a decision of the caller.

use sk_hal::{Bus32, Micros, Reg};
use tock_registers::interfaces::{ReadWriteable, Readable, Writeable};
use tock_registers::register_bitfields;

const RSTC: u32 = 0x1C;
const RSTS: u32 = 0x20;
const WDOG: u32 = 0x24;

register_bitfields! [u32,
    Rstc [
        PASSWORD OFFSET(24) NUMBITS(8) [ Write = 0x5A ],
        /// What happens when the counter reaches 0.
        WRCFG OFFSET(4) NUMBITS(2) [ None = 0, FullReset = 2 ]
    ],
    Rsts [
        PASSWORD OFFSET(24) NUMBITS(8) [ Write = 0x5A ]
    ],
    Wdog [
        PASSWORD OFFSET(24) NUMBITS(8) [ Write = 0x5A ],
        TIME OFFSET(0) NUMBITS(20) []
    ]
];

/// Even bits 0 to 10 of RSTS: the boot partition for the firmware.
const PARTITION: u32 = 0x555;
/// RSTC as it is when the watchdog is stopped (reset value).
const STOPPED: u32 = 0x102;
/// About 150 us: long enough for the last stores to leave the core.
const REBOOT_TICKS: u32 = 10;
/// Largest counter value.
const MAX_TICKS: u32 = 0xF_FFFF;

/// The longest watchdog time.
pub const WATCHDOG_MAX: Micros = 15_999_000;

/// Why the board started. Several may be set: bits stay until power-off, and
/// the even ones may also be left of a partition number. A reboot is a watchdog
/// reset too; which of the two it was, only a mark kept in memory can tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResetReason {
    /// The register as read. Save it early: the firmware rewrites it.
    pub raw: u32,
    /// Power came on.
    pub power_on: bool,
    /// A software reset.
    pub software: bool,
    /// The watchdog, which is also how [`Pm::reboot`] works.
    pub watchdog: bool,
    /// A debugger.
    pub debug: bool,
}

impl ResetReason {
    /// Decodes RSTS, as read or as the firmware saved it for the kernel.
    #[must_use]
    pub const fn from_rsts(raw: u32) -> Self {
        Self {
            raw,
            power_on: raw & 1 << 12 != 0,
            software: raw & 7 << 8 != 0,
            watchdog: raw & 7 << 4 != 0,
            debug: raw & 7 != 0,
        }
    }
}

/// Reset and watchdog.
#[derive(Debug)]
pub struct Pm<B> {
    bus: B,
}

impl<B: Bus32> Pm<B> {
    /// The power-management block behind `bus`.
    pub const fn new(bus: B) -> Self {
        Self { bus }
    }

    /// Why the board started.
    pub fn reset_reason(&self) -> ResetReason {
        ResetReason::from_rsts(self.rsts().get())
    }

    /// Starts the watchdog, or feeds it: a full reset comes `time` from now
    /// (at most [`WATCHDOG_MAX`]) unless this is called again.
    pub fn feed_watchdog(&mut self, time: Micros) {
        self.start_counter(ticks(time));
    }

    /// Stops the watchdog.
    pub fn stop_watchdog(&mut self) {
        self.bus.write(RSTC, Rstc::PASSWORD::Write.value | STOPPED);
    }

    /// Resets the board in about 150 us. The caller loops.
    pub fn reboot(&mut self) {
        let kept = self.rsts().get() & 0x00FF_FFFF & !PARTITION;
        self.bus.write(RSTS, Rsts::PASSWORD::Write.value | kept);
        self.start_counter(REBOOT_TICKS);
    }

    fn start_counter(&mut self, ticks: u32) {
        Reg::<_, Wdog::Register>::new(&self.bus, WDOG)
            .write(Wdog::PASSWORD::Write + Wdog::TIME.val(ticks));
        // `modify` writes the password over what the register reads there.
        self.rstc().modify(Rstc::PASSWORD::Write + Rstc::WRCFG::FullReset);
    }

    fn rstc(&self) -> Reg<'_, B, Rstc::Register> {
        Reg::new(&self.bus, RSTC)
    }

    fn rsts(&self) -> Reg<'_, B, Rsts::Register> {
        Reg::new(&self.bus, RSTS)
    }
}

/// Watchdog ticks of 2^-16 s, rounded up; at least one.
const fn ticks(time: Micros) -> u32 {
    let time = if time > WATCHDOG_MAX { WATCHDOG_MAX } else { time };
    let ticks = ((time << 16).div_ceil(1_000_000)) as u32;
    if ticks == 0 {
        1
    } else if ticks > MAX_TICKS {
        MAX_TICKS
    } else {
        ticks
    }
}
