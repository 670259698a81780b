//! HELLO and handshake, from the client's side: until a session is there.
//!
//! Used at the start, when keys grow old (protocol 1.9.3: after 600 s), and
//! when a board has fallen silent, to find out whether it restarted.

use sk_hal::Entropy;
use sk_wire::{
    Datagram, Hello, HelloReply, HsInit, InitPayload, KeyId, Prologue, RespPayload, Roles, State,
    VERSION,
};

use super::error::ClientError;
use crate::base::{MS, Micros, SECOND};
use crate::drbg::Drbg;
use crate::keys::{Ephemeral, StaticKey};
use crate::noise::{Initiator, Keys, NoiseError};

const HELLO_FIRST: Micros = 250 * MS;
const HELLO_MAX: Micros = SECOND;
/// A board spends about 15 ms on a handshake, an emulated one more.
const INIT_FIRST: Micros = 400 * MS;
const INIT_MAX: Micros = 2 * SECOND;
/// Handshakes tried on one cookie.
const INITS_PER_HELLO: u32 = 3;

/// What it takes to open a session.
#[derive(Clone)]
pub struct Credentials {
    /// The client's key pair.
    pub key: StaticKey,
    /// The key shared with the board.
    pub psk: [u8; 32],
    /// The board's public key, as recorded when its card was written.
    pub board: [u8; 32],
    /// Roles to ask for.
    pub roles: Roles,
}

#[allow(clippy::large_enum_variant)] // one per client, and no allocator to box it
enum Step {
    Hello(Hello),
    Init(Initiator),
}

/// A session just made.
pub(super) struct Connected {
    pub(super) keys: Keys,
    pub(super) local_index: u32,
    pub(super) remote_index: u32,
    pub(super) resp: RespPayload,
    /// From the last datagram sent to its answer.
    pub(super) rtt: Micros,
}

/// What a datagram led to.
#[allow(clippy::large_enum_variant)] // consumed at once
pub(super) enum Heard {
    Nothing,
    /// The board said who and how it is.
    Reply(HelloReply),
    Connected(Connected),
    Failed(ClientError),
}

pub(super) struct Connect {
    step: Step,
    fingerprint: KeyId,
    hello: Hello,
    datagram: Option<HsInit>,
    since: Micros,
    send_at: Micros,
    sent_at: Micros,
    tries: u32,
    give_up: Micros,
    pub(super) reply: Option<HelloReply>,
    /// An answer came whose tag was wrong.
    spoiled: bool,
}

impl Connect {
    pub(super) fn new(
        now: Micros,
        patience: Micros,
        fingerprint: KeyId,
        drbg: &mut Drbg,
    ) -> Option<Self> {
        let mut nonce = [0; 16];
        let hello = drbg.fill(&mut nonce).then(|| Hello::new(nonce))?;
        Some(Connect {
            step: Step::Hello(hello),
            fingerprint,
            hello,
            datagram: None,
            since: now,
            send_at: now,
            sent_at: now,
            tries: 0,
            give_up: now.saturating_add(patience),
            reply: None,
            spoiled: false,
        })
    }

    pub(super) const fn next_deadline(&self) -> Micros {
        if self.send_at < self.give_up { self.send_at } else { self.give_up }
    }

    /// Why it has failed, if it has.
    pub(super) fn expired(&self, now: Micros) -> Option<ClientError> {
        if now < self.give_up {
            return None;
        }
        let waited_ms = u32::try_from(now.saturating_sub(self.since) / MS).unwrap_or(u32::MAX);
        Some(match self.reply {
            None => ClientError::NoAnswer { waited_ms },
            Some(_) if self.spoiled => ClientError::WrongPsk,
            Some(reply) if matches!(reply.state, State::Reserved | State::Running) => {
                ClientError::Busy { free_in_ms: reply.free_in_ms }
            }
            Some(reply) => ClientError::HandshakeRefused { state: reply.state },
        })
    }

    /// Puts off the next HELLO: the board is busy.
    pub(super) fn wait(&mut self, until: Micros) {
        self.step = Step::Hello(self.hello);
        self.send_at = until;
        self.tries = 0;
    }

    pub(super) fn receive(
        &mut self,
        now: Micros,
        datagram: &Datagram,
        who: &Credentials,
        counter: &mut u64,
        drbg: &mut Drbg,
    ) -> Heard {
        match (datagram, &self.step) {
            (Datagram::HelloReply(reply), Step::Hello(hello))
                if reply.client_nonce == hello.client_nonce =>
            {
                if reply.fingerprint != self.fingerprint {
                    return Heard::Failed(ClientError::WrongKey {
                        expected: self.fingerprint,
                        found: reply.fingerprint,
                    });
                }
                if reply.ver != VERSION {
                    return Heard::Failed(ClientError::Version { board: reply.ver });
                }
                if reply.state == State::Fault {
                    return Heard::Failed(ClientError::BoardFault { reason: reply.reason });
                }
                self.reply = Some(*reply);
                self.tries = 0;
                match self.init(now, who, counter, drbg) {
                    Ok(()) => Heard::Reply(*reply),
                    Err(error) => Heard::Failed(error),
                }
            }
            (Datagram::HsResp(resp), Step::Init(initiator)) => match initiator.finish(resp) {
                Ok((payload, keys)) => {
                    let rtt = now.saturating_sub(self.sent_at);
                    Heard::Connected(Connected {
                        keys,
                        local_index: initiator.index(),
                        remote_index: resp.sender_index,
                        resp: payload,
                        rtt,
                    })
                }
                // An answer to an earlier try, or forged: the right one may follow.
                Err(NoiseError::WrongIndex) => Heard::Nothing,
                Err(_) => {
                    self.spoiled = true;
                    Heard::Nothing
                }
            },
            _ => Heard::Nothing,
        }
    }

    /// Makes an HS_INIT with a fresh counter, to be sent at once.
    fn init(
        &mut self,
        now: Micros,
        who: &Credentials,
        counter: &mut u64,
        drbg: &mut Drbg,
    ) -> Result<(), ClientError> {
        let Some(reply) = self.reply else { return Ok(()) };
        let ephemeral = Ephemeral::generate(drbg).ok_or(ClientError::Random)?;
        let mut index = [0; 4];
        if !drbg.fill(&mut index) {
            return Err(ClientError::Random);
        }
        let payload = InitPayload {
            hs_counter: *counter,
            want_roles: who.roles,
            features: 0,
            boot_id: reply.boot_id,
        };
        *counter = counter.saturating_add(1);
        let prologue = Prologue::from_exchange(&self.hello, &reply);
        let started = Initiator::start(
            &who.key,
            &who.board,
            &who.psk,
            ephemeral,
            &prologue,
            &payload,
            u32::from_le_bytes(index),
        );
        let (initiator, init) =
            started.map_err(|_| ClientError::Protocol("the board's public key is not usable"))?;
        self.step = Step::Init(initiator);
        self.datagram = Some(init);
        self.send_at = now;
        Ok(())
    }

    pub(super) fn transmit(
        &mut self,
        now: Micros,
        who: &Credentials,
        counter: &mut u64,
        drbg: &mut Drbg,
        out: &mut [u8],
    ) -> Result<Option<usize>, ClientError> {
        if now < self.send_at {
            return Ok(None);
        }
        if matches!(self.step, Step::Init(_)) && self.datagram.is_none() {
            // The last one got no answer; a counter serves once only.
            if self.tries >= INITS_PER_HELLO {
                self.wait(now);
            } else {
                self.init(now, who, counter, drbg)?;
            }
        }
        let (first, max) = if matches!(self.step, Step::Hello(_)) {
            (HELLO_FIRST, HELLO_MAX)
        } else {
            (INIT_FIRST, INIT_MAX)
        };
        self.send_at = now.saturating_add((first << self.tries.min(4)).min(max));
        self.sent_at = now;
        self.tries += 1;
        Ok(match (&self.step, self.datagram.take()) {
            (Step::Init(_), Some(init)) => put(out, &init.emit()),
            (Step::Hello(hello), _) => put(out, &hello.emit()),
            (Step::Init(_), None) => None,
        })
    }
}

fn put(out: &mut [u8], bytes: &[u8]) -> Option<usize> {
    out.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(bytes.len())
}
