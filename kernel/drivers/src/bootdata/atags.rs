//! The ATAG list (ARM Linux boot protocol): tags of {words, id, contents},
//! CORE first, NONE last.

use super::{BootData, BootError, Form, PhysRead, Range, byte, once, word};

const NONE: u32 = 0;
const CORE: u32 = 0x5441_0001;
const MEM: u32 = 0x5441_0002;
const INITRD2: u32 = 0x5442_0005;
const SERIAL: u32 = 0x5441_0006;
const REVISION: u32 = 0x5441_0007;
const COMMAND_LINE: u32 = 0x5441_0009;

/// Most tags: the firmware writes about ten.
const MAX_TAGS: u32 = 64;
/// Longest list in bytes.
const MAX_BYTES: u32 = 0x4000;

pub(super) fn is_here<M: PhysRead>(memory: &M, at: u32) -> bool {
    at.checked_add(4).and_then(|id| memory.read32(id)) == Some(CORE)
}

pub(super) fn parse<M: PhysRead>(memory: &M, start: u32) -> Result<BootData, BootError> {
    // The place is known at the end only.
    let mut data = BootData::new(Form::Atags, Range { start, size: 8 });
    let limit = start.checked_add(MAX_BYTES).ok_or(BootError::Endless)?;
    let mut at = start;
    for _ in 0..MAX_TAGS {
        let words = word(memory, at)?;
        let id = word(memory, at + 4)?;
        if id == NONE {
            data.place.size = at + 8 - start;
            return Ok(data);
        }
        let size = words.checked_mul(4).filter(|s| *s >= 8).ok_or(BootError::BadTag { at })?;
        // Leaves room for the next header, so `at + 4` never wraps.
        let next = at.checked_add(size).filter(|n| *n <= limit - 8);
        let next = next.ok_or(BootError::BadTag { at })?;
        let tag = Tag { memory, at, size };
        match id {
            MEM => data.add_memory(tag.value(1)?, tag.value(0)?)?,
            INITRD2 => {
                let range = Range::new(tag.value(0)?, tag.value(1)?);
                once(&mut data.initrd, range.ok_or(BootError::BadInitrd)?)?;
            }
            SERIAL => {
                let serial = u64::from(tag.value(1)?) << 32 | u64::from(tag.value(0)?);
                once(&mut data.serial, serial)?;
            }
            REVISION => once(&mut data.revision, tag.value(0)?)?,
            COMMAND_LINE => {
                // Readable to its end, so that no byte is made up.
                word(memory, next - 4)?;
                data.set_command_line((at + 8..next).map_while(|a| byte(memory, a).ok()));
            }
            // CORE's contents (flags, page size, root device) mean nothing here.
            _ => {}
        }
        at = next;
    }
    Err(BootError::Endless)
}

struct Tag<'m, M> {
    memory: &'m M,
    at: u32,
    size: u32,
}

impl<M: PhysRead> Tag<'_, M> {
    /// The word `index` of the contents.
    fn value(&self, index: u32) -> Result<u32, BootError> {
        if self.size < 8 + (index + 1) * 4 {
            return Err(BootError::BadTag { at: self.at });
        }
        word(self.memory, self.at + 8 + index * 4)
    }
}
