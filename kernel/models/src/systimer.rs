//! Simulated time, and the system timer that shows it.

use sk_hal::{Bus32, Clock, Micros};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

#[derive(Default)]
struct Time {
    now: Cell<Micros>,
    step: Cell<Micros>,
}

/// Simulated time; clones share it. Every look takes `step` microseconds, so
/// that code that waits gets somewhere.
#[derive(Clone)]
pub struct SimClock(Rc<Time>);

impl SimClock {
    /// Time 0, one microsecond per look.
    #[must_use]
    pub fn new() -> Self {
        let clock = Self(Rc::default());
        clock.set_step(1);
        clock
    }

    /// What a look costs; 0 = a clock that stands still.
    pub fn set_step(&self, step: Micros) {
        self.0.step.set(step);
    }

    /// Jumps to `now`.
    pub fn set(&self, now: Micros) {
        self.0.now.set(now);
    }

    /// Lets time go by.
    pub fn advance(&self, by: Micros) {
        self.0.now.set(self.0.now.get() + by);
    }

    /// The time, without a look.
    #[must_use]
    pub fn peek(&self) -> Micros {
        self.0.now.get()
    }
}

impl Default for SimClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SimClock {
    fn now(&self) -> Micros {
        let now = self.peek();
        self.advance(self.0.step.get());
        now
    }
}

const CS: u32 = 0x00;
const CLO: u32 = 0x04;
const CHI: u32 = 0x08;

struct Compare {
    value: [u32; 4],
    matched: u32,
    /// Matches up to here are accounted for.
    seen: Micros,
}

/// Registers of the system timer. Every access takes one `step` of the clock.
pub struct SysTimerModel {
    clock: SimClock,
    compare: RefCell<Compare>,
    /// Knob: time that goes by right after a compare value is written, as an
    /// interrupt at the wrong moment costs.
    pub late: Cell<Micros>,
}

impl SysTimerModel {
    /// A timer that shows `clock`.
    #[must_use]
    pub fn new(clock: &SimClock) -> Self {
        let seen = clock.peek();
        // Far from everything, as long as a test does not wrap the counter.
        let value = [(seen as u32).wrapping_sub(1); 4];
        let compare = RefCell::new(Compare { value, matched: 0, seen });
        Self { clock: clock.clone(), compare, late: Cell::new(0) }
    }

    /// Is the interrupt line of channel `n` up?
    #[must_use]
    pub fn line(&self, n: usize) -> bool {
        self.catch_up();
        self.compare.borrow().matched & 1 << n != 0
    }

    /// Raises the match flags of the equalities since the last access.
    fn catch_up(&self) {
        let now = self.clock.peek();
        let mut c = self.compare.borrow_mut();
        for n in 0..4 {
            // Distance from the last instant seen to the next equality; 0 is
            // that instant itself, which has been judged.
            let ahead = c.value[n].wrapping_sub(c.seen as u32);
            if ahead != 0 && u64::from(ahead) <= now - c.seen {
                c.matched |= 1 << n;
            }
        }
        c.seen = now;
    }
}

impl Bus32 for SysTimerModel {
    fn read(&self, off: u32) -> u32 {
        let now = self.clock.now();
        self.catch_up();
        match off {
            CS => self.compare.borrow().matched,
            CLO => now as u32,
            CHI => (now >> 32) as u32,
            0x0C..=0x18 => self.compare.borrow().value[(off as usize - 0x0C) / 4],
            _ => panic!("system timer: no register {off:#x}"),
        }
    }

    fn write(&self, off: u32, value: u32) {
        self.clock.now();
        self.catch_up();
        match off {
            CS => {
                assert_eq!(value & !0b1010, 0, "C0 and C2 belong to the VideoCore");
                self.compare.borrow_mut().matched &= !value;
            }
            0x10 | 0x18 => {
                self.compare.borrow_mut().value[(off as usize - 0x0C) / 4] = value;
                self.clock.advance(self.late.get());
                // Worst case: an equality during the write is missed.
                self.compare.borrow_mut().seen = self.clock.peek();
            }
            _ => panic!("system timer: {off:#x} is not the ARM's to write"),
        }
    }
}
