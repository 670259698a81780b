//! The flattened device tree (Devicetree Specification 0.4 chapter 5): a
//! header, a structure of tokens, and a block of property names. All numbers
//! are big-endian.

use super::{BootData, BootError, Form, PhysRead, Range, byte, once, word};

const MAGIC: u32 = 0xD00D_FEED;
const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROP: u32 = 3;
const NOP: u32 = 4;
const END: u32 = 9;

/// Largest tree; the firmware's are 10 to 40 KiB, an emulator pads to twice.
const MAX_SIZE: u32 = 0x4_0000;
const HEADER: u32 = 40;
const MAX_DEPTH: usize = 16;
/// Longest node name that is compared; longer ones are none of ours.
const NAME: u32 = 64;

pub(super) fn is_here<M: PhysRead>(memory: &M, at: u32) -> bool {
    memory.read32(at).map(u32::swap_bytes) == Some(MAGIC)
}

/// The nodes whose properties matter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Node {
    Root,
    Chosen,
    Bootloader,
    Memory,
    System,
    Other,
}

struct Tree<'m, M> {
    memory: &'m M,
    /// Structure block, first to one past last.
    at: u32,
    end: u32,
    strings: u32,
    strings_end: u32,
    address_cells: u32,
    size_cells: u32,
    initrd_start: Option<u32>,
    initrd_end: Option<u32>,
}

/// A property's value in memory, inside the structure block.
#[derive(Clone, Copy)]
struct Value {
    at: u32,
    len: u32,
}

pub(super) fn parse<M: PhysRead>(memory: &M, start: u32) -> Result<BootData, BootError> {
    let field = |index: u32| {
        let at = start.checked_add(index * 4).ok_or(BootError::BadHeader)?;
        word(memory, at).map(u32::swap_bytes)
    };
    let total = field(1)?;
    let version = field(5)?;
    let last_compatible = field(6)?;
    // Version 17 carries the size of the structure block.
    if !(HEADER..=MAX_SIZE).contains(&total) || version < 17 || last_compatible > 17 {
        return Err(BootError::BadHeader);
    }
    let place = Range::new(start, total).ok_or(BootError::BadHeader)?;
    let block = |offset: u32, size: u32| {
        let end = offset.checked_add(size).filter(|e| *e <= total && offset >= HEADER);
        end.map(|e| (start + offset, start + e)).ok_or(BootError::BadHeader)
    };
    let (at, end) = block(field(2)?, field(9)?)?;
    let (strings, strings_end) = block(field(3)?, field(8)?)?;
    if at % 4 != 0 || end % 4 != 0 {
        return Err(BootError::BadHeader);
    }
    // A name that cannot be read must not pass for one that is none of ours.
    word(memory, strings_end.saturating_sub(1) & !3)?;
    let mut tree = Tree {
        memory,
        at,
        end,
        strings,
        strings_end,
        // Defaults of the specification, section 2.3.5.
        address_cells: 2,
        size_cells: 1,
        initrd_start: None,
        initrd_end: None,
    };
    let mut data = BootData::new(Form::DeviceTree, place);
    tree.walk(&mut data)?;
    data.initrd = match (tree.initrd_start, tree.initrd_end) {
        (None, None) => None,
        (Some(first), Some(end)) => {
            let size = end.checked_sub(first).and_then(|size| Range::new(first, size));
            Some(size.ok_or(BootError::BadInitrd)?)
        }
        _ => return Err(BootError::BadInitrd),
    };
    Ok(data)
}

impl<M: PhysRead> Tree<'_, M> {
    fn walk(&mut self, data: &mut BootData) -> Result<(), BootError> {
        let mut path = heapless::Vec::<Node, MAX_DEPTH>::new();
        let mut rooted = false;
        // Every token is at least one word, so the block bounds the loop.
        while self.at < self.end {
            let here = self.at;
            let broken = BootError::BadStructure { at: here };
            match self.next_word()? {
                NOP => {}
                BEGIN_NODE => {
                    let node = match (path.last(), rooted) {
                        (None, true) => return Err(broken),
                        (None, false) => Node::Root,
                        (Some(Node::Root), _) if self.name_is(b"chosen") => Node::Chosen,
                        (Some(Node::Root), _) if self.name_is(b"memory") => Node::Memory,
                        (Some(Node::Root), _) if self.name_is(b"system") => Node::System,
                        (Some(Node::Chosen), _) if self.name_is(b"bootloader") => Node::Bootloader,
                        _ => Node::Other,
                    };
                    rooted = true;
                    self.skip_name(here)?;
                    path.push(node).map_err(|_| broken)?;
                }
                END_NODE => {
                    path.pop().ok_or(broken)?;
                }
                PROP => {
                    let node = *path.last().ok_or(broken)?;
                    let len = self.next_word()?;
                    let name = self.next_word()?;
                    let value = Value { at: self.at, len };
                    let padded = len.checked_next_multiple_of(4).ok_or(broken)?;
                    let next = self.at.checked_add(padded).filter(|n| *n <= self.end);
                    self.property(data, node, name, value, here, next.ok_or(broken)?)?;
                    self.at = next.ok_or(broken)?;
                }
                END => return if path.is_empty() && rooted { Ok(()) } else { Err(broken) },
                _ => return Err(broken),
            }
        }
        Err(BootError::Endless)
    }

    fn property(
        &mut self,
        data: &mut BootData,
        node: Node,
        name: u32,
        value: Value,
        here: u32,
        next: u32,
    ) -> Result<(), BootError> {
        // Readable to its end, whatever it is.
        if next > value.at {
            word(self.memory, next - 4)?;
        }
        let bad = BootError::BadProperty { at: here };
        let is = |wanted: &[u8]| self.string_is(name, wanted);
        match node {
            Node::Root if is(b"#address-cells") => {
                self.address_cells =
                    self.cells(value).filter(|n| (1..=2).contains(n)).ok_or(bad)?;
            }
            Node::Root if is(b"#size-cells") => {
                self.size_cells = self.cells(value).filter(|n| (1..=2).contains(n)).ok_or(bad)?;
            }
            Node::Memory if is(b"reg") => self.memory_ranges(data, value, bad)?,
            Node::Chosen if is(b"linux,initrd-start") => {
                let start = self.number32(value).ok_or(bad)?;
                once(&mut self.initrd_start, start)?;
            }
            Node::Chosen if is(b"linux,initrd-end") => {
                let end = self.number32(value).ok_or(bad)?;
                once(&mut self.initrd_end, end)?;
            }
            Node::Chosen if is(b"bootargs") => {
                let bytes = value.at..value.at + value.len;
                data.set_command_line(bytes.map_while(|at| byte(self.memory, at).ok()));
            }
            Node::Bootloader if is(b"pm_rsts") => {
                once(&mut data.reset_status, self.cells(value).ok_or(bad)?)?;
            }
            Node::System if is(b"linux,revision") => {
                once(&mut data.revision, self.cells(value).ok_or(bad)?)?;
            }
            Node::System if is(b"linux,serial") => {
                once(&mut data.serial, self.number(value).ok_or(bad)?)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn memory_ranges(
        &self,
        data: &mut BootData,
        value: Value,
        bad: BootError,
    ) -> Result<(), BootError> {
        let (address, size) = (self.address_cells * 4, self.size_cells * 4);
        let entry = address + size;
        if value.len == 0 || !value.len.is_multiple_of(entry) {
            return Err(bad);
        }
        for index in 0..value.len / entry {
            let at = value.at + index * entry;
            let start = self.number32(Value { at, len: address }).ok_or(BootError::BadMemory)?;
            let size = self.number32(Value { at: at + address, len: size });
            data.add_memory(start, size.ok_or(BootError::BadMemory)?)?;
        }
        Ok(())
    }

    /// A property of exactly one cell.
    fn cells(&self, value: Value) -> Option<u32> {
        (value.len == 4).then(|| self.number32(value)).flatten()
    }

    /// A property of one or two cells.
    fn number(&self, value: Value) -> Option<u64> {
        let cell = |at: u32| self.memory.read32(at).map(u32::swap_bytes).map(u64::from);
        match value.len {
            4 => cell(value.at),
            8 => Some(cell(value.at)? << 32 | cell(value.at.checked_add(4)?)?),
            _ => None,
        }
    }

    /// As [`Tree::number`], below 4 GiB.
    fn number32(&self, value: Value) -> Option<u32> {
        u32::try_from(self.number(value)?).ok()
    }

    fn next_word(&mut self) -> Result<u32, BootError> {
        if self.at >= self.end {
            return Err(BootError::Endless);
        }
        let word = word(self.memory, self.at)?.swap_bytes();
        self.at += 4;
        Ok(word)
    }

    /// Does the node name at the cursor equal `wanted`, with or without a unit
    /// address?
    fn name_is(&self, wanted: &[u8]) -> bool {
        let rest = self.end - self.at;
        matches!(self.compare(self.at, rest.min(NAME), wanted), Some(0 | b'@'))
    }

    fn skip_name(&mut self, here: u32) -> Result<(), BootError> {
        for at in self.at..self.end {
            if byte(self.memory, at)? == 0 {
                // `end` is a multiple of 4, so this stays inside.
                self.at = (at / 4 + 1) * 4;
                return Ok(());
            }
        }
        Err(BootError::BadStructure { at: here })
    }

    /// Does the property name at `offset` of the strings block equal `wanted`?
    fn string_is(&self, offset: u32, wanted: &[u8]) -> bool {
        let at = self.strings.checked_add(offset).filter(|at| *at < self.strings_end);
        at.is_some_and(|at| self.compare(at, self.strings_end - at, wanted) == Some(0))
    }

    /// The byte after `wanted`, if the text at `at` begins with it and both lie
    /// within `room` bytes.
    fn compare(&self, at: u32, room: u32, wanted: &[u8]) -> Option<u8> {
        if wanted.len() as u64 >= u64::from(room) {
            return None;
        }
        let mut at = at;
        for expected in wanted {
            if byte(self.memory, at).ok()? != *expected {
                return None;
            }
            at += 1;
        }
        byte(self.memory, at).ok()
    }
}
