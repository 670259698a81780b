//! The tags themselves, typed: ids and values of the firmware's property
//! interface (`raspberrypi-firmware` documentation, *Mailbox property
//! interface*).

use crate::message::{Tag, Value, Words};

/// Clock ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum ClockId {
    /// SD card controller.
    Emmc = 1,
    /// PL011.
    Uart = 2,
    /// The ARM core.
    Arm = 3,
    /// VideoCore: also mini UART, SPI, I2C, ARM timer.
    Core = 4,
    /// 3D.
    V3d = 5,
    /// SDRAM.
    Sdram = 8,
    /// Pixel clock.
    Pixel = 9,
    /// PWM.
    Pwm = 10,
}

/// Device ids of the power tags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum PowerDevice {
    /// SD card.
    Sd = 0,
    /// PL011.
    Uart0 = 1,
    /// Mini UART.
    Uart1 = 2,
    /// The USB controller: its registers read 0 until it is powered.
    Usb = 3,
    /// I2C 0.
    I2c0 = 4,
    /// I2C 1.
    I2c1 = 5,
    /// I2C 2.
    I2c2 = 6,
    /// SPI.
    Spi = 7,
}

/// State of a device or clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PowerState {
    /// Is it on?
    pub on: bool,
    /// The firmware knows no such device.
    pub missing: bool,
}

impl PowerState {
    const fn from_word(word: u32) -> Self {
        Self { on: word & 1 != 0, missing: word & 2 != 0 }
    }

    /// On, and there?
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.on && !self.missing
    }
}

/// A range of memory by physical address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Memory {
    /// First byte.
    pub base: u32,
    /// Bytes.
    pub size: u32,
}

/// Under-voltage and throttling, now and since boot (tag 0x0003_0046).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Throttled(pub u32);

impl Throttled {
    /// The supply is below 4.63 V.
    #[must_use]
    pub const fn under_voltage(&self) -> bool {
        self.0 & 1 != 0
    }

    /// The ARM clock is capped.
    #[must_use]
    pub const fn capped(&self) -> bool {
        self.0 & 1 << 1 != 0
    }

    /// The ARM clock is throttled.
    #[must_use]
    pub const fn throttled(&self) -> bool {
        self.0 & 1 << 2 != 0
    }

    /// The soft temperature limit is reached.
    #[must_use]
    pub const fn hot(&self) -> bool {
        self.0 & 1 << 3 != 0
    }

    /// The same four bits, for what has been true at some time since boot.
    #[must_use]
    pub const fn since_boot(&self) -> Self {
        Self(self.0 >> 16 & 0xF)
    }

    /// Anything wrong right now?
    #[must_use]
    pub const fn any_now(&self) -> bool {
        self.0 & 0xF != 0
    }
}

/// A tag without question whose answer is one word.
macro_rules! word_tag {
    ($(#[$doc:meta])* $name:ident = $id:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct $name;

        impl Tag for $name {
            type Reply<'m> = u32;
            const ID: u32 = $id;
            fn room(&self) -> usize {
                4
            }
            fn answer<'m>(value: &Value<'m>) -> Option<u32> {
                value.word(0)
            }
        }
    };
}

/// A tag whose answer is a range of memory.
macro_rules! memory_tag {
    ($(#[$doc:meta])* $name:ident = $id:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct $name;

        impl Tag for $name {
            type Reply<'m> = Memory;
            const ID: u32 = $id;
            fn room(&self) -> usize {
                8
            }
            fn answer<'m>(value: &Value<'m>) -> Option<Memory> {
                Some(Memory { base: value.word(0)?, size: value.word(1)? })
            }
        }
    };
}

/// A tag that names something by a word and gets {the same word, a value}.
macro_rules! keyed_tag {
    ($(#[$doc:meta])* $name:ident($key:ty) = $id:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct $name(pub $key);

        impl Tag for $name {
            type Reply<'m> = u32;
            const ID: u32 = $id;
            fn room(&self) -> usize {
                8
            }
            fn ask(&self, value: &mut Words<'_>) {
                value.set(0, self.0 as u32);
            }
            fn answer<'m>(value: &Value<'m>) -> Option<u32> {
                value.word(1)
            }
        }
    };
}

word_tag! {
    /// Build time of the firmware, seconds since 1970.
    FirmwareRevision = 0x0000_0001
}
word_tag! {
    /// Board model; 0 on everything so far.
    BoardModel = 0x0001_0001
}
word_tag! {
    /// Board revision code.
    BoardRevision = 0x0001_0002
}
memory_tag! {
    /// The ARM's share of the memory.
    ArmMemory = 0x0001_0005
}
memory_tag! {
    /// The VideoCore's share of the memory.
    VcMemory = 0x0001_0006
}
keyed_tag! {
    /// Rate a clock is set to, in Hz; 0 = there is none.
    ClockRate(ClockId) = 0x0003_0002
}
keyed_tag! {
    /// Highest rate of a clock, in Hz.
    MaxClockRate(ClockId) = 0x0003_0004
}
keyed_tag! {
    /// Lowest rate of a clock, in Hz.
    MinClockRate(ClockId) = 0x0003_0007
}
keyed_tag! {
    /// Rate a clock really has, in Hz, measured.
    MeasuredClockRate(ClockId) = 0x0003_0047
}

/// Station address of the board, for an Ethernet chip without its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MacAddress;

impl Tag for MacAddress {
    type Reply<'m> = [u8; 6];
    const ID: u32 = 0x0001_0003;
    fn room(&self) -> usize {
        // 6, in whole words.
        8
    }
    fn answer<'m>(value: &Value<'m>) -> Option<[u8; 6]> {
        value.bytes().first_chunk().copied()
    }
}

/// Serial number of the board.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BoardSerial;

impl Tag for BoardSerial {
    type Reply<'m> = u64;
    const ID: u32 = 0x0001_0004;
    fn room(&self) -> usize {
        8
    }
    fn answer<'m>(value: &Value<'m>) -> Option<u64> {
        Some(u64::from(value.word(1)?) << 32 | u64::from(value.word(0)?))
    }
}

/// Is a device powered?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GetPower(pub PowerDevice);

impl Tag for GetPower {
    type Reply<'m> = PowerState;
    const ID: u32 = 0x0002_0001;
    fn room(&self) -> usize {
        8
    }
    fn ask(&self, value: &mut Words<'_>) {
        value.set(0, self.0 as u32);
    }
    fn answer<'m>(value: &Value<'m>) -> Option<PowerState> {
        value.word(1).map(PowerState::from_word)
    }
}

/// Powers a device and waits until that is done. Look at the answer: the
/// device may not exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SetPower {
    /// The device.
    pub device: PowerDevice,
    /// On or off.
    pub on: bool,
}

impl Tag for SetPower {
    type Reply<'m> = PowerState;
    const ID: u32 = 0x0002_8001;
    fn room(&self) -> usize {
        8
    }
    fn ask(&self, value: &mut Words<'_>) {
        const WAIT: u32 = 2;
        value.set(0, self.device as u32);
        value.set(1, u32::from(self.on) | WAIT);
    }
    fn answer<'m>(value: &Value<'m>) -> Option<PowerState> {
        value.word(1).map(PowerState::from_word)
    }
}

/// Sets a clock; answers with the rate it got, in Hz.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SetClockRate {
    /// The clock.
    pub clock: ClockId,
    /// Rate in Hz.
    pub hz: u32,
    /// With the ARM clock: leave the other turbo settings alone (core clock,
    /// voltage). Then a fast ARM may be short of volts; as a rule `false`.
    pub skip_turbo: bool,
}

impl Tag for SetClockRate {
    type Reply<'m> = u32;
    const ID: u32 = 0x0003_8002;
    fn room(&self) -> usize {
        12
    }
    fn ask(&self, value: &mut Words<'_>) {
        value.set(0, self.clock as u32);
        value.set(1, self.hz);
        value.set(2, u32::from(self.skip_turbo));
    }
    fn answer<'m>(value: &Value<'m>) -> Option<u32> {
        value.word(1)
    }
}

/// Under-voltage and throttling. Older firmware does not know this tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GetThrottled;

impl Tag for GetThrottled {
    type Reply<'m> = Throttled;
    const ID: u32 = 0x0003_0046;
    fn room(&self) -> usize {
        4
    }
    fn answer<'m>(value: &Value<'m>) -> Option<Throttled> {
        value.word(0).map(Throttled)
    }
}

/// Temperature of the chip in thousandths of a degree Celsius.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Temperature;

impl Tag for Temperature {
    type Reply<'m> = u32;
    const ID: u32 = 0x0003_0006;
    fn room(&self) -> usize {
        8
    }
    fn answer<'m>(value: &Value<'m>) -> Option<u32> {
        value.word(1)
    }
}

/// Turbo level, 0 or 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GetTurbo;

impl Tag for GetTurbo {
    type Reply<'m> = u32;
    const ID: u32 = 0x0003_0009;
    fn room(&self) -> usize {
        8
    }
    fn answer<'m>(value: &Value<'m>) -> Option<u32> {
        value.word(1)
    }
}

/// Sets the turbo level; answers with the level it got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SetTurbo(pub bool);

impl Tag for SetTurbo {
    type Reply<'m> = u32;
    const ID: u32 = 0x0003_8009;
    fn room(&self) -> usize {
        8
    }
    fn ask(&self, value: &mut Words<'_>) {
        value.set(1, u32::from(self.0));
    }
    fn answer<'m>(value: &Value<'m>) -> Option<u32> {
        value.word(1)
    }
}

/// The kernel command line, without NUL, in at most that many bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CommandLine {
    /// Room for it.
    pub room: usize,
}

impl Tag for CommandLine {
    type Reply<'m> = &'m [u8];
    const ID: u32 = 0x0005_0001;
    fn room(&self) -> usize {
        self.room
    }
    fn answer<'m>(value: &Value<'m>) -> Option<&'m [u8]> {
        value.bytes().split(|b| *b == 0).next()
    }
}
