//! GPIO: pin functions, levels, pulls (BCM2835 ARM Peripherals chapter 6).
//!
//! Ten pins share a function-select register, and some of the neighbours keep
//! the board alive: LAN reset, the 25 MHz clock of the LAN chip, the SD card.
//! So function bits change by read-modify-write of one pin only, and pins whose
//! loss takes the board down are refused.

use crate::board::Led;
use crate::wait;
use sk_hal::{Bus32, Clock};

const FSEL: u32 = 0x00;
const SET: u32 = 0x1C;
const CLR: u32 = 0x28;
const LEV: u32 = 0x34;
const PUD: u32 = 0x94;
const PUD_CLOCK: u32 = 0x98;

/// Set-up and hold time of the pull control: 150 core cycles at 250 MHz are
/// 0.6 us; 5 us leaves room for a slower core clock.
const PULL_US: u64 = 5;

/// Number of pins.
pub const PINS: u8 = 54;

/// What a pin does; the codes of GPFSELn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Function {
    /// Input.
    Input = 0,
    /// Output.
    Output = 1,
    /// Alternate function 0.
    Alt0 = 4,
    /// Alternate function 1.
    Alt1 = 5,
    /// Alternate function 2.
    Alt2 = 6,
    /// Alternate function 3.
    Alt3 = 7,
    /// Alternate function 4.
    Alt4 = 3,
    /// Alternate function 5.
    Alt5 = 2,
}

impl Function {
    const fn from_code(code: u32) -> Self {
        match code & 7 {
            0 => Self::Input,
            1 => Self::Output,
            2 => Self::Alt5,
            3 => Self::Alt4,
            4 => Self::Alt0,
            5 => Self::Alt1,
            6 => Self::Alt2,
            _ => Self::Alt3,
        }
    }
}

/// The pull resistor of a pin. It keeps its state until power-off and cannot
/// be read back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Pull {
    /// None.
    Off = 0,
    /// To ground.
    Down = 1,
    /// To 3.3 V.
    Up = 2,
}

/// Why a pin was not changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GpioError {
    /// There is no such pin, or it belongs to the LAN chip or the SD card.
    NotOurs(u8),
    /// The clock stands still, so the pull sequence could not be timed; the
    /// control registers were cleared again.
    ClockStopped,
}

/// The GPIO block.
#[derive(Debug)]
pub struct Gpio<B> {
    bus: B,
}

/// Pins that are wired to what the board needs to live: LAN_RUN of the 1B (6)
/// and 1B+ (31), USB current limit (38), LAN clock (44), SD card (48 to 53).
const fn reserved(pin: u8) -> bool {
    pin >= 48 || matches!(pin, 6 | 31 | 38 | 44)
}

impl<B: Bus32> Gpio<B> {
    /// The GPIO block behind `bus`.
    pub const fn new(bus: B) -> Self {
        Self { bus }
    }

    /// What `pin` does now.
    pub fn function(&self, pin: u8) -> Option<Function> {
        (pin < PINS).then(|| Function::from_code(self.bus.read(fsel(pin)) >> shift(pin)))
    }

    /// Gives `pin` another function.
    ///
    /// # Errors
    /// [`GpioError::NotOurs`].
    pub fn set_function(&mut self, pin: u8, function: Function) -> Result<(), GpioError> {
        if reserved(pin) {
            return Err(GpioError::NotOurs(pin));
        }
        let others = self.bus.read(fsel(pin)) & !(7 << shift(pin));
        self.bus.write(fsel(pin), others | (function as u32) << shift(pin));
        Ok(())
    }

    /// Drives an output pin high or low.
    ///
    /// # Errors
    /// [`GpioError::NotOurs`].
    pub fn write(&mut self, pin: u8, high: bool) -> Result<(), GpioError> {
        if reserved(pin) {
            return Err(GpioError::NotOurs(pin));
        }
        let bank = if high { SET } else { CLR };
        self.bus.write(bank + u32::from(pin / 32) * 4, 1 << (pin % 32));
        Ok(())
    }

    /// The level at `pin`; `false` for a pin that does not exist.
    pub fn read(&self, pin: u8) -> bool {
        pin < PINS && self.bus.read(LEV + u32::from(pin / 32) * 4) >> (pin % 32) & 1 != 0
    }

    /// Sets the pull of one pin: control, wait, clock, wait, both off. Takes
    /// about 12 us.
    ///
    /// # Errors
    /// [`GpioError::NotOurs`], [`GpioError::ClockStopped`].
    pub fn set_pull<K: Clock + ?Sized>(
        &mut self,
        pin: u8,
        pull: Pull,
        clock: &K,
    ) -> Result<(), GpioError> {
        if reserved(pin) {
            return Err(GpioError::NotOurs(pin));
        }
        let line = PUD_CLOCK + u32::from(pin / 32) * 4;
        self.bus.write(PUD, pull as u32);
        let set_up = wait::delay(clock, PULL_US);
        let mut held = false;
        if set_up {
            self.bus.write(line, 1 << (pin % 32));
            held = wait::delay(clock, PULL_US);
        }
        self.bus.write(PUD, 0);
        self.bus.write(line, 0);
        if held { Ok(()) } else { Err(GpioError::ClockStopped) }
    }

    /// Connects the PL011 to the header: on a Zero W it is wired to the radio
    /// by GPIO 32/33 in ALT3, which become inputs first (a signal on two pins
    /// would be driven by both). GPIO 14 and 15 get ALT0; the receiver is
    /// pulled up, since a floating line is an endless row of breaks.
    ///
    /// # Errors
    /// [`GpioError::ClockStopped`]; the pins are routed even so.
    pub fn route_uart<K: Clock + ?Sized>(&mut self, clock: &K) -> Result<(), GpioError> {
        for pin in [32, 33] {
            if self.function(pin) == Some(Function::Alt3) {
                self.set_function(pin, Function::Input)?;
            }
        }
        let pulls =
            self.set_pull(14, Pull::Off, clock).and_then(|()| self.set_pull(15, Pull::Up, clock));
        self.set_function(14, Function::Alt0)?;
        self.set_function(15, Function::Alt0)?;
        pulls
    }

    /// Makes the activity LED's pin an output, LED off.
    ///
    /// # Errors
    /// [`GpioError::NotOurs`].
    pub fn init_led(&mut self, led: Led) -> Result<(), GpioError> {
        // Level before direction: the LED does not flash.
        self.set_led(led, false)?;
        self.set_function(led.pin, Function::Output)
    }

    /// Switches the activity LED.
    ///
    /// # Errors
    /// [`GpioError::NotOurs`].
    pub fn set_led(&mut self, led: Led, on: bool) -> Result<(), GpioError> {
        self.write(led.pin, on != led.active_low)
    }
}

const fn fsel(pin: u8) -> u32 {
    FSEL + (pin / 10) as u32 * 4
}

const fn shift(pin: u8) -> u32 {
    (pin % 10) as u32 * 3
}
