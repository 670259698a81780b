//! A user's desk: an `sk`, a folder for its keys, and boards it emulates.
//!
//! Everything goes through the `sk` program, as a user does it: what is tested
//! is what is typed.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::{PATIENCE, artefacts};

/// The `sk` to be tested: `$SK_BIN`, or as cargo built it.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn sk() -> PathBuf {
    let path = match (std::env::var_os("SK_BIN"), std::env::var_os("CARGO_TARGET_DIR")) {
        (Some(path), _) => PathBuf::from(path),
        (None, Some(target)) => PathBuf::from(target).join("debug/sk"),
        (None, None) => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/debug/sk"),
    };
    assert!(path.is_file(), "no sk at {}; run `cargo build -p sk`", path.display());
    path
}

/// An example's payload, as `cargo xtask payloads` built it.
///
/// # Panics
/// If it was not built.
#[must_use]
pub fn payload(name: &str) -> PathBuf {
    let path = artefacts().join(format!("{name}.skp"));
    assert!(path.is_file(), "no {}; run `cargo xtask payloads`", path.display());
    path
}

/// What a command came to.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; -1 if it was killed.
    pub code: i32,
    /// Standard output.
    pub out: Vec<u8>,
    /// Standard error.
    pub err: String,
}

impl Ran {
    /// The line that starts with `error:`, for the tests of sentences.
    #[must_use]
    pub fn error(&self) -> &str {
        let error = self.err.lines().find_map(|line| line.strip_prefix("error: "));
        error.unwrap_or_else(|| panic!("no error in: {self:?}"))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: output.stdout,
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A user's folder.
#[derive(Debug)]
pub struct Desk {
    home: tempfile::TempDir,
}

impl Default for Desk {
    fn default() -> Self {
        Self::new()
    }
}

impl Desk {
    /// A new user, without keys.
    ///
    /// # Panics
    /// If no folder can be made.
    #[must_use]
    pub fn new() -> Self {
        Self { home: tempfile::tempdir().expect("a folder") }
    }

    /// Where its keys are.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        self.home.path().join("keys")
    }

    /// A folder for what it makes.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.home.path()
    }

    /// `sk` with this user's folders: no board of another test is in its registry.
    #[must_use]
    pub fn sk(&self) -> Command {
        let mut command = Command::new(sk());
        command
            .env("SK_HOME", self.keys())
            .env("XDG_RUNTIME_DIR", self.home.path())
            .env("XDG_CACHE_HOME", self.home.path().join("cache"))
            .env("SK_KERNEL", artefacts().join("kernel.img"))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    /// Runs `sk` with `arguments`, which gets `input`.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn run(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut command = self.sk();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("sk starts");
        let mut stdin = child.stdin.take().expect("piped");
        std::thread::scope(|scope| {
            // A command that fails early does not read its input.
            scope.spawn(move || stdin.write_all(input));
            child.wait_with_output().expect("sk ends").into()
        })
    }

    /// Runs a payload on board `board`.
    #[must_use]
    pub fn run_payload(&self, board: &str, payload: &Path, more: &[&str], input: &[u8]) -> Ran {
        let payload = payload.to_str().expect("UTF-8");
        let (options, args) =
            more.split_at(more.iter().position(|a| *a == "--").unwrap_or(more.len()));
        let mut all = vec!["run", "--board", board];
        all.extend(options);
        all.push(payload);
        all.extend(args);
        self.run(&all, input)
    }

    /// `sk emu` with `arguments`; waits until the board is ready.
    #[must_use]
    pub fn emu(&self, name: &str, arguments: &[&str]) -> Emu {
        let mut arguments: Vec<_> = arguments.iter().map(|&a| a.to_owned()).collect();
        for (variable, option) in [("SK_MACHINE", "--board"), ("SK_ADAPTER", "--adapter")] {
            if let Ok(chosen) = std::env::var(variable) {
                arguments.extend([option.to_owned(), chosen]);
            }
        }
        self.start(name, &arguments)
    }

    /// As [`Desk::emu`], a board with a LAN9512, whatever is chosen.
    ///
    /// # Panics
    /// As there.
    #[must_use]
    pub fn emu_1b(&self, name: &str) -> Emu {
        self.start(name, &["--board".to_owned(), "1b".to_owned()])
    }

    /// As [`Desk::emu`], with these arguments and no others.
    ///
    /// # Panics
    /// As there.
    #[must_use]
    pub fn start(&self, name: &str, arguments: &[String]) -> Emu {
        let mut command = self.sk();
        command.args(["emu", "--name", name]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("sk emu starts");
        let stdout = child.stdout.take().expect("piped");
        let (tell, said) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    break;
                }
            }
        });
        let mut emu = Emu { child, said, ready: String::new() };
        let prefix = format!("board {name} ");
        emu.ready = emu.wait_for(&prefix);
        emu
    }
}

/// A board run by `sk emu`; ended when dropped.
#[derive(Debug)]
pub struct Emu {
    child: Child,
    said: mpsc::Receiver<String>,
    /// The line that told it is there.
    pub ready: String,
}

impl Emu {
    /// The first line that starts with `prefix`.
    ///
    /// # Panics
    /// If none comes.
    pub fn wait_for(&mut self, prefix: &str) -> String {
        let end = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        while let Ok(line) = self.said.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if line.starts_with(prefix) {
                return line;
            }
            seen.push(line);
        }
        panic!("sk emu did not say '{prefix}…' but {seen:?}");
    }

    /// Ends the board at once, as a power cut does.
    pub fn cut(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Emu {
    fn drop(&mut self) {
        self.cut();
    }
}

/// Bytes that look like nothing in particular, the same every time.
#[must_use]
pub fn noise(len: usize, seed: u32) -> Vec<u8> {
    let mut x = seed | 1;
    std::iter::repeat_with(|| {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        x.to_le_bytes()[0]
    })
    .take(len)
    .collect()
}

/// Reads all of a stream that a child wrote.
///
/// # Panics
/// If it cannot be read.
pub fn all(stream: &mut impl Read) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("readable");
    text
}

/// Waits for a child at most so long; `None` if it is still there.
pub fn ended(child: &mut Child, within: Duration) -> Option<i32> {
    let end = Instant::now() + within;
    while Instant::now() < end {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status.code().unwrap_or(-1));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}
