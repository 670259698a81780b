//! A line of the timetable, what is recorded of it, and whether a table fits.

use sk_hal::Micros;

/// A line of the timetable.
#[derive(Debug)]
pub struct Slot<Ctx> {
    /// Its name in reports.
    pub name: &'static str,
    /// Runs every so many microseconds; 0 = only when woken or at its own wish.
    pub period: Micros,
    /// A run should take no longer than so many microseconds.
    pub budget: Micros,
    /// Events (bits) that make it due at once.
    pub wake: u32,
    /// One bounded step. The second argument is the time it starts at; the
    /// result, if any, a time at which it wants to run again, beside its period.
    pub run: fn(&mut Ctx, Micros) -> Option<Micros>,
}

/// What was recorded of a slot. Times in microseconds; counters stop at their
/// largest value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlotReport {
    /// From the table.
    pub name: &'static str,
    /// From the table.
    pub period: Micros,
    /// From the table.
    pub budget: Micros,
    /// How often it ran.
    pub runs: u32,
    /// How long the last run took.
    pub last: Micros,
    /// How long the longest run took.
    pub worst: Micros,
    /// All runs together.
    pub total: Micros,
    /// Runs longer than the budget.
    pub overruns: u32,
    /// Runs that came a whole period late or more.
    pub slips: u32,
    /// Ticks skipped by those.
    pub missed: u32,
    /// The longest time a tick had to wait.
    pub worst_late: Micros,
}

/// Share of the processor the periodic slots may take if all use up their
/// budgets, in thousandths; slots without a period are left out. For a
/// compile-time check of a table.
#[must_use]
pub const fn load_permille<Ctx>(table: &[Slot<Ctx>]) -> u64 {
    let mut load: u64 = 0;
    let mut rest = table;
    while let [slot, after @ ..] = rest {
        if slot.period > 0 {
            // Rounded up: a table does not fit because of rounding.
            load = load.saturating_add(slot.budget.saturating_mul(1000).div_ceil(slot.period));
        }
        rest = after;
    }
    load
}

/// All budgets together: how long one poll may take, and so how late a slot
/// may be although nobody overran.
#[must_use]
pub const fn longest_pass<Ctx>(table: &[Slot<Ctx>]) -> Micros {
    let mut pass: Micros = 0;
    let mut rest = table;
    while let [slot, after @ ..] = rest {
        pass = pass.saturating_add(slot.budget);
        rest = after;
    }
    pass
}
