//! Page tables of ARM1176 as data: attributes, descriptors, and a mapper.
//!
//! VMSAv6 format (SCTLR.XP = 1): a first-level table of 4096 words, one per
//! MiB, each a *section* or a pointer to a *coarse table* of 256 extended
//! small pages (ARM1176JZF-S TRM DDI0301H section 6.11; AP, APX and XN in
//! section 6.6). [`RegionMapper`] does not touch the MMU: whoever owns the tables
//! hands them in. [`Tables`] brings its edits into force, because the table walk
//! does not look into the L1 data cache (TRM 3.2.13).
//!
//! Addresses are the same on both sides (VA = PA), so a region that is mapped
//! at all is mapped onto itself.

mod mapper;
mod tables;

pub use mapper::{Area, Dirty, MAX_TABLES, MapError, RegionMapper};
pub use tables::Tables;

/// Bytes of a small page.
pub const PAGE: u32 = 0x1000;
/// Bytes of a section.
pub const SECTION: u32 = 0x10_0000;
/// The kernel's domain; always *client*.
pub const DOMAIN_KERNEL: u32 = 0;
/// The domain of everything that belongs to one payload run.
pub const DOMAIN_TASK: u32 = 1;
/// Domain access control register with both domains *client*, so that
/// permissions are checked (TRM 3.2.16).
pub const DACR_CLIENTS: u32 = 1 << (2 * DOMAIN_KERNEL) | 1 << (2 * DOMAIN_TASK);
/// As [`DACR_CLIENTS`] but every access to the task's domain faults.
pub const DACR_NO_TASK: u32 = 1 << (2 * DOMAIN_KERNEL);

/// What a region is for. Each variant names its rights, privileged then user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attr {
    /// Not mapped: every access aborts.
    Fault,
    /// Kernel code: R-X, user none.
    KernelText,
    /// Kernel constants: R, XN, user none.
    KernelRo,
    /// Kernel data and stacks: RW, XN, user none.
    KernelData,
    /// Peripheral registers: RW, XN, user none; shared device memory.
    Device,
    /// Memory another bus master shows as it is written, as a framebuffer: RW,
    /// XN, user none; normal, not cached, so stores may be merged.
    Uncached,
    /// Payload code: user R-X. Privileged may write, to load and relocate it;
    /// no privileged-read-only form leaves that possible (AP = 10, APX = 0).
    TaskText,
    /// Payload data, stack, heap, output: RW for both, XN.
    TaskData,
    /// Payload input: privileged RW, user R, XN.
    TaskRo,
    /// Kernel pages that payloads may read and execute (the resolver and its
    /// table): R-X for both, nobody writes (AP = 10, APX = 1).
    UserText,
}

/// Memory type bits TEX, C, B of TRM table 6-2.
#[derive(Clone, Copy)]
struct MemType {
    tex: u32,
    c: u32,
    b: u32,
    shared: u32,
}

/// Normal, write-back in both levels, no allocate on write. Not *shared*: the
/// core treats shared normal memory as not cacheable.
const CACHED: MemType = MemType { tex: 0, c: 1, b: 1, shared: 0 };
/// Normal, not cacheable.
const UNCACHED: MemType = MemType { tex: 1, c: 0, b: 0, shared: 0 };
/// Shared device.
const DEVICE: MemType = MemType { tex: 0, c: 0, b: 1, shared: 1 };

/// Fields of a descriptor before they are put in their places.
struct Fields {
    apx: u32,
    ap: u32,
    xn: u32,
    mem: MemType,
}

impl Attr {
    /// Every attribute, for tests and dumps.
    pub const ALL: [Self; 10] = [
        Self::Fault,
        Self::KernelText,
        Self::KernelRo,
        Self::KernelData,
        Self::Device,
        Self::Uncached,
        Self::TaskText,
        Self::TaskData,
        Self::TaskRo,
        Self::UserText,
    ];

    /// AP, APX and XN by TRM table 6-1: APX:AP 0:01 privileged RW; 0:10
    /// privileged RW, user R; 0:11 both RW; 1:01 privileged R; 1:10 both R.
    /// 0:00 (nobody) is written as a fault; 1:00 and 1:11 are reserved.
    const fn fields(self) -> Option<Fields> {
        Some(match self {
            Self::Fault => return None,
            Self::KernelText => Fields { apx: 1, ap: 0b01, xn: 0, mem: CACHED },
            Self::KernelRo => Fields { apx: 1, ap: 0b01, xn: 1, mem: CACHED },
            Self::KernelData => Fields { apx: 0, ap: 0b01, xn: 1, mem: CACHED },
            Self::Device => Fields { apx: 0, ap: 0b01, xn: 1, mem: DEVICE },
            Self::Uncached => Fields { apx: 0, ap: 0b01, xn: 1, mem: UNCACHED },
            Self::TaskText => Fields { apx: 0, ap: 0b10, xn: 0, mem: CACHED },
            Self::TaskData => Fields { apx: 0, ap: 0b11, xn: 1, mem: CACHED },
            Self::TaskRo => Fields { apx: 0, ap: 0b10, xn: 1, mem: CACHED },
            Self::UserText => Fields { apx: 1, ap: 0b10, xn: 0, mem: CACHED },
        })
    }

    /// The domain this attribute lives in. A MiB cannot hold both: the domain
    /// is a field of the first level.
    #[must_use]
    pub const fn domain(self) -> u32 {
        match self {
            Self::TaskText | Self::TaskData | Self::TaskRo => DOMAIN_TASK,
            _ => DOMAIN_KERNEL,
        }
    }
}

/// First-level descriptor of a 1 MiB section at `phys` (bits 31:20 are used).
/// 0 = fault.
#[must_use]
pub const fn section(phys: u32, attr: Attr) -> u32 {
    match attr.fields() {
        None => 0,
        Some(f) => {
            (phys & 0xFFF0_0000)
                | f.mem.shared << 16
                | f.apx << 15
                | f.mem.tex << 12
                | f.ap << 10
                | attr.domain() << 5
                | f.xn << 4
                | f.mem.c << 3
                | f.mem.b << 2
                | 0b10
        }
    }
}

/// Second-level descriptor of a 4 KiB extended small page at `phys`
/// (bits 31:12 are used). 0 = fault.
#[must_use]
pub const fn small_page(phys: u32, attr: Attr) -> u32 {
    match attr.fields() {
        None => 0,
        Some(f) => {
            (phys & 0xFFFF_F000)
                | f.mem.shared << 10
                | f.apx << 9
                | f.mem.tex << 6
                | f.ap << 4
                | f.mem.c << 3
                | f.mem.b << 2
                | 0b10
                | f.xn
        }
    }
}

/// First-level descriptor of a coarse table at `phys` (1 KiB aligned).
#[must_use]
pub const fn coarse_table(phys: u32, domain: u32) -> u32 {
    (phys & 0xFFFF_FC00) | (domain & 0xF) << 5 | 0b01
}

#[cfg(test)]
mod tests;
