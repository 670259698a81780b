//! Reading the linked file, and everything that is refused in it.

use object::elf::{
    self, EF_ARM_ABI_FLOAT_SOFT, EF_ARM_BE8, EF_ARM_EABI_VER5, EF_ARM_EABIMASK, EM_ARM, ET_DYN,
    FileHeader32, R_ARM_RELATIVE, SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, SHT_NOBITS, SHT_REL,
    SHT_RELA,
};
use object::read::elf::{FileHeader, Rel, SectionHeader, SectionTable, Sym, SymbolTable};
use object::{LittleEndian, SectionIndex};
use sk_abi::image;

type Header = FileHeader32<LittleEndian>;
type Section = elf::SectionHeader32<LittleEndian>;
const LE: LittleEndian = LittleEndian;

/// Why a file cannot become a payload image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// Not an ELF file at all, or a damaged one.
    #[error("this is not an ELF file that can be read: {0}")]
    Elf(#[from] object::Error),
    /// 64 bits, big-endian, or another processor.
    #[error("this file is for {0}; boards run 32-bit little-endian ARM")]
    Machine(String),
    /// Not linked position-independent.
    #[error("this file is {0}; link it with -pie and linker/payload.ld")]
    Kind(&'static str),
    /// An ABI other than the Arm EABI version 5 with hardware floating point.
    #[error("this file was compiled for {0}")]
    Abi(String),
    /// A section that the linker script does not place.
    #[error("section `{0}` is not placed by linker/payload.ld: was another linker script used?")]
    Section(String),
    /// A section or segment that would be written and executed.
    #[error("{0} would be writable and executable")]
    WritableCode(String),
    /// Data where the loader would not put it.
    #[error("section `{section}` is at {found:#x}, but the loader will put it at {wanted:#x}")]
    Place {
        /// Which one.
        section: &'static str,
        /// Its address.
        found: u32,
        /// Where it would have to be.
        wanted: u32,
    },
    /// A relocation that a board cannot carry out.
    #[error("relocation {kind} in `{section}` at {at:#x}{near}: {why}")]
    Relocation {
        /// `R_ARM_...`
        kind: String,
        /// Section it would change.
        section: String,
        /// Address it would change.
        at: u32,
        /// The symbol it is in and the one it names.
        near: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The file expects to be linked with others when it is loaded.
    #[error("`{0}` is to be found at load time; a payload must be complete")]
    Dynamic(String),
    /// Thumb code.
    #[error(
        "`{0}` is Thumb code, which an erratum of the ARM1176 makes unsafe to mix: compile for ARM state (-marm)"
    )]
    Thumb(String),
    /// The entry point is not in the code.
    #[error("the entry point {0:#x} is not an ARM instruction in .text")]
    Entry(u32),
    /// A stack size that cannot be written to the header.
    #[error("a stack of {0} bytes: it must be a multiple of 256, at most 16 MiB")]
    Stack(u32),
    /// Beyond a limit of the format.
    #[error("{what} has {len} bytes, an image may have {max}")]
    TooBig {
        /// Which part.
        what: &'static str,
        /// Its size.
        len: u32,
        /// The limit.
        max: u32,
    },
    /// More imports than there are services.
    #[error("{0} imports; there are not that many services")]
    Imports(usize),
    /// The loader's parser does not take what was made. A defect of this crate.
    #[error("the image made is refused by the loader ({0}); please report this")]
    Refused(#[from] sk_loader::Refusal),
}

/// What the image is made of.
pub(crate) struct Linked {
    pub(crate) entry: u32,
    pub(crate) text: Vec<u8>,
    /// Code ends and constants begin here, if the linker script says so.
    pub(crate) constants: Option<u32>,
    pub(crate) data: Vec<u8>,
    pub(crate) bss: u32,
    /// Byte offsets in the data, ascending.
    pub(crate) relocs: Vec<u32>,
    pub(crate) imports: Vec<u32>,
    pub(crate) stack: Option<u32>,
}

impl Linked {
    /// Reads and checks a file.
    pub(crate) fn read(file: &[u8], soft_float: bool) -> Result<Self, PackError> {
        let header = header(file, soft_float)?;
        let sections = header.sections(LE, file)?;
        let symbols = sections.symbols(LE, file, elf::SHT_SYMTAB)?;
        let elf = Elf { file, sections, symbols };
        elf.refuse_dynamic(header)?;
        elf.refuse_thumb()?;

        let placed = elf.placed()?;
        let text = placed.text.ok_or(PackError::Section(".text (missing)".into()))?;
        let bytes = |s: &Section| -> Result<Vec<u8>, PackError> { Ok(s.data(LE, file)?.to_vec()) };
        let text_bytes = bytes(text)?;
        let text_len = limit("the text", text_bytes.len(), image::TEXT_MAX)?;
        place(".text", text.sh_addr(LE), 0)?;
        let data_at = text_len.next_multiple_of(image::PAGE);
        let data = placed.data.map(bytes).transpose()?.unwrap_or_default();
        let data_len = limit("the data", data.len(), image::DATA_MAX)?;
        if let Some(section) = placed.data {
            place(".data", section.sh_addr(LE), data_at)?;
        }
        let bss = match placed.bss {
            Some(section) => {
                let at = section.sh_addr(LE);
                let low = data_at + data_len;
                // Between the two there may be padding, nothing else.
                if at < low || at - low >= image::PAGE {
                    return Err(PackError::Place { section: ".bss", found: at, wanted: low });
                }
                let len = u64::from(at - low) + u64::from(section.sh_size(LE));
                limit("the zeroed data", len as usize, image::BSS_MAX)?
            }
            None => 0,
        };
        let entry = header.e_entry(LE);
        if entry % 4 != 0 || entry.checked_add(4).is_none_or(|end| end > text_len) {
            return Err(PackError::Entry(entry));
        }
        Ok(Self {
            entry,
            constants: elf.symbol("__sk_constants"),
            text: text_bytes,
            data,
            bss,
            relocs: elf.relocations(data_at, data_len)?,
            imports: words(elf.note(".sk.imports")?),
            stack: words(elf.note(".sk.stack")?).into_iter().max(),
        })
    }
}

fn limit(what: &'static str, len: usize, max: u32) -> Result<u32, PackError> {
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    if len > max { Err(PackError::TooBig { what, len, max }) } else { Ok(len) }
}

fn place(section: &'static str, found: u32, wanted: u32) -> Result<(), PackError> {
    if found == wanted { Ok(()) } else { Err(PackError::Place { section, found, wanted }) }
}

/// Little-endian words, ascending, each once.
fn words(bytes: &[u8]) -> Vec<u32> {
    let mut words: Vec<u32> =
        bytes.as_chunks::<4>().0.iter().map(|w| u32::from_le_bytes(*w)).collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// Is it a position-independent program for our machine?
fn header(file: &[u8], soft_float: bool) -> Result<&Header, PackError> {
    if let Some(ident) = file.get(..16).filter(|i| i.starts_with(b"\x7fELF")) {
        if ident[4] != 1 {
            return Err(PackError::Machine("a 64-bit machine".into()));
        }
        if ident[5] != 1 {
            return Err(PackError::Machine("a big-endian machine".into()));
        }
    }
    let header = Header::parse(file)?;
    if header.e_machine(LE) != EM_ARM {
        let name = match header.e_machine(LE) {
            elf::EM_386 => "x86".into(),
            elf::EM_RISCV => "RISC-V".into(),
            elf::EM_MIPS => "MIPS".into(),
            other => format!("machine number {other:?}"),
        };
        return Err(PackError::Machine(name));
    }
    match header.e_type(LE) {
        ET_DYN => {}
        elf::ET_REL => return Err(PackError::Kind("an object file that was not linked")),
        elf::ET_EXEC => return Err(PackError::Kind("linked for a fixed address")),
        _ => return Err(PackError::Kind("no program")),
    }
    let flags = header.e_flags(LE);
    if flags.0 & EF_ARM_EABIMASK != EF_ARM_EABI_VER5.0 {
        return Err(PackError::Abi(format!("an ABI other than EABI 5 (flags {:#x})", flags.0)));
    }
    if flags.contains(EF_ARM_BE8) {
        return Err(PackError::Machine("big-endian data (BE8)".into()));
    }
    if !soft_float && flags.0 & EF_ARM_ABI_FLOAT_SOFT != 0 {
        return Err(PackError::Abi("the soft-float ABI: use -mfloat-abi=hard".into()));
    }
    Ok(header)
}

/// The sections that go into the image.
#[derive(Default)]
struct Placed<'d> {
    text: Option<&'d Section>,
    data: Option<&'d Section>,
    bss: Option<&'d Section>,
}

struct Elf<'d> {
    file: &'d [u8],
    sections: SectionTable<'d, Header>,
    symbols: SymbolTable<'d, Header>,
}

impl<'d> Elf<'d> {
    fn name(&self, section: &Section) -> String {
        let name = self.sections.section_name(LE, section).unwrap_or(b"?");
        String::from_utf8_lossy(name).into_owned()
    }

    fn placed(&self) -> Result<Placed<'d>, PackError> {
        let mut placed = Placed::default();
        for section in self.sections.iter() {
            let flags = section.sh_flags(LE);
            let kind = section.sh_type(LE);
            let loaded = flags.contains(SHF_ALLOC) && section.sh_size(LE) > 0;
            if !loaded || kind == SHT_REL || kind == SHT_RELA {
                continue;
            }
            let name = self.name(section);
            if flags.contains(SHF_WRITE) && flags.contains(SHF_EXECINSTR) {
                return Err(PackError::WritableCode(format!("section `{name}`")));
            }
            match (name.as_str(), kind == SHT_NOBITS) {
                (".text", false) => placed.text = Some(section),
                (".data", false) => placed.data = Some(section),
                (".bss", true) => placed.bss = Some(section),
                _ => return Err(PackError::Section(name)),
            }
        }
        Ok(placed)
    }

    /// Nothing may be left for a dynamic linker, which boards do not have.
    fn refuse_dynamic(&self, header: &Header) -> Result<(), PackError> {
        use object::read::elf::ProgramHeader;
        for segment in header.program_headers(LE, self.file)? {
            let flags = segment.p_flags(LE);
            if flags.contains(elf::PF_W) && flags.contains(elf::PF_X) {
                let at = segment.p_vaddr(LE);
                return Err(PackError::WritableCode(format!("the segment at {at:#x}")));
            }
            if segment.p_type(LE) == elf::PT_INTERP {
                return Err(PackError::Dynamic("a dynamic linker".into()));
            }
            if let Some(entries) = segment.dynamic(LE, self.file)? {
                use object::read::elf::Dyn;
                if entries.iter().any(|d| d.d_tag(LE) == elf::DT_NEEDED) {
                    return Err(PackError::Dynamic("a shared library".into()));
                }
            }
        }
        let dynamic = self.sections.symbols(LE, self.file, elf::SHT_DYNSYM)?;
        for symbols in [&dynamic, &self.symbols] {
            for symbol in symbols.iter().filter(|s| s.is_undefined(LE)) {
                let name = symbols.symbol_name(LE, symbol)?;
                if !name.is_empty() && symbol.st_bind() != elf::STB_WEAK {
                    return Err(PackError::Dynamic(String::from_utf8_lossy(name).into_owned()));
                }
            }
        }
        Ok(())
    }

    /// Mapping symbols (`$t`, ELF for the Arm Architecture 5.5.5) and odd
    /// function addresses tell Thumb code.
    fn refuse_thumb(&self) -> Result<(), PackError> {
        for symbol in self.symbols.iter().filter(|s| !s.is_undefined(LE)) {
            let name = self.symbols.symbol_name(LE, symbol)?;
            if symbol.st_type() == elf::STT_FUNC && symbol.st_value(LE) & 1 != 0 {
                return Err(PackError::Thumb(String::from_utf8_lossy(name).into_owned()));
            }
            if name == b"$t" || name.starts_with(b"$t.") {
                let at = symbol.st_value(LE);
                let inside = self.enclosing(at).unwrap_or_else(|| format!("{at:#x}"));
                return Err(PackError::Thumb(inside));
            }
        }
        Ok(())
    }

    /// Byte offsets in the data of all words that hold an address.
    fn relocations(&self, data_at: u32, data_len: u32) -> Result<Vec<u32>, PackError> {
        let mut offsets = Vec::new();
        for section in self.sections.iter().filter(|s| s.sh_flags(LE).contains(SHF_ALLOC)) {
            if section.sh_type(LE) == SHT_RELA && section.sh_size(LE) > 0 {
                return Err(PackError::Section(self.name(section)));
            }
            let Some((entries, link)) = section.rel(LE, self.file)? else {
                continue;
            };
            for entry in entries {
                let at = entry.r_offset(LE);
                let kind = entry.r_type(LE);
                let refuse = |why| PackError::Relocation {
                    kind: kind_name(kind.0),
                    section: self.section_at(at),
                    at,
                    near: self.near(at, entry.r_sym(LE), link),
                    why,
                };
                if kind != R_ARM_RELATIVE {
                    return Err(refuse("only R_ARM_RELATIVE can be carried out by a board"));
                }
                match at.checked_sub(data_at) {
                    Some(off) if off.checked_add(4).is_some_and(|end| end <= data_len) => {
                        if off % 4 != 0 {
                            return Err(refuse("the word is not aligned"));
                        }
                        offsets.push(off);
                    }
                    _ => {
                        return Err(refuse(
                            "addresses can be kept in data only (compile with -fpic)",
                        ));
                    }
                }
            }
        }
        offsets.sort_unstable();
        offsets.dedup();
        Ok(offsets)
    }

    fn section_at(&self, at: u32) -> String {
        let holds = |s: &&Section| {
            s.sh_flags(LE).contains(SHF_ALLOC) && at.wrapping_sub(s.sh_addr(LE)) < s.sh_size(LE)
        };
        self.sections.iter().find(holds).map_or_else(|| "?".into(), |s| self.name(s))
    }

    /// ` (in symbol a, to symbol b)` as far as they are known.
    fn near(&self, at: u32, symbol: u32, link: SectionIndex) -> String {
        let inside = self.enclosing(at).map(|name| format!("in `{name}`"));
        let to = (symbol != 0).then(|| {
            let section = self.sections.section(link).ok()?;
            let kind = section.sh_type(LE);
            if kind != elf::SHT_SYMTAB && kind != elf::SHT_DYNSYM {
                // Else `parse` panics in a debug build.
                return None;
            }
            let table = SymbolTable::parse(LE, self.file, &self.sections, link, section).ok()?;
            let symbol = table.symbol(object::SymbolIndex(symbol as usize)).ok()?;
            let name = table.symbol_name(LE, symbol).ok()?;
            Some(format!("to `{}`", String::from_utf8_lossy(name)))
        });
        let parts: Vec<String> = inside.into_iter().chain(to.flatten()).collect();
        if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
    }

    /// The function or object that an address lies in.
    fn enclosing(&self, at: u32) -> Option<String> {
        let named = self.symbols.iter().filter(|s| {
            let kind = s.st_type();
            kind == elf::STT_FUNC || kind == elf::STT_OBJECT
        });
        named
            .filter(|s| at.wrapping_sub(s.st_value(LE) & !1) < s.st_size(LE).max(1))
            .find_map(|s| self.symbols.symbol_name(LE, s).ok())
            .map(|name| String::from_utf8_lossy(name).into_owned())
    }

    fn symbol(&self, wanted: &str) -> Option<u32> {
        let named = |s: &&elf::Sym32<LittleEndian>| {
            self.symbols.symbol_name(LE, s).is_ok_and(|name| name == wanted.as_bytes())
        };
        self.symbols.iter().find(named).map(|s| s.st_value(LE))
    }

    /// A section that is for the packer only.
    fn note(&self, name: &str) -> Result<&'d [u8], PackError> {
        match self.sections.section_by_name(LE, name.as_bytes()) {
            Some((_, section)) => Ok(section.data(LE, self.file)?),
            None => Ok(&[]),
        }
    }
}

fn kind_name(kind: u32) -> String {
    let name = match kind {
        2 => "R_ARM_ABS32",
        3 => "R_ARM_REL32",
        17 => "R_ARM_TLS_DTPMOD32",
        18 => "R_ARM_TLS_DTPOFF32",
        19 => "R_ARM_TLS_TPOFF32",
        20 => "R_ARM_COPY",
        21 => "R_ARM_GLOB_DAT",
        22 => "R_ARM_JUMP_SLOT",
        23 => "R_ARM_RELATIVE",
        160 => "R_ARM_IRELATIVE",
        other => return format!("number {other}"),
    };
    name.into()
}
