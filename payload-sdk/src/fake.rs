//! A kernel in memory, for `cargo test` of a payload.
//!
//! ```
//! use payload_sdk::{Error, Kernel, fake::{End, Fake}};
//!
//! fn run(k: &Kernel) -> Result<(), Error> {
//!     let name = k.args().next().ok_or("whom?")?;
//!     writeln!(k.output(), "hello {name}")?;
//!     Ok(())
//! }
//!
//! let report = Fake::new().args(["you"]).run(run);
//! assert_eq!(report.end, End::Exit(0));
//! assert_eq!(report.output, b"hello you\n");
//! ```
//!
//! It keeps the rules of the real one that a test can depend on: the output's
//! limit ends the task, time passes only when the payload sleeps or (by
//! [`Fake::tick`]) asks for it, a deadline that is over ends the task at its
//! next call, the log is cut. Memory is the host's.

use crate::{IntoCode, Kernel};
use sk_abi::{TaskInfo, task};
use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// How the payload ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// It returned or called `exit`.
    Exit(i32),
    /// It called `abort`.
    Aborted(String),
    /// It panicked, with this message.
    Panicked(String),
    /// It wrote more than the output has room for.
    OutputLimit,
    /// Its time was over.
    Deadline,
}

/// What a run left behind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// How it ended.
    pub end: End,
    /// The stream of results.
    pub output: Vec<u8>,
    /// The error stream.
    pub error: Vec<u8>,
    /// Lines for the board's log.
    pub log: Vec<String>,
    /// Signs of life given.
    pub beats: u32,
    /// Microseconds from start to end.
    pub elapsed_us: u64,
}

impl Report {
    /// The stream of results as text.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.output).expect("the output is not UTF-8")
    }
}

/// A kernel to be run with: what the client would send, and limits.
#[derive(Clone, Debug)]
pub struct Fake {
    input: Vec<u8>,
    args: String,
    room: usize,
    tick: u64,
    limit: u64,
    stop_at: u64,
    info: TaskInfo,
}

impl Default for Fake {
    fn default() -> Self {
        Self::new()
    }
}

impl Fake {
    /// No input, no arguments, 16 MiB of output, an hour of time.
    #[must_use]
    pub fn new() -> Self {
        Self {
            input: Vec::new(),
            args: String::new(),
            room: 16 << 20,
            tick: 0,
            limit: 3_600_000_000,
            stop_at: u64::MAX,
            info: TaskInfo {
                abi: u32::from(sk_abi::ABI_VERSION),
                size: task::TASK_INFO_SIZE,
                flags: task::flags::SHIELDED | task::flags::EMULATED,
                board_revision: 0x0090_0092, // a Zero, 1.2
                cpu_mhz_max: 1000,
                ..TaskInfo::default()
            },
        }
    }

    /// The bytes sent with the payload.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// Its arguments.
    #[must_use]
    pub fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        self.args = args.into_iter().collect::<Vec<_>>().join("\0");
        self
    }

    /// Room for output (both streams together) in bytes.
    #[must_use]
    pub fn output_limit(mut self, bytes: usize) -> Self {
        self.room = bytes;
        self
    }

    /// Microseconds that pass each time the payload looks at the clock.
    #[must_use]
    pub fn tick(mut self, us: u64) -> Self {
        self.tick = us;
        self
    }

    /// Microseconds until the deadline.
    #[must_use]
    pub fn deadline(mut self, us: u64) -> Self {
        self.limit = us;
        self
    }

    /// After how many microseconds the client asks the payload to stop.
    #[must_use]
    pub fn stop_after(mut self, us: u64) -> Self {
        self.stop_at = us;
        self
    }

    /// The board it runs on.
    #[must_use]
    pub fn board(mut self, board: crate::Board) -> Self {
        self.info.board_revision = board.revision;
        self.info.cpu_mhz_max = board.cpu_mhz_max;
        self.info.flags = if board.shielded { task::flags::SHIELDED } else { 0 }
            | if board.emulated { task::flags::EMULATED } else { 0 };
        self
    }

    /// Runs a payload to its end, whichever that is.
    pub fn run<T: IntoCode>(self, run: impl FnOnce(&Kernel) -> T) -> Report {
        let start = 1_000_000;
        let state = State {
            now: start,
            room: self.room,
            read: 0,
            output: Vec::new(),
            error: Vec::new(),
            log: Vec::new(),
            beats: 0,
        };
        let deadline_us = start.saturating_add(self.limit);
        let info = TaskInfo {
            input_len: self.input.len() as u32,
            args_len: self.args.len() as u32,
            deadline_us,
            ..self.info
        };
        let stop_at = start.saturating_add(self.stop_at);
        let sys = Sys {
            info,
            input: self.input,
            args: self.args,
            tick: self.tick,
            stop_at,
            state: RefCell::new(state),
        };
        let k = Kernel { sys };
        let end = match catch_unwind(AssertUnwindSafe(|| run(&k).into_code(&k))) {
            Ok(code) => End::Exit(code),
            Err(thrown) => match thrown.downcast::<End>() {
                Ok(end) => *end,
                Err(thrown) => End::Panicked(message(thrown.as_ref())),
            },
        };
        let state = k.sys.state.into_inner();
        Report {
            end,
            output: state.output,
            error: state.error,
            log: state.log,
            beats: state.beats,
            elapsed_us: state.now - start,
        }
    }
}

fn message(thrown: &(dyn Any + Send)) -> String {
    let text = thrown.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| thrown.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".to_owned())
}

#[derive(Debug)]
struct State {
    now: u64,
    room: usize,
    read: usize,
    output: Vec<u8>,
    error: Vec<u8>,
    log: Vec<String>,
    beats: u32,
}

/// The other half of [`Kernel`]: what the veneer is on a board.
#[derive(Debug)]
pub(crate) struct Sys {
    info: TaskInfo,
    input: Vec<u8>,
    args: String,
    tick: u64,
    stop_at: u64,
    state: RefCell<State>,
}

/// Ends the payload from inside a call, without the message a panic prints.
fn end(end: End) -> ! {
    resume_unwind(Box::new(end))
}

impl Sys {
    /// Every call comes through here: the deadline is looked at.
    fn state(&self) -> std::cell::RefMut<'_, State> {
        let state = self.state.borrow_mut();
        if state.now >= self.info.deadline_us {
            drop(state);
            end(End::Deadline);
        }
        state
    }

    pub(crate) fn info(&self) -> &TaskInfo {
        &self.info
    }

    pub(crate) fn input(&self) -> &[u8] {
        &self.input
    }

    pub(crate) fn args(&self) -> &str {
        &self.args
    }

    pub(crate) fn read(&self, buf: &mut [u8]) -> usize {
        let mut state = self.state();
        let rest = self.input.get(state.read..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        state.read += n;
        n
    }

    pub(crate) fn write(&self, error: bool, bytes: &[u8]) -> usize {
        let mut state = self.state();
        let n = bytes.len().min(state.room);
        state.room -= n;
        let stream = if error { &mut state.error } else { &mut state.output };
        stream.extend_from_slice(&bytes[..n]);
        if n < bytes.len() {
            drop(state);
            end(End::OutputLimit);
        }
        n
    }

    pub(crate) fn log(&self, line: &str) {
        let line = &line[..line.floor_char_boundary(120)];
        self.state().log.push(line.to_owned());
    }

    pub(crate) fn exit(&self, code: i32) -> ! {
        end(End::Exit(code))
    }

    pub(crate) fn abort(&self, message: &str) -> ! {
        let message = &message[..message.floor_char_boundary(task::MESSAGE_MAX)];
        end(End::Aborted(message.to_owned()))
    }

    pub(crate) fn yield_now(&self) {
        self.state().now += self.tick;
    }

    pub(crate) fn beat(&self) {
        self.state().beats += 1;
    }

    pub(crate) fn should_stop(&self) -> bool {
        let mut state = self.state();
        state.now += self.tick;
        state.now >= self.stop_at
    }

    pub(crate) fn now(&self) -> u64 {
        let mut state = self.state();
        state.now += self.tick;
        state.now
    }

    pub(crate) fn remaining(&self) -> u64 {
        let now = self.now();
        self.info.deadline_us.saturating_sub(now)
    }

    pub(crate) fn sleep_until(&self, us: u64) {
        let mut state = self.state();
        // One does not sleep past the deadline: it ends the task.
        state.now = state.now.max(us.min(self.info.deadline_us));
        drop(state);
        drop(self.state());
    }

    pub(crate) fn cycles(&self) -> u32 {
        0
    }

    pub(crate) fn heap(&self) -> [u32; 3] {
        [0; 3]
    }
}
