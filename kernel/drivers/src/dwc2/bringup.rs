//! From reset to "a device answers at address 0", as a state machine.
//!
//! The order and the times are those on which the DWC2 drivers of other
//! systems agree, and of USB 2.0 section 7.1.7. Every wait has a bound; a
//! failure is noted with the registers and the whole is tried again a second
//! later, for ever: a board without network is of no use.

use super::regs::*;
use super::snapshot::Cause;
use super::{CHANNELS, Dwc2};
use sk_hal::usb::{Port, Speed};
use sk_hal::{Bus32, CacheOps, Micros};

/// Bound of the wait for the AHB master.
const AHB_IDLE: Micros = 100_000;
/// Bound of the waits for bits that clear themselves.
const SELF_CLEAR: Micros = 10_000;
/// Pause after the soft reset; also covers the 25 ms of ForceHost.
const RESET_PAUSE: Micros = 100_000;
/// A device may take this long to show up after port power.
const CONNECT: Micros = 510_000;
/// The connection must be stable this long (TATTDB).
const DEBOUNCE: Micros = 100_000;
/// Root port reset (TDRSTR is 50 ms), with a margin for the clock.
pub(super) const PORT_RESET: Micros = 51_000;
/// Recovery (TRSTRCY is 10 ms).
const RECOVERY: Micros = 20_000;
/// Pause before a failed bring-up is tried again.
const RETRY: Micros = 1_000_000;
/// Port resets that may fail to enable the port.
const RESET_TRIES: u8 = 3;
/// Steps per poll: bounds the register reads that wait for a bit.
const STEPS: usize = 12;

/// Where bring-up stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// To be started at `until`.
    Off { until: Micros },
    /// Waiting for the AHB master.
    AhbIdle { until: Micros },
    /// Waiting for the soft reset to end.
    SoftReset { until: Micros },
    /// The pause after it.
    Pause { until: Micros },
    /// Waiting for the transmit FIFOs' flush.
    FlushTx { until: Micros },
    /// Waiting for the receive FIFO's flush.
    FlushRx { until: Micros },
    /// No device yet.
    Connect { since: Micros },
    /// Waiting for a stable connection.
    Debounce { until: Micros },
    /// Driving reset.
    Reset { until: Micros },
    /// The device recovers from it.
    Recovery { until: Micros },
    /// A device is there.
    Ready,
    /// Channels finish before a port reset.
    Quiesce,
    /// Channels stop before the core is initialised again.
    Abandon,
}

impl Stage {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Off { .. } => "off",
            Self::AhbIdle { .. } => "ahb-idle",
            Self::SoftReset { .. } => "soft-reset",
            Self::Pause { .. } => "pause",
            Self::FlushTx { .. } => "flush-tx",
            Self::FlushRx { .. } => "flush-rx",
            Self::Connect { .. } => "connect",
            Self::Debounce { .. } => "debounce",
            Self::Reset { .. } => "port-reset",
            Self::Recovery { .. } => "recovery",
            Self::Ready => "ready",
            Self::Quiesce => "quiesce",
            Self::Abandon => "abandon",
        }
    }

    /// Can a device on the port be spoken to?
    pub(super) fn has_device(self) -> bool {
        matches!(self, Self::Ready | Self::Quiesce)
    }

    /// What the port looks like to the user.
    pub(super) fn port(self, speed: Speed, now: Micros) -> Port {
        match self {
            Self::Ready => Port::Ready(speed),
            Self::Debounce { .. } | Self::Reset { .. } | Self::Recovery { .. } | Self::Quiesce => {
                Port::Settling
            }
            Self::Connect { since } if now.saturating_sub(since) >= CONNECT => Port::Empty,
            _ => Port::Starting,
        }
    }

    /// When the next step is due, if no interrupt comes.
    pub(super) fn deadline(self, last_poll: Micros) -> Micros {
        match self {
            Self::Off { until }
            | Self::Pause { until }
            | Self::Debounce { until }
            | Self::Reset { until }
            | Self::Recovery { until } => until,
            // A connection or its loss interrupts; this is for a lost one.
            Self::Connect { .. } => last_poll.saturating_add(100_000),
            Self::Ready => last_poll.saturating_add(500_000),
            _ => last_poll.saturating_add(1_000),
        }
    }
}

impl<B: Bus32, C: CacheOps> Dwc2<B, C> {
    /// Goes as far as it goes now.
    pub(super) fn advance_stage(&mut self, now: Micros) {
        for _ in 0..STEPS {
            let before = self.stage;
            self.step(now);
            let waits = matches!(
                before,
                Stage::AhbIdle { .. }
                    | Stage::SoftReset { .. }
                    | Stage::FlushTx { .. }
                    | Stage::FlushRx { .. }
            );
            if self.stage == before && !waits {
                return;
            }
        }
    }

    fn step(&mut self, now: Micros) {
        match self.stage {
            Stage::Off { until } if now >= until => self.begin(now),
            Stage::AhbIdle { until } => {
                if self.bus.read(GRSTCTL) & GRSTCTL_AHB_IDLE != 0 {
                    self.bus.write(GRSTCTL, GRSTCTL_SOFT_RESET);
                    self.stage = Stage::SoftReset { until: now.saturating_add(SELF_CLEAR) };
                } else if now >= until {
                    self.fail(now, Cause::AhbBusy);
                }
            }
            Stage::SoftReset { until } => {
                if self.cleared(GRSTCTL_SOFT_RESET) {
                    self.after_soft_reset(now);
                } else if now >= until {
                    self.fail(now, Cause::ResetStuck);
                }
            }
            Stage::Pause { until } if now >= until => self.configure(now),
            Stage::FlushTx { until } => {
                if self.cleared(GRSTCTL_TX_FLUSH) {
                    self.bus.write(GRSTCTL, GRSTCTL_RX_FLUSH);
                    self.stage = Stage::FlushRx { until: now.saturating_add(SELF_CLEAR) };
                } else if now >= until {
                    self.fail(now, Cause::FlushStuck);
                }
            }
            Stage::FlushRx { until } => {
                if self.cleared(GRSTCTL_RX_FLUSH) {
                    self.power_port(now);
                } else if now >= until {
                    self.fail(now, Cause::FlushStuck);
                }
            }
            Stage::Connect { .. } if self.attached() => {
                self.stage = Stage::Debounce { until: now.saturating_add(DEBOUNCE) };
            }
            Stage::Debounce { .. } if !self.attached() => {
                self.stage = Stage::Connect { since: now };
            }
            Stage::Debounce { until } if now >= until && self.settled() => {
                self.tries = 0;
                self.begin_port_reset(now);
            }
            Stage::Reset { until } if now >= until => {
                self.change_port(0, HPRT_RESET);
                self.stage = Stage::Recovery { until: now.saturating_add(RECOVERY) };
            }
            Stage::Recovery { until } if now >= until => self.after_port_reset(now),
            Stage::Quiesce if self.settled() => {
                if self.channels.iter().any(super::Channel::is_retired) {
                    // A core reset gives the channel back on silicon.
                    self.stage = Stage::Off { until: now };
                } else {
                    self.tries = 0;
                    self.begin_port_reset(now);
                }
            }
            Stage::Abandon if self.settled() => self.stage = Stage::Off { until: now },
            _ => {}
        }
    }

    fn cleared(&self, bit: u32) -> bool {
        self.bus.read(GRSTCTL) & bit == 0
    }

    fn attached(&self) -> bool {
        self.bus.read(HPRT) & (HPRT_CONNECTED | HPRT_OVER_CURRENT) == HPRT_CONNECTED
    }

    fn fail(&mut self, now: Micros, cause: Cause) {
        self.note(now, cause, None);
        self.stage = Stage::Off { until: now.saturating_add(RETRY) };
        self.clocked = false;
    }

    fn begin(&mut self, now: Micros) {
        self.stats.starts = self.stats.starts.wrapping_add(1);
        self.clocked = false;
        self.tries = 0;
        if self.bus.read(GSNPSID) >> 16 != 0x4F54 {
            self.fail(now, Cause::NotADwc2);
            return;
        }
        self.bus.write(GAHBCFG, 0);
        let usb = self.bus.read(GUSBCFG) & !GUSBCFG_CLEAR;
        self.bus.write(GUSBCFG, usb);
        self.stage = Stage::AhbIdle { until: now.saturating_add(AHB_IDLE) };
    }

    fn after_soft_reset(&mut self, now: Micros) {
        let usb = self.bus.read(GUSBCFG);
        self.bus.write(GUSBCFG, usb & !GUSBCFG_CLEAR | GUSBCFG_FORCE_HOST);
        if usb & GUSBCFG_PHY_SELECT != 0 && self.tries == 0 {
            // The selection fell back: it takes effect by one more reset.
            self.tries = 1;
            self.stage = Stage::AhbIdle { until: now.saturating_add(AHB_IDLE) };
            return;
        }
        self.stage = Stage::Pause { until: now.saturating_add(RESET_PAUSE) };
    }

    fn configure(&mut self, now: Micros) {
        if self.bus.read(GINTSTS) & GINTSTS_HOST_MODE == 0 {
            self.fail(now, Cause::NotHost);
            return;
        }
        self.bus.write(GAHBCFG, GAHBCFG_DMA | GAHBCFG_WAIT_AXI);
        self.bus.write(PCGCCTL, 0);
        self.clocked = true;
        // FSLSPclkSel 0 = 30/60 MHz UTMI; high speed allowed.
        let hcfg = self.bus.read(HCFG) & !7;
        self.bus.write(HCFG, hcfg);
        self.reclaim();
        let sizes = [
            (GRXFSIZ, FIFO_RX),
            (GNPTXFSIZ, FIFO_NP_TX << 16 | FIFO_RX),
            (HPTXFSIZ, FIFO_P_TX << 16 | (FIFO_RX + FIFO_NP_TX)),
        ];
        let ram = (self.bus.read(GHWCFG3) >> 16).min(FIFO_BUDGET);
        for (reg, value) in sizes {
            self.bus.write(reg, value);
        }
        let stored = sizes.iter().all(|&(reg, value)| self.bus.read(reg) == value);
        if !stored || FIFO_RX + FIFO_NP_TX + FIFO_P_TX > ram {
            self.fail(now, Cause::Fifo);
            return;
        }
        self.bus.write(GRSTCTL, GRSTCTL_TX_FLUSH | GRSTCTL_ALL_TX);
        self.stage = Stage::FlushTx { until: now.saturating_add(SELF_CLEAR) };
    }

    fn power_port(&mut self, now: Micros) {
        // Channels left enabled by whoever ran before.
        for c in 0..CHANNELS {
            if self.channels[c].is_free() && self.bus.read(hcchar(c)) & HCCHAR_ENABLE != 0 {
                self.disable(c, now, false);
            }
        }
        self.bus.write(GINTSTS, !0);
        // Before any channel is enabled: QEMU raises nothing for what is
        // unmasked later. Start-of-frame stays masked, it comes 8000 times a
        // second.
        self.bus.write(HAINTMSK, (1 << CHANNELS) - 1);
        self.bus.write(GINTMSK, GINTSTS_CHANNEL | GINTSTS_PORT | GINTSTS_DISCONNECT);
        self.bus.write(GAHBCFG, GAHBCFG_DMA | GAHBCFG_WAIT_AXI | GAHBCFG_GLBL_INTR);
        self.change_port(HPRT_POWER, 0);
        self.stage = Stage::Connect { since: now };
    }

    fn after_port_reset(&mut self, now: Micros) {
        let port = self.bus.read(HPRT);
        if port & HPRT_CONNECTED == 0 {
            self.stage = Stage::Connect { since: now };
            return;
        }
        let speed = match port >> 17 & 3 {
            0 => Some(Speed::High),
            1 => Some(Speed::Full),
            2 => Some(Speed::Low),
            _ => None,
        };
        match speed {
            Some(speed) if port & HPRT_ENABLED != 0 => {
                self.speed = speed;
                // PHY clocks of 60 MHz in a microframe or frame.
                let interval = if speed == Speed::High { 7_500 } else { 60_000 };
                let hfir = self.bus.read(HFIR);
                if hfir & 0xFFFF != interval {
                    self.bus.write(HFIR, hfir & !0xFFFF | interval);
                }
                self.stage = Stage::Ready;
            }
            _ => {
                self.tries += 1;
                if self.tries < RESET_TRIES {
                    self.begin_port_reset(now);
                } else {
                    self.fail(now, Cause::NotEnabled);
                }
            }
        }
    }
}
