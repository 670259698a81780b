//! The text of the serial port: kept whole, cut into lines, waited for.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::{Error, Result, Serial};

/// A board in a loop must not fill the host's memory: this much is kept.
const MAX_KEPT: usize = 16 << 20;

/// Lines quoted in an error.
const QUOTED: usize = 20;

#[derive(Default)]
struct State {
    raw: Vec<u8>,
    lines: Vec<String>,
    partial: Vec<u8>,
    /// The first line that no `wait` has gone past.
    unread: usize,
    closed: bool,
}

/// What a board has said so far.
#[derive(Clone, Default)]
pub(crate) struct Console(Arc<(Mutex<State>, Condvar)>);

/// Why a wait ended without its line.
pub(crate) enum NoLine {
    Closed,
    Timeout,
}

impl Console {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the thread that takes what comes from `source`.
    pub(crate) fn follow(&self, mut source: impl Read + Send + 'static, to: &Serial) -> Result<()> {
        let mut copy: Option<Box<dyn Write + Send>> = match to {
            Serial::Capture => None,
            Serial::Inherit => Some(Box::new(std::io::stdout())),
            Serial::File(path) => Some(Box::new(
                File::create(path).map_err(Error::io("the file for the serial port"))?,
            )),
        };
        let console = self.clone();
        std::thread::Builder::new()
            .name("serial".to_owned())
            .spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(n @ 1..) = source.read(&mut buffer) {
                    if let Some(copy) = &mut copy {
                        // A full disk must not stop the board.
                        let _ = copy.write_all(&buffer[..n]).and_then(|()| copy.flush());
                    }
                    console.take(&buffer[..n]);
                }
                console.close();
            })
            .map_err(Error::io("a thread for the serial port"))?;
        Ok(())
    }

    fn take(&self, bytes: &[u8]) {
        let mut state = self.state();
        if state.raw.len() < MAX_KEPT {
            state.raw.extend_from_slice(bytes);
            for &byte in bytes {
                match byte {
                    b'\n' => {
                        let line = std::mem::take(&mut state.partial);
                        state.lines.push(text(&line));
                    }
                    _ => state.partial.push(byte),
                }
            }
        }
        drop(state);
        self.0.1.notify_all();
    }

    fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        let rest = std::mem::take(&mut state.partial);
        if !rest.is_empty() {
            state.lines.push(text(&rest));
        }
        drop(state);
        self.0.1.notify_all();
    }

    /// The next line that holds `pattern`, looking on from where the last wait
    /// ended.
    pub(crate) fn wait(
        &self,
        pattern: &str,
        timeout: Duration,
    ) -> std::result::Result<String, NoLine> {
        let deadline = Instant::now() + timeout;
        let mut state = self.state();
        loop {
            while let Some(line) = state.lines.get(state.unread) {
                let found = line.contains(pattern).then(|| line.clone());
                state.unread += 1;
                if let Some(line) = found {
                    return Ok(line);
                }
            }
            if state.closed {
                return Err(NoLine::Closed);
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return Err(NoLine::Timeout);
            };
            state = self.0.1.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.state().lines.clone()
    }

    pub(crate) fn raw(&self) -> Vec<u8> {
        self.state().raw.clone()
    }

    /// The last lines and what came after them, to be quoted.
    pub(crate) fn tail(&self) -> String {
        let state = self.state();
        let from = state.lines.len().saturating_sub(QUOTED);
        let mut tail = state.lines[from..].join("\n");
        if !state.partial.is_empty() {
            tail.push('\n');
            tail.push_str(&text(&state.partial));
        }
        tail
    }
}

/// A line as text, without the carriage return before its end.
fn text(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    String::from_utf8_lossy(line).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_goes_on_where_the_last_one_ended() {
        let console = Console::default();
        console.take(b"one ready\r\ntwo\nthree rea");
        assert_eq!(console.wait("ready", Duration::ZERO).ok().as_deref(), Some("one ready"));
        assert!(matches!(console.wait("ready", Duration::ZERO), Err(NoLine::Timeout)));
        console.take(b"dy\n");
        assert_eq!(console.wait("ready", Duration::ZERO).ok().as_deref(), Some("three ready"));
        console.take(b"cut");
        console.close();
        assert!(matches!(console.wait("ready", Duration::from_secs(9)), Err(NoLine::Closed)));
        assert_eq!(console.lines().len(), 4);
    }
}
