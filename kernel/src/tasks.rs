//! The board's one task: its memory, its turns, its end.
//!
//! Implements what the session engine asks of a board ([`server::Board`]) over
//! the task region. Areas ascend: table of the resolver, 1 MiB unmapped, stack,
//! text, data, heap, information page; from the end of the region downwards
//! stderr, stdout and the image as received (the kernel's alone), and the input,
//! because those arrive before the image is understood.

mod net;
mod view;

use crate::fault;
use crate::gates;
use crate::memory::Memory;
use crate::region::Region;
use crate::streams::Streams;
use crate::task::{Context, Reason};
use crate::wire::{self, Desk, Wire};
use sk_abi::status::FaultRecord;
use sk_abi::{Status, TaskInfo};
use sk_bcm2835::{Caches, cp15};
use sk_drivers::mmu::{Area, Attr, PAGE, SECTION};
use sk_hal::{Clock, Entropy, Micros};
use sk_loader::{Access, Layout, Load, Part, Plan, Request};
use sk_net::Sockets;
use sk_services::{Allowed, Outcome, Park, dispatch, resolver};
use sk_session::drbg::Drbg;
use sk_session::server::board::Progress;
use sk_session::server::{Board, Ending, Facts, TaskState};
use sk_wire::blob::Config;
use sk_wire::control::{Message, Usage};
use sk_wire::frames::Object;
use sk_wire::manifest::{ARGS_MAX, Manifest, flags};
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
    layout: Option<Layout>,
    services: Option<sk_services::Task>,
    info: TaskInfo,
    streams: Streams<K>,
    sockets: Sockets<'static>,
    context: Context,
    parked: Option<Park>,
    started: Micros,
    deadline: Micros,
    cpu_us: u64,
    syscalls: u32,
    last_service: u16,
    stop: Option<Status>,
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
            layout: None,
            services: None,
            info: TaskInfo::default(),
            streams: Streams::new(clock, region),
            sockets,
            context: Context::empty(),
            parked: None,
            started: 0,
            deadline: 0,
            cpu_us: 0,
            syscalls: 0,
            last_service: 0,
            stop: None,
            scrub_at: 0,
            clean_to: region.start,
        }
    }

    /// Is there a payload to be run?
    pub fn is_running(&self) -> bool {
        matches!(self.state, State::Running)
    }

    /// When the payload must be ended, while one runs.
    pub fn deadline(&self) -> Micros {
        self.deadline
    }

    /// A line the payload logged, once.
    pub fn log_line(&mut self) -> Option<heapless::String<128>> {
        self.streams.log_line()
    }

    /// Lets the payload have a turn, until an interrupt, a wait or its end.
    pub fn turn(&mut self, wire: &mut Wire<'_>) -> Turn {
        if !self.is_running() {
            return Turn::Over;
        }
        if let Some(status) = self.stop.take() {
            return self.finish(status, 0, None);
        }
        let now = self.clock.now();
        if now >= self.deadline {
            return self.finish(Status::WALL_DEADLINE, 0, None);
        }
        if self.cpu_ms != 0 && self.cpu_us > u64::from(self.cpu_ms) * 1000 {
            return self.finish(Status::CPU_LIMIT, 0, None);
        }
        if let Some(park) = self.parked.take() {
            let outcome = self.with_services(wire, |ctx| park.resume(ctx));
            match self.settle(outcome) {
                Some(turn) => return turn,
                None if self.parked.is_some() => return self.waiting(),
                None => {}
            }
        }
        loop {
            let before = self.clock.now();
            let reason = self.context.run();
            self.cpu_us += self.clock.now() - before;
            match reason {
                Reason::Service => {
                    let slot = self.context.r[12];
                    let [a, b, c, d, ..] = self.context.r;
                    self.syscalls = self.syscalls.saturating_add(1);
                    self.last_service = (slot as u16).saturating_add(1);
                    let outcome = self.with_services(wire, |ctx| dispatch(slot, [a, b, c, d], ctx));
                    if let Some(turn) = self.settle(outcome) {
                        return turn;
                    }
                    if self.parked.is_some() {
                        return self.waiting();
                    }
                }
                Reason::Interrupt => return Turn::Interrupted,
                _ => return self.faulted(reason),
            }
        }
    }

    fn waiting(&self) -> Turn {
        match self.parked {
            Some(Park::SleepUntil(at)) => Turn::Waiting(at.min(self.deadline)),
            Some(Park::Receive(wait)) => Turn::Network(wait.until.min(self.deadline)),
            Some(Park::Send(wait)) => Turn::Network(wait.again.min(wait.until).min(self.deadline)),
            _ => Turn::Waiting(0),
        }
    }

    fn with_services(
        &mut self,
        wire: &mut Wire<'_>,
        call: impl FnOnce(&mut sk_services::Context<'_, View<'_>, Desk<'_, '_, K>>) -> Outcome,
    ) -> Outcome {
        let (Some(layout), Some(task)) = (&self.layout, &mut self.services) else {
            return Outcome::End(sk_services::Ending { status: Status::KERNEL_BUG, code: -1 });
        };
        let mut view = View { region: &mut self.region, layout };
        let mut desk = Desk { streams: &mut self.streams, sockets: &mut self.sockets, wire };
        call(&mut sk_services::Context { memory: &mut view, board: &mut desk, task })
    }

    /// Acts on what a service call came to; `None` = the payload goes on, or
    /// is parked.
    fn settle(&mut self, outcome: Outcome) -> Option<Turn> {
        match outcome {
            Outcome::Return(value) => {
                self.context.r[0] = value as u32;
                self.context.r[1] = (value >> 32) as u32;
                self.last_service = 0;
                None
            }
            Outcome::Park(park) => {
                self.parked = Some(park);
                None
            }
            Outcome::End(ending) => Some(self.finish(ending.status, ending.code, None)),
            Outcome::Fault(fault) => {
                let mut record = self.record(fault.status(), 0, 0);
                record.service = fault.service();
                Some(self.finish(fault.status(), 0, Some(record)))
            }
        }
    }

    fn faulted(&mut self, reason: Reason) -> Turn {
        let stack = self.layout.as_ref().map_or((0, 0), |l| {
            let area = l.area(Part::Stack);
            (area.start, area.end())
        });
        let (status, fsr, far) = fault::classify(reason, self.context.pc, stack);
        let record = self.record(status, fsr, far);
        self.finish(status, 0, Some(record))
    }

    fn record(&self, kind: Status, fsr: u32, far: u32) -> FaultRecord {
        let c = &self.context;
        FaultRecord {
            kind: kind.0,
            service: self.last_service,
            fsr,
            far,
            pc: c.pc,
            lr: c.r[14],
            sp: c.r[13],
            cpsr: c.cpsr,
            r: c.r.first_chunk().copied().unwrap_or_default(),
            elapsed_us: u32::try_from(self.clock.now() - self.started).unwrap_or(u32::MAX),
            base: self.layout.as_ref().map_or(0, |l| l.area(Part::Text).start),
        }
    }

    fn finish(&mut self, status: Status, exit: i32, fault: Option<FaultRecord>) -> Turn {
        let mut message = Message::new();
        if let Some(task) = &self.services {
            for chunk in task.message().utf8_chunks() {
                let _ = message.push_str(chunk.valid());
            }
        }
        let usage = Usage {
            cpu_us: self.cpu_us,
            wall_us: self.clock.now() - self.started,
            peak_mem: self.services.as_ref().map_or(0, |t| t.heap.peak()) + self.stack_used(),
            syscalls: self.syscalls,
        };
        self.parked = None;
        self.stop = None;
        self.sockets.end();
        self.state = State::Ended(Ending { status, exit, usage, fault, detail: 0, message });
        cp15::reset_task_registers();
        Turn::Over
    }

    /// Bytes of stack that are not zero any more, from the top.
    fn stack_used(&mut self) -> u32 {
        let Some(area) = self.layout.as_ref().map(|l| l.area(Part::Stack)) else { return 0 };
        let Some(words) = self.region.words_mut(area.start, area.mapped) else { return 0 };
        let untouched = words.iter().position(|&w| w != 0).unwrap_or(words.len());
        area.mapped - 4 * untouched as u32
    }

    /// Lays out, checks, copies, relocates and maps the image.
    fn prepare(&mut self) -> Result<(), (Status, u32)> {
        let refuse = |r: sk_loader::Refusal| (r.status, r.field as u32);
        let too_big = (Status::TOO_BIG, 0);
        // The image lies apart from all that loading writes.
        let mut low = Region { end: self.input.at, ..self.region };
        let received = self.region;
        let image = received.bytes(self.image.at, self.image.len).ok_or(too_big)?;
        let mut plan = Plan::parse(image).map_err(refuse)?;
        plan.check().map_err(refuse)?;
        if plan.flags & sk_abi::image::flags::DIRECT != 0 {
            return Err((Status::ROLE, 0));
        }
        if self.stack != 0 {
            plan.stack_len = self.stack;
        }
        let mut allowed = match self.config {
            Some(config) => Allowed::by_id(|id| config.offers(self.client, id)),
            None => Allowed::NONE,
        };
        // Ways out are not for anybody to withhold.
        for way_out in [gates::EXIT, gates::ABORT] {
            allowed.set(way_out, true);
        }
        let offered = |id| {
            resolver::ids_and_slots().any(|(i, slot)| i == id && allowed.has(u32::from(slot)))
        };
        if let Some(id) = plan.unresolved(offered) {
            return Err((Status::UNRESOLVED, id));
        }
        let layout = Layout::new(
            &plan,
            &Request {
                region_start: gates::TABLE + gates::TABLE_LEN,
                region_end: self.region.end,
                heap: self.heap,
                input: self.input.len,
                output: 0,
                args: self.args.len() as u32,
                input_at: Some(self.input.at),
            },
        )
        .map_err(refuse)?;
        let info_page = layout.area(Part::Info);
        let low_end = info_page.start + info_page.mapped;
        if low_end > self.input.at {
            return Err(too_big);
        }
        self.map_low(&layout)?;
        self.layout = Some(layout);
        self.zero_unknown(low_end);

        let mut load = Load::new();
        load.step(&plan, &layout, &mut low, &Caches, u32::MAX).map_err(refuse)?;

        let info = layout.describe(TaskInfo {
            deadline_us: u64::MAX,
            board_revision: self.board.0,
            cpu_mhz_max: self.board.1,
            flags: sk_abi::task::flags::SHIELDED
                | if self.emulated { sk_abi::task::flags::EMULATED } else { 0 },
            ..TaskInfo::default()
        });
        if let Some(to) = low.bytes_mut(info.args, info.args_len) {
            to.copy_from_slice(self.args.as_bytes());
        }
        let heap = layout.area(Part::Heap);
        let words = low.words_mut(heap.start, heap.mapped).unwrap_or(&mut []);
        let mut task = sk_services::Task::new(
            info_page.start,
            layout.area(Part::Input).start,
            self.input.len,
            heap.start,
            words,
        );
        task.allowed = allowed;
        gates::fill_table(&mut low, &allowed);
        self.services = Some(task);
        self.info = info;
        let stack = layout.area(Part::Stack);
        self.context = Context::at_entry(
            layout.entry,
            gates::resolver(),
            info_page.start,
            stack.start + stack.mapped,
            gates::return_address(),
        );
        Ok(())
    }

    fn map_low(&mut self, layout: &Layout) -> Result<(), (Status, u32)> {
        let mut areas: heapless::Vec<Area, 8> = heapless::Vec::new();
        let table = gates::TABLE;
        let _ =
            areas.push(Area { start: table, end: table + gates::TABLE_LEN, attr: Attr::TaskRo });
        for part in layout.areas() {
            if part.mapped == 0 || matches!(part.part, Part::Input | Part::Output) {
                continue;
            }
            let attr = match part.access {
                Access::ReadExecute => Attr::TaskText,
                Access::ReadWrite => Attr::TaskData,
                Access::Read => Attr::TaskRo,
            };
            let end = part.start + part.mapped;
            let _ = areas.push(Area { start: part.start, end, attr });
        }
        self.memory.map(&areas).map_err(|_| (Status::TOO_BIG, 0))
    }

    /// Memory comes up with anything in it; what no scrubbing has zeroed yet is
    /// zeroed before a payload sees it.
    fn zero_unknown(&mut self, end: u32) {
        let Some(layout) = &self.layout else { return };
        for area in layout.areas() {
            let from = area.start.max(self.clean_to);
            let to = (area.start + area.mapped).min(end);
            if from < to
                && let Some(bytes) = self.region.bytes_mut(from, to - from)
            {
                bytes.fill(0);
            }
        }
        self.clean_to = self.clean_to.max(end);
    }

    /// The ranges a task may have left something in: low part, high part.
    fn touched(&self) -> [(u32, u32); 2] {
        let low = self.layout.as_ref().map_or((0, 0), |l| {
            let last = l.area(Part::Info);
            (l.area(Part::Stack).start, last.start + last.mapped)
        });
        let high = if self.image.at == 0 { (0, 0) } else { (self.input.at, self.region.end) };
        [low, high]
    }
}

impl<K: Clock + Copy> Board for Tasks<K> {
    fn random(&mut self, out: &mut [u8]) -> bool {
        match &mut self.drbg {
            Some(drbg) => drbg.fill(out),
            None => {
                out.fill(0);
                false
            }
        }
    }

    fn owner(&mut self, client: usize) {
        self.client = client;
    }

    fn reserve(&mut self, m: &Manifest) -> Result<(), Status> {
        let too_big = Status::TOO_BIG;
        let Some(config) = self.config else { return Err(Status::BAD_STATE) };
        if m.has(flags::DIRECT) {
            // Not built yet; running it shielded would make the receipt a lie.
            return Err(Status::ROLE);
        }
        let policy = &config.policy;
        if m.time.cpu_ms > policy.cpu_ms_max {
            return Err(Status::TIME_TOO_LONG);
        }
        let heap = if m.memory.heap == 0 { HEAP_DEFAULT } else { m.memory.heap };
        let heap = heap.checked_next_multiple_of(PAGE).ok_or(too_big)?;
        let sum = |parts: &[u32]| parts.iter().try_fold(0u32, |sum, &part| sum.checked_add(part));
        let out = sum(&[m.memory.stdout, m.memory.stderr]).ok_or(too_big)?;
        let all = sum(&[heap, m.memory.stack, m.image.size, m.input.size, out]).ok_or(too_big)?;
        if out > policy.out_max || all > policy.task_mem_max {
            return Err(too_big);
        }

        let mut next = self.region.end;
        let mut take = |len: u32, align: u32| -> Option<Span> {
            let pages = len.checked_next_multiple_of(PAGE)?;
            let at = next.checked_sub(pages)? & !(align - 1);
            next = Some(at).filter(|&at| at > gates::TABLE + (2 << 20))?;
            Some(Span { at, len })
        };
        // What only the kernel may touch, and below it what the payload may
        // read: rights of kernel and task do not share a MiB.
        let stderr = take(m.memory.stderr, PAGE).ok_or(too_big)?;
        let stdout = take(m.memory.stdout, PAGE).ok_or(too_big)?;
        let image = take(m.image.size.max(1), SECTION).ok_or(too_big)?;
        let input = take(m.input.size, PAGE).ok_or(too_big)?;
        // What is left must hold heap, stack and the image once more; the exact
        // sum is made when the image is understood.
        let room = input.at - (gates::TABLE + gates::TABLE_LEN + sk_loader::GUARD);
        if sum(&[heap, m.memory.stack, m.image.size]).is_none_or(|need| need > room) {
            return Err(too_big);
        }
        let ours = Area { start: image.at, end: self.region.end, attr: Attr::KernelData };
        let theirs = Area { start: input.at, end: input.mapped_end(), attr: Attr::TaskRo };
        let areas = [ours, theirs];
        let used = if m.input.size == 0 { &areas[..1] } else { &areas[..] };
        self.memory.map(used).map_err(|_| too_big)?;
        // The rest of the input's last page is the payload's to read.
        let tail = input.at + input.len;
        if let Some(bytes) = self.region.bytes_mut(tail, input.mapped_end() - tail) {
            bytes.fill(0);
        }
        self.image = Span { len: m.image.size, ..image };
        self.input = input;
        self.heap = heap;
        self.stack = m.memory.stack;
        self.wall_ms = m.time.wall_ms;
        self.cpu_ms = m.time.cpu_ms;
        self.args = m.args.clone();
        let drop_oldest = m.has(flags::DROP_OLDEST);
        self.streams.reserve((stdout.at, stdout.len), (stderr.at, stderr.len), drop_oldest);
        self.state = State::Reserved;
        Ok(())
    }

    fn write(&mut self, object: Object, offset: u32, bytes: &[u8]) {
        let span = match object {
            Object::Image => self.image,
            Object::Input => self.input,
            _ => return,
        };
        let len = bytes.len() as u32;
        let fits = offset.checked_add(len).is_some_and(|end| end <= span.len);
        if fits && let Some(to) = self.region.bytes_mut(span.at + offset, len) {
            to.copy_from_slice(bytes);
        }
    }

    fn bytes(&self, object: Object) -> &[u8] {
        let span = match object {
            Object::Image => self.image,
            Object::Input => self.input,
            Object::Stdout => return self.streams.stdout(),
            Object::Stderr => return self.streams.stderr(),
            _ => return &[],
        };
        self.region.bytes(span.at, span.len).unwrap_or(&[])
    }

    fn dropped(&self, object: Object) -> u32 {
        self.streams.dropped(object)
    }

    fn load(&mut self) -> Result<(), (Status, u32)> {
        self.prepare()?;
        self.state = State::Loaded;
        Ok(())
    }

    fn start(&mut self, now: Micros) {
        let wall = if self.wall_ms == 0 { self.facts.wall_ms_max } else { self.wall_ms };
        self.started = now;
        self.deadline = now.saturating_add(u64::from(wall) * 1000);
        self.cpu_us = 0;
        self.syscalls = 0;
        self.last_service = 0;
        self.stop = None;
        self.parked = None;
        self.streams.begin();
        if let Some(client) = self.config.and_then(|c| c.clients().get(self.client)) {
            let (policy, packets_per_s) = wire::policy(client);
            self.sockets.begin(policy, packets_per_s);
        }
        self.info.deadline_us = self.deadline;
        if let Some(task) = &mut self.services {
            task.deadline = self.deadline;
            let bytes = self.info.to_bytes();
            if let Some(to) = self.region.bytes_mut(task.info, bytes.len() as u32) {
                to.copy_from_slice(&bytes);
            }
        }
        cp15::reset_task_registers();
        self.state = State::Running;
    }

    fn stop(&mut self, why: Status) {
        if self.is_running() {
            self.finish(why, 0, None);
        }
    }

    fn task(&self) -> TaskState {
        match &self.state {
            State::Running => TaskState::Running(Progress {
                cpu_us: self.cpu_us,
                wall_us: self.clock.now().saturating_sub(self.started),
                beats: self.streams.beats(),
                last_service: self.last_service,
            }),
            State::Ended(ending) => TaskState::Ended(ending.clone()),
            _ => TaskState::Idle,
        }
    }

    fn scrub_step(&mut self) -> bool {
        for (start, end) in self.touched() {
            let at = self.scrub_at.max(start);
            if at < end {
                let len = SCRUB_STEP.min(end - at);
                if let Some(bytes) = self.region.bytes_mut(at, len) {
                    bytes.fill(0);
                }
                self.scrub_at = at + len;
                return false;
            }
        }
        if !matches!(self.state, State::Idle) {
            // Cannot fail: whole areas, mapped by pages of the region alone.
            let _ = self.memory.unmap(self.region.start & !0xF_FFFF, self.region.end);
        }
        self.scrub_at = 0;
        self.image = Span::default();
        self.input = Span::default();
        self.layout = None;
        self.services = None;
        self.context = Context::empty();
        self.streams.end();
        self.args.clear();
        cp15::reset_task_registers();
        self.state = State::Idle;
        true
    }

    fn facts(&self) -> Facts {
        self.facts
    }
}
