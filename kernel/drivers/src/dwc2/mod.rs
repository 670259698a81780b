//! DWC2 USB host controller (Synopsys DesignWare OTG 2.80a on BCM2835,
//! internal DMA), as a [`UsbHost`].
//!
//! Everything is a state machine driven by [`UsbHost::poll`]; it works by
//! interrupt and by polling alike, because once a millisecond a poll looks at
//! the channels themselves and not only at the interrupt summary. In between
//! it looks at those that say they ended. Parts:
//!
//! - `bringup`: core reset to "device ready" and recovery,
//! - `port`: the root port's register and its traps,
//! - `channel`: programming a channel, decoding how it ended,
//! - `drain`: taking a channel out of use without harm,
//! - `pipes`, `bulk`: endpoints, their buffers and toggles,
//! - `control`: SETUP, DATA and STATUS stages,
//! - `split`: full- and low-speed devices behind a high-speed hub.
//!
//! # Channels
//!
//! A pipe owns a channel as long as it is open, so the bulk IN channel stays
//! armed and is never disabled in normal life. Disabling is the one operation
//! on which silicon and QEMU 7.2 to 10.0 disagree dangerously: QEMU reports
//! the halt at once, but the packet may still be in flight, and re-enabling
//! the channel then ends the emulator with a failed assertion. So a channel is
//! given up in steps (`drain`): let it finish; else disable it; then either
//! run a harmless SETUP through it (which ends a transfer QEMU keeps
//! retrying), or, if the device never even answered NAK, retire the channel
//! together with the buffer a late completion may write to.
//!
//! # Toggles
//!
//! The core writes the next PID back to HCTSIZ; QEMU never does. The rule that
//! is right on both is in `Dwc2::next_pid`.
//!
//! # Not here
//!
//! Isochronous transfers.

mod bringup;
mod bulk;
mod channel;
mod control;
mod drain;
mod pipes;
mod port;
mod regs;
mod snapshot;
mod split;
#[cfg(test)]
mod tests;

pub use snapshot::{Cause, ChannelSnapshot, Snapshot, Trouble};

use bringup::Stage;
use channel::Channel;
use control::Control;
use heapless::{Deque, Vec};
use pipes::Pipe;
use sk_hal::usb::{
    DeviceTarget, PipeConfig, PipeId, Port, Setup, Speed, StaleSplit, StartError, TransferError,
    UsbHost,
};
use sk_hal::{Bus32, CacheOps, CpuOwned, DmaBuf, Micros};

/// Host channels of the core (GHWCFG2 says 8 on BCM2835 and in QEMU).
pub const CHANNELS: usize = 8;
/// Pipes that can be open at a time: one channel each, one is for control
/// transfers and one is spare.
pub const MAX_PIPES: usize = 6;
/// Buffers for control transfers.
pub const CONTROL_BUFFERS: usize = 2;
/// Buffers for bulk IN.
pub const RX_BUFFERS: usize = 4;
/// Buffers for bulk OUT: the transmit queue's depth.
pub const TX_BUFFERS: usize = 4;
/// Buffers for interrupt IN: as many interrupt pipes can be open.
pub const INT_BUFFERS: usize = 3;

/// Bound of the time in which a lost interrupt, a timeout or an endpoint's
/// turn goes unseen by a board that polls more often than that.
const LOOK_EVERY: Micros = 1_000;

/// The DMA memory of the driver, handed over once.
#[derive(Debug)]
pub struct Buffers {
    /// Control transfers: 32 bytes for the SETUP packet, the rest for data, so
    /// 32 + 1024 carries a 1 KiB descriptor. At least 96 bytes. The second one
    /// stands in while the first is held by a transfer that will not end.
    pub control: [DmaBuf<CpuOwned>; CONTROL_BUFFERS],
    /// Bulk IN, at least 2048 bytes each: QEMU moves transfers of up to 1536
    /// bytes packet by packet, 250 us apart.
    pub rx: [DmaBuf<CpuOwned>; RX_BUFFERS],
    /// Bulk OUT, the longest frame with its header.
    pub tx: [DmaBuf<CpuOwned>; TX_BUFFERS],
    /// Interrupt IN, one packet each.
    pub int: [DmaBuf<CpuOwned>; INT_BUFFERS],
}

/// Counters since boot; they wrap.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Stats {
    /// Core initialisations.
    pub starts: u32,
    /// Port resets.
    pub port_resets: u32,
    /// Times the device went away.
    pub disconnects: u32,
    /// Over-current reports.
    pub over_currents: u32,
    /// Transaction errors, each packet counted.
    pub transaction_errors: u32,
    /// Complete splits answered NYET.
    pub split_nyets: u32,
    /// Split interrupt transactions whose result was fetched too late.
    pub split_late: u32,
    /// Packets dropped for their data toggle.
    pub toggle_errors: u32,
    /// Halts without a result.
    pub empty_halts: u32,
    /// Halts seen again on a channel that was already running anew.
    pub stale_halts: u32,
    /// HCTSIZ.PID differed from the count of packets.
    pub pid_disagreements: u32,
    /// Empty bulk IN transfers, which are not delivered.
    pub empty_ins: u32,
    /// Channels disabled.
    pub disables: u32,
    /// Channels retired.
    pub retirements: u32,
    /// Channels that came back from retirement.
    pub returns: u32,
    /// Troubles noted.
    pub troubles: u32,
}

/// What is free at the moment: with nothing open and nothing in flight, all
/// that was handed over minus what retired channels hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resources {
    /// Idle channels without an owner.
    pub channels: usize,
    /// Retired channels.
    pub retired: usize,
    /// Buffers that retired channels hold.
    pub held: usize,
    /// Control buffers.
    pub control: usize,
    /// Bulk IN buffers.
    pub rx: usize,
    /// Bulk OUT buffers.
    pub tx: usize,
    /// Interrupt buffers.
    pub int: usize,
}

/// Buffers nobody uses.
struct Pool {
    control: Vec<DmaBuf<CpuOwned>, CONTROL_BUFFERS>,
    rx: Vec<DmaBuf<CpuOwned>, RX_BUFFERS>,
    tx: Vec<DmaBuf<CpuOwned>, TX_BUFFERS>,
    int: Vec<DmaBuf<CpuOwned>, INT_BUFFERS>,
}

/// The pool a buffer belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Home {
    Control,
    Rx,
    Tx,
    Int,
}

impl Pool {
    /// Puts a buffer back. There is room: no more buffers exist than fit.
    fn put(&mut self, home: Home, buf: DmaBuf<CpuOwned>) {
        let full = match home {
            Home::Control => self.control.push(buf).is_err(),
            Home::Rx => self.rx.push(buf).is_err(),
            Home::Tx => self.tx.push(buf).is_err(),
            Home::Int => self.int.push(buf).is_err(),
        };
        debug_assert!(!full, "a buffer came back twice");
    }
}

/// The controller. `B` is its register window, `C` the cache maintenance for
/// its buffers. The USB power domain must be on (mailbox) before the first
/// poll, or the registers read 0 and the driver keeps trying.
pub struct Dwc2<B, C> {
    bus: B,
    cache: C,
    stage: Stage,
    /// The PHY clock runs: the host registers may be touched.
    clocked: bool,
    /// Failed tries in the present stage.
    tries: u8,
    speed: Speed,
    channels: [Channel; CHANNELS],
    pipes: [Pipe; MAX_PIPES],
    control: Control,
    pool: Pool,
    /// The core has been seen to write PIDs back: believe it from then on.
    pid_written_back: bool,
    /// What transaction translators may still hold.
    stale_splits: Deque<StaleSplit, 4>,
    last_poll: Micros,
    /// The next poll from then on looks at everything.
    look_at: Micros,
    /// Running channels whose end does not interrupt, one bit each.
    silent: u32,
    stats: Stats,
    trouble: Option<Trouble>,
}

impl<B: Bus32, C: CacheOps> Dwc2<B, C> {
    /// A driver that will bring up the core from its first poll on.
    pub fn new(bus: B, cache: C, buffers: Buffers) -> Self {
        Self {
            bus,
            cache,
            stage: Stage::Off { until: 0 },
            clocked: false,
            tries: 0,
            speed: Speed::High,
            channels: core::array::from_fn(|_| Channel::new()),
            pipes: core::array::from_fn(|_| Pipe::new()),
            control: Control::new(),
            pool: Pool {
                control: Vec::from_array(buffers.control),
                rx: Vec::from_array(buffers.rx),
                tx: Vec::from_array(buffers.tx),
                int: Vec::from_array(buffers.int),
            },
            pid_written_back: false,
            stale_splits: Deque::new(),
            last_poll: 0,
            look_at: 0,
            silent: 0,
            stats: Stats::default(),
            trouble: None,
        }
    }

    /// Counters since boot.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// What is free now.
    pub fn resources(&self) -> Resources {
        let count = |f: fn(&Channel) -> bool| self.channels.iter().filter(|c| f(c)).count();
        Resources {
            channels: count(Channel::is_free),
            retired: count(Channel::is_retired),
            held: count(|c| c.is_retired() && c.holds_buffer()),
            control: self.pool.control.len() + self.control_buffers_at_hand(),
            rx: self.pool.rx.len(),
            tx: self.pool.tx.len(),
            int: self.pool.int.len(),
        }
    }
}

impl<B: Bus32, C: CacheOps> UsbHost for Dwc2<B, C> {
    fn poll(&mut self, now: Micros) {
        self.last_poll = now;
        if self.quick_poll(now) {
            return;
        }
        if self.clocked {
            self.port_events(now);
            self.service_channels(now);
        }
        self.advance_stage(now);
        self.control_pump(now);
        for slot in 0..MAX_PIPES {
            self.pump(slot, now);
        }
        // What is on its way out wants every poll.
        let calm = self.stage == Stage::Ready && self.channels.iter().all(Channel::is_calm);
        self.look_at = if calm { now.saturating_add(LOOK_EVERY) } else { now };
    }

    fn next_deadline(&self) -> Option<Micros> {
        let channels = self.channels.iter().filter_map(|c| c.deadline(self.last_poll));
        let pipes = self.pipes.iter().filter_map(|p| self.pipe_deadline(p));
        let stage = self.stage.deadline(self.last_poll);
        channels.chain(pipes).chain(Some(stage)).chain(self.control_deadline()).min()
    }

    fn port(&self) -> Port {
        self.stage.port(self.speed, self.last_poll)
    }

    fn reset_port(&mut self, now: Micros) {
        self.restart_port(now);
    }

    fn control(
        &mut self,
        now: Micros,
        target: DeviceTarget,
        setup: Setup,
        out: &[u8],
    ) -> Result<(), StartError> {
        self.control_start(now, target, setup, out)
    }

    fn control_result(&mut self) -> Option<Result<&[u8], TransferError>> {
        self.control_take()
    }

    fn open(
        &mut self,
        now: Micros,
        config: PipeConfig,
        transfer: usize,
    ) -> Result<PipeId, StartError> {
        self.pipe_open(now, config, transfer)
    }

    fn close(&mut self, now: Micros, pipe: PipeId) {
        if let Ok(slot) = self.slot(pipe) {
            self.pipe_close(slot, now.saturating_add(drain::QUIESCE));
        }
    }

    fn reset_toggle(&mut self, now: Micros, pipe: PipeId) {
        if let Ok(slot) = self.slot(pipe) {
            self.pipe_reset_toggle(slot, now);
        }
    }

    fn has_received(&self, pipe: PipeId) -> bool {
        self.pipe_has_received(pipe)
    }

    fn can_send(&self, pipe: PipeId) -> bool {
        self.pipe_can_send(pipe)
    }

    fn send(
        &mut self,
        now: Micros,
        pipe: PipeId,
        len: usize,
        zlp: bool,
        fill: &mut dyn FnMut(&mut [u8]),
    ) -> Result<(), StartError> {
        self.pipe_send(now, pipe, len, zlp, fill)
    }

    fn receive_some(
        &mut self,
        now: Micros,
        pipe: PipeId,
        take: &mut dyn FnMut(&mut [u8]) -> bool,
    ) -> Option<Result<(), TransferError>> {
        self.pipe_receive(now, pipe, take)
    }

    fn stale_split(&mut self) -> Option<StaleSplit> {
        self.stale_splits.pop_front()
    }

    fn send_error(&mut self, pipe: PipeId) -> Option<TransferError> {
        match self.slot(pipe) {
            Ok(slot) => self.pipes[slot].error.take(),
            Err(StartError::Gone) => Some(TransferError::Gone),
            Err(_) => None,
        }
    }
}
