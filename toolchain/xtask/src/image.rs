//! From `kernel.elf` to `kernel.img`: the bytes the firmware loads at 0x8000.
//!
//! Program headers decide, by load address: `.data` is linked for an address
//! of its own and lies in the image behind the read-only part, from where the
//! boot code copies it.

use anyhow::{Context, Result, bail, ensure};
use object::elf::{EM_ARM, PT_LOAD};
use object::read::elf::{ElfFile32, FileHeader, ProgramHeader};

/// Where the Raspberry Pi's firmware puts `kernel.img` when nothing says
/// otherwise (`kernel_address` of config.txt).
pub(crate) const LOAD_ADDRESS: u64 = 0x8000;

/// More than this between the first and the last byte is a wrong linker
/// script, not a kernel.
const MAX_IMAGE: u64 = 4 << 20;

/// Lays the loadable segments out by load address.
pub(crate) fn flatten(elf: &[u8]) -> Result<Vec<u8>> {
    let file = ElfFile32::<object::Endianness>::parse(elf).context("not a 32-bit ELF file")?;
    let endian = file.endian();
    let header = file.elf_header();
    ensure!(
        header.e_machine(endian) == EM_ARM,
        "not a program for ARM: e_machine {}",
        header.e_machine(endian)
    );
    let mut image = Vec::new();
    let mut pieces = 0;
    for segment in file.elf_program_headers() {
        let bytes = segment
            .data(endian, elf)
            .ok()
            .context("a segment reaches beyond the end of the file")?;
        if segment.p_type(endian) != PT_LOAD || bytes.is_empty() {
            continue;
        }
        let address = u64::from(segment.p_paddr(endian));
        let Some(start) = address.checked_sub(LOAD_ADDRESS) else {
            bail!("a segment is to be loaded at {address:#x}, below {LOAD_ADDRESS:#x}");
        };
        let end = start + bytes.len() as u64;
        ensure!(
            end <= MAX_IMAGE,
            "a segment is to be loaded at {address:#x}: the image would be {end} bytes"
        );
        let (start, end) = (usize::try_from(start)?, usize::try_from(end)?);
        if image.len() < end {
            image.resize(end, 0);
        }
        image[start..end].copy_from_slice(bytes);
        pieces += 1;
    }
    ensure!(pieces > 0, "no loadable segment");
    let entry = u64::from(header.e_entry(endian));
    ensure!(
        entry == LOAD_ADDRESS,
        "entry point {entry:#x}: the firmware jumps to {LOAD_ADDRESS:#x}"
    );
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF file of program headers only: `(p_type, p_paddr, bytes)` each.
    fn elf(machine: u16, entry: u32, segments: &[(u32, u32, &[u8])]) -> Vec<u8> {
        let mut file = b"\x7fELF\x01\x01\x01".to_vec();
        file.resize(16, 0);
        let count = segments.len() as u16;
        for half in [2, machine, 1, 0] {
            file.extend(u16::to_le_bytes(half));
        }
        for word in [entry, 52, 0, 0] {
            file.extend(u32::to_le_bytes(word));
        }
        for half in [52, 32, count, 40, 0, 0] {
            file.extend(u16::to_le_bytes(half));
        }
        let mut offset = 52 + 32 * segments.len() as u32;
        for (kind, paddr, bytes) in segments {
            let size = bytes.len() as u32;
            // p_vaddr is another: it must not matter.
            for word in [*kind, offset, 0x10_0000, *paddr, size, size + 64, 5, 4] {
                file.extend(u32::to_le_bytes(word));
            }
            offset += size;
        }
        for (_, _, bytes) in segments {
            file.extend_from_slice(bytes);
        }
        file
    }

    const LOAD: u32 = 1;
    const ARM: u16 = 40;

    #[test]
    fn segments_lie_by_load_address() {
        let file = elf(
            ARM,
            0x8000,
            &[
                (LOAD, 0x8000, b"text"),
                (LOAD, 0x8006, b"data"),
                (LOAD, 0x20_0000, b""),
                (4, 0x10, b"note"),
            ],
        );
        assert_eq!(flatten(&file).unwrap(), b"text\0\0data");
    }

    #[test]
    fn what_the_firmware_could_not_start_is_refused() {
        for (file, why) in [
            (elf(ARM, 0x8000, &[]), "no loadable segment"),
            (elf(62, 0x8000, &[(LOAD, 0x8000, b"x")]), "not a program for ARM"),
            (elf(ARM, 0x8004, &[(LOAD, 0x8000, b"x")]), "entry point"),
            (elf(ARM, 0x8000, &[(LOAD, 0x7000, b"x")]), "below"),
            (elf(ARM, 0x8000, &[(LOAD, 0x800_0000, b"x")]), "the image would be"),
            (b"no ELF".to_vec(), "not a 32-bit ELF"),
        ] {
            let error = format!("{:#}", flatten(&file).unwrap_err());
            assert!(error.contains(why), "{error} does not say {why}");
        }
        let mut short = elf(ARM, 0x8000, &[(LOAD, 0x8000, b"text")]);
        short.pop();
        assert!(flatten(&short).is_err());
    }
}
