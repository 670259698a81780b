//! The two sums Ethernet needs: CRC-32 (IEEE 802.3 clause 3.2.9) and the
//! internet checksum (RFC 1071).

/// The register of the CRC after `bytes`, before the last inversion, bits
/// reflected: bit 0 is the coefficient sent first.
fn register(bytes: &[u8]) -> u32 {
    bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 }
        })
    })
}

/// Frame check sequence, as its four bytes go over the wire.
#[must_use]
pub fn fcs(frame: &[u8]) -> [u8; 4] {
    (!register(frame)).to_le_bytes()
}

/// Where a group address falls in the 64-bit hash table: the top six bits of
/// the CRC, most significant coefficient first.
pub(super) fn hash_index(address: &[u8]) -> u32 {
    register(address).reverse_bits() >> 26
}

/// Sum of big-endian 16-bit words with end-around carry, not inverted.
pub(super) fn ones_sum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)))
        .sum();
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    sum as u16
}
