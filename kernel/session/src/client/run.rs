//! A task, from SUBMIT to RESULT_ACK, as the client sees it.

use blake2::{Blake2s256, Digest as _};
use sk_abi::Status;
use sk_wire::BootId;
use sk_wire::control::{
    self, Accepted, Answer, Event, Fetched, Op, Phase, Receipt, Refusal, Started, TaskStatus,
    receipt_flags,
};
use sk_wire::frames::{Ack, FRAME_HEADER, FrameWriter, Object};
use sk_wire::manifest::{FORMAT_SKX1, MANIFEST_VERSION, Manifest, Part, TaskId};

use super::download::Download;
use super::error::{ClientError, Doing};
use super::sender::{Piece, Rtt, Sender};
use super::wants::{Ask, Wants};
use super::{Client, TaskSpec};
use crate::base::{MS, Micros, SECOND, earliest};
use crate::upload::OBJECT_MAX;

/// Bytes of output kept until they are read and in order.
const STDOUT_WINDOW: usize = 32 * 1400;
const STDERR_WINDOW: usize = 8 * 1400;
/// How often the board is asked how the task is doing, when it says nothing.
const STATUS_EVERY: Micros = SECOND;
/// Set in the id of a FETCH of error output: the answer does not name the object.
const STDERR_ID: u32 = 1 << 31;
/// FETCHes that may be refused before output counts as lost.
const REFUSALS: u32 = 3;

pub(super) struct Run<'a> {
    spec: TaskSpec<'a>,
    parts: [Part; 2],
    pub(super) manifest: Option<Manifest>,
    pub(super) sender: Sender,
    pub(super) stdout: Download<STDOUT_WINDOW>,
    pub(super) stderr: Download<STDERR_WINDOW>,
    receipt: Option<Receipt>,
    /// The task is over and its output forgotten; only the receipt is left.
    forgotten: bool,
    refusals: u32,
    /// When SUBMIT is to be sent again to a busy board.
    submit_at: Option<Micros>,
    status_at: Micros,
    was_started: bool,
    aborting: bool,
}

fn part(bytes: &[u8]) -> Result<Part, ClientError> {
    let size = u32::try_from(bytes.len())
        .ok()
        .filter(|size| *size <= OBJECT_MAX)
        .ok_or(ClientError::TooBig)?;
    Ok(Part { size, digest: Blake2s256::digest(bytes).into() })
}

impl<'a> Run<'a> {
    pub(super) fn new(spec: TaskSpec<'a>) -> Result<Self, ClientError> {
        if spec.args.len() > sk_wire::manifest::ARGS_MAX {
            return Err(ClientError::TooBig);
        }
        Ok(Run {
            parts: [part(spec.image)?, part(spec.input)?],
            sender: Sender::new(spec.image.len(), spec.input.len()),
            spec,
            manifest: None,
            stdout: Download::new(Object::Stdout),
            stderr: Download::new(Object::Stderr),
            receipt: None,
            forgotten: false,
            refusals: 0,
            submit_at: None,
            status_at: 0,
            was_started: false,
            aborting: false,
        })
    }

    /// Is this another boot than the one the task was meant for?
    pub(super) fn other_boot(&self, boot_id: &BootId) -> bool {
        self.manifest.as_ref().is_some_and(|manifest| manifest.boot_id != *boot_id)
    }

    /// A session is there: makes the manifest, the first time.
    pub(super) fn bind(&mut self, boot_id: BootId, random: u64, window: u16) {
        let [image, input] = self.parts;
        let spec = &self.spec;
        self.manifest.get_or_insert_with(|| Manifest {
            version: MANIFEST_VERSION,
            boot_id,
            format: FORMAT_SKX1,
            abi: spec.abi,
            image,
            input,
            memory: spec.memory,
            time: spec.time,
            flags: spec.flags,
            class: 0,
            task_id: TaskId { seq: spec.seq, random },
            // Its length was checked.
            args: spec.args.parse().unwrap_or_default(),
        });
        self.sender.restart();
        self.sender.set_credit(window);
        self.stdout.restart();
        self.stderr.restart();
    }

    fn bytes(&self, piece: Piece) -> &'a [u8] {
        let object = if piece.object == Object::Image { self.spec.image } else { self.spec.input };
        let range = piece.range();
        object.get(range.start..range.end.min(object.len())).unwrap_or_default()
    }

    pub(super) fn chunk(&mut self, now: Micros, object: u8, offset: u32, bytes: &[u8]) {
        match Object::new(object) {
            Some(Object::Stdout) => self.stdout.chunk(now, offset, bytes),
            Some(Object::Stderr) => self.stderr.chunk(now, offset, bytes),
            _ => {}
        }
    }

    fn knows(&mut self, stdout: u32, stderr: u32) {
        self.stdout.knows(stdout);
        self.stderr.knows(stderr);
    }

    const fn has_all_output(&self) -> bool {
        self.stdout.is_complete() && self.stderr.is_complete()
    }

    /// Adds to a datagram what the task has to send. `first`: it holds the
    /// first SUBMIT. If image and input fit beside that, they go along at once,
    /// COMMIT too: a small task costs one round trip.
    #[allow(clippy::too_many_arguments)] // all of it is the datagram's context
    pub(super) fn fill(
        &mut self,
        now: Micros,
        doing: Doing,
        counter: u64,
        rtt: &Rtt,
        wants: &mut Wants,
        writer: &mut FrameWriter<'_>,
        first: bool,
    ) {
        let size = self.spec.image.len() + self.spec.input.len();
        // COMMIT takes less than 32 bytes, its frame included.
        let at_once = first && size + 3 * FRAME_HEADER + 32 <= writer.room().unwrap_or(0);
        if at_once || doing == Doing::Uploading {
            while let Some(piece) = self.sender.peek() {
                let offset = u32::try_from(piece.range().start).unwrap_or(u32::MAX);
                if !writer.put(piece.object, offset, self.bytes(piece)) {
                    break;
                }
                self.sender.sent(now, piece, counter);
            }
        }
        let manifest = self.manifest.as_ref();
        if at_once {
            wants.ask(now, Ask::Commit);
            wants.send_due(now, rtt, |want| {
                let mut buffer = [0; 64];
                want.encode(manifest, &mut buffer).is_ok_and(|body| writer.ctrl(body))
            });
        }
        if matches!(doing, Doing::Running | Doing::Collecting)
            && !self.forgotten
            && writer.room().is_some_and(|room| room >= 64)
        {
            for (fetch, mark) in
                [(self.stdout.next(now, rtt), 0), (self.stderr.next(now, rtt), STDERR_ID)]
            {
                let Some(fetch) = fetch else { continue };
                let mut buffer = [0; 32];
                if let Ok(body) =
                    control::request(wants.fresh_id() | mark, Op::Fetch, &fetch, &mut buffer)
                {
                    writer.ctrl(body);
                }
            }
        }
    }
}

impl Client<'_> {
    /// Goes on in a new session with what was going on before.
    pub(super) fn resume(&mut self, now: Micros) {
        let Some(run) = &mut self.run else { return };
        run.status_at = now.saturating_add(STATUS_EVERY);
        match self.doing {
            Doing::Closing if self.news.failed.is_some() => self.wants.ask(now, Ask::Close),
            Doing::Closing => {
                self.wants.ask(now, Ask::ResultAck);
                self.wants.ask(now, Ask::Close);
            }
            Doing::Collecting => {}
            // SUBMIT again tells where the task is, and changes nothing.
            _ if run.aborting => self.wants.ask(now, Ask::Result),
            _ => {
                self.doing = Doing::Submitting;
                self.wants.ask(now, Ask::Submit);
            }
        }
    }

    pub(super) fn task_answer(
        &mut self,
        now: Micros,
        ask: Ask,
        answer: &Answer<'_>,
    ) -> Result<(), ClientError> {
        if !answer.status.is_ok() {
            return self.task_refused(now, ask, answer);
        }
        match ask {
            Ask::Submit => {
                let accepted: Accepted = control::decode(answer.body)?;
                self.accepted(now, &accepted);
            }
            Ask::Commit => {
                let started: Started = control::decode(answer.body)?;
                self.where_it_is(now, started.phase);
            }
            Ask::Status(_) => {
                let status: TaskStatus = control::decode(answer.body)?;
                if let Some(run) = &mut self.run {
                    run.knows(status.stdout, status.stderr);
                }
                if matches!(status.phase, Phase::Replying | Phase::Done) {
                    self.wants.ask(now, Ask::Result);
                }
            }
            Ask::Abort(_) => {
                let control::Aborted { .. } = control::decode(answer.body)?;
                self.wants.ask(now, Ask::Result);
            }
            Ask::Result => {
                let receipt = control::decode(answer.body)?;
                self.ended(now, receipt);
            }
            Ask::Close => self.over = true,
            Ask::ResultAck | Ask::Ping => {}
        }
        Ok(())
    }

    fn accepted(&mut self, now: Micros, accepted: &Accepted) {
        let Some(run) = &mut self.run else { return };
        run.sender.set_credit(accepted.credit);
        self.news.accepted = run.manifest.as_ref().map(|manifest| manifest.task_id);
        match accepted.phase {
            Phase::Receiving if self.wants.has(Op::Commit) => self.doing = Doing::Loading,
            Phase::Receiving => {
                self.doing = Doing::Uploading;
                self.upload_progress(now);
            }
            Phase::Replying | Phase::Done | Phase::Scrub => {
                run.forgotten = accepted.phase != Phase::Replying;
                self.doing = Doing::Running;
                self.wants.ask(now, Ask::Result);
            }
            // COMMIT again makes this session the one that is told.
            _ => {
                self.doing = Doing::Loading;
                self.wants.ask(now, Ask::Commit);
            }
        }
    }

    fn where_it_is(&mut self, now: Micros, phase: Phase) {
        let Some(run) = &mut self.run else { return };
        if self.doing != Doing::Collecting && self.doing != Doing::Closing {
            self.doing = Doing::Running;
        }
        if !core::mem::replace(&mut run.was_started, true) {
            self.news.started = true;
            self.news.progress = None;
        }
        run.status_at = now.saturating_add(STATUS_EVERY);
        if phase != Phase::Running && run.receipt.is_none() {
            self.wants.ask(now, Ask::Result);
        }
    }

    fn task_refused(
        &mut self,
        now: Micros,
        ask: Ask,
        answer: &Answer<'_>,
    ) -> Result<(), ClientError> {
        let during = self.doing;
        let Some(run) = &mut self.run else { return Ok(()) };
        match (ask, answer.status) {
            (Ask::Close, _) => self.over = true,
            (Ask::ResultAck, _) => {}
            (_, _) if run.receipt.is_some() => {}
            (_, Status::BOOT_CHANGED) => return Err(ClientError::BootChanged { during }),
            (Ask::Submit, Status::BUSY) => {
                let refusal: Refusal = control::decode(answer.body)?;
                self.wants.drop_op(Op::Commit);
                run.sender.restart();
                if self.wait_for_board(now, refusal.detail)
                    && let Some(run) = &mut self.run
                {
                    run.submit_at = Some(now.saturating_add(
                        (Micros::from(refusal.detail) * MS).clamp(20 * MS, 200 * MS),
                    ));
                }
            }
            (Ask::Commit, Status::INCOMPLETE) => {
                self.doing = Doing::Uploading;
                self.upload_progress(now);
            }
            // It follows from what another request will be told.
            (Ask::Commit, Status::BAD_STATE)
                if self.wants.has(Op::Submit) || run.submit_at.is_some() => {}
            (Ask::Abort(_), Status::BAD_STATE) => return Err(ClientError::Aborted),
            (Ask::Status(_), Status::BAD_STATE) => self.wants.ask(now, Ask::Result),
            // Not digested yet; the event will come, and STATUS is asked again.
            (Ask::Result, Status::BAD_STATE) if run.was_started && run.refusals < REFUSALS => {
                run.refusals += 1;
                run.status_at = now.saturating_add(100 * MS);
            }
            (Ask::Commit, _) => {
                // The receipt of a task that was never entered says the same.
                let error = self.rejected(answer);
                return Err(error);
            }
            _ => return Err(self.rejected(answer)),
        }
        Ok(())
    }

    pub(super) fn event_from_board(&mut self, now: Micros, event: Event) {
        let Some(run) = &mut self.run else { return };
        let ours = run.manifest.as_ref().map(|manifest| manifest.task_id);
        match event {
            Event::Progress { task_id, phase, stdout, stderr } if Some(task_id) == ours => {
                run.knows(stdout, stderr);
                run.status_at = now.saturating_add(STATUS_EVERY);
                if phase == Phase::Running && self.doing == Doing::Loading {
                    // STARTED was lost; COMMIT is on its way again anyway.
                    self.where_it_is(now, phase);
                }
            }
            Event::Ended(receipt) if Some(receipt.task_id) == ours => self.ended(now, receipt),
            _ => {}
        }
    }

    fn ended(&mut self, now: Micros, receipt: Receipt) {
        let Some(run) = &mut self.run else { return };
        if run.receipt.is_some() || self.doing == Doing::Closing {
            return;
        }
        if receipt.flags & receipt_flags::NOT_STARTED != 0 {
            run.forgotten = true;
        } else if !core::mem::replace(&mut run.was_started, true) {
            self.news.started = true;
        }
        run.knows(receipt.stdout.len, receipt.stderr_len);
        run.stdout.inbox.skip_to(receipt.stdout.start);
        run.receipt = Some(receipt);
        run.refusals = 0;
        self.doing = Doing::Collecting;
        for op in [Op::Submit, Op::Commit, Op::Status, Op::Abort, Op::Result] {
            self.wants.drop_op(op);
        }
        self.collect(now);
    }

    pub(super) fn fetched(&mut self, now: Micros, answer: &Answer<'_>) {
        let Some(run) = &mut self.run else { return };
        if answer.status.is_ok() {
            if let Ok(Fetched { start, .. }) = control::decode(answer.body) {
                match answer.id & STDERR_ID {
                    0 => run.stdout.inbox.skip_to(start),
                    _ => run.stderr.inbox.skip_to(start),
                }
            }
            return;
        }
        if run.receipt.is_some() {
            run.refusals += 1;
            run.forgotten = run.refusals >= REFUSALS;
            self.collect(now);
        }
    }

    pub(super) fn acked(&mut self, now: Micros, ack: &Ack<'_>) {
        let Some(run) = &mut self.run else { return };
        if let Some(rtt) = run.sender.acked(now, ack) {
            self.rtt.sample(rtt);
        }
        self.upload_progress(now);
    }

    fn upload_progress(&mut self, now: Micros) {
        let Some(run) = &mut self.run else { return };
        if self.doing != Doing::Uploading {
            return;
        }
        let [image, input] = run.parts;
        let total = image.size.saturating_add(input.size);
        let sent =
            u64::from(total) * u64::from(run.sender.done()) / u64::from(run.sender.total().max(1));
        self.news.progress = Some((u32::try_from(sent).unwrap_or(total), total));
        if run.sender.is_complete() {
            self.doing = Doing::Loading;
            self.wants.ask(now, Ask::Commit);
        }
    }

    /// Is everything there? Then tells the end, and lets the board forget.
    pub(super) fn collect(&mut self, now: Micros) {
        let Some(run) = &mut self.run else { return };
        if self.doing != Doing::Collecting {
            return;
        }
        let Some(receipt) = &run.receipt else { return };
        let all = run.has_all_output();
        if !all && !run.forgotten {
            return;
        }
        let started = receipt.flags & receipt_flags::NOT_STARTED == 0;
        if !started && !run.aborting {
            let (status, detail, message) =
                (receipt.status(), receipt.detail, receipt.message.clone());
            return self.fail(
                now,
                ClientError::Rejected { during: Doing::Loading, status, detail, message },
            );
        }
        if !all && started {
            let (have, len) = (run.stdout.inbox.front(), receipt.stdout.len);
            return self.fail(now, ClientError::OutputLost { have, len });
        }
        // A digest over what is kept says nothing about bytes from the start on.
        let whole = receipt.stdout.start == 0 && !run.stdout.inbox.skipped;
        if started && whole && run.stdout.inbox.digest() != receipt.stdout.digest {
            return self.fail(now, ClientError::OutputDigest);
        }
        self.news.finished = Some(receipt.clone());
        self.wants.ask(now, Ask::ResultAck);
        self.close(now);
    }

    pub(super) fn abort_now(&mut self, now: Micros) {
        self.abort_wanted = false;
        let Some(run) = &mut self.run else { return };
        match self.doing {
            Doing::Finding | Doing::Connecting => self.fail(now, ClientError::Aborted),
            // It has ended; the rest of its output is not wanted.
            Doing::Collecting => {
                self.news.failed.get_or_insert(ClientError::Aborted);
                self.wants.clear();
                self.wants.ask(now, Ask::ResultAck);
                self.close(now);
            }
            Doing::Closing | Doing::Asking => {}
            Doing::Submitting | Doing::Uploading | Doing::Loading | Doing::Running => {
                let Some(task_id) = run.manifest.as_ref().map(|manifest| manifest.task_id) else {
                    return;
                };
                run.aborting = true;
                run.submit_at = None;
                for op in [Op::Submit, Op::Commit, Op::Status, Op::Result] {
                    self.wants.drop_op(op);
                }
                self.doing = Doing::Running;
                self.wants.ask(now, Ask::Abort(control::Abort { task_id, reason: 0 }));
            }
        }
    }

    pub(super) fn task_timers(&mut self, now: Micros) {
        let Some(run) = &mut self.run else { return };
        if run.submit_at.is_some_and(|at| now >= at) {
            run.submit_at = None;
            self.wants.ask(now, Ask::Submit);
        }
        if self.doing == Doing::Uploading {
            run.sender.poll(now, &self.rtt);
        }
        if self.doing == Doing::Running && now >= run.status_at {
            run.status_at = now.saturating_add(STATUS_EVERY);
            let task = run.manifest.as_ref().map_or(TaskId::ACTIVE, |manifest| manifest.task_id);
            self.wants.ask(now, Ask::Status(task));
        }
    }

    pub(super) fn task_deadline(&self, now: Micros) -> Option<Micros> {
        let run = self.run.as_ref()?;
        let mut at = run.submit_at;
        match self.doing {
            Doing::Uploading => {
                earliest(&mut at, run.sender.deadline(&self.rtt));
                earliest(&mut at, run.sender.peek().map(|_| now));
            }
            Doing::Running | Doing::Collecting => {
                if self.doing == Doing::Running {
                    earliest(&mut at, Some(run.status_at));
                }
                if !run.forgotten {
                    earliest(&mut at, run.stdout.next_deadline(now, &self.rtt));
                    earliest(&mut at, run.stderr.next_deadline(now, &self.rtt));
                }
            }
            _ => {}
        }
        at
    }
}
