//! Property messages as bytes: built, and read back with every bit checked.
//!
//! A message is words, little-endian: its length, a code (0 asks, 0x8000_0000
//! says *done*, 0x8000_0001 *could not parse*), tags, and a zero. A tag is its
//! id, the room for its value in bytes, a third word, and the value. The
//! firmware sets bit 31 of the third word of each tag it knows and leaves an
//! unknown one alone, so the message's own code says nothing about a tag.
//! (Mailbox property interface, Raspberry Pi firmware documentation.)

use core::marker::PhantomData;

/// Code of a message that asks.
const REQUEST: u32 = 0;
/// Code of a message the firmware has worked through.
const DONE: u32 = 0x8000_0000;
/// Code of a message the firmware could not parse.
const REFUSED: u32 = 0x8000_0001;
/// In a tag's third word: the firmware has answered.
const ANSWERED: u32 = 1 << 31;
/// Length and code.
const HEADER: usize = 8;
/// Id, room, length.
const TAG_HEADER: usize = 12;
/// The zero after the last tag.
const END: usize = 4;

/// Why a message could not be built or read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MessageError {
    /// The buffer is too small for these tags.
    NoRoom,
    /// The firmware could not parse the message (0x8000_0001).
    Refused,
    /// Neither of the two codes: the firmware has not written here.
    BadCode(u32),
    /// The length word is not what was sent.
    BadLength(u32),
}

/// Why one tag gave no value, although the message was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TagError {
    /// This firmware does not know the tag (bit 31 of its third word is clear).
    Unknown(u32),
    /// The answer is shorter than the tag's value.
    Short {
        /// The tag.
        id: u32,
        /// Bytes the firmware says it wrote.
        got: u32,
    },
    /// The answer did not fit into the room given.
    Truncated {
        /// The tag.
        id: u32,
        /// Bytes it would have taken.
        needs: u32,
    },
    /// The id or room at the tag's place is not what was sent.
    Overwritten {
        /// The tag.
        id: u32,
    },
    /// The value says that what was asked for does not exist or was not done.
    Refused {
        /// The tag.
        id: u32,
    },
}

/// A property tag: what it asks, and what its answer means.
pub trait Tag {
    /// The meaning of the answer. May borrow from the message.
    type Reply<'m>;
    /// Tag id.
    const ID: u32;
    /// Room for the value in bytes, the larger of question and answer; rounded
    /// up to whole words when sent.
    fn room(&self) -> usize;
    /// Writes the question into the zeroed room.
    fn ask(&self, value: &mut Words<'_>) {
        let _ = value;
    }
    /// Reads the answer: the bytes the firmware says it wrote. `None` = too
    /// short.
    fn answer<'m>(value: &Value<'m>) -> Option<Self::Reply<'m>>;
}

/// Room for a question, as words.
#[derive(Debug)]
pub struct Words<'m>(&'m mut [u8]);

impl Words<'_> {
    /// Sets word `index`. Outside of the room nothing happens.
    pub fn set(&mut self, index: usize, word: u32) {
        put(self.0, index * 4, word);
    }
}

/// The value of an answered tag.
#[derive(Clone, Copy, Debug)]
pub struct Value<'m>(&'m [u8]);

impl<'m> Value<'m> {
    /// Word `index`.
    #[must_use]
    pub fn word(&self, index: usize) -> Option<u32> {
        get(self.0, index * 4)
    }

    /// All its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &'m [u8] {
        self.0
    }
}

/// Where a tag is in a message: its receipt.
#[derive(Debug)]
pub struct Slot<T> {
    at: usize,
    room: usize,
    tag: PhantomData<fn() -> T>,
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Slot<T> {}

/// A message being written into a buffer.
#[derive(Debug)]
pub struct Request<'m> {
    mem: &'m mut [u8],
    at: usize,
}

impl<'m> Request<'m> {
    /// An empty message in `mem`, whose old contents are cleared: the firmware
    /// writes answers short of the room, and leftovers must not look like one.
    ///
    /// # Errors
    /// [`MessageError::NoRoom`] for less than 12 bytes.
    pub fn new(mem: &'m mut [u8]) -> Result<Self, MessageError> {
        if mem.len() < HEADER + END || u32::try_from(mem.len()).is_err() {
            return Err(MessageError::NoRoom);
        }
        mem.fill(0);
        Ok(Self { mem, at: HEADER })
    }

    /// Adds a tag. The slot finds its answer later.
    ///
    /// # Errors
    /// [`MessageError::NoRoom`].
    pub fn add<T: Tag>(&mut self, tag: &T) -> Result<Slot<T>, MessageError> {
        let at = self.at;
        let room = self.room_for(T::ID, tag.room())?;
        let length = room.len();
        tag.ask(&mut Words(room));
        Ok(Slot { at, room: length, tag: PhantomData })
    }

    /// The head of a tag, and the zeroed room for its value. Not inlined: it is
    /// the same for all tags.
    #[inline(never)]
    fn room_for(&mut self, id: u32, bytes: usize) -> Result<&mut [u8], MessageError> {
        let room = bytes.checked_next_multiple_of(4).ok_or(MessageError::NoRoom)?;
        let value = self.at + TAG_HEADER;
        let next = value.checked_add(room).ok_or(MessageError::NoRoom)?;
        if next.checked_add(END).is_none_or(|end| end > self.mem.len()) {
            return Err(MessageError::NoRoom);
        }
        put(self.mem, self.at, id);
        put(self.mem, self.at + 4, room as u32);
        // The third word stays 0: a request.
        self.at = next;
        self.mem.get_mut(value..next).ok_or(MessageError::NoRoom)
    }

    /// Ends the message and returns its length in bytes.
    pub fn finish(self) -> usize {
        let length = self.at + END;
        put(self.mem, 0, length as u32);
        put(self.mem, 4, REQUEST);
        length
    }
}

/// A message that came back.
#[derive(Clone, Copy, Debug)]
pub struct Response<'m> {
    mem: &'m [u8],
}

impl<'m> Response<'m> {
    /// The answer in `mem` to a message of `length` bytes.
    ///
    /// # Errors
    /// [`MessageError`] when the firmware did not work through it.
    pub fn new(mem: &'m [u8], length: usize) -> Result<Self, MessageError> {
        let mem = mem.get(..length).ok_or(MessageError::NoRoom)?;
        match get(mem, 4) {
            Some(DONE) => {}
            Some(REFUSED) => return Err(MessageError::Refused),
            other => return Err(MessageError::BadCode(other.unwrap_or(0))),
        }
        match get(mem, 0) {
            Some(sent) if sent as usize == length => Ok(Self { mem }),
            other => Err(MessageError::BadLength(other.unwrap_or(0))),
        }
    }

    /// The answer to the tag of that slot.
    ///
    /// # Errors
    /// [`TagError`].
    pub fn get<T: Tag>(&self, slot: Slot<T>) -> Result<T::Reply<'m>, TagError> {
        let value = self.value(T::ID, slot.at, slot.room)?;
        let short = TagError::Short { id: T::ID, got: value.bytes().len() as u32 };
        T::answer(&value).ok_or(short)
    }

    /// The value of a tag. Not inlined: it is the same for all tags.
    #[inline(never)]
    fn value(&self, id: u32, at: usize, room: usize) -> Result<Value<'m>, TagError> {
        let header = (get(self.mem, at), get(self.mem, at + 4));
        if header != (Some(id), Some(room as u32)) {
            return Err(TagError::Overwritten { id });
        }
        let third = get(self.mem, at + 8).unwrap_or(0);
        if third & ANSWERED == 0 {
            return Err(TagError::Unknown(id));
        }
        let length = third & !ANSWERED;
        let start = at + TAG_HEADER;
        if length as usize > room {
            return Err(TagError::Truncated { id, needs: length });
        }
        let value = self.mem.get(start..start + length as usize);
        value.map(Value).ok_or(TagError::Overwritten { id })
    }
}

fn get(mem: &[u8], at: usize) -> Option<u32> {
    let word = mem.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(word.try_into().ok()?))
}

fn put(mem: &mut [u8], at: usize, word: u32) {
    if let Some(place) = at.checked_add(4).and_then(|end| mem.get_mut(at..end)) {
        place.copy_from_slice(&word.to_le_bytes());
    }
}
