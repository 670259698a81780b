//! The pipes of an adapter (bulk IN, bulk OUT, notifications) and how one that
//! stopped is brought back.
//!
//! CLEAR_FEATURE(ENDPOINT_HALT) resets the device's toggle whatever the cause
//! was, `reset_toggle` resets ours. A bulk pipe that keeps stopping takes the
//! adapter down, to be enumerated again; the notification pipe is only given
//! up.

use crate::endpoint::{Bulk, Notification};
use crate::event::{Fault, Stage};
use crate::request::{Outcome, Requester, clear_halt};
use crate::statistics::{Statistics, count};
use sk_hal::Micros;
use sk_hal::usb::{DeviceTarget, PipeConfig, PipeId, PipeKind, StartError, TransferError, UsbHost};

/// A pipe may stop so often without a calm period between.
const MAX_STOPS: u8 = 4;
/// What counts as calm.
const CALM: Micros = 30_000_000;

/// One open endpoint and its troubles.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pipe {
    id: Option<PipeId>,
    address: u8,
    stopped: Option<TransferError>,
    stops: u8,
    last_stop: Micros,
}

impl Pipe {
    /// Notes that the pipe stopped.
    pub(crate) fn stop(&mut self, now: Micros, error: TransferError, statistics: &mut Statistics) {
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

    /// The pipe has proved itself.
    pub(crate) fn worked(&mut self) {
        self.stops = 0;
    }

    pub(crate) fn is_open(&self) -> bool {
        self.id.is_some()
    }

    /// The handle, if the pipe is open and working.
    pub(crate) fn working(&self) -> Option<PipeId> {
        self.id.filter(|_| self.stopped.is_none())
    }

    fn close<H: UsbHost>(&mut self, host: &mut H, now: Micros) {
        if let Some(id) = self.id.take() {
            host.close(now, id);
        }
        self.stopped = None;
    }
}

/// One of the three.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Which {
    In,
    Out,
    Notification,
}

/// What an attempt to bring a pipe back came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Recovery {
    /// Nothing to do, or not finished.
    None,
    /// The pipe works again.
    Done(Which),
    /// The notification pipe was closed for good.
    Deaf,
    /// The adapter cannot do without this one.
    Failed(Stage, Fault),
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Pipes {
    pub(crate) input: Pipe,
    pub(crate) output: Pipe,
    pub(crate) notification: Pipe,
    recovering: Option<Which>,
}

impl Pipes {
    /// Opens a bulk pipe unless it is. `transfer`: see [`UsbHost::open`].
    ///
    /// # Errors
    /// As [`UsbHost::open`]; `Busy` may pass.
    pub(crate) fn open_bulk<H: UsbHost>(
        &mut self,
        host: &mut H,
        now: Micros,
        target: DeviceTarget,
        bulk: Bulk,
        transfer: usize,
    ) -> Result<(), StartError> {
        let (pipe, kind) = if bulk.address & 0x80 != 0 {
            (&mut self.input, PipeKind::BulkIn)
        } else {
            (&mut self.output, PipeKind::BulkOut)
        };
        if pipe.id.is_some() {
            return Ok(());
        }
        let (endpoint, max_packet) = (bulk.address & 0x0f, bulk.max_packet);
        let config = PipeConfig { target, endpoint, max_packet, kind };
        pipe.id = Some(host.open(now, config, transfer)?);
        pipe.address = bulk.address;
        Ok(())
    }

    /// Opens the notification pipe if there is a channel for it: adapters work
    /// without. It is asked every `at_least` microseconds, or as rarely as it
    /// wishes.
    pub(crate) fn open_notification<H: UsbHost>(
        &mut self,
        host: &mut H,
        now: Micros,
        target: DeviceTarget,
        notification: Notification,
        at_least: u32,
    ) {
        let Notification { address, max_packet, interval } = notification;
        let kind = PipeKind::InterruptIn { every: interval.max(at_least) };
        let config = PipeConfig { target, endpoint: address & 0x0f, max_packet, kind };
        self.notification.id = host.open(now, config, usize::from(max_packet)).ok();
        self.notification.address = address;
    }

    /// Closes all.
    pub(crate) fn close<H: UsbHost>(&mut self, host: &mut H, now: Micros) {
        for pipe in [&mut self.notification, &mut self.input, &mut self.output] {
            pipe.close(host, now);
        }
    }

    /// Has a pipe stopped that `recover` was not yet called for?
    pub(crate) fn wants_recovery(&self) -> bool {
        self.recovering.is_none()
            && (self.input.stopped.is_some()
                || self.output.stopped.is_some()
                || self.notification.stopped.is_some())
    }

    /// Is `recover` in the middle of a request?
    pub(crate) fn is_recovering(&self) -> bool {
        self.recovering.is_some()
    }

    /// Notes an error of the OUT pipe, which nobody else asks for.
    pub(crate) fn check_output<H: UsbHost>(
        &mut self,
        host: &mut H,
        now: Micros,
        statistics: &mut Statistics,
    ) {
        if let Some(error) = self.output.working().and_then(|id| host.send_error(id)) {
            self.output.stop(now, error, statistics);
        }
    }

    /// Brings stopped pipes back, one after the other.
    #[inline]
    pub(crate) fn recover<H: UsbHost>(
        &mut self,
        host: &mut H,
        now: Micros,
        target: DeviceTarget,
        requester: &mut Requester,
        statistics: &mut Statistics,
    ) -> Recovery {
        if self.recovering.is_none() && !self.wants_recovery() {
            return Recovery::None;
        }
        self.bring_back(host, now, target, requester, statistics)
    }

    #[cold]
    #[inline(never)]
    fn bring_back<H: UsbHost>(
        &mut self,
        host: &mut H,
        now: Micros,
        target: DeviceTarget,
        requester: &mut Requester,
        statistics: &mut Statistics,
    ) -> Recovery {
        let Some(which) = self.recovering.or_else(|| {
            [Which::In, Which::Out, Which::Notification]
                .into_iter()
                .find(|which| self.pipe(*which).stopped.is_some())
        }) else {
            return Recovery::None;
        };
        let Pipe { address, stopped, stops, .. } = *self.pipe(which);
        let error = stopped.unwrap_or(TransferError::Gone);
        let fault = if error == TransferError::Gone || stops > MAX_STOPS {
            Fault::Transfer(error)
        } else {
            self.recovering = Some(which);
            let setup = clear_halt(address);
            match requester.poll(host, now, target, setup, &mut [], statistics) {
                Outcome::Running => return Recovery::None,
                Outcome::Done(_) => {
                    self.recovering = None;
                    count(&mut statistics.pipe_recoveries);
                    let pipe = self.pipe(which);
                    pipe.stopped = None;
                    if let Some(id) = pipe.id {
                        host.reset_toggle(now, id);
                    }
                    return Recovery::Done(which);
                }
                Outcome::Failed(error) => Fault::Transfer(error),
                Outcome::Refused(error) => Fault::Start(error),
            }
        };
        self.recovering = None;
        match which {
            Which::In => Recovery::Failed(Stage::BulkIn, fault),
            Which::Out => Recovery::Failed(Stage::BulkOut, fault),
            Which::Notification => {
                self.notification.close(host, now);
                Recovery::Deaf
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
}
