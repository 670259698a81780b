//! The root port: HPRT, whose enable bit is cleared by writing 1 to it, and
//! what its changes mean.

use super::Dwc2;
use super::bringup::Stage;
use super::drain::QUIESCE;
use super::regs::*;
use sk_hal::{Bus32, CacheOps, Micros};

impl<B: Bus32, C: CacheOps> Dwc2<B, C> {
    /// Sets and clears bits of HPRT without touching those that react to a 1.
    pub(super) fn change_port(&mut self, set: u32, clear: u32) {
        let v = self.bus.read(HPRT) & !HPRT_W1C & !clear;
        self.bus.write(HPRT, v | set);
    }

    /// Acknowledges what happened at the port, and acts on it. The port
    /// interrupt is a level: what is not cleared interrupts for ever.
    pub(super) fn port_events(&mut self, now: Micros) {
        let interrupts = self.bus.read(GINTSTS);
        let port = self.bus.read(HPRT);
        let changes = port & HPRT_W1C & !HPRT_ENABLED;
        if changes != 0 {
            self.bus.write(HPRT, port & !HPRT_W1C | changes);
        }
        if interrupts & GINTSTS_DISCONNECT != 0 {
            self.bus.write(GINTSTS, GINTSTS_DISCONNECT);
        }
        if changes & HPRT_OVER_CURRENT_CHANGED != 0 && port & HPRT_OVER_CURRENT != 0 {
            self.stats.over_currents = self.stats.over_currents.wrapping_add(1);
        }
        let absent = port & HPRT_CONNECTED == 0 || port & HPRT_OVER_CURRENT != 0;
        let gone = match self.stage {
            Stage::Ready => {
                absent
                    || port & HPRT_ENABLED == 0
                    || changes & HPRT_CONNECT_DETECTED != 0
                    || interrupts & GINTSTS_DISCONNECT != 0
            }
            Stage::Quiesce => absent,
            _ => false,
        };
        if gone {
            self.lose_device(now);
        }
    }

    /// The device is gone, or the core is beyond trust: everything ends, and
    /// the core starts anew once the channels have stopped.
    pub(super) fn lose_device(&mut self, now: Micros) {
        self.stats.disconnects = self.stats.disconnects.wrapping_add(1);
        self.stage = Stage::Abandon;
        self.drop_everything(now);
        self.stale_splits.clear();
    }

    /// Port reset on request. A port that is being reset already is left to it.
    pub(super) fn restart_port(&mut self, now: Micros) {
        if self.stage == Stage::Ready {
            self.stage = Stage::Quiesce;
            self.drop_everything(now.saturating_add(QUIESCE));
            self.stale_splits.clear();
            self.advance_stage(now);
        }
    }

    /// Drives reset on the port. Only with all channels idle: an armed IN at
    /// this point ends QEMU, and on silicon the core is not specified for it.
    pub(super) fn begin_port_reset(&mut self, now: Micros) {
        self.stats.port_resets = self.stats.port_resets.wrapping_add(1);
        self.change_port(HPRT_RESET, 0);
        self.stage = Stage::Reset { until: now.saturating_add(super::bringup::PORT_RESET) };
    }
}
