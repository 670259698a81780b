//! BLAKE2s plain, keyed, and inside HMAC and HKDF (RFC 7693, RFC 2104, Noise
//! rev. 34, 4.3).
//!
//! Noise asks for HMAC even with a hash that has a key input of its own; the
//! keyed mode is used everywhere else.

use blake2::digest::KeyInit;
use blake2::digest::array::ArraySize;
use blake2::digest::consts::{U16, U32};
use blake2::digest::typenum::{IsLessOrEqual, True};
use blake2::digest::{FixedOutput, Update};
use blake2::{Blake2s256, Blake2sMac, Digest};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// Compares without telling by its timing where the difference is.
#[must_use]
pub fn equal<const N: usize>(a: &[u8; N], b: &[u8; N]) -> bool {
    a.as_slice().ct_eq(b.as_slice()).into()
}

/// BLAKE2s-256 over the concatenation of `parts`.
#[inline(never)]
#[must_use]
pub fn blake2s(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Blake2s256::new();
    for part in parts {
        Digest::update(&mut hash, part);
    }
    hash.finalize().into()
}

fn keyed<Size, const K: usize>(key: &[u8; K], parts: &[&[u8]]) -> Zeroizing<[u8; 32]>
where
    Size: ArraySize + IsLessOrEqual<U32, Output = True>,
{
    const { assert!(K >= 1 && K <= 32, "BLAKE2s takes keys of 1 to 32 bytes") };
    let mut out = Zeroizing::new([0; 32]);
    // The assertion above has excluded the one error.
    if let Ok(mut mac) = Blake2sMac::<Size>::new_from_slice(key) {
        for part in parts {
            mac.update(part);
        }
        let mut digest = mac.finalize_fixed();
        for (to, from) in out.iter_mut().zip(digest.iter()) {
            *to = *from;
        }
        digest.as_mut_slice().zeroize();
    }
    out
}

/// Keyed BLAKE2s-256.
#[inline(never)]
#[must_use]
pub fn keyed256(key: &[u8; 32], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    keyed::<U32, 32>(key, parts)
}

/// BLAKE2s-128 under a 32-byte key.
#[inline(never)]
#[must_use]
pub fn keyed128(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 16] {
    truncated(&keyed::<U16, 32>(key, parts))
}

/// BLAKE2s-128 under a 16-byte key.
#[inline(never)]
#[must_use]
pub fn mac128(key: &[u8; 16], parts: &[&[u8]]) -> [u8; 16] {
    truncated(&keyed::<U16, 16>(key, parts))
}

fn truncated<const N: usize>(long: &[u8; 32]) -> [u8; N] {
    const { assert!(N <= 32) };
    long.first_chunk().copied().unwrap_or([0; N])
}

/// HMAC-BLAKE2s with a key that is never longer than a block.
fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut pad = Zeroizing::new([0x36; 64]);
    xor_into(&mut pad, key);
    let mut inner = Blake2s256::new();
    Digest::update(&mut inner, pad.as_slice());
    for part in parts {
        Digest::update(&mut inner, part);
    }
    let inner: Zeroizing<[u8; 32]> = Zeroizing::new(inner.finalize().into());
    *pad = [0x5C; 64];
    xor_into(&mut pad, key);
    Zeroizing::new(blake2s(&[pad.as_slice(), inner.as_slice()]))
}

fn xor_into(pad: &mut [u8; 64], key: &[u8; 32]) {
    for (byte, key) in pad.iter_mut().zip(key) {
        *byte ^= key;
    }
}

/// Three outputs of Noise's HKDF; a caller that needs two ignores the last.
#[inline(never)]
#[must_use]
pub fn hkdf(chaining_key: &[u8; 32], input: &[u8]) -> [Zeroizing<[u8; 32]>; 3] {
    let temp = hmac(chaining_key, &[input]);
    let one = hmac(&temp, &[&[1]]);
    let two = hmac(&temp, &[one.as_slice(), &[2]]);
    let three = hmac(&temp, &[two.as_slice(), &[3]]);
    [one, two, three]
}
