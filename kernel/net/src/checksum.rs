//! The Internet checksum (RFC 1071), the one routine that touches every byte
//! of every datagram.
//!
//! One's complement addition does not care about byte order (RFC 1071 section
//! 2 (B)) nor about word size, so [`native`] adds whole machine words as they
//! lie in memory. All payload goes through it: on the board it is assembly
//! (`sk-mem`).

/// One's complement sum of `data` as big-endian 16-bit words, an odd last byte
/// padded with zero; folded to 16 bits, not inverted.
#[must_use]
pub fn sum(data: &[u8]) -> u16 {
    u16::from_be(native(data))
}

/// The same in the byte order of the machine: as the words lie in memory.
#[must_use]
#[inline]
pub fn native(data: &[u8]) -> u16 {
    fold(u64::from(sk_mem::ones_sum(data)))
}

/// Adds the carries back in until 16 bits are left; in any byte order.
#[must_use]
#[inline(always)]
pub const fn fold(total: u64) -> u16 {
    let total = (total & 0xFFFF_FFFF) + (total >> 32);
    let total = (total & 0xFFFF) + ((total >> 16) & 0xFFFF) + (total >> 32);
    let total = (total & 0xFFFF) + (total >> 16);
    ((total & 0xFFFF) + (total >> 16)) as u16
}

/// The checksum field for a folded sum.
#[must_use]
#[inline(always)]
pub const fn finish(sum: u16) -> u16 {
    !sum
}

/// The UDP checksum field: a computed zero is sent as all ones, because zero
/// in the field means "no checksum" (RFC 768).
#[must_use]
#[inline(always)]
pub const fn finish_udp(sum: u16) -> u16 {
    match !sum {
        0 => 0xFFFF,
        value => value,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// The definition, word by word.
    fn plain(data: &[u8]) -> u16 {
        let mut total = 0u32;
        for pair in data.chunks(2) {
            total += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
            total = (total & 0xFFFF) + (total >> 16);
        }
        total as u16
    }

    #[test]
    fn the_example_of_rfc_1071() {
        // Section 3: 00 01 f2 03 f4 f5 f6 f7 sums to ddf2.
        let data = [0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7];
        assert_eq!(sum(&data), 0xDDF2);
        assert_eq!(finish(sum(&data)), 0x220D);
    }

    #[test]
    fn every_length_and_alignment() {
        let mut state = 1u32;
        let data: Vec<u8> = (0..1600)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        for start in 0..8 {
            for len in (0..=200).chain([511, 512, 513, 1471, 1472, 1500]) {
                let part = &data[start..start + len];
                assert_eq!(sum(part), plain(part), "start {start}, length {len}");
            }
        }
    }

    #[test]
    fn carries_survive_the_worst_data() {
        let ones = [0xFF; 1500];
        for len in 0..=1500 {
            assert_eq!(sum(&ones[..len]), plain(&ones[..len]), "length {len}");
        }
        assert_eq!(fold(u64::MAX), 0xFFFF);
        assert_eq!(fold(0xFFFF_0000_FFFF_0001), 1);
    }

    #[test]
    fn a_udp_checksum_is_never_sent_as_zero() {
        assert_eq!(finish(0xFFFF), 0);
        assert_eq!(finish_udp(0xFFFF), 0xFFFF);
        assert_eq!(finish_udp(0x1234), 0xEDCB);
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(data in proptest::collection::vec(any::<u8>(), 0..1600)) {
            prop_assert_eq!(sum(&data), plain(&data));
        }
    }
}
