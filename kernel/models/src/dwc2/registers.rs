//! Registers, root port and time.

use super::faults::Faults;
use super::{Personality, Seen};
use crate::attached::Attached;
use crate::memory::{ALIAS, Memory};
use crate::usb::UsbFunction;
use sk_hal::usb::Speed;
use std::collections::BTreeMap;

pub(super) const CHANNELS: usize = 8;
/// A microframe: the model's step.
pub(super) const TICK: u64 = 125;

pub(super) const COMPLETE: u32 = 1;
pub(super) const HALTED: u32 = 1 << 1;
pub(super) const AHB_ERROR: u32 = 1 << 2;
pub(super) const STALL: u32 = 1 << 3;
pub(super) const NAK: u32 = 1 << 4;
pub(super) const ACK: u32 = 1 << 5;
pub(super) const NYET: u32 = 1 << 6;
pub(super) const XACT_ERROR: u32 = 1 << 7;
pub(super) const BABBLE: u32 = 1 << 8;
pub(super) const FRAME_OVERRUN: u32 = 1 << 9;
pub(super) const TOGGLE_ERROR: u32 = 1 << 10;

const ENABLE: u32 = 1 << 31;
const DISABLE: u32 = 1 << 30;

const P_CONN: u32 = 1;
const P_CONN_DET: u32 = 1 << 1;
const P_ENA: u32 = 1 << 2;
const P_ENA_CHG: u32 = 1 << 3;
const P_OC: u32 = 1 << 4;
const P_OC_CHG: u32 = 1 << 5;
const P_RST: u32 = 1 << 8;
const P_PWR: u32 = 1 << 12;

/// One host channel.
#[derive(Default)]
pub(super) struct Channel {
    pub(super) char: u32,
    pub(super) split: u32,
    pub(super) int: u32,
    mask: u32,
    pub(super) size: u32,
    pub(super) dma: u32,
    /// HCTSIZ when it was enabled.
    pub(super) programmed: u32,
    /// HCDMA when it was enabled.
    pub(super) base: u32,
    /// OUT: bytes the device has accepted.
    pub(super) accepted: u32,
    /// Packets that went over the wire since it was enabled.
    pub(super) packets: u32,
    /// The halt after a disable comes now.
    pub(super) halt_at: Option<u64>,
    /// A second halt comes now.
    pub(super) again_at: Option<u64>,
    /// Delay of the second halt of the running transfer.
    pub(super) double: Option<u32>,
    /// The next interrupt is lost.
    pub(super) mute_next: bool,
    /// Raises no interrupt though HCINT says so.
    pub(super) mute: bool,
    /// Does nothing any more.
    pub(super) hung: bool,
    /// QEMU: a packet is in flight, whatever CHENA says.
    pub(super) in_flight: bool,
    /// QEMU: a packet was answered NAK and is being retried.
    pub(super) retrying: bool,
    /// QEMU: the request in flight is of before a port reset.
    pub(super) held: bool,
    /// QEMU: the device of the packet in flight is gone.
    pub(super) poisoned: bool,
    /// QEMU: not before this time.
    pub(super) not_before: u64,
}

impl Channel {
    pub(super) fn enabled(&self) -> bool {
        self.char & ENABLE != 0
    }
    pub(super) fn is_in(&self) -> bool {
        self.char & 1 << 15 != 0
    }
    pub(super) fn endpoint(&self) -> u32 {
        self.char >> 11 & 15
    }
    pub(super) fn max_packet(&self) -> u32 {
        self.char & 0x7FF
    }
    pub(super) fn is_interrupt(&self) -> bool {
        self.char >> 18 & 3 == 3
    }
    pub(super) fn address(&self) -> u8 {
        (self.char >> 22 & 0x7F) as u8
    }
    pub(super) fn left(&self) -> u32 {
        self.size & 0x7_FFFF
    }
    pub(super) fn packets_left(&self) -> u32 {
        self.size >> 19 & 0x3FF
    }
    pub(super) fn pid(&self) -> u32 {
        self.size >> 29 & 3
    }
    pub(super) fn fault_key(&self) -> u8 {
        self.endpoint() as u8 | if self.is_in() { 0x80 } else { 0 }
    }
    /// Ends the transfer.
    pub(super) fn end(&mut self, bits: u32, now: u64) {
        self.char &= !(ENABLE | DISABLE);
        self.int |= bits | HALTED;
        self.halt_at = None;
        self.hung = false;
        self.mute = std::mem::take(&mut self.mute_next);
        if let Some(delay) = self.double.take() {
            self.again_at = Some(now + u64::from(delay));
        }
    }
}

pub(super) struct Core {
    pub(super) memory: Memory,
    pub(super) personality: Personality,
    pub(super) now: u64,
    pub(super) powered: bool,
    clocked: bool,
    flushed: bool,
    regs: BTreeMap<u32, u32>,
    disconnected: bool,
    soft_reset_at: Option<u64>,
    port: u32,
    connect_at: Option<u64>,
    reset_at: u64,
    enable_at: Option<u64>,
    recovered_at: u64,
    pub(super) channels: [Channel; CHANNELS],
    pub(super) device: Option<Attached>,
    pub(super) faults: Faults,
    pub(super) seen: Seen,
}

impl Core {
    pub(super) fn new(memory: Memory, personality: Personality) -> Self {
        let mut core = Self {
            memory,
            personality,
            now: 0,
            powered: true,
            clocked: false,
            flushed: false,
            regs: BTreeMap::new(),
            disconnected: false,
            soft_reset_at: None,
            port: 0,
            connect_at: None,
            reset_at: 0,
            enable_at: None,
            recovered_at: 0,
            channels: Default::default(),
            device: None,
            faults: Faults::default(),
            seen: Seen::default(),
        };
        core.power_on_values();
        core
    }

    pub(super) fn qemu(&self) -> bool {
        self.personality != Personality::Silicon
    }

    fn power_on_values(&mut self) {
        // The FIFO sizes are as nonsensical as on silicon.
        self.regs = BTreeMap::from([
            (0x00C, 0x0000_1400 | 1 << 8 | 1 << 9),
            (0x024, 0x1000),
            (0x028, 0x0100_1000),
            (0x100, 0x0200_2000),
            (0x404, if self.qemu() { 60_000 } else { 0x17D7 }),
        ]);
    }

    /// Shows the device that hears `address` to `f`, with the hub port that
    /// splits to it must name; `None` = there is none.
    pub(super) fn at<R>(
        &mut self,
        address: u8,
        mut f: impl FnMut(&mut Attached, Option<(u8, u8)>) -> R,
    ) -> Option<R> {
        let lax = self.faults.lax;
        let mut result = None;
        let mut show = |device: &mut Attached, route: Option<(u8, u8)>, ready: bool| {
            if device.address == address && !(lax && (result.is_some() || !ready)) {
                assert!(result.is_none(), "two devices at address {address}");
                assert!(ready, "port reset recovery of the device at {address} ignored");
                result = Some(f(device, route));
            }
        };
        if let Some(root) = &mut self.device {
            show(root, None, true);
            root.visit_children(None, &mut show);
        }
        result
    }

    pub(super) fn attach(&mut self, function: Box<dyn UsbFunction>) {
        assert!(self.device.is_none(), "one device at a time");
        self.device = Some(Attached::new(function));
        if self.qemu() {
            self.connect();
        } else if self.port & P_PWR != 0 {
            self.connect_at = Some(self.now + self.faults.connect_delay);
        }
    }

    pub(super) fn detach(&mut self) {
        if self.device.take().is_none() {
            return;
        }
        for c in &mut self.channels {
            assert!(!c.retrying, "QEMU abort: unplug with a NAKed packet pending");
            c.poisoned |= c.in_flight;
        }
        if self.port & P_ENA != 0 {
            self.port |= P_ENA_CHG;
        }
        if self.port & P_CONN != 0 {
            self.port |= P_CONN_DET;
            self.disconnected = true;
        }
        self.port &= !(P_CONN | P_ENA);
        self.connect_at = None;
        self.enable_at = None;
    }

    fn connect(&mut self) {
        self.port |= P_CONN | P_CONN_DET;
        self.connect_at = None;
        self.set_speed();
    }

    fn set_speed(&mut self) {
        let code = match self.device.as_ref().map(Attached::speed) {
            Some(Speed::Full) => 1,
            Some(Speed::Low) => 2,
            _ => 0,
        };
        self.port = self.port & !(3 << 17) | code << 17;
    }

    pub(super) fn advance(&mut self, micros: u64) {
        let end = self.now + micros;
        while self.now / TICK < end / TICK {
            self.now = (self.now / TICK + 1) * TICK;
            self.tick();
        }
        self.now = end;
    }

    fn tick(&mut self) {
        if let Some(device) = &mut self.device {
            device.function.advance(self.now);
        }
        if self.connect_at.is_some_and(|t| self.now >= t) && self.device.is_some() {
            self.connect();
        }
        if self.port & P_CONN != 0
            && self.port & (P_RST | P_ENA) == 0
            && self.faults.bounces > 0
            && self.now % 20_000 < TICK
        {
            self.faults.bounces -= 1;
            self.port &= !P_CONN;
            self.connect_at = Some(self.now + 2_000);
        }
        if self.faults.over_current != (self.port & P_OC != 0) {
            self.port ^= P_OC;
            self.port |= P_OC_CHG;
        }
        if self.enable_at.is_some_and(|t| self.now >= t) {
            self.enable_port();
        }
        for c in 0..CHANNELS {
            if self.channels[c].again_at.is_some_and(|t| self.now >= t) {
                self.channels[c].again_at = None;
                self.channels[c].int |= HALTED;
            }
            if self.qemu() {
                self.qemu_channel(c);
            } else {
                self.silicon_channel(c);
            }
        }
    }

    fn enable_port(&mut self) {
        self.enable_at = None;
        if self.port & P_CONN == 0 {
            return;
        }
        if self.faults.refuse_enable > 0 {
            self.faults.refuse_enable -= 1;
            return;
        }
        self.set_speed();
        self.port |= P_ENA | P_ENA_CHG;
    }

    pub(super) fn port_enabled(&self) -> bool {
        self.port & P_ENA != 0
    }

    fn reg(&self, off: u32) -> u32 {
        self.regs.get(&off).copied().unwrap_or(0)
    }

    fn haint(&self) -> u32 {
        let on = |c: &Channel| c.int & c.mask != 0 && !c.mute;
        (0..CHANNELS).filter(|&c| on(&self.channels[c])).fold(0, |m, c| m | 1 << c)
    }

    fn gintsts(&self) -> u32 {
        let port = self.port & (P_CONN_DET | P_ENA_CHG | P_OC_CHG) != 0;
        let channel = self.haint() & self.reg(0x418) != 0;
        1 | u32::from(port) << 24 | u32::from(channel) << 25 | u32::from(self.disconnected) << 29
    }

    pub(super) fn irq(&self) -> bool {
        self.reg(0x008) & 1 != 0 && self.gintsts() & self.reg(0x018) != 0
    }

    /// The PHY selection of reset lasts until it is written after a soft reset.
    fn gusbcfg(&self) -> u32 {
        self.reg(0x00C) | self.faults.phy_select
    }

    pub(super) fn read(&mut self, off: u32) -> u32 {
        if !self.powered {
            assert!(off < 0x400, "host register {off:#x} read without power");
            return 0;
        }
        if (0x400..0xE00).contains(&off) {
            assert!(self.clocked || self.qemu(), "host register {off:#x} read without PHY clock");
        }
        match off {
            0x010 => {
                let resetting = self.soft_reset_at.is_some_and(|t| {
                    self.faults.reset_stuck || (!self.qemu() && self.now < t + 500)
                });
                let flush = if self.faults.flush_stuck { self.reg(0x010) & 0x30 } else { 0 };
                u32::from(resetting) | flush | u32::from(!self.faults.ahb_busy) << 31
            }
            0x014 => self.gintsts(),
            0x040 if self.qemu() => 0x4F54_294A,
            0x040 => 0x4F54_280A,
            0x048 => 0x228D_DD50,
            0x04C if self.qemu() => 0x1000_0044,
            0x04C => 0x0FF0_00E8,
            0x02C => 0x0008_0400,
            0x408 => (self.now / TICK) as u32 & 0x3FFF,
            0x410 => 0x0008_0400,
            0x414 => self.haint(),
            0x440 => self.port,
            0x500..0x600 => {
                let c = &self.channels[(off as usize - 0x500) / 0x20];
                match off & 0x1C {
                    0x00 => c.char,
                    0x04 => c.split,
                    0x08 => c.int,
                    0x0C => c.mask,
                    0x10 => c.size,
                    0x14 => c.dma,
                    _ => 0,
                }
            }
            0x00C => self.gusbcfg(),
            0x008 | 0x018 | 0x024 | 0x028 | 0x100 | 0x400 | 0x404 | 0x418 | 0xE00 => self.reg(off),
            _ => panic!("read of an unexpected register {off:#x}"),
        }
    }

    pub(super) fn write(&mut self, off: u32, value: u32) {
        assert!(self.powered, "write of {off:#x} without power");
        if (0x400..0xE00).contains(&off) {
            assert!(
                self.clocked || self.qemu(),
                "host register {off:#x} written without PHY clock"
            );
        }
        match off {
            0x008 => {
                assert!(
                    self.qemu() || value & 0xE == 0,
                    "bits 4:1 of GAHBCFG are not a burst code on BCM2835"
                );
                self.regs.insert(off, value);
            }
            0x010 => self.write_reset(value),
            0x014 => self.disconnected &= value & 1 << 29 == 0,
            0x018 => {
                assert!(value & 1 << 3 == 0, "start-of-frame interrupts unmasked");
                self.regs.insert(off, value);
            }
            0x024 | 0x028 | 0x100 => {
                self.flushed = false;
                self.regs.insert(off, value);
            }
            0xE00 => {
                assert!(self.reset_done(), "PHY clock touched during the soft reset pause");
                self.clocked = value == 0;
                self.regs.insert(off, value);
            }
            0x404 => {
                assert!(self.port_enabled(), "HFIR is written after the port was enabled");
                self.regs.insert(off, value);
            }
            0x00C => {
                if self.soft_reset_at.is_some() {
                    self.faults.phy_select = 0;
                }
                self.regs.insert(off, value);
            }
            0x400 | 0x418 => {
                self.regs.insert(off, value);
            }
            0x440 => self.write_port(value),
            0x500..0x600 => {
                self.write_channel((off as usize - 0x500) / 0x20, off & 0x1C, value);
            }
            _ => panic!("write of an unexpected register {off:#x}"),
        }
    }

    fn reset_done(&self) -> bool {
        self.qemu() || self.soft_reset_at.is_some_and(|t| self.now >= t + 100_000)
    }

    fn write_reset(&mut self, value: u32) {
        if value & 1 != 0 {
            assert!(!self.faults.ahb_busy, "soft reset with a busy AHB");
            self.seen.soft_resets += 1;
            self.soft_reset_at = Some(self.now);
            if !self.qemu() {
                self.power_on_values();
                self.channels = Default::default();
                self.port = 0;
                self.clocked = false;
                self.flushed = false;
                self.connect_at = None;
                self.enable_at = None;
            }
        }
        self.flushed |= value & 1 << 4 != 0;
        self.regs.insert(0x010, value);
    }

    fn write_port(&mut self, value: u32) {
        assert!(value & P_ENA == 0, "1 written to HPRT.Ena: that disables the port");
        assert!(self.reset_done(), "port used during the soft reset pause");
        self.port &= !(value & (P_CONN_DET | P_ENA_CHG | P_OC_CHG));
        if value & P_PWR != 0 && self.port & P_PWR == 0 {
            self.port |= P_PWR;
            if self.device.is_some() && !self.qemu() {
                self.connect_at = Some(self.now + self.faults.connect_delay);
            }
        }
        assert!(value & P_PWR != 0 || self.port & P_PWR == 0, "port power switched off");
        match (self.port & P_RST != 0, value & P_RST != 0) {
            (false, true) => {
                for (n, c) in self.channels.iter().enumerate() {
                    assert!(!c.retrying, "QEMU abort: port reset with a NAKed packet on {n}");
                    assert!(!c.enabled(), "port reset with channel {n} enabled");
                }
                self.port |= P_RST;
                if self.port & P_ENA != 0 {
                    self.port = self.port & !P_ENA | P_ENA_CHG;
                }
                self.reset_at = self.now;
            }
            (true, false) => {
                let took = self.now - self.reset_at;
                assert!(took >= 50_000, "port reset of {took} us");
                self.port &= !P_RST;
                self.seen.port_resets += 1;
                self.recovered_at = self.now + 10_000;
                for c in &mut self.channels {
                    c.held |= c.in_flight;
                }
                if let Some(device) = &mut self.device {
                    device.reset();
                }
                self.enable_at = Some(self.now + 1_000);
                if self.qemu() {
                    self.enable_port();
                }
            }
            _ => {}
        }
    }

    fn write_channel(&mut self, n: usize, reg: u32, value: u32) {
        let enabled = self.channels[n].enabled();
        let qemu = self.qemu();
        let ch = &mut self.channels[n];
        match reg {
            0x00 if value & DISABLE != 0 => {
                assert!(enabled, "channel {n} disabled while idle: no halt would ever come");
                self.seen.disables += 1;
                if qemu {
                    ch.end(0, self.now);
                } else if !self.faults.halt_stuck {
                    ch.halt_at = Some(self.now + 125);
                }
            }
            0x00 if value & ENABLE != 0 => {
                assert!(!enabled, "channel {n} reprogrammed while enabled");
                ch.char = value;
                self.enable_channel(n);
            }
            0x08 => {
                ch.int &= !value;
                if ch.int == 0 {
                    ch.mute = false;
                }
            }
            0x0C => {
                // QEMU looks at the mask when HCINT changes, and then only.
                ch.mute |= qemu && ch.int & value & !ch.mask != 0;
                ch.mask = value;
            }
            _ => {
                assert!(!enabled, "register {reg:#x} of channel {n} written while enabled");
                match reg {
                    0x00 => ch.char = value,
                    0x04 => ch.split = value,
                    0x10 => ch.size = value,
                    0x14 => ch.dma = value,
                    _ => panic!("write of register {reg:#x} of channel {n}"),
                }
            }
        }
    }

    fn enable_channel(&mut self, n: usize) {
        self.check_fifos();
        assert!(!self.memory.dsb_missing(), "channel enabled before the DSB");
        assert!(self.reg(0x008) & 0x20 != 0, "DMA is off");
        assert!(self.reg(0x418) & 1 << n != 0, "HAINTMSK is to be set before channel {n} runs");
        assert!(!self.port_enabled() || self.now >= self.recovered_at, "reset recovery ignored");
        let ch = &mut self.channels[n];
        // Whoever sends need not be told at once that it was sent.
        let bulk_out = ch.char >> 18 & 3 == 2 && !ch.is_in();
        assert!(ch.mask & HALTED != 0 || bulk_out, "halt of channel {n} masked");
        assert_eq!(ch.int, 0, "HCINT of channel {n} not cleared");
        assert_eq!(ch.dma & 0xC000_0003, ALIAS, "bus alias or alignment of {:#x}", ch.dma);
        ch.check_split();
        let (size, mps) = (ch.left(), ch.max_packet());
        assert!(mps > 0 && ch.char >> 20 & 3 == 1, "packet size or MC");
        assert_eq!(ch.packets_left(), size.div_ceil(mps).max(1), "packet count");
        assert!(!ch.is_in() || size % mps == 0, "IN of {size} is not whole packets of {mps}");
        if ch.is_interrupt() && !self.personality.eq(&Personality::QemuAsync) {
            let odd = (self.now / TICK + 1) & 1 == 1;
            assert_eq!(ch.char >> 29 & 1 == 1, odd, "OddFrm of a periodic transfer");
        }
        assert!(!ch.in_flight, "QEMU abort: channel {n} enabled with its packet in flight");
        ch.programmed = ch.size;
        ch.base = ch.dma;
        ch.accepted = 0;
        ch.packets = 0;
        ch.halt_at = None;
        ch.retrying = false;
        ch.hung = false;
        ch.not_before = self.now;
        if self.qemu() {
            self.qemu_enable(n);
        }
    }

    fn check_fifos(&self) {
        let (rx, np, p) = (self.reg(0x024), self.reg(0x028), self.reg(0x100));
        let (np_start, np_depth) = (np & 0xFFFF, np >> 16);
        let (p_start, p_depth) = (p & 0xFFFF, p >> 16);
        assert!(rx >= 2 * 256 + 2 + CHANNELS as u32, "receive FIFO of {rx} words");
        assert!(np_depth >= 256 && p_depth >= 768, "transmit FIFOs of {np_depth}, {p_depth}");
        assert!(np_start >= rx && p_start >= np_start + np_depth, "FIFOs overlap");
        assert!(p_start + p_depth <= 4080, "FIFOs exceed 4080 words");
        assert!(self.flushed, "FIFOs resized and not flushed");
    }
}
