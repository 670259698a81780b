//! Order between the registers of different peripherals.

use crate::Bus32;
use crate::cp15::Cp15Ops;

/// Registers with a barrier at every access.
///
/// BCM2835's fabric keeps accesses to one peripheral in order, but may return
/// reads from different ones swapped, and the core does not notice (BCM2835 ARM
/// Peripherals section 1.3). The rule there is a barrier before the first write
/// to a peripheral and after the last read from it; kept here at every access,
/// so that no caller has to know which was first or last.
#[derive(Clone, Copy, Debug)]
pub struct Ordered<B, O> {
    bus: B,
    ops: O,
}

impl<B, O> Ordered<B, O> {
    /// `bus`, whose plain accesses are ordered by `ops`.
    pub const fn new(bus: B, ops: O) -> Self {
        Self { bus, ops }
    }
}

impl<B: Bus32, O: Cp15Ops> Bus32 for Ordered<B, O> {
    #[inline(always)]
    fn read(&self, off: u32) -> u32 {
        let value = self.bus.read(off);
        self.ops.dmb();
        value
    }

    #[inline(always)]
    fn write(&self, off: u32, value: u32) {
        self.ops.dmb();
        self.bus.write(off, value);
    }
}
