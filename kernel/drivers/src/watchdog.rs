//! Two watchdogs, one behind the other, both fed by the executive alone.
//!
//! In front the *software* watchdog: compare 3 of the system timer raises FIQ,
//! which the kernel never masks, when the executive was not heard of for
//! [`PATIENCE`] and did not use its [`STRIKES`] chances after that. It can say
//! where the processor was. Chances, because time may pass without the
//! processor (an emulator whose host is busy, a debugger): what then runs again
//! feeds before it is struck out.
//!
//! Behind it the *hardware* watchdog of the power-management block, which needs
//! nobody's help and says nothing. It is armed only where [`may_arm`] says so.

use crate::pm::Pm;
use crate::systimer::{Armed, Channel, SysTimer};
use core::sync::atomic::{AtomicU32, Ordering};
use sk_hal::{Bus32, Clock, Micros, Watchdog};

/// The executive may be silent for so long. An idle board wakes every 2 s.
pub const PATIENCE: Micros = 4_000_000;
/// From one chance to the next.
pub const CHANCE: Micros = 500_000;
/// Chances after that.
pub const STRIKES: u32 = 3;
/// Time of the hardware watchdog.
pub const HARDWARE: Micros = 15_000_000;
const _: () = assert!(PATIENCE + STRIKES as Micros * CHANCE < HARDWARE);
const _: () = assert!(HARDWARE < crate::pm::WATCHDOG_MAX);

/// May the hardware watchdog be armed? Only where the cycle counter advances:
/// it does on the board, and stands still in the emulator, where arming resets
/// at once instead of counting down.
#[must_use]
pub const fn may_arm(cycles_run: bool) -> bool {
    cycles_run
}

/// The hardware watchdog.
#[derive(Debug)]
pub struct Hardware<B> {
    pm: Pm<B>,
    armed: bool,
}

impl<B: Bus32> Hardware<B> {
    /// Not armed before it is first fed, and never if [`may_arm`] says no.
    pub const fn new(pm: Pm<B>, cycles_run: bool) -> Self {
        Self { pm, armed: may_arm(cycles_run) }
    }

    /// Will feeding it arm it?
    #[must_use]
    pub const fn is_armed(&self) -> bool {
        self.armed
    }
}

impl<B: Bus32> Watchdog for Hardware<B> {
    fn feed(&mut self, _now: Micros) {
        if self.armed {
            self.pm.feed_watchdog(HARDWARE);
        }
    }
}

/// The software watchdog: the side of the executive.
#[derive(Debug)]
pub struct Software<'s, B> {
    timer: SysTimer<B>,
    strikes: &'s AtomicU32,
}

impl<'s, B: Bus32> Software<'s, B> {
    /// On compare 3 of `timer`, which nobody else arms, with the count that the
    /// FIQ handler hands to [`strike`].
    pub const fn new(timer: SysTimer<B>, strikes: &'s AtomicU32) -> Self {
        Self { timer, strikes }
    }
}

impl<B: Bus32> Watchdog for Software<'_, B> {
    fn feed(&mut self, now: Micros) {
        self.strikes.store(0, Ordering::Relaxed);
        rearm(&self.timer, now, PATIENCE);
    }
}

/// The software watchdog: the side of the FIQ handler, called at a match.
/// `true`: the executive is struck out, and the board is to be reset.
///
/// No read-modify-write: the handler interrupts the only other writer, which
/// does nothing but store 0.
pub fn strike<B: Bus32>(timer: &SysTimer<B>, strikes: &AtomicU32) -> bool {
    let count = strikes.load(Ordering::Relaxed).saturating_add(1);
    strikes.store(count, Ordering::Relaxed);
    rearm(timer, timer.now(), CHANCE);
    count > STRIKES
}

fn rearm<B: Bus32>(timer: &SysTimer<B>, now: Micros, by: Micros) {
    let mut at = now.saturating_add(by);
    // A match that was missed would be the end of the watchdog until the
    // counter wraps; the time is far off, so more than one try is theory.
    for _ in 0..4 {
        if timer.arm(Channel::C3, at) == Armed::Set {
            return;
        }
        at = timer.now().saturating_add(by);
    }
}
