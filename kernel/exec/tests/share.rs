//! The share of time: never more than it says, whatever is asked for.

use proptest::prelude::*;
use sk_exec::Share;
use sk_hal::Micros;

const TENTH: u32 = 100;

#[test]
fn a_burst_and_then_its_share() {
    let mut share = Share::new(TENTH, 1_000, 4_000);
    assert!(share.is_left(0));
    share.spend(1_000, 1_000);
    // 1,000 of burst, spent; nothing was gained above the burst.
    assert!(!share.is_left(1_000));
    assert_eq!(share.next(1_000), 1_001);
    assert!(share.is_left(1_001));
}

#[test]
fn a_long_step_is_paid_off() {
    let mut share = Share::new(TENTH, 1_000, 4_000);
    share.spend(0, 4_000);
    assert!(!share.is_left(30_000));
    assert!(share.is_left(30_001));
}

#[test]
fn debt_is_bounded() {
    let mut share = Share::new(TENTH, 1_000, 4_000);
    share.spend(0, Micros::MAX);
    assert!(!share.is_left(40_000));
    assert!(share.is_left(40_001), "the network comes back within 50 ms");
}

#[test]
fn all_of_it_is_no_limit() {
    let mut share = Share::new(1000, 1_000, 4_000);
    share.spend(0, 1_000_000);
    assert!(share.is_left(0));
    assert_eq!(share.next(0), 0);
}

proptest! {
    /// Steps of any length, wherever they are allowed: over any span that
    /// begins with a full bucket they take the share, the burst, and one step
    /// that overdraws.
    #[test]
    fn no_more_than_its_share(
        steps in proptest::collection::vec((1u64..4_000, 1u64..2_000), 1..300),
        permille in 1u32..999,
    ) {
        let mut share = Share::new(permille, 1_000, 4_000);
        let (mut now, mut spent, mut longest) = (0u64, 0u64, 0u64);
        for (step, payload) in steps {
            if share.is_left(now) {
                now += step;
                spent += step;
                longest = longest.max(step);
                share.spend(now, step);
            }
            now += payload;
            prop_assert!(spent * 1000 <= now * u64::from(permille) + (1_000 + longest) * 1000);
        }
    }

    /// `next` is the first time at which there is some.
    #[test]
    fn next_is_when_it_is_left(took in 0u64..10_000, permille in 1u32..1000) {
        let mut share = Share::new(permille, 1_000, 4_000);
        share.spend(5, took);
        let at = share.next(5);
        prop_assert!(share.is_left(at));
        if at > 5 {
            let mut again = Share::new(permille, 1_000, 4_000);
            again.spend(5, took);
            prop_assert!(!again.is_left(at - 1));
        }
    }
}
