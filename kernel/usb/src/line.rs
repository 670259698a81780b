//! The control pipe has room for one request at a time, and its result has no
//! name on it. Who began one is noted here, so that the hubs' and the adapter's
//! requests do not take each other's results.

use sk_hal::Micros;
use sk_hal::usb::{
    DeviceTarget, PipeConfig, PipeId, Port, Setup, StaleSplit, StartError, TransferError, UsbHost,
};

/// Who makes requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Party {
    /// Enumeration and hubs.
    Topology,
    /// The adapter.
    Adapter,
}

/// Whose the request in progress is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Holder {
    /// None is in progress.
    Nobody,
    /// This one's.
    Party(Party),
    /// Of somebody who is gone; its result is waited for and dropped.
    Orphan { since: Micros },
}

impl Holder {
    /// `party` is gone.
    pub(crate) fn abandon(&mut self, now: Micros, party: Party) {
        if *self == Self::Party(party) {
            *self = Self::Orphan { since: now };
        }
    }
}

/// The controller as one party sees it: busy while the other has a request.
pub(crate) struct Line<'a, H> {
    pub(crate) host: &'a mut H,
    pub(crate) holder: &'a mut Holder,
    pub(crate) party: Party,
}

impl<H> Line<'_, H> {
    fn is_taken(&self) -> bool {
        *self.holder != Holder::Nobody && *self.holder != Holder::Party(self.party)
    }
}

impl<H: UsbHost> UsbHost for Line<'_, H> {
    fn poll(&mut self, now: Micros) {
        self.host.poll(now);
    }

    fn next_deadline(&self) -> Option<Micros> {
        self.host.next_deadline()
    }

    fn port(&self) -> Port {
        self.host.port()
    }

    fn reset_port(&mut self, now: Micros) {
        self.host.reset_port(now);
    }

    fn control(
        &mut self,
        now: Micros,
        target: DeviceTarget,
        setup: Setup,
        out: &[u8],
    ) -> Result<(), StartError> {
        if self.is_taken() {
            return Err(StartError::Busy);
        }
        self.host.control(now, target, setup, out)?;
        *self.holder = Holder::Party(self.party);
        Ok(())
    }

    fn control_result(&mut self) -> Option<Result<&[u8], TransferError>> {
        if self.is_taken() {
            return None;
        }
        let result = self.host.control_result();
        if result.is_some() {
            *self.holder = Holder::Nobody;
        }
        result
    }

    fn open(
        &mut self,
        now: Micros,
        config: PipeConfig,
        transfer: usize,
    ) -> Result<PipeId, StartError> {
        self.host.open(now, config, transfer)
    }

    fn close(&mut self, now: Micros, pipe: PipeId) {
        self.host.close(now, pipe);
    }

    fn reset_toggle(&mut self, now: Micros, pipe: PipeId) {
        self.host.reset_toggle(now, pipe);
    }

    fn can_send(&self, pipe: PipeId) -> bool {
        self.host.can_send(pipe)
    }

    fn has_received(&self, pipe: PipeId) -> bool {
        self.host.has_received(pipe)
    }

    fn send(
        &mut self,
        now: Micros,
        pipe: PipeId,
        len: usize,
        zlp: bool,
        fill: &mut dyn FnMut(&mut [u8]),
    ) -> Result<(), StartError> {
        self.host.send(now, pipe, len, zlp, fill)
    }

    fn receive(
        &mut self,
        now: Micros,
        pipe: PipeId,
        take: &mut dyn FnMut(&mut [u8]),
    ) -> Option<Result<(), TransferError>> {
        self.host.receive(now, pipe, take)
    }

    fn receive_some(
        &mut self,
        now: Micros,
        pipe: PipeId,
        take: &mut dyn FnMut(&mut [u8]) -> bool,
    ) -> Option<Result<(), TransferError>> {
        self.host.receive_some(now, pipe, take)
    }

    fn stale_split(&mut self) -> Option<StaleSplit> {
        self.host.stale_split()
    }

    fn send_error(&mut self, pipe: PipeId) -> Option<TransferError> {
        self.host.send_error(pipe)
    }
}
