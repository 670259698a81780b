//! Where the blocks are (ARM physical; BCM2835 ARM Peripherals section 1.2.3).

/// First address of the peripherals.
pub const PERIPHERALS: u32 = 0x2000_0000;
/// Length of their window.
pub const PERIPHERALS_LEN: u32 = 0x0100_0000;
/// System timer.
pub const SYSTEM_TIMER: u32 = 0x2000_3000;
/// Interrupt controller.
pub const INTERRUPTS: u32 = 0x2000_B200;
/// VideoCore mailboxes.
pub const MAILBOX: u32 = 0x2000_B880;
/// Power management and watchdog.
pub const POWER: u32 = 0x2010_0000;
/// Random number generator.
pub const RNG: u32 = 0x2010_4000;
/// GPIO.
pub const GPIO: u32 = 0x2020_0000;
/// PL011 UART.
pub const UART0: u32 = 0x2020_1000;
/// DWC2 USB controller.
pub const USB: u32 = 0x2098_0000;

/// The alias through which a bus master sees SDRAM coherently with the
/// VideoCore's L2, which the ARM's accesses go through on this SoC.
pub const BUS_ALIAS: u32 = 0x4000_0000;

/// A physical address as a bus master must be given it.
#[must_use]
pub const fn bus(physical: u32) -> u32 {
    (physical & 0x3FFF_FFFF) | BUS_ALIAS
}

/// Task region: first address (the end depends on the board's memory).
pub const TASK_REGION: u32 = 0x0400_0000;
/// Log ring, kept over a warm reset.
pub const LOG_RING: u32 = 0x0030_0000;
/// Its length.
pub const LOG_RING_LEN: u32 = 0x0001_0000;
/// What a boot leaves for the next about its end; a page, kept like the ring.
pub const CRASH_RECORD: u32 = LOG_RING + LOG_RING_LEN;
/// Its length.
pub const CRASH_RECORD_LEN: u32 = 0x1000;
