//! What the firmware says about the machine: an ATAG list or a device tree.
//!
//! Everything read here is an allegation. Memory is seen through [`PhysRead`],
//! which knows its own limits; every loop is bounded, every length checked
//! against what encloses it, and what makes no sense is refused with a reason
//! rather than repaired. Which of the two forms it is shows in the first words
//! at the address the firmware passes in r2 (ARM boot protocol; Devicetree
//! Specification 0.4 chapter 5). Without a usable address the legacy place
//! 0x100 is tried.

mod atags;
mod dtb;

/// Reads physical memory; `None` outside of what may be read. Only addresses
/// that are multiples of 4 are asked for.
pub trait PhysRead {
    /// The little-endian word at `addr`.
    fn read32(&self, addr: u32) -> Option<u32>;
}

impl<M: PhysRead + ?Sized> PhysRead for &M {
    fn read32(&self, addr: u32) -> Option<u32> {
        (**self).read32(addr)
    }
}

/// A window of physical memory: `bytes` lie at `base`.
#[derive(Clone, Copy, Debug)]
pub struct Window<'m> {
    /// Physical address of the first byte.
    pub base: u32,
    /// The bytes.
    pub bytes: &'m [u8],
}

impl PhysRead for Window<'_> {
    fn read32(&self, addr: u32) -> Option<u32> {
        let at = addr.checked_sub(self.base)? as usize;
        let word = self.bytes.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(word.try_into().ok()?))
    }
}

/// A range of physical addresses that is not empty and does not wrap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// First byte.
    pub start: u32,
    /// Bytes; `start + size` fits 32 bits.
    pub size: u32,
}

impl Range {
    /// A range, unless it is empty or reaches past 4 GiB - 1.
    #[must_use]
    pub const fn new(start: u32, size: u32) -> Option<Self> {
        if size == 0 || start.checked_add(size).is_none() {
            return None;
        }
        Some(Self { start, size })
    }

    /// One past the last byte.
    #[must_use]
    pub const fn end(&self) -> u32 {
        self.start.wrapping_add(self.size)
    }

    /// Do the two share a byte?
    #[must_use]
    pub const fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end() && other.start < self.end()
    }

    /// Is all of `other` inside?
    #[must_use]
    pub const fn contains(&self, other: &Self) -> bool {
        self.start <= other.start && other.end() <= self.end()
    }
}

/// Which form the boot data had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// An ATAG list.
    Atags,
    /// A flattened device tree.
    DeviceTree,
}

/// Longest command line that is kept; the rest is cut off.
pub const COMMAND_LINE: usize = 1024;
/// Most memory ranges; a BCM2835 has one.
pub const MEMORIES: usize = 4;

/// What was found. Every range is not empty and does not wrap.
#[derive(Clone, Debug)]
pub struct BootData {
    /// Its form.
    pub form: Form,
    /// Where it lies, first to last byte read.
    pub place: Range,
    /// The ARM's memory; no two ranges overlap.
    pub memory: heapless::Vec<Range, MEMORIES>,
    /// The initial ramdisk, here: the configuration blob.
    pub initrd: Option<Range>,
    /// Board revision code.
    pub revision: Option<u32>,
    /// Board serial number.
    pub serial: Option<u64>,
    /// Reset status as the firmware found it, from newer firmware.
    pub reset_status: Option<u32>,
    /// Command line without its NUL.
    pub command_line: heapless::Vec<u8, COMMAND_LINE>,
}

/// Why boot data was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BootError {
    /// Neither r2 nor 0x100 point to anything known.
    NotFound,
    /// It reaches into memory that cannot be read.
    Unreadable {
        /// The address.
        at: u32,
    },
    /// An ATAG's size is less than its contents, or the list is too long.
    BadTag {
        /// Address of the tag.
        at: u32,
    },
    /// The list or tree has no end within bounds.
    Endless,
    /// The tree's header contradicts itself or names a version unknown here.
    BadHeader,
    /// The tree's structure is broken.
    BadStructure {
        /// Address of the token.
        at: u32,
    },
    /// A property has a length its meaning does not allow.
    BadProperty {
        /// Address of the property.
        at: u32,
    },
    /// The same thing was said twice.
    Repeated,
    /// A memory range is empty, wraps, or lies above 4 GiB.
    BadMemory,
    /// Two memory ranges overlap, or there are more than [`MEMORIES`].
    MemoryOverlap,
    /// The initial ramdisk is empty, wraps, or has a start without an end.
    BadInitrd,
    /// The initial ramdisk is not inside one memory range.
    InitrdOutsideMemory,
    /// The initial ramdisk covers the boot data.
    InitrdOverBootData,
    /// The initial ramdisk covers a range the caller reserved.
    InitrdOverReserved {
        /// That range.
        reserved: Range,
    },
}

/// Where the firmware leaves ATAGs when it does not say.
const LEGACY: u32 = 0x100;

/// Finds and reads the boot data: at `r2` if something known is there, else at
/// 0x100.
///
/// # Errors
/// [`BootError`]. A damaged list or tree is an error, not a reason to look
/// elsewhere.
pub fn parse<M: PhysRead>(memory: &M, r2: u32) -> Result<BootData, BootError> {
    for at in [r2, LEGACY] {
        if at == 0 || at % 4 != 0 {
            continue;
        }
        let found = if dtb::is_here(memory, at) {
            dtb::parse(memory, at)?
        } else if atags::is_here(memory, at) {
            atags::parse(memory, at)?
        } else {
            continue;
        };
        found.check()?;
        return Ok(found);
    }
    Err(BootError::NotFound)
}

impl BootData {
    fn new(form: Form, place: Range) -> Self {
        Self {
            form,
            place,
            memory: heapless::Vec::new(),
            initrd: None,
            revision: None,
            serial: None,
            reset_status: None,
            command_line: heapless::Vec::new(),
        }
    }

    /// End of the memory range that starts at 0, if there is one.
    #[must_use]
    pub fn memory_end(&self) -> Option<u32> {
        self.memory.iter().find(|m| m.start == 0).map(Range::end)
    }

    /// Is the initial ramdisk clear of `reserved`, as the kernel's image and
    /// the memory it clears?
    ///
    /// # Errors
    /// [`BootError::InitrdOverReserved`].
    pub fn check_initrd(&self, reserved: &[Range]) -> Result<(), BootError> {
        let Some(initrd) = self.initrd else { return Ok(()) };
        match reserved.iter().find(|r| r.overlaps(&initrd)) {
            Some(r) => Err(BootError::InitrdOverReserved { reserved: *r }),
            None => Ok(()),
        }
    }

    /// Size 0 is a bank that is not fitted and is left out.
    fn add_memory(&mut self, start: u32, size: u32) -> Result<(), BootError> {
        if size == 0 {
            return Ok(());
        }
        let new = Range::new(start, size).ok_or(BootError::BadMemory)?;
        if self.memory.iter().any(|old| old.overlaps(&new)) {
            return Err(BootError::MemoryOverlap);
        }
        self.memory.push(new).map_err(|_| BootError::MemoryOverlap)
    }

    fn set_command_line(&mut self, bytes: impl Iterator<Item = u8>) {
        self.command_line.clear();
        for byte in bytes.take(COMMAND_LINE).take_while(|b| *b != 0) {
            // The buffer holds what `take` lets through.
            let _ = self.command_line.push(byte);
        }
    }

    fn check(&self) -> Result<(), BootError> {
        let Some(initrd) = self.initrd else { return Ok(()) };
        if initrd.overlaps(&self.place) {
            return Err(BootError::InitrdOverBootData);
        }
        // Without a word about memory the caller has to find out elsewhere.
        if self.memory.is_empty() || self.memory.iter().any(|m| m.contains(&initrd)) {
            Ok(())
        } else {
            Err(BootError::InitrdOutsideMemory)
        }
    }
}

/// Sets a value that may be said once.
fn once<T>(place: &mut Option<T>, value: T) -> Result<(), BootError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(BootError::Repeated),
    }
}

fn word<M: PhysRead>(memory: &M, at: u32) -> Result<u32, BootError> {
    memory.read32(at).ok_or(BootError::Unreadable { at })
}

/// The byte at any address.
fn byte<M: PhysRead>(memory: &M, at: u32) -> Result<u8, BootError> {
    let word = word(memory, at & !3)?;
    Ok(word.to_le_bytes().get((at & 3) as usize).copied().unwrap_or(0))
}
