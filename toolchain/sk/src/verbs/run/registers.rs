//! A fault record as a table.

use sk_abi::status::FaultRecord;

/// One line per group of registers.
pub(super) fn dump(fault: &FaultRecord) -> Vec<String> {
    let mut lines = vec![
        row(&[("pc", fault.pc), ("lr", fault.lr), ("sp", fault.sp), ("cpsr", fault.cpsr)]),
        row(&[("far", fault.far), ("fsr", fault.fsr), ("base", fault.base)]),
    ];
    let names: Vec<String> = (0..fault.r.len()).map(|n| format!("r{n}")).collect();
    let registers: Vec<(&str, u32)> = names.iter().map(String::as_str).zip(fault.r).collect();
    lines.extend(registers.chunks(4).map(row));
    // The record counts slots from 1, for 0 means none.
    let service = sk_abi::service::SERVICES.iter().find(|s| u16::from(s.slot) + 1 == fault.service);
    lines.push(match service {
        Some(service) => {
            format!("in service {}, {} us after the start", service.name, fault.elapsed_us)
        }
        None => format!("{} us after the start", fault.elapsed_us),
    });
    lines
}

fn row(registers: &[(&str, u32)]) -> String {
    let cells: Vec<String> =
        registers.iter().map(|(name, value)| format!("{name:<4} {value:08x}")).collect();
    cells.join("   ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_register_is_there() {
        let fault = FaultRecord {
            pc: 0x0400_1234,
            r: std::array::from_fn(|n| n as u32),
            ..FaultRecord::default()
        };
        let text = dump(&fault).join("\n");
        assert!(text.starts_with("pc   04001234   lr   00000000"), "{text}");
        assert!(text.contains("r12  0000000c"), "{text}");
        assert!(text.ends_with("0 us after the start"), "{text}");
    }
}
