//! The host side of usbredir for one device, without sockets and clocks: bytes
//! and the time go in, bytes and a deadline come out.
//!
//! QEMU 7.2 to 10.0 aborts where its DWC2 model meets something it did not
//! expect, so some answers have their own order and time here:
//!
//! * **An idle bulk IN is answered**, with no data, after 20 ms. A driver
//!   that wants to stop receives no more and waits that long; a channel that is
//!   reused with its request still open ends QEMU (`usb_packet_setup`).
//! * **Requests that are open at a bus reset are held** and answered right
//!   after the next SET_CONFIGURATION. An answer in between is for an address
//!   that nobody has (`usb_ep_get`), one that never comes leaves the channel
//!   taken for ever.
//! * **At an unplug open requests are answered in the bytes before the
//!   disconnect**, as the protocol asks: afterwards they cannot be. The moment
//!   is one at which an IN is open and nothing else is under way.
//!
//! A transfer that the guest's controller cuts in pieces of a packet comes as
//! that many requests, and so as that many packets, as on a bus: what belongs
//! together is the function's business. The ids are bus addresses of the
//! guest's buffers, so they are not unique over time.

use sk_hal::Micros;
use sk_hal::usb::Setup;
use sk_models::usb::{Answer, UsbFunction};

use crate::descriptors::{Descriptors, Layout};
use crate::wire::{
    Bulk, Control, ENDPOINTS, EndpointInfo, EndpointType, Format, Interrupt, Malformed, Message,
    Packet, Status, caps, endpoint_index,
};

/// How long a bulk IN waits for data before it is answered with none.
pub(crate) const IDLE: Micros = 20_000;

/// Between two attempts at what the function has put off (NAK).
const AGAIN: Micros = 1_000;

/// Between two looks at an interrupt endpoint at the least; the guest takes
/// what comes from a buffer anyway.
const POLL: Micros = 4_000;

/// Before an interrupt endpoint's packet is repeated as it was: the guest
/// keeps packets it has not asked for.
const REPEAT: Micros = 100_000;

/// Nothing came from the guest for so long: nothing is under way either.
const QUIET: Micros = 2_000;

/// An unplug waits this long for a good moment.
const UNPLUG_PATIENCE: Micros = 200_000;

/// Requests open at the same time; the guest's controller has 8 channels.
const MAX_OPEN: usize = 64;

/// The guest broke the protocol; the connection is of no more use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Violation {
    /// Bytes that are no message.
    Malformed(Malformed),
    /// A message before HELLO, or a second HELLO.
    Order,
    /// More requests than there are channels for.
    TooMany,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::Order => f.write_str("a message out of order"),
            Self::TooMany => write!(f, "more than {MAX_OPEN} requests at a time"),
        }
    }
}

impl std::error::Error for Violation {}

/// A request without its answer.
#[derive(Debug)]
struct Request {
    id: u64,
    since: Micros,
    /// Came before a bus reset, or for a device that has gone.
    held: bool,
    work: Work,
}

#[derive(Debug)]
enum Work {
    Control(Control),
    In(Bulk),
    /// And how many of its bytes the function has taken.
    Out(Bulk, usize),
}

impl Work {
    fn endpoint(&self) -> u8 {
        match self {
            Self::Control(_) => 0,
            Self::In(bulk) | Self::Out(bulk, _) => bulk.endpoint,
        }
    }
}

/// An interrupt endpoint whose packets the guest wants.
#[derive(Clone, Debug)]
struct Poll {
    endpoint: u8,
    every: Micros,
    due: Micros,
    /// The last packet and its time, unless the endpoint was silent since.
    last: Option<(Vec<u8>, Micros)>,
}

/// A function at the end of a connection.
#[derive(Debug)]
pub struct Device {
    input: Vec<u8>,
    output: Vec<u8>,
    /// `None` until the guest has said HELLO.
    format: Option<Format>,
    plugged: bool,
    attached: bool,
    /// When the unplug was asked for.
    leaving: Option<Micros>,
    retry: Micros,
    heard: Micros,
    descriptors: Option<Descriptors>,
    layout: Layout,
    endpoints: Box<[EndpointInfo; ENDPOINTS]>,
    addressed: bool,
    configuration: u8,
    requests: Vec<Request>,
    polls: Vec<Poll>,
    next_id: u64,
}

impl Default for Device {
    fn default() -> Self {
        Self::new()
    }
}

impl Device {
    /// A device that is plugged in, without a connection.
    #[must_use]
    pub fn new() -> Self {
        Self {
            input: Vec::new(),
            output: Vec::new(),
            format: None,
            plugged: true,
            attached: false,
            leaving: None,
            retry: 0,
            heard: 0,
            descriptors: None,
            layout: Layout::default(),
            endpoints: Box::new([EndpointInfo::ABSENT; ENDPOINTS]),
            addressed: false,
            configuration: 0,
            requests: Vec::new(),
            polls: Vec::new(),
            next_id: 1,
        }
    }

    /// A guest has connected: what it is greeted with is in
    /// [`output`](Self::output).
    pub fn connected(&mut self, version: &str) {
        *self = Self { plugged: self.plugged && self.leaving.is_none(), ..Self::new() };
        let hello = Message::Hello { version: version.to_owned(), caps: caps::OURS };
        Packet { id: 0, message: hello }.encode(Format::default(), &mut self.output);
    }

    /// The connection is gone, and the guest's power with it.
    pub fn disconnected(&mut self, function: &mut dyn UsbFunction) {
        *self = Self { plugged: self.plugged && self.leaving.is_none(), ..Self::new() };
        function.reset();
    }

    /// Bytes for the guest; whoever has sent them takes them away.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// The guest has the device.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        self.attached
    }

    /// bConfigurationValue that the guest has set.
    #[must_use]
    pub fn configuration(&self) -> u8 {
        self.configuration
    }

    /// Plugs the device in, or pulls it out as soon as nothing is under way.
    pub fn set_plugged(&mut self, now: Micros, plugged: bool) {
        if plugged {
            self.plugged = true;
            self.leaving = None;
        } else if self.attached {
            self.leaving = self.leaving.or(Some(now));
        } else {
            self.plugged = false;
        }
    }

    /// Takes bytes from the guest. [`poll`](Self::poll) is to follow.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn receive(
        &mut self,
        now: Micros,
        function: &mut dyn UsbFunction,
        bytes: &[u8],
    ) -> Result<(), Violation> {
        self.heard = now;
        function.advance(now);
        self.input.extend_from_slice(bytes);
        let input = std::mem::take(&mut self.input);
        let mut rest = input.as_slice();
        loop {
            let format = self.format.unwrap_or_default();
            let Some((packet, length)) =
                Packet::decode(format, rest).map_err(Violation::Malformed)?
            else {
                break;
            };
            rest = rest.get(length..).unwrap_or_default();
            self.take(now, function, packet)?;
        }
        self.input = rest.to_vec();
        Ok(())
    }

    /// Does what can be done now: plugs in and out, carries requests on.
    pub fn poll(&mut self, now: Micros, function: &mut dyn UsbFunction) {
        function.advance(now);
        if self.format.is_none() {
            return;
        }
        if self.plugged && !self.attached && now >= self.retry {
            self.retry = now + 100_000;
            self.attach(function);
        }
        self.work(now, function);
        self.poll_interrupts(now, function);
        if let Some(since) = self.leaving {
            let quiet = now >= self.heard + QUIET
                && self.requests.iter().all(|r| r.held || matches!(r.work, Work::In(_)));
            let receiving = self.requests.iter().any(|r| !r.held);
            if (quiet && receiving) || now >= since + UNPLUG_PATIENCE {
                self.detach(function);
            }
        }
    }

    /// When [`poll`](Self::poll) is to be called next, if nothing else happens.
    #[must_use]
    pub fn next_deadline(&self, now: Micros) -> Option<Micros> {
        let requests = self.requests.iter().filter(|r| !r.held).map(|request| match request.work {
            Work::In(_) => request.since + IDLE,
            _ => now + AGAIN,
        });
        let polls = self.polls.iter().map(|poll| poll.due);
        let leaving = self.leaving.map(|_| now + AGAIN);
        let attach = (self.format.is_some() && self.plugged && !self.attached)
            .then_some(self.retry.max(now + AGAIN));
        requests.chain(polls).chain(leaving).chain(attach).min()
    }

    fn send(&mut self, id: u64, message: Message) {
        Packet { id, message }.encode(self.format.unwrap_or_default(), &mut self.output);
    }

    fn send_layout(&mut self, id: u64) {
        for message in self.layout.messages() {
            self.send(id, message);
        }
        (_, self.endpoints) = self.layout.tables();
    }

    fn attach(&mut self, function: &mut dyn UsbFunction) {
        function.reset();
        self.descriptors = Descriptors::read(function);
        // What was asked is not to be seen by the guest.
        function.reset();
        let Some(descriptors) = self.descriptors.clone() else {
            return;
        };
        self.forget();
        self.layout = descriptors.layout(0);
        self.send_layout(0);
        self.send(0, Message::DeviceConnect(descriptors.connect(function.speed())));
        self.attached = true;
    }

    fn detach(&mut self, function: &mut dyn UsbFunction) {
        let (held, open) = std::mem::take(&mut self.requests).into_iter().partition(|r| r.held);
        self.requests = held;
        for request in open {
            self.answer(request, Status::Cancelled);
        }
        self.send(0, Message::DeviceDisconnect);
        self.forget();
        (self.attached, self.plugged, self.leaving) = (false, false, None);
        function.reset();
    }

    fn forget(&mut self) {
        self.addressed = false;
        self.configuration = 0;
        self.polls.clear();
    }

    fn take(
        &mut self,
        now: Micros,
        function: &mut dyn UsbFunction,
        packet: Packet,
    ) -> Result<(), Violation> {
        let Packet { id, message } = packet;
        if matches!(message, Message::Hello { .. }) != self.format.is_none() {
            return Err(Violation::Order);
        }
        match message {
            Message::Hello { caps, .. } => {
                self.format = Some(Format::of(caps & caps::OURS));
            }
            Message::Reset => {
                function.reset();
                self.forget();
                self.requests.iter_mut().for_each(|request| request.held = true);
            }
            Message::SetConfiguration(value) => self.set_configuration(function, id, value),
            Message::GetConfiguration => {
                let answer = function.control(standard(0x80, 8, 0, 0, 1), &[]);
                let (status, configuration) = byte(&answer);
                self.send(id, Message::ConfigurationStatus { status, configuration });
            }
            Message::SetAlternate { interface, alternate } => {
                let setup = standard(0x01, 11, alternate.into(), interface.into(), 0);
                let status = outcome(&function.control(setup, &[]));
                if status == Status::Success {
                    self.layout.choose(interface, alternate);
                    self.send_layout(id);
                }
                let status = status as u8;
                self.send(id, Message::AlternateStatus { status, interface, alternate });
            }
            Message::GetAlternate(interface) => {
                let setup = standard(0x81, 10, 0, interface.into(), 1);
                let (status, alternate) = byte(&function.control(setup, &[]));
                self.send(id, Message::AlternateStatus { status, interface, alternate });
            }
            Message::StartInterrupt(endpoint) => {
                let status = self.start_interrupt(now, endpoint) as u8;
                self.send(id, Message::InterruptStatus { status, endpoint });
            }
            Message::StopInterrupt(endpoint) => {
                self.polls.retain(|poll| poll.endpoint != endpoint);
                self.send(id, Message::InterruptStatus { status: 0, endpoint });
            }
            Message::Cancel => {
                if let Some(at) = self.requests.iter().position(|request| request.id == id) {
                    let request = self.requests.remove(at);
                    self.answer(request, Status::Cancelled);
                }
            }
            Message::Control(control) => self.open(now, id, Work::Control(control))?,
            Message::Bulk(mut bulk) if bulk.endpoint & 0x80 != 0 => {
                bulk.data.clear();
                self.open(now, id, Work::In(bulk))?;
            }
            Message::Bulk(bulk) => self.open(now, id, Work::Out(bulk, 0))?,
            Message::Interrupt(packet) => {
                // No model has an interrupt OUT endpoint.
                let status = Status::Invalid as u8;
                let answer = Interrupt { status, length: 0, data: Vec::new(), ..packet };
                self.send(id, Message::Interrupt(answer));
            }
            // What only the host says, and filters that do not concern it.
            _ => {}
        }
        if self.attached {
            self.work(now, function);
        }
        Ok(())
    }

    fn open(&mut self, now: Micros, id: u64, work: Work) -> Result<(), Violation> {
        if self.requests.len() >= MAX_OPEN {
            return Err(Violation::TooMany);
        }
        // For a device that has gone: it was under way when it went.
        let held = !self.attached;
        self.requests.push(Request { id, since: now, held, work });
        Ok(())
    }

    fn set_configuration(&mut self, function: &mut dyn UsbFunction, id: u64, value: u8) {
        if !self.addressed {
            // The guest's SET_ADDRESS goes no further than its controller.
            self.addressed = function.control(standard(0, 5, 1, 0, 0), &[]) == Answer::Ack;
        }
        let status = outcome(&function.control(standard(0, 9, value.into(), 0, 0), &[]));
        if status == Status::Success {
            self.configuration = value;
            self.polls.clear();
            if let Some(descriptors) = &self.descriptors {
                self.layout = descriptors.layout(value);
            }
            self.send_layout(id);
        }
        let (status, configuration) = (status as u8, self.configuration);
        self.send(id, Message::ConfigurationStatus { status, configuration });
        let (held, open) = std::mem::take(&mut self.requests).into_iter().partition(|r| r.held);
        self.requests = open;
        for request in held {
            self.answer(request, Status::Success);
        }
    }

    fn start_interrupt(&mut self, now: Micros, endpoint: u8) -> Status {
        let info = self.endpoints[endpoint_index(endpoint)];
        if endpoint & 0x80 == 0 || info.kind != EndpointType::Interrupt {
            return Status::Invalid;
        }
        // USB 2.0 table 9-13: 2^(n-1) microframes; at full speed n frames.
        let every = 125 << u32::from(info.interval.clamp(1, 16) - 1);
        self.polls.retain(|poll| poll.endpoint != endpoint);
        let every = Micros::max(every, POLL);
        self.polls.push(Poll { endpoint, every, due: now, last: None });
        Status::Success
    }

    fn poll_interrupts(&mut self, now: Micros, function: &mut dyn UsbFunction) {
        for at in 0..self.polls.len() {
            let Some(poll) = self.polls.get_mut(at).filter(|poll| now >= poll.due) else {
                continue;
            };
            poll.due = now + poll.every;
            let endpoint = poll.endpoint;
            let max_packet = self.endpoints[endpoint_index(endpoint)].max_packet;
            let answer = function.packet_in(endpoint & 15, max_packet.into());
            let (status, data) = match answer {
                Answer::Data(bytes) => (Status::Success, bytes),
                Answer::Stall => (Status::Stall, Vec::new()),
                Answer::Babble => (Status::Babble, Vec::new()),
                Answer::Nak | Answer::Silence | Answer::Ack | Answer::Nyet => {
                    poll.last = None;
                    continue;
                }
            };
            if poll.last.as_ref().is_some_and(|(l, at)| *l == data && now < at + REPEAT) {
                continue;
            }
            poll.last = Some((data.clone(), now));
            let (status, length) = (status as u8, data.len() as u16);
            let id = self.next_id;
            self.next_id += 1;
            self.send(id, Message::Interrupt(Interrupt { endpoint, status, length, data }));
        }
    }

    /// Carries open requests on, in their order on each endpoint.
    fn work(&mut self, now: Micros, function: &mut dyn UsbFunction) {
        let mut waiting = [false; ENDPOINTS];
        let mut left = Vec::new();
        for mut request in std::mem::take(&mut self.requests) {
            let slot = &mut waiting[endpoint_index(request.work.endpoint())];
            let status = if request.held || *slot {
                None
            } else {
                let max_packet =
                    self.endpoints[endpoint_index(request.work.endpoint())].max_packet.into();
                let idle = now >= request.since + IDLE;
                carry_on(&mut request.work, function, max_packet, idle)
            };
            match status {
                Some(status) => self.answer(request, status),
                None => {
                    *slot |= !request.held;
                    left.push(request);
                }
            }
        }
        self.requests = left;
    }

    fn answer(&mut self, request: Request, status: Status) {
        let done = status == Status::Success;
        let status = status as u8;
        let message = match request.work {
            Work::Control(mut control) => {
                let is_in = control.request_type & 0x80 != 0;
                if !is_in {
                    control.data.clear();
                }
                if is_in || !done {
                    control.length = control.data.len() as u16;
                }
                Message::Control(Control { status, ..control })
            }
            Work::In(bulk) => {
                Message::Bulk(Bulk { status, length: bulk.data.len() as u32, ..bulk })
            }
            Work::Out(bulk, taken) => {
                let length = if done { bulk.length } else { taken as u32 };
                Message::Bulk(Bulk { status, length, data: Vec::new(), ..bulk })
            }
        };
        self.send(request.id, message);
    }
}

/// One step of a request; its status when it is through.
fn carry_on(
    work: &mut Work,
    function: &mut dyn UsbFunction,
    max_packet: usize,
    idle: bool,
) -> Option<Status> {
    match work {
        Work::Control(control) => carry_on_control(control, function),
        Work::In(_) | Work::Out(..) if max_packet == 0 => Some(Status::Stall),
        Work::In(bulk) => carry_on_in(bulk, function, max_packet, idle),
        Work::Out(bulk, taken) => {
            if bulk.length as usize != bulk.data.len() {
                return Some(Status::Invalid);
            }
            loop {
                let rest = bulk.data.get(*taken..).unwrap_or_default();
                let packet = &rest[..rest.len().min(max_packet)];
                match function.packet_out(bulk.endpoint & 15, packet) {
                    Answer::Ack | Answer::Nyet => *taken += packet.len(),
                    Answer::Nak => return None,
                    other => return Some(outcome(&other)),
                }
                if *taken >= bulk.data.len() {
                    return Some(Status::Success);
                }
            }
        }
    }
}

fn carry_on_control(control: &mut Control, function: &mut dyn UsbFunction) -> Option<Status> {
    let setup = Setup {
        request_type: control.request_type,
        request: control.request,
        value: control.value,
        index: control.index,
        length: control.length,
    };
    let out = if setup.is_in() { &[] } else { control.data.as_slice() };
    if !setup.is_in() && out.len() != usize::from(setup.length) {
        return Some(Status::Invalid);
    }
    let status = match function.control(setup, out) {
        Answer::Nak => return None,
        Answer::Data(bytes) if bytes.len() > usize::from(setup.length) => Status::Babble,
        Answer::Data(bytes) => {
            control.data = bytes;
            Status::Success
        }
        other => outcome(&other),
    };
    if status != Status::Success || !setup.is_in() {
        control.data.clear();
    }
    Some(status)
}

fn carry_on_in(
    bulk: &mut Bulk,
    function: &mut dyn UsbFunction,
    max_packet: usize,
    idle: bool,
) -> Option<Status> {
    let asked = bulk.length as usize;
    while bulk.data.len() < asked {
        match function.packet_in(bulk.endpoint & 15, max_packet) {
            Answer::Data(packet) => {
                bulk.data.extend(&packet);
                if bulk.data.len() > asked {
                    bulk.data.truncate(asked);
                    return Some(Status::Babble);
                }
                if packet.len() < max_packet {
                    break;
                }
            }
            // The guest's controller asks for what is missing.
            Answer::Nak if !bulk.data.is_empty() || idle => break,
            Answer::Nak => return None,
            Answer::Ack | Answer::Nyet => break,
            other => return Some(outcome(&other)),
        }
    }
    Some(Status::Success)
}

/// What an answer to anything but IN comes to. A request that cannot wait is
/// lost when it is put off.
fn outcome(answer: &Answer) -> Status {
    match answer {
        Answer::Ack | Answer::Nyet | Answer::Data(_) => Status::Success,
        Answer::Stall => Status::Stall,
        Answer::Nak => Status::Timeout,
        Answer::Silence => Status::IoError,
        Answer::Babble => Status::Babble,
    }
}

/// The status and the one byte of an answer.
fn byte(answer: &Answer) -> (u8, u8) {
    match answer {
        Answer::Data(bytes) => (0, bytes.first().copied().unwrap_or(0)),
        other => (outcome(other) as u8, 0),
    }
}

const fn standard(request_type: u8, request: u8, value: u16, index: u16, length: u16) -> Setup {
    Setup { request_type, request, value, index, length }
}
