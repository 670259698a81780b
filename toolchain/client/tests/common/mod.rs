//! A board on this host: the kernel's own protocol engine on a UDP socket,
//! over a machine whose payloads are closures.

use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sk_client::{
    Addressing, Board as Dialled, Client, KnownBoard, Patience, Reason, State, Status, Store,
    random,
};
use sk_session::base::Destination;
use sk_session::keys::DeviceKeys;
use sk_session::server::Server;
use sk_session::server::board::{Board, Ending, Facts, Progress, TaskState};
use sk_wire::blob::Config;
use sk_wire::control::Usage;
use sk_wire::frames::Object;
use sk_wire::manifest::Manifest;

/// What a payload does: its output, and how it ends; `None` = never.
#[derive(Clone, Default)]
pub(crate) struct Script {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) ending: Option<Ending>,
}

/// Arguments and input to what happens.
pub(crate) type Payload = fn(&str, &[u8]) -> Script;

/// An image that needs a service which this machine does not have.
pub(crate) const UNLOADABLE: &[u8] = b"K\x11\x00\x04unloadable";
/// The smallest image.
pub(crate) const IMAGE: &[u8] = b"K\x11\x00\x04\xfe\xff\xff\xea";

struct Machine {
    payload: Payload,
    manifest: Option<Manifest>,
    objects: [Vec<u8>; 4],
    started: Option<Instant>,
    ending: Option<Ending>,
}

const OBJECTS: [Object; 4] = [Object::Image, Object::Input, Object::Stdout, Object::Stderr];

fn index(object: Object) -> Option<usize> {
    OBJECTS.iter().position(|o| *o == object)
}

impl Machine {
    fn wall(&self) -> Duration {
        self.started.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// The kernel's tick: ends a task whose time is over.
    fn tick(&mut self) {
        let limit = self.manifest.as_ref().map_or(0, |m| m.time.wall_ms);
        if self.started.is_some()
            && limit != 0
            && self.wall() >= Duration::from_millis(limit.into())
        {
            self.stop(Status::WALL_DEADLINE);
        }
    }
}

impl Board for Machine {
    fn random(&mut self, out: &mut [u8]) -> bool {
        for chunk in out.chunks_mut(8) {
            let fresh: [u8; 8] = random().unwrap();
            chunk.copy_from_slice(&fresh[..chunk.len()]);
        }
        true
    }

    fn reserve(&mut self, manifest: &Manifest) -> Result<(), Status> {
        if manifest.memory.heap > 64 << 20 {
            return Err(Status::TOO_BIG);
        }
        self.objects[0] = vec![0; manifest.image.size as usize];
        self.objects[1] = vec![0; manifest.input.size as usize];
        self.manifest = Some(manifest.clone());
        Ok(())
    }

    fn write(&mut self, object: Object, offset: u32, bytes: &[u8]) {
        let at = offset as usize;
        self.objects[index(object).unwrap()][at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn bytes(&self, object: Object) -> &[u8] {
        index(object).map_or(&[], |n| &self.objects[n])
    }

    fn load(&mut self) -> Result<(), (Status, u32)> {
        let service = sk_abi::service::SERVICES[0].id;
        if self.objects[0] == UNLOADABLE { Err((Status::UNRESOLVED, service)) } else { Ok(()) }
    }

    fn start(&mut self, _: u64) {
        let args = self.manifest.as_ref().map_or("", |m| m.args.as_str()).to_owned();
        let script = (self.payload)(&args, &self.objects[1]);
        self.started = Some(Instant::now());
        self.objects[2] = script.stdout;
        self.objects[3] = script.stderr;
        self.ending = script.ending;
    }

    fn stop(&mut self, why: Status) {
        if self.started.is_some() && self.ending.is_none() {
            let wall_us = self.wall().as_micros() as u64;
            let usage = Usage { wall_us, ..Usage::default() };
            self.ending = Some(Ending { status: why, usage, ..Ending::default() });
        }
    }

    fn task(&self) -> TaskState {
        match (self.started, &self.ending) {
            (None, _) => TaskState::Idle,
            (Some(_), Some(ending)) => TaskState::Ended(ending.clone()),
            (Some(_), None) => TaskState::Running(Progress {
                wall_us: self.wall().as_micros() as u64,
                ..Progress::default()
            }),
        }
    }

    fn scrub_step(&mut self) -> bool {
        (self.manifest, self.started, self.ending) = (None, None, None);
        self.objects = Default::default();
        true
    }

    fn facts(&self) -> Facts {
        Facts { memory_kib: 65_536, mhz: 700, wall_ms_max: 60_000, abi: 1, ..Facts::default() }
    }
}

/// Switches of a running board.
#[derive(Default)]
pub(crate) struct Switches {
    end: AtomicBool,
    /// After so many more datagrams it hears nothing any more; 0 = never.
    pub(crate) deaf_after: AtomicU32,
}

/// A board and its owner.
pub(crate) struct Rig {
    pub(crate) client: Client,
    pub(crate) known: KnownBoard,
    pub(crate) address: SocketAddr,
    pub(crate) switches: Arc<Switches>,
    thread: Option<JoinHandle<()>>,
    _dir: tempfile::TempDir,
}

impl Rig {
    /// A board named attic-1 whose payloads do `payload`.
    pub(crate) fn new(payload: Payload) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path());
        let made = store.provision("attic-1", Addressing::Dhcp).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let switches = Arc::new(Switches::default());
        let on_board = Arc::clone(&switches);
        let thread = std::thread::spawn(move || serve(&socket, &made.blob, payload, &on_board));
        let mut client = Client::new(store);
        client.targets = vec![address];
        client.broadcast = false;
        client.patience = Patience { connect: 2_000_000, busy: 300_000, silence: 1_500_000 };
        Self { client, known: made.board, address, switches, thread: Some(thread), _dir: dir }
    }

    /// The board, without looking for it.
    pub(crate) fn board(&self) -> Dialled {
        Dialled { known: self.known.clone(), address: self.address, state: State::Idle }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.switches.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let result = thread.join();
            if !std::thread::panicking() {
                result.unwrap();
            }
        }
    }
}

fn serve(socket: &UdpSocket, blob: &[u8], payload: Payload, switches: &Switches) {
    let config = Config::decode(blob).unwrap();
    let identity = DeviceKeys::derive(config.device_seed()).noise;
    let mut server =
        Box::new(Server::new(Some(&config), Reason::None, identity, random().unwrap()));
    server.set_address_valid(true);
    let mut machine = Machine {
        payload,
        manifest: None,
        objects: Default::default(),
        started: None,
        ending: None,
    };
    let start = Instant::now();
    let mut buffer = [0; 2048];
    socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    while !switches.end.load(Ordering::Relaxed) {
        let received = socket.recv_from(&mut buffer);
        let now = start.elapsed().as_micros() as u64 + 1;
        if let Ok((len, SocketAddr::V4(from))) = received
            && hears(switches)
        {
            server.receive(now, from.into(), false, &mut buffer[..len], &mut machine);
        }
        machine.tick();
        while server.poll(now, &mut machine) {}
        while let Some((to, len)) = server.transmit(now, &mut machine, &mut buffer) {
            if let Destination::Endpoint(to) = to {
                socket.send_to(&buffer[..len], SocketAddrV4::from(to)).unwrap();
            }
        }
    }
}

fn hears(switches: &Switches) -> bool {
    let left = switches.deaf_after.load(Ordering::Relaxed);
    if left > 1 {
        switches.deaf_after.store(left - 1, Ordering::Relaxed);
    }
    left != 1
}
