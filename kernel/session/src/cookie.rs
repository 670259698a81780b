//! Address cookies: proof that a client can receive where it sends from, at
//! the price of one hash and without keeping anything per client.
//!
//! The cookie is a MAC over address and HELLO under a secret that changes every
//! 60 s; the previous secret is still good, so a cookie lives 60 to 120 s.
//! HS_INIT ends in a MAC keyed with the cookie, checked before any key
//! agreement is spent.
//!
//! HS_INIT does not repeat the version range of the HELLO. A board of this
//! version therefore accepts only cookies for the range 1 to 1; a client that
//! speaks more and learns from HELLO_REPLY that the board does not asks again
//! with that range. Someone who edits the range on the way spoils the cookie.

use core::net::SocketAddrV4;

use sk_hal::{Entropy, Micros};
use sk_wire::{ClientNonce, Cookie, Hello, HsInit, VERSION};
use zeroize::Zeroizing;

use crate::hash::{equal, keyed128, mac128};

/// How long a secret is the current one.
pub const PERIOD_US: Micros = 60_000_000;

/// The MAC that ends an HS_INIT.
#[must_use]
pub fn mac(cookie: &Cookie, init: &HsInit) -> [u8; 16] {
    mac128(cookie, &[&init.maced_part()])
}

type Secret = Zeroizing<[u8; 32]>;

fn bake(secret: &Secret, from: SocketAddrV4, versions: [u8; 2], nonce: &ClientNonce) -> Cookie {
    let port = from.port().to_le_bytes();
    keyed128(secret, &[b"SKP1ck", &from.ip().octets(), &port, &versions, nonce])
}

/// The rotating secret.
#[derive(Default)]
pub struct CookieJar {
    current: Option<Secret>,
    previous: Option<Secret>,
    since: Micros,
}

impl CookieJar {
    /// A jar without a secret: it bakes and accepts nothing until
    /// [`CookieJar::rotate`] was called.
    #[must_use]
    pub const fn new() -> Self {
        Self { current: None, previous: None, since: 0 }
    }

    /// Renews the secret if it is due; to be called at every poll. `false`: it
    /// is due and there is no good randomness, so the jar is empty now.
    pub fn rotate<E: Entropy + ?Sized>(&mut self, now: Micros, entropy: &mut E) -> bool {
        let age = now.saturating_sub(self.since);
        if self.current.is_some() && age < PERIOD_US {
            return true;
        }
        // Not polled for two periods: what was current then has expired too.
        self.previous = self.current.take().filter(|_| age < 2 * PERIOD_US);
        let mut fresh = Zeroizing::new([0; 32]);
        if !entropy.fill(fresh.as_mut_slice()) {
            self.previous = None;
            return false;
        }
        (self.current, self.since) = (Some(fresh), now);
        true
    }

    /// The cookie for `hello` from `from`; `None` while there is no secret.
    #[must_use]
    pub fn bake(&self, from: SocketAddrV4, hello: &Hello) -> Option<Cookie> {
        let versions = [hello.ver_min, hello.ver_max];
        Some(bake(self.current.as_ref()?, from, versions, &hello.client_nonce))
    }

    /// Checks the MAC of an HS_INIT from `from`, and returns the cookie it was
    /// made with: the prologue needs it. Costs at most four short hashes.
    #[must_use]
    pub fn check(&self, from: SocketAddrV4, init: &HsInit) -> Option<Cookie> {
        [&self.current, &self.previous].into_iter().flatten().find_map(|secret| {
            let cookie = bake(secret, from, [VERSION, VERSION], &init.client_nonce);
            equal(&mac(&cookie, init), &init.mac).then_some(cookie)
        })
    }
}
