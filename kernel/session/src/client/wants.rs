//! Requests on their way: sent again until answered.
//!
//! A request keeps its id over all repetitions of one session, so that the
//! board carries it out once. FETCH is not among them: lost chunks are asked
//! for anew.

use heapless::Vec;
use sk_wire::control::{self, Abort, Close, CodecError, Op};
use sk_wire::manifest::{Manifest, TaskId};

use super::sender::Rtt;
use crate::base::{MS, Micros};

/// Requests on their way at once.
const WANTS: usize = 6;
const REPEAT_MAX: Micros = 400 * MS;

/// What a request carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ask {
    Submit,
    Commit,
    Status(TaskId),
    Abort(Abort),
    Result,
    ResultAck,
    Ping,
    Close,
}

impl Ask {
    pub(super) const fn op(self) -> Op {
        match self {
            Ask::Submit => Op::Submit,
            Ask::Commit => Op::Commit,
            Ask::Status(_) => Op::Status,
            Ask::Abort(_) => Op::Abort,
            Ask::Result => Op::Result,
            Ask::ResultAck => Op::ResultAck,
            Ask::Ping => Op::Ping,
            Ask::Close => Op::Close,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    pub(super) id: u32,
    pub(super) ask: Ask,
    sent: Option<Micros>,
    tries: u32,
    due: Micros,
}

impl Want {
    /// Encodes the request.
    pub(super) fn encode<'b>(
        &self,
        manifest: Option<&Manifest>,
        buffer: &'b mut [u8],
    ) -> Result<&'b [u8], CodecError> {
        let (id, op) = (self.id, self.ask.op());
        let task = manifest.map_or(TaskId::ACTIVE, |manifest| manifest.task_id);
        match self.ask {
            Ask::Submit => control::request(id, op, manifest.ok_or(CodecError::NoRoom)?, buffer),
            Ask::Commit | Ask::Result | Ask::ResultAck => control::request(id, op, &task, buffer),
            Ask::Status(task) => control::request(id, op, &task, buffer),
            Ask::Abort(abort) => control::request(id, op, &abort, buffer),
            Ask::Ping => control::request(id, op, &(), buffer),
            Ask::Close => control::request(id, op, &Close { code: 0 }, buffer),
        }
    }
}

pub(super) struct Wants {
    list: Vec<Want, WANTS>,
    next_id: u32,
}

impl Wants {
    pub(super) const fn new() -> Self {
        Wants { list: Vec::new(), next_id: 1 }
    }

    /// Asks, unless the same is being asked already.
    pub(super) fn ask(&mut self, now: Micros, ask: Ask) {
        if !self.has(ask.op()) {
            let id = self.fresh_id();
            // Six kinds at once never occur; were it full, the asker's own
            // timer would ask again.
            let _ = self.list.push(Want { id, ask, sent: None, tries: 0, due: now });
        }
    }

    pub(super) fn fresh_id(&mut self) -> u32 {
        let id = self.next_id;
        // The top bit is the asker's.
        self.next_id = (id + 1) & (u32::MAX >> 1);
        id
    }

    pub(super) fn has(&self, op: Op) -> bool {
        self.list.iter().any(|want| want.ask.op() == op)
    }

    pub(super) fn drop_op(&mut self, op: Op) {
        self.list.retain(|want| want.ask.op() != op);
    }

    pub(super) fn clear(&mut self) {
        self.list.clear();
    }

    /// An answer has come: what it is to, and the round trip time if it is certain.
    pub(super) fn answered(&mut self, now: Micros, id: u32) -> Option<(Ask, Option<Micros>)> {
        let at = self.list.iter().position(|want| want.id == id)?;
        let want = self.list.remove(at);
        let rtt = want.sent.filter(|_| want.tries == 1).map(|sent| now.saturating_sub(sent));
        Some((want.ask, rtt))
    }

    pub(super) fn due(&self, now: Micros) -> bool {
        self.list.iter().any(|want| now >= want.due)
    }

    /// The requests to be sent now; each is counted as sent if `send` says so.
    pub(super) fn send_due(&mut self, now: Micros, rtt: &Rtt, mut send: impl FnMut(&Want) -> bool) {
        for want in self.list.iter_mut().filter(|want| now >= want.due) {
            if send(want) {
                want.sent = Some(now);
                want.due = now.saturating_add(rtt.probe(want.tries, REPEAT_MAX));
                want.tries = want.tries.saturating_add(1);
            }
        }
    }

    /// How often the request was sent.
    pub(super) fn tries(&self, op: Op) -> u32 {
        self.list.iter().find(|want| want.ask.op() == op).map_or(0, |want| want.tries)
    }

    pub(super) fn next_deadline(&self) -> Option<Micros> {
        self.list.iter().map(|want| want.due).min()
    }
}
