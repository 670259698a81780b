//! A running board.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ChildStdin;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::command::{MAC, arguments, forget, free_port};
use crate::front::{self, Front};
use crate::keeper::{Keeper, describe};
use crate::lan::{Lan, Traffic};
use crate::registry::{self, Entry, Registration};
use crate::serial::{Console, NoLine};
use crate::{BoardConfig, Error, Net, Qmp, Result};

/// QEMU needs 50 ms to set up a machine; a loaded host more.
const START: Duration = Duration::from_secs(30);

/// A free port can be taken before QEMU binds it.
const ATTEMPTS: u32 = 4;

/// How a board ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// QEMU's exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// QEMU's word for why: `guest-reset` or `guest-shutdown` when the board
    /// did it (a reset ends the emulation too).
    pub reason: Option<String>,
}

/// A board in QEMU, which ends when this value is dropped.
pub struct Board {
    name: String,
    address: Option<SocketAddr>,
    // In the order in which they are to go.
    _registration: Option<Registration>,
    qmp: Qmp,
    stdin: Option<ChildStdin>,
    keeper: Keeper,
    front: Option<Front>,
    lan: Option<Lan>,
    console: Console,
    _dir: TempDir,
}

impl Board {
    /// Starts a board and returns when its processor has begun to run.
    ///
    /// # Errors
    /// [`Error::NoQemu`], [`Error::Unreadable`] for the kernel,
    /// [`Error::NameTaken`], [`Error::Ended`] with QEMU's own words if it
    /// refuses the machine.
    pub fn start(config: BoardConfig) -> Result<Self> {
        registry::check_name(&config.name)?;
        let mut attempt = 1;
        loop {
            match Self::try_start(&config) {
                Err(Error::Ended { stderr, .. })
                    if attempt < ATTEMPTS
                        && matches!(config.network, Net::Slirp { host_port: 0, .. })
                        && stderr.contains("host forwarding") =>
                {
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    fn try_start(config: &BoardConfig) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("sk-board-")
            .tempdir()
            .map_err(Error::io("a temporary folder"))?;
        let mut lan = None;
        let address = match config.network {
            Net::User { host_port, guest_port } => {
                let lan =
                    lan.insert(Lan::start(dir.path(), MAC, host_port, guest_port, config.faults)?);
                Some(lan.address())
            }
            Net::Slirp { host_port, .. } => {
                let port = if host_port == 0 { free_port()? } else { host_port };
                Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
            }
            Net::Dgram { .. } | Net::Tap(_) | Net::None => None,
        };
        let front = front::start(config, dir.path())?;
        let arguments = arguments(config, dir.path(), address.map_or(0, |a| a.port()))?;
        let mut keeper = Keeper::start(&config.qemu, &arguments)?;
        let console = Console::default();
        if let Some(stdout) = keeper.child().stdout.take() {
            console.follow(stdout, &config.serial)?;
        }
        let mut qmp = connect(&mut keeper, &dir.path().join("qmp"))?;
        forget(dir.path());
        let registration = match address {
            Some(address) => Some(registry::register(&Entry {
                name: config.name.clone(),
                address,
                pid: keeper.pid(),
                noise_pk: config.noise_pk.map(hex),
                machine: config.machine.name().to_owned(),
            })?),
            None => None,
        };
        qmp.execute("cont", json!({}))?;
        Ok(Self {
            name: config.name.clone(),
            address,
            _registration: registration,
            qmp,
            stdin: keeper.child().stdin.take(),
            keeper,
            front,
            lan,
            console,
            _dir: dir,
        })
    }

    /// The name in the registry.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where clients on this host reach the board's port, with [`Net::User`] and
    /// [`Net::Slirp`].
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Forwards another of the board's UDP ports and returns where it is
    /// reached on this host.
    ///
    /// # Errors
    /// [`Error::Config`] unless the network is [`Net::User`].
    pub fn forward(&self, guest_port: u16) -> Result<SocketAddr> {
        match &self.lan {
            Some(lan) => lan.forward(0, guest_port),
            None => Err(Error::Config("this network forwards one port".to_owned())),
        }
    }

    /// What went over the cable of [`Net::User`].
    #[must_use]
    pub fn traffic(&self) -> Option<Traffic> {
        self.lan.as_ref().map(Lan::traffic)
    }

    /// The modelled adapter, if the board has one.
    #[must_use]
    pub fn adapter(&self) -> Option<&Front> {
        self.front.as_ref()
    }

    /// QEMU's process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.keeper.pid()
    }

    /// The next line of the serial port that holds `pattern`. Each call looks
    /// on from where the last one ended.
    ///
    /// # Errors
    /// [`Error::Timeout`]; [`Error::Ended`] as soon as QEMU has ended. Both
    /// quote the last lines.
    pub fn wait_for_line(&mut self, pattern: &str, timeout: Duration) -> Result<String> {
        match self.console.wait(pattern, timeout) {
            Ok(line) => Ok(line),
            Err(NoLine::Timeout) => Err(Error::Timeout {
                what: format!("a line with \"{pattern}\""),
                after: timeout,
                stderr: self.keeper.stderr(),
                serial: self.console.tail(),
            }),
            Err(NoLine::Closed) => {
                let status = self.keeper.wait(Duration::from_secs(5));
                Err(Error::Ended {
                    status: status.map_or_else(|| "still running".to_owned(), describe),
                    stderr: self.keeper.stderr(),
                    serial: self.console.tail(),
                })
            }
        }
    }

    /// All complete lines of the serial port so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.console.lines()
    }

    /// All bytes of the serial port so far.
    #[must_use]
    pub fn output(&self) -> Vec<u8> {
        self.console.raw()
    }

    /// Sends bytes to the board's serial port.
    ///
    /// # Errors
    /// [`Error::Io`] if QEMU has ended.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(stdin) = &mut self.stdin else {
            return Ok(());
        };
        stdin.write_all(bytes).and_then(|()| stdin.flush()).map_err(Error::io("the serial port"))
    }

    /// QEMU's control socket.
    pub fn qmp(&mut self) -> &mut Qmp {
        &mut self.qmp
    }

    /// Writes what the screen shows, as PPM or PNG.
    ///
    /// # Errors
    /// [`Error::Qmp`].
    pub fn screendump(&mut self, file: &Path) -> Result<()> {
        self.qmp.screendump(file)
    }

    /// Waits until the board has ended by itself.
    ///
    /// # Errors
    /// [`Error::Timeout`].
    pub fn wait_exit(&mut self, timeout: Duration) -> Result<Exit> {
        match self.keeper.wait(timeout) {
            Some(status) => Ok(Exit { code: status.code(), reason: self.qmp.shutdown_reason() }),
            None => Err(Error::Timeout {
                what: "the end of the board".to_owned(),
                after: timeout,
                stderr: self.keeper.stderr(),
                serial: self.console.tail(),
            }),
        }
    }

    /// How often the board has reset itself ([`BoardConfig::reboot`]).
    #[must_use]
    pub fn resets(&self) -> usize {
        self.qmp.resets()
    }

    /// What QEMU wrote on its standard error.
    #[must_use]
    pub fn qemu_said(&self) -> String {
        self.keeper.stderr()
    }

    /// Ends the board at once, as pulling the plug would.
    pub fn kill(self) {
        drop(self);
    }

    /// Ends the board in good order: QEMU runs its exit handlers, so the
    /// counting plugin writes its file.
    ///
    /// # Errors
    /// [`Error::Timeout`] if QEMU does not end.
    pub fn quit(mut self, timeout: Duration) -> Result<Exit> {
        // The answer may be lost with the process.
        let _ = self.qmp.execute("quit", json!({}));
        self.wait_exit(timeout)
    }
}

/// Connects to the control socket as soon as QEMU has made it.
fn connect(keeper: &mut Keeper, socket: &Path) -> Result<Qmp> {
    let deadline = Instant::now() + START;
    loop {
        match Qmp::connect(socket) {
            Ok(qmp) => return Ok(qmp),
            Err(_) if keeper.ended().is_none() && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => {
                let Some(status) = keeper.ended() else {
                    return Err(error);
                };
                // The thread that reads it may be behind.
                std::thread::sleep(Duration::from_millis(20));
                return Err(Error::Ended {
                    status: describe(status),
                    stderr: keeper.stderr(),
                    serial: String::new(),
                });
            }
        }
    }
}

fn hex(bytes: [u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
