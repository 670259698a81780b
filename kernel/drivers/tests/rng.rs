//! The generator, good and bad.

use sk_drivers::rng::health::{Defect, check};
use sk_drivers::rng::{DISCARD, Rng, RngError, SEED_WORDS};
use sk_hal::Clock;
use sk_models::rng::{Quality, RngModel};
use sk_models::systimer::SimClock;
use std::task::Poll;

fn collect(quality: Quality) -> Result<[u32; SEED_WORDS], RngError> {
    let clock = SimClock::new();
    let model = RngModel::new(&clock, 7);
    model.quality.set(quality);
    let result = Rng::new(&model).collect(&clock);
    assert!(!model.running());
    assert!(clock.peek() < 700_000, "bounded");
    result
}

#[test]
fn good_sources_pass() {
    for seed in 0..200 {
        let clock = SimClock::new();
        clock.set_step(50);
        let model = RngModel::new(&clock, seed);
        let words = Rng::new(&model).collect(&clock).expect("good");
        assert!(words.iter().all(|w| *w != 0));
    }
}

#[test]
fn bad_sources_are_named() {
    let defect = |quality| match collect(quality) {
        Err(RngError::Defective(defect)) => defect,
        other => panic!("{quality:?}: {other:?}"),
    };
    assert_eq!(defect(Quality::Stuck(0)), Defect::AllZero);
    assert_eq!(defect(Quality::Stuck(u32::MAX)), Defect::AllOne);
    assert_eq!(defect(Quality::Stuck(0x1234_5678)), Defect::StuckWord);
    assert_eq!(defect(Quality::Sometimes(30, 0)), Defect::AllZero);
    defect(Quality::Biased);
    assert_eq!(defect(Quality::FavouredByte(0x5A)), Defect::ByteProportion);
}

#[test]
fn silence_is_bounded_wherever_it_begins() {
    for after in [0, 1, DISCARD, DISCARD + SEED_WORDS - 1] {
        let silent = Err(RngError::Silent { after });
        assert_eq!(collect(Quality::DriesUp(after as u32)), silent);
    }
    let clock = SimClock::new();
    let model = RngModel::new(&clock, 1);
    model.word_time.set(5_000);
    assert!(matches!(Rng::new(&model).collect(&clock), Err(RngError::Silent { .. })));
}

#[test]
fn polled_use_spreads_over_slots_and_leaves_nothing_behind() {
    let clock = SimClock::new();
    clock.set_step(0);
    let model = RngModel::new(&clock, 3);
    let mut rng = Rng::new(&model);
    rng.start(clock.now());
    let mut slots = 0;
    let seed = loop {
        match rng.poll(clock.now()) {
            Poll::Ready(result) => break result.unwrap(),
            Poll::Pending => clock.advance(500),
        }
        slots += 1;
        assert!(slots < 1_000);
    };
    assert!(slots > 4);
    assert!(seed.iter().all(|w| *w != 0));
    assert!(!format!("{rng:?}").contains(&seed[0].to_string()));
}

#[test]
fn repetition_over_word_boundaries() {
    let mut seed = [0u32; SEED_WORDS];
    for (i, word) in seed.iter_mut().enumerate() {
        *word = (i as u32 + 1).wrapping_mul(0x9E37_79B9);
    }
    assert_eq!(check(&seed), Ok(()));
    seed[10] = 0x7777_7700;
    seed[11] = 0x7777_7777;
    seed[12] = 0x1277_7777;
    assert_eq!(check(&seed), Err(Defect::Repetition));
}

#[test]
fn too_many_ones_in_varied_bytes() {
    // Five of eight bytes with one zero bit, three with two, none too often.
    let mut seed = [0u32; SEED_WORDS];
    for (i, word) in seed.iter_mut().enumerate() {
        let byte = |n: usize| {
            let n = i * 4 + n;
            let one = !(1u8 << (n / 8 % 8));
            if n % 8 < 5 { one } else { one & one.rotate_left(1 + (n % 3) as u32) }
        };
        *word = u32::from_le_bytes([byte(0), byte(1), byte(2), byte(3)]);
    }
    assert_eq!(check(&seed), Err(Defect::BitProportion));
}
