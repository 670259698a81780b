//! Why a client gave up, as data: whoever shows it makes the sentences.

use core::fmt;

use sk_abi::Status;
use sk_wire::control::{CodecError, Message};
use sk_wire::{KeyId, Reason, Roles, State};

/// What a client was doing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Doing {
    /// Looking for the board.
    Finding,
    /// Opening a session.
    Connecting,
    /// Announcing the task.
    Submitting,
    /// Sending image and input.
    Uploading,
    /// Waiting for the board to check and load.
    Loading,
    /// Waiting for the task to end.
    Running,
    /// Fetching output and receipt.
    Collecting,
    /// Asking something that is no task.
    Asking,
    /// Saying good-bye.
    Closing,
}

impl Doing {
    /// In a few words, as after "while".
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Doing::Finding => "looking for the board",
            Doing::Connecting => "opening a session",
            Doing::Submitting => "announcing the task",
            Doing::Uploading => "sending the task",
            Doing::Loading => "waiting for the board to check and load the task",
            Doing::Running => "waiting for the task to end",
            Doing::Collecting => "fetching the result",
            Doing::Asking => "asking the board",
            Doing::Closing => "closing the session",
        }
    }
}

/// Why a client gave up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClientError {
    /// Nothing answers at the address.
    NoAnswer {
        /// How long it was tried.
        waited_ms: u32,
    },
    /// The board there has another key than the one recorded.
    WrongKey {
        /// Short name of the key recorded.
        expected: KeyId,
        /// Short name of the key found.
        found: KeyId,
    },
    /// The board answers the handshake, but with another pre-shared key (or
    /// somebody on the way spoils its answers).
    WrongPsk,
    /// The board answers HELLO but not the handshake: this client's key is not
    /// on its list, or its handshake counter was used before.
    HandshakeRefused {
        /// What the board was doing.
        state: State,
    },
    /// The board speaks another version.
    Version {
        /// Which.
        board: u8,
    },
    /// The board runs no tasks at all.
    BoardFault {
        /// Why.
        reason: Reason,
    },
    /// The board does not give this client a role it needs.
    RoleRefused {
        /// What it gives.
        granted: Roles,
    },
    /// Another task is active.
    Busy {
        /// When it must have ended, ms.
        free_in_ms: u32,
    },
    /// The board said no.
    Rejected {
        /// To what.
        during: Doing,
        /// Why.
        status: Status,
        /// A number whose meaning depends on the status.
        detail: u32,
        /// More, for a human; often empty.
        message: Message,
    },
    /// The board was there and is not heard of any more.
    BoardLost {
        /// What was being done.
        during: Doing,
        /// How long it has been silent.
        silent_ms: u32,
    },
    /// The board restarted: what became of the task is unknown; it was not run again.
    BootChanged {
        /// What was being done.
        during: Doing,
    },
    /// The task ended, but the board no longer has (all of) its output.
    OutputLost {
        /// Bytes that arrived.
        have: u32,
        /// Bytes there were.
        len: u32,
    },
    /// The output that arrived is not what the receipt says.
    OutputDigest,
    /// Ended by the caller before the task was submitted.
    Aborted,
    /// Image, input or argument string are too long.
    TooBig,
    /// No good randomness.
    Random,
    /// The board sent something that makes no sense.
    Protocol(&'static str),
}

impl From<CodecError> for ClientError {
    fn from(error: CodecError) -> Self {
        ClientError::Protocol(match error {
            CodecError::Malformed => "an answer does not decode",
            CodecError::NotCanonical => "an answer is not in its one valid encoding",
            CodecError::NoRoom => "a request does not fit its datagram",
        })
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::NoAnswer { waited_ms } => {
                write!(f, "no answer from the board for {waited_ms} ms")
            }
            ClientError::WrongKey { .. } => {
                f.write_str("the board has another key than the one recorded")
            }
            ClientError::WrongPsk => f.write_str("the board uses another pre-shared key"),
            ClientError::HandshakeRefused { state } => {
                write!(f, "the board ({}) does not accept the handshake", state.text())
            }
            ClientError::Version { board } => {
                write!(f, "the board speaks version {board} of the protocol")
            }
            ClientError::BoardFault { reason } => {
                write!(f, "the board runs no tasks: {}", reason.text())
            }
            ClientError::RoleRefused { .. } => {
                f.write_str("the board does not give this client the role it needs")
            }
            ClientError::Busy { free_in_ms } => {
                write!(f, "the board is busy for at most {free_in_ms} ms more")
            }
            ClientError::Rejected { during, status, .. } => {
                write!(f, "refused while {}: {status}", during.text())
            }
            ClientError::BoardLost { during, silent_ms } => {
                write!(f, "the board fell silent {silent_ms} ms ago while {}", during.text())
            }
            ClientError::BootChanged { during } => {
                write!(f, "the board restarted while {}", during.text())
            }
            ClientError::OutputLost { have, len } => {
                write!(f, "only {have} of {len} bytes of output could be had")
            }
            ClientError::OutputDigest => f.write_str("the output is not what the receipt says"),
            ClientError::Aborted => f.write_str("given up before the task was submitted"),
            ClientError::TooBig => f.write_str("the task is too big to be sent"),
            ClientError::Random => f.write_str("no good randomness"),
            ClientError::Protocol(what) => f.write_str(what),
        }
    }
}

impl core::error::Error for ClientError {}
