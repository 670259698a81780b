//! The interrupt controller, with the shortcut bits that mislead decoders.

use sk_hal::Bus32;
use std::cell::RefCell;

/// GPU interrupts with a shortcut in basic pending, from bit 10 on.
const SHORTCUTS: [u32; 11] = [7, 9, 10, 18, 19, 53, 54, 55, 56, 57, 62];

struct State {
    lines: [u32; 3],
    enabled: [u32; 3],
    fiq: u32,
}

/// Registers of the interrupt controller.
pub struct IrqModel(RefCell<State>);

impl IrqModel {
    /// As an earlier boot stage left it: sources on, and a FIQ.
    #[must_use]
    pub fn left_on() -> Self {
        Self(RefCell::new(State {
            lines: [0; 3],
            enabled: [1 << 9 | 1 << 3, 1 << 25, 1],
            fiq: 0x80 | 9,
        }))
    }

    /// Raises or drops the line of a source (0-63 GPU, 64-71 basic).
    pub fn set_line(&self, source: u8, up: bool) {
        let mut s = self.0.borrow_mut();
        let bit = 1 << (source % 32);
        let word = &mut s.lines[usize::from(source / 32)];
        if up { *word |= bit } else { *word &= !bit }
    }

    /// Is the core's IRQ input up?
    #[must_use]
    pub fn irq(&self) -> bool {
        let s = self.0.borrow();
        (0..3).any(|b| s.lines[b] & s.enabled[b] != 0)
    }

    /// Is the core's FIQ input up?
    #[must_use]
    pub fn fiq(&self) -> bool {
        let s = self.0.borrow();
        let source = s.fiq & 0x7F;
        s.fiq & 0x80 != 0 && s.lines[source as usize / 32] & 1 << (source % 32) != 0
    }

    /// Enabled sources by bank.
    #[must_use]
    pub fn enabled(&self) -> [u32; 3] {
        self.0.borrow().enabled
    }

    /// The FIQ control register.
    #[must_use]
    pub fn fiq_control(&self) -> u32 {
        self.0.borrow().fiq
    }
}

impl Bus32 for IrqModel {
    fn read(&self, off: u32) -> u32 {
        let s = self.0.borrow();
        match off {
            0x00 => {
                let mut basic = s.lines[2] & s.enabled[2] & 0xFF;
                let mut rest = [s.lines[0] & s.enabled[0], s.lines[1] & s.enabled[1]];
                for (bit, irq) in (10..).zip(SHORTCUTS) {
                    let word = &mut rest[irq as usize / 32];
                    if *word & 1 << (irq % 32) != 0 {
                        *word &= !(1 << (irq % 32));
                        basic |= 1 << bit;
                    }
                }
                basic | u32::from(rest[0] != 0) << 8 | u32::from(rest[1] != 0) << 9
            }
            // The GPU's own sources show although the ARM did not enable them.
            0x04 => s.lines[0],
            0x08 => s.lines[1],
            0x0C => s.fiq,
            0x10 | 0x14 | 0x18 => s.enabled[(off as usize - 0x10) / 4],
            _ => panic!("interrupt controller: no readable register {off:#x}"),
        }
    }

    fn write(&self, off: u32, value: u32) {
        let mut s = self.0.borrow_mut();
        match off {
            0x0C => {
                let source = value & 0x7F;
                if value & 0x80 != 0 {
                    assert!(source < 72, "FIQ source {source}");
                    let both = s.enabled[source as usize / 32] & 1 << (source % 32) != 0;
                    assert!(!both, "source {source} would raise IRQ and FIQ");
                }
                s.fiq = value & 0xFF;
            }
            0x10 | 0x14 | 0x18 => s.enabled[(off as usize - 0x10) / 4] |= value,
            0x1C | 0x20 | 0x24 => s.enabled[(off as usize - 0x1C) / 4] &= !value,
            _ => panic!("interrupt controller: {off:#x} is not writable"),
        }
    }
}
