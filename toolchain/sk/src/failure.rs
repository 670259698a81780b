//! Why a verb failed: a sentence with the cause, a line with the cure, a code.

use std::io;
use std::path::Path;

use sk_client::{Error, StoreError, exit};
use sk_pack::{BuildError, PackError};

/// What is shown, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    pub(crate) code: u8,
    /// More, such as registers.
    pub(crate) details: Vec<String>,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, code: exit::BOARD, details: Vec::new() }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// A file that cannot be read or written.
    pub(crate) fn file(path: &Path, error: &io::Error) -> Self {
        Self::new(format!("{}: {error}", path.display()))
    }

    /// The code of a verb that has no payload's code to pass on.
    pub(crate) fn code_of_a_tool(&self) -> u8 {
        match self.code {
            exit::INTERRUPTED => exit::INTERRUPTED,
            _ => 1,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            message: error.to_string(),
            help: error.help(),
            code: error.exit_code(),
            details: Vec::new(),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Error::from(error).into()
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::NoPackage(_) => Self::new(error.to_string())
                .help("name the folder of a payload's Cargo.toml, or a payload image (.skp)")
                .code(exit::NOT_FOUND),
            BuildError::NotC(ref path) if path.extension().is_none() => {
                Self::new(error.to_string())
                    .help("name one folder of a package, or the source files (.c) of one payload")
            }
            BuildError::File { error: ref cause, .. }
                if cause.kind() == io::ErrorKind::NotFound =>
            {
                Self::new(error.to_string()).code(exit::NOT_FOUND)
            }
            BuildError::Pack(error) => error.into(),
            error => Self::new(error.to_string()),
        }
    }
}

impl From<PackError> for Failure {
    fn from(error: PackError) -> Self {
        Self::new(error.to_string()).code(exit::REJECTED)
    }
}

impl From<sk_emulator::Error> for Failure {
    fn from(error: sk_emulator::Error) -> Self {
        Self::new(error.to_string())
    }
}
