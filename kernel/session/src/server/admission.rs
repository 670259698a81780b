//! HS_INIT: the order of work, cheapest first (protocol 1.9.2).
//!
//! In [`Admissions::receive`]: length (the parser), state, cookie MAC, token
//! buckets. Then one DH per [`Admissions::step`]: es; allow-list; ss (kept per
//! list entry); payload, boot, counter; the board's ephemeral key (made in
//! advance when idle); ee; se and psk. Only the last of these makes a session,
//! and only a pending one. Whoever fails is not told.

use sk_hal::Entropy;
use sk_wire::blob::Config;
use sk_wire::{
    BootId, CapsDigest, HsInit, InitPayload, Prologue, RespPayload, Roles, State, VERSION,
};

use crate::base::{Bucket, Endpoint, Micros, SECOND};
use crate::journal::CLIENTS_MAX;
use crate::keys::{Ephemeral, SharedKey, StaticKey};
use crate::noise::{Keys, Responder, Step};

/// Handshakes per second, from everybody.
const TOTAL_RATE: u32 = 20;
/// Handshakes per second, from one address.
const SOURCE_RATE: u32 = 5;
/// Addresses whose rate is watched.
const SOURCES: usize = 8;
/// Handshakes in progress.
const PARALLEL: usize = 2;
/// A handshake not finished by then is forgotten.
const PATIENCE: Micros = 2 * SECOND;

/// What the board says of itself in HS_RESP.
#[derive(Clone, Copy, Debug)]
pub(super) struct About {
    pub(super) boot_id: BootId,
    pub(super) caps_digest: CapsDigest,
    pub(super) state: State,
    pub(super) window: u16,
    pub(super) session_ms: u32,
    /// Only its owner, observers and operators may come in now.
    pub(super) owner: Option<u8>,
}

struct Admission {
    from: Endpoint,
    since: Micros,
    responder: Responder,
    client: u8,
    roles: Roles,
}

/// A finished handshake.
pub(super) struct Admitted {
    pub(super) from: Endpoint,
    pub(super) since: Micros,
    pub(super) client: u8,
    pub(super) roles: Roles,
    pub(super) resp: sk_wire::HsResp,
    pub(super) keys: Keys,
}

/// What a step came to.
#[allow(clippy::large_enum_variant)] // consumed at once by the only caller
pub(super) enum Progress {
    /// There was nothing to do.
    Nothing,
    /// One DH was spent.
    Working,
    /// One DH was spent and the peer sent away.
    Denied,
    /// One DH was spent and the handshake is done.
    Done(Admitted),
}

pub(super) struct Admissions {
    total: Bucket,
    sources: [Option<([u8; 4], Bucket)>; SOURCES],
    places: [Option<Admission>; PARALLEL],
    spare: Option<Ephemeral>,
    shared: [Option<SharedKey>; CLIENTS_MAX],
    last_counter: [u64; CLIENTS_MAX],
    /// DH operations spent, for tests and the log.
    pub(super) agreements: u32,
}

impl Admissions {
    pub(super) const fn new() -> Self {
        Admissions {
            total: Bucket::new(TOTAL_RATE, 5),
            sources: [const { None }; SOURCES],
            places: [const { None }; PARALLEL],
            spare: None,
            shared: [const { None }; CLIENTS_MAX],
            last_counter: [0; CLIENTS_MAX],
            agreements: 0,
        }
    }

    fn allow(&mut self, now: Micros, ip: [u8; 4]) -> bool {
        let known =
            self.sources.iter().position(|place| place.is_some_and(|(source, _)| source == ip));
        let free = || {
            self.sources
                .iter()
                .position(|place| place.is_none_or(|(_, bucket)| bucket.is_full(now)))
        };
        // All places taken by addresses that are busy: only the total counts.
        let own = match known.or_else(free).and_then(|i| self.sources.get_mut(i)) {
            Some(place) => {
                let (_, bucket) = match place {
                    Some(entry) if entry.0 == ip => entry,
                    other => other.insert((ip, Bucket::new(SOURCE_RATE, SOURCE_RATE))),
                };
                bucket.take(now)
            }
            None => true,
        };
        own && self.total.take(now)
    }

    /// Takes in an HS_INIT whose cookie MAC was right.
    pub(super) fn receive(
        &mut self,
        now: Micros,
        from: Endpoint,
        local: &StaticKey,
        prologue: &Prologue,
        init: &HsInit,
    ) -> bool {
        let stale = |place: &Option<Admission>| {
            place
                .as_ref()
                .is_none_or(|old| old.from == from || now >= old.since.saturating_add(PATIENCE))
        };
        let repeated = self
            .places
            .iter()
            .flatten()
            .any(|old| old.from == from && old.responder.init() == init);
        let Some(free) = self.places.iter().position(stale).filter(|_| !repeated) else {
            return false;
        };
        if !self.allow(now, from.ip) {
            return false;
        }
        let responder = Responder::begin(local.public(), prologue, init);
        if let Some(place) = self.places.get_mut(free) {
            *place = Some(Admission { from, since: now, responder, client: 0, roles: Roles::NONE });
        }
        true
    }

    /// Is there a DH to be done?
    pub(super) fn has_work(&self) -> bool {
        self.places.iter().any(Option::is_some)
    }

    /// Makes the ephemeral key for the next handshake; one DH. `false` = there
    /// was nothing to do.
    pub(super) fn prepare(&mut self, entropy: &mut impl Entropy) -> bool {
        if self.spare.is_some() {
            return false;
        }
        self.agreements = self.agreements.wrapping_add(1);
        self.spare = Ephemeral::generate(entropy);
        self.spare.is_some()
    }

    /// One DH at most.
    pub(super) fn step(
        &mut self,
        local: &StaticKey,
        config: &Config,
        about: &About,
        index: u32,
        entropy: &mut impl Entropy,
    ) -> Progress {
        let Some(place) = self.places.iter().position(Option::is_some) else {
            return Progress::Nothing;
        };
        let Some(mut work) = self.places.get_mut(place).and_then(Option::take) else {
            return Progress::Nothing;
        };
        if work.responder.next() == Step::Ee && self.spare.is_none() {
            // Making the key is this step's agreement; using it is the next one's.
            if !self.prepare(entropy) {
                return Progress::Denied;
            }
            if let Some(slot) = self.places.get_mut(place) {
                *slot = Some(work);
            }
            return Progress::Working;
        }
        if work.responder.next() != Step::Ee {
            self.agreements = self.agreements.wrapping_add(1);
        }
        let next = match work.responder.next() {
            Step::Es => self.es(&mut work, local, config, about),
            Step::Ss => self.ss(&mut work, local, config, about),
            Step::Ee => match self.spare.take() {
                Some(spare) => {
                    self.agreements = self.agreements.wrapping_add(1);
                    work.responder.step_ee(spare).ok()
                }
                None => None,
            },
            Step::SePsk => {
                let Admission { from, since, client, roles, .. } = work;
                let answer = RespPayload {
                    boot_id: about.boot_id,
                    caps_digest: about.caps_digest,
                    state: about.state,
                    ver: VERSION,
                    granted_roles: roles,
                    window: about.window,
                    features: 0,
                    session_ms: about.session_ms,
                };
                let psk = config.psk(usize::from(client));
                let done = psk.and_then(|psk| work.responder.step_se_psk(psk, &answer, index).ok());
                return done.map_or(Progress::Denied, |(resp, keys)| {
                    Progress::Done(Admitted { from, since, client, roles, resp, keys })
                });
            }
            Step::Over => None,
        };
        if next.is_none() {
            return Progress::Denied;
        }
        if let Some(place) = self.places.get_mut(place) {
            *place = Some(work);
        }
        Progress::Working
    }

    fn es(
        &self,
        work: &mut Admission,
        local: &StaticKey,
        config: &Config,
        about: &About,
    ) -> Option<()> {
        let public = work.responder.step_es(local).ok()?;
        let at = config.find(&public)?;
        work.client = u8::try_from(at).ok()?;
        let allowed = config.clients().get(at)?.roles;
        let watcher = !allowed.and(Roles::OBSERVE.or(Roles::OPERATE)).is_empty();
        about.owner.is_none_or(|owner| owner == work.client || watcher).then_some(())
    }

    fn ss(
        &mut self,
        work: &mut Admission,
        local: &StaticKey,
        config: &Config,
        about: &About,
    ) -> Option<()> {
        let peer = config.clients().get(usize::from(work.client))?;
        let place = self.shared.get_mut(usize::from(work.client))?;
        let shared = match place {
            Some(shared) => shared,
            None => place.insert(local.agree(&peer.public_key).ok()?),
        };
        let InitPayload { hs_counter, want_roles, boot_id, .. } =
            work.responder.step_ss(shared).ok()?;
        let last = self.last_counter.get_mut(usize::from(work.client))?;
        if boot_id != about.boot_id || hs_counter <= *last {
            return None;
        }
        *last = hs_counter;
        work.roles = want_roles.and(peer.roles);
        Some(())
    }
}
