//! Setting an ECM function up and carrying frames.
//!
//! After SET_CONFIGURATION: station address, SET_INTERFACE to the alternate
//! setting that has endpoints, packet filter, pipes. The pipes are opened last,
//! so both ends start with DATA0.
//!
//! What happens when a pipe stops: see `crate::pipes`.

use super::layout::{EcmLayout, MAX_FRAME, MIN_FRAME, PADDED_FRAME, parse_mac_string};
use super::notification::{Notice, Notices};
use crate::descriptor::kind;
use crate::enumerate::SCRATCH;
use crate::event::{Fault, MacSource, Stage};
use crate::function::Signal;
use crate::pipes::{Pipes, Recovery, Which};
use crate::request::{Outcome, Requester, get_descriptor, set_interface, set_packet_filter};
use crate::statistics::{Statistics, count};
use sk_hal::Micros;
use sk_hal::usb::{DeviceTarget, StartError, TransferError, UsbHost};

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

/// A CDC-ECM adapter.
#[derive(Debug)]
pub(crate) struct Ecm {
    layout: EcmLayout,
    target: DeviceTarget,
    step: Step,
    requester: Requester,
    mac: [u8; 6],
    source: MacSource,
    pipes: Pipes,
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
            pipes: Pipes::default(),
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
            Step::Running { .. } if self.pipes.wants_recovery() => Some(now),
            Step::Running { since } if self.link == Link::Unknown => {
                let link = since.saturating_add(ASSUME_LINK);
                Some(self.requester.deadline().map_or(link, |at| at.min(link)))
            }
            _ => self.requester.deadline(),
        }
    }

    /// Closes all pipes: before the device is forgotten.
    pub(crate) fn close<H: UsbHost>(&mut self, host: &mut H, now: Micros) {
        self.pipes.close(host, now);
    }

    /// Goes on as far as it can without waiting.
    pub(crate) fn poll<H: UsbHost>(
        &mut self,
        host: &mut H,
        now: Micros,
        scratch: &mut [u8; SCRATCH],
        statistics: &mut Statistics,
    ) -> Signal {
        if let Step::Running { since } = self.step {
            return self.run(host, now, since, statistics);
        }
        for _ in 0..4 {
            if let Some(signal) = self.advance(host, now, scratch, statistics) {
                return signal;
            }
        }
        Signal::None
    }

    /// One step; `None` = took one, there may be more to do.
    #[cold]
    #[inline(never)]
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
        let EcmLayout { bulk_in, bulk_out, notification, .. } = self.layout;
        for (bulk, transfer) in [(bulk_out, usize::from(MAX_FRAME)), (bulk_in, IN_TRANSFER)] {
            match self.pipes.open_bulk(host, now, self.target, bulk, transfer) {
                Ok(()) => {}
                Err(StartError::Busy) if now < limit => return Some(Signal::None),
                Err(error) => return Some(Signal::Failed(Stage::Open, Fault::Start(error))),
            }
        }
        if let Some(notification) = notification {
            let (target, at_least) = (self.target, NOTIFICATION_INTERVAL);
            self.pipes.open_notification(host, now, target, notification, at_least);
        }
        self.step = Step::Running { since: now };
        Some(Signal::Up { mac: self.mac, source: self.source })
    }

    /// Errors, notifications, the link.
    #[inline]
    fn run<H: UsbHost>(
        &mut self,
        host: &mut H,
        now: Micros,
        since: Micros,
        statistics: &mut Statistics,
    ) -> Signal {
        self.listen(host, now, statistics);
        if self.link == Link::Unknown
            && (!self.pipes.notification.is_open() || now.saturating_sub(since) >= ASSUME_LINK)
        {
            self.link = Link::Up;
        }
        self.pipes.check_output(host, now, statistics);
        match self.pipes.recover(host, now, self.target, &mut self.requester, statistics) {
            Recovery::None | Recovery::Done(Which::Out | Which::Notification) => {}
            Recovery::Done(Which::In) => self.tail = false,
            // Whatever it said last, it will not take it back.
            Recovery::Deaf => self.link = Link::Unknown,
            Recovery::Failed(stage, fault) => return Signal::Failed(stage, fault),
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
            let Some(id) = self.pipes.notification.working() else {
                return;
            };
            if !host.has_received(id) {
                return;
            }
            let notices = &mut self.notices;
            let mut notice = Notice::Nothing;
            match host.receive(now, id, &mut |bytes| notice = notices.take(bytes)) {
                None => return,
                Some(Err(error)) => self.pipes.notification.stop(now, error, statistics),
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

    /// See [`sk_hal::net::FrameDevice::has_frame`].
    pub(crate) fn has_frame<H: UsbHost>(&self, host: &H) -> bool {
        self.pipes.input.working().is_some_and(|id| host.has_received(id))
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
            let Some(id) = self.pipes.input.working() else {
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
                    self.pipes.input.stop(now, error, statistics);
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
                self.pipes.input.worked();
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
        self.link_up() && self.pipes.output.working().is_some_and(|id| host.can_send(id))
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
        let Some(id) = self.pipes.output.working() else {
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
                self.pipes.output.stop(now, TransferError::Gone, statistics);
                false
            }
            Err(StartError::Busy | StartError::TooLong | StartError::NoChannel) => false,
        }
    }
}

fn is_frame(length: usize) -> bool {
    (usize::from(MIN_FRAME)..=usize::from(MAX_FRAME)).contains(&length)
}
