//! What a fault status says (ARM1176JZF-S TRM 3.2.20, table 6-9), and the
//! undefined instructions that mean something.
//!
//! Both ends read a [`FaultRecord`] with this: the kernel, to say what kind of
//! fault it was, and a tool, to say it in words.

use crate::status::{FaultRecord, Status};

/// `udf` with this number means: division by zero. ARMv6 has no instruction
/// that divides, so the routine that does must say it.
pub const DIVISION_BY_ZERO: u16 = 0xD140;

/// The ARM encoding of `udf #number`.
#[must_use]
pub const fn udf(number: u16) -> u32 {
    0xE7F0_00F0 | (number as u32 & 0xFFF0) << 4 | number as u32 & 0xF
}

/// What the fault status register gives as the source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// An instruction that needs an aligned address was given another.
    Alignment,
    /// A breakpoint.
    Breakpoint,
    /// Nothing is mapped there.
    Unmapped,
    /// It is mapped, but the domain is closed.
    Domain,
    /// It is mapped, but not for this.
    Permission,
    /// The bus refused; known at the instruction.
    External,
    /// The bus refused some time ago: neither address nor instruction is known.
    Imprecise,
    /// Parity, lockdown, cache maintenance: nothing a payload can cause here.
    Other(u8),
}

/// Reads a DFSR or IFSR: source in bits 3:0, bit 10 above them.
#[must_use]
pub const fn cause(fsr: u32) -> Cause {
    match fsr & 0xF | fsr >> 6 & 0x10 {
        0b0_0001 => Cause::Alignment,
        0b0_0010 => Cause::Breakpoint,
        0b0_0101 | 0b0_0111 => Cause::Unmapped,
        0b0_1001 | 0b0_1011 => Cause::Domain,
        0b0_0011 | 0b0_0110 | 0b0_1101 | 0b0_1111 => Cause::Permission,
        0b0_1000 | 0b0_1100 | 0b0_1110 => Cause::External,
        0b1_0110 => Cause::Imprecise,
        other => Cause::Other(other as u8),
    }
}

/// Was it a write? Bit 11 of the DFSR.
#[must_use]
pub const fn is_write(fsr: u32) -> bool {
    fsr >> 11 & 1 != 0
}

impl FaultRecord {
    /// What the access was refused for, if it was an access.
    #[must_use]
    pub const fn cause(&self) -> Option<Cause> {
        if self.fsr == 0 { None } else { Some(cause(self.fsr)) }
    }

    /// Whether the record's address means anything: not where the kind has
    /// none, and not for a fault that was noticed late.
    #[must_use]
    pub const fn has_address(&self) -> bool {
        let touches = matches!(
            Status(self.kind),
            Status::DATA_ABORT
                | Status::ALIGNMENT
                | Status::KERNEL_ACCESS
                | Status::STACK
                | Status::PREFETCH_ABORT
        );
        touches && !matches!(cause(self.fsr), Cause::Imprecise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_of_the_table() {
        // FS[4] is bit 10.
        for (fsr, expected) in [
            (0x001, Cause::Alignment),
            (0x002, Cause::Breakpoint),
            (0x005, Cause::Unmapped),
            (0x807, Cause::Unmapped),
            (0x009, Cause::Domain),
            (0x01B, Cause::Domain),
            (0x80D, Cause::Permission),
            (0x01F, Cause::Permission),
            (0x008, Cause::External),
            (0x1808, Cause::External),
            (0x00C, Cause::External),
            (0x406, Cause::Imprecise),
            (0xC06, Cause::Imprecise),
            (0x408, Cause::Other(0b1_1000)),
        ] {
            assert_eq!(cause(fsr), expected, "{fsr:#x}");
        }
        assert!(is_write(0x80D) && !is_write(0x00D));
    }

    #[test]
    fn the_number_of_udf_is_in_two_pieces() {
        assert_eq!(udf(0), 0xE7F0_00F0);
        assert_eq!(udf(0xD140), 0xE7FD_14F0);
        assert_eq!(udf(0xAB5), 0xE7F0_ABF5);
    }

    #[test]
    fn an_imprecise_abort_has_no_address() {
        let mut record =
            FaultRecord { kind: Status::DATA_ABORT.0, fsr: 0x805, ..Default::default() };
        assert!(record.has_address());
        record.fsr = 0xC06;
        assert!(!record.has_address());
        record = FaultRecord { kind: Status::UNDEF.0, ..Default::default() };
        assert!(!record.has_address() && record.cause().is_none());
    }
}
