//! What a timeout leaves behind for the log: the registers at that moment.

use super::regs::*;
use super::{CHANNELS, Dwc2};
use core::fmt;
use sk_hal::usb::TransferError;
use sk_hal::{Bus32, CacheOps, Micros};

/// Registers of one channel.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct ChannelSnapshot {
    /// HCCHAR.
    pub hcchar: u32,
    /// HCSPLT.
    pub hcsplt: u32,
    /// HCINT.
    pub hcint: u32,
    /// HCTSIZ.
    pub hctsiz: u32,
    /// HCDMA.
    pub hcdma: u32,
}

/// Registers of the core, read without side effects.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// Name of the bring-up stage or port state.
    pub stage: &'static str,
    /// GAHBCFG.
    pub gahbcfg: u32,
    /// GUSBCFG.
    pub gusbcfg: u32,
    /// GRSTCTL.
    pub grstctl: u32,
    /// GINTSTS.
    pub gintsts: u32,
    /// GINTMSK.
    pub gintmsk: u32,
    /// GSNPSID.
    pub gsnpsid: u32,
    /// GNPTXSTS.
    pub gnptxsts: u32,
    /// HPTXSTS; as all below 0 while the PHY clock is not known to run.
    pub hptxsts: u32,
    /// HFNUM.
    pub hfnum: u32,
    /// HAINT.
    pub haint: u32,
    /// HAINTMSK.
    pub haintmsk: u32,
    /// HPRT.
    pub hprt: u32,
    /// The channels.
    pub channels: [ChannelSnapshot; CHANNELS],
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "dwc2 {}: id {:08x} ahb {:08x} usb {:08x} rst {:08x} int {:08x}/{:08x} nptx {:08x} \
             ptx {:08x} fn {:08x} haint {:04x}/{:04x} hprt {:08x}",
            self.stage,
            self.gsnpsid,
            self.gahbcfg,
            self.gusbcfg,
            self.grstctl,
            self.gintsts,
            self.gintmsk,
            self.gnptxsts,
            self.hptxsts,
            self.hfnum,
            self.haint,
            self.haintmsk,
            self.hprt,
        )?;
        for (n, c) in self.channels.iter().enumerate().filter(|(_, c)| c.hcchar != 0) {
            write!(
                f,
                "\r\n  ch{n} char {:08x} splt {:08x} int {:04x} siz {:08x} dma {:08x}",
                c.hcchar, c.hcsplt, c.hcint, c.hctsiz, c.hcdma
            )?;
        }
        Ok(())
    }
}

/// What went wrong when a [`Trouble`] was noted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// GSNPSID is not that of a DWC2: no power, or a wrong base address.
    NotADwc2,
    /// The AHB master did not become idle.
    AhbBusy,
    /// The soft reset did not end.
    ResetStuck,
    /// The core did not go to host mode.
    NotHost,
    /// FIFO sizes do not read back, or the RAM is smaller than they need.
    Fifo,
    /// A FIFO flush did not end.
    FlushStuck,
    /// The port did not become enabled after three resets.
    NotEnabled,
    /// A transfer failed this way.
    Transfer(TransferError),
    /// A channel did not halt when told to.
    HaltStuck,
}

/// The latest trouble, with the registers as they were.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// When.
    pub at: Micros,
    /// What.
    pub cause: Cause,
    /// The channel concerned, if any.
    pub channel: Option<u8>,
    /// The registers.
    pub registers: Snapshot,
}

impl<B: Bus32, C: CacheOps> Dwc2<B, C> {
    /// The registers as they are now. Changes nothing.
    pub fn dump(&self) -> Snapshot {
        let mut s = Snapshot {
            stage: self.stage.name(),
            gahbcfg: self.bus.read(GAHBCFG),
            gusbcfg: self.bus.read(GUSBCFG),
            grstctl: self.bus.read(GRSTCTL),
            gintsts: self.bus.read(GINTSTS),
            gintmsk: self.bus.read(GINTMSK),
            gsnpsid: self.bus.read(GSNPSID),
            gnptxsts: self.bus.read(GNPTXSTS),
            ..Snapshot::default()
        };
        if self.clocked {
            s.hptxsts = self.bus.read(HPTXSTS);
            s.hfnum = self.bus.read(HFNUM);
            s.haint = self.bus.read(HAINT);
            s.haintmsk = self.bus.read(HAINTMSK);
            s.hprt = self.bus.read(HPRT);
            for (n, c) in s.channels.iter_mut().enumerate() {
                *c = ChannelSnapshot {
                    hcchar: self.bus.read(hcchar(n)),
                    hcsplt: self.bus.read(hcsplt(n)),
                    hcint: self.bus.read(hcint(n)),
                    hctsiz: self.bus.read(hctsiz(n)),
                    hcdma: self.bus.read(hcdma(n)),
                };
            }
        }
        s
    }

    /// The latest trouble since the last call.
    pub fn take_trouble(&mut self) -> Option<Trouble> {
        self.trouble.take()
    }

    /// Notes a trouble. The registers are read before recovery changes them.
    pub(super) fn note(&mut self, now: Micros, cause: Cause, channel: Option<usize>) {
        self.stats.troubles = self.stats.troubles.wrapping_add(1);
        let registers = self.dump();
        let channel = channel.map(|c| c as u8);
        self.trouble = Some(Trouble { at: now, cause, channel, registers });
    }
}
