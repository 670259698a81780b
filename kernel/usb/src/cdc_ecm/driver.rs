//! Setting an ECM function up and carrying frames.
//!
//! After SET_CONFIGURATION: station address, SET_INTERFACE to the alternate
//! setting that has endpoints, packet filter, pipes. The pipes are opened last,
//! so both ends start with DATA0.
//!
//! A pipe that stops is brought back by CLEAR_FEATURE(ENDPOINT_HALT), which
//! resets the device's toggle whatever the cause was, and `reset_toggle`, which
//! resets ours. One that keeps stopping takes the adapter down, to be
//! enumerated again; the notification pipe is only given up.

use super::layout::{EcmLayout, MAX_FRAME, MIN_FRAME, PADDED_FRAME, parse_mac_string};
use super::notification::{Notice, Notices};
use crate::descriptor::kind;
use crate::enumerate::SCRATCH;
use crate::event::{Fault, MacSource, Stage};
use crate::function::Signal;
use crate::request::{
    Outcome, Requester, clear_halt, get_descriptor, set_interface, set_packet_filter,
};
use crate::statistics::{Statistics, count};
use sk_hal::Micros;
use sk_hal::usb::{
    DeviceTarget, PipeConfig, PipeId, PipeKind, Setup, StartError, TransferError, UsbHost,
};

/// Room for one IN transfer: a frame and then some, and a multiple of every
/// packet size. QEMU is fast only above 1536 (it then moves whole transfers).
const IN_TRANSFER: usize = 2048;
/// All multicast, directed, broadcast (ECM 1.2 table 8).
const PACKET_FILTER: u16 = 0x02 | 0x04 | 0x08;
/// Notifications are asked for no more often: QEMU's device answers each poll.
const NOTIFICATION_INTERVAL: u32 = 250_000;
/// A device that has not spoken of its cable by then has one.
const ASSUME_LINK: Micros = 2_000_000;
/// For pipes that cannot be opened at once.
const OPEN_LIMIT: Micros = 1_000_000;
/// A pipe may stop so often without a calm period between.
const MAX_STOPS: u8 = 4;
/// What counts as calm.
const CALM: Micros = 30_000_000;
/// Useless IN transfers skipped in one call of `receive`.
const MAX_SKIP: u8 = 8;
/// US English, for a device that does not list its languages.
const DEFAULT_LANGUAGE: u16 = 0x0409;

#[derive(Clone, Copy, Debug)]
enum Step {
    Language,
    Mac { language: u16 },
    Interface,
    Filter,
    Open { limit: Micros },
    Running { since: Micros },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Link {
    Unknown,
    Up,
    Down,
}

/// One open endpoint and its troubles.
#[derive(Clone, Copy, Debug, Default)]
struct Pipe {
    id: Option<PipeId>,
    stopped: Option<TransferError>,
    stops: u8,
    last_stop: Micros,
}

impl Pipe {
    /// Notes that the pipe stopped.
    fn stop(&mut self, now: Micros, error: TransferError, statistics: &mut Statistics) {
        if self.stopped.is_some() {
            return;
        }
        count(&mut statistics.pipe_stops);
        if now.saturating_sub(self.last_stop) > CALM {
            self.stops = 0;
        }
        self.stops = self.stops.saturating_add(1);
        self.last_stop = now;
        self.stopped = Some(error);
    }

    /// The handle, if the pipe is open and working.
    fn working(&self) -> Option<PipeId> {
        self.id.filter(|_| self.stopped.is_none())
    }

    fn close<H: UsbHost>(&mut self, host: &mut H, now: Micros) {
        if let Some(id) = self.id.take() {
            host.close(now, id);
        }
        self.stopped = None;
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Which {
    In,
    Out,
    Notification,
}

/// A CDC-ECM adapter.
#[derive(Debug)]
pub(crate) struct Ecm {
    layout: EcmLayout,
    target: DeviceTarget,
    step: Step,
    requester: Requester,
    mac: [u8; 6],
    source: MacSource,
    input: Pipe,
    output: Pipe,
    notification: Pipe,
    recovering: Option<Which>,
    notices: Notices,
    link: Link,
    /// What was last reported of it.
    reported: Link,
    /// The last IN transfer was full: what follows is the rest of it.
    tail: bool,
}

impl Ecm {
    /// For a function whose configuration was just set.
    pub(crate) fn new(layout: EcmLayout, target: DeviceTarget, fallback_mac: [u8; 6]) -> Self {
        Self {
            layout,
            target,
            step: if layout.mac_string == 0 { Step::Interface } else { Step::Language },
            requester: Requester::new(),
            mac: fallback_mac,
            source: MacSource::Fallback,
            input: Pipe::default(),
            output: Pipe::default(),
            notification: Pipe::default(),
            recovering: None,
            notices: Notices::new(),
            link: Link::Unknown,
            reported: Link::Unknown,
            tail: false,
        }
    }

    /// Station address and whose it is, once frames can be carried.
    pub(crate) fn mac(&self) -> Option<([u8; 6], MacSource)> {
        matches!(self.step, Step::Running { .. }).then_some((self.mac, self.source))
    }

    pub(crate) fn link_up(&self) -> bool {
        self.link == Link::Up && matches!(self.step, Step::Running { .. })
    }

    /// wMaxSegmentSize as far as it makes sense.
    pub(crate) fn max_frame(&self) -> u16 {
        self.layout.max_frame
    }

    /// Since when frames are carried.
    pub(crate) fn running_since(&self) -> Option<Micros> {
        match self.step {
            Step::Running { since } => Some(since),
            _ => None,
        }
    }

    /// When `poll` has something to do if the controller has not. `now` = at once.
    pub(crate) fn deadline(&self, now: Micros) -> Option<Micros> {
        match self.step {
            Step::Open { .. } => Some(now),
            Step::Running { .. }
                if self.recovering.is_none()
                    && [self.input, self.output, self.notification]
                        .iter()
                        .any(|pipe| pipe.stopped.is_some()) =>
            {
                Some(now)
            }
            Step::Running { since } if self.link == Link::Unknown => {
                let link = since.saturating_add(ASSUME_LINK);
                Some(self.requester.deadline().map_or(link, |at| at.min(link)))
            }
            _ => self.requester.deadline(),
        }
    }

    /// Closes all pipes: before the device is forgotten.
    pub(crate) fn close<H: UsbHost>(&mut self, host: &mut H, now: Micros) {
        for pipe in [&mut self.notification, &mut self.input, &mut self.output] {
            pipe.close(host, now);
        }
    }

    /// Goes on as far as it can without waiting.
    pub(crate) fn poll<H: UsbHost>(
        &mut self,
        host: &mut H,
        now: Micros,
        scratch: &mut [u8; SCRATCH],
        statistics: &mut Statistics,
    ) -> Signal {
        for _ in 0..4 {
            if let Some(signal) = self.advance(host, now, scratch, statistics) {
                return signal;
            }
        }
        Signal::None
    }

    /// One step; `None` = took one, there may be more to do.
    fn advance<H: UsbHost>(
        &mut self,
        host: &mut H,
        now: Micros,
        scratch: &mut [u8; SCRATCH],
        statistics: &mut Statistics,
    ) -> Option<Signal> {
        let setup = match self.step {
            Step::Language => get_descriptor(kind::STRING, 0, 0, 255),
            Step::Mac { language } => {
                get_descriptor(kind::STRING, self.layout.mac_string, language, 255)
            }
            Step::Interface => set_interface(self.layout.data_interface, self.layout.alternate),
            Step::Filter => set_packet_filter(self.layout.control_interface, PACKET_FILTER),
            Step::Open { limit } => return self.open(host, now, limit),
            Step::Running { since } => return Some(self.run(host, now, since, statistics)),
        };
        let outcome = self.requester.poll(host, now, self.target, setup, scratch, statistics);
        let fault = match outcome {
            Outcome::Running => return Some(Signal::None),
            Outcome::Done(length) => {
                self.answered(now, scratch.get(..length).unwrap_or(&[]), statistics);
                return None;
            }
            Outcome::Failed(error) => Fault::Transfer(error),
            Outcome::Refused(error) => Fault::Start(error),
        };
        self.refused(now, fault).map(|stage| Signal::Failed(stage, fault))
    }

    /// The request of this step was answered with `received`.
    fn answered(&mut self, now: Micros, received: &[u8], statistics: &mut Statistics) {
        self.step = match self.step {
            Step::Language => Step::Mac {
                language: match *received {
                    [4..=255, kind::STRING, low, high, ..] => u16::from_le_bytes([low, high]),
                    _ => DEFAULT_LANGUAGE,
                },
            },
            Step::Mac { .. } => {
                match parse_mac_string(received) {
                    Ok(mac) => (self.mac, self.source) = (mac, MacSource::Device),
                    Err(_) => count(&mut statistics.bad_descriptors),
                }
                Step::Interface
            }
            Step::Interface => Step::Filter,
            Step::Filter => Step::Open { limit: now.saturating_add(OPEN_LIMIT) },
            step @ (Step::Open { .. } | Step::Running { .. }) => step,
        };
    }

    /// The request of this step was not answered: `None` if the adapter can do
    /// without, else the stage it fails in.
    fn refused(&mut self, now: Micros, fault: Fault) -> Option<Stage> {
        let stall = fault == Fault::Transfer(TransferError::Stall);
        let deaf = stall || fault == Fault::Transfer(TransferError::Timeout);
        self.step = match self.step {
            Step::Language if deaf => Step::Mac { language: DEFAULT_LANGUAGE },
            Step::Mac { .. } if deaf => Step::Interface,
            // Section 9.4.10: a device without alternates may refuse.
            Step::Interface if stall && self.layout.alternate == 0 => Step::Filter,
            // An optional request; such devices let everything through.
            Step::Filter if deaf => Step::Open { limit: now.saturating_add(OPEN_LIMIT) },
            Step::Language | Step::Mac { .. } => return Some(Stage::MacString),
            Step::Interface => return Some(Stage::Interface),
            Step::Filter => return Some(Stage::PacketFilter),
            Step::Open { .. } | Step::Running { .. } => return Some(Stage::Open),
        };
        None
    }

    /// Opens what is not open yet.
    fn open<H: UsbHost>(&mut self, host: &mut H, now: Micros, limit: Micros) -> Option<Signal> {
        let target = self.target;
        let bulk_in = PipeConfig {
            target,
            endpoint: self.layout.bulk_in.address & 0x0f,
            max_packet: self.layout.bulk_in.max_packet,
            kind: PipeKind::BulkIn,
        };
        let bulk_out = PipeConfig {
            target,
            endpoint: self.layout.bulk_out.address & 0x0f,
            max_packet: self.layout.bulk_out.max_packet,
            kind: PipeKind::BulkOut,
        };
        for (pipe, config, transfer) in [
            (&mut self.output, bulk_out, usize::from(MAX_FRAME)),
            (&mut self.input, bulk_in, IN_TRANSFER),
        ] {
            if pipe.id.is_some() {
                continue;
            }
            match host.open(now, config, transfer) {
                Ok(id) => pipe.id = Some(id),
                Err(StartError::Busy) if now < limit => return Some(Signal::None),
                Err(error) => return Some(Signal::Failed(Stage::Open, Fault::Start(error))),
            }
        }
        if let Some(notification) = self.layout.notification {
            let config = PipeConfig {
                target,
                endpoint: notification.address & 0x0f,
                max_packet: notification.max_packet,
                kind: PipeKind::InterruptIn {
                    every: notification.interval.max(NOTIFICATION_INTERVAL),
                },
            };
            // No channel for it: the adapter works without.
            self.notification.id =
                host.open(now, config, usize::from(notification.max_packet)).ok();
        }
        self.step = Step::Running { since: now };
        Some(Signal::Up { mac: self.mac, source: self.source })
    }

    /// Errors, notifications, the link.
    fn run<H: UsbHost>(
        &mut self,
        host: &mut H,
        now: Micros,
        since: Micros,
        statistics: &mut Statistics,
    ) -> Signal {
        self.listen(host, now, statistics);
        if self.link == Link::Unknown
            && (self.notification.id.is_none() || now.saturating_sub(since) >= ASSUME_LINK)
        {
            self.link = Link::Up;
        }
        if let Some(error) = self.output.working().and_then(|id| host.send_error(id)) {
            self.output.stop(now, error, statistics);
        }
        if let Some((stage, fault)) = self.recover(host, now, statistics) {
            return Signal::Failed(stage, fault);
        }
        if self.link == self.reported || self.link == Link::Unknown {
            return Signal::None;
        }
        self.reported = self.link;
        Signal::Link { up: self.link == Link::Up }
    }

    /// Takes notifications.
    fn listen<H: UsbHost>(&mut self, host: &mut H, now: Micros, statistics: &mut Statistics) {
        for _ in 0..4 {
            let Some(id) = self.notification.working() else {
                return;
            };
            let notices = &mut self.notices;
            let mut notice = Notice::Nothing;
            match host.receive(now, id, &mut |bytes| notice = notices.take(bytes)) {
                None => return,
                Some(Err(error)) => self.notification.stop(now, error, statistics),
                Some(Ok(())) => match notice {
                    Notice::Connection(up) => {
                        count(&mut statistics.notifications);
                        self.link = if up { Link::Up } else { Link::Down };
                    }
                    Notice::Other => count(&mut statistics.notifications),
                    Notice::Malformed => count(&mut statistics.bad_notifications),
                    Notice::Nothing => {}
                },
            }
        }
    }

    /// Brings stopped pipes back, one after the other. Returns what takes the
    /// adapter down.
    fn recover<H: UsbHost>(
        &mut self,
        host: &mut H,
        now: Micros,
        statistics: &mut Statistics,
    ) -> Option<(Stage, Fault)> {
        let which = match self.recovering {
            Some(which) => which,
            None => [Which::In, Which::Out, Which::Notification]
                .into_iter()
                .find(|which| self.pipe(*which).stopped.is_some())?,
        };
        let address = match which {
            Which::In => self.layout.bulk_in.address,
            Which::Out => self.layout.bulk_out.address,
            Which::Notification => self.layout.notification.map_or(0, |n| n.address),
        };
        let error = self.pipe(which).stopped.unwrap_or(TransferError::Gone);
        let fault = if error == TransferError::Gone || self.pipe(which).stops > MAX_STOPS {
            Fault::Transfer(error)
        } else {
            let setup: Setup = clear_halt(address);
            self.recovering = Some(which);
            match self.requester.poll(host, now, self.target, setup, &mut [], statistics) {
                Outcome::Running => return None,
                Outcome::Done(_) => {
                    self.recovering = None;
                    count(&mut statistics.pipe_recoveries);
                    if which == Which::In {
                        self.tail = false;
                    }
                    let pipe = self.pipe(which);
                    pipe.stopped = None;
                    if let Some(id) = pipe.id {
                        host.reset_toggle(now, id);
                    }
                    return None;
                }
                Outcome::Failed(error) => Fault::Transfer(error),
                Outcome::Refused(error) => Fault::Start(error),
            }
        };
        self.recovering = None;
        match which {
            Which::In => Some((Stage::BulkIn, fault)),
            Which::Out => Some((Stage::BulkOut, fault)),
            Which::Notification => {
                // Whatever it said last, it will not take it back.
                self.notification.close(host, now);
                self.link = Link::Unknown;
                None
            }
        }
    }

    fn pipe(&mut self, which: Which) -> &mut Pipe {
        match which {
            Which::In => &mut self.input,
            Which::Out => &mut self.output,
            Which::Notification => &mut self.notification,
        }
    }

    /// See [`sk_hal::net::FrameDevice::has_frame`].
    pub(crate) fn has_frame<H: UsbHost>(&self, host: &H) -> bool {
        self.input.working().is_some_and(|id| host.has_received(id))
    }

    /// See [`sk_hal::net::FrameDevice::receive`].
    pub(crate) fn receive<H: UsbHost>(
        &mut self,
        host: &mut H,
        now: Micros,
        take: &mut dyn FnMut(&mut [u8]),
        statistics: &mut Statistics,
    ) -> bool {
        for _ in 0..MAX_SKIP {
            let Some(id) = self.input.working() else {
                return false;
            };
            let tail = self.tail;
            let mut length = 0;
            let result = host.receive(now, id, &mut |bytes| {
                length = bytes.len();
                if !tail && is_frame(length) {
                    take(bytes);
                }
            });
            match result {
                None => return false,
                Some(Err(error)) => {
                    self.input.stop(now, error, statistics);
                    return false;
                }
                Some(Ok(())) => {}
            }
            self.tail = length >= IN_TRANSFER;
            if tail || length > usize::from(MAX_FRAME) {
                count(&mut statistics.oversize_in);
            } else if length == 0 {
                count(&mut statistics.empty_in);
            } else if length < usize::from(MIN_FRAME) {
                count(&mut statistics.runts_in);
            } else {
                count(&mut statistics.frames_in);
                statistics.bytes_in = statistics.bytes_in.wrapping_add(length as u64);
                self.input.stops = 0;
                if self.link == Link::Unknown {
                    self.link = Link::Up;
                }
                return true;
            }
        }
        false
    }

    /// See [`sk_hal::net::FrameDevice::can_transmit`].
    pub(crate) fn can_transmit<H: UsbHost>(&self, host: &H) -> bool {
        self.link_up() && self.output.working().is_some_and(|id| host.can_send(id))
    }

    /// See [`sk_hal::net::FrameDevice::transmit`].
    pub(crate) fn transmit<H: UsbHost>(
        &mut self,
        host: &mut H,
        now: Micros,
        length: usize,
        fill: &mut dyn FnMut(&mut [u8]),
        statistics: &mut Statistics,
    ) -> bool {
        if !is_frame(length) {
            count(&mut statistics.bad_length_out);
            return false;
        }
        if !self.link_up() {
            return false;
        }
        let Some(id) = self.output.working() else {
            return false;
        };
        let padded = length.max(usize::from(PADDED_FRAME));
        let sent = host.send(now, id, padded, true, &mut |buffer| {
            if let Some((frame, padding)) = buffer.split_at_mut_checked(length) {
                // The buffer holds what was sent before: nobody's business.
                padding.fill(0);
                fill(frame);
            }
        });
        match sent {
            Ok(()) => {
                count(&mut statistics.frames_out);
                statistics.bytes_out = statistics.bytes_out.wrapping_add(padded as u64);
                true
            }
            Err(StartError::Gone | StartError::BadPipe) => {
                // The port state, polled next, tells more; if it does not, this
                // takes the adapter down.
                self.output.stop(now, TransferError::Gone, statistics);
                false
            }
            Err(StartError::Busy | StartError::TooLong | StartError::NoChannel) => false,
        }
    }
}

fn is_frame(length: usize) -> bool {
    (usize::from(MIN_FRAME)..=usize::from(MAX_FRAME)).contains(&length)
}
