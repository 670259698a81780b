//! A token bucket: how often a stranger's frame may make us send one.

use sk_hal::Micros;

/// `burst` frames at once, then one per `period`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenBucket {
    tokens: u32,
    burst: u32,
    period: Micros,
    filled: Micros,
}

impl TokenBucket {
    /// A full bucket of `burst` tokens that regains one every `period`.
    pub(crate) const fn new(burst: u32, period: Micros) -> Self {
        Self { tokens: burst, burst, period, filled: 0 }
    }

    /// Is there a token?
    pub(crate) fn ready(&mut self, now: Micros) -> bool {
        if self.tokens < self.burst {
            let gained = now.saturating_sub(self.filled) / self.period;
            let missing = u64::from(self.burst - self.tokens);
            if gained >= missing {
                self.tokens = self.burst;
            } else {
                self.tokens += gained as u32;
                self.filled += gained * self.period;
            }
        }
        self.tokens > 0
    }

    /// Takes a token if there is one.
    pub(crate) fn take(&mut self, now: Micros) -> bool {
        if !self.ready(now) {
            return false;
        }
        if self.tokens == self.burst {
            self.filled = now;
        }
        self.tokens -= 1;
        true
    }

    /// When there is a token again.
    pub(crate) fn next(&self) -> Micros {
        match self.tokens {
            0 => self.filled + self.period,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_then_rate() {
        let mut bucket = TokenBucket::new(3, 1000);
        let now = 5_000;
        assert!(bucket.take(now) && bucket.take(now) && bucket.take(now));
        assert!(!bucket.take(now) && !bucket.take(now + 999));
        assert_eq!(bucket.next(), now + 1000);
        assert!(bucket.take(now + 1000));
        assert!(!bucket.take(now + 1999));
        assert!(bucket.take(now + 2000));
    }

    #[test]
    fn never_more_than_the_rate_over_time() {
        let mut bucket = TokenBucket::new(8, 1000);
        let granted = (0..1_000_000u64).step_by(7).filter(|t| bucket.take(*t)).count();
        assert!((1000..=1008).contains(&granted), "{granted}");
    }

    #[test]
    fn a_long_rest_fills_no_more_than_the_burst() {
        let mut bucket = TokenBucket::new(2, 10);
        assert!(bucket.take(0) && bucket.take(0));
        let later = u64::MAX / 2;
        assert!(bucket.take(later) && bucket.take(later) && !bucket.take(later));
    }
}
