//! The replay window against a set, and the cases every such window must pass.

use std::collections::HashSet;

use proptest::prelude::*;
use sk_session::window::{ReplayWindow, WINDOW};

/// Says what the window should: a counter is fresh if it was never accepted
/// and fewer than `WINDOW` behind the highest.
#[derive(Clone, Default)]
struct Model {
    accepted: HashSet<u64>,
    highest: Option<u64>,
}

impl Model {
    fn accept(&mut self, counter: u64) -> bool {
        let old = self.highest.is_some_and(|h| h >= counter && h - counter >= WINDOW);
        let fresh = counter != u64::MAX && !old && self.accepted.insert(counter);
        if fresh {
            self.highest = self.highest.max(Some(counter));
        }
        fresh
    }
}

fn same(counters: impl IntoIterator<Item = u64>) {
    let (mut window, mut model) = (ReplayWindow::new(), Model::default());
    let mut so_far = Vec::new();
    for counter in counters {
        so_far.push(counter);
        let fresh = window.is_fresh(counter);
        let before = window.next();
        let accepted = window.accept(counter);
        assert_eq!(accepted, model.accept(counter), "{so_far:?}");
        assert_eq!(fresh, accepted);
        assert!(accepted || window.next() == before);
        assert_eq!(window.next().checked_sub(1), model.highest);
    }
}

/// Every sequence of five out of the counters at which something changes:
/// first and last bits of words, the ends of the window, laps of the ring.
#[test]
fn exhaustive_over_the_edges() {
    let edges = [
        0,
        1,
        31,
        32,
        WINDOW - 1,
        WINDOW,
        WINDOW + 1,
        1023,
        1024,
        1024 + WINDOW,
        2048,
        u64::MAX - 1,
        u64::MAX,
    ];
    let total = edges.len().pow(5);
    for number in 0..total {
        let digit = |n: u32| edges[number / edges.len().pow(n) % edges.len()];
        same((0..5).map(digit));
    }
}

/// The cases of WireGuard's self-test, with this window's size.
#[test]
fn wireguard_cases() {
    const T: u64 = WINDOW;
    const TOP: u64 = u64::MAX;
    let cases = [
        (0, true),
        (1, true),
        (1, false),
        (9, true),
        (8, true),
        (7, true),
        (7, false),
        (T, true),
        (T - 1, true),
        (T - 1, false),
        (T - 2, true),
        (2, true),
        (2, false),
        (T + 16, true),
        (3, false),
        (T + 16, false),
        (T * 4, true),
        (T * 4 - (T - 1), true),
        (10, false),
        (T * 4 - T, false),
        (T * 4 - (T + 1), false),
        (T * 4 - (T - 2), true),
        (T * 4 + 1 - T, false),
        (0, false),
        (TOP, false),
        (TOP - 1, true),
        (TOP, false),
        (TOP - 1, false),
        (TOP - 2, true),
        (TOP - 3, true),
        (TOP - 2, false),
        (0, false),
    ];
    let mut window = ReplayWindow::new();
    for (at, (counter, fresh)) in cases.into_iter().enumerate() {
        assert_eq!(window.accept(counter), fresh, "case {at}: {counter}");
    }
}

/// A whole window forwards, then backwards, then shifted by one.
#[test]
fn whole_windows() {
    same((1..=WINDOW).chain(1..=WINDOW));
    same((2..=WINDOW + 1).chain(0..=WINDOW));
    same((0..=WINDOW + 1).rev());
    same((0..4096).chain((0..4096).rev()));
}

proptest! {
    #[test]
    fn any_walk(steps in prop::collection::vec((-1100i64..1100, 0u8..20), 0..400)) {
        let mut at = 5000u64;
        same(steps.into_iter().map(|(step, jump)| {
            at = at.saturating_add_signed(if jump == 0 { step * 100 } else { step / 8 });
            at
        }));
    }
}
