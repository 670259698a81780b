//! How much of a payload's time the kernel may take for itself.

use sk_hal::Micros;

/// A token bucket of processor time: it fills at a fixed share of real time and
/// is emptied by what the kernel spends on others while a payload could run.
///
/// A step is never cut short: it may overdraw, and then nothing more is done
/// until the debt is paid off. Debt has a limit of its own, so that a single
/// bad measurement cannot keep the network away for long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    permille: i64,
    /// Thousandths of microseconds.
    burst: i64,
    debt: i64,
    left: i64,
    at: Micros,
}

const fn thousandths(time: Micros) -> i64 {
    // Half the range at most, so that sums do not overflow.
    let max = (i64::MAX / 2_000) as Micros;
    (if time < max { time } else { max }) as i64 * 1_000
}

impl Share {
    /// `permille` of the time (1000 and above: no limit), `burst` microseconds
    /// saved up at most, `debt` microseconds overdrawn at most.
    #[must_use]
    pub const fn new(permille: u32, burst: Micros, debt: Micros) -> Self {
        let (burst, debt) = (thousandths(burst), thousandths(debt));
        Self { permille: permille as i64, burst, debt, left: burst, at: 0 }
    }

    /// Is there any left at time `now`?
    pub fn is_left(&mut self, now: Micros) -> bool {
        self.fill(now);
        self.permille >= 1000 || self.left > 0
    }

    /// `took` microseconds were spent, up to time `now`.
    pub fn spend(&mut self, now: Micros, took: Micros) {
        self.fill(now);
        self.left = (self.left - thousandths(took)).max(-self.debt);
    }

    /// When there is some again: `now` if there is.
    pub fn next(&mut self, now: Micros) -> Micros {
        if self.is_left(now) || self.permille == 0 {
            return now;
        }
        let missing = 1 - self.left;
        now.saturating_add(missing.unsigned_abs().div_ceil(self.permille.unsigned_abs()))
    }

    fn fill(&mut self, now: Micros) {
        // More than fills it from the deepest debt need not be multiplied out.
        let elapsed = now.saturating_sub(self.at).min(1 << 32) as i64;
        self.at = now;
        self.left = (self.left + elapsed.saturating_mul(self.permille)).min(self.burst);
    }
}
