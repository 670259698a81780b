//! Pipes: what is open, handles to it, and the IN side. The OUT side is in
//! `bulk`.

use super::bulk::OutJob;
use super::channel::{DATA0, Owner, State, Transfer};
use super::drain::QUIESCE;
use super::regs::*;
use super::{Dwc2, Home, MAX_PIPES, RX_BUFFERS, Stage, TX_BUFFERS};
use heapless::Deque;
use sk_hal::usb::{DeviceTarget, PipeConfig, PipeId, PipeKind, Speed, StartError, TransferError};
use sk_hal::{Bus32, CacheOps, CpuOwned, Direction, DmaBuf, Micros};

/// Bulk IN pipes at a time, so that each can always have a buffer armed.
const MAX_BULK_IN: usize = 2;
/// QEMU moves transfers of up to 1536 bytes packet by packet, 250 us apart;
/// bulk IN is never programmed for less than one more.
const MIN_BULK_IN: usize = 1537;
/// Bound of one poll of an interrupt endpoint.
const INT_TIMEOUT: Micros = 1_000_000;

/// A pipe slot.
pub(super) struct Pipe {
    pub(super) open: bool,
    /// Distinguishes the handles to successive users of the slot.
    generation: u16,
    pub(super) kind: PipeKind,
    pub(super) channel: Option<usize>,
    /// HCCHAR and nothing else.
    pub(super) template: Transfer,
    pub(super) toggle: u32,
    pub(super) ping: bool,
    pub(super) max_packet: usize,
    /// Bytes of an IN transfer.
    size: usize,
    /// An error ended it; only `reset_toggle` starts it again.
    pub(super) stopped: bool,
    /// That error until it was told.
    pub(super) error: Option<TransferError>,
    /// The channel that must come to rest before this pipe may run again.
    pub(super) wait_for: Option<usize>,
    /// Finished IN transfers and their lengths.
    ready: Deque<(DmaBuf<CpuOwned>, usize), RX_BUFFERS>,
    /// OUT transfers not started.
    pub(super) jobs: Deque<OutJob, TX_BUFFERS>,
    /// A zero-length packet has to follow the running OUT transfer.
    pub(super) zlp: bool,
    /// The interrupt pipe's buffer.
    spare: Option<DmaBuf<CpuOwned>>,
    /// When an interrupt endpoint may be asked again.
    next_ask: Micros,
}

impl Pipe {
    pub(super) fn new() -> Self {
        Self {
            open: false,
            generation: 0,
            kind: PipeKind::BulkIn,
            channel: None,
            template: Transfer::NONE,
            toggle: DATA0,
            ping: false,
            max_packet: 8,
            size: 0,
            stopped: false,
            error: None,
            wait_for: None,
            ready: Deque::new(),
            jobs: Deque::new(),
            zlp: false,
            spare: None,
            next_ask: 0,
        }
    }
}

impl<B: Bus32, C: CacheOps> Dwc2<B, C> {
    /// The slot of a handle. A stale one is `Gone`, one that never was is
    /// `BadPipe`.
    pub(super) fn slot(&self, id: PipeId) -> Result<usize, StartError> {
        let slot = usize::from(id.0 & 7);
        let pipe = self.pipes.get(slot).ok_or(StartError::BadPipe)?;
        let generation = id.0 >> 3;
        match generation {
            0 => Err(StartError::BadPipe),
            g if g == pipe.generation && pipe.open => Ok(slot),
            _ => Err(StartError::Gone),
        }
    }

    /// Refuses a target that cannot be addressed.
    pub(super) fn check_target(&self, target: &DeviceTarget) -> Result<(), StartError> {
        // What is slow behind what is fast has a transaction translator
        // between, and nothing else has.
        let slow = self.speed == Speed::High && target.speed != Speed::High;
        let routed = match target.behind {
            _ if target.speed == Speed::High => true,
            Some((hub, port)) => slow && (1..=127).contains(&hub) && (1..=127).contains(&port),
            None => !slow,
        };
        if target.address > 127 || !routed { Err(StartError::BadPipe) } else { Ok(()) }
    }

    pub(super) fn pipe_open(
        &mut self,
        now: Micros,
        config: PipeConfig,
        transfer: usize,
    ) -> Result<PipeId, StartError> {
        if self.stage != Stage::Ready {
            return Err(StartError::Gone);
        }
        self.check_target(&config.target)?;
        let max_packet = usize::from(config.max_packet);
        let bulk = !matches!(config.kind, PipeKind::InterruptIn { .. });
        let sane = match bulk {
            true => matches!(max_packet, 8 | 16 | 32 | 64 | 512),
            false => (1..=1024).contains(&max_packet),
        };
        // A start split carries one packet of at most 64 bytes (8 at low speed).
        let fits = config.target.speed == Speed::High
            || config.target.behind.is_none()
            || max_packet <= 64;
        if !sane || !fits || !(1..=15).contains(&config.endpoint) {
            return Err(StartError::BadPipe);
        }
        let slot = self.pipes.iter().position(|p| !p.open).ok_or(StartError::NoChannel)?;
        let (size, spare) = match config.kind {
            PipeKind::BulkIn => (self.bulk_in_size(transfer, max_packet)?, None),
            PipeKind::BulkOut => (0, None),
            PipeKind::InterruptIn { .. } => {
                let buf = self.pool.int.last().ok_or(StartError::NoChannel)?;
                if max_packet > buf.capacity() {
                    return Err(StartError::TooLong);
                }
                (max_packet, self.pool.int.pop())
            }
        };
        let Some(c) = self.allocate(Owner::Pipe(slot as u8)) else {
            if let Some(buf) = spare {
                self.pool.put(Home::Int, buf);
            }
            return Err(StartError::NoChannel);
        };
        let kind = if bulk { EP_BULK } else { EP_INTERRUPT };
        let input = config.kind != PipeKind::BulkOut;
        let generation = match self.pipes[slot].generation.wrapping_add(1) & 0x1FFF {
            0 => 1,
            g => g,
        };
        self.pipes[slot] = Pipe {
            open: true,
            generation,
            kind: config.kind,
            channel: Some(c),
            template: Transfer::new(
                &config.target,
                config.endpoint,
                kind,
                input,
                config.max_packet,
            ),
            max_packet,
            size,
            spare,
            next_ask: now,
            ..Pipe::new()
        };
        self.pump(slot, now);
        Ok(PipeId(generation << 3 | slot as u16))
    }

    fn bulk_in_size(&self, transfer: usize, max_packet: usize) -> Result<usize, StartError> {
        if self.pipes.iter().filter(|p| p.open && p.kind == PipeKind::BulkIn).count() >= MAX_BULK_IN
        {
            return Err(StartError::NoChannel);
        }
        let room = self.pool.rx.iter().map(DmaBuf::capacity).min();
        let room = room.ok_or(StartError::NoChannel)?;
        if transfer > room {
            return Err(StartError::TooLong);
        }
        let size = transfer.max(MIN_BULK_IN).next_multiple_of(max_packet);
        let most = (MAX_PACKETS as usize * max_packet).min(MAX_SIZE as usize);
        if size > room || size > most { Err(StartError::TooLong) } else { Ok(size) }
    }

    /// Forgets a pipe; its channel may finish until `until`.
    pub(super) fn pipe_close(&mut self, slot: usize, until: Micros) {
        let pipe = &mut self.pipes[slot];
        pipe.open = false;
        pipe.wait_for = None;
        pipe.error = None;
        let channel = pipe.channel.take();
        while let Some((buf, _)) = pipe.ready.pop_front() {
            let home = if pipe.kind == PipeKind::BulkIn { Home::Rx } else { Home::Int };
            self.pool.put(home, buf);
        }
        if let Some(buf) = pipe.spare.take() {
            self.pool.put(Home::Int, buf);
        }
        while let Some(job) = pipe.jobs.pop_front() {
            self.pool.put(Home::Tx, job.buf.take(&self.cache));
        }
        if let Some(c) = channel {
            self.drain(c, until);
        }
    }

    pub(super) fn pipe_reset_toggle(&mut self, slot: usize, now: Micros) {
        let pipe = &mut self.pipes[slot];
        pipe.toggle = DATA0;
        pipe.ping = false;
        pipe.stopped = false;
        pipe.error = None;
        if let Some(c) = pipe.channel {
            match self.channels[c].state {
                // Armed with DATA0 and untouched: as wished.
                State::Running
                    if self.channels[c].transfer.moved == 0
                        && self.bus.read(hctsiz(c)) >> HCTSIZ_PID_SHIFT & 3 == DATA0 => {}
                State::Idle => {}
                _ => {
                    pipe.channel = None;
                    pipe.wait_for = Some(c);
                    self.drain(c, now.saturating_add(QUIESCE));
                }
            }
        }
        self.pump(slot, now);
    }

    /// Starts on a pipe what can be started.
    pub(super) fn pump(&mut self, slot: usize, now: Micros) {
        let pipe = &mut self.pipes[slot];
        if !pipe.open || pipe.stopped || self.stage != Stage::Ready {
            return;
        }
        if let Some(c) = pipe.wait_for {
            if !self.channels[c].is_settled() {
                return;
            }
            pipe.wait_for = None;
        }
        if pipe.channel.is_none() {
            // Its channel was retired: take another.
            let taken = self.allocate(Owner::Pipe(slot as u8));
            self.pipes[slot].channel = taken;
            if taken.is_none() {
                self.out_of_channels(now);
                return;
            }
        }
        let pipe = &mut self.pipes[slot];
        let Some(c) = pipe.channel else { return };
        if self.channels[c].state != State::Idle {
            return;
        }
        match pipe.kind {
            PipeKind::BulkOut => self.start_out(slot, c, now),
            PipeKind::BulkIn => {
                if let Some(buf) = self.pool.rx.pop() {
                    self.arm(slot, c, Home::Rx, buf, None);
                }
            }
            PipeKind::InterruptIn { every } => {
                if now < pipe.next_ask || !pipe.ready.is_empty() {
                    return;
                }
                // Its buffer may have gone back to the pool with a channel
                // that was taken away from it.
                if let Some(buf) = pipe.spare.take().or_else(|| self.pool.int.pop()) {
                    pipe.next_ask = now.saturating_add(every.into());
                    self.look_at = self.look_at.min(pipe.next_ask);
                    self.arm(slot, c, Home::Int, buf, Some(now.saturating_add(INT_TIMEOUT)));
                }
            }
        }
    }

    fn arm(
        &mut self,
        slot: usize,
        c: usize,
        home: Home,
        buf: DmaBuf<CpuOwned>,
        timeout: Option<Micros>,
    ) {
        let base = buf.bus().0;
        self.channels[c].lent = Some((home, buf.give(&self.cache, Direction::FromDevice)));
        let pipe = &self.pipes[slot];
        let t = pipe.template.with(base, pipe.size as u32, pipe.toggle);
        self.start(c, t, timeout);
    }

    /// A transfer of this pipe completed.
    pub(super) fn pipe_done(&mut self, slot: usize, c: usize, now: Micros) {
        let t = self.channels[c].transfer;
        let pipe = &mut self.pipes[slot];
        pipe.toggle = t.pid;
        pipe.ping = t.ping;
        if pipe.kind == PipeKind::BulkOut {
            self.out_done(slot, c, now);
            return;
        }
        let len = (t.moved as usize).min(pipe.size);
        if let Some((home, buf)) = self.channels[c].lent.take() {
            let buf = buf.take(&self.cache);
            if len == 0 && home == Home::Rx {
                // A zero-length packet between frames says nothing.
                self.stats.empty_ins = self.stats.empty_ins.wrapping_add(1);
                self.pool.put(home, buf);
            } else if let Err((buf, _)) = pipe.ready.push_back((buf, len)) {
                self.pool.put(home, buf);
            }
        }
        self.pump(slot, now);
    }

    /// An interrupt endpoint had nothing to say.
    pub(super) fn pipe_nothing(&mut self, slot: usize, c: usize, _now: Micros) {
        let pipe = &mut self.pipes[slot];
        pipe.toggle = self.channels[c].transfer.pid;
        if let Some((_, buf)) = self.channels[c].lent.take() {
            pipe.spare = Some(buf.take(&self.cache));
        }
    }

    /// A transfer failed; its channel is idle or already being drained.
    pub(super) fn pipe_failed(&mut self, slot: usize, c: usize, error: TransferError) {
        let pipe = &mut self.pipes[slot];
        pipe.stopped = true;
        pipe.error = Some(error);
        pipe.zlp = false;
        if self.channels[c].state == State::Idle {
            if let Some((home, buf)) = self.channels[c].lent.take() {
                let buf = buf.take(&self.cache);
                match home {
                    Home::Int => pipe.spare = Some(buf),
                    _ => self.pool.put(home, buf),
                }
            }
        } else {
            pipe.channel = None;
            pipe.wait_for = Some(c);
        }
        while let Some(job) = self.pipes[slot].jobs.pop_front() {
            self.pool.put(Home::Tx, job.buf.take(&self.cache));
        }
    }

    /// A finished transfer, an error, or a handle that has to be told it is gone.
    pub(super) fn pipe_has_received(&self, id: PipeId) -> bool {
        self.slot(id).map_or(true, |slot| {
            let pipe = &self.pipes[slot];
            !pipe.ready.is_empty() || pipe.error.is_some()
        })
    }

    pub(super) fn pipe_receive(
        &mut self,
        now: Micros,
        id: PipeId,
        take: &mut dyn FnMut(&mut [u8]) -> bool,
    ) -> Option<Result<(), TransferError>> {
        let slot = match self.slot(id) {
            Ok(slot) => slot,
            Err(StartError::Gone) => return Some(Err(TransferError::Gone)),
            Err(_) => return None,
        };
        let pipe = &mut self.pipes[slot];
        if pipe.kind == PipeKind::BulkOut {
            return None;
        }
        let Some((buf, len)) = pipe.ready.front_mut() else {
            return pipe.error.take().map(Err);
        };
        if buf.bytes_mut().get_mut(..*len).is_some_and(|bytes| !take(bytes)) {
            return Some(Ok(()));
        }
        let (buf, _) = pipe.ready.pop_front()?;
        if pipe.kind == PipeKind::BulkIn {
            self.pool.put(Home::Rx, buf);
        } else {
            pipe.spare = Some(buf);
        }
        // Whoever was without a buffer: this pipe first.
        self.pump(slot, now);
        for other in 0..MAX_PIPES {
            if other != slot && self.pipes[other].kind == PipeKind::BulkIn {
                self.pump(other, now);
            }
        }
        Some(Ok(()))
    }

    pub(super) fn pipe_deadline(&self, pipe: &Pipe) -> Option<Micros> {
        if !pipe.open || pipe.stopped {
            return None;
        }
        if pipe.wait_for.is_some() {
            return Some(self.last_poll.saturating_add(1_000));
        }
        pipe.spare.as_ref().map(|_| pipe.next_ask)
    }
}
