//! The perfect hash: every id finds its value, every other id finds nothing.

use proptest::prelude::*;
use sk_abi::{SERVICES, service};
use sk_services::resolver::{
    ENTRIES, Entry, HASH, Hash, IDS, PLACES, fill, look_up, search, table,
};

/// Built by the compiler, not at run time: the test is that this compiles.
const fn names<const K: usize>() -> [u32; K] {
    let mut ids = [0; K];
    let mut h = 0x811C_9DC5u32;
    let mut i = 0;
    while i < K {
        h = (h ^ (i as u32 + 1)).wrapping_mul(0x0100_0193);
        ids[i] = h;
        i += 1;
    }
    ids
}

macro_rules! sizes {
    ($($test:ident $k:literal in $n:literal;)*) => {$(
        #[test]
        fn $test() {
            const IDS: [u32; $k] = names();
            const HASH: Hash = match search::<$n>(&IDS, 100_000) {
                Some(hash) => hash,
                None => panic!("none found"),
            };
            const TABLE: [Entry<u32>; $n] = table(HASH, &IDS, &IDS, 0);
            for id in IDS {
                assert_eq!(look_up(&TABLE, HASH, id, 0), id);
            }
            for id in (0..100_000).filter(|id| !IDS.contains(id)) {
                assert_eq!(look_up(&TABLE, HASH, id, 0), 0);
            }
        }
    )*};
}
sizes! {
    thirty_one_ids 31 in 128;
    sixty_four_ids 64 in 512;
    seventy_six_ids 76 in 512;
    two_hundred_and_fifty_six_ids 256 in 8192;
}

#[test]
fn every_service_is_found_and_nothing_else() {
    for s in SERVICES {
        assert_eq!(look_up(&PLACES, HASH, s.id, 0), s.slot + 1, "{}", s.name);
    }
    assert_eq!(PLACES.iter().filter(|e| e.id != 0).count(), SERVICES.len());
    assert_eq!(look_up(&PLACES, HASH, 0, 0), 0);
    assert_eq!(look_up(&PLACES, HASH, service::hash("io.write/2"), 0), 0);
}

#[test]
fn a_withdrawn_service_is_unknown() {
    let mut words = [0xAAAA_AAAA; ENTRIES * 2];
    fill(&mut words, |slot| (slot != 17).then_some(0x8000 + u32::from(slot) * 12));
    let find = |id: u32| {
        let [found, address] = words.as_chunks::<2>().0[HASH.place(id)];
        if found == id { address } else { 0 }
    };
    for s in SERVICES {
        let expected = if s.slot == 17 { 0 } else { 0x8000 + u32::from(s.slot) * 12 };
        assert_eq!(find(s.id), expected, "{}", s.name);
    }
}

#[test]
fn equal_ids_are_never_hashed_apart() {
    assert_eq!(search::<64>(&[5, 6, 5], 1000), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn unknown_ids_resolve_to_nothing(id in any::<u32>()) {
        prop_assume!(!IDS.contains(&id));
        prop_assert_eq!(look_up(&PLACES, HASH, id, 0), 0);
    }
}
