//! What the board sends: answers first, then ACKs, events, chunks.
//!
//! Everything owed to one session goes into one datagram as far as it fits, so
//! that a small task needs few of them: ACCEPTED, the ACK and STARTED share
//! one, the receipt and a short output another. Output that grows is announced
//! at most every 50 ms, with as much of it as there is room for; it is never
//! sent twice unasked.

use heapless::Deque;
use sk_abi::Status;
use sk_wire::control::{
    self, Aborted, Accepted, Fetch, Fetched, Op, Phase, Pong, Refusal, Started,
};
use sk_wire::frames::{Ack, CHUNK, FRAME_HEADER, FrameWriter, Object};
use sk_wire::manifest::TaskId;
use sk_wire::{Beacon, HelloReply, VERSION, discovery::FORMAT_SKX1, key_id};

use super::Server;
use super::answers::{About, Due, Reply};
use super::board::Board;
use super::sessions::Session;
use crate::base::{Destination, MS, Micros};
use crate::journal::JOURNAL;
use crate::tasks::{Tasks, length};
use crate::transport::Transport;

/// Least time between two announcements of growing output.
const EVENT_GAP: Micros = 50 * MS;
/// Chunks asked for at once, by all sessions.
const JOBS: usize = JOURNAL;

/// Chunks that were asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Job {
    session: u32,
    object: u8,
    offset: u32,
    left: u8,
}

impl Job {
    pub(super) const fn new(session: u32, fetch: &Fetch) -> Self {
        Job { session, object: fetch.object, offset: fetch.offset, left: fetch.count }
    }
}

/// Who is told of the task, and what was told.
#[derive(Debug)]
pub(super) struct Feed {
    /// The session that last spoke of the task; 0 = none.
    follower: u32,
    /// The session whose chunks are to be acknowledged; 0 = none.
    pub(super) uploader: u32,
    ended: Option<TaskId>,
    last_event: Option<Micros>,
    reported: [u32; 2],
    /// Output from here on was not sent yet.
    pushed: u32,
    jobs: Deque<Job, JOBS>,
}

impl Feed {
    pub(super) const fn new() -> Self {
        Feed {
            follower: 0,
            uploader: 0,
            ended: None,
            last_event: None,
            reported: [0; 2],
            pushed: 0,
            jobs: Deque::new(),
        }
    }

    /// A new task.
    pub(super) fn begin(&mut self) {
        (self.ended, self.last_event) = (None, None);
        (self.reported, self.pushed) = ([0; 2], 0);
    }

    pub(super) fn follow(&mut self, session: u32) {
        self.follower = session;
    }

    pub(super) fn follow_if_owner(&mut self, session: u32, owner: bool) {
        if owner {
            self.follower = session;
        }
    }

    pub(super) fn ended(&mut self, task: TaskId) {
        self.ended = Some(task);
    }

    pub(super) fn forget(&mut self, session: u32) {
        for place in [&mut self.follower, &mut self.uploader] {
            if *place == session {
                *place = 0;
            }
        }
        self.jobs.retain(|job| job.session != session);
    }

    /// Adds chunks to be sent; a repetition of what is still to be sent is not.
    pub(super) fn add(&mut self, job: Job) {
        let known = self.jobs.iter().any(|old| {
            (old.session, old.object, old.offset) == (job.session, job.object, job.offset)
        });
        if !known {
            // Full: the chunks count as lost, and are asked for again.
            let _ = self.jobs.push_back(job);
        }
    }

    fn grown(&self, now: Micros, tasks: &Tasks, board: &impl Board) -> bool {
        let quiet = self.last_event.is_none_or(|last| now >= last.saturating_add(EVENT_GAP));
        tasks.phase() == Phase::Running
            && quiet
            && self.reported != [length(board, Object::Stdout), length(board, Object::Stderr)]
    }

    fn wants(&self, now: Micros, session: &Session, tasks: &Tasks, board: &impl Board) -> bool {
        let id = session.id();
        session.wants_to_send()
            || self.jobs.iter().any(|job| job.session == id)
            || (self.uploader == id && tasks.ack_due())
            || (self.follower == id && (self.ended.is_some() || self.grown(now, tasks, board)))
    }
}

impl Server<'_> {
    pub(super) fn transmit_response(&mut self, out: &mut [u8]) -> Option<(Destination, usize)> {
        let pending = self.sessions.unsent_response()?;
        out.get_mut(..pending.resp.len())?.copy_from_slice(&pending.resp);
        pending.unsent = false;
        Some((Destination::Endpoint(pending.session.peer), pending.resp.len()))
    }

    pub(super) fn transmit_session(
        &mut self,
        now: Micros,
        board: &impl Board,
        out: &mut [u8],
    ) -> Option<(Destination, usize)> {
        // Every turn without a datagram settles something that was owed and
        // came to nothing, such as chunks beyond the end; so few are enough.
        (0..JOBS).find_map(|_| self.fill(now, board, out))
    }

    fn fill(
        &mut self,
        now: Micros,
        board: &impl Board,
        out: &mut [u8],
    ) -> Option<(Destination, usize)> {
        let (feed, tasks) = (&mut self.feed, &mut self.tasks);
        let session = self.sessions.all().find(|session| feed.wants(now, session, tasks, board))?;
        let phase = tasks.phase();
        let mut desk =
            Desk { now, tasks, feed, phase, credit: self.credit, dropped: self.counters.dropped };
        let mut writer = FrameWriter::new(out.get_mut(Transport::HEADER..)?);
        desk.answers(session, board, &mut writer);
        desk.acks(session, &mut writer);
        desk.events(session, board, &mut writer);
        desk.chunks(session, board, &mut writer);
        if writer.is_empty() {
            return None;
        }
        let len = writer.len();
        let to = Destination::Endpoint(session.peer);
        // Only expired keys can fail here; the session then goes by itself.
        session.transport.seal(now, out, len).ok().map(|total| (to, total))
    }

    pub(super) fn transmit_reply(
        &mut self,
        now: Micros,
        board: &impl Board,
        out: &mut [u8],
    ) -> Option<(Destination, usize)> {
        let waiting = self.discovery.due_reply(now)?;
        let cookie = self.cookies.bake(waiting.to.into(), &waiting.hello)?;
        let reply = HelloReply {
            ver: VERSION,
            state: self.state(),
            flags: self.flags,
            client_nonce: waiting.hello.client_nonce,
            boot_id: self.boot_id,
            cookie,
            fingerprint: key_id(self.identity.public()),
            caps_digest: [0; 16],
            uptime_s: u32::try_from(now / crate::base::SECOND).unwrap_or(u32::MAX),
            free_in_ms: self.tasks.free_in_ms(now, board.facts().wall_ms_max),
            reason: self.reason,
        };
        out.get_mut(..HelloReply::LEN)?.copy_from_slice(&reply.emit());
        Some((Destination::Endpoint(waiting.to), HelloReply::LEN))
    }

    pub(super) fn transmit_beacon(
        &mut self,
        now: Micros,
        board: &mut impl Board,
        out: &mut [u8],
    ) -> Option<(Destination, usize)> {
        self.discovery.set_state(now, self.state(), self.address_valid);
        let (to, sequence) = self.discovery.due_beacon(now, &mut super::Dice(board))?;
        let facts = board.facts();
        let beacon = Beacon {
            state: self.state(),
            flags: self.flags,
            port: self.port(),
            boot_id: self.boot_id,
            fingerprint: key_id(self.identity.public()),
            caps_digest: [0; 16],
            sequence,
            uptime_s: u32::try_from(now / crate::base::SECOND).unwrap_or(u32::MAX),
            free_kib: facts.memory_kib,
            mhz: facts.mhz,
            formats: FORMAT_SKX1,
            reason: self.reason,
            label: self.config.map(|config| config.device_label).unwrap_or_default(),
        };
        out.get_mut(..Beacon::LEN)?.copy_from_slice(&beacon.emit());
        Some((to, Beacon::LEN))
    }
}

/// What is needed to fill one datagram.
struct Desk<'s> {
    now: Micros,
    tasks: &'s mut Tasks,
    feed: &'s mut Feed,
    phase: Phase,
    credit: u16,
    dropped: u32,
}

impl Desk<'_> {
    fn answers(&mut self, session: &mut Session, board: &impl Board, writer: &mut FrameWriter<'_>) {
        let (client, operator) = (session.client, session.roles.contains(sk_wire::Roles::OPERATE));
        for reply in session.answers.with(Due::Unsent) {
            let mut buffer = [0; control::CONTROL_MAX];
            let Ok(body) = self.answer(reply, client, operator, board, &mut buffer) else {
                // Cannot be encoded: never, by the bounds on its fields.
                reply.due = Due::Sent;
                continue;
            };
            if !writer.ctrl(body) {
                return;
            }
            reply.due = Due::Sent;
        }
    }

    fn answer<'b>(
        &self,
        reply: &Reply,
        client: u8,
        operator: bool,
        board: &impl Board,
        buffer: &'b mut [u8],
    ) -> Result<&'b [u8], control::CodecError> {
        let Reply { id, op, status, detail, about, .. } = *reply;
        let refuse = |status, detail, buffer| {
            control::answer(id, op, status, &Refusal { detail, ..Refusal::default() }, buffer)
        };
        if status != Status::OK {
            return refuse(status, detail, buffer);
        }
        match about {
            About::Accepted { phase, expires_ms } => control::answer(
                id,
                op,
                status,
                &Accepted { credit: self.credit, expires_ms, phase },
                buffer,
            ),
            About::Committed { phase, .. } => {
                control::answer(id, op, status, &Started { phase }, buffer)
            }
            About::Aborted { task, status: end } => {
                control::answer(id, op, status, &Aborted { task_id: task, status: end.0 }, buffer)
            }
            About::Task(task) if op == Op::Result as u8 => match self.tasks.receipt(client, task) {
                Some(receipt) => control::answer(id, op, status, receipt, buffer),
                None => refuse(Status::BAD_STATE, 0, buffer),
            },
            About::Task(task) => match self.tasks.status(board, task) {
                Some(told) => control::answer(id, op, status, &told, buffer),
                None => refuse(Status::BAD_STATE, 0, buffer),
            },
            About::Fetch(fetch) => {
                let (start, end) = Object::new(fetch.object)
                    .map_or((0, 0), |object| (board.dropped(object), length(board, object)));
                control::answer(id, op, status, &Fetched { start, end }, buffer)
            }
            About::Nothing if op == Op::Ping as u8 => {
                control::answer(id, op, status, &self.pong(client, operator, board), buffer)
            }
            About::Nothing => control::answer(id, op, status, &(), buffer),
        }
    }

    fn pong(&self, client: u8, operator: bool, board: &impl Board) -> Pong {
        let facts = board.facts();
        let active = self.tasks.active().filter(|(_, owner)| operator || *owner == client);
        Pong {
            uptime_ms: self.now / MS,
            phase: self.phase,
            task_id: active.map_or(TaskId::ACTIVE, |(task, _)| task),
            memory_kib: facts.memory_kib,
            mhz: facts.mhz,
            temperature_mc: facts.temperature_mc,
            throttle: facts.throttle,
            tasks: self.tasks.ended(),
            drops: self.dropped,
            last_end: facts.last_end as u8,
        }
    }

    fn acks(&mut self, session: &Session, writer: &mut FrameWriter<'_>) {
        if self.feed.uploader != session.id() {
            return;
        }
        let (credit, highest) = (self.credit, session.transport.highest_received().unwrap_or(0));
        for (object, upload) in self.tasks.uploads() {
            // 12 bytes and a bitmap of up to 128.
            if upload.ack_due() && writer.room().is_some_and(|room| room >= 140) {
                let (base, bitmap) = upload.take_ack();
                writer.ack(&Ack { object: object as u8, base, credit, highest, bitmap: &bitmap });
            }
        }
    }

    fn events(&mut self, session: &mut Session, board: &impl Board, writer: &mut FrameWriter<'_>) {
        let follows = self.feed.follower == session.id();
        let mut buffer = [0; control::CONTROL_MAX];
        if let Some(task) = self.feed.ended.filter(|_| follows) {
            let Some(receipt) = self.tasks.receipt(session.client, task) else {
                self.feed.ended = None;
                return;
            };
            if control::encode(&control::Event::Ended(receipt.clone()), &mut buffer)
                .is_ok_and(|event| writer.event(event))
            {
                self.feed.ended = None;
                self.push(board, writer);
            }
            return;
        }
        let grown = follows && self.feed.grown(self.now, self.tasks, board);
        if !(grown || session.poked) {
            return;
        }
        let (stdout, stderr) = if self.tasks.has_output() {
            (length(board, Object::Stdout), length(board, Object::Stderr))
        } else {
            (0, 0)
        };
        let task_id = self
            .tasks
            .active()
            .filter(|(_, owner)| *owner == session.client)
            .map_or(TaskId::ACTIVE, |(task, _)| task);
        let event = control::Event::Progress { task_id, phase: self.phase, stdout, stderr };
        if control::encode(&event, &mut buffer).is_ok_and(|event| writer.event(event)) {
            session.poked = false;
            if grown {
                self.feed.last_event = Some(self.now);
                self.feed.reported = [stdout, stderr];
                self.push(board, writer);
            }
        }
    }

    /// Output that was not sent yet, as much as there is room for.
    fn push(&mut self, board: &impl Board, writer: &mut FrameWriter<'_>) {
        let start = self.feed.pushed.max(board.dropped(Object::Stdout));
        let sent = put_chunk(board, Object::Stdout, start, writer);
        self.feed.pushed = start.saturating_add(sent);
    }

    fn chunks(&mut self, session: &Session, board: &impl Board, writer: &mut FrameWriter<'_>) {
        // One turn of the queue: jobs of other sessions go to its end.
        for _ in 0..self.feed.jobs.len() {
            let Some(mut job) = self.feed.jobs.pop_front() else { return };
            if job.session == session.id() {
                let Some(object) = Object::new(job.object)
                    .filter(|object| *object == Object::Log || self.tasks.has_output())
                else {
                    continue;
                };
                let rest = length(board, object).saturating_sub(job.offset) as usize;
                // A whole chunk or nothing: the asker counts in chunks.
                if writer.room().is_some_and(|room| room >= rest.min(CHUNK)) {
                    let sent = put_chunk(board, object, job.offset, writer);
                    if sent == 0 {
                        continue;
                    }
                    job.offset = job.offset.saturating_add(sent);
                    job.left = job.left.saturating_sub(1);
                    if object == Object::Stdout && self.feed.follower == job.session {
                        self.feed.pushed = self.feed.pushed.max(job.offset);
                    }
                    // A short one is the last there is.
                    if job.left == 0 || (sent as usize) < CHUNK {
                        continue;
                    }
                }
            }
            // Cannot fail: one was just taken out.
            let _ = if job.session == session.id() {
                self.feed.jobs.push_front(job)
            } else {
                self.feed.jobs.push_back(job)
            };
            if job.session == session.id() {
                return;
            }
        }
    }
}

/// Writes a CHUNK from `offset` on, as long as fits; its length comes back.
fn put_chunk(board: &impl Board, object: Object, offset: u32, writer: &mut FrameWriter<'_>) -> u32 {
    let Some(from) = offset.checked_sub(board.dropped(object)) else { return 0 };
    let rest = board.bytes(object).get(from as usize..).unwrap_or_default();
    let room = writer.room().unwrap_or(0).min(CHUNK);
    let bytes = rest.get(..rest.len().min(room)).unwrap_or_default();
    if bytes.is_empty() || !writer.chunk(object, offset, bytes) {
        return 0;
    }
    u32::try_from(bytes.len()).unwrap_or(0)
}

const _: () = assert!(FRAME_HEADER + CHUNK == sk_wire::MAX_PLAINTEXT);
