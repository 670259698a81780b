//! Setting the chip up, carrying frames, looking after the link.

use super::access::{Access, Reply};
use super::bringup::{IN_TRANSFER, is_phy, script};
use super::layout::SmscLayout;
use super::link::Link;
use super::registers::{INT_PHY, INT_TX_ERROR};
use super::stream::Stream;
use crate::event::{Fault, MacSource, Stage};
use crate::function::Signal;
use crate::pipes::{Pipes, Recovery, Which};
use crate::statistics::{Statistics, count};
use sk_hal::Micros;
use sk_hal::usb::{DeviceTarget, StartError, TransferError, UsbHost};

/// The longest frame: 1500 bytes and the header.
const MAX_FRAME: usize = 1514;
/// The shortest: a header. The chip pads what is shorter than the cable wants.
const MIN_FRAME: usize = 14;
/// Bytes before each frame sent.
const HEADER: usize = 8;
/// First command: the buffer is the first and last of its frame.
const FIRST_AND_LAST: u32 = 1 << 13 | 1 << 12;
/// The interrupt endpoint is asked no more often: the delay of a link that took
/// two seconds to negotiate.
const NOTIFICATION_INTERVAL: u32 = 100_000;
/// For pipes that cannot be opened at once.
const OPEN_LIMIT: Micros = 1_000_000;
/// IN transfers without a good frame skipped in one call of `receive`.
const MAX_SKIP: u8 = 8;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Of the script, by number.
    SetUp(u8),
    Open {
        limit: Micros,
    },
    Running,
}

/// A LAN95xx.
#[derive(Debug)]
pub(crate) struct Smsc95xx {
    layout: SmscLayout,
    target: DeviceTarget,
    mac: [u8; 6],
    step: Step,
    /// Since when frames are carried; the chip may be set up anew meanwhile.
    since: Option<Micros>,
    access: Access,
    pipes: Pipes,
    link: Link,
    /// What was last reported of it.
    reported: bool,
    stream: Stream,
}

impl Smsc95xx {
    /// For an adapter whose configuration was just set. It gets the address
    /// `mac`: where the chip is built in it has none of its own.
    pub(crate) fn new(layout: SmscLayout, target: DeviceTarget, mac: [u8; 6]) -> Self {
        Self {
            layout,
            target,
            mac: unicast(mac),
            step: Step::SetUp(0),
            since: None,
            access: Access::default(),
            pipes: Pipes::default(),
            link: Link::new(),
            reported: false,
            stream: Stream::new(),
        }
    }

    /// Station address and whose it is, once frames can be carried.
    pub(crate) fn mac(&self) -> Option<([u8; 6], MacSource)> {
        self.since.map(|_| (self.mac, MacSource::Fallback))
    }

    pub(crate) fn link_up(&self) -> bool {
        self.link.is_up()
    }

    pub(crate) fn max_frame(&self) -> u16 {
        MAX_FRAME as u16
    }

    /// Since when frames are carried.
    pub(crate) fn running_since(&self) -> Option<Micros> {
        self.since
    }

    /// When `poll` has something to do if the controller has not. `now` = at once.
    pub(crate) fn deadline(&self, now: Micros) -> Option<Micros> {
        Some(match self.step {
            Step::Open { .. } => now,
            Step::Running if !self.link.is_looking() && !self.pipes.is_recovering() => {
                if self.pipes.wants_recovery() { now } else { self.link.due() }
            }
            Step::SetUp(_) | Step::Running => self.access.deadline(),
        })
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
        statistics: &mut Statistics,
    ) -> Signal {
        match self.step {
            Step::SetUp(number) => self.set_up(host, now, number, statistics),
            Step::Open { limit } => self.open(host, now, limit),
            Step::Running => self.run(host, now, statistics),
        }
    }

    // Cold: the way through `poll` that is taken for each frame stays short.
    #[cold]
    #[inline(never)]
    fn set_up<H: UsbHost>(
        &mut self,
        host: &mut H,
        now: Micros,
        mut number: u8,
        statistics: &mut Statistics,
    ) -> Signal {
        let script = script(self.mac, self.target.speed);
        // The end of one operation and the start of the next.
        for _ in 0..2 {
            let Some((stage, op)) = script.get(usize::from(number)) else {
                self.step = Step::Open { limit: now.saturating_add(OPEN_LIMIT) };
                return self.open(host, now, now.saturating_add(OPEN_LIMIT));
            };
            match self.access.poll(host, now, self.target, *op, statistics) {
                Reply::Running => break,
                Reply::Done(_) => number = number.saturating_add(1),
                Reply::Failed(fault) => return Signal::Failed(*stage, fault),
            }
            let later = script.get(usize::from(number)..).unwrap_or(&[]);
            if self.since.is_some() {
                let skipped = later.iter().take_while(|(stage, _)| is_phy(*stage)).count();
                number = number.saturating_add(skipped as u8);
            }
        }
        self.step = Step::SetUp(number);
        Signal::None
    }

    /// Opens what is not open yet.
    #[cold]
    #[inline(never)]
    fn open<H: UsbHost>(&mut self, host: &mut H, now: Micros, limit: Micros) -> Signal {
        let SmscLayout { bulk_in, bulk_out, notification } = self.layout;
        for (bulk, transfer) in [(bulk_out, HEADER + MAX_FRAME), (bulk_in, IN_TRANSFER)] {
            match self.pipes.open_bulk(host, now, self.target, bulk, transfer) {
                Ok(()) => {}
                Err(StartError::Busy) if now < limit => return Signal::None,
                Err(error) => return Signal::Failed(Stage::Open, Fault::Start(error)),
            }
        }
        self.step = Step::Running;
        if self.since.is_some() {
            return Signal::None;
        }
        self.since = Some(now);
        if let Some(notification) = notification {
            let (target, at_least) = (self.target, NOTIFICATION_INTERVAL);
            self.pipes.open_notification(host, now, target, notification, at_least);
        }
        Signal::Up { mac: self.mac, source: MacSource::Fallback }
    }

    /// Errors, the interrupt endpoint, the link.
    fn run<H: UsbHost>(
        &mut self,
        host: &mut H,
        now: Micros,
        statistics: &mut Statistics,
    ) -> Signal {
        self.listen(host, now, statistics);
        self.pipes.check_output(host, now, statistics);
        if self.link.is_wrecked() {
            self.pipes.output.stop(now, TransferError::Stall, statistics);
        }
        // One of the two at a time: they share the requester.
        if !self.link.is_looking() {
            let requester = &mut self.access.requester;
            match self.pipes.recover(host, now, self.target, requester, statistics) {
                Recovery::None | Recovery::Deaf | Recovery::Done(Which::Notification) => {}
                Recovery::Done(Which::In) => self.stream = Stream::new(),
                Recovery::Done(Which::Out) => {
                    // The chip may have the beginning of a frame, and would take
                    // what comes next for the rest of it.
                    self.link = Link::new();
                    self.step = Step::SetUp(0);
                    return self.tell_link();
                }
                Recovery::Failed(stage, fault) => return Signal::Failed(stage, fault),
            }
        }
        if !self.pipes.is_recovering()
            && let Err(fault) = self.link.poll(host, now, self.target, &mut self.access, statistics)
        {
            return Signal::Failed(Stage::Link, fault);
        }
        self.tell_link()
    }

    fn tell_link(&mut self) -> Signal {
        if self.link.is_up() == self.reported {
            return Signal::None;
        }
        self.reported = self.link.is_up();
        Signal::Link { up: self.reported }
    }

    /// Takes what the interrupt endpoint said: the interrupt status register.
    fn listen<H: UsbHost>(&mut self, host: &mut H, now: Micros, statistics: &mut Statistics) {
        for _ in 0..4 {
            let Some(id) = self.pipes.notification.working() else {
                return;
            };
            if !host.has_received(id) {
                return;
            }
            let mut said = None;
            let result = host.receive(now, id, &mut |bytes| {
                said = bytes.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
            });
            match (result, said) {
                (None, _) => return,
                (Some(Err(error)), _) => self.pipes.notification.stop(now, error, statistics),
                (Some(Ok(())), None) => count(&mut statistics.bad_notifications),
                (Some(Ok(())), Some(status)) => {
                    count(&mut statistics.notifications);
                    if status & (INT_PHY | INT_TX_ERROR) != 0 {
                        self.link.interrupted();
                    }
                }
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
            let stream = &mut self.stream;
            let mut length = 0;
            let result = host.receive_some(now, id, &mut |transfer| {
                if transfer.is_empty() {
                    count(&mut statistics.empty_in);
                } else if let Some(frame) = stream.next(transfer, statistics) {
                    length = frame.len();
                    take(frame);
                }
                stream.is_over()
            });
            match result {
                None => return false,
                Some(Err(error)) => {
                    self.stream = Stream::new();
                    self.pipes.input.stop(now, error, statistics);
                    return false;
                }
                Some(Ok(())) => {}
            }
            if length != 0 {
                count(&mut statistics.frames_in);
                statistics.bytes_in = statistics.bytes_in.wrapping_add(length as u64);
                self.pipes.input.worked();
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
        if !(MIN_FRAME..=MAX_FRAME).contains(&length) {
            count(&mut statistics.bad_length_out);
            return false;
        }
        if !self.link_up() {
            return false;
        }
        let Some(id) = self.pipes.output.working() else {
            return false;
        };
        let sent = host.send(now, id, HEADER + length, true, &mut |buffer| {
            if let Some((header, frame)) = buffer.split_first_chunk_mut::<HEADER>() {
                // The two must agree: the chip finds the next frame by them.
                let command = length as u32;
                let commands = u64::from(command) << 32 | u64::from(command | FIRST_AND_LAST);
                *header = commands.to_le_bytes();
                fill(frame);
            }
        });
        match sent {
            Ok(()) => {
                count(&mut statistics.frames_out);
                statistics.bytes_out = statistics.bytes_out.wrapping_add(length as u64);
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

/// An address a station may have, made of one that perhaps it may not: all
/// zeros, or a group's.
const fn unicast(mut mac: [u8; 6]) -> [u8; 6] {
    if matches!(mac, [0, 0, 0, 0, 0, 0]) || mac[0] & 1 != 0 {
        mac[0] = mac[0] & !1 | 2;
    }
    mac
}
