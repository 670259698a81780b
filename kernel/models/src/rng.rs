//! The random number generator, good and bad.

use crate::systimer::SimClock;
use sk_hal::{Bus32, Micros};
use std::cell::{Cell, RefCell};

/// What the generator delivers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quality {
    /// Random words.
    Good,
    /// The same word for ever.
    Stuck(u32),
    /// Good, but every so many words this one.
    Sometimes(u32, u32),
    /// Ones in 15 of 16 bits.
    Biased,
    /// A byte that appears in every word, among random ones.
    FavouredByte(u8),
    /// Nothing after so many words.
    DriesUp(u32),
}

struct State {
    control: u32,
    warm_up: u32,
    started: Micros,
    taken: u32,
    seed: u64,
}

/// Registers of the generator.
pub struct RngModel {
    clock: SimClock,
    state: RefCell<State>,
    /// What it delivers.
    pub quality: Cell<Quality>,
    /// Microseconds per word after the warm-up.
    pub word_time: Cell<Micros>,
    /// Microseconds of warm-up.
    pub warm_up_time: Cell<Micros>,
}

impl RngModel {
    /// A good generator at 400 kB/s, with 80 ms of warm-up.
    #[must_use]
    pub fn new(clock: &SimClock, seed: u64) -> Self {
        let state = State { control: 0, warm_up: 0, started: 0, taken: 0, seed };
        Self {
            clock: clock.clone(),
            state: RefCell::new(state),
            quality: Cell::new(Quality::Good),
            word_time: Cell::new(10),
            warm_up_time: Cell::new(80_000),
        }
    }

    /// Is it running?
    #[must_use]
    pub fn running(&self) -> bool {
        self.state.borrow().control & 1 != 0
    }

    fn available(&self) -> u32 {
        let s = self.state.borrow();
        if s.control & 1 == 0 {
            return 0;
        }
        let warm = s.started + if s.warm_up == 0 { 0 } else { self.warm_up_time.get() };
        let Some(run) = self.clock.peek().checked_sub(warm) else { return 0 };
        let mut made = u32::try_from(run / self.word_time.get().max(1)).unwrap_or(u32::MAX);
        if let Quality::DriesUp(after) = self.quality.get() {
            made = made.min(after);
        }
        made.saturating_sub(s.taken).min(16)
    }

    fn word(&self) -> u32 {
        let mut s = self.state.borrow_mut();
        s.taken += 1;
        let mut random = || {
            // SplitMix64.
            s.seed = s.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let z = (s.seed ^ s.seed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
            (z ^ z >> 31) as u32
        };
        let word = random();
        // Started cold, the first words are poor.
        let biased = word | random() | random() | random();
        match self.quality.get() {
            Quality::Biased => biased,
            Quality::Stuck(same) => same,
            Quality::Sometimes(every, value) if s.taken.is_multiple_of(every) => value,
            Quality::FavouredByte(b) => word & 0xFFFF_FF00 | u32::from(b),
            _ if s.warm_up == 0 => biased,
            _ => word,
        }
    }
}

impl Bus32 for RngModel {
    fn read(&self, off: u32) -> u32 {
        match off {
            0x00 => self.state.borrow().control,
            0x04 => {
                // A look takes time, or a loop over it would never end.
                self.clock.advance(1);
                self.available() << 24
            }
            0x08 => {
                assert!(self.available() > 0, "RNG: no word there");
                self.word()
            }
            0x0C => 0,
            _ => panic!("RNG: no register {off:#x}"),
        }
    }

    fn write(&self, off: u32, value: u32) {
        let mut s = self.state.borrow_mut();
        match off {
            0x00 => {
                if s.control & 1 == 0 && value & 1 != 0 {
                    s.started = self.clock.peek();
                    s.taken = 0;
                }
                s.control = value;
            }
            0x04 => {
                assert_eq!(s.control & 1, 0, "RNG: warm-up set while it runs");
                assert_eq!(value, 0x4_0000, "RNG: warm-up count");
                s.warm_up = value;
            }
            _ => panic!("RNG: {off:#x} is not writable"),
        }
    }
}
