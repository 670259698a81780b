//! The services, typed and safe.

use crate::{Error, Net, sys};
use sk_abi::task;

/// The kernel, as a payload sees it: handed to the function of
/// [`crate::entry!`].
#[derive(Debug)]
pub struct Kernel {
    pub(crate) sys: sys::Sys,
}

/// What is known of the board a payload runs on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Board {
    /// The revision code burnt into it.
    pub revision: u32,
    /// Highest clock of the core in MHz.
    pub cpu_mhz_max: u32,
    /// Behind the MMU in user mode (else privileged).
    pub shielded: bool,
    /// Known to be an emulator: cycle counts mean nothing.
    pub emulated: bool,
}

impl Kernel {
    /// The bytes sent with the payload, where they lie.
    #[must_use]
    pub fn input(&self) -> &[u8] {
        self.sys.input()
    }

    /// The same as a stream, for code that reads piece by piece.
    #[must_use]
    pub fn reader(&self) -> Input<'_> {
        Input { k: self }
    }

    /// The arguments it was started with.
    pub fn args(&self) -> impl Iterator<Item = &str> {
        // One empty string is no argument, not an empty one.
        let all = self.sys.args();
        all.split('\0').filter(move |_| !all.is_empty())
    }

    /// The stream of results.
    #[must_use]
    pub fn output(&self) -> Writer<'_> {
        Writer { k: self, error: false }
    }

    /// The stream for what went wrong.
    #[must_use]
    pub fn error(&self) -> Writer<'_> {
        Writer { k: self, error: true }
    }

    /// A line for the board's log. Cut at 120 bytes; dropped by boards that
    /// keep no log of payloads.
    pub fn log(&self, line: &str) {
        self.sys.log(line);
    }

    /// Ends the task here.
    pub fn exit(&self, code: i32) -> ! {
        self.sys.exit(code)
    }

    /// Ends the task as failed (status PANIC), with a message of at most 200
    /// bytes.
    pub fn abort(&self, message: &str) -> ! {
        self.sys.abort(message)
    }

    /// Lets the kernel do what is due, then goes on.
    pub fn yield_now(&self) {
        self.sys.yield_now();
    }

    /// A sign of life; only tasks of which some are asked need it
    /// (`sk run --heartbeat`).
    pub fn beat(&self) {
        self.sys.beat();
    }

    /// Should the payload come to an end? It was told to, and is ended 5 ms
    /// later, or its time is almost over.
    #[must_use]
    pub fn should_stop(&self) -> bool {
        self.sys.should_stop()
    }

    /// Microseconds since the board started.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.sys.now()
    }

    /// Microseconds until the kernel ends the task.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.sys.remaining()
    }

    /// Waits until [`Kernel::now`] reaches `us`.
    pub fn sleep_until(&self, us: u64) {
        self.sys.sleep_until(us);
    }

    /// Waits for `us` microseconds.
    pub fn sleep(&self, us: u64) {
        self.sleep_until(self.now().saturating_add(us));
    }

    /// The core's cycle counter, which wraps; 0 where there is none.
    #[must_use]
    pub fn cycles(&self) -> u32 {
        self.sys.cycles()
    }

    /// Bytes of the task's heap: all of it, in use, the most ever in use.
    #[must_use]
    pub fn heap(&self) -> [u32; 3] {
        self.sys.heap()
    }

    /// The network.
    #[must_use]
    pub fn net(&self) -> Net<'_> {
        Net { k: self }
    }

    /// Facts of the board.
    #[must_use]
    pub fn board(&self) -> Board {
        let info = self.sys.info();
        Board {
            revision: info.board_revision,
            cpu_mhz_max: info.cpu_mhz_max,
            shielded: info.flags & task::flags::SHIELDED != 0,
            emulated: info.flags & task::flags::EMULATED != 0,
        }
    }
}

/// One of the task's streams. `write!` works on it without a trait in scope.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'k> {
    k: &'k Kernel,
    error: bool,
}

impl Writer<'_> {
    /// Appends all of `bytes`.
    ///
    /// # Errors
    /// The board took less. (Beyond the room the client asked for, the kernel
    /// ends the task, so this is not seen.)
    pub fn write_all(&self, bytes: &[u8]) -> Result<(), Error> {
        if self.k.sys.write(self.error, bytes) == bytes.len() {
            Ok(())
        } else {
            Err(Error::new("the output was not taken"))
        }
    }

    /// What `write!` calls.
    ///
    /// # Errors
    /// As [`Writer::write_all`]; a `Display` that fails.
    pub fn write_fmt(&self, args: core::fmt::Arguments<'_>) -> Result<(), Error> {
        match args.as_str() {
            Some(text) => self.write_all(text.as_bytes()),
            None => Ok(core::fmt::Write::write_fmt(&mut { *self }, args)?),
        }
    }
}

impl core::fmt::Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.write_all(text.as_bytes()).map_err(|_| core::fmt::Error)
    }
}

/// The input as a stream.
#[derive(Clone, Copy, Debug)]
pub struct Input<'k> {
    k: &'k Kernel,
}

impl Input<'_> {
    /// The next bytes: how many, 0 at the end.
    pub fn read(&mut self, buf: &mut [u8]) -> usize {
        self.k.sys.read(buf)
    }
}
