//! Both watchdogs on the count-down models, fed by an executive and by nobody
//! else: while it runs they never bite; when a slot hangs, the one in front
//! bites if FIQ is open, and the one behind it if even FIQ is masked.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::AtomicU32;

use sk_drivers::pm::Pm;
use sk_drivers::systimer::SysTimer;
use sk_drivers::watchdog::{CHANCE, HARDWARE, Hardware, PATIENCE, STRIKES, Software, strike};
use sk_exec::{Broken, Events, Executive, Guard, Slot};
use sk_hal::{Clock, Micros};
use sk_models::pm::PmModel;
use sk_models::systimer::{SimClock, SysTimerModel};

/// What the power-management block shows after the watchdog reset the board.
const RSTS_WATCHDOG: u32 = 1 << 5;

struct World {
    clock: SimClock,
    timer: SysTimerModel,
    pm: PmModel,
    fiq_masked: Cell<bool>,
    strikes: AtomicU32,
    /// Struck out at.
    struck: Cell<Option<Micros>>,
    hang: Cell<bool>,
    ran: RefCell<u32>,
}

impl World {
    fn new() -> Self {
        let clock = SimClock::new();
        Self {
            timer: SysTimerModel::new(&clock),
            pm: PmModel::new(&clock, 0),
            clock,
            fiq_masked: Cell::new(false),
            strikes: AtomicU32::new(0),
            struck: Cell::new(None),
            hang: Cell::new(false),
            ran: RefCell::new(0),
        }
    }

    /// Is the board reset?
    fn is_over(&self) -> bool {
        self.struck.get().is_some() || self.pm.reset().is_some()
    }

    /// A millisecond goes by, with whatever FIQ it brings.
    fn pass_time(&self) {
        self.clock.advance(1_000);
        if !self.fiq_masked.get()
            && self.timer.line(3)
            && strike(&SysTimer::new(&self.timer), &self.strikes)
        {
            self.struck.set(Some(self.clock.peek()));
        }
    }
}

/// The kernel's slots, one of which can hang: then it does not return before
/// the board is reset.
fn work(world: &mut Rc<World>, _now: Micros) -> Option<Micros> {
    *world.ran.borrow_mut() += 1;
    while world.hang.get() && !world.is_over() {
        world.pass_time();
    }
    None
}

const TABLE: [Slot<Rc<World>>; 1] =
    [Slot { name: "work", period: 2_000_000, budget: 200, wake: 1, run: work }];

/// Runs the executive until the board is reset, or so long.
fn run(world: &Rc<World>, cycles_run: bool, until: Micros, before: impl Fn(Micros)) {
    let events = Events::new();
    let timer = SysTimer::new(&world.timer);
    let software = Software::new(timer, &world.strikes);
    let hardware = Hardware::new(Pm::new(&world.pm), cycles_run);
    assert_eq!(hardware.is_armed(), cycles_run);
    let mut guard = Guard::new((software, hardware), 500_000);
    let mut executive = Executive::new(&TABLE, &events, timer.now());
    let mut context = Rc::clone(world);
    while world.clock.peek() < until && !world.is_over() {
        before(world.clock.peek());
        executive.poll(&mut context, &timer);
        if world.is_over() {
            break;
        }
        let now = timer.now();
        guard.pass(now, || executive.check(now, 100_000)).expect("a sane timetable");
        let due = executive.next_due(now).expect("a slot with a period");
        while world.clock.peek() < due && !world.is_over() {
            world.pass_time();
        }
    }
}

#[test]
fn a_living_executive_is_left_alone() {
    let world = Rc::new(World::new());
    run(&world, true, 120_000_000, |_| {});
    assert!(!world.is_over());
    assert!(*world.ran.borrow() >= 59);
}

#[test]
fn hung_with_fiq_open_the_one_in_front_bites() {
    let world = Rc::new(World::new());
    run(&world, true, 60_000_000, |now| world.hang.set(now > 30_000_000));
    let struck = world.struck.get().expect("struck out");
    assert!(world.pm.reset().is_none(), "the hardware watchdog was not needed");
    let fed = 30_000_000;
    assert!(struck > fed && struck < fed + 2_500_000 + PATIENCE + u64::from(STRIKES + 1) * CHANCE);
}

#[test]
fn hung_with_fiq_masked_the_one_behind_bites() {
    let world = Rc::new(World::new());
    world.fiq_masked.set(true);
    run(&world, true, 120_000_000, |now| world.hang.set(now > 30_000_000));
    assert!(world.struck.get().is_none());
    assert!(world.pm.reset().is_some(), "expired");
    let at = world.clock.peek();
    assert!(at > 30_000_000 + HARDWARE - 3_000_000 && at < 32_500_000 + HARDWARE + 2_000);
    // What the next boot reads.
    let next = PmModel::new(&world.clock, RSTS_WATCHDOG);
    assert!(Pm::new(&next).reset_reason().watchdog);
}

#[test]
fn without_a_cycle_counter_it_is_not_armed() {
    let world = Rc::new(World::new());
    // An emulator: arming is resetting.
    world.pm.immediate.set(true);
    world.fiq_masked.set(true);
    run(&world, false, 60_000_000, |_| {});
    assert!(!world.is_over());
}

#[test]
fn a_pause_of_the_processor_is_no_hang() {
    let world = Rc::new(World::new());
    let paused = Cell::new(0);
    run(&world, false, 60_000_000, |now| {
        // Ten times, longer than the patience; then the executive goes on.
        if now / 6_000_000 > paused.get() {
            paused.set(now / 6_000_000);
            world.clock.advance(PATIENCE + 100_000);
            world.pass_time();
        }
    });
    assert!(paused.get() >= 5);
    assert!(!world.is_over());
}

#[test]
fn what_fails_its_checks_is_not_fed() {
    let world = Rc::new(World::new());
    let timer = SysTimer::new(&world.timer);
    let mut guard = Guard::new(Hardware::new(Pm::new(&world.pm), true), 500_000);
    assert_eq!(guard.pass(timer.now(), || Ok::<(), Broken>(())), Ok(()));
    while world.pm.reset().is_none() {
        world.clock.advance(100_000);
        let now = world.clock.peek();
        assert!(now < HARDWARE + 1_000_000, "fed although the check failed");
        let _ = guard.pass(now, || Err(Broken::Starved(0)));
    }
}
