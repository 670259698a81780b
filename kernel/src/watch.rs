//! The kernel watches itself: before a watchdog is fed, and while it is idle.
//!
//! *Invariants*, every half second, before both watchdogs are fed: what is
//! checked is cheap, and wrong only if memory or the processor's setting was
//! written by somebody who should not have. What breaks one ends the boot.
//!
//! *Patrol*: image and page tables are summed again, 16 KiB at a time. A full
//! pass right after each payload, in steps between which the network is served;
//! apart from that a step every two seconds, together with the health slot, so
//! it wakes nobody by itself: a pass takes about 45 s. While a payload runs
//! nothing is summed. The page tables are compared while the kernel is idle:
//! then they are as they were at boot, to the bit.

use crate::crash::{self, STRIKES, canaries};
use crate::kernel::Kernel;
use crate::machine::Timer;
use crate::memory;
use crate::timetable::{EVENTS, INTEGRITY, SESSION, SLOTS};
use sk_bcm2835::{Mmio, cp15};
use sk_drivers::integrity::{Found, Patrol};
use sk_drivers::pm::Pm;
use sk_drivers::watchdog::{Hardware, Software};
use sk_exec::{Broken, Executive, Guard};
use sk_hal::{Clock, Micros};
use sk_wire::control::Phase;
use sk_wire::{LastEnd, Reason};

/// The watchdogs are fed so often, after the checks.
const FEED: Micros = 500_000;
/// A slot may come so much later than it was due. Held back by a payload, the
/// kernel's own work waits for 40 ms at most.
const LATE: Micros = 100_000;
/// Words summed in a step.
const STEP: usize = 4096;
/// From finding that memory has changed to the reset: time for three beacons.
const LAST_WORDS: Micros = 200_000;

/// Areas of the patrol: the image, and the page tables.
const AREAS: [&str; 3] = ["image", "page table, first level", "page tables, second level"];

/// What the kernel keeps for watching itself.
pub struct Watch {
    guard: Guard<(Software<'static, Mmio>, Hardware<Mmio>)>,
    /// The processor's setting when the kernel was put together.
    setting: Option<[u32; 6]>,
    patrol: Patrol<3>,
    /// A full pass is under way, after a payload.
    sweep: bool,
    /// Memory has changed: this boot ends then.
    doom: Option<(Micros, usize)>,
}

/// What is wrong.
#[derive(Clone, Copy)]
enum Wrong {
    Timetable(Broken),
    Stack,
    Setting(usize),
    Phase,
}

impl Wrong {
    /// For the crash record: kind in the high half, which one in the low.
    fn code(self) -> u32 {
        match self {
            Self::Timetable(Broken::Tick(slot)) => 0x1_0000 | slot as u32,
            Self::Timetable(Broken::Starved(slot)) => 0x2_0000 | slot as u32,
            Self::Stack => 0x3_0000,
            Self::Setting(which) => 0x4_0000 | which as u32,
            Self::Phase => 0x5_0000,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Timetable(Broken::Tick(_)) => "a slot's next tick makes no sense",
            Self::Timetable(Broken::Starved(_)) => "a slot was not served in time",
            Self::Stack => "a stack was used to its last word",
            Self::Setting(_) => "a control register of the processor was changed",
            Self::Phase => "a payload runs of which the session knows nothing",
        }
    }
}

impl Watch {
    /// Nothing fed, nothing known.
    pub fn new(timer: Timer, pm: Pm<Mmio>, cycles_run: bool, tables: [&[u32]; 2]) -> Self {
        let dogs = (Software::new(timer, &STRIKES), Hardware::new(pm, cycles_run));
        let [first, second] = tables.map(<[u32]>::len);
        Self {
            guard: Guard::new(dogs, FEED),
            setting: None,
            patrol: Patrol::new([memory::image().len(), first, second]),
            sweep: false,
            doom: None,
        }
    }

    /// Sums everything for the first time.
    pub fn learn(&mut self, tables: [&[u32]; 2]) {
        while self.step(tables, true) == Some(Found::Nothing) {}
    }

    /// One step; `None`: the tables are next, and cannot be looked at now.
    fn step(&mut self, [first, second]: [&[u32]; 2], idle: bool) -> Option<Found> {
        // A table is summed in one step: nothing maps or unmaps in between.
        let area = self.patrol.next(STEP).area;
        let piece = self.patrol.next(if area == 0 { STEP } else { usize::MAX });
        let words = match area {
            0 => memory::image(),
            _ if !idle => return None,
            1 => first,
            _ => second,
        };
        let words = words.get(piece.start..).and_then(|rest| rest.get(..piece.len));
        Some(self.patrol.take(words.unwrap_or(&[])))
    }
}

impl Kernel {
    /// After each pass of the executive: the way to the watchdogs.
    pub(crate) fn watch_over(&mut self, executive: &Executive<'_, Self, SLOTS>) {
        // The clock was read for the poll; to read it again is dear.
        let now = executive.polled();
        let (tasks, server) = (&*self.tasks, &*self.server);
        let Watch { guard, setting, .. } = &mut self.watch;
        let checked = guard.pass(now, || {
            executive.check(self.timer.now(), LATE).map_err(Wrong::Timetable)?;
            if !canaries::live() {
                return Err(Wrong::Stack);
            }
            let present = cp15::setting();
            let right = setting.get_or_insert(present);
            if let Some(which) = right.iter().zip(&present).position(|(a, b)| a != b) {
                return Err(Wrong::Setting(which));
            }
            let known = !tasks.is_running() || server.phase() == Phase::Running;
            if known { Ok(()) } else { Err(Wrong::Phase) }
        });
        if let Err(wrong) = checked {
            let (code, text) = (wrong.code(), wrong.text());
            crash::note(LastEnd::Invariant, code, &[0; _], format_args!("{text} ({code:#x})"));
            crash::end(&|out| {
                use core::fmt::Write;
                let _ = write!(out, "\r\n*** kernel invariant {code:#x}: {text}");
            });
        }
    }

    /// A payload has gone: look at everything, soon.
    pub(crate) fn sweep(&mut self) {
        self.watch.patrol.restart();
        self.watch.sweep = true;
        EVENTS.raise(INTEGRITY);
    }

    /// Slot integrity.
    pub fn integrity_step(&mut self, now: Micros) -> Option<Micros> {
        if let Some((at, area)) = self.watch.doom {
            if now < at {
                return Some(at);
            }
            crash::end(&|out| {
                use core::fmt::Write;
                let what = AREAS.get(area).copied().unwrap_or_default();
                let _ = write!(out, "\r\n*** INTEGRITY: {what} changed in memory");
            });
        }
        if self.tasks.is_running() {
            return None;
        }
        let idle = matches!(self.server.phase(), Phase::Idle | Phase::Fault);
        match self.watch.step(self.tasks.tables(), idle) {
            Some(Found::Nothing) if self.watch.sweep => EVENTS.raise(INTEGRITY),
            Some(Found::Nothing) | None => {}
            Some(Found::Whole) => self.watch.sweep = false,
            Some(Found::Changed(area)) => return self.changed(now, area),
        }
        None
    }

    /// Memory is not what it was: recorded at once, for the way out is code too.
    fn changed(&mut self, now: Micros, area: usize) -> Option<Micros> {
        let what = AREAS.get(area).copied().unwrap_or_default();
        let text = format_args!("{what} changed in memory");
        crash::note(LastEnd::Integrity, area as u32, &[0; _], text);
        self.say(format_args!("INTEGRITY: {text}; resetting"));
        self.server.fail(now, Reason::Integrity);
        EVENTS.raise(SESSION);
        let at = now + LAST_WORDS;
        self.watch.doom = Some((at, area));
        Some(at)
    }
}
