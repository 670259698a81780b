//! QEMU's control socket (QMP): JSON lines, one command at a time.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::{Error, Result};

/// QEMU answers a command at once or not at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// The control socket of a running board.
pub struct Qmp {
    stream: UnixStream,
    replies: Receiver<Value>,
    events: Arc<Mutex<Vec<Value>>>,
}

impl Qmp {
    /// Connects and negotiates. QEMU answers only when the machine is complete.
    pub(crate) fn connect(path: &Path) -> Result<Self> {
        let stream = UnixStream::connect(path).map_err(Error::io("QEMU's control socket"))?;
        let reader = stream.try_clone().map_err(Error::io("QEMU's control socket"))?;
        let (sender, replies) = channel();
        let events = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&events);
        std::thread::spawn(move || {
            for line in BufReader::new(reader).lines() {
                let Ok(line) = line else { break };
                let Ok(value) = serde_json::from_str::<Value>(&line) else {
                    continue;
                };
                if value.get("event").is_some() {
                    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    kept.push(value);
                } else if value.get("QMP").is_none() && sender.send(value).is_err() {
                    break;
                }
            }
        });
        let mut qmp = Self { stream, replies, events };
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Carries out one command and returns its `return` value.
    ///
    /// # Errors
    /// [`Error::Qmp`] with QEMU's own words, or if it does not answer.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let mut line = json!({ "execute": command, "arguments": arguments }).to_string();
        line.push('\n');
        self.stream.write_all(line.as_bytes()).map_err(Error::io("QEMU's control socket"))?;
        let mut reply = self
            .replies
            .recv_timeout(PATIENCE)
            .map_err(|_| Error::Qmp(format!("no answer to {command}")))?;
        match reply.get_mut("return") {
            Some(value) => Ok(value.take()),
            None => Err(Error::Qmp(format!("{command}: {}", reply["error"]["desc"]))),
        }
    }

    /// Writes what the screen shows, as PPM or, if the name ends so, as PNG.
    ///
    /// # Errors
    /// As for [`execute`](Self::execute).
    pub fn screendump(&mut self, file: &Path) -> Result<()> {
        let format = match file.extension() {
            Some(end) if end == "png" => "png",
            _ => "ppm",
        };
        let name = file.to_string_lossy();
        self.execute("screendump", json!({ "filename": name, "format": format }))?;
        Ok(())
    }

    /// The events so far, oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often the machine has reset itself, where that does not end it.
    #[must_use]
    pub fn resets(&self) -> usize {
        let by_guest = |event: &&Value| event["event"] == "RESET" && event["data"]["guest"] == true;
        self.events().iter().filter(by_guest).count()
    }

    /// Why the machine was shut down: `guest-reset`, `guest-shutdown`, …
    #[must_use]
    pub fn shutdown_reason(&self) -> Option<String> {
        self.events()
            .iter()
            .rev()
            .find(|event| event["event"] == "SHUTDOWN")
            .and_then(|event| event["data"]["reason"].as_str().map(str::to_owned))
    }
}
