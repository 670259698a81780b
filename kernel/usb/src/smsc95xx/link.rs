//! Looking after the cable: the PHY's link bit, and what the two ends agreed on
//! into the MAC.
//!
//! The interrupt endpoint says when to look; as it is known to miss things, the
//! bit is looked at once in a while whatever it says. The bit stays 0 until it
//! was read once after the link was lost, so a link that was lost and is back
//! shows too: it may have come back with another duplex.
//!
//! A look begins with the chip's interrupt status, where it also says that its
//! transmitter is lost, which else shows in nothing but silence.

use super::access::{Access, Op, Reply};
use super::bringup::MAC_ON;
use super::registers::*;
use crate::event::Fault;
use crate::statistics::Statistics;
use sk_hal::Micros;
use sk_hal::usb::{DeviceTarget, UsbHost};

/// Between two looks while there is a link.
const WHILE_UP: Micros = 1_000_000;
/// Between two looks while there is none.
const WHILE_DOWN: Micros = 500_000;
/// Between two looks at least, whatever the interrupt endpoint says.
const AT_LEAST: Micros = 100_000;

#[derive(Clone, Copy, Debug)]
enum Look {
    /// None under way.
    Rest,
    /// What the chip has to say.
    Chip,
    /// Clearing the PHY's interrupt.
    Cause,
    /// Clearing the chip's.
    Acknowledge,
    /// The link bit, as it was since the last look.
    Since,
    /// The link bit, as it is.
    Now,
    /// What was agreed on.
    Mode,
    Partner {
        full: bool,
    },
    /// Telling the MAC.
    Duplex(Settings),
    Flow(Settings),
    Throttle(Settings),
}

/// The MAC's registers for a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Settings {
    mac_cr: u32,
    flow: u32,
    afc: u32,
}

impl Settings {
    /// Pause by IEEE 802.3 table 28B-3, for us who can do it both ways.
    const fn new(full: bool, partner: u32) -> Self {
        if !full {
            // The sender is throttled by collisions.
            return Self { mac_cr: MAC_ON, flow: 0, afc: AFC_DEFAULT | AFC_ON };
        }
        let both = partner & AN_PAUSE != 0;
        let obey = both || partner & AN_PAUSE_ASYM != 0;
        Self {
            mac_cr: MAC_ON & !MAC_RCVOWN | MAC_FDPX,
            flow: if obey { FLOW_ON } else { 0 },
            afc: if both { AFC_DEFAULT | AFC_ON } else { AFC_DEFAULT & !AFC_ON },
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Link {
    look: Look,
    /// When the next look is due.
    due: Micros,
    last: Micros,
    /// The interrupt endpoint spoke.
    interrupt: bool,
    up: bool,
    wrecked: bool,
}

impl Link {
    /// Down, and to be looked at.
    pub(super) const fn new() -> Self {
        Self { look: Look::Rest, due: 0, last: 0, interrupt: false, up: false, wrecked: false }
    }

    pub(super) const fn is_up(&self) -> bool {
        self.up
    }

    /// Is a look under way, which the requests of nobody else may come between?
    pub(super) const fn is_looking(&self) -> bool {
        !matches!(self.look, Look::Rest)
    }

    /// When the next look is due.
    pub(super) const fn due(&self) -> Micros {
        self.due
    }

    /// Was it found that the transmitter is lost?
    pub(super) const fn is_wrecked(&self) -> bool {
        self.wrecked
    }

    /// The interrupt endpoint spoke.
    pub(super) fn interrupted(&mut self) {
        self.interrupt = true;
        self.due = self.due.min(self.last.saturating_add(AT_LEAST));
    }

    /// Looks, if it is time.
    #[inline]
    pub(super) fn poll<H: UsbHost>(
        &mut self,
        host: &mut H,
        now: Micros,
        target: DeviceTarget,
        access: &mut Access,
        statistics: &mut Statistics,
    ) -> Result<(), Fault> {
        if !self.is_looking() && now < self.due {
            return Ok(());
        }
        self.look_on(host, now, target, access, statistics)
    }

    #[cold]
    #[inline(never)]
    fn look_on<H: UsbHost>(
        &mut self,
        host: &mut H,
        now: Micros,
        target: DeviceTarget,
        access: &mut Access,
        statistics: &mut Statistics,
    ) -> Result<(), Fault> {
        if !self.is_looking() {
            self.last = now;
            self.interrupt = false;
            self.look = Look::Chip;
        }
        // The end of one operation and the start of the next.
        for _ in 0..2 {
            let Some(op) = self.op() else { break };
            match access.poll(host, now, target, op, statistics) {
                Reply::Running => break,
                Reply::Done(value) => self.answered(now, value),
                Reply::Failed(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    fn op(&self) -> Option<Op> {
        Some(match self.look {
            Look::Rest => return None,
            Look::Chip => Op::Read(INT_STS),
            Look::Cause => Op::PhyRead(PHY_CAUSE),
            Look::Acknowledge => Op::Write(INT_STS, INT_PHY),
            Look::Since | Look::Now => Op::PhyRead(BMSR),
            Look::Mode => Op::PhyRead(PHY_SPECIAL),
            Look::Partner { .. } => Op::PhyRead(ANLPAR),
            Look::Duplex(settings) => Op::Write(MAC_CR, settings.mac_cr),
            Look::Flow(settings) => Op::Write(FLOW, settings.flow),
            Look::Throttle(settings) => Op::Write(AFC_CFG, settings.afc),
        })
    }

    fn answered(&mut self, now: Micros, value: u32) {
        // All ones: no PHY answers.
        let link = value & BMSR_LINK != 0 && value & 0xFFFF != 0xFFFF;
        self.look = match self.look {
            Look::Chip => {
                self.wrecked = value & INT_TX_ERROR != 0;
                if value & INT_PHY != 0 { Look::Cause } else { Look::Since }
            }
            Look::Cause => Look::Acknowledge,
            Look::Acknowledge => Look::Since,
            Look::Since if link && self.up => Look::Rest,
            Look::Since if link => Look::Mode,
            Look::Since => {
                self.up = false;
                Look::Now
            }
            Look::Now if link => Look::Mode,
            Look::Mode => Look::Partner { full: value & PHY_FULL != 0 },
            Look::Partner { full } => Look::Duplex(Settings::new(full, value)),
            Look::Duplex(settings) => Look::Flow(settings),
            Look::Flow(settings) => Look::Throttle(settings),
            Look::Throttle(_) => {
                self.up = true;
                Look::Rest
            }
            Look::Now | Look::Rest => Look::Rest,
        };
        if !self.is_looking() {
            self.due = now.saturating_add(if self.up { WHILE_UP } else { WHILE_DOWN });
            if self.interrupt {
                // During the look, perhaps of what that came too early for.
                self.interrupted();
            }
        }
    }
}
