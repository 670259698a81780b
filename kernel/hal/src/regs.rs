//! Register access through a narrow bus instead of an address.
//!
//! A driver is generic over [`Bus32`]; on the board that is a volatile access
//! plus the barriers of BCM2835 ARM Peripherals section 1.3, on the host a
//! model. [`Reg`] gives a register of such a bus the vocabulary of
//! `tock-registers` (`read`, `modify`, `is_set`) without ever forming a
//! reference to device memory.

use core::marker::PhantomData;
use tock_registers::RegisterLongName;
use tock_registers::interfaces::{Readable, Writeable};

/// One peripheral's registers: 32-bit accesses at byte offsets from its base.
///
/// Accesses to one peripheral stay in program order. Implementations take care
/// of the ordering between *different* peripherals.
pub trait Bus32 {
    /// Reads the register at byte offset `off`.
    fn read(&self, off: u32) -> u32;
    /// Writes the register at byte offset `off`.
    fn write(&self, off: u32, value: u32);
}

impl<B: Bus32 + ?Sized> Bus32 for &B {
    fn read(&self, off: u32) -> u32 {
        (**self).read(off)
    }
    fn write(&self, off: u32, value: u32) {
        (**self).write(off, value);
    }
}

/// One register of a [`Bus32`], with named fields `R`.
pub struct Reg<'b, B: Bus32 + ?Sized, R: RegisterLongName = ()> {
    bus: &'b B,
    off: u32,
    fields: PhantomData<R>,
}

impl<'b, B: Bus32 + ?Sized, R: RegisterLongName> Reg<'b, B, R> {
    /// The register at byte offset `off` of `bus`.
    pub const fn new(bus: &'b B, off: u32) -> Self {
        Self { bus, off, fields: PhantomData }
    }
}

impl<B: Bus32 + ?Sized, R: RegisterLongName> Readable for Reg<'_, B, R> {
    type T = u32;
    type R = R;
    fn get(&self) -> u32 {
        self.bus.read(self.off)
    }
}

impl<B: Bus32 + ?Sized, R: RegisterLongName> Writeable for Reg<'_, B, R> {
    type T = u32;
    type R = R;
    fn set(&self, value: u32) {
        self.bus.write(self.off, value);
    }
}
