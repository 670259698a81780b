//! The GPIO block: functions, levels, and a pull sequence that must be timed.

use crate::systimer::SimClock;
use sk_hal::{Bus32, Micros};
use std::cell::RefCell;

/// 150 cycles of the core clock, even of one as slow as 30 MHz.
const SETTLE: Micros = 5;

/// Pins no driver may touch: LAN reset and clock, USB current limit, SD card.
const FORBIDDEN: [u8; 10] = [6, 31, 38, 44, 48, 49, 50, 51, 52, 53];

struct State {
    select: [u32; 6],
    level: u64,
    control: u32,
    control_at: Micros,
    clocked: u64,
    clocked_at: Micros,
    pulls: [u8; 54],
}

/// Registers of the GPIO block.
pub struct GpioModel {
    clock: SimClock,
    state: RefCell<State>,
}

impl GpioModel {
    /// Pins as the firmware leaves them on a Zero W: PL011 on the radio, SD
    /// card in ALT3, the LAN pins driven.
    #[must_use]
    pub fn zero_w(clock: &SimClock) -> Self {
        let model = Self {
            clock: clock.clone(),
            state: RefCell::new(State {
                select: [0; 6],
                level: 0,
                control: 0,
                control_at: 0,
                clocked: 0,
                clocked_at: 0,
                pulls: [0; 54],
            }),
        };
        for pin in [32, 33, 48, 49, 50, 51, 52, 53] {
            model.preset(pin, 7);
        }
        for pin in [6, 31] {
            model.preset(pin, 1);
        }
        model
    }

    /// Sets a pin's function from outside.
    pub fn preset(&self, pin: u8, function: u32) {
        let select = &mut self.state.borrow_mut().select[usize::from(pin / 10)];
        *select = *select & !(7 << (pin % 10 * 3)) | function << (pin % 10 * 3);
    }

    /// The function code of `pin`.
    #[must_use]
    pub fn function(&self, pin: u8) -> u32 {
        self.state.borrow().select[usize::from(pin / 10)] >> (pin % 10 * 3) & 7
    }

    /// The level of `pin`.
    #[must_use]
    pub fn level(&self, pin: u8) -> bool {
        self.state.borrow().level >> pin & 1 != 0
    }

    /// The pull of `pin` (0 off, 1 down, 2 up).
    ///
    /// # Panics
    /// If the pull control was left on.
    #[must_use]
    pub fn pull(&self, pin: u8) -> u8 {
        let s = self.state.borrow();
        assert!(s.control == 0 && s.clocked == 0, "pull control left on");
        s.pulls[usize::from(pin)]
    }
}

impl Bus32 for GpioModel {
    fn read(&self, off: u32) -> u32 {
        let s = self.state.borrow();
        match off {
            0x00..=0x14 => s.select[off as usize / 4],
            0x34 => s.level as u32,
            0x38 => (s.level >> 32) as u32,
            _ => panic!("GPIO: no readable register {off:#x}"),
        }
    }

    fn write(&self, off: u32, value: u32) {
        let now = self.clock.peek();
        let mut s = self.state.borrow_mut();
        match off {
            0x00..=0x14 => {
                let bank = off / 4;
                let changed: Vec<u8> = (0..10)
                    .filter(|p| (s.select[bank as usize] ^ value) >> (p * 3) & 7 != 0)
                    .map(|p| (bank * 10 + p) as u8)
                    .collect();
                assert!(changed.len() <= 1, "pins {changed:?} changed in one write");
                for pin in changed {
                    assert!(!FORBIDDEN.contains(&pin), "pin {pin} keeps the board alive");
                }
                s.select[bank as usize] = value;
                let of = |pin: u32| s.select[pin as usize / 10] >> (pin % 10 * 3) & 7;
                let twice = (of(14) == 4 && of(32) == 7) || (of(15) == 4 && of(33) == 7);
                assert!(!twice, "the UART is on two sets of pins");
            }
            0x1C | 0x20 => s.level |= u64::from(value) << ((off - 0x1C) * 8),
            0x28 | 0x2C => s.level &= !(u64::from(value) << ((off - 0x28) * 8)),
            0x94 => {
                if s.clocked != 0 {
                    assert!(now - s.clocked_at >= SETTLE, "pull control: no hold time");
                }
                s.control = value;
                s.control_at = now;
            }
            0x98 | 0x9C => {
                let shift = (off - 0x98) * 8;
                if value == 0 {
                    s.clocked &= !(0xFFFF_FFFF << shift);
                    return;
                }
                assert!(now - s.control_at >= SETTLE, "pull control: no set-up time");
                s.clocked |= u64::from(value) << shift;
                s.clocked_at = now;
                for pin in 0..54 {
                    if s.clocked >> pin & 1 != 0 {
                        s.pulls[pin] = s.control as u8;
                    }
                }
            }
            _ => panic!("GPIO: {off:#x} is not writable"),
        }
    }
}
