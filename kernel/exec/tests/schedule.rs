//! The executive on a clock that only moves when a slot spends time.

use proptest::prelude::*;
use sk_exec::{Events, Executive, Slot, SlotReport, load_permille, longest_pass};
use sk_hal::{Clock, Micros};
use std::cell::Cell;
use std::rc::Rc;

#[derive(Clone, Default)]
struct FakeClock(Rc<Cell<Micros>>);

impl FakeClock {
    fn at(now: Micros) -> Self {
        Self(Rc::new(Cell::new(now)))
    }

    fn advance(&self, by: Micros) {
        self.0.set(self.0.get() + by);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Micros {
        self.0.get()
    }
}

#[derive(Default)]
struct Board {
    clock: FakeClock,
    /// What ran, and when.
    log: Vec<(&'static str, Micros)>,
    /// How long each slot takes.
    costs: [Micros; 3],
    wish: Option<Micros>,
    raise: Option<Rc<Events>>,
}

impl Board {
    fn new(clock: &FakeClock) -> Self {
        Self { clock: clock.clone(), ..Self::default() }
    }

    fn step(&mut self, name: &'static str, slot: usize, now: Micros) {
        self.log.push((name, now));
        self.clock.advance(self.costs[slot]);
    }

    fn names(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.log).into_iter().map(|(name, _)| name).collect()
    }
}

fn fast(board: &mut Board, now: Micros) -> Option<Micros> {
    board.step("fast", 0, now);
    if let Some(events) = board.raise.take() {
        events.raise(RX);
    }
    None
}

fn slow(board: &mut Board, now: Micros) -> Option<Micros> {
    board.step("slow", 1, now);
    None
}

fn rx(board: &mut Board, now: Micros) -> Option<Micros> {
    board.step("rx", 2, now);
    board.wish.take()
}

const RX: u32 = 1;
const OTHER: u32 = 2;

const TABLE: [Slot<Board>; 3] = [
    Slot { name: "fast", period: 100, budget: 20, wake: OTHER, run: fast },
    Slot { name: "slow", period: 1000, budget: 50, wake: 0, run: slow },
    Slot { name: "rx", period: 0, budget: 30, wake: RX | OTHER, run: rx },
];

const _: () = assert!(load_permille(&TABLE) == 250);
const _: () = assert!(longest_pass(&TABLE) == 100);

fn find<const N: usize>(executive: &Executive<'_, Board, N>, name: &str) -> SlotReport {
    executive.report().find(|slot| slot.name == name).unwrap()
}

#[test]
fn slots_run_in_table_order_at_their_periods() {
    let (clock, events) = (FakeClock::at(5_000), Events::new());
    let mut board = Board::new(&clock);
    let mut executive = Executive::new(&TABLE, &events, 5_000);
    for _ in 0..2_001 {
        executive.poll(&mut board, &clock);
        clock.advance(1);
    }
    let at = |name| {
        board.log.iter().filter(move |(n, _)| *n == name).map(|(_, at)| *at).collect::<Vec<_>>()
    };
    assert_eq!(at("fast"), (0..=20).map(|i| 5_000 + i * 100).collect::<Vec<_>>());
    assert_eq!(at("slow"), [5_000, 6_000, 7_000]);
    assert_eq!(board.log[..2], [("fast", 5_000), ("slow", 5_000)]);
    assert!(at("rx").is_empty());
    for slot in executive.report() {
        assert_eq!((slot.slips, slot.missed, slot.overruns, slot.worst_late), (0, 0, 0, 0));
    }
}

#[test]
fn polling_at_next_due_misses_nothing() {
    let (clock, events) = (FakeClock::at(0), Events::new());
    let mut board = Board::new(&clock);
    let mut executive = Executive::new(&TABLE, &events, 0);
    let mut polls = 0;
    while clock.now() <= 10_000 {
        executive.poll(&mut board, &clock);
        polls += 1;
        let due = executive.next_due(clock.now()).unwrap();
        assert!(due > clock.now());
        clock.0.set(due);
    }
    assert_eq!(polls, 101);
    assert_eq!(find(&executive, "fast").runs, 101);
    assert_eq!(find(&executive, "slow").runs, 11);
    assert_eq!(find(&executive, "fast").worst_late, 0);
}

#[test]
fn a_late_slot_runs_once_and_the_slip_is_counted() {
    let (clock, events) = (FakeClock::at(0), Events::new());
    let mut board = Board::new(&clock);
    let mut executive = Executive::new(&TABLE, &events, 0);
    executive.poll(&mut board, &clock);
    board.names();
    // A payload had the processor for 50 periods of "fast", 5 of "slow".
    clock.advance(5_030);
    assert_eq!(executive.poll(&mut board, &clock), 2);
    assert_eq!(executive.poll(&mut board, &clock), 0);
    assert_eq!(board.names(), ["fast", "slow"]);
    let fast = find(&executive, "fast");
    assert_eq!((fast.slips, fast.missed, fast.worst_late), (1, 49, 4_930));
    let slow = find(&executive, "slow");
    assert_eq!((slow.slips, slow.missed, slow.worst_late), (1, 4, 4_030));
    // Back on the old grid.
    assert_eq!(executive.next_due(clock.now()), Some(5_100));
}

#[test]
fn late_by_less_than_a_period_is_no_slip_and_moves_no_grid() {
    let (clock, events) = (FakeClock::at(0), Events::new());
    let mut board = Board::new(&clock);
    let mut executive = Executive::new(&TABLE, &events, 0);
    executive.poll(&mut board, &clock);
    clock.0.set(199);
    executive.poll(&mut board, &clock);
    assert_eq!((find(&executive, "fast").slips, find(&executive, "fast").worst_late), (0, 99));
    assert_eq!(executive.next_due(199), Some(200));
}

#[test]
fn runs_are_timed_and_budgets_watched() {
    let (clock, events) = (FakeClock::at(0), Events::new());
    let mut board = Board::new(&clock);
    let mut executive = Executive::new(&TABLE, &events, 0);
    for cost in [20, 21, 300, 5] {
        board.costs[0] = cost;
        clock.advance(1_000);
        executive.poll(&mut board, &clock);
    }
    let fast = find(&executive, "fast");
    assert_eq!((fast.runs, fast.last, fast.worst, fast.total), (4, 5, 300, 346));
    assert_eq!(fast.overruns, 2);
    assert_eq!((fast.period, fast.budget), (100, 20));
    // Its cost is not charged to the next one.
    assert_eq!(find(&executive, "slow").worst, 0);
}

#[test]
fn an_event_makes_its_slots_due_at_once_and_once() {
    let (clock, events) = (FakeClock::at(0), Events::new());
    let mut board = Board::new(&clock);
    let mut executive = Executive::new(&TABLE, &events, 0);
    executive.poll(&mut board, &clock);
    board.names();
    clock.advance(10);
    events.raise(RX);
    events.raise(RX);
    assert!(events.any());
    assert_eq!(executive.next_due(10), Some(10));
    assert_eq!(executive.poll(&mut board, &clock), 1);
    assert!(!events.any());
    assert_eq!(executive.poll(&mut board, &clock), 0);
    assert_eq!(board.names(), ["rx"]);
    // One event, two slots; the tick of "fast" stays where it was.
    events.raise(OTHER);
    executive.poll(&mut board, &clock);
    assert_eq!(board.names(), ["fast", "rx"]);
    assert_eq!(executive.next_due(10), Some(100));
    // One that nobody waits for is forgotten.
    events.raise(1 << 31);
    assert_eq!(executive.poll(&mut board, &clock), 0);
    assert_eq!(executive.next_due(10), Some(100));
}

#[test]
fn what_an_earlier_slot_raises_a_later_one_serves_in_the_same_pass() {
    let (clock, events) = (FakeClock::at(0), Rc::new(Events::new()));
    let mut board = Board::new(&clock);
    board.raise = Some(Rc::clone(&events));
    let mut executive = Executive::new(&TABLE, &events, 0);
    executive.poll(&mut board, &clock);
    assert_eq!(board.names(), ["fast", "slow", "rx"]);
}

#[test]
fn an_event_for_an_earlier_slot_waits_for_the_next_pass() {
    const BACKWARDS: [Slot<Board>; 2] = [
        Slot { name: "rx", period: 0, budget: 30, wake: RX, run: rx },
        Slot { name: "fast", period: 100, budget: 20, wake: 0, run: fast },
    ];
    let (clock, events) = (FakeClock::at(0), Rc::new(Events::new()));
    let mut board = Board::new(&clock);
    board.raise = Some(Rc::clone(&events));
    let mut executive = Executive::new(&BACKWARDS, &events, 0);
    executive.poll(&mut board, &clock);
    assert_eq!(board.names(), ["fast"]);
    assert_eq!(executive.next_due(0), Some(0));
    executive.poll(&mut board, &clock);
    assert_eq!(board.names(), ["rx"]);
}

#[test]
fn a_slot_may_wish_to_run_again() {
    let (clock, events) = (FakeClock::at(0), Events::new());
    let mut board = Board::new(&clock);
    let mut executive = Executive::new(&TABLE, &events, 0);
    board.wish = Some(42);
    events.raise(RX);
    executive.poll(&mut board, &clock);
    board.names();
    assert_eq!(executive.next_due(0), Some(42));
    clock.0.set(41);
    assert_eq!(executive.poll(&mut board, &clock), 0);
    clock.0.set(42);
    assert_eq!(executive.poll(&mut board, &clock), 1);
    assert_eq!(board.names(), ["rx"]);
    // A wish for the past is one more run, not an endless pass.
    board.wish = Some(1);
    events.raise(RX);
    assert_eq!(executive.poll(&mut board, &clock), 1);
    assert_eq!(executive.next_due(42), Some(42));
    assert_eq!(executive.poll(&mut board, &clock), 1);
    assert_eq!(executive.next_due(42), Some(100));
}

#[test]
fn an_empty_table_and_a_clock_at_its_end() {
    let (clock, events) = (FakeClock::at(Micros::MAX), Events::new());
    let mut board = Board::new(&clock);
    let mut empty: Executive<'_, Board, 0> = Executive::new(&[], &events, 0);
    assert_eq!((empty.poll(&mut board, &clock), empty.next_due(0)), (0, None));
    let mut executive = Executive::new(&TABLE, &events, 0);
    executive.poll(&mut board, &clock);
    assert_eq!(find(&executive, "fast").missed, u32::MAX);
    assert_eq!(executive.next_due(Micros::MAX), Some(Micros::MAX));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever the polls' distances: every tick is run or counted as missed,
    /// and no pass runs a slot twice.
    #[test]
    fn ticks_are_run_or_counted(steps in prop::collection::vec((0_u64..700, 0_u64..250), 1..60)) {
        let (clock, events) = (FakeClock::at(0), Events::new());
        let mut board = Board::new(&clock);
        let mut executive = Executive::new(&TABLE, &events, 0);
        for (step, cost) in steps {
            clock.advance(step);
            board.costs = [cost, 0, 0];
            executive.poll(&mut board, &clock);
            let mut names = board.names();
            names.sort_unstable();
            let before = names.len();
            names.dedup();
            prop_assert_eq!(names.len(), before);
            let slow = find(&executive, "slow");
            // "slow" comes last and costs nothing: at this instant nothing of
            // it is owed.
            let ticks = clock.now() / 1000 + 1;
            prop_assert_eq!(u64::from(slow.runs) + u64::from(slow.missed), ticks);
        }
    }
}

#[test]
fn a_sane_timetable_passes_its_check_and_a_starved_slot_does_not() {
    let clock = FakeClock::at(1_000);
    let mut board = Board::new(&clock);
    let table: [Slot<Board>; 1] = [Slot {
        name: "a",
        period: 1_000,
        budget: 10,
        wake: 0,
        run: |b, now| {
            b.step("a", 0, now);
            None
        },
    }];
    let events = Events::new();
    let mut executive = Executive::new(&table, &events, clock.now());
    assert_eq!(executive.check(clock.now(), 100), Ok(()));
    executive.poll(&mut board, &clock);
    assert_eq!(executive.check(clock.now(), 100), Ok(()));
    // Time went by, but no poll began: nobody was passed over.
    clock.advance(10_000);
    assert_eq!(executive.check(clock.now(), 100), Ok(()));
    executive.poll(&mut board, &clock);
    assert_eq!(executive.check(clock.now(), 100), Ok(()));
    // A clock that went back: the tick is farther away than it can be.
    assert_eq!(executive.check(0, 100), Err(sk_exec::Broken::Tick(0)));
}
