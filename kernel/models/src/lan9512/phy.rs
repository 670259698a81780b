//! The internal PHY (MII address 1): IEEE 802.3 clause 22 registers, and those
//! of SMSC's PHYs for energy, interrupts and the result of autonegotiation.

use sk_hal::Micros;

const RESET: u16 = 1 << 15;
const SPEED_100: u16 = 1 << 13;
const AUTONEG: u16 = 1 << 12;
const POWER_DOWN: u16 = 1 << 11;
const RESTART: u16 = 1 << 9;
const FULL_DUPLEX: u16 = 1 << 8;

const LINK_DOWN: u16 = 1 << 4;
const AUTONEG_DONE: u16 = 1 << 6;
const ENERGY: u16 = 1 << 7;

/// BMCR after a reset: autonegotiate.
const BMCR: u16 = SPEED_100 | AUTONEG;
/// Abilities: 10 and 100 Mbit/s, both duplexes.
const ANAR: u16 = 0x01E1;
/// BMSR without link: abilities, preamble suppression, extended registers.
const BMSR: u16 = 0x7809;
/// BMCR.RST takes so long (IEEE 802.3 allows 0.5 s).
const RESET_TIME: Micros = 500;
/// A link without autonegotiation takes so long.
const FORCED_TIME: Micros = 300_000;

/// The link as the two ends agreed on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    /// 100 Mbit/s, not 10.
    pub fast: bool,
    /// Full duplex.
    pub full: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Phy {
    now: Micros,
    /// From a restart of autonegotiation to the link.
    pub(super) autoneg_time: Micros,
    /// What the other end can do (ANLPAR).
    pub(super) partner: u16,
    /// BMCR.RST does not clear.
    pub(super) reset_sticks: bool,
    cable: bool,
    control: u16,
    advertised: u16,
    mode: u16,
    special: u16,
    indication: u16,
    source: u16,
    mask: u16,
    link: Option<Link>,
    was_down: bool,
    link_at: Option<Micros>,
    reset_until: Option<Micros>,
}

impl Phy {
    pub(super) fn new() -> Self {
        let mut phy = Self {
            now: 0,
            autoneg_time: 1_800_000,
            partner: 0xCDE1,
            reset_sticks: false,
            cable: true,
            control: BMCR,
            advertised: ANAR,
            mode: 0,
            special: 0x00E1,
            indication: 0,
            source: 0,
            mask: 0,
            link: None,
            was_down: true,
            link_at: None,
            reset_until: None,
        };
        phy.reset();
        phy
    }

    /// All registers as after power-on; a link is lost and negotiated anew.
    pub(super) fn reset(&mut self) {
        self.control = BMCR;
        self.advertised = ANAR;
        self.mode = 0;
        self.indication = 0;
        self.mask = 0;
        self.renegotiate();
        self.source = 0;
    }

    pub(super) fn link(&self) -> Option<Link> {
        self.link
    }

    /// Level of the PHY's interrupt line.
    pub(super) fn interrupt(&self) -> bool {
        self.source & self.mask != 0
    }

    pub(super) fn set_cable(&mut self, cable: bool) {
        if self.cable != cable {
            self.cable = cable;
            if cable && self.powered() {
                self.source |= ENERGY;
            }
            self.renegotiate();
        }
    }

    pub(super) fn cable(&self) -> bool {
        self.cable
    }

    pub(super) fn advance(&mut self, now: Micros) {
        // A host may drop in at any time of its own clock.
        self.now = self.now.max(now);
        if self.reset_until.is_some_and(|t| self.now >= t) && !self.reset_sticks {
            self.reset_until = None;
        }
        if self.link_at.is_some_and(|t| self.now >= t) {
            self.link_at = None;
            self.link = self.agreed();
            if self.link.is_some() && self.control & AUTONEG != 0 {
                self.source |= AUTONEG_DONE;
            }
        }
    }

    fn powered(&self) -> bool {
        self.control & POWER_DOWN == 0
    }

    fn renegotiate(&mut self) {
        if self.link.take().is_some() {
            self.was_down = true;
            self.source |= LINK_DOWN;
        }
        let time = if self.control & AUTONEG != 0 { self.autoneg_time } else { FORCED_TIME };
        self.link_at = (self.cable && self.powered()).then_some(self.now + time);
    }

    /// IEEE 802.3 annex 28B.3: the best both can do.
    fn agreed(&self) -> Option<Link> {
        if self.control & AUTONEG == 0 {
            let fast = self.control & SPEED_100 != 0;
            return Some(Link { fast, full: self.control & FULL_DUPLEX != 0 });
        }
        let common = self.advertised & self.partner;
        [(1 << 8, true, true), (1 << 7, true, false), (1 << 6, false, true), (1 << 5, false, false)]
            .iter()
            .find(|(bit, ..)| common & bit != 0)
            .map(|&(_, fast, full)| Link { fast, full })
    }

    pub(super) fn read(&mut self, register: u16) -> u16 {
        let up = self.link.is_some();
        let negotiated = up && self.control & AUTONEG != 0;
        match register {
            0 => self.control | if self.reset_until.is_some() { RESET } else { 0 },
            1 => {
                // A loss of link is told once, even if it is up again.
                let shown = up && !std::mem::take(&mut self.was_down);
                self.was_down = !up;
                BMSR | u16::from(shown) << 2 | u16::from(negotiated) << 5
            }
            2 => 0x0007,
            3 => 0xC0C3,
            4 => self.advertised,
            5 if negotiated => self.partner,
            6 => u16::from(negotiated) << 1 | u16::from(negotiated),
            17 => self.mode & !2 | u16::from(self.cable && self.powered()) << 1,
            18 => self.special,
            27 => self.indication,
            29 => std::mem::take(&mut self.source),
            30 => self.mask,
            31 => {
                let code = match self.link {
                    Some(Link { fast: false, full: false }) => 0b001,
                    Some(Link { fast: false, full: true }) => 0b101,
                    Some(Link { fast: true, full: false }) => 0b010,
                    Some(Link { fast: true, full: true }) => 0b110,
                    None => 0,
                };
                code << 2 | u16::from(negotiated) << 12
            }
            _ => 0,
        }
    }

    pub(super) fn write(&mut self, register: u16, value: u16) {
        match register {
            0 if value & RESET != 0 => {
                self.reset();
                self.reset_until = Some(self.now + RESET_TIME);
            }
            // Deaf while it resets itself.
            _ if self.reset_until.is_some() => {}
            0 => {
                let before = self.control;
                self.control = value & !(RESET | RESTART);
                if value & RESTART != 0 || before != self.control {
                    self.renegotiate();
                }
            }
            4 => self.advertised = value & !(1 << 14),
            17 => self.mode = value,
            18 => self.special = value,
            27 => self.indication = value,
            30 => self.mask = value & 0x00FE,
            _ => {}
        }
    }
}
