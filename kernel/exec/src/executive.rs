//! Running a timetable.

use crate::{Events, Slot, SlotReport};
use sk_hal::{Clock, Micros};

/// What the executive keeps of a slot.
#[derive(Clone, Copy, Debug)]
struct State {
    /// An event it waits for has happened.
    woken: bool,
    /// Its next tick; `None` without a period.
    tick: Option<Micros>,
    /// The time it asked for.
    wish: Option<Micros>,
    runs: u32,
    last: Micros,
    worst: Micros,
    total: Micros,
    overruns: u32,
    slips: u32,
    missed: u32,
    worst_late: Micros,
}

impl State {
    const IDLE: Self = Self {
        woken: false,
        tick: None,
        wish: None,
        runs: 0,
        last: 0,
        worst: 0,
        total: 0,
        overruns: 0,
        slips: 0,
        missed: 0,
        worst_late: 0,
    };

    fn is_due(&self, now: Micros) -> bool {
        self.woken
            || self.tick.is_some_and(|tick| tick <= now)
            || self.wish.is_some_and(|wish| wish <= now)
    }

    /// Moves the tick past `now`. The grid stays where it is, so that a period
    /// does not grow by the time polls take; a tick that comes after the next
    /// one was due is a slip, and the ticks between are dropped.
    fn advance_tick(&mut self, now: Micros, period: Micros) {
        let Some(tick) = self.tick.filter(|tick| *tick <= now) else {
            return;
        };
        let late = now.saturating_sub(tick);
        self.worst_late = self.worst_late.max(late);
        // 64-bit division is a library call on ARMv6: only when it matters.
        let missed = if late < period { 0 } else { late.checked_div(period).unwrap_or(0) };
        if missed > 0 {
            self.slips = self.slips.saturating_add(1);
            self.missed = self.missed.saturating_add(u32::try_from(missed).unwrap_or(u32::MAX));
        }
        let ahead = missed.saturating_add(1).saturating_mul(period);
        self.tick = Some(tick.saturating_add(ahead));
    }

    fn record(&mut self, took: Micros, budget: Micros) {
        self.runs = self.runs.saturating_add(1);
        self.last = took;
        self.worst = self.worst.max(took);
        self.total = self.total.saturating_add(took);
        if took > budget {
            self.overruns = self.overruns.saturating_add(1);
        }
    }
}

/// What [`Executive::check`] found wrong; the number is the slot's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Broken {
    /// A slot with a period has no next tick, one without has one, or the tick
    /// is farther away than the period.
    Tick(usize),
    /// A slot was due for longer than it may be.
    Starved(usize),
}

/// Runs the slots of a table of `N` lines over one context.
#[derive(Debug)]
pub struct Executive<'t, Ctx, const N: usize> {
    table: &'t [Slot<Ctx>; N],
    events: &'t Events,
    states: [State; N],
    /// When the last poll began.
    polled: Micros,
}

impl<'t, Ctx, const N: usize> Executive<'t, Ctx, N> {
    /// Every slot with a period has its first tick at `start`.
    #[must_use]
    pub fn new(table: &'t [Slot<Ctx>; N], events: &'t Events, start: Micros) -> Self {
        let mut states = [State::IDLE; N];
        for (slot, state) in table.iter().zip(&mut states) {
            state.tick = (slot.period > 0).then_some(start);
        }
        Self { table, events, states, polled: start }
    }

    /// Runs what is due, in the order of the table, each slot at most once.
    /// Returns how many ran.
    ///
    /// Time and events are looked at before every slot: what an earlier slot
    /// caused, a later one still serves in the same pass.
    pub fn poll(&mut self, ctx: &mut Ctx, clock: &impl Clock) -> usize {
        let mut ran = 0;
        for (index, slot) in self.table.iter().enumerate() {
            self.collect();
            let Some(state) = self.states.get_mut(index) else {
                break;
            };
            let start = clock.now();
            if index == 0 {
                self.polled = start;
            }
            if !state.is_due(start) {
                continue;
            }
            // Before it runs, so that an event during the run counts again.
            state.woken = false;
            state.wish = None;
            state.advance_tick(start, slot.period);
            state.wish = (slot.run)(ctx, start);
            state.record(clock.now().saturating_sub(start), slot.budget);
            ran += 1;
        }
        ran
    }

    /// When `poll` should be called next if no event is raised: `now` itself if
    /// something is due, `None` if nothing ever will be.
    #[must_use]
    pub fn next_due(&self, now: Micros) -> Option<Micros> {
        let raised = self.events.any() || self.states.iter().any(|state| state.woken);
        let timed = self.states.iter().flat_map(|state| [state.tick, state.wish]).flatten();
        raised.then_some(now).into_iter().chain(timed).min().map(|due| due.max(now))
    }

    /// When the last poll began.
    #[must_use]
    pub const fn polled(&self) -> Micros {
        self.polled
    }

    /// Is the timetable sane, and did the last [`Executive::poll`] serve every
    /// slot whose period had come round `bound` microseconds before or earlier?
    /// Time that goes by without the processor is no fault of the timetable, so
    /// slots are judged by when the poll began, not by `now`.
    ///
    /// # Errors
    /// The first slot of which that is not so.
    pub fn check(&self, now: Micros, bound: Micros) -> Result<(), Broken> {
        for (index, (slot, state)) in self.table.iter().zip(&self.states).enumerate() {
            let sane = match (slot.period, state.tick) {
                (0, tick) => tick.is_none(),
                (period, tick) => tick.is_some_and(|tick| tick <= now.saturating_add(period)),
            };
            if !sane {
                return Err(Broken::Tick(index));
            }
            if state.tick.is_some_and(|tick| tick.saturating_add(bound) < self.polled) {
                return Err(Broken::Starved(index));
            }
        }
        Ok(())
    }

    /// What was recorded, in the order of the table.
    pub fn report(&self) -> impl Iterator<Item = SlotReport> + '_ {
        self.table.iter().zip(&self.states).map(|(slot, state)| SlotReport {
            name: slot.name,
            period: slot.period,
            budget: slot.budget,
            runs: state.runs,
            last: state.last,
            worst: state.worst,
            total: state.total,
            overruns: state.overruns,
            slips: state.slips,
            missed: state.missed,
            worst_late: state.worst_late,
        })
    }

    /// Hands raised events to the slots that wait for them. Events no slot
    /// waits for are dropped.
    fn collect(&mut self) {
        let raised = self.events.take();
        if raised != 0 {
            for (slot, state) in self.table.iter().zip(&mut self.states) {
                state.woken |= slot.wake & raised != 0;
            }
        }
    }
}
