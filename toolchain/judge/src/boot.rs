//! A guest in QEMU: started, listened to on its serial line, and ended with
//! this value.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::packages::Packages;

/// What every guest is started with.
pub(crate) struct Machine {
    /// `qemu-system-arm`.
    pub(crate) qemu: PathBuf,
    /// Debian's kernel.
    pub(crate) packages: Packages,
    /// The root file system's archive.
    pub(crate) archive: PathBuf,
}

impl Machine {
    /// QEMU's first line about itself.
    pub(crate) fn version(&self) -> Result<String> {
        let output = Command::new(&self.qemu)
            .arg("--version")
            .output()
            .with_context(|| format!("cannot start {}", self.qemu.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }

    /// Initialisers that reach for what QEMU's board does not have: the power
    /// domains abort, and from 8.0 on the firmware's clocks hang.
    fn blacklist(&self) -> &'static str {
        let old = self.version().is_ok_and(|line| line.contains("version 7."));
        if old {
            "bcm2835_power_driver_init"
        } else {
            "bcm2835_power_driver_init,raspberrypi_clk_driver_init"
        }
    }
}

/// A running guest.
pub(crate) struct Guest {
    child: Child,
    console: Option<ChildStdin>,
    lines: Receiver<String>,
    /// What it reported so far.
    pub(crate) reports: Vec<String>,
    /// Lines of its kernel that are an answer by themselves, the first ones.
    pub(crate) alarms: Vec<String>,
}

/// A checksum from the adapter that did not fit its packet, a transmitter that
/// got stuck, or worse.
const ALARMS: [&str; 5] = ["csum failure", "NETDEV WATCHDOG", "WARNING:", "Oops", "BUG:"];
const ALARMS_KEPT: usize = 5;

impl Guest {
    /// Starts one with `devices` on its USB port, its serial line in `log`.
    pub(crate) fn start(machine: &Machine, devices: &[OsString], log: &Path) -> Result<Self> {
        let blacklist = machine.blacklist();
        let append =
            format!("console=ttyAMA0,115200 panic=-1 loglevel=5 initcall_blacklist={blacklist}");
        let mut file = File::create(log).with_context(|| log.display().to_string())?;
        let mut child = Command::new(&machine.qemu)
            .args(["-machine", "raspi0", "-display", "none", "-monitor", "none"])
            .args(["-serial", "stdio", "-no-reboot"])
            .arg("-kernel")
            .arg(machine.packages.kernel())
            .arg("-dtb")
            .arg(machine.packages.device_tree())
            .arg("-initrd")
            .arg(&machine.archive)
            .args(["-append", &append])
            .args(devices)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file.try_clone()?)
            .spawn()
            .context("cannot start QEMU")?;
        let console = child.stdin.take();
        let output = child.stdout.take().context("QEMU's output")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while output.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let _ = file.write_all(&line);
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                line.clear();
                if sender.send(text).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, console, lines, reports: Vec::new(), alarms: Vec::new() })
    }

    /// Waits for a report that begins with `word` and returns its rest.
    pub(crate) fn wait(&mut self, word: &str, patience: Duration) -> Result<String> {
        let until = Instant::now() + patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    let Some((_, report)) = line.split_once("JUDGE ") else {
                        let alarm = ALARMS.iter().any(|alarm| line.contains(alarm));
                        if alarm && self.alarms.len() < ALARMS_KEPT {
                            self.alarms.push(line);
                        }
                        continue;
                    };
                    self.reports.push(report.to_owned());
                    if let Some(rest) = report.strip_prefix(word) {
                        return Ok(rest.trim().to_owned());
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    bail!("no \"{word}\" within {} s", patience.as_secs())
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.child.wait()?;
                    bail!("QEMU ended ({status}) before \"{word}\"")
                }
            }
        }
    }

    /// Gives it an order.
    pub(crate) fn order(&mut self, word: &str) -> Result<()> {
        let console = self.console.as_mut().context("no console")?;
        writeln!(console, "{word}")?;
        Ok(console.flush()?)
    }

    /// The first report that begins with `word`, without it.
    pub(crate) fn report<'a>(&'a self, word: &'a str) -> Option<&'a str> {
        self.all(word).next()
    }

    /// All reports that begin with `word`, without it.
    pub(crate) fn all<'a>(&'a self, word: &'a str) -> impl Iterator<Item = &'a str> {
        self.reports.iter().filter_map(move |line| line.strip_prefix(word)).map(str::trim)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
