//! The register file: what can be written, what comes back after a reset, and
//! which bits clear themselves.

use sk_hal::Micros;

use super::faults::{Counters, LanFaults};
use super::phy::Phy;

/// Register offsets.
#[allow(missing_docs, reason = "the data sheet's names")]
pub mod offset {
    pub const ID_REV: u16 = 0x00;
    pub const INT_STS: u16 = 0x08;
    pub const RX_CFG: u16 = 0x0C;
    pub const TX_CFG: u16 = 0x10;
    pub const HW_CFG: u16 = 0x14;
    pub const RX_FIFO_INF: u16 = 0x18;
    pub const TX_FIFO_INF: u16 = 0x1C;
    pub const PM_CTRL: u16 = 0x20;
    pub const LED_GPIO_CFG: u16 = 0x24;
    pub const GPIO_CFG: u16 = 0x28;
    pub const AFC_CFG: u16 = 0x2C;
    pub const E2P_CMD: u16 = 0x30;
    pub const E2P_DATA: u16 = 0x34;
    pub const BURST_CAP: u16 = 0x38;
    pub const STRAP_STATUS: u16 = 0x3C;
    pub const GPIO_WAKE: u16 = 0x64;
    pub const INT_EP_CTL: u16 = 0x68;
    pub const BULK_IN_DLY: u16 = 0x6C;
    pub const MAC_CR: u16 = 0x100;
    pub const ADDRH: u16 = 0x104;
    pub const ADDRL: u16 = 0x108;
    pub const HASHH: u16 = 0x10C;
    pub const HASHL: u16 = 0x110;
    pub const MII_ADDR: u16 = 0x114;
    pub const MII_DATA: u16 = 0x118;
    pub const FLOW: u16 = 0x11C;
    pub const VLAN1: u16 = 0x120;
    pub const VLAN2: u16 = 0x124;
    pub const WUFF: u16 = 0x128;
    pub const WUCSR: u16 = 0x12C;
    pub const COE_CR: u16 = 0x130;
}
use offset::*;

/// Register, its value after a reset, and the bits that are simply stored.
const MAP: [(u16, u32, u32); 31] = [
    (ID_REV, 0, 0),
    (INT_STS, 0, 0),
    (RX_CFG, 0, 0),
    (TX_CFG, 0, 0),
    (HW_CFG, 0, 0x0000_1FF6),
    (RX_FIFO_INF, 0, 0),
    (TX_FIFO_INF, 0, 0),
    (PM_CTRL, 0x80, 0x0000_006C),
    (LED_GPIO_CFG, 0, 0x7777_07FF),
    (GPIO_CFG, 0, 0x1FFF_07FF),
    (AFC_CFG, 0, 0x00FF_FFFF),
    (E2P_CMD, 0, 0),
    (E2P_DATA, 0, 0xFF),
    (BURST_CAP, 0, 0xFF),
    (STRAP_STATUS, 0, 0),
    (GPIO_WAKE, 0, 0x7FF),
    (INT_EP_CTL, 0, 0x800F_FFFF),
    (BULK_IN_DLY, 0x800, 0xFFFF),
    (MAC_CR, 0x0004_0000, 0x80BF_BDEC),
    (ADDRH, 0xFFFF, 0xFFFF),
    (ADDRL, !0, !0),
    (HASHH, 0, !0),
    (HASHL, 0, !0),
    (MII_ADDR, 0, 0xFFC2),
    (MII_DATA, 0, 0xFFFF),
    (FLOW, 0, 0xFFFF_0006),
    (VLAN1, 0xFFFF, 0xFFFF),
    (VLAN2, 0xFFFF, 0xFFFF),
    (WUFF, 0, 0),
    (WUCSR, 0, 0x0000_0206),
    (COE_CR, 0, 0x0001_0003),
];

/// Past the last register of the map.
const END: u16 = 0x200;

pub(super) const INT_PHY: u32 = 1 << 15;
pub(super) const INT_TX_STOP: u32 = 1 << 17;
pub(super) const INT_RX_STOP: u32 = 1 << 16;
pub(super) const INT_TX_ERROR: u32 = 1 << 14;
pub(super) const INT_RX_DROPPED: u32 = 1 << 11;
const TX_ON: u32 = 1 << 2;
const TX_STOP: u32 = 1 << 1;
const SRST: u32 = 1;
const LRST: u32 = 1 << 3;
const PHY_RESET: u32 = 1 << 4;
const RX_ENABLE: u32 = 1 << 2;
const TX_ENABLE: u32 = 1 << 3;
const E2P_BUSY: u32 = 1 << 31;
const E2P_TIMEOUT: u32 = 1 << 10;
const MII_BUSY: u32 = 1;

/// LRST and SRST take so long.
const RESET_TIME: Micros = 1_500;
/// PM_CTRL.PHY_RST takes so long.
const PHY_RESET_TIME: Micros = 2_000;
/// An EEPROM that is not there is given up after so long.
const E2P_TIME: Micros = 30_000;
/// One word of an EEPROM.
const E2P_WORD_TIME: Micros = 100;
/// 64 bits at 2.5 MHz.
const MII_TIME: Micros = 26;
/// MII address of the internal PHY.
const PHY_ADDRESS: u32 = 1;

/// What the FIFOs are to do after a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Effect {
    None,
    FlushRx,
    FlushTx,
    /// The chip is reset: FIFOs empty, transmit path in step again.
    Reset,
}

#[derive(Clone, Debug)]
pub(super) struct Registers {
    now: Micros,
    id_rev: u32,
    values: [u32; END as usize / 4],
    /// The transmit path runs (TX_CFG.ON).
    pub(super) tx_on: bool,
    pub(super) phy: Phy,
    /// Contents of a serial EEPROM; empty = none is fitted.
    pub(super) eeprom: Vec<u8>,
    reset_until: Option<(Micros, u32)>,
    phy_reset_until: Option<Micros>,
    e2p_until: Option<(Micros, u32)>,
    mii_until: Option<(Micros, u32)>,
}

impl Registers {
    pub(super) fn new(product: u16) -> Self {
        let mut registers = Self {
            now: 0,
            id_rev: u32::from(product) << 16 | 2,
            values: [0; END as usize / 4],
            tx_on: false,
            phy: Phy::new(),
            eeprom: Vec::new(),
            reset_until: None,
            phy_reset_until: None,
            e2p_until: None,
            mii_until: None,
        };
        registers.reset();
        registers
    }

    /// Values as after power-on. The PHY is left alone.
    pub(super) fn reset(&mut self) {
        self.values = [0; END as usize / 4];
        for (offset, value, _) in MAP {
            self.set(offset, value);
        }
        self.tx_on = false;
        self.e2p_until = None;
        self.mii_until = None;
        // An EEPROM that is marked as programmed gives the station address.
        if let [0xA5, a, b, c, d, e, f, ..] = *self.eeprom {
            self.set(ADDRL, u32::from_le_bytes([a, b, c, d]));
            self.set(ADDRH, u32::from_le_bytes([e, f, 0, 0]));
            self.set(E2P_CMD, 1 << 9);
        }
    }

    /// A register's value, without the effects of reading it.
    pub(super) fn get(&self, offset: u16) -> u32 {
        self.values[usize::from(offset) / 4]
    }

    /// The same for any offset: live bits shown, 0 where nothing is.
    pub(super) fn peek(&self, offset: u16) -> u32 {
        match offset {
            ID_REV => self.id_rev,
            INT_STS => self.interrupts(),
            TX_CFG => u32::from(self.tx_on) << 2,
            _ => self.values.get(usize::from(offset) / 4).copied().unwrap_or(0),
        }
    }

    fn set(&mut self, offset: u16, value: u32) {
        self.values[usize::from(offset) / 4] = value;
    }

    pub(super) fn raise(&mut self, bits: u32) {
        self.set(INT_STS, self.get(INT_STS) | bits);
    }

    /// INT_STS: latched bits and the PHY's line.
    pub(super) fn interrupts(&self) -> u32 {
        self.get(INT_STS) | if self.phy.interrupt() { INT_PHY } else { 0 }
    }

    pub(super) fn transmits(&self) -> bool {
        self.tx_on && self.get(MAC_CR) & TX_ENABLE != 0
    }

    pub(super) fn receives(&self) -> bool {
        self.reset_until.is_none() && self.get(MAC_CR) & RX_ENABLE != 0
    }

    pub(super) fn in_reset(&self) -> bool {
        self.reset_until.is_some()
    }

    pub(super) fn advance(&mut self, now: Micros, faults: &LanFaults) {
        self.now = self.now.max(now);
        let now = self.now;
        if self.reset_until.is_some_and(|(t, _)| now >= t) && !faults.reset_sticks {
            self.reset_until = None;
        }
        if self.phy_reset_until.is_some_and(|t| now >= t) && !faults.phy_reset_sticks {
            self.phy_reset_until = None;
        }
        self.phy.reset_sticks = faults.phy_reset_sticks;
        self.phy.advance(now);
        if let Some((_, command)) = self.e2p_until.take_if(|(t, _)| now >= *t) {
            self.finish_eeprom(command);
        }
        if !faults.mii_sticks
            && let Some((_, command)) = self.mii_until.take_if(|(t, _)| now >= *t)
        {
            self.finish_mii(command);
        }
    }

    fn finish_eeprom(&mut self, command: u32) {
        let address = command & 0x1FF;
        match (self.eeprom.get(address as usize).copied(), command >> 28 & 7) {
            (Some(byte), 0) => {
                self.set(E2P_DATA, byte.into());
                self.set(E2P_CMD, command & !(E2P_BUSY | E2P_TIMEOUT));
            }
            _ => self.set(E2P_CMD, command & !E2P_BUSY | E2P_TIMEOUT),
        }
    }

    fn finish_mii(&mut self, command: u32) {
        let (address, register) = (command >> 11 & 0x1F, (command >> 6 & 0x1F) as u16);
        let here = address == PHY_ADDRESS && self.phy_reset_until.is_none();
        if command & 2 != 0 {
            let value = self.get(MII_DATA) as u16;
            if here {
                self.phy.write(register, value);
            }
        } else {
            let value = if here { self.phy.read(register) } else { 0xFFFF };
            self.set(MII_DATA, value.into());
        }
    }

    /// Does the address exist?
    pub(super) fn exists(offset: u16) -> bool {
        offset < END && offset.is_multiple_of(4)
    }

    pub(super) fn read(&mut self, offset: u16, rx_used: u32, tx_used: u32) -> u32 {
        if let Some((_, bits)) = self.reset_until {
            return if offset == HW_CFG { bits } else { 0 };
        }
        match offset {
            RX_FIFO_INF => rx_used,
            TX_FIFO_INF => tx_used,
            PM_CTRL if self.phy_reset_until.is_some() => self.get(PM_CTRL) | PHY_RESET,
            E2P_CMD if self.e2p_until.is_some() => self.get(E2P_CMD) | E2P_BUSY,
            MII_ADDR if self.mii_until.is_some() => self.get(MII_ADDR) | MII_BUSY,
            _ => self.peek(offset),
        }
    }

    pub(super) fn write(&mut self, offset: u16, value: u32, counters: &mut Counters) -> Effect {
        // What is written into a running reset is lost.
        if self.reset_until.is_some() {
            return Effect::None;
        }
        let Some((.., stored)) = MAP.iter().find(|(known, ..)| *known == offset) else {
            counters.reserved += 1;
            return Effect::None;
        };
        let before = self.get(offset);
        let kept = before & !stored | value & stored;
        match offset {
            INT_STS => self.set(INT_STS, before & !value),
            RX_CFG if value & 1 != 0 => return Effect::FlushRx,
            TX_CFG => {
                if value & TX_STOP != 0 && self.tx_on {
                    self.raise(INT_TX_STOP);
                }
                self.tx_on = value & TX_ON != 0 && value & TX_STOP == 0;
                if value & 1 != 0 {
                    return Effect::FlushTx;
                }
            }
            HW_CFG if value & (LRST | SRST) != 0 => {
                counters.resets += 1;
                self.reset();
                if value & SRST != 0 {
                    self.phy.reset();
                }
                self.reset_until = Some((self.now + RESET_TIME, value & (LRST | SRST)));
                return Effect::Reset;
            }
            PM_CTRL => {
                self.set(PM_CTRL, kept);
                if value & PHY_RESET != 0 {
                    self.phy.reset();
                    self.phy_reset_until = Some(self.now + PHY_RESET_TIME);
                }
            }
            E2P_CMD if self.e2p_until.is_none() => {
                let cleared = before & !(value & E2P_TIMEOUT);
                self.set(E2P_CMD, cleared & (E2P_TIMEOUT | 1 << 9) | value & 0x7000_01FF);
                if value & E2P_BUSY != 0 {
                    let time = if self.eeprom.is_empty() { E2P_TIME } else { E2P_WORD_TIME };
                    self.e2p_until = Some((self.now + time, self.get(E2P_CMD) | E2P_BUSY));
                }
            }
            MII_ADDR | MII_DATA if self.mii_until.is_some() => counters.mii_overlaps += 1,
            MII_ADDR => {
                self.set(MII_ADDR, kept);
                if value & MII_BUSY != 0 {
                    self.mii_until = Some((self.now + MII_TIME, value));
                }
            }
            MAC_CR => {
                if before & RX_ENABLE != 0 && value & RX_ENABLE == 0 {
                    self.raise(INT_RX_STOP);
                }
                self.set(MAC_CR, kept);
            }
            _ => self.set(offset, kept),
        }
        Effect::None
    }
}
