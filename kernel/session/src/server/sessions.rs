//! The tables of sessions: 2 pending, 4 confirmed (protocol 1.9.2).
//!
//! A handshake leaves a *pending* session: message 1 of IK can be forged by
//! whoever has stolen the board's own key, so no role counts before the client
//! has sent a DATA that opens. Then it is *confirmed*. One key may hold several
//! sessions, so that its owner can look at, or end, a task that another of its
//! processes started; a new one replaces that of the same address and port, or,
//! when the table is full, the one of the same client, else of anybody but the
//! active task's owner, that was silent longest.

use sk_wire::{HsResp, Roles};

use super::answers::{Answers, Due};
use crate::base::{Endpoint, Micros, SECOND, earliest};
use crate::transport::{OpenError, Transport};

/// Confirmed sessions.
pub(super) const CONFIRMED: usize = 4;
/// Sessions that wait for their first DATA.
pub(super) const PENDING: usize = 2;
/// How long they may wait.
pub(super) const PENDING_LIFE: Micros = 5 * SECOND;
/// A session not heard of for this long is lost.
pub(super) const SILENCE: Micros = 30 * SECOND;

pub(super) struct Pending {
    pub(super) session: Session,
    pub(super) resp: [u8; HsResp::LEN],
    pub(super) unsent: bool,
}

pub(super) struct Session {
    pub(super) transport: Transport,
    pub(super) peer: Endpoint,
    pub(super) client: u8,
    pub(super) roles: Roles,
    /// When its handshake began.
    pub(super) knocked: Micros,
    /// Last valid DATA; of a pending session: its making.
    pub(super) heard: Micros,
    pub(super) answers: Answers,
    /// A request was repeated that cannot be answered yet: give a sign of life.
    pub(super) poked: bool,
    /// CLOSE was received: gone once that is answered.
    pub(super) closing: bool,
}

impl Session {
    pub(super) const fn new(
        transport: Transport,
        peer: Endpoint,
        client: u8,
        roles: Roles,
        now: Micros,
    ) -> Self {
        Session {
            transport,
            peer,
            client,
            roles,
            knocked: now,
            heard: now,
            answers: Answers::new(),
            poked: false,
            closing: false,
        }
    }

    /// The board's name for it.
    pub(super) const fn id(&self) -> u32 {
        self.transport.local_index()
    }

    pub(super) fn wants_to_send(&self) -> bool {
        self.poked || self.answers.any(Due::Unsent)
    }
}

pub(super) struct Sessions {
    pending: [Option<Pending>; PENDING],
    confirmed: [Option<Session>; CONFIRMED],
}

/// A session that is no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Gone {
    pub(super) id: u32,
    pub(super) client: u8,
}

/// What became of a DATA datagram that opened.
pub(super) struct Opened {
    pub(super) id: u32,
    pub(super) len: usize,
    /// It confirmed its session.
    pub(super) up: bool,
    /// A session that had to make room.
    pub(super) gone: Option<Gone>,
}

impl Sessions {
    pub(super) const fn new() -> Self {
        Sessions { pending: [const { None }; PENDING], confirmed: [const { None }; CONFIRMED] }
    }

    pub(super) fn get(&mut self, id: u32) -> Option<&mut Session> {
        self.confirmed.iter_mut().flatten().find(|session| session.id() == id)
    }

    pub(super) fn all(&mut self) -> impl Iterator<Item = &mut Session> {
        self.confirmed.iter_mut().flatten()
    }

    pub(super) fn of_client(&self, client: u8) -> usize {
        self.confirmed
            .iter()
            .flatten()
            .filter(|session| session.client == client && !session.closing)
            .count()
    }

    pub(super) fn is_taken(&self, id: u32) -> bool {
        let pending = self.pending.iter().flatten().map(|pending| pending.session.id());
        id == 0
            || self
                .confirmed
                .iter()
                .flatten()
                .map(Session::id)
                .chain(pending)
                .any(|taken| taken == id)
    }

    /// Enters a pending session over that of the same client, or into a free
    /// place, or over the oldest.
    pub(super) fn pend(&mut self, new: Pending) {
        let same = |place: &Option<Pending>| {
            place.as_ref().is_some_and(|old| old.session.client == new.session.client)
        };
        let place = (self.pending.iter().position(same))
            .or_else(|| self.pending.iter().position(Option::is_none))
            .or_else(|| {
                (0..PENDING).min_by_key(|i| {
                    self.pending.get(*i).and_then(|p| p.as_ref()).map_or(0, |p| p.session.heard)
                })
            });
        if let Some(place) = place.and_then(|i| self.pending.get_mut(i)) {
            *place = Some(new);
        }
    }

    pub(super) fn unsent_response(&mut self) -> Option<&mut Pending> {
        self.pending.iter_mut().flatten().find(|pending| pending.unsent)
    }

    /// Opens a DATA datagram in place; its frames then start at
    /// [`Transport::HEADER`]. `None` = to be dropped, nothing has changed.
    pub(super) fn open(
        &mut self,
        now: Micros,
        from: Endpoint,
        datagram: &mut [u8],
        owner: Option<u8>,
    ) -> Option<Opened> {
        for session in self
            .confirmed
            .iter_mut()
            .flatten()
            .filter(|session| session.peer == from && !session.closing)
        {
            match session.transport.open(now, datagram) {
                Ok(text) => {
                    let len = text.len();
                    session.heard = now;
                    return Some(Opened { id: session.id(), len, up: false, gone: None });
                }
                Err(OpenError::WrongIndex) => {}
                Err(_) => return None,
            }
        }
        let mut found = None;
        for (i, pending) in self.pending.iter_mut().enumerate() {
            let Some(pending) = pending.as_mut().filter(|pending| pending.session.peer == from)
            else {
                continue;
            };
            match pending.session.transport.open(now, datagram) {
                Ok(text) => {
                    found = Some((i, text.len()));
                    break;
                }
                Err(OpenError::WrongIndex) => {}
                Err(_) => return None,
            }
        }
        let (i, len) = found?;
        let mut session = self.pending.get_mut(i)?.take()?.session;
        session.heard = now;
        let id = session.id();
        let gone = self.confirm(session, owner);
        Some(Opened { id, len, up: true, gone })
    }

    fn confirm(&mut self, session: Session, owner: Option<u8>) -> Option<Gone> {
        let silent_longest = |keep: &dyn Fn(&Session) -> bool| {
            let candidates = self
                .confirmed
                .iter()
                .enumerate()
                .filter_map(|(i, place)| Some((i, place.as_ref()?)));
            candidates.filter(|(_, old)| keep(old)).min_by_key(|(_, old)| old.heard).map(|(i, _)| i)
        };
        let place = silent_longest(&|old| old.client == session.client && old.peer == session.peer)
            .or_else(|| self.confirmed.iter().position(Option::is_none))
            .or_else(|| silent_longest(&|old| old.client == session.client))
            .or_else(|| silent_longest(&|old| Some(old.client) != owner))
            .or_else(|| silent_longest(&|_| true))?;
        let old = self.confirmed.get_mut(place)?.replace(session)?;
        Some(Gone { id: old.id(), client: old.client })
    }

    /// Removes what is too old: pending sessions, and one confirmed session,
    /// which comes back.
    pub(super) fn expire(&mut self, now: Micros) -> Option<Gone> {
        for place in &mut self.pending {
            if place
                .as_ref()
                .is_some_and(|pending| now >= pending.session.heard.saturating_add(PENDING_LIFE))
            {
                *place = None;
            }
        }
        self.remove(|session| {
            let silent = now >= session.heard.saturating_add(SILENCE);
            silent
                || session.transport.is_expired(now)
                || (session.closing && !session.answers.any(Due::Unsent))
        })
    }

    fn remove(&mut self, which: impl Fn(&Session) -> bool) -> Option<Gone> {
        let place = self.confirmed.iter_mut().find(|place| place.as_ref().is_some_and(&which))?;
        let old = place.take()?;
        Some(Gone { id: old.id(), client: old.client })
    }

    pub(super) fn next_deadline(&self) -> Option<Micros> {
        let mut at = None;
        for pending in self.pending.iter().flatten() {
            earliest(&mut at, Some(pending.session.heard.saturating_add(PENDING_LIFE)));
        }
        for session in self.confirmed.iter().flatten() {
            earliest(&mut at, Some(session.heard.saturating_add(SILENCE)));
        }
        at
    }
}
