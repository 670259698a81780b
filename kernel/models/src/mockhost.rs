//! A USB host controller without registers: the transfer trait straight over a
//! [`UsbFunction`], for testing class drivers.
//!
//! It is strict where silicon is forgiving by luck: data toggles are kept at
//! both ends, handles are never reused, a device is deaf for 2 ms after
//! SET_ADDRESS, pipes stay open until somebody closes them (so a leak shows).

use crate::usb::{Answer, UsbFunction};
use sk_hal::Micros;
use sk_hal::usb::{
    DeviceTarget, PipeConfig, PipeId, PipeKind, Port, Setup, StartError, TransferError, UsbHost,
};
use std::collections::{BTreeMap, VecDeque};

/// From plugging in (or a reset) to `Ready`.
pub const SETTLE: Micros = 150_000;
/// A control transfer takes so long.
pub const CONTROL_TIME: Micros = 250;
/// A device that answers NAK for so long is given up.
pub const NAK_LIMIT: Micros = 500_000;
/// Recovery time after SET_ADDRESS (USB 2.0 section 9.2.6.3).
pub const ADDRESS_RECOVERY: Micros = 2_000;
/// Finished IN transfers kept per pipe.
const IN_DEPTH: usize = 2;

#[derive(Clone, Debug)]
struct Control {
    target: DeviceTarget,
    setup: Setup,
    out: Vec<u8>,
    due: Micros,
    limit: Micros,
}

#[derive(Clone, Debug)]
struct Pipe {
    config: PipeConfig,
    transfer: usize,
    toggle: bool,
    stopped: bool,
    error: Option<TransferError>,
    done: VecDeque<Vec<u8>>,
    partial: Vec<u8>,
    /// OUT packets still to go, and until when.
    packets: VecDeque<Vec<u8>>,
    limit: Micros,
    next_poll: Micros,
}

impl Pipe {
    fn address(&self) -> u8 {
        match self.config.kind {
            PipeKind::BulkOut => self.config.endpoint,
            PipeKind::BulkIn | PipeKind::InterruptIn { .. } => self.config.endpoint | 0x80,
        }
    }

    fn stop(&mut self, error: TransferError) {
        self.stopped = true;
        self.error = Some(error);
        self.partial.clear();
        self.packets.clear();
    }
}

/// See the module.
#[derive(Debug)]
pub struct MockHost<F> {
    /// The device.
    pub function: F,
    /// What each of the next control transfers ends with instead of running.
    pub control_faults: VecDeque<TransferError>,
    /// All control transfers end so.
    pub control_broken: Option<TransferError>,
    /// Control transfers never end.
    pub lose_control: bool,
    /// A reset port never becomes ready.
    pub stuck_port: bool,
    /// Pipes that may be open at once.
    pub channels: usize,
    /// Largest control transfer.
    pub control_limit: usize,
    /// Every control transfer started.
    pub log: Vec<(DeviceTarget, Setup)>,
    /// Packets lost because the ends disagreed on the toggle.
    pub toggle_errors: u32,
    /// Requests that came within the recovery time of SET_ADDRESS.
    pub too_early: u32,
    /// Polls of interrupt endpoints.
    pub interrupt_polls: u32,
    /// Port resets.
    pub resets: u32,
    /// Calls with a handle that is not open.
    pub stale_handles: u32,
    attached: bool,
    port: Port,
    settled_at: Option<Micros>,
    now: Micros,
    address: u8,
    addressed_at: Option<Micros>,
    device_toggles: BTreeMap<u8, bool>,
    control: Option<Control>,
    result: Option<Result<Vec<u8>, TransferError>>,
    shown: Vec<u8>,
    pipes: BTreeMap<u16, Pipe>,
    next_id: u16,
}

impl<F: UsbFunction> MockHost<F> {
    /// With `function` plugged in.
    pub fn new(function: F) -> Self {
        Self {
            function,
            control_faults: VecDeque::new(),
            control_broken: None,
            lose_control: false,
            stuck_port: false,
            channels: 8,
            control_limit: 512,
            log: Vec::new(),
            toggle_errors: 0,
            too_early: 0,
            interrupt_polls: 0,
            resets: 0,
            stale_handles: 0,
            attached: true,
            port: Port::Starting,
            settled_at: None,
            now: 0,
            address: 0,
            addressed_at: None,
            device_toggles: BTreeMap::new(),
            control: None,
            result: None,
            shown: Vec::new(),
            pipes: BTreeMap::new(),
            next_id: 1,
        }
    }

    /// Pulls the device out. Open pipes fail with `Gone` and stay open.
    pub fn detach(&mut self) {
        self.attached = false;
        self.lose(Port::Empty);
    }

    /// The controller fails and starts anew; to those above it looks like a
    /// device that went away, and at first not like an empty port.
    pub fn restart(&mut self) {
        self.lose(Port::Starting);
    }

    fn lose(&mut self, port: Port) {
        self.port = port;
        self.settled_at = None;
        self.address = 0;
        self.addressed_at = None;
        if self.control.take().is_some() {
            self.result = Some(Err(TransferError::Gone));
        }
        for pipe in self.pipes.values_mut() {
            pipe.done.clear();
            pipe.stop(TransferError::Gone);
        }
    }

    /// Plugs it in again.
    pub fn attach(&mut self) {
        self.attached = true;
        self.settle();
    }

    /// Pipes nobody closed.
    #[must_use]
    pub fn open_pipes(&self) -> usize {
        self.pipes.len()
    }

    /// Stops the pipe of an endpoint (address, bit 7 = IN) with `error`.
    /// `false` = there is none.
    pub fn break_pipe(&mut self, address: u8, error: TransferError) -> bool {
        match self.pipes.values_mut().find(|pipe| pipe.address() == address) {
            Some(pipe) => {
                pipe.stop(error);
                true
            }
            None => false,
        }
    }

    fn settle(&mut self) {
        self.port = Port::Settling;
        self.settled_at = None;
        self.address = 0;
        self.addressed_at = None;
    }

    fn finish_control(
        &mut self,
        now: Micros,
        control: &Control,
    ) -> Option<Result<Vec<u8>, TransferError>> {
        let Control { target, setup, out, limit, .. } = control;
        if self.lose_control {
            return None;
        }
        if let Some(error) = self.control_broken.or_else(|| self.control_faults.pop_front()) {
            return Some(Err(error));
        }
        if self.addressed_at.is_some_and(|at| now < at + ADDRESS_RECOVERY) {
            self.too_early += 1;
            return Some(Err(TransferError::Transaction));
        }
        if target.address != self.address || target.speed != self.function.speed() {
            return Some(Err(TransferError::Timeout));
        }
        let answer = self.function.control(*setup, out);
        if answer == Answer::Ack {
            self.note_request(now, *setup);
        }
        match answer {
            Answer::Data(bytes) if bytes.len() > usize::from(setup.length) => {
                Some(Err(TransferError::Babble))
            }
            Answer::Data(bytes) => Some(Ok(bytes)),
            Answer::Ack | Answer::Nyet => Some(Ok(Vec::new())),
            Answer::Nak if now < *limit => None,
            Answer::Nak => Some(Err(TransferError::Timeout)),
            Answer::Stall => Some(Err(TransferError::Stall)),
            Answer::Silence => Some(Err(TransferError::Transaction)),
            Answer::Babble => Some(Err(TransferError::Babble)),
        }
    }

    /// What an accepted request does to addresses and the device's toggles.
    fn note_request(&mut self, now: Micros, setup: Setup) {
        let [value, _] = setup.value.to_le_bytes();
        let [index, _] = setup.index.to_le_bytes();
        match (setup.request_type, setup.request) {
            (0x00, 5) => (self.address, self.addressed_at) = (value, Some(now)),
            (0x00, 9) | (0x01, 11) => self.device_toggles.clear(),
            (0x02, 1) => {
                self.device_toggles.remove(&index);
            }
            _ => {}
        }
    }

    fn run_in(&mut self, id: u16) {
        let Self { function, pipes, device_toggles, toggle_errors, .. } = self;
        let Some(pipe) = pipes.get_mut(&id) else {
            return;
        };
        let interrupt = matches!(pipe.config.kind, PipeKind::InterruptIn { .. });
        // Bounded: a model that always has data must not hang the test.
        for _ in 0..256 {
            if pipe.stopped || pipe.done.len() >= IN_DEPTH {
                return;
            }
            if interrupt {
                if self.now < pipe.next_poll {
                    return;
                }
                let PipeKind::InterruptIn { every } = pipe.config.kind else {
                    return;
                };
                pipe.next_poll = self.now + Micros::from(every);
                self.interrupt_polls += 1;
            }
            let max_packet = usize::from(pipe.config.max_packet);
            match function.packet_in(pipe.config.endpoint, max_packet) {
                Answer::Data(bytes) => {
                    let toggle = device_toggles.entry(pipe.address()).or_default();
                    let agreed = *toggle == pipe.toggle;
                    *toggle = !*toggle;
                    if !agreed {
                        // The host takes it for a repetition and drops it.
                        *toggle_errors += 1;
                        continue;
                    }
                    pipe.toggle = !pipe.toggle;
                    pipe.partial.extend(&bytes);
                    if bytes.len() < max_packet || pipe.partial.len() >= pipe.transfer {
                        pipe.done.push_back(std::mem::take(&mut pipe.partial));
                    }
                }
                Answer::Stall => pipe.stop(TransferError::Stall),
                Answer::Silence => pipe.stop(TransferError::Transaction),
                Answer::Babble => pipe.stop(TransferError::Babble),
                Answer::Nak | Answer::Ack | Answer::Nyet => return,
            }
        }
    }

    fn run_out(&mut self, id: u16) {
        let Self { function, pipes, device_toggles, toggle_errors, .. } = self;
        let Some(pipe) = pipes.get_mut(&id) else {
            return;
        };
        while let Some(packet) = pipe.packets.front() {
            let toggle = device_toggles.entry(pipe.address()).or_default();
            if *toggle != pipe.toggle {
                // The device acknowledges and drops what it takes for a repetition.
                *toggle_errors += 1;
                pipe.toggle = !pipe.toggle;
                pipe.packets.pop_front();
                continue;
            }
            match function.packet_out(pipe.config.endpoint, packet) {
                Answer::Ack | Answer::Nyet => {
                    *toggle = !*toggle;
                    pipe.toggle = !pipe.toggle;
                    pipe.packets.pop_front();
                }
                Answer::Stall => pipe.stop(TransferError::Stall),
                Answer::Nak if self.now < pipe.limit => return,
                Answer::Nak => pipe.stop(TransferError::Timeout),
                _ => pipe.stop(TransferError::Transaction),
            }
        }
    }

    fn pipe(&mut self, pipe: PipeId) -> Option<&mut Pipe> {
        if !self.pipes.contains_key(&pipe.0) {
            self.stale_handles += 1;
        }
        self.pipes.get_mut(&pipe.0)
    }
}

impl<F: UsbFunction> UsbHost for MockHost<F> {
    fn poll(&mut self, now: Micros) {
        self.now = now;
        self.function.advance(now);
        match self.port {
            Port::Starting => {
                self.port = if self.attached { Port::Settling } else { Port::Empty };
            }
            Port::Settling if !self.stuck_port => {
                let due = *self.settled_at.get_or_insert(now + SETTLE);
                if now >= due {
                    self.function.reset();
                    self.device_toggles.clear();
                    self.address = 0;
                    self.addressed_at = None;
                    self.port = Port::Ready(self.function.speed());
                }
            }
            Port::Settling | Port::Empty | Port::Ready(_) => {}
        }
        if let Some(control) = self.control.take() {
            if now >= control.due {
                self.result = self.finish_control(now, &control);
            }
            if self.result.is_none() {
                self.control = Some(control);
            }
        }
        if self.attached {
            let ids: Vec<u16> = self.pipes.keys().copied().collect();
            for id in ids {
                match self.pipes[&id].config.kind {
                    PipeKind::BulkOut => self.run_out(id),
                    PipeKind::BulkIn | PipeKind::InterruptIn { .. } => self.run_in(id),
                }
            }
        }
    }

    fn next_deadline(&self) -> Option<Micros> {
        let port = (self.port == Port::Settling && !self.stuck_port)
            .then(|| self.settled_at.unwrap_or(self.now));
        let control = self
            .control
            .as_ref()
            .filter(|_| !self.lose_control)
            .map(|control| if control.due > self.now { control.due } else { self.now + 125 });
        let pipes = self.pipes.values().filter(|pipe| !pipe.stopped).filter_map(|pipe| match pipe
            .config
            .kind
        {
            PipeKind::InterruptIn { .. } if pipe.done.is_empty() => Some(pipe.next_poll),
            PipeKind::BulkOut if !pipe.packets.is_empty() => Some(self.now + 125),
            _ => None,
        });
        pipes.chain(port).chain(control).min()
    }

    fn port(&self) -> Port {
        self.port
    }

    fn reset_port(&mut self, _now: Micros) {
        self.resets += 1;
        self.pipes.clear();
        if self.control.take().is_some() {
            self.result = Some(Err(TransferError::Gone));
        }
        if self.attached {
            self.settle();
        }
    }

    fn control(
        &mut self,
        now: Micros,
        target: DeviceTarget,
        setup: Setup,
        out: &[u8],
    ) -> Result<(), StartError> {
        if !self.attached || !matches!(self.port, Port::Ready(_)) {
            return Err(StartError::Gone);
        }
        if self.control.is_some() || self.result.is_some() {
            return Err(StartError::Busy);
        }
        if usize::from(setup.length) > self.control_limit {
            return Err(StartError::TooLong);
        }
        self.log.push((target, setup));
        self.control = Some(Control {
            target,
            setup,
            out: out.to_vec(),
            due: now + CONTROL_TIME,
            limit: now + NAK_LIMIT,
        });
        Ok(())
    }

    fn control_result(&mut self) -> Option<Result<&[u8], TransferError>> {
        match self.result.take()? {
            Ok(bytes) => {
                self.shown = bytes;
                Some(Ok(&self.shown))
            }
            Err(error) => Some(Err(error)),
        }
    }

    fn open(
        &mut self,
        now: Micros,
        config: PipeConfig,
        transfer: usize,
    ) -> Result<PipeId, StartError> {
        if !self.attached {
            return Err(StartError::Gone);
        }
        if !(1..=15).contains(&config.endpoint)
            || config.max_packet == 0
            || config.target.address != self.address
        {
            return Err(StartError::BadPipe);
        }
        let whole = transfer.is_multiple_of(usize::from(config.max_packet));
        if config.kind == PipeKind::BulkIn && (transfer == 0 || !whole) {
            return Err(StartError::BadPipe);
        }
        if self.pipes.len() >= self.channels {
            return Err(StartError::NoChannel);
        }
        let id = self.next_id;
        self.next_id += 1;
        self.pipes.insert(
            id,
            Pipe {
                config,
                transfer: match config.kind {
                    PipeKind::BulkIn => transfer,
                    _ => usize::from(config.max_packet),
                },
                toggle: false,
                stopped: false,
                error: None,
                done: VecDeque::new(),
                partial: Vec::new(),
                packets: VecDeque::new(),
                limit: 0,
                next_poll: now,
            },
        );
        Ok(PipeId(id))
    }

    fn close(&mut self, _now: Micros, pipe: PipeId) {
        if self.pipes.remove(&pipe.0).is_none() {
            self.stale_handles += 1;
        }
    }

    fn reset_toggle(&mut self, _now: Micros, pipe: PipeId) {
        if let Some(pipe) = self.pipe(pipe) {
            pipe.toggle = false;
            pipe.stopped = false;
            pipe.error = None;
        }
    }

    fn can_send(&self, pipe: PipeId) -> bool {
        self.attached
            && self.pipes.get(&pipe.0).is_some_and(|pipe| {
                pipe.config.kind == PipeKind::BulkOut && !pipe.stopped && pipe.packets.is_empty()
            })
    }

    fn send(
        &mut self,
        now: Micros,
        pipe: PipeId,
        len: usize,
        zlp: bool,
        fill: &mut dyn FnMut(&mut [u8]),
    ) -> Result<(), StartError> {
        if !self.attached {
            return Err(StartError::Gone);
        }
        let free = self.can_send(pipe);
        let Some(pipe) = self.pipe(pipe) else {
            return Err(StartError::BadPipe);
        };
        if pipe.config.kind != PipeKind::BulkOut {
            return Err(StartError::BadPipe);
        }
        if !free {
            return Err(StartError::Busy);
        }
        let mut bytes = vec![0xee; len];
        fill(&mut bytes);
        let max_packet = usize::from(pipe.config.max_packet);
        pipe.packets = bytes.chunks(max_packet).map(<[u8]>::to_vec).collect();
        if zlp && len.is_multiple_of(max_packet) {
            pipe.packets.push_back(Vec::new());
        }
        pipe.limit = now + NAK_LIMIT;
        Ok(())
    }

    fn receive_some(
        &mut self,
        _now: Micros,
        pipe: PipeId,
        take: &mut dyn FnMut(&mut [u8]) -> bool,
    ) -> Option<Result<(), TransferError>> {
        let pipe = self.pipe(pipe)?;
        if let Some(bytes) = pipe.done.front_mut() {
            if take(bytes) {
                pipe.done.pop_front();
            }
            return Some(Ok(()));
        }
        pipe.error.take().map(Err)
    }

    fn send_error(&mut self, pipe: PipeId) -> Option<TransferError> {
        self.pipe(pipe)?.error.take()
    }
}
