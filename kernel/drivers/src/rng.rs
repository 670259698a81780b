//! The hardware random number generator, as a source of seed material.
//!
//! Nothing is published about its quality, so its words only feed a hash. The
//! first ones after enabling are poor: the warm-up count throws them away in
//! hardware, and [`DISCARD`] more are dropped here. What is kept goes through
//! [`health`]; a source that fails gives no seed and the board reports FAULT.
//!
//! Emulators answer from the host at once, so both the warm-up and the waits
//! are seen at work only against the register model.

pub mod health;

use crate::wait;
use core::task::Poll;
use health::Defect;
use sk_hal::{Bus32, Clock, Micros};

const CTRL: u32 = 0x00;
const STATUS: u32 = 0x04;
const DATA: u32 = 0x08;

const ENABLE: u32 = 1;
/// Early bits that are thrown away.
const WARM_UP: u32 = 0x4_0000;

/// Words of seed material.
pub const SEED_WORDS: usize = 64;
/// Words dropped after the warm-up.
pub const DISCARD: usize = 16;
/// Longest wait for the first word: 0x40000 bits at a pessimistic 1 Mbit/s.
const WARM_UP_US: Micros = 500_000;
/// Longest wait for each word after it.
const WORD_US: Micros = 2_000;

/// Seed material: hash it, with other things, before use.
pub type Seed = [u32; SEED_WORDS];

/// Why there is no seed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RngError {
    /// No word came in time.
    Silent {
        /// How many had come, discarded ones included.
        after: usize,
    },
    /// The words are not random.
    Defective(Defect),
}

/// The generator.
pub struct Rng<B> {
    bus: B,
    seed: Seed,
    seen: usize,
    deadline: Micros,
}

impl<B: Bus32> Rng<B> {
    /// The generator behind `bus`, not yet started.
    pub const fn new(bus: B) -> Self {
        Self { bus, seed: [0; SEED_WORDS], seen: 0, deadline: 0 }
    }

    /// Starts it (over) and forgets what was collected. Its interrupt stays off
    /// at the interrupt controller; the mask register at 0x10 is left alone,
    /// because an emulated block ends before it and aborts the access.
    pub fn start(&mut self, now: Micros) {
        self.forget();
        self.bus.write(CTRL, self.bus.read(CTRL) & !ENABLE);
        // Counts down only if set before the generator runs.
        self.bus.write(STATUS, WARM_UP);
        self.bus.write(CTRL, self.bus.read(CTRL) | ENABLE);
        self.deadline = now + WARM_UP_US;
    }

    /// Takes the words that are there. Ready once, with the tested seed or the
    /// reason why there is none; the generator is then off.
    pub fn poll(&mut self, now: Micros) -> Poll<Result<Seed, RngError>> {
        for _ in 0..SEED_WORDS + DISCARD {
            if self.bus.read(STATUS) >> 24 == 0 {
                if now <= self.deadline {
                    return Poll::Pending;
                }
                return self.finish(Err(RngError::Silent { after: self.seen }));
            }
            let word = self.bus.read(DATA);
            if let Some(place) = self.seen.checked_sub(DISCARD).and_then(|i| self.seed.get_mut(i)) {
                *place = word;
            }
            self.seen += 1;
            self.deadline = now + WORD_US;
            if self.seen == SEED_WORDS + DISCARD {
                let tested = health::check(&self.seed).map(|()| self.seed);
                return self.finish(tested.map_err(RngError::Defective));
            }
        }
        Poll::Pending
    }

    /// [`Rng::start`] and [`Rng::poll`] until ready: for boot. Bounded by
    /// 0.5 s and 2 ms per word.
    ///
    /// # Errors
    /// [`RngError`].
    pub fn collect<K: Clock + ?Sized>(&mut self, clock: &K) -> Result<Seed, RngError> {
        self.start(clock.now());
        let mut result = None;
        let limit = WARM_UP_US + (SEED_WORDS + DISCARD) as Micros * WORD_US;
        wait::until(clock, limit, || {
            if let Poll::Ready(ready) = self.poll(clock.now()) {
                result = Some(ready);
            }
            result.is_some()
        });
        result.unwrap_or(Err(RngError::Silent { after: self.seen }))
    }

    fn finish(&mut self, result: Result<Seed, RngError>) -> Poll<Result<Seed, RngError>> {
        self.bus.write(CTRL, self.bus.read(CTRL) & !ENABLE);
        self.forget();
        Poll::Ready(result)
    }

    /// Leaves no copy of the seed behind.
    fn forget(&mut self) {
        self.seed = [0; SEED_WORDS];
        self.seen = 0;
    }
}

impl<B> core::fmt::Debug for Rng<B> {
    /// Without the seed.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Rng").field("seen", &self.seen).finish_non_exhaustive()
    }
}
