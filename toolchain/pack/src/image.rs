//! Writing the image.

use crate::elf::{Linked, PackError};
use crate::inspect::Sizes;
use sk_abi::image::{self, presence};
use sk_loader::Plan;

/// What is not in the file to be packed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PackOptions {
    /// Stack in bytes, instead of what the payload says (or 16 KiB).
    pub stack: Option<u32>,
    /// The payload needs privileges: boards refuse to run it shielded.
    pub direct: bool,
    /// Accept files of the soft-float ABI. They run (no service takes a
    /// floating-point value), but cannot be linked with ones that are not.
    pub soft_float: bool,
}

/// An image, and what its bytes are spent on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packed {
    /// The image.
    pub bytes: Vec<u8>,
    /// The sizes of its parts.
    pub sizes: Sizes,
}

/// Turns a linked ELF file into an image.
///
/// # Errors
/// Whatever a board could not load, by name.
pub fn pack(elf: &[u8], options: PackOptions) -> Result<Packed, PackError> {
    let mut linked = Linked::read(elf, options.soft_float)?;
    trim(&mut linked);
    let stack = options.stack.or(linked.stack).unwrap_or(image::STACK_DEFAULT);
    if stack == 0 || !stack.is_multiple_of(image::STACK_UNIT) || stack > image::STACK_MAX {
        return Err(PackError::Stack(stack));
    }
    if linked.imports.len() > image::IMPORTS_MAX as usize {
        return Err(PackError::Imports(linked.imports.len()));
    }
    let mut flags = 0;
    if uses_vfp(&linked.text) {
        flags |= image::flags::HARD_FLOAT;
    }
    if options.direct {
        flags |= image::flags::DIRECT;
    }
    let stack_units = if stack == image::STACK_DEFAULT { 0 } else { stack / image::STACK_UNIT };
    let optional = [
        (presence::ENTRY, linked.entry),
        (presence::DATA, linked.data.len() as u32),
        (presence::BSS, linked.bss),
        (presence::STACK, stack_units),
        (presence::RELOCS, linked.relocs.len() as u32),
        (presence::IMPORTS, linked.imports.len() as u32),
        (presence::FLAGS, flags),
    ];
    let present = optional.iter().filter(|(_, v)| *v != 0).fold(0, |bits, (bit, _)| bits | bit);
    let mut bytes = vec![image::MAGIC, image::VERSION, present];
    varint(&mut bytes, linked.text.len() as u32);
    for (_, value) in optional.into_iter().filter(|(_, v)| *v != 0) {
        varint(&mut bytes, value);
    }
    bytes.extend(&linked.text);
    bytes.extend(&linked.data);
    let mut words = 0;
    for at in &linked.relocs {
        let word = at / 4 + 1;
        varint(&mut bytes, word - words);
        words = word;
    }
    for id in &linked.imports {
        bytes.extend(id.to_le_bytes());
    }
    let plan = Plan::parse(&bytes)?;
    plan.check()?;
    let mut sizes = Sizes::of(&plan);
    sizes.constants = linked.constants.map(|at| sizes.text.saturating_sub(at));
    Ok(Packed { bytes, sizes })
}

/// Zeros at the end of the data need not be sent: they become zeroed data,
/// which follows at once. Words that hold addresses stay.
fn trim(linked: &mut Linked) {
    let used = linked.data.iter().rposition(|&b| b != 0).map_or(0, |at| at + 1);
    let relocated = linked.relocs.last().map_or(0, |at| *at as usize + 4);
    let keep = used.max(relocated);
    linked.bss = linked.bss.saturating_add((linked.data.len() - keep) as u32);
    linked.data.truncate(keep);
}

fn varint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Is there an instruction of coprocessor 10 or 11 (VFP; ARM ARM section
/// C4.1)? A constant that looks like one is taken for one: the flag then costs
/// a byte and nothing else.
fn uses_vfp(text: &[u8]) -> bool {
    text.as_chunks::<4>().0.iter().any(|w| {
        let w = u32::from_le_bytes(*w);
        let class = w >> 24 & 0xF;
        w >> 28 != 0xF && matches!(class, 0xC..=0xE) && w >> 9 & 0x7 == 0b101
    })
}
