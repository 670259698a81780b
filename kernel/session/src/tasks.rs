//! The life of the one task (protocol sections 1.11 and 1.14): receive, check,
//! load, run, reply, scrub.
//!
//! Knows clients by their number in the configuration and knows nothing of
//! sessions or datagrams. A state is left only on the events listed in the
//! protocol; each has a time limit, so that every path leads back to IDLE.
//! Questions that cannot be answered at once (COMMIT, ABORT) are not queued
//! here: whoever asked asks again after each step ([`Tasks::commit_outcome`],
//! [`Tasks::abort_outcome`]), so there is no list of waiters to overflow.

mod steps;

use blake2::{Blake2s256, Digest as _};
use sk_abi::Status;
use sk_wire::blob::Policy;
use sk_wire::control::{self, Phase, Receipt, TaskStatus, receipt_flags};
use sk_wire::frames::Object;
use sk_wire::manifest::{Digest, FORMAT_SKX1, MANIFEST_VERSION, Manifest, TaskId, flags};
use sk_wire::{BootId, Roles};

use crate::base::{MS, Micros, SECOND, earliest};
use crate::journal::{Journal, Verdict};
use crate::server::board::{Board, TaskState};
use crate::upload::{OBJECT_MAX, Put, Upload};

/// Longest time without a new chunk in RECEIVING.
pub const STALL: Micros = 5 * SECOND;
/// Bytes digested per step: 0.7 ms at 700 MHz and 30 cycles a byte.
pub const DIGEST_STEP: usize = 16 << 10;

/// Time limits that the configuration sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// How long a result is held for its owner.
    pub hold: Micros,
    /// How long at most, however busily the owner fetches it.
    pub hold_max: Micros,
    /// How long the owner of a running task may be silent.
    pub owner_silence: Micros,
    /// Longest wall time of a task, ms.
    pub wall_ms_max: u32,
}

impl Limits {
    /// What holds without a configuration.
    pub const DEFAULT: Limits = Limits {
        hold: 60 * SECOND,
        hold_max: 600 * SECOND,
        owner_silence: 30 * SECOND,
        wall_ms_max: u32::MAX,
    };

    /// What the policy says.
    #[must_use]
    pub const fn of(policy: &Policy) -> Self {
        Limits {
            hold: policy.hold_ms as Micros * MS,
            hold_max: policy.hold_ms_max as Micros * MS,
            owner_silence: policy.session_lost_ms as Micros * MS,
            wall_ms_max: policy.wall_ms_max,
        }
    }
}

/// A refusal: why, and a number whose meaning depends on that.
pub type Refused = (Status, u32);

/// Asked for and decided, or not decidable yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome<T> {
    /// Ask again after the next step.
    Wait,
    /// Decided, for good.
    Done(T),
    /// Refused.
    Refused(Refused),
}

/// Something that happened in a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// Image and input are right and loaded; the payload may be entered.
    Started(TaskId),
    /// The receipt is in the journal.
    Ended(TaskId, Status),
    /// Everything is scrubbed.
    Idle,
}

#[derive(Debug)]
struct Sum {
    at: usize,
    hash: Blake2s256,
}

impl Sum {
    fn new() -> Self {
        Sum { at: 0, hash: Blake2s256::new() }
    }

    /// Digests more of `bytes`, at most `budget`, which shrinks; the digest
    /// when all is done.
    fn step(&mut self, bytes: &[u8], budget: &mut usize) -> Option<Digest> {
        let rest = bytes.get(self.at..).unwrap_or_default();
        let piece = rest.get(..rest.len().min(*budget)).unwrap_or_default();
        self.hash.update(piece);
        self.at += piece.len();
        *budget -= piece.len();
        (piece.len() == rest.len()).then(|| core::mem::take(&mut self.hash).finalize().into())
    }
}

#[derive(Debug)]
enum Stage {
    Idle,
    Receiving {
        stalls_at: Micros,
        expires: Micros,
    },
    Verifying {
        object: Object,
        sum: Sum,
    },
    Loading,
    Running {
        since: Micros,
    },
    /// Ended; output is being digested.
    Summing {
        sum: Sum,
    },
    /// The receipt is there; held for the owner, longer while it fetches.
    Replying {
        until: Micros,
        latest: Micros,
    },
    Scrub,
}

#[derive(Debug)]
struct Active {
    client: u8,
    manifest: Manifest,
    digest: Digest,
    owner_heard: Micros,
    stopped: bool,
}

/// The one task, the journal, and the state of the two uploads.
#[derive(Debug)]
pub struct Tasks {
    boot_id: BootId,
    limits: Limits,
    stage: Stage,
    active: Option<Active>,
    image: Upload,
    input: Upload,
    journal: Journal,
    /// An end that no step has told of yet.
    news: Option<Change>,
    /// The payload was told to stop, and no step has looked since whether it has.
    look: bool,
}

impl Tasks {
    /// IDLE, with an empty journal.
    #[must_use]
    pub const fn new(boot_id: BootId, limits: Limits) -> Self {
        Tasks {
            boot_id,
            limits,
            stage: Stage::Idle,
            active: None,
            image: Upload::new(),
            input: Upload::new(),
            journal: Journal::new(),
            news: None,
            look: false,
        }
    }

    /// Where the board is.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        match self.stage {
            Stage::Idle => Phase::Idle,
            Stage::Receiving { .. } => Phase::Receiving,
            Stage::Verifying { .. } => Phase::Verifying,
            Stage::Loading => Phase::Loading,
            Stage::Running { .. } | Stage::Summing { .. } => Phase::Running,
            Stage::Replying { .. } => Phase::Replying,
            Stage::Scrub => Phase::Scrub,
        }
    }

    /// Tasks ended since boot.
    #[must_use]
    pub const fn ended(&self) -> u32 {
        self.journal.count()
    }

    /// The active task and its owner's number.
    #[must_use]
    pub fn active(&self) -> Option<(TaskId, u8)> {
        self.active.as_ref().map(|active| (active.manifest.task_id, active.client))
    }

    /// Does this client own the active task?
    #[must_use]
    pub fn owns(&self, client: u8) -> bool {
        self.active.as_ref().is_some_and(|active| active.client == client)
    }

    /// The owner is fetching its result: it is held on.
    pub fn attended(&mut self, now: Micros) {
        if let Stage::Replying { until, latest } = &mut self.stage {
            *until = (now + self.limits.hold).clamp(*until, *latest);
        }
    }

    /// May the owner fetch output?
    #[must_use]
    pub const fn has_output(&self) -> bool {
        matches!(self.stage, Stage::Running { .. } | Stage::Summing { .. } | Stage::Replying { .. })
    }

    fn own(&self, client: u8, task: TaskId) -> Option<&Active> {
        self.active
            .as_ref()
            .filter(|active| active.client == client && active.manifest.task_id == task)
    }

    /// The receipt of a finished task, for its owner.
    #[must_use]
    pub fn receipt(&self, client: u8, task: TaskId) -> Option<&Receipt> {
        self.journal.find(client, task).map(|entry| &entry.receipt)
    }

    /// When the board should be free again, ms from now.
    #[must_use]
    pub fn free_in_ms(&self, now: Micros, wall_ms_max: u32) -> u32 {
        let wall = self.active.as_ref().map_or(0, |active| match active.manifest.time.wall_ms {
            0 => wall_ms_max,
            wall => wall,
        });
        let wall = Micros::from(wall) * MS;
        let left = match self.stage {
            Stage::Idle => return 0,
            Stage::Receiving { expires, .. } => expires.saturating_sub(now).saturating_add(wall),
            Stage::Verifying { .. } | Stage::Loading => wall,
            Stage::Running { since } => since.saturating_add(wall).saturating_sub(now),
            Stage::Replying { until, .. } => until.saturating_sub(now),
            Stage::Summing { .. } | Stage::Scrub => 10 * MS,
        };
        u32::try_from(left / MS).unwrap_or(u32::MAX).max(1)
    }

    /// SUBMIT. `Ok` = where the task is, and how many ms its upload may take.
    pub fn submit(
        &mut self,
        now: Micros,
        board: &mut impl Board,
        client: u8,
        roles: Roles,
        encoded: &[u8],
    ) -> Result<(Phase, u32), Refused> {
        let manifest: Manifest = control::decode(encoded).map_err(|error| (error.status(), 0))?;
        if manifest.version != MANIFEST_VERSION {
            return Err((Status::VERSION, u32::from(MANIFEST_VERSION)));
        }
        if manifest.boot_id != self.boot_id {
            return Err((Status::BOOT_CHANGED, 0));
        }
        let digest: Digest = Blake2s256::digest(encoded).into();
        if let Some(active) = self.own(client, manifest.task_id) {
            return if active.digest == digest {
                Ok((self.phase(), self.expires_ms(now)))
            } else {
                Err((Status::CONFLICT, 0))
            };
        }
        match self.journal.judge(client, manifest.task_id, &digest) {
            Verdict::Finished => return Ok((Phase::Done, 0)),
            Verdict::Refused(status) => return Err((status, 0)),
            Verdict::Fresh => {}
        }
        let facts = board.facts();
        let superseded = self
            .active
            .as_ref()
            .is_some_and(|a| a.client == client && a.manifest.task_id.seq < manifest.task_id.seq);
        if superseded && matches!(self.stage, Stage::Replying { .. }) {
            // Its owner has turned to the next task: RESULT_ACK was lost.
            self.scrub();
        }
        if !matches!(self.stage, Stage::Idle) {
            return Err((Status::BUSY, self.free_in_ms(now, facts.wall_ms_max)));
        }
        if manifest.format != FORMAT_SKX1 {
            return Err((Status::FORMAT, u32::from(FORMAT_SKX1)));
        }
        if manifest.abi != facts.abi {
            return Err((Status::ABI, u32::from(facts.abi)));
        }
        if manifest.has(!flags::ALL) || manifest.class != 0 || manifest.image.size == 0 {
            return Err((Status::BAD_FIELD, 0));
        }
        if manifest.has(flags::DIRECT) && !roles.contains(Roles::DIRECT) {
            return Err((Status::ROLE, 0));
        }
        let wall_ms_max = facts.wall_ms_max.min(self.limits.wall_ms_max);
        if manifest.time.wall_ms > wall_ms_max {
            return Err((Status::TIME_TOO_LONG, wall_ms_max));
        }
        let (image, input) = (manifest.image.size, manifest.input.size);
        if image > OBJECT_MAX || input > OBJECT_MAX {
            return Err((Status::TOO_BIG, OBJECT_MAX));
        }
        board.owner(usize::from(client));
        board
            .reserve(&manifest)
            .map_err(|status| (status, facts.memory_kib.saturating_mul(1024)))?;
        if !(self.image.begin(image) && self.input.begin(input)) {
            return Err((Status::TOO_BIG, OBJECT_MAX));
        }
        self.journal.use_up(client, manifest.task_id.seq);
        let size = u64::from(image) + u64::from(input);
        let total = 10 * SECOND + size * SECOND / (64 << 10);
        self.stage = Stage::Receiving { stalls_at: now + STALL, expires: now + total };
        self.active = Some(Active { client, manifest, digest, owner_heard: now, stopped: false });
        Ok((Phase::Receiving, self.expires_ms(now)))
    }

    fn expires_ms(&self, now: Micros) -> u32 {
        let Stage::Receiving { expires, .. } = self.stage else { return 0 };
        u32::try_from(expires.saturating_sub(now) / MS).unwrap_or(u32::MAX)
    }

    /// A PUT of the owner. `false` = not for the active task, or out of range;
    /// nothing was changed.
    pub fn put(
        &mut self,
        now: Micros,
        board: &mut impl Board,
        client: u8,
        object: u8,
        offset: u32,
        bytes: &[u8],
    ) -> bool {
        if !self.owns(client) {
            return false;
        }
        let (object, upload) = match Object::new(object) {
            Some(Object::Image) => (Object::Image, &mut self.image),
            Some(Object::Input) => (Object::Input, &mut self.input),
            _ => return false,
        };
        let Stage::Receiving { stalls_at, .. } = &mut self.stage else {
            // Late duplicates after COMMIT: the sender may still want to know.
            upload.request_ack();
            return false;
        };
        match upload.put(offset, bytes.len()) {
            Ok(Put::New) => {
                board.write(object, offset, bytes);
                *stalls_at = now + STALL;
                true
            }
            Ok(Put::Duplicate) => true,
            Err(_) => false,
        }
    }

    /// The two uploads, for ACKs.
    pub fn uploads(&mut self) -> [(Object, &mut Upload); 2] {
        [(Object::Image, &mut self.image), (Object::Input, &mut self.input)]
    }

    /// Is an ACK due?
    #[must_use]
    pub const fn ack_due(&self) -> bool {
        self.image.ack_due() || self.input.ack_due()
    }

    /// COMMIT: starts the checks if everything is there. What comes of them is
    /// for [`Tasks::commit_outcome`] to say.
    pub fn commit(&mut self, client: u8, task: TaskId) -> Result<(), Refused> {
        if self.own(client, task).is_none() {
            return match self.journal.find(client, task) {
                Some(_) => Ok(()),
                None if self
                    .active
                    .as_ref()
                    .is_some_and(|active| active.manifest.task_id == task) =>
                {
                    Err((Status::NOT_OWNER, 0))
                }
                None => Err((Status::BAD_STATE, 0)),
            };
        }
        if let Stage::Receiving { .. } = self.stage {
            if !(self.image.is_complete() && self.input.is_complete()) {
                self.image.request_ack();
                self.input.request_ack();
                return Err((Status::INCOMPLETE, 0));
            }
            self.stage = Stage::Verifying { object: Object::Image, sum: Sum::new() };
        }
        Ok(())
    }

    /// What became of a COMMIT that was accepted.
    #[must_use]
    pub fn commit_outcome(&self, client: u8, task: TaskId) -> Outcome<Phase> {
        if let Some(entry) = self.journal.find(client, task) {
            let receipt = &entry.receipt;
            if receipt.flags & receipt_flags::NOT_STARTED != 0 {
                return Outcome::Refused((receipt.status(), receipt.detail));
            }
            let current = self.own(client, task).is_some();
            return Outcome::Done(if current { self.phase() } else { Phase::Done });
        }
        match (self.own(client, task), self.phase()) {
            (Some(_), Phase::Running) => Outcome::Done(Phase::Running),
            (Some(_), _) => Outcome::Wait,
            (None, _) => Outcome::Refused((Status::BAD_STATE, 0)),
        }
    }

    /// ABORT by the owner or an operator; the task meant comes back.
    pub fn abort(
        &mut self,
        board: &mut impl Board,
        client: u8,
        operator: bool,
        task: TaskId,
    ) -> Result<TaskId, Refused> {
        let Some(active) = self
            .active
            .as_mut()
            .filter(|active| task == TaskId::ACTIVE || active.manifest.task_id == task)
        else {
            let known =
                self.journal.find_any(task).filter(|entry| operator || entry.client == client);
            return known.map(|_| task).ok_or((Status::BAD_STATE, 0));
        };
        let task = active.manifest.task_id;
        let why = match (active.client == client, operator) {
            (true, _) => Status::ABORTED_OWNER,
            (false, true) => Status::ABORTED_OPERATOR,
            (false, false) => return Err((Status::NOT_OWNER, 0)),
        };
        self.end(board, why);
        Ok(task)
    }

    /// Ends whatever is going on, unless it has ended already.
    fn end(&mut self, board: &mut impl Board, why: Status) {
        match self.stage {
            Stage::Receiving { .. } | Stage::Verifying { .. } | Stage::Loading => self.fail(why, 0),
            Stage::Running { .. } => {
                if let Some(active) = self.active.as_mut().filter(|active| !active.stopped) {
                    active.stopped = true;
                    board.stop(why);
                    self.look = true;
                }
            }
            Stage::Idle | Stage::Summing { .. } | Stage::Replying { .. } | Stage::Scrub => {}
        }
    }

    /// The final status of a task that was to be aborted, once it is dead.
    #[must_use]
    pub fn abort_outcome(&self, task: TaskId) -> Outcome<Status> {
        if let Some(entry) = self.journal.find_any(task) {
            return Outcome::Done(entry.receipt.status());
        }
        match self.active() {
            Some((active, _)) if active == task => Outcome::Wait,
            _ => Outcome::Refused((Status::BAD_STATE, 0)),
        }
    }

    /// RESULT_ACK: the owner has what it wants.
    pub fn result_ack(&mut self, client: u8, task: TaskId) -> Result<(), Refused> {
        if self.own(client, task).is_some() {
            if !matches!(self.stage, Stage::Replying { .. }) {
                return Err((Status::BAD_STATE, 0));
            }
            self.scrub();
            return Ok(());
        }
        self.journal.find(client, task).map(|_| ()).ok_or((Status::BAD_STATE, 0))
    }

    /// STATUS; the caller has checked that `client` may ask.
    #[must_use]
    pub fn status(&self, board: &impl Board, task: TaskId) -> Option<TaskStatus> {
        let active = self
            .active
            .as_ref()
            .filter(|active| task == TaskId::ACTIVE || active.manifest.task_id == task);
        let name = active.map_or(task, |active| active.manifest.task_id);
        let mut status = TaskStatus { task_id: name, phase: self.phase(), ..TaskStatus::default() };
        if let Some(entry) = self.journal.find_any(name) {
            let receipt = &entry.receipt;
            status.phase = if active.is_some() { self.phase() } else { Phase::Done };
            status.status = receipt.status;
            (status.cpu_us, status.wall_us) = (receipt.usage.cpu_us, receipt.usage.wall_us);
            (status.stdout, status.stderr) = (receipt.stdout.len, receipt.stderr_len);
        } else if active.is_none() {
            return None;
        } else if self.has_output() {
            if let TaskState::Running(progress) = board.task() {
                (status.cpu_us, status.wall_us) = (progress.cpu_us, progress.wall_us);
                (status.beats, status.last_service) = (progress.beats, progress.last_service);
            }
            (status.stdout, status.stderr) =
                (length(board, Object::Stdout), length(board, Object::Stderr));
        }
        Some(status)
    }

    /// A sign of life of a client.
    pub fn heard(&mut self, now: Micros, client: u8) {
        if let Some(active) = self.active.as_mut().filter(|active| active.client == client) {
            active.owner_heard = now;
        }
    }

    /// The client has closed its last session.
    pub fn left(&mut self, board: &mut impl Board, client: u8) {
        let detached =
            self.active.as_ref().is_some_and(|active| active.manifest.has(flags::DETACH));
        if self.owns(client) && !(detached && matches!(self.stage, Stage::Running { .. })) {
            self.end(board, Status::SESSION_LOST);
        }
    }

    /// Work that a step would do without waiting for anything?
    #[must_use]
    pub fn has_work(&self) -> bool {
        // A payload that takes its time to stop is for the board to notice.
        self.look
            || self.news.is_some()
            || matches!(
                self.stage,
                Stage::Verifying { .. } | Stage::Loading | Stage::Summing { .. } | Stage::Scrub
            )
    }

    /// When a time limit runs out.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Micros> {
        let mut at = None;
        match self.stage {
            Stage::Receiving { stalls_at, expires } => {
                earliest(&mut at, Some(stalls_at.min(expires)));
            }
            Stage::Replying { until, .. } => earliest(&mut at, Some(until)),
            Stage::Running { .. } => earliest(&mut at, self.owner_limit()),
            _ => {}
        }
        at
    }

    fn owner_limit(&self) -> Option<Micros> {
        let active = self
            .active
            .as_ref()
            .filter(|active| !active.manifest.has(flags::DETACH) && !active.stopped)?;
        Some(active.owner_heard.saturating_add(self.limits.owner_silence))
    }
}

/// Bytes of an output written so far, those dropped included.
pub(crate) fn length(board: &impl Board, object: Object) -> u32 {
    u32::try_from(board.bytes(object).len())
        .unwrap_or(u32::MAX)
        .saturating_add(board.dropped(object))
}
