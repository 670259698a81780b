//! How many tasks each client has started in the hour that runs.

use sk_hal::Micros;
use sk_wire::blob::MAX_CLIENTS;

const HOUR: Micros = 3_600_000_000;

/// A count per client, begun anew with every hour since the board started.
pub(super) struct Rates([(u32, u32); MAX_CLIENTS]);

impl Rates {
    /// None so far.
    pub(super) const fn new() -> Self {
        Self([(0, 0); MAX_CLIENTS])
    }

    fn hour(now: Micros) -> u32 {
        (now / HOUR) as u32
    }

    /// Has the client one left, of `most` in an hour?
    pub(super) fn may_start(&self, client: usize, most: u32, now: Micros) -> bool {
        let (hour, count) = self.0.get(client).copied().unwrap_or_default();
        most > if hour == Self::hour(now) { count } else { 0 }
    }

    /// It has started one.
    pub(super) fn started(&mut self, client: usize, now: Micros) {
        if let Some(entry) = self.0.get_mut(client) {
            let hour = Self::hour(now);
            let count = if entry.0 == hour { entry.1 } else { 0 };
            *entry = (hour, count.saturating_add(1));
        }
    }
}
