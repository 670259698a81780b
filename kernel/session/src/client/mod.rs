//! The client's end of SKP/1, sans-IO.
//!
//! One [`Client`] does one [`Job`] with one board: it finds out whether the
//! board is there, opens a session, sends and starts the task, hands out its
//! output as it comes, fetches the receipt, and says good-bye. The caller owns
//! the socket and the clock: it passes what the board sent to
//! [`Client::receive`], calls [`Client::poll`] when [`Client::next_deadline`]
//! has come, sends what [`Client::transmit`] gives until that is `None`, and
//! reads [`Client::event`] until that is `None`.
//!
//! All timers are here, for the board has none: requests are repeated under
//! the same id, chunks are sent again when lost, silence is met with a new
//! handshake, which tells a lost session from a restarted board.
#![allow(clippy::result_large_err)] // there is one error in the life of a client

mod connect;
mod download;
mod error;
mod inbox;
mod run;
mod sender;
mod wants;

use sk_abi::Status;
use sk_hal::Entropy;
use sk_wire::control::{self, Abort};
use sk_wire::control::{Answer, Op, Pong, Receipt, Refusal, TaskStatus};
use sk_wire::frames::{Frame, FrameWriter, Frames};
use sk_wire::manifest::{Memory, TaskId, Time};
use sk_wire::{BootId, Datagram, Roles, State, key_id};

use crate::base::{MS, Micros, SECOND, earliest};
use crate::drbg::{Drbg, SeedMaterial};
use crate::transport::Transport;

use connect::{Connect, Connected, Heard};
use run::Run;
use sender::Rtt;
use wants::{Ask, Wants};

pub use connect::Credentials;
pub use error::{ClientError, Doing};

/// Silence after which the board is looked for again.
const SUSPICIOUS: Micros = 3 * SECOND;
/// Good-byes said before the client leaves anyway.
const GOODBYES: u32 = 4;

/// What to run, and how.
#[derive(Clone, Copy, Debug)]
pub struct TaskSpec<'a> {
    /// The image (`skx1`).
    pub image: &'a [u8],
    /// Its input.
    pub input: &'a [u8],
    /// Argument string, at most [`sk_wire::manifest::ARGS_MAX`] bytes.
    pub args: &'a str,
    /// ABI version of the image.
    pub abi: u16,
    /// Memory asked for.
    pub memory: Memory,
    /// Time asked for.
    pub time: Time,
    /// Bits of [`sk_wire::manifest::flags`].
    pub flags: u16,
    /// Number of the task: above every earlier one of this key on this board.
    pub seq: u64,
}

/// What a client is for.
#[derive(Clone, Copy, Debug)]
pub enum Job<'a> {
    /// Run a task.
    Run(TaskSpec<'a>),
    /// Ask for the facts of the board.
    Ping,
    /// Ask for them again and again over one session, as a measure of the way
    /// there and back.
    Pings {
        /// How often; 0 is 1.
        count: u32,
        /// From an answer to the next question, below 3 s: a board silent for
        /// longer is dialled again, and asked at once.
        every: Micros,
    },
    /// Ask how a task is doing ([`TaskId::ACTIVE`]: whichever there is).
    Status(TaskId),
    /// End a task.
    Abort {
        /// Which; [`TaskId::ACTIVE`]: whichever there is.
        task_id: TaskId,
        /// For the board's log.
        reason: u16,
    },
}

/// How long to try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// Until a session is there.
    pub connect: Micros,
    /// While the board is busy with another task.
    pub busy: Micros,
    /// While nothing at all is heard of the board.
    pub silence: Micros,
}

impl Default for Patience {
    fn default() -> Self {
        Patience { connect: 10 * SECOND, busy: SECOND, silence: 10 * SECOND }
    }
}

/// Everything a client needs to know.
#[derive(Clone)]
pub struct Params {
    /// Keys and roles.
    pub credentials: Credentials,
    /// Above every handshake counter this key has used with this board; a
    /// client may use several ([`Client::hs_counter`]).
    pub hs_counter: u64,
    /// Fresh from the operating system's generator.
    pub seed: [u8; 64],
    /// How long to try.
    pub patience: Patience,
}

/// What a client has to tell.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(clippy::large_enum_variant)] // consumed at once, never stored in numbers
pub enum ClientEvent<'e> {
    /// A session is open.
    Connected {
        /// The boot it is with.
        boot_id: BootId,
        /// Roles given.
        granted: Roles,
        /// What the board was doing.
        state: State,
    },
    /// The board awaits the task.
    Accepted {
        /// The task's name.
        task_id: TaskId,
    },
    /// Bytes of image and input that have arrived.
    Progress {
        /// So far.
        sent: u32,
        /// In all.
        total: u32,
    },
    /// The payload runs.
    Started,
    /// Output, in order, each byte once.
    Stdout(&'e [u8]),
    /// Error output, in order, each byte once.
    Stderr(&'e [u8]),
    /// The task ended, and all its output was handed out.
    Finished(Receipt),
    /// Before a [`ClientEvent::Pong`]: how long its way was. Not told of a
    /// question that was sent twice: which one was answered is not known
    /// (RFC 6298, section 3).
    RoundTrip(Micros),
    /// Answer to [`Job::Ping`], and each to [`Job::Pings`].
    Pong(Pong),
    /// Answer to [`Job::Status`].
    Status(TaskStatus),
    /// Answer to [`Job::Abort`].
    Aborted {
        /// The task.
        task_id: TaskId,
        /// Its final status.
        status: Status,
    },
    /// It went wrong; nothing follows.
    Failed(ClientError),
}

struct Link {
    transport: Transport,
    heard: Micros,
}

/// Small news, told in the order of the fields.
#[derive(Default)]
struct News {
    connected: Option<(BootId, Roles, State)>,
    accepted: Option<TaskId>,
    progress: Option<(u32, u32)>,
    started: bool,
    round_trip: Option<Micros>,
    pong: Option<Pong>,
    status: Option<TaskStatus>,
    aborted: Option<(TaskId, Status)>,
    finished: Option<Receipt>,
    failed: Option<ClientError>,
}

/// One job with one board. About 70 KiB.
pub struct Client<'a> {
    params: Params,
    job: Job<'a>,
    drbg: Drbg,
    counter: u64,
    connect: Option<Connect>,
    link: Option<Link>,
    doing: Doing,
    wants: Wants,
    rtt: Rtt,
    run: Option<Run<'a>>,
    news: News,
    busy_until: Option<Micros>,
    /// Answers there are already.
    pongs: u32,
    abort_wanted: bool,
    over: bool,
}

impl<'a> Client<'a> {
    /// A client that will start at its first [`Client::poll`].
    ///
    /// # Errors
    /// [`ClientError::TooBig`].
    pub fn new(params: Params, job: Job<'a>) -> Result<Self, ClientError> {
        let seed = SeedMaterial {
            hardware: &params.seed,
            rng_seed: &params.credentials.psk,
            serial: params.hs_counter,
            jitter: &[],
        };
        let run = match &job {
            Job::Run(spec) => Some(Run::new(*spec)?),
            _ => None,
        };
        Ok(Client {
            drbg: Drbg::new(&seed),
            counter: params.hs_counter,
            params,
            job,
            connect: None,
            link: None,
            doing: Doing::Finding,
            wants: Wants::new(),
            rtt: Rtt::new(),
            run,
            news: News::default(),
            busy_until: None,
            pongs: 0,
            abort_wanted: false,
            over: false,
        })
    }

    /// The first handshake counter not used yet: to be kept for the next client.
    #[must_use]
    pub const fn hs_counter(&self) -> u64 {
        self.counter
    }

    /// What the client is doing.
    #[must_use]
    pub const fn doing(&self) -> Doing {
        self.doing
    }

    /// The task's name, once it was given one.
    #[must_use]
    pub fn task_id(&self) -> Option<TaskId> {
        self.run.as_ref().and_then(|run| run.manifest.as_ref()).map(|manifest| manifest.task_id)
    }

    /// Datagrams sent again, chunks only.
    #[must_use]
    pub fn retransmitted(&self) -> u32 {
        self.run.as_ref().map_or(0, |run| run.sender.retransmitted)
    }

    /// Nothing is left to be done but reading events.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.over
    }

    /// Ends the task, wherever it is; its receipt still comes.
    pub fn abort(&mut self) {
        self.abort_wanted = true;
    }

    /// Takes in a datagram that came from the board's address; it is
    /// decrypted in place.
    pub fn receive(&mut self, now: Micros, datagram: &mut [u8]) {
        if self.over {
            return;
        }
        match Datagram::parse(datagram) {
            Some(Datagram::Data(_)) => self.data(now, datagram),
            Some(parsed) => self.answer_from_stranger(now, &parsed),
            None => {}
        }
    }

    fn answer_from_stranger(&mut self, now: Micros, datagram: &Datagram) {
        let Some(connect) = &mut self.connect else { return };
        match connect.receive(
            now,
            datagram,
            &self.params.credentials,
            &mut self.counter,
            &mut self.drbg,
        ) {
            Heard::Nothing => {}
            Heard::Failed(error) => self.fail(now, error),
            Heard::Reply(reply) => {
                if self.run.as_ref().is_some_and(|run| run.other_boot(&reply.boot_id)) {
                    let during = self.doing;
                    return self.fail(now, ClientError::BootChanged { during });
                }
                if self.link.is_some() {
                    return;
                }
                self.doing = Doing::Connecting;
                let busy = matches!(reply.state, State::Reserved | State::Running);
                if busy && self.run.is_some() {
                    self.wait_for_board(now, reply.free_in_ms);
                }
            }
            Heard::Connected(connected) => self.connected(now, connected),
        }
    }

    /// The board is busy: try again soon, or give up.
    fn wait_for_board(&mut self, now: Micros, free_in_ms: u32) -> bool {
        let limit = *self.busy_until.get_or_insert(now.saturating_add(self.params.patience.busy));
        if now >= limit {
            self.fail(now, ClientError::Busy { free_in_ms });
            return false;
        }
        let delay = (Micros::from(free_in_ms) * MS).clamp(20 * MS, 200 * MS);
        if let Some(connect) = &mut self.connect {
            connect.wait(now.saturating_add(delay));
        }
        true
    }

    fn connected(&mut self, now: Micros, connected: Connected) {
        let Connected { keys, local_index, remote_index, resp, rtt } = connected;
        let credentials = &self.params.credentials;
        if !resp.granted_roles.contains(credentials.roles) {
            return self.fail(now, ClientError::RoleRefused { granted: resp.granted_roles });
        }
        if self.run.as_ref().is_some_and(|run| run.other_boot(&resp.boot_id)) {
            let during = self.doing;
            return self.fail(now, ClientError::BootChanged { during });
        }
        self.rtt.sample(rtt);
        self.connect = None;
        let first = self.link.is_none();
        self.link = Some(Link {
            transport: Transport::new(keys, local_index, remote_index, now),
            heard: now,
        });
        if first {
            self.news.connected = Some((resp.boot_id, resp.granted_roles, resp.state));
        }
        self.wants.clear();
        match (&mut self.run, self.job) {
            (Some(run), _) => {
                let mut random = [0; 8];
                if !self.drbg.fill(&mut random) {
                    return self.fail(now, ClientError::Random);
                }
                run.bind(resp.boot_id, u64::from_le_bytes(random), resp.window);
                self.resume(now);
            }
            (None, Job::Status(task)) => self.ask_once(now, Ask::Status(task)),
            (None, Job::Abort { task_id, reason }) => {
                self.ask_once(now, Ask::Abort(Abort { task_id, reason }));
            }
            (None, _) => self.ask_once(now, Ask::Ping),
        }
    }

    fn ask_once(&mut self, now: Micros, ask: Ask) {
        if self.doing == Doing::Closing {
            self.wants.ask(now, Ask::Close);
        } else {
            self.doing = Doing::Asking;
            self.wants.ask(now, ask);
        }
    }

    fn data(&mut self, now: Micros, datagram: &mut [u8]) {
        let Some(link) = &mut self.link else { return };
        let Ok(text) = link.transport.open(now, datagram) else { return };
        link.heard = now;
        if self.connect.as_ref().is_some_and(|_| !link.transport.wants_rekey(now)) {
            // It was silent for a while, and is there again.
            self.connect = None;
        }
        for frame in Frames::new(text) {
            match frame {
                Ok(Frame::Ctrl(body)) => match Answer::parse(body) {
                    Ok(answer) => self.answer(now, &answer),
                    Err(error) => self.fail(now, error.into()),
                },
                Ok(Frame::Ack(ack)) => self.acked(now, &ack),
                Ok(Frame::Chunk { object, offset, bytes }) => {
                    if let Some(run) = &mut self.run {
                        run.chunk(now, object, offset, bytes);
                    }
                }
                Ok(Frame::Event(body)) => match control::decode(body) {
                    Ok(event) => self.event_from_board(now, event),
                    Err(error) => self.fail(now, error.into()),
                },
                Ok(Frame::Pad) => {}
                Ok(Frame::Put { .. }) | Err(_) => {
                    self.fail(now, ClientError::Protocol("a frame makes no sense"));
                }
            }
        }
        self.collect(now);
    }

    fn answer(&mut self, now: Micros, answer: &Answer<'_>) {
        if answer.op == Op::Fetch as u8 {
            return self.fetched(now, answer);
        }
        let Some((ask, rtt)) = self.wants.answered(now, answer.id) else { return };
        // COMMIT and ABORT take their time; so do not learn from them.
        if let Some(rtt) = rtt.filter(|_| matches!(ask, Ask::Submit | Ask::Status(_) | Ask::Ping)) {
            self.rtt.sample(rtt);
        }
        if ask == Ask::Ping && self.run.is_none() {
            self.news.round_trip = rtt;
        }
        if let Err(error) = self.act_on(now, ask, answer) {
            self.fail(now, error);
        }
    }

    fn act_on(&mut self, now: Micros, ask: Ask, answer: &Answer<'_>) -> Result<(), ClientError> {
        if self.run.is_some() {
            return self.task_answer(now, ask, answer);
        }
        if ask == Ask::Close {
            self.over = true;
            return Ok(());
        }
        if !answer.status.is_ok() {
            return Err(self.rejected(answer));
        }
        match ask {
            Ask::Ping => {
                self.news.pong = Some(control::decode(answer.body)?);
                self.pongs = self.pongs.saturating_add(1);
                if let Job::Pings { count, every } = self.job
                    && self.pongs < count
                {
                    self.wants.ask(now.saturating_add(every), Ask::Ping);
                    return Ok(());
                }
            }
            Ask::Status(_) => self.news.status = Some(control::decode(answer.body)?),
            Ask::Abort(_) => {
                let aborted: control::Aborted = control::decode(answer.body)?;
                self.news.aborted = Some((aborted.task_id, Status(aborted.status)));
            }
            _ => {}
        }
        self.close(now);
        Ok(())
    }

    fn rejected(&self, answer: &Answer<'_>) -> ClientError {
        let refusal: Refusal = control::decode(answer.body).unwrap_or_default();
        ClientError::Rejected {
            during: self.doing,
            status: answer.status,
            detail: refusal.detail,
            message: refusal.message,
        }
    }

    /// Says good-bye; the job is over when that is answered, or not for long.
    fn close(&mut self, now: Micros) {
        self.doing = Doing::Closing;
        self.wants.ask(now, Ask::Close);
    }

    fn fail(&mut self, now: Micros, error: ClientError) {
        if self.news.failed.is_some() || self.over {
            return;
        }
        if self.doing == Doing::Closing {
            // The job itself was done.
            self.over = true;
            return;
        }
        let lost = matches!(error, ClientError::BoardLost { .. } | ClientError::BootChanged { .. });
        self.news.failed = Some(error);
        self.wants.clear();
        if self.link.is_none() || lost {
            self.over = true;
        } else {
            self.connect = None;
            self.close(now);
        }
    }

    /// Timers.
    pub fn poll(&mut self, now: Micros) {
        if self.over {
            return;
        }
        if self.link.is_none() && self.connect.is_none() {
            self.reach(now, self.params.patience.connect);
        }
        if let Some(error) = self.connect.as_ref().and_then(|connect| connect.expired(now)) {
            self.connect_expired(now, error);
        }
        if let Some(link) = &self.link {
            let silent = now.saturating_sub(link.heard);
            if silent >= self.params.patience.silence {
                let (during, silent_ms) =
                    (self.doing, u32::try_from(silent / MS).unwrap_or(u32::MAX));
                return self.fail(now, ClientError::BoardLost { during, silent_ms });
            }
            let rekey = link.transport.wants_rekey(now);
            if self.connect.is_none()
                && (silent >= SUSPICIOUS || rekey)
                && self.doing != Doing::Closing
            {
                self.reach(now, self.params.patience.silence);
            }
        }
        if self.wants.tries(Op::Close) > GOODBYES {
            self.over = true;
        }
        if self.abort_wanted {
            self.abort_now(now);
        }
        self.task_timers(now);
        self.collect(now);
    }

    fn connect_expired(&mut self, now: Micros, error: ClientError) {
        self.connect = None;
        if self.link.is_none() {
            self.fail(now, error);
        }
        // Else: the old session decides; if it is dead, its silence says so.
    }

    fn reach(&mut self, now: Micros, patience: Micros) {
        let fingerprint = key_id(&self.params.credentials.board);
        match Connect::new(now, patience, fingerprint, &mut self.drbg) {
            Some(connect) => self.connect = Some(connect),
            None => self.fail(now, ClientError::Random),
        }
    }

    /// When [`Client::poll`] and [`Client::transmit`] should be called next,
    /// if nothing is received before; `None` = never.
    #[must_use]
    pub fn next_deadline(&self, now: Micros) -> Option<Micros> {
        if self.over {
            return None;
        }
        let mut at = self.connect.as_ref().map(Connect::next_deadline);
        if let Some(link) = &self.link {
            earliest(&mut at, self.wants.next_deadline());
            earliest(&mut at, Some(link.heard.saturating_add(self.params.patience.silence)));
            if self.connect.is_none() && self.doing != Doing::Closing {
                earliest(&mut at, Some(link.heard.saturating_add(SUSPICIOUS)));
            }
            earliest(&mut at, self.task_deadline(now));
        } else if self.connect.is_none() {
            earliest(&mut at, Some(now));
        }
        at
    }

    /// Writes the next datagram for the board into `out`, which must have room
    /// for [`sk_wire::MAX_DATAGRAM`] bytes.
    pub fn transmit(&mut self, now: Micros, out: &mut [u8]) -> Option<usize> {
        if self.over || out.len() < sk_wire::MAX_DATAGRAM {
            return None;
        }
        if let Some(connect) = &mut self.connect {
            match connect.transmit(
                now,
                &self.params.credentials,
                &mut self.counter,
                &mut self.drbg,
                out,
            ) {
                Ok(None) => {}
                Ok(Some(len)) => return Some(len),
                Err(error) => self.fail(now, error),
            }
        }
        let link = self.link.as_mut()?;
        let counter = link.transport.sent();
        let mut writer = FrameWriter::new(out.get_mut(Transport::HEADER..)?);
        let manifest = self.run.as_ref().and_then(|run| run.manifest.as_ref());
        let mut submitted_first = false;
        if self.wants.due(now) {
            submitted_first = self.wants.has(Op::Submit) && self.wants.tries(Op::Submit) == 0;
            self.wants.send_due(now, &self.rtt, |want| {
                let mut buffer = [0; control::CONTROL_MAX];
                want.encode(manifest, &mut buffer).is_ok_and(|body| writer.ctrl(body))
            });
        }
        if let Some(run) = &mut self.run {
            run.fill(
                now,
                self.doing,
                counter,
                &self.rtt,
                &mut self.wants,
                &mut writer,
                submitted_first,
            );
        }
        if writer.is_empty() {
            return None;
        }
        let len = writer.len();
        link.transport.seal(now, out, len).ok()
    }

    /// The next thing to tell; output before the end, the end last.
    pub fn event(&mut self) -> Option<ClientEvent<'_>> {
        let news = &mut self.news;
        if let Some((boot_id, granted, state)) = news.connected.take() {
            return Some(ClientEvent::Connected { boot_id, granted, state });
        }
        if let Some(task_id) = news.accepted.take() {
            return Some(ClientEvent::Accepted { task_id });
        }
        if let Some((sent, total)) = news.progress.take() {
            return Some(ClientEvent::Progress { sent, total });
        }
        if core::mem::take(&mut news.started) {
            return Some(ClientEvent::Started);
        }
        if let Some(run) = &mut self.run {
            if run.stdout.inbox.has_bytes() {
                return run.stdout.inbox.take().map(ClientEvent::Stdout);
            }
            if run.stderr.inbox.has_bytes() {
                return run.stderr.inbox.take().map(ClientEvent::Stderr);
            }
        }
        if let Some(time) = news.round_trip.take() {
            return Some(ClientEvent::RoundTrip(time));
        }
        if let Some(pong) = news.pong.take() {
            return Some(ClientEvent::Pong(pong));
        }
        if let Some(status) = news.status.take() {
            return Some(ClientEvent::Status(status));
        }
        if let Some((task_id, status)) = news.aborted.take() {
            return Some(ClientEvent::Aborted { task_id, status });
        }
        if let Some(receipt) = news.finished.take() {
            return Some(ClientEvent::Finished(receipt));
        }
        news.failed.take().map(ClientEvent::Failed)
    }
}
