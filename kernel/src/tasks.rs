//! The board's one task: its memory, its turns, its end.
//!
//! Implements what the session engine asks of a board ([`server::Board`]) over
//! the task region. Areas ascend: table of the resolver, 1 MiB unmapped, stack,
//! a page unmapped, text, data, heap, information page; from the end of the region downwards
//! stderr, stdout and the image as received (the kernel's alone), and the input,
//! because those arrive before the image is understood.

mod board;
mod limits;
mod net;
mod prepare;
mod rates;
mod turn;
mod view;

use crate::memory::Memory;
use crate::region::Region;
use crate::streams::Streams;
use crate::task::{Context, Mode};
use limits::Clocks;
use rates::Rates;
use sk_abi::TaskInfo;
use sk_drivers::mmu::PAGE;
use sk_hal::{Clock, Micros};
use sk_loader::Layout;
use sk_net::Sockets;
use sk_services::Park;
use sk_session::drbg::Drbg;
use sk_session::server::{Ending, Facts};
use sk_wire::blob::Config;
use sk_wire::manifest::ARGS_MAX;
use view::View;

/// Heap of a task whose client does not say.
const HEAP_DEFAULT: u32 = 1 << 20;
/// Bytes zeroed in one step of scrubbing.
const SCRUB_STEP: u32 = 128 * 1024;

/// A range of the region.
#[derive(Clone, Copy, Default)]
struct Span {
    at: u32,
    len: u32,
}

impl Span {
    fn mapped_end(self) -> u32 {
        self.at + self.len.next_multiple_of(PAGE)
    }
}

#[allow(clippy::large_enum_variant)] // there is one, in static memory
enum State {
    Idle,
    /// Memory is laid out, bytes arrive.
    Reserved,
    Loaded,
    Running,
    Ended(Ending),
}

/// What the end of a turn means for the kernel's loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// Something is due, or might be; come back soon.
    Interrupted,
    /// The payload waits: until this time, or for as long as others like.
    Waiting(Micros),
    /// It waits for the network, at most until this time.
    Network(Micros),
    /// It has come to its end.
    Over,
}

/// The task and all it needs.
pub struct Tasks<K> {
    clock: K,
    memory: Memory,
    region: Region,
    drbg: Option<Drbg>,
    config: Option<&'static Config>,
    client: usize,
    /// Facts that other parts of the kernel keep up to date.
    pub facts: Facts,
    /// The board's revision code and highest clock in MHz, for [`TaskInfo`].
    pub board: (u32, u32),
    /// The cycle counter stands still, as in an emulator.
    pub emulated: bool,
    state: State,
    image: Span,
    input: Span,
    args: heapless::String<ARGS_MAX>,
    heap: u32,
    stack: u32,
    wall_ms: u32,
    cpu_ms: u32,
    heartbeat_ms: u32,
    layout: Option<Layout>,
    services: Option<sk_services::Task>,
    info: TaskInfo,
    streams: Streams<K>,
    sockets: Sockets<'static>,
    rates: Rates,
    mode: Mode,
    context: Context,
    parked: Option<Park>,
    clocks: Clocks,
    syscalls: u32,
    last_service: u16,
    scrub_at: u32,
    /// Everything below is known to be zero in the low part of the region.
    clean_to: u32,
}

impl<K: Clock + Copy> Tasks<K> {
    /// No task yet.
    pub fn new(
        clock: K,
        memory: Memory,
        region: Region,
        drbg: Option<Drbg>,
        config: Option<&'static Config>,
        sockets: Sockets<'static>,
    ) -> Self {
        Self {
            clock,
            memory,
            region,
            drbg,
            config,
            client: 0,
            facts: Facts { memory_kib: (region.end - region.start) / 1024, ..Facts::default() },
            board: (0, 0),
            emulated: false,
            state: State::Idle,
            image: Span::default(),
            input: Span::default(),
            args: heapless::String::new(),
            heap: 0,
            stack: 0,
            wall_ms: 0,
            cpu_ms: 0,
            heartbeat_ms: 0,
            layout: None,
            services: None,
            info: TaskInfo::default(),
            streams: Streams::new(clock, region),
            sockets,
            rates: Rates::new(),
            mode: Mode::Shielded,
            context: Context::empty(),
            parked: None,
            clocks: Clocks::STOPPED,
            syscalls: 0,
            last_service: 0,
            scrub_at: 0,
            clean_to: region.start,
        }
    }

    /// Is there a payload to be run?
    pub fn is_running(&self) -> bool {
        matches!(self.state, State::Running)
    }

    /// See [`Memory::tables`].
    pub fn tables(&self) -> [&[u32]; 2] {
        self.memory.tables()
    }

    /// Does it wait for something? Then the processor is the kernel's.
    pub fn is_waiting(&self) -> bool {
        self.parked.is_some()
    }

    /// A line the payload logged, once.
    pub fn log_line(&mut self) -> Option<heapless::String<128>> {
        self.streams.log_line()
    }
}
