//! The same in Rust, for the host.

/// As [`crate::ones_sum`] says.
pub(crate) fn ones_sum(data: &[u8]) -> u32 {
    // A 64-bit sum of 32-bit words cannot overflow below 16 GiB of data.
    let mut total = 0u64;
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        total += u64::from(u32::from_ne_bytes(*word));
    }
    if !tail.is_empty() {
        let mut last = [0; 4];
        for (to, from) in last.iter_mut().zip(tail) {
            *to = *from;
        }
        total += u64::from(u32::from_ne_bytes(last));
    }
    let total = (total & 0xFFFF_FFFF) + (total >> 32);
    ((total & 0xFFFF_FFFF) + (total >> 32)) as u32
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn carries_go_round() {
        assert_eq!(ones_sum(&[]), 0);
        assert_eq!(ones_sum(&[0; 99]), 0);
        assert_eq!(ones_sum(&[0xFF; 64]), u32::MAX);
        assert_eq!(u32::from_le(ones_sum(&[0xFF, 0xFF, 0xFF, 0xFF, 2, 0, 0, 0])), 2);
        assert_eq!(u32::from_le(ones_sum(&[1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 7])), 8);
    }

    proptest! {
        #[test]
        fn is_the_remainder_by_two_to_the_32_less_one(
            data in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let m = u64::from(u32::MAX);
            let expected = data.iter().enumerate().fold(0, |sum, (i, byte)| {
                (sum + (u64::from(*byte) << (8 * (i % 4)))) % m
            });
            prop_assert_eq!(u64::from(u32::from_le(ones_sum(&data))) % m, expected);
        }
    }
}
