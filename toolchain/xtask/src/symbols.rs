//! Whose bytes are in an ELF file: every loaded byte is counted once, for the
//! crate whose symbol covers it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use object::read::elf::ElfFile32;
use object::{
    Endianness, Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind, SymbolKind,
};

/// Bytes by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bytes {
    pub(crate) text: u64,
    pub(crate) rodata: u64,
    pub(crate) data: u64,
    pub(crate) bss: u64,
}

impl Bytes {
    /// What lies in kernel.img.
    pub(crate) fn image(self) -> u64 {
        self.text + self.rodata + self.data
    }

    /// What is taken of the memory that is written.
    pub(crate) fn ram(self) -> u64 {
        self.data + self.bss
    }

    fn of(&mut self, kind: Kind) -> &mut u64 {
        match kind {
            Kind::Text => &mut self.text,
            Kind::Rodata => &mut self.rodata,
            Kind::Data => &mut self.data,
            Kind::Bss => &mut self.bss,
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.text += other.text;
        self.rodata += other.rodata;
        self.data += other.data;
        self.bss += other.bss;
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Rodata,
    Data,
    Bss,
}

/// Bytes by owner: a crate's name, `(assembly)` for symbols that are no path of
/// Rust, or a section's name for what no symbol covers (constants without a
/// name, padding, tables and stacks laid out by the linker script).
pub(crate) fn by_owner(elf: &[u8]) -> Result<BTreeMap<String, Bytes>> {
    let file = ElfFile32::<Endianness>::parse(elf).context("not a 32-bit ELF file")?;
    let mut owners: BTreeMap<String, Bytes> = BTreeMap::new();
    for section in file.sections() {
        let Some(kind) = kind(&section) else { continue };
        let (start, end) = (section.address(), section.address() + section.size());
        let mut symbols: Vec<_> = file
            .symbols()
            .filter(|symbol| symbol.section_index() == Some(section.index()))
            .filter(|symbol| matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Data))
            .filter(|symbol| symbol.size() > 0)
            .map(|symbol| (symbol.address(), symbol.size(), symbol.name().unwrap_or("")))
            .collect();
        // Of two names for one place the longer one is the function.
        symbols.sort_by_key(|&(address, size, _)| (address, std::cmp::Reverse(size)));
        let mut covered = start;
        let mut named = 0;
        for (address, size, name) in symbols {
            let from = address.max(covered);
            let to = (address + size).min(end);
            if from < to {
                *owners.entry(owner(name)).or_default().of(kind) += to - from;
                named += to - from;
                covered = to;
            }
        }
        if named < section.size() {
            let name = format!("[{}]", section.name().unwrap_or("?"));
            *owners.entry(name).or_default().of(kind) += section.size() - named;
        }
    }
    Ok(owners)
}

/// What a section is, if it is loaded at all.
fn kind<'data>(section: &impl ObjectSection<'data>) -> Option<Kind> {
    let SectionFlags::Elf { sh_flags, .. } = section.flags() else {
        return None;
    };
    let flag = |bit: object::elf::SectionFlags| sh_flags.0 & bit.0 != 0;
    if !flag(object::elf::SHF_ALLOC) {
        return None;
    }
    Some(match section.kind() {
        SectionKind::UninitializedData => Kind::Bss,
        _ if flag(object::elf::SHF_EXECINSTR) => Kind::Text,
        _ if flag(object::elf::SHF_WRITE) => Kind::Data,
        _ => Kind::Rodata,
    })
}

/// The crate that a symbol belongs to.
fn owner(symbol: &str) -> String {
    const NONE: &str = "(assembly)";
    let Ok(name) = rustc_demangle::try_demangle(symbol) else {
        return NONE.to_owned();
    };
    let name = format!("{name:#}");
    crate_of(&name).unwrap_or(NONE).to_owned()
}

/// The crate in a path: the first one, be it that of a type on which a trait is
/// implemented (`<sk_net::Net as core::fmt::Debug>::fmt`) or that of a
/// function. Built-in types have none, then it is the trait's.
fn crate_of(name: &str) -> Option<&str> {
    let mut rest = name;
    while let Some(at) = rest.find("::") {
        let before = &rest[..at];
        let from = before
            .rfind(|c: char| !(c.is_alphanumeric() || c == '_'))
            .map_or(0, |index| index + before[index..].chars().next().map_or(1, char::len_utf8));
        let word = &before[from..];
        if !word.is_empty() {
            return Some(word);
        }
        rest = &rest[at + 2..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crate_of_a_symbol() {
        for (symbol, expected) in [
            ("_RNvNtCs61WBIJJGZrY_4core9panicking9panic_fmt", "core"),
            ("_RNvCsbQYNWK2wK1h_12serverkernel4DATA", "serverkernel"),
            ("_ZN6sk_net4poll17h0123456789abcdefE", "sk_net"),
            ("_start", "(assembly)"),
            ("memcpy", "(assembly)"),
        ] {
            assert_eq!(owner(symbol), expected, "{symbol}");
        }
        for (path, expected) in [
            ("<sk_net::Net as core::fmt::Debug>::fmt", "sk_net"),
            ("<&mut sk_wire::Reader as core::fmt::Debug>::fmt", "sk_wire"),
            ("<[u8] as sk_hal::Bus>::read", "sk_hal"),
            ("<impl core::fmt::Display for u8>::fmt", "core"),
            ("core::ptr::drop_in_place::<sk_net::Net>", "core"),
        ] {
            assert_eq!(crate_of(path), Some(expected), "{path}");
        }
    }
}
