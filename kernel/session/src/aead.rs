//! ChaCha20-Poly1305 in place, with the nonce as Noise forms it.
//!
//! The crates underneath are generic, so their code is compiled where it is
//! instantiated. These few functions are that place: nothing else in the tree
//! touches the cipher, so setting the optimisation level of this one crate sets
//! it for the inner loops, and another implementation can be put behind the
//! same signatures.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, Key, KeyInit, Nonce, Tag};
use sk_wire::TAG_LEN;

/// Noise rev. 34, 12.3: 32 zero bits, then the counter in little-endian order.
fn nonce(counter: u64) -> Nonce {
    let mut nonce = Nonce::default();
    let (_, tail) = nonce.split_at_mut(4);
    tail.copy_from_slice(&counter.to_le_bytes());
    nonce
}

/// Encrypts `text` in place and returns its tag.
///
/// `None` only for a text longer than the cipher's limit of 256 GiB.
#[inline(never)]
#[must_use]
pub fn seal(key: &[u8; 32], counter: u64, ad: &[u8], text: &mut [u8]) -> Option<[u8; TAG_LEN]> {
    let cipher = ChaCha20Poly1305::new(&Key::from(*key));
    let tag = cipher.encrypt_inout_detached(&nonce(counter), ad, text.into()).ok()?;
    Some(tag.into())
}

/// Decrypts `text` in place if `tag` is right; otherwise leaves it as it was
/// and returns `false`.
#[inline(never)]
#[must_use]
pub fn open(key: &[u8; 32], counter: u64, ad: &[u8], text: &mut [u8], tag: &[u8; TAG_LEN]) -> bool {
    let cipher = ChaCha20Poly1305::new(&Key::from(*key));
    cipher.decrypt_inout_detached(&nonce(counter), ad, text.into(), &Tag::from(*tag)).is_ok()
}
