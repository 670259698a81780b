//! Waiting with two bounds: a time, and a number of looks in case the clock
//! itself stands still.

use sk_hal::{Clock, Micros};

/// Looks at the clock before a wait is given up although time has not moved.
/// One look is three reads of a peripheral, 100 ns at the very least, so 16 per
/// microsecond never cut a wait short on the board.
fn looks(time: Micros) -> u64 {
    time.saturating_mul(16).saturating_add(1_000)
}

/// Waits until `done` or until `limit` microseconds have gone by. `false` = not
/// done in time.
pub(crate) fn until<K: Clock + ?Sized>(
    clock: &K,
    limit: Micros,
    mut done: impl FnMut() -> bool,
) -> bool {
    let start = clock.now();
    for _ in 0..looks(limit) {
        if done() {
            return true;
        }
        if clock.now().wrapping_sub(start) > limit {
            return done();
        }
    }
    false
}

/// Lets at least `time` microseconds go by. `false` = the clock stands still.
pub(crate) fn delay<K: Clock + ?Sized>(clock: &K, time: Micros) -> bool {
    let start = clock.now();
    // `>`: the first tick may come right after `start` was read.
    (0..looks(time)).any(|_| clock.now().wrapping_sub(start) > time)
}
