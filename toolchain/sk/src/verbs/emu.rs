//! `sk emu`: a board in QEMU, with keys of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sk_client::{Addressing, Found, Search, State, Store};
use sk_emulator::{Board, BoardConfig, GUEST_PORT, Machine, Net, Serial};

use crate::failure::Failure;
use crate::{clients, kernel, stop, terminal, units};

/// A board that has said nothing for so long is probably stuck.
const SLOW: Duration = Duration::from_secs(30);
/// How often the board, the signals and the clock are looked at.
const GLANCE: Duration = Duration::from_millis(100);
/// Lines of the serial port shown when something is wrong.
const QUOTED: usize = 12;

/// Runs an emulated board until Ctrl-C
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  sk emu --name attic-1\n  sk emu --name attic-2 --uart - --for 1m\n\n\
                        Prints 'board NAME ready on ADDRESS' when the board answers. Its keys are made on first\n\
                        use and kept under its name in $SK_HOME. Needs qemu-system-arm."
)]
pub(crate) struct Args {
    /// The board's name: 1 to 16 letters, digits, '-' or '_'
    #[arg(long, short, default_value = "emu")]
    name: String,
    /// kernel.img or its folder; without it target/serverkernel here or above,
    /// then the installed one
    #[arg(long, short, env = "SK_KERNEL", value_name = "FILE")]
    kernel: Option<PathBuf>,
    /// Which board
    #[arg(long, short, default_value = "zero", value_enum)]
    machine: Model,
    /// UDP port on this host; without it a free one
    #[arg(long, short, default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// One more UDP port of the board to be reached from here; may be repeated
    #[arg(long, value_name = "PORT")]
    forward: Vec<u16>,
    /// A fixed address instead of DHCP; the emulated network is 10.0.2.0/24
    /// with the router 10.0.2.2
    #[arg(long = "static", value_name = "IP/PREFIX[,ROUTER]", value_parser = units::addressing)]
    fixed: Option<Addressing>,
    #[command(flatten)]
    clients: clients::Choice,
    /// Boot without a configuration: the board comes up in FAULT
    #[arg(long)]
    no_blob: bool,
    /// Where the text of its serial port goes: a file, or - for standard output
    #[arg(long, value_name = "FILE|-")]
    uart: Option<PathBuf>,
    /// End by itself after this time
    #[arg(long = "for", value_parser = units::duration, value_name = "TIME")]
    limit: Option<Duration>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Model {
    /// Raspberry Pi Zero
    Zero,
    /// Raspberry Pi 1 A+
    #[value(name = "1a-plus", alias = "1b-plus")]
    OneAPlus,
}

impl From<Model> for Machine {
    fn from(model: Model) -> Self {
        match model {
            Model::Zero => Self::Raspi0,
            Model::OneAPlus => Self::Raspi1ap,
        }
    }
}

impl Args {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let config = self.config()?;
        let stop = Arc::new(AtomicBool::new(false));
        stop::on_signal(&stop)?;
        let started = Instant::now();
        let mut board = Board::start(config)?;
        let address = board.address().ok_or_else(|| Failure::new("the board has no network"))?;

        for port in &self.forward {
            terminal::data(&format!("port {port} is at {}\n", board.forward(*port)?))?;
        }

        let mut told: Option<State> = None;
        let mut warned = false;
        loop {
            if stop.load(Ordering::Relaxed)
                || self.limit.is_some_and(|limit| started.elapsed() >= limit)
            {
                return Ok(());
            }
            if let Ok(exit) = board.wait_exit(Duration::ZERO) {
                let reason = exit.reason.unwrap_or_else(|| board.qemu_said());
                return Err(self.stuck(&board, format!("board {} ended: {reason}", self.name)));
            }
            if told.is_some() {
                std::thread::sleep(GLANCE);
                continue;
            }
            if let Some(found) = answer(address)? {
                told = self.tell(&found)?;
            }
            if told.is_none() && !warned && started.elapsed() > SLOW {
                warned = true;
                let what =
                    format!("board {} has not become ready for {} s", self.name, SLOW.as_secs());
                let failure = self.stuck(&board, what);
                terminal::warning(&failure.message);
                failure.details.iter().for_each(|line| terminal::say(&format!("  {line}")));
            }
        }
    }

    fn config(&self) -> Result<BoardConfig, Failure> {
        let mut config = BoardConfig::new(kernel::find(self.kernel.as_deref())?);
        config.name.clone_from(&self.name);
        config.machine = self.machine.into();
        config.network = Net::User { host_port: self.port, guest_port: GUEST_PORT };
        config.serial = match &self.uart {
            None => Serial::Capture,
            Some(path) if path.as_os_str() == "-" => Serial::Inherit,
            Some(path) => Serial::File(path.clone()),
        };
        if !self.no_blob {
            let store = Store::open()?;
            let guests = self.clients.read(&store)?;
            let mut made = store.provision(&self.name, self.fixed.unwrap_or_default())?;
            clients::admit(&store, &mut made, guests.as_deref())?;
            if made.is_new {
                terminal::say(&format!(
                    "made keys for {} in {}",
                    self.name,
                    store.root().display()
                ));
            }
            config.noise_pk = Some(made.board.noise_pk);
            config.blob = Some(made.blob);
        }
        Ok(config)
    }

    /// Says that the board is up, or in FAULT; nothing while it still boots.
    fn tell(&self, found: &Found) -> Result<Option<State>, Failure> {
        let (name, address) = (&self.name, found.address);
        let line = match found.state {
            State::Idle => format!("board {name} ready on {address}\n"),
            State::Fault => {
                format!("board {name} in fault on {address}: {}\n", found.reason.text())
            }
            _ => return Ok(None),
        };
        terminal::data(&line)?;
        Ok(Some(found.state))
    }

    /// A failure with the last lines of the serial port.
    fn stuck(&self, board: &Board, message: String) -> Failure {
        let lines = board.lines();
        let mut failure = Failure::new(message);
        failure.details = lines.iter().skip(lines.len().saturating_sub(QUOTED)).cloned().collect();
        if failure.details.is_empty() {
            failure.details = vec!["its serial port said nothing".into()];
        }
        failure
    }
}

/// The board's answer to one HELLO, if it comes soon.
fn answer(address: SocketAddr) -> Result<Option<Found>, Failure> {
    let search =
        Search { targets: vec![address], broadcast: false, timeout: GLANCE, every: GLANCE };
    let found = sk_client::search(&search, |found, _| !found.is_empty())
        .map_err(|error| Failure::new(format!("the network cannot be used: {error}")))?;
    Ok(found.into_iter().next())
}
