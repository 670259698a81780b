//! What the firmware leaves behind: registers and the tag list.
//!
//! The ARM boot protocol (Documentation/arch/arm/booting.rst of Linux, which
//! the Raspberry Pi's firmware follows): r0 = 0, r1 = machine number, r2 =
//! address of the tags or of the device tree.

use crate::{Atags, Error, Machine, Result};

/// Where the blob is put, like an initial RAM disk named by `initramfs` in
/// config.txt. The kernel must not know this address: it is told.
pub const BLOB_ADDRESS: u32 = 0x0200_0000;

/// Where a device tree is put.
pub const DTB_ADDRESS: u32 = 0x01f0_0000;

/// Where the firmware puts the tags.
pub(crate) const ATAGS_ADDRESS: u32 = 0x100;

/// ARM Linux machine number of every BCM2708 board.
const MACHINE_NUMBER: u32 = 0xc42;

/// The serial number of every emulated board.
const SERIAL_NUMBER: u64 = 0x0000_0000_5ec0_0001;

/// From [`ATAGS_ADDRESS`] to the kernel.
const ATAGS_ROOM: usize = 0x8000 - ATAGS_ADDRESS as usize;

/// The program at address 0 that the processor starts with.
pub(crate) fn shim(r2: u32) -> Vec<u8> {
    words(&[
        0xe3a0_0000, // mov r0, #0
        0xe59f_1004, // ldr r1, 1f
        0xe59f_2004, // ldr r2, 2f
        0xe3a0_f902, // mov pc, #0x8000
        MACHINE_NUMBER,
        r2,
    ])
}

/// The tag list as the firmware writes it; `blob` is the length of what lies at
/// [`BLOB_ADDRESS`].
///
/// # Errors
/// [`Error::Config`] if the command line does not fit below the kernel.
pub fn atags(machine: Machine, tags: &Atags, blob: Option<u32>) -> Result<Vec<u8>> {
    const CORE: u32 = 0x5441_0001;
    const MEM: u32 = 0x5441_0002;
    const INITRD2: u32 = 0x5442_0005;
    const SERIAL: u32 = 0x5441_0006;
    const REVISION: u32 = 0x5441_0007;
    const CMDLINE: u32 = 0x5441_0009;
    const PAGE: u32 = 4096;

    let bytes = u64::from(tags.mem_mib) << 20;
    let bytes = u32::try_from(bytes)
        .map_err(|_| Error::Config(format!("{} MiB do not fit in 32 bits", tags.mem_mib)))?;
    let mut list = Vec::new();
    tag(&mut list, CORE, &[0, PAGE, 0]);
    tag(&mut list, MEM, &[bytes, 0]);
    if let Some(length) = blob {
        tag(&mut list, INITRD2, &[BLOB_ADDRESS, length]);
    }
    tag(&mut list, REVISION, &[machine.revision()]);
    let [low, high] = [SERIAL_NUMBER as u32, (SERIAL_NUMBER >> 32) as u32];
    tag(&mut list, SERIAL, &[low, high]);

    let mut text = tags.cmdline.clone().into_bytes();
    text.push(0);
    text.resize(text.len().next_multiple_of(4), 0);
    let text: Vec<u32> = text
        .chunks_exact(4)
        .map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
        .collect();
    tag(&mut list, CMDLINE, &text);
    // ATAG_NONE, whose size is 0 and not 2.
    list.extend([0, 0]);

    let list = words(&list);
    if list.len() > ATAGS_ROOM {
        return Err(Error::Config(format!(
            "the command line is too long: {} bytes of tags, there is room for {ATAGS_ROOM}",
            list.len()
        )));
    }
    Ok(list)
}

/// One tag: its length in words, header included, its number, its words.
fn tag(list: &mut Vec<u32>, number: u32, content: &[u32]) {
    list.push(content.len() as u32 + 2);
    list.push(number);
    list.extend_from_slice(content);
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_what_the_firmware_writes() {
        let tags = Atags { mem_mib: 192, cmdline: "abcd".to_owned() };
        let list = atags(Machine::Raspi0, &tags, Some(0x123)).unwrap();
        let expected: [u32; 27] = [
            5,
            0x5441_0001,
            0,
            4096,
            0, //
            4,
            0x5441_0002,
            192 << 20,
            0, //
            4,
            0x5442_0005,
            0x200_0000,
            0x123, //
            3,
            0x5441_0007,
            0x92_0092, //
            4,
            0x5441_0006,
            0x5ec0_0001,
            0, //
            4,
            0x5441_0009,
            0x6463_6261,
            0, //
            0,
            0,
            0,
        ];
        assert_eq!(list, words(&expected[..26]));
        assert_eq!(list.len() % 4, 0);
    }

    #[test]
    fn without_a_blob_there_is_no_initrd() {
        let with = atags(Machine::Raspi0, &Atags::default(), Some(1)).unwrap();
        let without = atags(Machine::Raspi0, &Atags::default(), None).unwrap();
        assert_eq!(with.len() - without.len(), 16);
    }

    #[test]
    fn a_long_command_line_is_refused() {
        let tags = Atags { cmdline: "x".repeat(0x8000), ..Atags::default() };
        let error = atags(Machine::Raspi0, &tags, None).unwrap_err();
        assert!(error.to_string().contains("too long"), "{error}");
    }
}
