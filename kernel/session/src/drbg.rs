//! The generator behind every key, cookie and identifier.
//!
//! Hardware words, the card's seed and the board's serial number go through
//! BLAKE2s into a 32-byte key; ChaCha20 under it gives the output, and its
//! first 32 bytes replace the key at once ("fast key erasure"), so that what
//! was given out cannot be computed from what is in memory later.
//!
//! The health of the hardware generator is judged elsewhere (repetition count
//! and adaptive proportion, NIST SP 800-90B 4.4). This generator gives nothing
//! before it was seeded and nothing after [`Drbg::fail`]; there is no other
//! source to fall back to.

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use sk_hal::Entropy;
use zeroize::Zeroizing;

use crate::hash::keyed256;

/// Least hardware output for seeding and reseeding: 64 bytes, so that a source
/// with half a bit of entropy per bit still fills the key.
pub const MIN_HARDWARE_BYTES: usize = 64;

/// What the generator is seeded with.
#[derive(Clone, Copy)]
pub struct SeedMaterial<'a> {
    /// Output of the hardware generator that passed its health tests.
    pub hardware: &'a [u8],
    /// [`crate::keys::DeviceKeys::rng_seed`]: keeps the output unpredictable to
    /// those without the card if the hardware has failed unnoticed.
    pub rng_seed: &'a [u8; 32],
    /// Serial number of the board: two boards from one card image differ.
    pub serial: u64,
    /// Anything else, such as timer values taken while starting; may be empty.
    pub jitter: &'a [u8],
}

/// A ChaCha20 generator with fast key erasure.
pub struct Drbg {
    /// `None`: not seeded, or failed.
    key: Option<Zeroizing<[u8; 32]>>,
}

impl Drbg {
    /// A generator that gives nothing.
    #[must_use]
    pub const fn unseeded() -> Self {
        Self { key: None }
    }

    /// A seeded generator; unseeded if there is less hardware output than
    /// [`MIN_HARDWARE_BYTES`].
    #[must_use]
    pub fn new(seed: &SeedMaterial<'_>) -> Self {
        if seed.hardware.len() < MIN_HARDWARE_BYTES {
            return Self::unseeded();
        }
        // Lengths in front, so that no two inputs run into the same bytes.
        let key = keyed256(
            seed.rng_seed,
            &[
                b"SKP1 drbg seed",
                &(seed.hardware.len() as u64).to_le_bytes(),
                seed.hardware,
                &seed.serial.to_le_bytes(),
                seed.jitter,
            ],
        );
        Self { key: Some(key) }
    }

    /// Mixes new hardware output in, which undoes a leak of the state. `false`
    /// if there is too little of it, or the generator is not healthy.
    #[must_use]
    pub fn reseed(&mut self, hardware: &[u8]) -> bool {
        match &mut self.key {
            Some(key) if hardware.len() >= MIN_HARDWARE_BYTES => {
                let mixed = keyed256(key, &[b"SKP1 drbg reseed", hardware]);
                *key = mixed;
                true
            }
            _ => false,
        }
    }

    /// The hardware has failed its health test: wipes the state for good.
    pub fn fail(&mut self) {
        self.key = None;
    }

    /// Whether [`Entropy::fill`] will give anything.
    #[must_use]
    pub const fn is_healthy(&self) -> bool {
        self.key.is_some()
    }
}

impl Entropy for Drbg {
    fn fill(&mut self, out: &mut [u8]) -> bool {
        out.fill(0);
        let Some(key) = &mut self.key else {
            return false;
        };
        // A key makes one stream only, so the nonce may be constant. The
        // stream ends after 256 GiB; no buffer here has that length.
        let mut stream = ChaCha20::new((&**key).into(), &[0; 12].into());
        let mut next = Zeroizing::new([0; 32]);
        stream.apply_keystream(next.as_mut_slice());
        *key = next;
        if stream.try_apply_keystream(out).is_err() {
            out.fill(0);
            return false;
        }
        true
    }
}
