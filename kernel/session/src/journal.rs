//! What is remembered of tasks that are over, and of the numbers used up
//! (protocol section 1.14).
//!
//! Execution is at most once per boot, client and sequence number: a number is
//! used up when its SUBMIT is accepted, not when the task runs, and a number
//! that is used up never leads to LOADING again, whether or not the journal
//! still knows what became of it.

use sk_abi::Status;
use sk_wire::control::Receipt;
use sk_wire::manifest::{Digest, TaskId};

/// Finished tasks kept.
pub const JOURNAL: usize = 8;
/// Clients a configuration can list.
pub const CLIENTS_MAX: usize = sk_wire::blob::MAX_CLIENTS;
const _: () = assert!(CLIENTS_MAX <= 256, "a client's number is a byte");

/// A finished task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Number of the client in the configuration.
    pub client: u8,
    /// BLAKE2s-256 of the encoded manifest.
    pub manifest: Digest,
    /// How it ended; carries the task's name.
    pub receipt: Receipt,
}

/// What a SUBMIT means, as far as the past can tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Not seen before.
    Fresh,
    /// The same SUBMIT again; its task is over.
    Finished,
    /// Refused.
    Refused(Status),
}

/// The last [`JOURNAL`] finished tasks and every client's highest number.
#[derive(Debug)]
pub struct Journal {
    entries: [Option<Entry>; JOURNAL],
    next: usize,
    last_seq: [u64; CLIENTS_MAX],
    count: u32,
}

impl Journal {
    /// Nothing has run yet in this boot.
    #[must_use]
    pub const fn new() -> Self {
        Journal {
            entries: [const { None }; JOURNAL],
            next: 0,
            last_seq: [0; CLIENTS_MAX],
            count: 0,
        }
    }

    /// Tasks entered since boot.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The finished task of this client with this name.
    #[must_use]
    pub fn find(&self, client: u8, task: TaskId) -> Option<&Entry> {
        self.entries
            .iter()
            .flatten()
            .find(|entry| entry.client == client && entry.receipt.task_id == task)
    }

    /// The finished task with this name, whoever owns it.
    #[must_use]
    pub fn find_any(&self, task: TaskId) -> Option<&Entry> {
        self.entries.iter().flatten().find(|entry| entry.receipt.task_id == task)
    }

    /// Judges a SUBMIT.
    #[must_use]
    pub fn judge(&self, client: u8, task: TaskId, manifest: &Digest) -> Verdict {
        match self.find(client, task) {
            Some(entry) if entry.manifest == *manifest => Verdict::Finished,
            Some(_) => Verdict::Refused(Status::CONFLICT),
            None => match self.last_seq.get(usize::from(client)) {
                Some(last) if task.seq > *last => Verdict::Fresh,
                Some(_) => Verdict::Refused(Status::STALE_TASK),
                None => Verdict::Refused(Status::NOT_ALLOWED),
            },
        }
    }

    /// Uses up a number.
    pub fn use_up(&mut self, client: u8, seq: u64) {
        if let Some(last) = self.last_seq.get_mut(usize::from(client)) {
            *last = seq.max(*last);
        }
    }

    /// Enters a finished task, over the oldest.
    pub fn enter(&mut self, entry: Entry) {
        if let Some(place) = self.entries.get_mut(self.next) {
            *place = Some(entry);
        }
        self.next = (self.next + 1) % JOURNAL;
        self.count = self.count.saturating_add(1);
    }
}

impl Default for Journal {
    fn default() -> Self {
        Journal::new()
    }
}
