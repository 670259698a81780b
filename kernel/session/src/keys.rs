//! Long-lived and ephemeral X25519 keys, and everything derived from the one
//! secret on the card.
//!
//! X25519 is used bare (RFC 7748): a result of zero, which every low-order
//! point gives, is refused here, so no caller can forget to. One call of
//! [`StaticKey::agree`], [`StaticKey::from_secret`] or [`Ephemeral::generate`]
//! is one scalar multiplication, the unit of work of one kernel slot.
//!
//! Secrets held here are wiped when dropped. Copies that the curve arithmetic
//! leaves on the stack are not; what guards those is that the kernel's stack is
//! never mapped to a task.

use sk_hal::Entropy;
use sk_wire::{KeyId, key_id};
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};
use zeroize::Zeroizing;

use crate::hash::{equal, keyed256};

/// The other side's public key is of low order: the result would be zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LowOrder;

/// The result of a key agreement; wiped when dropped.
#[derive(Clone)]
pub struct SharedKey(Zeroizing<[u8; 32]>);

impl SharedKey {
    /// The bytes, for hashing.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// An X25519 key pair; the secret is wiped when dropped.
#[derive(Clone)]
pub struct StaticKey {
    secret: Zeroizing<[u8; 32]>,
    public: [u8; 32],
}

impl StaticKey {
    /// The pair that belongs to `secret`. One scalar multiplication.
    // The ladder and not the Edwards base multiplication: without its 30 KB of
    // tables the latter is the slower of the two on ARM1176.
    #[inline(never)]
    #[must_use]
    pub fn from_secret(secret: [u8; 32]) -> Self {
        let secret = Zeroizing::new(secret);
        Self { public: x25519(*secret, X25519_BASEPOINT_BYTES), secret }
    }

    /// The public key.
    #[must_use]
    pub const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// BLAKE2s-64 of the public key: what people and beacons call this key.
    #[must_use]
    pub fn id(&self) -> KeyId {
        key_id(&self.public)
    }

    /// The shared secret with the owner of `their_public`.
    ///
    /// # Errors
    /// [`LowOrder`] if it would be zero (RFC 7748, 6.1).
    #[inline(never)]
    pub fn agree(&self, their_public: &[u8; 32]) -> Result<SharedKey, LowOrder> {
        let shared = SharedKey(Zeroizing::new(x25519(*self.secret, *their_public)));
        if equal(shared.as_bytes(), &[0; 32]) { Err(LowOrder) } else { Ok(shared) }
    }
}

impl core::fmt::Debug for StaticKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("StaticKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl core::fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SharedKey(..)")
    }
}

/// A key pair for one handshake. Not `Clone`: it is used once.
///
/// The board makes one while it has nothing else to do, so that a handshake
/// does not wait for it.
#[derive(Debug)]
pub struct Ephemeral(pub(crate) StaticKey);

impl Ephemeral {
    /// A fresh pair; `None` if there is no good randomness. One scalar
    /// multiplication.
    #[must_use]
    pub fn generate<E: Entropy + ?Sized>(entropy: &mut E) -> Option<Self> {
        let mut secret = Zeroizing::new([0; 32]);
        entropy.fill(secret.as_mut_slice()).then(|| Self(StaticKey::from_secret(*secret)))
    }

    /// The pair that belongs to `secret`: for known-answer tests only, an
    /// ephemeral key used twice gives its sessions away.
    #[must_use]
    pub fn from_secret(secret: [u8; 32]) -> Self {
        Self(StaticKey::from_secret(secret))
    }

    /// The public key.
    #[must_use]
    pub const fn public(&self) -> &[u8; 32] {
        self.0.public()
    }
}

/// The board's keys, derived from the device seed of the configuration.
///
/// Distinct keys per purpose, because a Noise static key must not be used
/// outside Noise (Noise rev. 34, 14) and the seed itself in neither.
pub struct DeviceKeys {
    /// The Noise static key: the board's identity in a session.
    pub noise: StaticKey,
    /// Seed of the Ed25519 key that signs Evidence.
    pub attest_seed: Zeroizing<[u8; 32]>,
    /// What keeps random numbers unpredictable to those without the card, even
    /// if the hardware generator has failed unnoticed.
    pub rng_seed: Zeroizing<[u8; 32]>,
}

impl DeviceKeys {
    /// Derives all three. One scalar multiplication.
    #[must_use]
    pub fn derive(device_seed: &[u8; 32]) -> Self {
        let noise = keyed256(device_seed, &[b"SKP1 noise static key"]);
        Self {
            noise: StaticKey::from_secret(*noise),
            attest_seed: keyed256(device_seed, &[b"SKP1 attestation seed"]),
            rng_seed: keyed256(device_seed, &[b"SKP1 random seed"]),
        }
    }
}
