//! What the session engine asks of a board ([`Board`]), over the task region.

use super::limits::Clocks;
use super::{HEAP_DEFAULT, SCRUB_STEP, Span, State, Tasks};
use crate::direct;
use crate::gates;
use crate::task::{Context, Mode, pending_abort};
use crate::wire;
use sk_abi::Status;
use sk_bcm2835::cp15;
use sk_drivers::mmu::{Area, Attr, PAGE, SECTION};
use sk_hal::{Clock, Entropy, Micros};
use sk_session::server::board::Progress;
use sk_session::server::{Board, Facts, TaskState};
use sk_wire::Roles;
use sk_wire::frames::Object;
use sk_wire::manifest::{Manifest, flags};

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
        let client = config.clients().get(self.client).ok_or(Status::NOT_ALLOWED)?;
        let mode = if m.has(flags::DIRECT) { Mode::Direct } else { Mode::Shielded };
        // The session engine has looked; here is the last place to look again.
        if mode == Mode::Direct && !client.roles.contains(Roles::DIRECT) {
            return Err(Status::ROLE);
        }
        let (policy, quotas) = (&config.policy, &client.quotas);
        if m.time.cpu_ms > policy.cpu_ms_max.min(quotas.cpu_ms) || m.time.wall_ms > quotas.wall_ms {
            return Err(Status::TIME_TOO_LONG);
        }
        if !self.rates.may_start(self.client, quotas.tasks_per_hour, self.clock.now()) {
            return Err(Status::QUOTA);
        }
        let heap = if m.memory.heap == 0 { HEAP_DEFAULT } else { m.memory.heap };
        let heap = heap.checked_next_multiple_of(PAGE).ok_or(too_big)?;
        let sum = |parts: &[u32]| parts.iter().try_fold(0u32, |sum, &part| sum.checked_add(part));
        let out = sum(&[m.memory.stdout, m.memory.stderr]).ok_or(too_big)?;
        let all = sum(&[heap, m.memory.stack, m.image.size, m.input.size, out]).ok_or(too_big)?;
        if out > policy.out_max.min(quotas.out) || all > policy.task_mem_max.min(quotas.mem) {
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
        // 0 asks for as much as there is.
        let limit = |asked, most| if asked == 0 && most != u32::MAX { most } else { asked };
        self.wall_ms = limit(m.time.wall_ms, quotas.wall_ms);
        self.cpu_ms = limit(m.time.cpu_ms, quotas.cpu_ms);
        self.heartbeat_ms = m.time.heartbeat_ms;
        self.mode = mode;
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
        self.rates.started(self.client, now);
        let most = self.facts.wall_ms_max;
        let wall = if self.wall_ms == 0 { most } else { self.wall_ms.min(most) };
        self.clocks = Clocks::start(now, wall, self.cpu_ms, self.heartbeat_ms);
        self.syscalls = 0;
        self.last_service = 0;
        self.parked = None;
        self.streams.begin();
        if let Some(client) = self.config.and_then(|c| c.clients().get(self.client)) {
            let (policy, packets_per_s) = wire::policy(client);
            self.sockets.begin(policy, packets_per_s);
        }
        self.info.deadline_us = self.clocks.deadline;
        // What is still on its way was not caused by this task.
        let _ = pending_abort();
        if let Some(task) = &mut self.services {
            direct::begin(task.info);
            task.deadline = self.clocks.deadline;
            let bytes = self.info.to_bytes();
            if let Some(to) = self.region.bytes_mut(task.info, bytes.len() as u32) {
                to.copy_from_slice(&bytes);
            }
        }
        cp15::reset_task_registers();
        self.state = State::Running;
    }

    fn stop(&mut self, why: Status) {
        if !self.is_running() || self.clocks.stop.is_some() {
            return;
        }
        self.clocks.stop(why, self.clock.now());
        self.streams.request_stop();
        if self.parked.is_some() {
            // It cannot look whether it should stop.
            self.finish(why, 0, None);
        }
    }

    fn task(&self) -> TaskState {
        match &self.state {
            State::Running => TaskState::Running(Progress {
                cpu_us: self.clocks.cpu_us,
                wall_us: self.clock.now().saturating_sub(self.clocks.started),
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
        self.mode = Mode::Shielded;
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
