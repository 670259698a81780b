//! What went wrong: one sentence that names the cause, one that names a cure,
//! and the exit code for a program that can do no more about it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use sk_abi::Status;
use sk_abi::status::FaultRecord;
use sk_session::client::{ClientError, Doing};
use sk_wire::{Reason, Roles, State};

use crate::hex;
use crate::jobs::Report;
use crate::store::StoreError;

mod faults;
mod words;

use words::{
    aborted, addition, because, ended_help, ending, ending_code, rejected_help, rejection_code,
    roles, seconds,
};

/// Exit codes of a program that runs a payload. 0 to 123 are the payload's own.
pub mod exit {
    /// Largest code of a payload that is passed through.
    pub const PAYLOAD_MAX: u8 = 123;
    /// A limit of time ended the payload.
    pub const TIMEOUT: u8 = 124;
    /// The tool, the protocol or the board failed; the payload is not to blame.
    pub const BOARD: u8 = 125;
    /// The payload was rejected before it ran.
    pub const REJECTED: u8 = 126;
    /// No such board, or no such payload.
    pub const NOT_FOUND: u8 = 127;
    /// Added to the number of the signal that a Unix process would have got.
    pub const SIGNAL: u8 = 128;
    /// Ended by Ctrl-C.
    pub const INTERRUPTED: u8 = SIGNAL + 2;
    /// Nobody reads the output any more.
    pub const PIPE: u8 = SIGNAL + 13;
}

/// How a task that was to be aborted ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aborted {
    /// It had not been started.
    BeforeStart,
    /// The board says that it is dead.
    OnBoard,
    /// The board did not answer in time; it ends the task by itself when the
    /// session has been silent for long enough.
    Unconfirmed,
}

/// A task that did not end well, and where it ran.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// Name of the board.
    pub board: String,
    /// The limit of time the task had, if any.
    pub wall: Option<Duration>,
    /// How it ended.
    pub report: Report,
    /// Where in the source it failed, if somebody has looked: `src/main.rs:12`.
    pub place: Option<String>,
}

impl Ended {
    fn status(&self) -> Status {
        self.report.receipt.status()
    }

    /// Registers, if it faulted.
    #[must_use]
    pub fn fault(&self) -> Option<&FaultRecord> {
        self.report.receipt.fault.as_ref().map(|fault| &fault.0)
    }
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A socket could not be had.
    #[error("the network cannot be used: {0}")]
    Socket(#[source] io::Error),
    /// No such board.
    #[error("no board {wanted} was found in {:.1} s", waited.as_secs_f32())]
    NotFound {
        /// What was looked for, as words after "no board".
        wanted: String,
        /// How long.
        waited: Duration,
        /// Boards that were heard, in words.
        heard: Vec<String>,
    },
    /// A board that is not in the store.
    #[error("the board with key {} at {address} is not known here", hex::encode(fingerprint))]
    Unknown {
        /// Its key's short name.
        fingerprint: [u8; 8],
        /// Where it answers.
        address: SocketAddr,
    },
    /// None was named and several could be meant.
    #[error("{} boards could be meant: {}", names.len(), names.join(", "))]
    Ambiguous {
        /// Their names.
        names: Vec<String>,
    },
    /// None was named and none is idle.
    #[error("no board is idle: {}", boards.join(", "))]
    NoneIdle {
        /// Names and states.
        boards: Vec<String>,
    },
    /// The board runs no tasks.
    #[error("{board} runs no tasks: {}", reason.text())]
    Fault {
        /// Its name.
        board: String,
        /// Why.
        reason: Reason,
    },
    /// Nothing answered.
    #[error("{board} at {address} did not answer for {:.1} s{}", waited.as_secs_f32(), because(trouble.as_ref()))]
    NoAnswer {
        /// Its name.
        board: String,
        /// Where it was tried.
        address: SocketAddr,
        /// How long.
        waited: Duration,
        /// What the system said about sending.
        trouble: Option<io::Error>,
    },
    /// Another board answered.
    #[error(
        "{address} is not {board}: the board there has the key {}, not {}",
        hex::encode(found),
        hex::encode(expected)
    )]
    WrongKey {
        /// The name of the board wanted.
        board: String,
        /// Where.
        address: SocketAddr,
        /// The key recorded.
        expected: [u8; 8],
        /// The key found.
        found: [u8; 8],
    },
    /// The pre-shared keys differ.
    #[error("{board} does not prove that it holds the key shared with it")]
    WrongPsk {
        /// Its name.
        board: String,
    },
    /// HELLO was answered, the handshake was not.
    #[error("{board} ({}) does not accept this client's key", state.text())]
    Refused {
        /// Its name.
        board: String,
        /// What it was doing.
        state: State,
    },
    /// Another version.
    #[error(
        "{board} speaks version {version} of the protocol, this program version {}",
        sk_wire::VERSION
    )]
    Version {
        /// Its name.
        board: String,
        /// Its version.
        version: u8,
    },
    /// A role is missing.
    #[error("{board} does not let this client do that: it has the role{}", roles(*granted))]
    RoleRefused {
        /// Its name.
        board: String,
        /// What the client may do.
        granted: Roles,
    },
    /// Another task is active.
    #[error("{board} is busy with another task, for at most {} more", seconds(*free_in_ms))]
    Busy {
        /// Its name.
        board: String,
        /// When it must be free.
        free_in_ms: u32,
    },
    /// The board refused the task.
    #[error("{board} rejected the payload while {}: {}{}", during.text(), status.text(), addition(*status, *detail, message))]
    Rejected {
        /// Its name.
        board: String,
        /// What was being done.
        during: Doing,
        /// Why.
        status: Status,
        /// A number that depends on the status.
        detail: u32,
        /// More.
        message: String,
    },
    /// The board refused something that is no task.
    #[error("{board} refused: {}", status.text())]
    Denied {
        /// Its name.
        board: String,
        /// Why.
        status: Status,
    },
    /// The board was there and is no more.
    #[error("{board} fell silent while {}: nothing was heard of it for {}", during.text(), seconds(*silent_ms))]
    Lost {
        /// Its name.
        board: String,
        /// What was being done.
        during: Doing,
        /// For how long.
        silent_ms: u32,
    },
    /// The board restarted.
    #[error("{board} restarted while {}; the task was not run again", during.text())]
    Restarted {
        /// Its name.
        board: String,
        /// What was being done.
        during: Doing,
    },
    /// The task ended, its output is incomplete.
    #[error("{board} no longer has all of the output: {have} of {len} bytes arrived")]
    OutputLost {
        /// Its name.
        board: String,
        /// Bytes that arrived.
        have: u32,
        /// Bytes there were.
        len: u32,
    },
    /// The output is not what the receipt says.
    #[error("the output that arrived from {board} does not have the digest in its receipt")]
    OutputDigest {
        /// Its name.
        board: String,
    },
    /// The task cannot be sent.
    #[error("{what} must not be longer than {most} bytes: {have}")]
    TooBig {
        /// Image, input or arguments.
        what: &'static str,
        /// Its length.
        have: usize,
        /// The limit.
        most: usize,
    },
    /// The file is not a payload.
    #[error("this is not a payload image: {0}")]
    NotAnImage(&'static str),
    /// The board does not keep to the protocol.
    #[error("{board} does not keep to the protocol: {what}")]
    Protocol {
        /// Its name.
        board: String,
        /// What was wrong.
        what: &'static str,
    },
    /// What takes the output refused it; the task was aborted.
    #[error("the output cannot be written: {0}")]
    Output(#[source] io::Error),
    /// The task ran and did not end well.
    #[error("{}", ending(.0))]
    Ended(Box<Ended>),
    /// Stopped by the user.
    #[error("interrupted; {}", aborted(*how))]
    Interrupted {
        /// What became of the task.
        how: Aborted,
    },
}

impl Error {
    /// The engine's error, in the words of this crate.
    pub(crate) fn of(
        error: ClientError,
        board: &crate::Board,
        trouble: Option<io::Error>,
        is_task: bool,
    ) -> Self {
        let name = board.name().to_owned();
        let address = board.address;
        match error {
            ClientError::NoAnswer { waited_ms } => Self::NoAnswer {
                board: name,
                address,
                waited: Duration::from_millis(waited_ms.into()),
                trouble,
            },
            ClientError::WrongKey { expected, found } => {
                Self::WrongKey { board: name, address, expected, found }
            }
            ClientError::WrongPsk => Self::WrongPsk { board: name },
            ClientError::HandshakeRefused { state } => Self::Refused { board: name, state },
            ClientError::Version { board: version } => Self::Version { board: name, version },
            ClientError::BoardFault { reason } => Self::Fault { board: name, reason },
            ClientError::RoleRefused { granted } => Self::RoleRefused { board: name, granted },
            ClientError::Busy { free_in_ms } => Self::Busy { board: name, free_in_ms },
            ClientError::Rejected { during, status, detail, message } if is_task => {
                Self::Rejected {
                    board: name,
                    during,
                    status,
                    detail,
                    message: message.as_str().to_owned(),
                }
            }
            ClientError::Rejected { status, .. } => Self::Denied { board: name, status },
            ClientError::BoardLost { during, silent_ms } => {
                Self::Lost { board: name, during, silent_ms }
            }
            ClientError::BootChanged { during } => Self::Restarted { board: name, during },
            ClientError::OutputLost { have, len } => Self::OutputLost { board: name, have, len },
            ClientError::OutputDigest => Self::OutputDigest { board: name },
            ClientError::Aborted => Self::Interrupted { how: Aborted::BeforeStart },
            // Lengths were checked before.
            ClientError::TooBig => {
                Self::Protocol { board: name, what: "the task is too big to be sent" }
            }
            ClientError::Random => StoreError::Random("a generator that failed".into()).into(),
            ClientError::Protocol(what) => Self::Protocol { board: name, what },
        }
    }

    /// What to do about it, if there is something to say.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::Store(error) => return error.help(),
            Self::NotFound { heard, .. } if heard.is_empty() => {
                "is it powered and on this network? `sk scan --address IP` asks one address, `sk emu` starts an emulated board".into()
            }
            Self::NotFound { heard, .. } => format!("heard instead: {}", heard.join(", ")),
            Self::Unknown { .. } => {
                "its card, or its emulator, was set up by another user: set SK_HOME to the folder with that user's keys, or set the board up anew".into()
            }
            Self::Ambiguous { names } => {
                format!("choose one: --board {}", names.first().map_or("NAME", String::as_str))
            }
            Self::NoneIdle { .. } | Self::Busy { .. } => "try again when it is free, or wait for it: --wait 1m".into(),
            Self::Fault { .. } => "a new card, or a new `sk emu`, gives it a configuration; its serial port says more".into(),
            Self::NoAnswer { .. } | Self::Lost { .. } => {
                "check its power and the network between; `sk scan` lists who answers now".into()
            }
            Self::WrongKey { .. } => "the address went to another board: `sk scan` shows where each is".into(),
            Self::WrongPsk { .. } | Self::Refused { state: State::Idle, .. } => {
                "its configuration was made for other keys: set the board up anew with this SK_HOME".into()
            }
            Self::Refused { .. } => "wait until `sk scan` shows it idle".into(),
            Self::Version { .. } => "use the kernel and the `sk` of one release".into(),
            Self::RoleRefused { .. } => "roles are given in the board's list of clients: `sk emu --clients FILE`, `sk image --clients FILE`".into(),
            Self::Rejected { status, .. } => return rejected_help(*status).map(Into::into),
            Self::Restarted { .. } => "whether it ran before is not known; its serial port may say why".into(),
            Self::OutputLost { .. } => "ask for more room: --max-output 16M".into(),
            Self::NotAnImage(_) => "`sk build` or `sk pack` makes one".into(),
            Self::Ended(ended) => return ended_help(ended.status()).map(Into::into),
            Self::Interrupted { how: Aborted::Unconfirmed } => "`sk scan` shows when the board is idle again".into(),
            _ => return None,
        })
    }

    /// The exit code of a program that ran a payload and got this.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotFound { .. } => exit::NOT_FOUND,
            Self::TooBig { .. } | Self::NotAnImage(_) => exit::REJECTED,
            // What was asked for is refused, not the client: only `--direct` asks for more
            // than a client that may run payloads has.
            Self::RoleRefused { granted, .. } if granted.contains(Roles::SUBMIT) => exit::REJECTED,
            Self::Rejected { status, .. } => rejection_code(*status),
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => exit::PIPE,
            Self::Ended(ended) => ending_code(ended.status()),
            Self::Interrupted { .. } => exit::INTERRUPTED,
            _ => exit::BOARD,
        }
    }
}

impl StoreError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::NoHome => "set SK_HOME to a folder for keys".into(),
            Self::Damaged { path, .. } => {
                format!(
                    "restore {} from a copy, or move it away to have it made anew",
                    path.display()
                )
            }
            Self::Io { path, source } if source.kind() == io::ErrorKind::PermissionDenied => {
                format!("{} must belong to you", folder(path).display())
            }
            Self::BadName(_) => "use 1 to 16 letters, digits, '-' or '_'".into(),
            Self::NameTaken(_) => "choose another name".into(),
            Self::NotOnList => {
                "add an entry with key = \"own\": without it you could not reach the board yourself"
                    .into()
            }
            _ => return None,
        })
    }
}

fn folder(path: &std::path::Path) -> PathBuf {
    path.parent().map_or_else(PathBuf::new, PathBuf::from)
}
