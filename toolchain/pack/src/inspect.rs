//! What is in an image, for people.

use core::fmt;
use sk_abi::service;
use sk_loader::{Plan, Refusal};

/// What the bytes of an image are spent on, and what it needs besides.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Sizes {
    /// Bytes of header.
    pub header: u32,
    /// Bytes of code and constants.
    pub text: u32,
    /// Bytes of it that are constants, if known (only while packing).
    pub constants: Option<u32>,
    /// Bytes of initialised data.
    pub data: u32,
    /// Bytes that say where addresses are.
    pub relocs: u32,
    /// Bytes of import ids.
    pub imports: u32,
    /// All of the file.
    pub total: u32,
    /// Bytes of zeroed data, not in the file.
    pub bss: u32,
    /// Bytes of stack, not in the file.
    pub stack: u32,
}

impl Sizes {
    pub(crate) fn of(plan: &Plan<'_>) -> Self {
        let len = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut sizes = Self {
            header: len(plan.header_len()),
            text: len(plan.text.len()),
            constants: None,
            data: len(plan.data.len()),
            relocs: len(plan.relocs_len()),
            imports: len(plan.imports().count() * 4),
            total: 0,
            bss: plan.bss_len,
            stack: plan.stack_len,
        };
        sizes.total = sizes.header + sizes.text + sizes.data + sizes.relocs + sizes.imports;
        sizes
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, bytes: u32, note: &str| {
            writeln!(f, "{name:<12}{bytes:>9} B{}{note}", if note.is_empty() { "" } else { "  " })
        };
        line("header", self.header, "")?;
        let constants = self.constants.map(|c| format!("of which {c} B constants"));
        line("text", self.text, constants.as_deref().unwrap_or_default())?;
        line("data", self.data, "")?;
        line("relocations", self.relocs, "")?;
        line("imports", self.imports, "")?;
        line("file", self.total, "")?;
        line("bss", self.bss, "not in the file")?;
        line("stack", self.stack, "not in the file")
    }
}

/// An image, described.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Where its bytes go.
    pub sizes: Sizes,
    /// Format version.
    pub format: u8,
    /// ABI version.
    pub abi: u8,
    /// Entry, an offset in the text.
    pub entry: u32,
    /// Contains VFP instructions.
    pub hard_float: bool,
    /// Must run privileged.
    pub direct: bool,
    /// Ids of the services it cannot do without.
    pub imports: Vec<u32>,
    /// Byte offsets in the data of the words that hold addresses.
    pub relocs: Vec<u32>,
}

impl Report {
    /// Names of the imports, in the order of the ids; `None` for an id that
    /// this version does not know.
    pub fn import_names(&self) -> impl Iterator<Item = (u32, Option<&'static str>)> {
        self.imports.iter().map(|&id| (id, service::by_id(id).map(|s| s.name)))
    }
}

/// Reads an image, relocations included.
///
/// # Errors
/// What a board would refuse it for.
pub fn inspect(image: &[u8]) -> Result<Report, Refusal> {
    let plan = Plan::parse(image)?;
    let mut relocs = Vec::new();
    let mut cursor = sk_loader::RelocCursor::new(&plan);
    while let Some(at) = cursor.next(&plan)? {
        relocs.push(at);
    }
    Ok(Report {
        sizes: Sizes::of(&plan),
        format: sk_abi::image::FORMAT_VERSION,
        abi: sk_abi::ABI_VERSION,
        entry: plan.entry,
        hard_float: plan.flags & sk_abi::image::flags::HARD_FLOAT != 0,
        direct: plan.needs_direct(),
        imports: plan.imports().collect(),
        relocs,
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "format skx{}, ABI {}", self.format, self.abi)?;
        write!(f, "{}", if self.hard_float { ", VFP" } else { "" })?;
        writeln!(f, "{}", if self.direct { ", direct mode only" } else { "" })?;
        writeln!(f, "entry at text + {:#x}", self.entry)?;
        write!(f, "{}", self.sizes)?;
        for (id, name) in self.import_names() {
            writeln!(
                f,
                "needs {id:08x}  {}",
                name.unwrap_or("a service this version does not know")
            )?;
        }
        for at in &self.relocs {
            writeln!(f, "address at data + {at:#x}")?;
        }
        Ok(())
    }
}
