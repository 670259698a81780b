//! Control transfers: SETUP, DATA and STATUS stages one after the other on one
//! channel, out of one buffer.

use super::channel::{DATA1, Owner, SETUP, State, Transfer};
use super::regs::{EP_CONTROL, MAX_PACKETS};
use super::{Dwc2, Home};
use sk_hal::usb::{DeviceTarget, Setup, Speed, StartError, TransferError};
use sk_hal::{Bus32, CacheOps, CpuOwned, Direction, DmaBuf, Micros};

/// Where the data begin in a control buffer; the SETUP packet is at 0.
const DATA_AT: u32 = 32;
/// Bound of the SETUP stage, and of the wait for a channel.
const SETUP_TIMEOUT: Micros = 500_000;
/// Bound of the DATA stage. USB 2.0 section 9.2.6.4 gives a device 500 ms for
/// each packet.
const DATA_TIMEOUT: Micros = 1_000_000;
/// Bound of the STATUS stage: a request without data may take 5 s.
const STATUS_TIMEOUT: Micros = 5_000_000;

/// Where the control transfer stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    None,
    /// Waits for a channel, or for a flushing SETUP to be over.
    Queued {
        until: Micros,
    },
    Setup,
    Data,
    Status,
    Over(Result<usize, TransferError>),
}

/// The one control transfer.
pub(super) struct Control {
    step: Step,
    target: DeviceTarget,
    setup: Setup,
    channel: Option<usize>,
    received: usize,
    /// The buffer while the transfer is queued, and until the next one.
    buf: Option<DmaBuf<CpuOwned>>,
}

impl Control {
    pub(super) fn new() -> Self {
        let target = DeviceTarget { address: 0, speed: Speed::High, max_packet0: 64, behind: None };
        let setup = Setup { request_type: 0, request: 0, value: 0, index: 0, length: 0 };
        Self { step: Step::None, target, setup, channel: None, received: 0, buf: None }
    }
}

impl<B: Bus32, C: CacheOps> Dwc2<B, C> {
    pub(super) fn control_start(
        &mut self,
        now: Micros,
        target: DeviceTarget,
        setup: Setup,
        out: &[u8],
    ) -> Result<(), StartError> {
        if self.stage != super::Stage::Ready {
            return Err(StartError::Gone);
        }
        if !matches!(self.control.step, Step::None | Step::Over(_)) {
            return Err(StartError::Busy);
        }
        self.check_target(&target)?;
        if !matches!(target.max_packet0, 8 | 16 | 32 | 64) {
            return Err(StartError::BadPipe);
        }
        if !setup.is_in() && out.len() != usize::from(setup.length) {
            return Err(StartError::BadPipe);
        }
        let data = match usize::from(setup.length) {
            0 => 0,
            n if setup.is_in() => n.next_multiple_of(usize::from(target.max_packet0)),
            n => n,
        };
        if data > MAX_PACKETS as usize * usize::from(target.max_packet0) {
            return Err(StartError::TooLong);
        }
        if self.control.buf.is_none() {
            self.control.buf = self.pool.control.pop();
        }
        let Some(buf) = self.control.buf.as_mut() else {
            return Err(StartError::NoChannel);
        };
        if data + DATA_AT as usize > buf.capacity() {
            return Err(StartError::TooLong);
        }
        let bytes = buf.bytes_mut();
        for (to, from) in bytes.iter_mut().zip(setup.to_bytes()) {
            *to = from;
        }
        if !setup.is_in() {
            for (to, from) in bytes.iter_mut().skip(DATA_AT as usize).zip(out) {
                *to = *from;
            }
        }
        self.control.target = target;
        self.control.setup = setup;
        self.control.received = 0;
        self.control.step = Step::Queued { until: now.saturating_add(SETUP_TIMEOUT) };
        self.control_pump(now);
        Ok(())
    }

    /// Starts a queued transfer when it can be.
    pub(super) fn control_pump(&mut self, now: Micros) {
        let Step::Queued { until } = self.control.step else { return };
        if now >= until {
            self.control.step = Step::Over(Err(TransferError::Timeout));
            self.out_of_channels(now);
            return;
        }
        if self.endpoint0_taken() {
            return;
        }
        let Some(c) = self.allocate(Owner::Control) else { return };
        let Some(buf) = self.control.buf.take() else {
            self.release(c);
            return;
        };
        let base = buf.bus().0;
        let buf = buf.give(&self.cache, Direction::Both);
        self.channels[c].lent = Some((Home::Control, buf));
        self.control.channel = Some(c);
        self.control.step = Step::Setup;
        let t = self.control_transfer(false).with(base, 8, SETUP);
        self.start(c, t, Some(now.saturating_add(SETUP_TIMEOUT)));
    }

    fn control_transfer(&self, input: bool) -> Transfer {
        let target = &self.control.target;
        Transfer::new(target, 0, EP_CONTROL, input, u16::from(target.max_packet0))
    }

    /// A stage is over.
    pub(super) fn control_stage_done(&mut self, c: usize, now: Micros) {
        let setup = self.control.setup;
        let base = self.channels[c].lent.as_ref().map_or(0, |(_, b)| b.bus().0);
        match self.control.step {
            Step::Setup if setup.length != 0 => {
                let mut total = u32::from(setup.length);
                if setup.is_in() {
                    total = total.next_multiple_of(u32::from(self.control.target.max_packet0));
                }
                let t = self.control_transfer(setup.is_in());
                let t = t.with(base.wrapping_add(DATA_AT), total, DATA1);
                self.control.step = Step::Data;
                self.start(c, t, Some(now.saturating_add(DATA_TIMEOUT)));
            }
            Step::Setup | Step::Data => {
                let data = self.control.step == Step::Data;
                if data && setup.is_in() {
                    self.control.received = self.channels[c].transfer.moved as usize;
                }
                // The direction is the opposite of the data's; IN without data.
                let input = !(data && setup.is_in());
                self.control.step = Step::Status;
                let t = self.control_transfer(input).with(base, 0, DATA1);
                self.start(c, t, Some(now.saturating_add(STATUS_TIMEOUT)));
            }
            Step::Status => {
                let lent = self.channels[c].lent.take();
                self.control.buf = lent.map(|(_, buf)| buf.take(&self.cache));
                self.release(c);
                self.control.channel = None;
                let received = self.control.received;
                self.control.step = Step::Over(if received > usize::from(setup.length) {
                    Err(TransferError::Babble)
                } else {
                    Ok(received)
                });
            }
            Step::None | Step::Queued { .. } | Step::Over(_) => self.release(c),
        }
    }

    /// A stage failed; the channel is idle or already being drained.
    pub(super) fn control_failed(&mut self, c: usize, error: TransferError) {
        if self.channels[c].state == State::Idle {
            self.release(c);
        }
        self.control.channel = None;
        self.control.step = Step::Over(Err(error));
    }

    /// Ends the transfer from outside.
    pub(super) fn control_abort(&mut self, error: TransferError, until: Micros) {
        if let Some(c) = self.control.channel.take() {
            self.drain(c, until);
        }
        if !matches!(self.control.step, Step::None | Step::Over(_)) {
            self.control.step = Step::Over(Err(error));
        }
    }

    /// Control buffers in the driver's hands beside the pool.
    pub(super) fn control_buffers_at_hand(&self) -> usize {
        usize::from(self.control.buf.is_some())
    }

    pub(super) fn control_deadline(&self) -> Option<Micros> {
        match self.control.step {
            Step::Queued { until } => Some(until.min(self.last_poll.saturating_add(1_000))),
            _ => None,
        }
    }

    pub(super) fn control_take(&mut self) -> Option<Result<&[u8], TransferError>> {
        let Step::Over(result) = self.control.step else { return None };
        self.control.step = Step::None;
        match result {
            Err(e) => Some(Err(e)),
            Ok(len) => {
                let at = DATA_AT as usize;
                let bytes = self.control.buf.as_ref().and_then(|b| b.bytes().get(at..at + len));
                Some(Ok(bytes.unwrap_or(&[])))
            }
        }
    }
}
