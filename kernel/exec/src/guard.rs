//! The way to the watchdogs: past the checks.

use sk_hal::{Micros, Watchdog};

/// Owns the watchdogs. Whoever has them fed goes through [`Guard::pass`], and
/// that feeds only after the checks have passed.
#[derive(Debug)]
pub struct Guard<W> {
    watchdog: W,
    every: Micros,
    next: Micros,
}

impl<W: Watchdog> Guard<W> {
    /// Checks and feeds at most once in `every` microseconds: a check costs more
    /// than a pass of an idle executive.
    pub const fn new(watchdog: W, every: Micros) -> Self {
        Self { watchdog, every, next: 0 }
    }

    /// To be called once per pass of the executive, by nobody else. When it is
    /// time, `check` is made, and only if it finds nothing wrong the watchdogs
    /// are fed.
    ///
    /// # Errors
    /// What `check` found; nothing was fed then.
    pub fn pass<E>(&mut self, now: Micros, check: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        if now < self.next {
            return Ok(());
        }
        check()?;
        self.next = now.saturating_add(self.every);
        self.watchdog.feed(now);
        Ok(())
    }
}
