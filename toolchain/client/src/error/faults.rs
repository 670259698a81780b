//! A fault in words: what the payload did, to what, and where.

use std::fmt::Write as _;

use sk_abi::Status;
use sk_abi::fault::{Cause, cause, is_write};
use sk_abi::service::{SERVICES, Service};
use sk_abi::status::FaultRecord;

/// Largest distance of an instruction from the start of its image.
const IMAGE_MAX: u32 = sk_abi::image::TEXT_MAX;

/// What happened and to which address, after "the payload failed on BOARD: ".
pub(super) fn what(status: Status, fault: &FaultRecord) -> String {
    let name = status.name();
    let verb = if is_write(fault.fsr) { "write to" } else { "read of" };
    let at = fault.far;
    match (status, cause(fault.fsr)) {
        (Status::SYSCALL_ARG, _) => match argument(fault) {
            Some(argument) => format!("{argument} ({name})"),
            None => format!("{} ({name})", status.text()),
        },
        (Status::SYSCALL_UNKNOWN, _) => match service(fault) {
            Some(service) => {
                format!(
                    "call of {}, which this board withholds from this client ({name})",
                    service.name
                )
            }
            None => format!("call of service number {at:#x}, which does not exist ({name})"),
        },
        (Status::DATA_ABORT, Cause::Imprecise) => {
            format!("access that the bus refused, noticed only later ({name})")
        }
        (Status::DATA_ABORT, Cause::External) => {
            format!("{verb} {at:#010x}, which the bus refused ({name})")
        }
        (Status::DATA_ABORT, Cause::Permission) => {
            format!("{verb} {at:#010x}, which is read-only ({name})")
        }
        (Status::DATA_ABORT, _) if at < 0x1000 => {
            format!("{verb} {at:#010x}, through a null pointer ({name})")
        }
        (Status::DATA_ABORT, _) => format!("{verb} {at:#010x}, where nothing is ({name})"),
        (Status::KERNEL_ACCESS, _) if fault.pc == at => {
            format!("jump to {at:#010x}, which is the kernel's or a device ({name})")
        }
        (Status::KERNEL_ACCESS, _) => {
            format!("{verb} {at:#010x}, which is the kernel's or a device ({name})")
        }
        (Status::PREFETCH_ABORT, Cause::Permission) => {
            format!("jump to {at:#010x}, which is data ({name})")
        }
        (Status::PREFETCH_ABORT, _) => format!("jump to {at:#010x}, where nothing is ({name})"),
        (Status::ALIGNMENT | Status::STACK, _) => {
            format!("{}, touching {at:#010x} ({name})", status.text())
        }
        _ => format!("{} ({name})", status.text()),
    }
}

/// Where, as far as the image alone can tell.
pub(super) fn place(fault: &FaultRecord) -> String {
    match fault.pc.checked_sub(fault.base) {
        Some(offset) if offset < IMAGE_MAX => format!(" at offset {offset:#x} of the image"),
        // A jump says where it led to already.
        _ if fault.pc == fault.far => match fault.lr.checked_sub(fault.base) {
            Some(offset) if offset < IMAGE_MAX => {
                format!(", last called from offset {:#x} of the image", offset.saturating_sub(4))
            }
            _ => String::new(),
        },
        _ => format!(" at {:#010x}, outside the image", fault.pc),
    }
}

/// The service of the record, which counts slots from 1.
fn service(fault: &FaultRecord) -> Option<&'static Service> {
    SERVICES.iter().find(|s| u16::from(s.slot) + 1 == fault.service)
}

/// `io.write was given buf = 0x00008000, len = 0x10, and may not use buf`.
fn argument(fault: &FaultRecord) -> Option<String> {
    let service = service(fault)?;
    let wrong = service.params.get(fault.far as usize)?;
    let mut text = format!("{} was given ", service.name);
    let mut register = 0;
    for (n, (name, ty)) in service.params.iter().enumerate() {
        if *ty == "u64" {
            register += register % 2;
        }
        let value = fault.r.get(register).copied().unwrap_or(0);
        register += if *ty == "u64" { 2 } else { 1 };
        let comma = if n == 0 { "" } else { ", " };
        let _ = write!(text, "{comma}{name} = {value:#x}");
    }
    let _ = write!(text, ", and {} is not allowed", wrong.0);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: Status, fsr: u32, far: u32) -> String {
        let fault = FaultRecord {
            kind: status.0,
            fsr,
            far,
            pc: 0x0410_6010,
            base: 0x0410_6000,
            ..FaultRecord::default()
        };
        format!("{}{}", what(status, &fault), place(&fault))
    }

    #[test]
    fn sentences() {
        let at = " at offset 0x10 of the image";
        for (status, fsr, far, text) in [
            (
                Status::DATA_ABORT,
                0x807,
                4,
                "write to 0x00000004, through a null pointer (DATA_ABORT)",
            ),
            (
                Status::DATA_ABORT,
                0x007,
                0x3000_0000,
                "read of 0x30000000, where nothing is (DATA_ABORT)",
            ),
            (
                Status::DATA_ABORT,
                0x80F,
                0x0410_6000,
                "write to 0x04106000, which is read-only (DATA_ABORT)",
            ),
            (
                Status::DATA_ABORT,
                0x808,
                0x2000_A000,
                "write to 0x2000a000, which the bus refused (DATA_ABORT)",
            ),
            (
                Status::DATA_ABORT,
                0xC06,
                0,
                "access that the bus refused, noticed only later (DATA_ABORT)",
            ),
            (
                Status::KERNEL_ACCESS,
                0x80D,
                0x2020_1000,
                "write to 0x20201000, which is the kernel's or a device (KERNEL_ACCESS)",
            ),
            (Status::STACK, 0x807, 0x0410_0FFC, "stack overflow, touching 0x04100ffc (STACK)"),
            (Status::UNDEF, 0, 0x0410_6010, "undefined instruction (UNDEF)"),
        ] {
            assert_eq!(said(status, fsr, far), format!("{text}{at}"));
        }
    }

    #[test]
    fn a_jump_says_where_it_came_from() {
        let fault = FaultRecord {
            fsr: 0x00F,
            far: 0x0410_9000,
            pc: 0x0410_9000,
            lr: 0x0410_6024,
            base: 0x0410_6000,
            ..FaultRecord::default()
        };
        // The image may be so long that data counts as part of it.
        assert_eq!(
            what(Status::PREFETCH_ABORT, &fault),
            "jump to 0x04109000, which is data (PREFETCH_ABORT)"
        );
        let far = FaultRecord { far: 0x8000, pc: 0x8000, ..fault };
        assert_eq!(place(&far), ", last called from offset 0x20 of the image");
    }

    #[test]
    fn a_bad_argument_is_named_with_its_value() {
        let mut fault = FaultRecord { service: 17 + 1, far: 0, ..FaultRecord::default() };
        fault.r[..2].copy_from_slice(&[0x8000, 16]);
        assert_eq!(
            what(Status::SYSCALL_ARG, &fault),
            "io.write/1 was given buf = 0x8000, len = 0x10, and buf is not allowed (SYSCALL_ARG)"
        );
        fault.far = 9;
        assert!(what(Status::SYSCALL_ARG, &fault).contains("bad pointer or length"));
        fault = FaultRecord { far: 0x7F, ..FaultRecord::default() };
        assert!(what(Status::SYSCALL_UNKNOWN, &fault).contains("number 0x7f"));
        fault.service = 40 + 1;
        assert!(
            what(Status::SYSCALL_UNKNOWN, &fault)
                .contains("net.bind/1, which this board withholds")
        );
    }
}
