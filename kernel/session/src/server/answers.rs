//! The last requests of a session and what was answered (protocol 1.11).
//!
//! A request whose id is known is never carried out again: what was decided the
//! first time is sent again, whatever the repetition says. Answers are kept as
//! the few numbers they are made from; questions that change nothing (STATUS,
//! RESULT, PING, FETCH) are answered anew from their first arguments.

use sk_abi::Status;
use sk_wire::control::{Fetch, Phase};
use sk_wire::manifest::TaskId;

/// Answers kept per session.
pub(super) const RING: usize = 16;

/// How far an answer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    /// Not decided yet.
    Waiting,
    /// To be sent.
    Unsent,
    /// Sent at least once.
    Sent,
}

/// What an answer is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum About {
    Nothing,
    Accepted { phase: Phase, expires_ms: u32 },
    Committed { task: TaskId, phase: Phase },
    Aborted { task: TaskId, status: Status },
    Task(TaskId),
    Fetch(Fetch),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Reply {
    pub(super) id: u32,
    pub(super) op: u8,
    pub(super) due: Due,
    pub(super) status: Status,
    /// Goes with a status that is not OK.
    pub(super) detail: u32,
    pub(super) about: About,
}

/// The last [`RING`] requests.
#[derive(Debug)]
pub(super) struct Answers {
    replies: [Option<Reply>; RING],
    next: usize,
}

impl Answers {
    pub(super) const fn new() -> Self {
        Answers { replies: [None; RING], next: 0 }
    }

    pub(super) fn find(&mut self, id: u32) -> Option<&mut Reply> {
        self.replies.iter_mut().flatten().find(|reply| reply.id == id)
    }

    /// Room for one more; `false` = all wait for something to be decided.
    pub(super) fn has_room(&self) -> bool {
        self.replies.iter().any(|place| place.is_none_or(|reply| reply.due != Due::Waiting))
    }

    /// Keeps a reply in the place of the oldest that is decided.
    pub(super) fn keep(&mut self, reply: Reply) {
        for _ in 0..RING {
            let place = self.replies.get_mut(self.next);
            self.next = (self.next + 1) % RING;
            if let Some(place) =
                place.filter(|place| place.is_none_or(|old| old.due != Due::Waiting))
            {
                *place = Some(reply);
                return;
            }
        }
    }

    pub(super) fn with(&mut self, due: Due) -> impl Iterator<Item = &mut Reply> {
        self.replies.iter_mut().flatten().filter(move |reply| reply.due == due)
    }

    pub(super) fn any(&self, due: Due) -> bool {
        self.replies.iter().flatten().any(|reply| reply.due == due)
    }
}
