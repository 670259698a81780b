//! The power-management block: password, watchdog counter, boot partition.

use crate::systimer::SimClock;
use sk_hal::{Bus32, Micros};
use std::cell::{Cell, RefCell};

#[derive(Default)]
struct State {
    rstc: u32,
    rsts: u32,
    wdog: u32,
    /// When the counter reaches 0, while armed.
    due: Option<Micros>,
    /// Partition bits at the reset, when there was one.
    reset: Option<u32>,
}

/// Registers of the power-management block.
pub struct PmModel {
    clock: SimClock,
    state: RefCell<State>,
    /// Knob: no counter, arming resets at once, as an emulator does.
    pub immediate: Cell<bool>,
}

impl PmModel {
    /// The block after power-on; `rsts` is what the status register reads.
    #[must_use]
    pub fn new(clock: &SimClock, rsts: u32) -> Self {
        let state = RefCell::new(State { rstc: 0x102, rsts, ..State::default() });
        Self { clock: clock.clone(), state, immediate: Cell::new(false) }
    }

    /// Has the board been reset? Then the partition bits at that time.
    #[must_use]
    pub fn reset(&self) -> Option<u32> {
        let mut s = self.state.borrow_mut();
        if s.due.is_some_and(|due| self.clock.peek() >= due) {
            s.reset = s.reset.or(Some(s.rsts & 0x555));
        }
        s.reset
    }
}

impl Bus32 for PmModel {
    fn read(&self, off: u32) -> u32 {
        let s = self.state.borrow();
        match off {
            0x1C => s.rstc,
            0x20 => s.rsts,
            0x24 => s.wdog,
            _ => panic!("PM: no register {off:#x}"),
        }
    }

    fn write(&self, off: u32, value: u32) {
        assert_eq!(value >> 24, 0x5A, "PM write without password is ignored");
        let value = value & 0x00FF_FFFF;
        let now = self.clock.peek();
        let mut s = self.state.borrow_mut();
        match off {
            0x1C => {
                s.rstc = value;
                s.due = match value >> 4 & 3 {
                    2 if self.immediate.get() => Some(now),
                    2 => Some(now + ((u64::from(s.wdog) * 1_000_000) >> 16)),
                    0 => None,
                    other => panic!("PM: WRCFG {other}"),
                };
            }
            0x20 => s.rsts = value,
            0x24 => {
                assert!(value <= 0xF_FFFF, "the watchdog counter has 20 bits");
                s.wdog = value;
            }
            _ => panic!("PM: no register {off:#x}"),
        }
    }
}
