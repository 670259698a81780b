//! The machine under the session engine: memory is vectors, a payload is a
//! closure from input to output that takes a while.

use sk_abi::Status;
use sk_hal::Micros;
use sk_session::server::board::{Board, Ending, Facts, Progress, TaskState};
use sk_wire::control::Usage;
use sk_wire::frames::Object;
use sk_wire::manifest::{Manifest, TaskId};

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

    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next() as u8).collect()
    }
}

pub type Payload = fn(&[u8]) -> Vec<u8>;

enum State {
    Idle,
    Running { since: Micros },
    Ended(Box<Ending>),
}

pub struct Machine {
    dice: Dice,
    payload: Payload,
    /// How long a payload takes.
    pub run_time: Micros,
    manifest: Option<Manifest>,
    image: Vec<u8>,
    input: Vec<u8>,
    stdout: Vec<u8>,
    state: State,
    scrub_left: u32,
    /// Every entry into a payload, ever.
    pub entered: Vec<TaskId>,
}

impl Machine {
    pub fn new(seed: u64, payload: Payload) -> Self {
        Self {
            dice: Dice(seed ^ 0xB0A2D),
            payload,
            run_time: 5_000,
            manifest: None,
            image: vec![],
            input: vec![],
            stdout: vec![],
            state: State::Idle,
            scrub_left: 3,
            entered: vec![],
        }
    }

    /// When the running payload comes to its end.
    pub fn ends_at(&self) -> Option<Micros> {
        match self.state {
            State::Running { since } => Some(since + self.run_time),
            _ => None,
        }
    }

    /// The payload has come to its end.
    pub fn finish(&mut self) {
        self.stdout = (self.payload)(&self.input);
        self.end(Status::OK);
    }

    fn end(&mut self, status: Status) {
        let wall_us = self.run_time;
        let usage = Usage { cpu_us: wall_us, wall_us, peak_mem: 4096, syscalls: 1 };
        let ending = Ending { status, exit: 7, usage, ..Ending::default() };
        self.state = State::Ended(Box::new(ending));
    }

    /// Nothing of a task is left.
    pub fn is_clean(&self) -> bool {
        matches!(self.state, State::Idle) && self.manifest.is_none() && self.image.is_empty()
    }
}

impl Board for Machine {
    fn random(&mut self, out: &mut [u8]) -> bool {
        for byte in out {
            *byte = self.dice.next() as u8;
        }
        true
    }

    fn reserve(&mut self, m: &Manifest) -> Result<(), Status> {
        assert!(self.is_clean(), "reserved twice");
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
            _ => &[],
        }
    }

    fn load(&mut self) -> Result<(), (Status, u32)> {
        Ok(())
    }

    fn start(&mut self, now: Micros) {
        assert!(matches!(self.state, State::Idle), "started twice");
        self.entered.push(self.manifest.as_ref().expect("reserved").task_id);
        self.state = State::Running { since: now };
    }

    fn stop(&mut self, why: Status) {
        if self.ends_at().is_some() {
            self.end(why);
        }
    }

    fn task(&self) -> TaskState {
        match &self.state {
            State::Idle => TaskState::Idle,
            State::Running { .. } => TaskState::Running(Progress::default()),
            State::Ended(ending) => TaskState::Ended((**ending).clone()),
        }
    }

    fn scrub_step(&mut self) -> bool {
        self.scrub_left -= 1;
        if self.scrub_left > 0 {
            return false;
        }
        self.scrub_left = 3;
        (self.manifest, self.state) = (None, State::Idle);
        for bytes in [&mut self.image, &mut self.input, &mut self.stdout] {
            bytes.clear();
        }
        true
    }

    fn facts(&self) -> Facts {
        Facts { memory_kib: 40 << 10, mhz: 700, wall_ms_max: 120_000, abi: 1, ..Facts::default() }
    }
}
