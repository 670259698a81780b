//! The QEMU process: started so that it cannot outlive its owner.

use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// A running QEMU.
pub(crate) struct Keeper {
    child: Child,
    stderr: Arc<Mutex<Vec<u8>>>,
    /// Ends the thread that started the process.
    _release: Sender<()>,
}

/// Where a program lies, looked up as a shell would.
pub(crate) fn find(program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return program.is_file().then(|| program.to_path_buf());
    }
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}

impl Keeper {
    /// Starts `program` with `arguments`.
    ///
    /// `setpriv` (util-linux) has the system kill the process when the thread
    /// that started it ends, so that thread is one of our own, which lives as
    /// long as the keeper does. Where there is no `setpriv`, only [`Drop`] ends
    /// the process.
    pub(crate) fn start(program: &Path, arguments: &[std::ffi::OsString]) -> Result<Self> {
        let program =
            find(program).ok_or_else(|| Error::NoQemu { program: program.to_path_buf() })?;
        let mut command = match find(Path::new("setpriv")) {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "KILL", "--"]).arg(&program);
                command
            }
            None => Command::new(&program),
        };
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());

        let (started, child) = channel();
        let (release, released) = channel();
        std::thread::Builder::new()
            .name("qemu".to_owned())
            .spawn(move || {
                if started.send(command.spawn()).is_ok() {
                    let _ = released.recv();
                }
            })
            .map_err(Error::io("a thread for QEMU"))?;
        let mut child = child
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("its thread ended")))
            .map_err(Error::io("QEMU cannot be started"))?;

        let stderr = Arc::new(Mutex::new(Vec::new()));
        if let Some(mut pipe) = child.stderr.take() {
            let stderr = Arc::clone(&stderr);
            std::thread::spawn(move || {
                let mut buffer = [0; 1024];
                while let Ok(n @ 1..) = pipe.read(&mut buffer) {
                    let mut text = stderr.lock().unwrap_or_else(PoisonError::into_inner);
                    if text.len() < 1 << 20 {
                        text.extend_from_slice(&buffer[..n]);
                    }
                }
            });
        }
        Ok(Self { child, stderr, _release: release })
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn stderr(&self) -> String {
        let text = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&text).trim_end().to_owned()
    }

    /// How the process ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for the end of the process.
    pub(crate) fn wait(&mut self, timeout: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The end of a process in words.
pub(crate) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(6)) => "it aborted".to_owned(),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown status".to_owned(),
    }
}
