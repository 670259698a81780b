//! A board, its adapter and its network, with one clock: the model's.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::rc::Rc;

use sk_drivers::dwc2::Resources;
use sk_exec::Executive;
use sk_hal::net::FrameDevice;
use sk_hal::{Clock, Micros};
use sk_models::dwc2::{Dwc2Model, Fault, Personality};
use sk_models::ecm::EcmFunction;
use sk_models::lan::{DhcpServer, Host};
use sk_models::memory::Memory;
use sk_session::client::{Client, Credentials, Job, Params, Patience, TaskSpec};
use sk_session::keys::StaticKey;
use sk_wire::Roles;
use sk_wire::blob::{self, Config, NetMode};
use sk_wire::control::Phase;
use sk_wire::manifest::{Memory as TaskMemory, Time};

use super::adapter::Adapter;
use super::kernel::{Kernel, ModelClock, SESSION, SLOTS, TABLE, USB};
use super::machine::{Dice, Machine, Payload};
use super::network::{Network, Peer};

pub const MS: Micros = 1_000;
pub const SECOND: Micros = 1_000_000;
const TICK: Micros = 125;
/// Rounds of the kernel's loop in one second at most, a microframe for each.
const BUSIEST: u64 = 8_000;

pub const MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x57];
pub const BOARD_IP: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 2);

/// Which controller and which adapter.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub personality: Personality,
    pub device: Device,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Device {
    /// CDC-ECM at full speed, as QEMU's.
    EcmFull,
    /// CDC-ECM at high speed.
    EcmHigh,
    /// The LAN9512's Ethernet, without its hub.
    Lan,
}

const fn silicon(device: Device) -> Kind {
    Kind { personality: Personality::Silicon, device }
}
const fn qemu(device: Device) -> Kind {
    Kind { personality: Personality::QemuSync, device }
}
pub const SILICON_FULL: Kind = silicon(Device::EcmFull);
pub const SILICON_HIGH: Kind = silicon(Device::EcmHigh);
pub const SILICON_LAN: Kind = silicon(Device::Lan);
pub const QEMU_FULL: Kind = qemu(Device::EcmFull);
pub const QEMU_HIGH: Kind = qemu(Device::EcmHigh);
pub const QEMU_LAN: Kind = qemu(Device::Lan);
pub const KINDS: [Kind; 6] =
    [SILICON_FULL, SILICON_HIGH, QEMU_FULL, QEMU_HIGH, SILICON_LAN, QEMU_LAN];

impl Kind {
    fn adapter(self) -> Adapter {
        match self.device {
            Device::EcmFull => Adapter::Ecm(EcmFunction::qemu(MAC)),
            Device::EcmHigh => Adapter::Ecm(EcmFunction::high_speed(MAC)),
            Device::Lan => Adapter::lan(),
        }
    }

    pub const fn high_speed(self) -> bool {
        !matches!(self.device, Device::EcmFull)
    }

    /// The endpoint of notifications.
    pub fn notices(self) -> u8 {
        if self.device == Device::Lan { 0x83 } else { 0x81 }
    }

    /// The endpoint of frames from the adapter.
    pub fn data_in(self) -> u8 {
        if self.device == Device::Lan { 0x81 } else { 0x82 }
    }
}

pub struct World {
    kind: Kind,
    pub model: Dwc2Model,
    pub adapter: Rc<RefCell<Adapter>>,
    plugged: bool,
    pub kernel: Kernel,
    executive: Executive<'static, Kernel, SLOTS>,
    pub network: Network,
    pub dice: Dice,
    /// Rounds of the kernel's loop.
    pub rounds: u64,
    /// When the present second began, and with which round.
    second: (Micros, u64),
    sequence: u64,
}

fn board_key() -> StaticKey {
    StaticKey::from_secret([0x42; 32])
}

fn client_key() -> StaticKey {
    StaticKey::from_secret([0x17; 32])
}

const PSK: [u8; 32] = [0x80; 32];

fn config(dhcp: bool) -> Config {
    let mut config = Config::empty();
    config.set_device_seed(&[9; 32]);
    config.device_label = sk_wire::Label::new("stack").expect("short");
    let client = blob::Client::new(*client_key().public(), Roles::SUBMIT);
    config.add_client(client, None, &PSK).expect("valid");
    if !dhcp {
        config.net.mode = NetMode::Static;
        config.net.ip = BOARD_IP.octets();
        config.net.prefix = 24;
    }
    config
}

/// Turns every byte over: what a payload does here.
pub fn invert(input: &[u8]) -> Vec<u8> {
    input.iter().map(|byte| !byte).collect()
}

impl World {
    /// A board without power yet, nothing plugged in; a network with a server
    /// and a client.
    pub fn new(kind: Kind, dhcp: bool, seed: u64) -> Self {
        let moved = std::env::var("STACK_SEED").ok().and_then(|n| n.parse::<u64>().ok());
        let seed = seed + 1_000 * moved.unwrap_or(0);
        // Seen when a test fails.
        println!("seed {seed}, {kind:?}, {}", if dhcp { "DHCP" } else { "static" });
        let memory = Memory::new();
        let model = Dwc2Model::new(memory.clone(), kind.personality);
        let config: &'static Config = Box::leak(Box::new(config(dhcp)));
        let machine = Machine::new(seed, invert as Payload);
        let kernel = Kernel::new(model.clone(), memory, config, board_key(), machine, seed);
        let mut server = Host::new(1, Ipv4Addr::new(192, 168, 7, 1));
        server.dhcp = Some(DhcpServer::new(BOARD_IP, Some(server.ip), 3_600));
        let client = Host::new(9, Ipv4Addr::new(192, 168, 7, 9));
        let executive = Executive::new(&TABLE, kernel.events, model.now());
        kernel.events.raise(USB | SESSION);
        Self {
            kind,
            model,
            adapter: Rc::new(RefCell::new(kind.adapter())),
            plugged: false,
            kernel,
            executive,
            network: Network::new(vec![client, server]),
            dice: Dice(seed),
            rounds: 0,
            second: (0, 0),
            sequence: 0,
        }
    }

    /// The same with the adapter in, on the air: it has sent a beacon.
    pub fn running(kind: Kind, dhcp: bool, seed: u64) -> Self {
        let mut world = Self::new(kind, dhcp, seed);
        world.plug();
        world.on_the_air();
        world
    }

    pub fn now(&self) -> Micros {
        self.model.now()
    }

    pub fn client(&mut self) -> &mut Peer {
        &mut self.network.peers[0]
    }

    pub fn server(&mut self) -> &mut Host {
        &mut self.network.peers[1].host
    }

    /// Plugs in a fresh adapter.
    pub fn plug(&mut self) {
        self.adapter = Rc::new(RefCell::new(self.kind.adapter()));
        self.model.attach(Box::new(self.adapter.clone()));
        self.plugged = true;
    }

    pub fn unplug(&mut self) {
        self.model.detach();
        self.plugged = false;
    }

    fn carry(&mut self) {
        let mut adapter = self.adapter.borrow_mut();
        let adapter = if self.plugged { Some(&mut *adapter) } else { None };
        self.network.carry(self.model.now(), adapter);
    }

    /// Lets time pass until `until`, or an interrupt if that wakes.
    fn sleep(&mut self, until: Micros, wakes: bool) {
        while self.now() < until && !(wakes && self.model.irq()) {
            self.model.advance(TICK.min(until - self.now()));
            self.carry();
        }
    }

    /// One round of the kernel's loop, not sleeping beyond `end`.
    fn round(&mut self, end: Micros) {
        self.rounds += 1;
        if self.now() >= self.second.0 + SECOND {
            self.second = (self.now(), self.rounds);
        }
        let busy = self.rounds - self.second.1;
        assert!(busy < BUSIEST, "the kernel's loop does not sleep: {}", self.report());
        let clock = ModelClock(self.model.clone());
        self.executive.poll(&mut self.kernel, &clock);
        self.carry();
        if let Some(ends_at) = self.kernel.machine.ends_at() {
            // Interrupts do not reach the kernel but for the tick.
            self.sleep(ends_at.min(self.now() + MS), false);
            self.kernel.events.raise(USB);
            if self.now() >= ends_at {
                self.kernel.machine.finish();
                self.kernel.events.raise(SESSION);
            }
        } else {
            let due = self.executive.next_due(clock.now());
            self.sleep(due.unwrap_or(end).min(end), true);
            if self.model.irq() {
                self.kernel.events.raise(USB);
            }
        }
    }

    /// Runs until `done`, or for `limit`; whether it was done.
    pub fn until(&mut self, limit: Micros, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now() + limit;
        while self.now() < end {
            if done(self) {
                return true;
            }
            self.round(end);
        }
        done(self)
    }

    pub fn pass(&mut self, time: Micros) {
        self.until(time, |_| false);
    }

    /// Until a beacon has come from now on.
    pub fn on_the_air(&mut self) {
        let before = self.client().beacons.len();
        let seen = self.until(12 * SECOND, |w| w.client().beacons.len() > before);
        assert!(seen, "{}", self.report());
    }

    /// Everything there is to know when a test fails.
    pub fn report(&self) -> String {
        let k = &self.kernel;
        format!(
            "at {} us, deadlines {:?} {:?} {:?}: {:?}\n{:?}\n{:?}\n{:?} {:?}\n{:?}\n{:?}\n{:?}",
            self.now(),
            k.usb.next_deadline(),
            k.net.next_deadline(),
            k.server.next_deadline(),
            k.usb_events,
            k.net_events,
            k.session_events,
            k.server.phase(),
            k.server.counters(),
            k.usb.host().stats(),
            k.usb.host().resources(),
            k.net.counters(),
        )
    }

    /// Free buffers and channels.
    pub fn resources(&self) -> Resources {
        self.kernel.usb.host().resources()
    }

    /// What is free while nothing is plugged in: everything.
    pub const NOTHING_OPEN: Resources =
        Resources { channels: 8, retired: 0, held: 0, control: 2, rx: 4, tx: 4, int: 3 };

    /// What is free while the adapter is up and idle: three pipes have a
    /// channel each, bulk IN has a buffer armed and notifications one of theirs.
    pub fn whole(&self) -> Resources {
        Resources { channels: 5, retired: 0, held: 0, control: 2, rx: 3, tx: 4, int: 2 }
    }

    /// Waits until no task is left, and nothing of it.
    pub fn idle(&mut self, limit: Micros) {
        let idle = self.until(limit, |w| w.kernel.server.phase() == Phase::Idle);
        assert!(idle, "{}", self.report());
        assert!(self.kernel.machine.is_clean());
    }

    /// Until frames are on their way nowhere, and then some.
    pub fn settle(&mut self) {
        let calm = self.until(2 * SECOND, |w| {
            w.kernel.usb.can_transmit() && w.adapter.borrow().pending() == 0
        });
        assert!(calm, "{}", self.report());
        self.pass(200 * MS);
    }

    /// Starts a task with `len` bytes of input, which come back inverted.
    pub fn submit(&mut self, len: usize) -> &'static [u8] {
        let input: &'static [u8] = Vec::leak(self.dice.bytes(len));
        let image: &'static [u8] = Vec::leak(self.dice.bytes(3_000));
        self.sequence += 1;
        let credentials = Credentials {
            key: client_key(),
            psk: PSK,
            board: *board_key().public(),
            roles: Roles::SUBMIT,
        };
        let seed: Vec<u8> = self.dice.bytes(64);
        let params = Params {
            credentials,
            hs_counter: self.sequence * 1_000,
            seed: seed.try_into().expect("64 bytes"),
            patience: Patience::default(),
        };
        let spec = TaskSpec {
            image,
            input,
            args: "",
            abi: 1,
            memory: TaskMemory { heap: 4096, stack: 4096, stdout: 1 << 20, stderr: 0 },
            time: Time { wall_ms: 0, cpu_ms: 0, heartbeat_ms: 0 },
            flags: 0,
            seq: self.sequence,
        };
        let client = Client::new(params, Job::Run(spec)).expect("fits");
        self.client().start(client);
        input
    }

    /// Waits for the end of a task and checks that it went well.
    pub fn complete(&mut self, input: &[u8], limit: Micros) {
        assert!(
            self.until(limit, |w| w.client().is_over()),
            "{:?} {}",
            self.client().client().doing(),
            self.report()
        );
        let report = self.report();
        let told = &self.client().told;
        assert_eq!(told.error, None, "{report}");
        assert!(told.stdout == invert(input), "{report}");
        assert_eq!(told.receipt.as_ref().map(|r| r.exit), Some(7));
    }

    /// Faults of `kinds` on `endpoint`, some `spacing` packets apart, and so
    /// many of them.
    pub fn disturb(&mut self, endpoint: u8, kinds: &[Fault], spacing: u64, count: usize) {
        for _ in 0..count {
            let fault = kinds[self.dice.below(kinds.len() as u64) as usize];
            let calm = 1 + self.dice.below(2 * spacing) as u32;
            self.model.faults(|f| {
                f.inject(endpoint, Fault::None, calm);
                f.inject(endpoint, fault, 1);
            });
        }
    }
}
