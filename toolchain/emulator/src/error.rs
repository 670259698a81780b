//! What can go wrong, each with what to do about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a board could not be started, or did not do what was waited for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// QEMU is not installed.
    #[error(
        "{} was not found; it comes with the package qemu-system-arm \
         (Debian, Ubuntu: `sudo apt install qemu-system-arm`; macOS: `brew install qemu`), \
         or set SK_QEMU to its path", program.display()
    )]
    NoQemu {
        /// The program looked for.
        program: PathBuf,
    },
    /// A file that the board needs is not there.
    #[error("{what} {} cannot be read: {source}", path.display())]
    Unreadable {
        /// What the file is for.
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file that is to be written cannot be.
    #[error("{what} {} cannot be written: {source}", path.display())]
    Unwritable {
        /// What the file is for.
        what: &'static str,
        /// Where it was to be.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The board's network cable cannot be plugged in on this host.
    #[error("the cable {cable} cannot be used: {source}{}", cure(source))]
    Cable {
        /// Which one.
        cable: String,
        /// What the system said.
        source: io::Error,
    },
    /// The counting plugin was not built.
    #[error(
        "libsk_plugin.so was not found; build it with `cargo build -p sk-plugin`, or set SK_PLUGIN"
    )]
    NoPlugin,
    /// The configuration makes no sense.
    #[error("{0}")]
    Config(String),
    /// Another board of that name is running.
    #[error("a board named {name} is already running (process {pid})")]
    NameTaken {
        /// The name asked for.
        name: String,
        /// The process that has it.
        pid: u32,
    },
    /// QEMU ended although the board was to go on.
    #[error(
        "QEMU ended ({status}){}",
        Quoted("it said", stderr, "last lines of the serial port", serial)
    )]
    Ended {
        /// How the process ended.
        status: String,
        /// What QEMU wrote on its standard error.
        stderr: String,
        /// The last lines of the serial port.
        serial: String,
    },
    /// What was waited for did not come in time.
    #[error(
        "{what} did not come within {:.1} s{}", after.as_secs_f32(),
        Quoted("QEMU said", stderr, "last lines of the serial port", serial)
    )]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        after: Duration,
        /// What QEMU wrote on its standard error.
        stderr: String,
        /// The last lines of the serial port.
        serial: String,
    },
    /// QEMU's control socket did not do its part.
    #[error("QEMU's control socket: {0}")]
    Qmp(String),
    /// The system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err` on system calls.
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    /// The same for a file that is made.
    pub(crate) fn unwritable(
        what: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Unwritable { what, path, source }
    }
}

/// What to do about a cable.
fn cure(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            "; a tap interface takes CAP_NET_ADMIN: run as root, or have root make it yours with \
             `ip tuntap add dev NAME mode tap user YOU`"
        }
        io::ErrorKind::NotFound => "; /dev/net/tun is missing: load the kernel module `tun`",
        io::ErrorKind::ResourceBusy => "; another program has it open",
        io::ErrorKind::AddrNotAvailable => "; LOCAL is an address of this host, or 0.0.0.0",
        io::ErrorKind::AddrInUse => "; another program listens there: choose another port",
        _ => "",
    }
}

/// Two blocks of text under their titles, each left out when empty.
struct Quoted<'a>(&'a str, &'a str, &'a str, &'a str);

impl std::fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (title, text) in [(self.0, self.1), (self.2, self.3)] {
            if !text.is_empty() {
                write!(f, "\n{title}:")?;
                for line in text.lines() {
                    write!(f, "\n  {line}")?;
                }
            }
        }
        Ok(())
    }
}
