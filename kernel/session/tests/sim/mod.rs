//! A board, its clients and a bad network, in one thread and one clock.
//!
//! Everything random comes from one seed, so a run can be replayed. The board
//! is the real engine over a double of the machine whose payloads are a few
//! words in the argument string; time it spends on work is simulated too.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // each test file uses its part

use std::collections::BinaryHeap;

use sk_abi::Status;
use sk_abi::status::FaultRecord;
use sk_session::base::{Destination, Endpoint, MS, Micros, SECOND};
use sk_session::client::{
    Client, ClientError, ClientEvent, Credentials, Job, Params, Patience, TaskSpec,
};
use sk_session::keys::StaticKey;
use sk_session::server::board::{Board, Ending, Facts, Progress, TaskState};
use sk_session::server::{Event, Server};
use sk_wire::blob::{self, Config};
use sk_wire::control::{Pong, Receipt, TaskStatus, Usage, message};
use sk_wire::frames::Object;
use sk_wire::manifest::{Manifest, Memory, TaskId, Time};
use sk_wire::{MAX_DATAGRAM, Reason, Roles};

/// splitmix64: small, good enough, and the same everywhere.
#[derive(Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.next() % n }
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next() as u8).collect()
    }
}

pub const ABI: u16 = 1;
pub const WALL_MAX: u32 = 120_000;
pub const MEMORY: u32 = 40 << 20;

/// The machine under the engine. What a payload does is told by its argument
/// string: `echo` returns its input, `out N` writes N bytes at once, `drip N
/// MS` N lines MS apart, `spin` never ends, `fault` writes a line and faults,
/// `panic`, `unresolved` fails to load.
pub struct Machine {
    dice: Dice,
    pub random_ok: bool,
    manifest: Option<Manifest>,
    image: Vec<u8>,
    input: Vec<u8>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub dropped: u32,
    state: Option<(Micros, Option<Ending>)>,
    now: Micros,
    /// Every entry into a payload, ever.
    pub entered: Vec<TaskId>,
    pub reserved: usize,
    pub scrubs: u32,
    scrub_left: u32,
    log: Vec<u8>,
}

impl Machine {
    pub fn new(seed: u64) -> Self {
        Machine {
            dice: Dice(seed ^ 0xB0A2D),
            random_ok: true,
            manifest: None,
            image: vec![],
            input: vec![],
            stdout: vec![],
            stderr: vec![],
            dropped: 0,
            state: None,
            now: 0,
            entered: vec![],
            reserved: 0,
            scrubs: 0,
            scrub_left: 3,
            log: b"the log".to_vec(),
        }
    }

    fn end(&mut self, status: Status, exit: i32) {
        let Some((since, ending @ None)) = &mut self.state else { return };
        let wall_us = self.now - *since;
        let usage = Usage { cpu_us: wall_us / 2, wall_us, peak_mem: 4096, syscalls: 3 };
        *ending = Some(Ending { status, exit, usage, ..Ending::default() });
    }

    fn emit(&mut self, bytes: &[u8]) {
        let limit = self.manifest.as_ref().map_or(0, |m| m.memory.stdout) as usize;
        if self.stdout.len() + bytes.len() <= limit {
            self.stdout.extend_from_slice(bytes);
            return;
        }
        if self.manifest.as_ref().is_some_and(|m| m.has(sk_wire::manifest::flags::DROP_OLDEST)) {
            self.stdout.extend_from_slice(bytes);
            let cut = (self.stdout.len() - limit / 2).min(self.stdout.len());
            self.stdout.drain(..cut);
            self.dropped += cut as u32;
        } else {
            let room = limit - self.stdout.len();
            self.stdout.extend_from_slice(&bytes[..room]);
            self.end(Status::OUTPUT_LIMIT, 0);
        }
    }

    /// Lets the payload run until `now`.
    pub fn tick(&mut self, now: Micros) {
        self.now = now;
        let Some((since, None)) = self.state else { return };
        let Some(manifest) = self.manifest.clone() else { return };
        let ran = now - since;
        let words: Vec<&str> = manifest.args.split(' ').collect();
        let number = |i: usize| words.get(i).and_then(|w| w.parse::<usize>().ok()).unwrap_or(0);
        let wall = if manifest.time.wall_ms == 0 { WALL_MAX } else { manifest.time.wall_ms };
        match words[0] {
            "echo" if ran >= 2 * MS => {
                let input = self.input.clone();
                self.emit(&input);
                self.end(Status::OK, 7);
            }
            "out" if ran >= 2 * MS => {
                let bytes: Vec<u8> = (0..number(1)).map(|i| (i * 31 + i / 251) as u8).collect();
                self.emit(&bytes);
                self.stderr.extend_from_slice(b"some words of error");
                self.end(Status::OK, 0);
            }
            "drip" => {
                let due = ((ran / MS) as usize / number(2).max(1)).min(number(1));
                while self.stdout.len() < due * 8 {
                    let line = format!("{:07}\n", self.stdout.len() / 8);
                    self.emit(line.as_bytes());
                }
                if due == number(1) {
                    self.end(Status::OK, 0);
                }
            }
            "flood" => {
                let due = ran as usize / 10;
                while (self.stdout.len() + self.dropped as usize) < due.min(number(1)) {
                    let at = self.stdout.len() + self.dropped as usize;
                    self.emit(&[at as u8; 100]);
                    if matches!(self.state, Some((_, Some(_)))) {
                        break;
                    }
                }
                if due >= number(1) {
                    self.end(Status::OK, 0);
                }
            }
            "fault" if ran >= 2 * MS => {
                self.emit(b"last words\n");
                self.end(Status::DATA_ABORT, 0);
                if let Some((_, Some(ending))) = &mut self.state {
                    ending.fault = Some(FaultRecord {
                        kind: Status::DATA_ABORT.0,
                        far: 0xDEAD_BEEF,
                        pc: 0x0400_1234,
                        ..FaultRecord::default()
                    });
                }
            }
            "panic" if ran >= 2 * MS => {
                self.end(Status::PANIC, 0);
                if let Some((_, Some(ending))) = &mut self.state {
                    ending.message = message("panicked at src/main.rs:3: of all things");
                }
            }
            _ => {}
        }
        if ran >= Micros::from(wall) * MS {
            self.end(Status::WALL_DEADLINE, 0);
        }
    }

    pub fn is_running(&self) -> bool {
        matches!(self.state, Some((_, None)))
    }
}

impl Board for Machine {
    fn random(&mut self, out: &mut [u8]) -> bool {
        out.fill(0);
        if self.random_ok {
            for byte in out {
                *byte = self.dice.next() as u8;
            }
        }
        self.random_ok
    }

    fn reserve(&mut self, m: &Manifest) -> Result<(), Status> {
        assert!(self.manifest.is_none() && self.image.is_empty(), "reserved twice");
        let sum = [
            m.image.size,
            m.input.size,
            m.memory.heap,
            m.memory.stack,
            m.memory.stdout,
            m.memory.stderr,
        ]
        .iter()
        .try_fold(0_u32, |sum, part| sum.checked_add(*part));
        if sum.is_none_or(|sum| sum > MEMORY) {
            return Err(Status::TOO_BIG);
        }
        self.reserved += 1;
        self.image = vec![0; m.image.size as usize];
        self.input = vec![0; m.input.size as usize];
        self.manifest = Some(m.clone());
        Ok(())
    }

    fn write(&mut self, object: Object, offset: u32, bytes: &[u8]) {
        let place = if object == Object::Image { &mut self.image } else { &mut self.input };
        place[offset as usize..offset as usize + bytes.len()].copy_from_slice(bytes);
    }

    fn bytes(&self, object: Object) -> &[u8] {
        match object {
            Object::Image => &self.image,
            Object::Input => &self.input,
            Object::Stdout => &self.stdout,
            Object::Stderr => &self.stderr,
            Object::Log => &self.log,
            _ => &[],
        }
    }

    fn dropped(&self, object: Object) -> u32 {
        if object == Object::Stdout { self.dropped } else { 0 }
    }

    fn load(&mut self) -> Result<(), (Status, u32)> {
        let args = &self.manifest.as_ref().expect("reserved").args;
        if args.as_str() == "unresolved" { Err((Status::UNRESOLVED, 0x1234_5678)) } else { Ok(()) }
    }

    fn start(&mut self, now: Micros) {
        assert!(self.state.is_none(), "started twice");
        self.entered.push(self.manifest.as_ref().expect("reserved").task_id);
        self.state = Some((now, None));
    }

    fn stop(&mut self, why: Status) {
        self.end(why, 0);
    }

    fn task(&self) -> TaskState {
        match &self.state {
            None => TaskState::Idle,
            Some((since, None)) => {
                TaskState::Running(Progress { wall_us: self.now - since, ..Progress::default() })
            }
            Some((_, Some(ending))) => TaskState::Ended(ending.clone()),
        }
    }

    fn scrub_step(&mut self) -> bool {
        self.scrub_left -= 1;
        if self.scrub_left > 0 {
            return false;
        }
        (self.scrub_left, self.scrubs) = (3, self.scrubs + 1);
        (self.manifest, self.state) = (None, None);
        for bytes in [&mut self.image, &mut self.input, &mut self.stdout, &mut self.stderr] {
            bytes.clear();
        }
        self.dropped = 0;
        true
    }

    fn facts(&self) -> Facts {
        Facts {
            memory_kib: MEMORY / 1024,
            mhz: 700,
            temperature_mc: 41_000,
            throttle: 0,
            wall_ms_max: WALL_MAX,
            abi: ABI,
            ..Facts::default()
        }
    }
}

/// How bad the network is.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    pub loss: u64,
    pub duplicate: u64,
    pub delay: Micros,
    pub jitter: Micros,
    /// Bytes per second of a shared pipe; 0 = no limit.
    pub rate: u64,
}

pub const FINE: Weather = Weather { loss: 0, duplicate: 0, delay: 500, jitter: 0, rate: 0 };

struct Letter {
    at: Micros,
    order: u64,
    to: Option<usize>,
    from: Endpoint,
    bytes: Vec<u8>,
}

impl PartialEq for Letter {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}
impl Eq for Letter {}
impl PartialOrd for Letter {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Letter {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// What a client told, gathered.
#[derive(Default, Debug)]
pub struct Told {
    pub connected: bool,
    pub accepted: Option<TaskId>,
    pub started: bool,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub receipt: Option<Receipt>,
    pub pong: Option<Pong>,
    pub pongs: u32,
    pub round_trips: Vec<Micros>,
    pub status: Option<TaskStatus>,
    pub aborted: Option<(TaskId, Status)>,
    pub error: Option<ClientError>,
    pub first_output: Option<Micros>,
}

impl Told {
    pub fn is_over(&self) -> bool {
        self.receipt.is_some()
            || self.error.is_some()
            || self.pong.is_some()
            || self.status.is_some()
            || self.aborted.is_some()
    }
}

pub struct Player<'a> {
    pub client: Client<'a>,
    pub endpoint: Endpoint,
    pub told: Told,
    /// Gone: neither hears nor speaks.
    pub vanished: bool,
}

pub struct World<'a> {
    pub now: Micros,
    pub server: Server<'a>,
    pub machine: Machine,
    pub players: Vec<Player<'a>>,
    pub weather: Weather,
    pub dice: Dice,
    letters: BinaryHeap<Letter>,
    order: u64,
    pipe_free: Micros,
    server_wake: Option<Micros>,
    pub events: Vec<Event>,
    /// Everything the board broadcast: when, and how long.
    pub beacons: Vec<(Micros, Vec<u8>)>,
    pub datagrams: u32,
    pub to_board: Vec<Vec<u8>>,
    pub keep: bool,
}

pub const BOARD: Endpoint = Endpoint { ip: [10, 0, 0, 1], port: 24139 };

pub fn board_key() -> StaticKey {
    StaticKey::from_secret([0x42; 32])
}

pub fn client_key(n: u8) -> StaticKey {
    StaticKey::from_secret([n + 1; 32])
}

pub const fn psk(n: u8) -> [u8; 32] {
    [0x80 + n; 32]
}

/// Clients 0 and 1 may submit, 2 may observe, 3 may operate.
pub fn config() -> Config {
    let mut config = Config::empty();
    config.set_device_seed(&[9; 32]);
    let roles = [Roles::SUBMIT, Roles::SUBMIT, Roles::OBSERVE, Roles::OPERATE.or(Roles::OBSERVE)];
    for (n, roles) in (0..).zip(roles) {
        config
            .add_client(blob::Client::new(*client_key(n).public(), roles), None, &psk(n))
            .expect("valid");
    }
    config
}

pub fn params(n: u8, hs_counter: u64, roles: Roles) -> Params {
    Params {
        credentials: Credentials {
            key: client_key(n),
            psk: psk(n),
            board: *board_key().public(),
            roles,
        },
        hs_counter,
        seed: core::array::from_fn(|i| {
            (hs_counter as u8).wrapping_mul(17).wrapping_add(n).wrapping_add(i as u8)
        }),
        patience: Patience::default(),
    }
}

pub fn spec<'a>(seq: u64, image: &'a [u8], input: &'a [u8], args: &'a str) -> TaskSpec<'a> {
    TaskSpec {
        image,
        input,
        args,
        abi: ABI,
        memory: Memory { heap: 4096, stack: 4096, stdout: 1 << 20, stderr: 4096 },
        time: Time { wall_ms: 0, cpu_ms: 0, heartbeat_ms: 0 },
        flags: 0,
        seq,
    }
}

impl<'a> World<'a> {
    pub fn new(config: &'a Config, seed: u64, weather: Weather) -> Self {
        let mut server = Server::new(Some(config), Reason::None, board_key(), [seed as u8; 16]);
        server.set_address_valid(true);
        World {
            now: SECOND,
            server,
            machine: Machine::new(seed),
            players: vec![],
            weather,
            dice: Dice(seed),
            letters: BinaryHeap::new(),
            order: 0,
            pipe_free: 0,
            server_wake: Some(SECOND),
            events: vec![],
            beacons: vec![],
            datagrams: 0,
            to_board: vec![],
            keep: false,
        }
    }

    /// The board restarts, with another boot id.
    pub fn reboot(&mut self, config: &'a Config, boot: u8) {
        self.server = Server::new(Some(config), Reason::None, board_key(), [boot; 16]);
        self.server.set_address_valid(true);
        let entered = std::mem::take(&mut self.machine.entered);
        self.machine = Machine::new(u64::from(boot) << 8);
        self.machine.entered = entered;
        self.server_wake = Some(self.now);
    }

    pub fn add(&mut self, params: Params, job: Job<'a>) -> usize {
        let n = self.players.len();
        let endpoint = Endpoint { ip: [10, 0, 1, n as u8 + 1], port: 40_000 + n as u16 };
        let client = Client::new(params, job).expect("fits");
        self.players.push(Player { client, endpoint, told: Told::default(), vanished: false });
        n
    }

    fn post(&mut self, to: Option<usize>, from: Endpoint, bytes: &[u8]) {
        self.datagrams += 1;
        if self.keep && to.is_none() {
            self.to_board.push(bytes.to_vec());
        }
        let copies = 1 + u64::from(self.dice.chance(self.weather.duplicate));
        for _ in 0..copies {
            if self.dice.chance(self.weather.loss) {
                continue;
            }
            let mut at = self.now + self.weather.delay + self.dice.below(self.weather.jitter);
            if let Some(time) = (bytes.len() as u64 * SECOND).checked_div(self.weather.rate) {
                self.pipe_free = self.pipe_free.max(self.now) + time;
                at += self.pipe_free - self.now;
            }
            self.order += 1;
            self.letters.push(Letter { at, order: self.order, to, from, bytes: bytes.to_vec() });
        }
    }

    /// A datagram for the board from anywhere, at once and unharmed.
    pub fn inject(&mut self, from: Endpoint, bytes: &[u8], broadcast: bool) {
        let mut bytes = bytes.to_vec();
        self.server.receive(self.now, from, broadcast, &mut bytes, &mut self.machine);
        self.server_wake = Some(self.now);
    }

    fn run_server(&mut self) {
        let more = self.server.poll(self.now, &mut self.machine);
        self.server_wake = more.then_some(self.now + 700);
        let mut out = [0; MAX_DATAGRAM];
        while let Some((to, len)) = self.server.transmit(self.now, &mut self.machine, &mut out) {
            match to {
                Destination::Broadcast => self.beacons.push((self.now, out[..len].to_vec())),
                Destination::Endpoint(to) => {
                    if let Some(n) = self.players.iter().position(|player| player.endpoint == to) {
                        self.post(Some(n), BOARD, &out[..len]);
                    }
                }
            }
        }
        while let Some(event) = self.server.event() {
            self.events.push(event);
        }
    }

    fn run_player(&mut self, n: usize) {
        let player = &mut self.players[n];
        if player.vanished {
            return;
        }
        player.client.poll(self.now);
        while let Some(event) = player.client.event() {
            let told = &mut player.told;
            match event {
                ClientEvent::Connected { .. } => told.connected = true,
                ClientEvent::Accepted { task_id } => told.accepted = Some(task_id),
                ClientEvent::Progress { .. } => {}
                ClientEvent::Started => {
                    assert!(!told.started, "started twice");
                    told.started = true;
                }
                ClientEvent::Stdout(bytes) => {
                    told.first_output.get_or_insert(self.now);
                    told.stdout.extend_from_slice(bytes);
                }
                ClientEvent::Stderr(bytes) => told.stderr.extend_from_slice(bytes),
                ClientEvent::Finished(receipt) => {
                    assert!(told.receipt.replace(receipt).is_none(), "two receipts");
                }
                ClientEvent::RoundTrip(time) => told.round_trips.push(time),
                ClientEvent::Pong(pong) => {
                    told.pong = Some(pong);
                    told.pongs += 1;
                }
                ClientEvent::Status(status) => told.status = Some(status),
                ClientEvent::Aborted { task_id, status } => told.aborted = Some((task_id, status)),
                ClientEvent::Failed(error) => {
                    assert!(told.error.replace(error).is_none(), "failed twice");
                }
            }
        }
        let mut out = [0; MAX_DATAGRAM];
        let endpoint = player.endpoint;
        let mut sent = 0;
        while let Some(len) = self.players[n].client.transmit(self.now, &mut out) {
            self.post(None, endpoint, &out[..len]);
            sent += 1;
            assert!(sent < 500, "the client does not stop sending");
        }
    }

    /// One step of time; `false` = nothing happens before `end`, and it is
    /// `end` now.
    pub fn step(&mut self, end: Micros) -> bool {
        let mut next = self.letters.peek().map(|letter| letter.at);
        let mut consider = |at: Option<Micros>| {
            if let Some(at) = at {
                next = Some(next.map_or(at, |have: Micros| have.min(at)));
            }
        };
        consider(self.server_wake);
        consider(self.server.next_deadline());
        if self.machine.is_running() {
            consider(Some(self.now + 2 * MS));
        }
        for player in self.players.iter().filter(|player| !player.vanished) {
            // A deadline in the past is a moment away: no two steps at one time.
            consider(player.client.next_deadline(self.now).map(|at| at.max(self.now + 100)));
        }
        let Some(next) = next.filter(|next| *next < end) else {
            self.now = end;
            self.machine.tick(end);
            return false;
        };
        self.now = next.max(self.now);
        self.machine.tick(self.now);
        let mut for_server =
            self.server_wake.is_some_and(|at| at <= self.now) || self.machine.is_running();
        for_server |= self.server.next_deadline().is_some_and(|at| at <= self.now);
        for_server |= !matches!(self.machine.task(), TaskState::Idle);
        while self.letters.peek().is_some_and(|letter| letter.at <= self.now) {
            let mut letter = self.letters.pop().expect("peeked");
            match letter.to {
                None => {
                    self.server.receive(
                        self.now,
                        letter.from,
                        false,
                        &mut letter.bytes,
                        &mut self.machine,
                    );
                    for_server = true;
                }
                Some(n) if !self.players[n].vanished => {
                    self.players[n].client.receive(self.now, &mut letter.bytes);
                }
                Some(_) => {}
            }
        }
        if for_server {
            self.run_server();
        }
        for n in 0..self.players.len() {
            self.run_player(n);
        }
        true
    }

    /// Runs until `done`, or for `limit`; whether it was done.
    pub fn until(&mut self, limit: Micros, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + limit;
        while self.now < end {
            if done(self) {
                return true;
            }
            self.step(end);
        }
        done(self)
    }

    pub fn pass(&mut self, time: Micros) {
        self.until(time, |_| false);
    }

    /// Runs until client `n` has told its end.
    pub fn finish(&mut self, n: usize, limit: Micros) -> bool {
        self.until(limit, |world| world.players[n].told.is_over())
    }
}
