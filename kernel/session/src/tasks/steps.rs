//! What happens to the task by itself: digests, loading, the end, scrubbing,
//! and time limits, one bounded step at a time.

use sk_abi::Status;
use sk_wire::control::{Fault, Output, Receipt, receipt_flags};
use sk_wire::frames::Object;
use sk_wire::manifest::{Part, flags};

use super::{Active, Change, DIGEST_STEP, Stage, Sum, Tasks, length};
use crate::base::Micros;
use crate::journal::Entry;
use crate::server::board::{Board, TaskState};

impl Tasks {
    /// One bounded step: at most [`DIGEST_STEP`] bytes, or one load, or one
    /// piece of scrubbing.
    pub fn step(&mut self, now: Micros, board: &mut impl Board) -> Option<Change> {
        if let Some(news) = self.news.take() {
            return Some(news);
        }
        self.look = false;
        let mut budget = DIGEST_STEP;
        while self.verify(board, &mut budget) {}
        match &mut self.stage {
            Stage::Receiving { stalls_at, expires } => {
                let late = match () {
                    () if now >= *expires => Status::WALL_DEADLINE,
                    () if now >= *stalls_at => Status::TIMEOUT,
                    () => return None,
                };
                self.fail(late, 0);
                self.news.take()
            }
            Stage::Loading => {
                let Some(active) = self.active.as_mut() else { return self.abandon() };
                if let Err((status, detail)) = board.load() {
                    self.fail(status, detail);
                    return self.news.take();
                }
                active.owner_heard = now;
                self.stage = Stage::Running { since: now };
                board.start(now);
                self.active().map(|(task, _)| Change::Started(task))
            }
            Stage::Running { .. } => match board.task() {
                TaskState::Running(_) => {
                    if self.owner_limit().is_some_and(|limit| now >= limit) {
                        self.end(board, Status::SESSION_LOST);
                    }
                    None
                }
                TaskState::Ended(_) => {
                    self.stage = Stage::Summing { sum: Sum::new() };
                    self.sum_up(now, board, budget)
                }
                TaskState::Idle => {
                    self.stage = Stage::Summing { sum: Sum::new() };
                    None
                }
            },
            Stage::Summing { .. } => self.sum_up(now, board, budget),
            Stage::Replying { until, .. } => {
                if now >= *until {
                    self.scrub();
                }
                None
            }
            Stage::Scrub => board.scrub_step().then(|| {
                self.stage = Stage::Idle;
                Change::Idle
            }),
            Stage::Idle if self.active.is_some() => self.abandon(),
            Stage::Idle | Stage::Verifying { .. } => None,
        }
    }

    /// Digests image, then input; `true` = there may be more to do at once.
    fn verify(&mut self, board: &mut impl Board, budget: &mut usize) -> bool {
        let (Stage::Verifying { object, sum }, Some(active)) = (&mut self.stage, &self.active)
        else {
            return false;
        };
        let part: Part =
            if *object == Object::Image { active.manifest.image } else { active.manifest.input };
        let bytes = board.bytes(*object).get(..part.size as usize);
        let Some(bytes) = bytes else {
            self.fail(Status::KERNEL_BUG, 0);
            return false;
        };
        let Some(digest) = sum.step(bytes, budget) else { return false };
        let object = *object;
        if digest != part.digest {
            self.fail(Status::DIGEST, object as u32);
            return false;
        }
        self.stage = match object {
            Object::Image => Stage::Verifying { object: Object::Input, sum: Sum::new() },
            _ => Stage::Loading,
        };
        true
    }

    /// Digests output; enters the receipt when that is done.
    fn sum_up(&mut self, now: Micros, board: &mut impl Board, mut budget: usize) -> Option<Change> {
        let (Stage::Summing { sum }, Some(active)) = (&mut self.stage, &self.active) else {
            return None;
        };
        let digest = sum.step(board.bytes(Object::Stdout), &mut budget)?;
        let mut receipt = self.receipt_of(active);
        receipt.stdout = Output {
            start: board.dropped(Object::Stdout),
            len: length(board, Object::Stdout),
            digest,
        };
        receipt.stderr_len = length(board, Object::Stderr);
        match board.task() {
            TaskState::Ended(ending) => {
                receipt.status = ending.status.0;
                receipt.exit = ending.exit;
                receipt.usage = ending.usage;
                receipt.fault = ending.fault.map(Fault);
                receipt.detail = ending.detail;
                receipt.message = ending.message;
            }
            // The board has lost the task: its own fault, and said so.
            TaskState::Idle | TaskState::Running(_) => receipt.status = Status::KERNEL_BUG.0,
        }
        let status = receipt.status();
        let (task, client, manifest) = (receipt.task_id, active.client, active.digest);
        self.journal.enter(Entry { client, manifest, receipt });
        let latest = now + self.limits.hold_max.max(self.limits.hold);
        self.stage = Stage::Replying { until: now + self.limits.hold, latest };
        Some(Change::Ended(task, status))
    }

    fn receipt_of(&self, active: &Active) -> Receipt {
        Receipt {
            boot_id: self.boot_id,
            task_id: active.manifest.task_id,
            image_digest: active.manifest.image.digest,
            input_digest: active.manifest.input.digest,
            flags: if active.manifest.has(flags::DIRECT) { receipt_flags::UNSHIELDED } else { 0 },
            ..Receipt::default()
        }
    }

    /// Ends a task that was never entered.
    pub(super) fn fail(&mut self, status: Status, detail: u32) {
        if let Some(active) = &self.active {
            let mut receipt = self.receipt_of(active);
            receipt.status = status.0;
            receipt.detail = detail;
            receipt.flags = receipt_flags::NOT_STARTED;
            let (client, manifest) = (active.client, active.digest);
            self.news = Some(Change::Ended(receipt.task_id, status));
            self.journal.enter(Entry { client, manifest, receipt });
        }
        self.scrub();
    }

    fn abandon(&mut self) -> Option<Change> {
        self.scrub();
        None
    }

    pub(super) fn scrub(&mut self) {
        self.active = None;
        self.stage = Stage::Scrub;
    }
}
