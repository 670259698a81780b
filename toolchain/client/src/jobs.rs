//! What can be done with a board: run a task, ask, abort.

use std::io;
use std::time::{Duration, Instant};

use sk_abi::Status;
use sk_abi::image;
use sk_session::client::{ClientEvent, Job, TaskSpec};
use sk_session::upload::OBJECT_MAX;
use sk_wire::Roles;
use sk_wire::control::{Pong, Receipt, TaskStatus};
use sk_wire::manifest::{ARGS_MAX, Memory, TaskId, Time, flags};

use crate::error::{Aborted, Ended, exit};
use crate::exchange::{Outcome, Verdict};
use crate::{Board, Client, Error};

/// What a task may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// From start to end; `None`: as long as the board allows.
    pub wall: Option<Duration>,
    /// Of that, in the payload's own code.
    pub cpu: Option<Duration>,
    /// Longest time between two signs of life; `None`: none are asked for.
    pub heartbeat: Option<Duration>,
    /// Heap, bytes.
    pub heap: u32,
    /// Stack, bytes; `None`: what the image says.
    pub stack: Option<u32>,
    /// Room for output, bytes.
    pub stdout: u32,
    /// Room for error output, bytes.
    pub stderr: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall: Some(Duration::from_secs(10)),
            cpu: None,
            heartbeat: None,
            heap: 4 << 20,
            stack: None,
            stdout: 1 << 20,
            stderr: 64 << 10,
        }
    }
}

impl Limits {
    const fn memory(&self) -> Memory {
        let stack = match self.stack {
            Some(stack) => stack,
            None => 0,
        };
        Memory { heap: self.heap, stack, stdout: self.stdout, stderr: self.stderr }
    }

    fn time(&self) -> Time {
        // 0 would mean "no limit", so a limit is at least 1 ms.
        let ms = |time: Option<Duration>| {
            time.map_or(0, |time| u32::try_from(time.as_millis()).unwrap_or(u32::MAX).max(1))
        };
        Time { wall_ms: ms(self.wall), cpu_ms: ms(self.cpu), heartbeat_ms: ms(self.heartbeat) }
    }
}

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Task<'a> {
    /// The image (`skx1`).
    pub image: &'a [u8],
    /// Its input.
    pub input: &'a [u8],
    /// Its arguments: together at most 256 bytes, a byte between two.
    pub args: Vec<String>,
    /// What it may use.
    pub limits: Limits,
    /// Bits of [`flags`].
    pub flags: u16,
}

impl<'a> Task<'a> {
    /// A task without arguments, with the usual limits.
    #[must_use]
    pub fn new(image: &'a [u8], input: &'a [u8]) -> Self {
        Self { image, input, args: Vec::new(), limits: Limits::default(), flags: 0 }
    }

    /// The ABI version that the image says it was built for, after a look at
    /// what no board could accept.
    fn check(&self, args: &str) -> Result<u16, Error> {
        let most = OBJECT_MAX as usize;
        for (what, have, most) in [
            ("the image", self.image.len(), most),
            ("the input", self.input.len(), most),
            ("the arguments", args.len(), ARGS_MAX),
        ] {
            if have > most {
                return Err(Error::TooBig { what, have, most });
            }
        }
        match *self.image {
            [magic, ..] if magic != image::MAGIC => {
                Err(Error::NotAnImage("it does not start with 'K'"))
            }
            [_, version, ..] if self.image.len() >= image::SMALLEST => {
                Ok(u16::from(version & 0x0F))
            }
            _ => Err(Error::NotAnImage("it is too short")),
        }
    }
}

/// How far a task has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// A session is open.
    Connected,
    /// The board awaits image and input.
    Accepted,
    /// Bytes of both that have arrived.
    Sent {
        /// So far.
        bytes: u32,
        /// In all.
        total: u32,
    },
    /// The payload runs.
    Started,
}

/// Who watches a task. An error of either stream aborts it.
pub trait Events {
    /// How far it has come.
    fn step(&mut self, step: Step) {
        let _ = step;
    }

    /// Output, in order, each byte once.
    ///
    /// # Errors
    /// When it cannot be passed on.
    fn stdout(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Error output, in order, each byte once.
    ///
    /// # Errors
    /// When it cannot be passed on.
    fn stderr(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// Nobody watches: output is received and dropped.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Events for Silent {
    fn stdout(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn stderr(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

/// The longest pause between two questions of [`Client::pings`]: after three
/// silent seconds a client looks whether the board is still there.
pub const PING_PAUSE: Duration = Duration::from_secs(2);

/// An answer of a board to one of several questions.
#[derive(Clone, Debug)]
pub struct Echo {
    /// Which, from 1.
    pub seq: u32,
    /// How long the way there and back took, encryption at both ends included;
    /// `None` if the question had to be sent again.
    pub time: Option<Duration>,
    /// What it said.
    pub pong: Pong,
}

/// How a task went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The board's word.
    pub receipt: Receipt,
    /// Bytes of image and input.
    pub sent: usize,
    /// From the open session to the start of the payload: sending, checking, loading.
    pub upload: Duration,
    /// From the first datagram to the last byte of output.
    pub total: Duration,
}

impl Report {
    /// The payload's code as an exit code: what does not fit 0 to 123 becomes
    /// 123, for above that codes have meanings of their own.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        u8::try_from(self.receipt.exit)
            .map_or(exit::PAYLOAD_MAX, |code| code.min(exit::PAYLOAD_MAX))
    }
}

impl Client {
    /// Runs `task` on `board` and hands its output to `events` as it arrives.
    /// Returns when the payload has ended by itself with everything received.
    ///
    /// # Errors
    /// [`Error::Ended`] when the payload ran and did not end by itself; any
    /// other when it was not run, or it is not known how it ended.
    pub fn run(
        &self,
        board: &Board,
        task: &Task<'_>,
        events: &mut dyn Events,
    ) -> Result<Report, Error> {
        let args = task.args.join("\0");
        let abi = task.check(&args)?;
        let mut roles = Roles::OBSERVE.or(Roles::SUBMIT);
        if task.flags & flags::DIRECT != 0 {
            roles = roles.or(Roles::DIRECT);
        }
        let start = Instant::now();
        let mut watch =
            Watch { events, start, connected: None, started: None, receipt: None, output: None };
        self.patiently(
            board,
            roles,
            &mut |seq| {
                Job::Run(TaskSpec {
                    image: task.image,
                    input: task.input,
                    args: &args,
                    abi,
                    memory: task.limits.memory(),
                    time: task.limits.time(),
                    flags: task.flags,
                    seq,
                })
            },
            &mut |event| watch.event(event),
        )
        // What the output's receiver said comes first: it was the cause.
        .map_err(|error| match (watch.output.take(), error) {
            (Some(output), _) => Error::Output(output),
            // It had ended by itself, and its output was not waited for.
            (None, Error::Interrupted { how: Aborted::BeforeStart }) if watch.started.is_some() => {
                Error::Interrupted { how: Aborted::OnBoard }
            }
            (None, error) => error,
        })?;
        if let Some(error) = watch.output.take() {
            return Err(Error::Output(error));
        }
        let Some(receipt) = watch.receipt.take() else {
            return Err(Error::Protocol {
                board: board.name().into(),
                what: "the task ended without a receipt",
            });
        };
        let total = start.elapsed();
        let connected = watch.connected.unwrap_or(total);
        let upload = watch.started.unwrap_or(total).saturating_sub(connected);
        let report = Report { sent: task.image.len() + task.input.len(), upload, total, receipt };
        match report.receipt.status() {
            Status::OK => Ok(report),
            Status::ABORTED_OWNER if self.stopped() => {
                Err(Error::Interrupted { how: Aborted::OnBoard })
            }
            _ => Err(Error::Ended(Box::new(Ended {
                board: board.name().into(),
                wall: task.limits.wall,
                report,
                place: None,
            }))),
        }
    }

    /// Facts of a board, after proof that it is the one on record.
    ///
    /// # Errors
    /// As dialling it does.
    pub fn ping(&self, board: &Board) -> Result<Pong, Error> {
        let mut answer = None;
        self.patiently(board, Roles::OBSERVE, &mut |_| Job::Ping, &mut |event| {
            if let ClientEvent::Pong(pong) = event {
                answer = Some(pong);
            }
            Verdict::Continue
        })?;
        answer.ok_or_else(|| no_answer(board))
    }

    /// Asks a board `count` times over one session, each time `every` (at most
    /// [`PING_PAUSE`]) after the last answer, and hands over the answers as
    /// they come.
    ///
    /// # Errors
    /// As dialling it does, and [`Error::Lost`].
    pub fn pings(
        &self,
        board: &Board,
        count: u32,
        every: Duration,
        on_echo: &mut dyn FnMut(Echo),
    ) -> Result<(), Error> {
        let every = u64::try_from(every.min(PING_PAUSE).as_micros()).unwrap_or(u64::MAX);
        let job = Job::Pings { count, every };
        let (mut seq, mut time) = (0, None);
        self.patiently(board, Roles::OBSERVE, &mut |_| job, &mut |event| {
            match event {
                ClientEvent::RoundTrip(us) => time = Some(Duration::from_micros(us)),
                ClientEvent::Pong(pong) => {
                    seq += 1;
                    on_echo(Echo { seq, time: time.take(), pong });
                }
                _ => {}
            }
            Verdict::Continue
        })
    }

    /// How the active task is doing.
    ///
    /// # Errors
    /// [`Error::Denied`] when there is none, or it is another client's.
    pub fn status(&self, board: &Board) -> Result<TaskStatus, Error> {
        let mut answer = None;
        self.patiently(
            board,
            Roles::OBSERVE,
            &mut |_| Job::Status(TaskId::ACTIVE),
            &mut |event| {
                if let ClientEvent::Status(status) = event {
                    answer = Some(status);
                }
                Verdict::Continue
            },
        )?;
        answer.ok_or_else(|| no_answer(board))
    }

    /// Ends the active task; its final status.
    ///
    /// # Errors
    /// [`Error::Denied`] when there is none, or it is another client's and this
    /// one is no operator.
    pub fn abort(&self, board: &Board) -> Result<Status, Error> {
        let job = Job::Abort { task_id: TaskId::ACTIVE, reason: 0 };
        let mut answer = None;
        let mut on_event = |event: ClientEvent<'_>| {
            if let ClientEvent::Aborted { status, .. } = event {
                answer = Some(status);
            }
            Verdict::Continue
        };
        let own = Roles::OBSERVE.or(Roles::SUBMIT);
        match self.patiently(board, own.or(Roles::OPERATE), &mut |_| job, &mut on_event) {
            Err(Error::RoleRefused { .. }) => {
                self.patiently(board, own, &mut |_| job, &mut on_event)?;
            }
            result => result?,
        }
        answer.ok_or_else(|| no_answer(board))
    }

    /// An exchange, tried once more with fresh counters when the handshake is
    /// refused: another program of this user may have overtaken this one.
    fn patiently<'j>(
        &self,
        board: &Board,
        roles: Roles,
        job: &mut dyn FnMut(u64) -> Job<'j>,
        on_event: &mut dyn FnMut(ClientEvent<'_>) -> Verdict,
    ) -> Result<(), Error> {
        let mut last = true;
        loop {
            let counters = self.store().next_counters(board.known.fingerprint())?;
            match self.exchange(board, roles, counters, job(counters.task), on_event)? {
                Outcome::Done => return Ok(()),
                Outcome::Failed(Error::Refused { .. }) if last && !self.stopped() => last = false,
                Outcome::Failed(error) => return Err(error),
            }
        }
    }
}

fn no_answer(board: &Board) -> Error {
    Error::Protocol { board: board.name().into(), what: "it said good-bye without an answer" }
}

/// Passes on what happens, and notes when.
struct Watch<'e> {
    events: &'e mut dyn Events,
    start: Instant,
    connected: Option<Duration>,
    started: Option<Duration>,
    receipt: Option<Receipt>,
    output: Option<io::Error>,
}

impl Watch<'_> {
    fn event(&mut self, event: ClientEvent<'_>) -> Verdict {
        let passed_on = match event {
            ClientEvent::Connected { .. } => {
                self.connected = Some(self.start.elapsed());
                self.events.step(Step::Connected);
                Ok(())
            }
            ClientEvent::Accepted { .. } => {
                self.events.step(Step::Accepted);
                Ok(())
            }
            ClientEvent::Progress { sent, total } => {
                self.events.step(Step::Sent { bytes: sent, total });
                Ok(())
            }
            ClientEvent::Started => {
                self.started = Some(self.start.elapsed());
                self.events.step(Step::Started);
                Ok(())
            }
            ClientEvent::Stdout(bytes) if self.output.is_none() => self.events.stdout(bytes),
            ClientEvent::Stderr(bytes) if self.output.is_none() => self.events.stderr(bytes),
            ClientEvent::Finished(receipt) => {
                self.receipt = Some(receipt);
                Ok(())
            }
            _ => Ok(()),
        };
        match passed_on {
            Ok(()) => Verdict::Continue,
            Err(error) => {
                self.output = Some(error);
                Verdict::Abort
            }
        }
    }
}
