//! The OUT side of bulk pipes: a queue of filled buffers per pipe.

use super::channel::Transfer;
use super::pipes::Pipe;
use super::regs::{MAX_PACKETS, MAX_SIZE};
use super::{Dwc2, Home};
use sk_hal::usb::{PipeId, PipeKind, StartError};
use sk_hal::{Bus32, CacheOps, DeviceOwned, Direction, DmaBuf, Micros};

/// Bound of one OUT transfer: a device may answer NAK while its own transmit
/// FIFO is held up by flow control.
const OUT_TIMEOUT: Micros = 1_000_000;

/// With so many buffers free the end of a transfer is of no interest.
const SPARE: usize = 2;

/// A filled buffer on its way.
pub(super) struct OutJob {
    pub(super) buf: DmaBuf<DeviceOwned>,
    len: usize,
    zlp: bool,
}

impl<B: Bus32, C: CacheOps> Dwc2<B, C> {
    pub(super) fn pipe_can_send(&self, id: PipeId) -> bool {
        self.slot(id).is_ok_and(|slot| {
            let pipe = &self.pipes[slot];
            pipe.kind == PipeKind::BulkOut && !pipe.stopped && !self.pool.tx.is_empty()
        })
    }

    pub(super) fn pipe_send(
        &mut self,
        now: Micros,
        id: PipeId,
        len: usize,
        zlp: bool,
        fill: &mut dyn FnMut(&mut [u8]),
    ) -> Result<(), StartError> {
        let slot = self.slot(id)?;
        let pipe = &self.pipes[slot];
        if pipe.kind != PipeKind::BulkOut {
            return Err(StartError::BadPipe);
        }
        if pipe.stopped || pipe.jobs.is_full() {
            return Err(StartError::Busy);
        }
        let most = (MAX_PACKETS as usize * pipe.max_packet).min(MAX_SIZE as usize);
        let mut buf = self.pool.tx.pop().ok_or(StartError::Busy)?;
        if len > most || len > buf.capacity() {
            self.pool.put(Home::Tx, buf);
            return Err(StartError::TooLong);
        }
        if let Some(bytes) = buf.bytes_mut().get_mut(..len) {
            fill(bytes);
        }
        let buf = buf.give(&self.cache, Direction::ToDevice);
        let pipe = &mut self.pipes[slot];
        // An empty transfer is its own zero-length packet.
        let zlp = zlp && len != 0 && len & (pipe.max_packet - 1) == 0;
        if let Err(job) = pipe.jobs.push_back(OutJob { buf, len, zlp }) {
            self.pool.put(Home::Tx, job.buf.take(&self.cache));
            return Err(StartError::Busy);
        }
        // Something waits for the end of the running transfer now.
        if let Some(c) = pipe.channel {
            self.unmute(c, now);
        }
        self.pump(slot, now);
        Ok(())
    }

    /// Starts the next transfer on the pipe's idle channel.
    pub(super) fn start_out(&mut self, slot: usize, c: usize, now: Micros) {
        let pipe = &mut self.pipes[slot];
        let Some(job) = pipe.jobs.pop_front() else { return };
        pipe.zlp = job.zlp;
        let t = out_transfer(pipe, job.buf.bus().0, job.len);
        self.channels[c].lent = Some((Home::Tx, job.buf));
        // Nobody waits for the end of this one: the next poll finds it.
        // (Of a split, many halts are not the end.)
        let spare = pipe.jobs.is_empty() && self.pool.tx.len() >= SPARE;
        if !pipe.zlp && spare && t.split == 0 {
            self.silent |= 1 << c;
        }
        self.start(c, t, Some(now.saturating_add(OUT_TIMEOUT)));
    }

    /// The running transfer, or its zero-length packet, is over.
    pub(super) fn out_done(&mut self, slot: usize, c: usize, now: Micros) {
        let pipe = &mut self.pipes[slot];
        if core::mem::take(&mut pipe.zlp) {
            let t = out_transfer(pipe, self.channels[c].transfer.base, 0);
            self.start(c, t, Some(now.saturating_add(OUT_TIMEOUT)));
            return;
        }
        if let Some((home, buf)) = self.channels[c].lent.take() {
            self.pool.put(home, buf.take(&self.cache));
        }
        self.pump(slot, now);
    }
}

fn out_transfer(pipe: &Pipe, base: u32, len: usize) -> Transfer {
    let t = pipe.template.with(base, len as u32, pipe.toggle);
    Transfer { ping: pipe.ping, ..t }
}
