//! `sk emu`: a board in QEMU, with keys of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sk_client::{Addressing, Found, Search, State, Store};
use sk_emulator::{Adapter, Board, BoardConfig, GUEST_PORT, Machine, Net, Serial};

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
    after_help = "Examples:\n  sk emu --name attic-1\n  sk emu --name attic-2 --board 1b --uart - --for 1m\n  \
                        sk emu --name attic-3 --board 1b --cable tap:sk0 --pcap frames.pcap\n\n\
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
    #[arg(long, short = 'm', alias = "machine", default_value = "zero", value_enum)]
    board: Model,
    /// Another network adapter than the board's
    #[arg(long, value_enum)]
    adapter: Option<Device>,
    /// Plug it into so many USB hubs, one behind the other (full speed)
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "N",
          value_parser = clap::value_parser!(u8).range(..=4))]
    hubs: u8,
    /// Where its network cable leads: 'user', a network of its own that only
    /// this host reaches; 'tap:NAME', an interface of this host; or
    /// 'udp:LOCAL,REMOTE', each IP:PORT, one frame in each datagram
    #[arg(long, default_value = "user", value_parser = cable)]
    cable: Cable,
    /// Write what goes over the cable to this file, for Wireshark or tcpdump
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
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
    /// Raspberry Pi Zero with a USB network adapter (CDC-ECM)
    Zero,
    /// Raspberry Pi 1 A+ with the same
    #[value(name = "1a-plus")]
    OneAPlus,
    /// Raspberry Pi 1 B: QEMU has none, so this is its 1 A+ with a model of
    /// the LAN9512's network side at its USB port, without the chip's hub
    #[value(name = "1b", alias = "1b-plus")]
    OneB,
}

impl Model {
    fn parts(self) -> (Machine, Adapter) {
        match self {
            Self::Zero => (Machine::Raspi0, Adapter::UsbNet),
            Self::OneAPlus => (Machine::Raspi1ap, Adapter::UsbNet),
            Self::OneB => (Machine::Raspi1ap, Adapter::Lan9512),
        }
    }
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Device {
    /// QEMU's own CDC-ECM adapter, at full speed
    UsbNet,
    /// A modelled CDC-ECM adapter at high speed
    Ecm,
    /// A modelled LAN9512 without its hub
    Lan9512,
}

impl From<Device> for Adapter {
    fn from(device: Device) -> Self {
        match device {
            Device::UsbNet => Self::UsbNet,
            Device::Ecm => Self::Ecm,
            Device::Lan9512 => Self::Lan9512,
        }
    }
}

/// Where the network cable leads.
#[derive(Clone)]
enum Cable {
    User,
    Tap(String),
    Udp(SocketAddr, SocketAddr),
}

fn cable(text: &str) -> Result<Cable, String> {
    let forms = "write user, tap:NAME or udp:IP:PORT,IP:PORT (here, there)";
    let wrong = || format!("'{text}' is no cable: {forms}");
    match text.split_once(':') {
        None if text == "user" => Ok(Cable::User),
        Some(("tap", name)) if !name.is_empty() => Ok(Cable::Tap(name.to_owned())),
        Some(("udp", ends)) => {
            let (local, remote) = ends.split_once(',').ok_or_else(wrong)?;
            let end = |text: &str| text.parse().map_err(|_| wrong());
            Ok(Cable::Udp(end(local)?, end(remote)?))
        }
        _ => Err(wrong()),
    }
}

impl Args {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let (config, key) = self.config()?;
        let stop = Arc::new(AtomicBool::new(false));
        stop::on_signal(&stop)?;
        let started = Instant::now();
        let mut board = Board::start(config)?;
        let place = self.place(&board, key);

        for port in &self.forward {
            terminal::data(&format!("port {port} is at {}\n", board.forward(*port)?))?;
        }

        let mut told: Option<State> = None;
        let mut warned = false;
        let mut resets = 0;
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
            if board.resets() > resets {
                resets = board.resets();
                terminal::warning(&format!("board {} has restarted", self.name));
                told = None;
            }
            if told.is_some() {
                std::thread::sleep(GLANCE);
                continue;
            }
            if let Some(found) = place.answer()? {
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

    fn config(&self) -> Result<(BoardConfig, Option<[u8; 8]>), Failure> {
        let mut key = None;
        let mut config = BoardConfig::new(kernel::find(self.kernel.as_deref())?);
        config.name.clone_from(&self.name);
        (config.machine, config.adapter) = self.board.parts();
        if let Some(device) = self.adapter {
            config.adapter = device.into();
        }
        config.hubs = self.hubs;
        config.network = self.network()?;
        config.pcap.clone_from(&self.pcap);
        config.reboot = true;
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
            key = Some(made.board.fingerprint());
            config.noise_pk = Some(made.board.noise_pk);
            config.blob = Some(made.blob);
        }
        Ok((config, key))
    }

    fn network(&self) -> Result<Net, Failure> {
        let network = match &self.cable {
            Cable::User => Net::User { host_port: self.port, guest_port: GUEST_PORT },
            Cable::Tap(name) => Net::Tap(name.clone()),
            Cable::Udp(local, remote) => Net::Dgram { local: *local, remote: *remote },
        };
        let only_user = [
            (self.port != 0, "--port"),
            (!self.forward.is_empty(), "--forward"),
            (self.no_blob, "--no-blob"),
        ];
        match (&self.cable, only_user.iter().find(|(given, _)| *given)) {
            (Cable::Tap(_) | Cable::Udp(..), Some((_, option))) => Err(Failure::new(format!(
                "{option} works with --cable user only"
            ))
            .help("on another cable a board is reached at its own address, found by its key")),
            _ => Ok(network),
        }
    }

    /// Where the board will answer.
    fn place(&self, board: &Board, key: Option<[u8; 8]>) -> Place {
        let fixed = match self.fixed {
            Some(Addressing::Static { ip, .. }) => Some(SocketAddr::from((ip, GUEST_PORT))),
            _ => None,
        };
        let known = board.address();
        Place { broadcast: known.is_none(), key, targets: known.or(fixed).into_iter().collect() }
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

/// Where a board's answer is looked for.
struct Place {
    targets: Vec<SocketAddr>,
    broadcast: bool,
    /// By which it is told from others, where there may be some.
    key: Option<[u8; 8]>,
}

impl Place {
    /// The board's answer to one HELLO, if it comes soon.
    fn answer(&self) -> Result<Option<Found>, Failure> {
        let (targets, broadcast) = (self.targets.clone(), self.broadcast);
        let search = Search { targets, broadcast, timeout: GLANCE, every: GLANCE };
        let ours = |found: &Found| !broadcast || Some(found.fingerprint) == self.key;
        let found = sk_client::search(&search, |found, _| found.iter().any(ours))
            .map_err(|error| Failure::new(format!("the network cannot be used: {error}")))?;
        Ok(found.into_iter().find(ours))
    }
}
