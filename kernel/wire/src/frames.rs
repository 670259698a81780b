//! Frames: what stands inside a DATA datagram (protocol section 1.10).
//!
//! A DATA plaintext of 1 to 1408 bytes is a list of frames, each
//! `type u8 | arg u8 | len u16 | offset u32 | body[len]`, little-endian. A full
//! PUT or CHUNK is 8 + 1400 bytes: 1408 = 22 x 64, so ChaCha20 works on whole
//! blocks. Frames exist only behind the AEAD; a malformed one therefore comes
//! from a peer that holds the keys, and ends the parsing of its datagram.
//!
//! Chunks are addressed by offset, so writing one twice or in another order is
//! harmless and the receiver needs no timer: its whole state is one bit per chunk.

/// Bytes of an object in one PUT or CHUNK.
pub const CHUNK: usize = 1400;
/// Bytes before a frame's body.
pub const FRAME_HEADER: usize = 8;
/// Most bytes of frames in one DATA datagram.
pub const MAX_FRAMES: usize = FRAME_HEADER + CHUNK;
/// Most chunks after `base` that one ACK can speak of.
pub const ACK_SPAN: usize = 1024;
/// Bytes of an ACK body before its bitmap.
pub const ACK_HEADER: usize = 12;

/// What can be moved between the ends.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Object {
    /// The payload image (`skx1`), client to board.
    Image = 0,
    /// The payload's input, client to board.
    Input = 1,
    /// What the payload wrote as output.
    Stdout = 2,
    /// The receipt, encoded.
    Result = 3,
    /// The kernel's log.
    Log = 4,
    /// The audit ring.
    Audit = 5,
    /// What is kept of a kernel fault of an earlier boot.
    FaultDump = 6,
    /// What the payload wrote as error output.
    Stderr = 7,
}

impl Object {
    /// The object with this number.
    #[must_use]
    pub const fn new(number: u8) -> Option<Object> {
        Some(match number {
            0 => Object::Image,
            1 => Object::Input,
            2 => Object::Stdout,
            3 => Object::Result,
            4 => Object::Log,
            5 => Object::Audit,
            6 => Object::FaultDump,
            7 => Object::Stderr,
            _ => return None,
        })
    }
}

const PUT: u8 = 1;
const ACK: u8 = 2;
const CTRL: u8 = 3;
const CHUNK_TYPE: u8 = 4;
const EVENT: u8 = 5;
const PAD: u8 = 6;

/// What the receiver of PUTs has: all chunks below `base`, and of the chunks
/// from `base + 1` on those whose bit is set (bit 0 of byte 0 = `base + 1`).
/// Bits beyond the end of `bitmap` are 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ack<'a> {
    /// Of which object; any number, so that an unknown one can be ignored.
    pub object: u8,
    /// First missing chunk; the number of chunks when nothing is missing.
    pub base: u32,
    /// Datagrams the receiver has room for.
    pub credit: u16,
    /// Highest DATA counter seen from the sender.
    pub highest: u64,
    /// At most [`ACK_SPAN`] / 8 bytes.
    pub bitmap: &'a [u8],
}

impl Ack<'_> {
    /// Is chunk `index` there?
    #[must_use]
    pub fn has(&self, index: u32) -> bool {
        if index < self.base {
            return true;
        }
        let Some(bit) = (index - self.base).checked_sub(1) else { return false };
        self.bitmap.get(bit as usize / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
    }
}

/// One frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frame<'a> {
    /// A piece of an object, client to board.
    Put {
        /// Number of the object, unchecked.
        object: u8,
        /// Where the bytes belong.
        offset: u32,
        /// At most [`CHUNK`] bytes.
        bytes: &'a [u8],
    },
    /// What has arrived.
    Ack(Ack<'a>),
    /// A control message ([`crate::control`]).
    Ctrl(&'a [u8]),
    /// A piece of an object, board to client.
    Chunk {
        /// Number of the object, unchecked.
        object: u8,
        /// Where the bytes belong.
        offset: u32,
        /// At most [`CHUNK`] bytes.
        bytes: &'a [u8],
    },
    /// News of the task ([`crate::control::Event`]), best effort.
    Event(&'a [u8]),
    /// Nothing; a keepalive is a lone PAD.
    Pad,
}

/// A frame that does not parse.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadFrame;

/// The frames of one DATA plaintext. After an error nothing more is read.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    rest: &'a [u8],
}

impl<'a> Frames<'a> {
    /// The frames in `plaintext`.
    #[must_use]
    pub const fn new(plaintext: &'a [u8]) -> Self {
        Frames { rest: plaintext }
    }

    fn parse(&mut self) -> Option<Frame<'a>> {
        let (head, rest) = self.rest.split_first_chunk::<FRAME_HEADER>()?;
        let [kind, arg, l0, l1, offset @ ..] = *head;
        let offset = u32::from_le_bytes(offset);
        let (body, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([l0, l1])))?;
        self.rest = rest;
        let bare = arg == 0 && offset == 0;
        Some(match kind {
            PUT => Frame::Put { object: arg, offset, bytes: body },
            CHUNK_TYPE => Frame::Chunk { object: arg, offset, bytes: body },
            ACK => {
                let (head, bitmap) = body.split_first_chunk::<ACK_HEADER>()?;
                let [c0, c1, z0, z1, highest @ ..] = *head;
                if (z0, z1) != (0, 0) || bitmap.len() > ACK_SPAN / 8 {
                    return None;
                }
                Frame::Ack(Ack {
                    object: arg,
                    base: offset,
                    credit: u16::from_le_bytes([c0, c1]),
                    highest: u64::from_le_bytes(highest),
                    bitmap,
                })
            }
            CTRL if bare => Frame::Ctrl(body),
            EVENT if bare => Frame::Event(body),
            PAD if bare && body.iter().all(|byte| *byte == 0) => Frame::Pad,
            _ => return None,
        })
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, BadFrame>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let frame = self.parse();
        if frame.is_none() {
            self.rest = &[];
        }
        Some(frame.ok_or(BadFrame))
    }
}

/// Puts frames one after the other into a buffer; a frame that does not fit is
/// not written and `false` comes back.
#[derive(Debug)]
pub struct FrameWriter<'a> {
    buffer: &'a mut [u8],
    len: usize,
}

impl<'a> FrameWriter<'a> {
    /// A writer for at most [`MAX_FRAMES`] bytes of `buffer`.
    #[must_use]
    pub fn new(buffer: &'a mut [u8]) -> Self {
        let room = buffer.len().min(MAX_FRAMES);
        FrameWriter { buffer: buffer.get_mut(..room).unwrap_or_default(), len: 0 }
    }

    /// Bytes written.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Nothing written yet?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Longest body the next frame can have; `None` when not even an empty one fits.
    #[must_use]
    pub fn room(&self) -> Option<usize> {
        (self.buffer.len() - self.len).checked_sub(FRAME_HEADER)
    }

    fn frame(&mut self, kind: u8, arg: u8, offset: u32, parts: [&[u8]; 2]) -> bool {
        let len = parts[0].len() + parts[1].len();
        let (Some(room), Ok(short)) = (self.room(), u16::try_from(len)) else { return false };
        if len > room {
            return false;
        }
        let [l0, l1] = short.to_le_bytes();
        let [o0, o1, o2, o3] = offset.to_le_bytes();
        for part in [&[kind, arg, l0, l1, o0, o1, o2, o3][..], parts[0], parts[1]] {
            if let Some(place) = self.buffer.get_mut(self.len..self.len + part.len()) {
                place.copy_from_slice(part);
                self.len += part.len();
            }
        }
        true
    }

    /// Adds a PUT.
    pub fn put(&mut self, object: Object, offset: u32, bytes: &[u8]) -> bool {
        self.frame(PUT, object as u8, offset, [bytes, &[]])
    }

    /// Adds a CHUNK.
    pub fn chunk(&mut self, object: Object, offset: u32, bytes: &[u8]) -> bool {
        self.frame(CHUNK_TYPE, object as u8, offset, [bytes, &[]])
    }

    /// Adds an ACK; zero bytes at the end of the bitmap are left away.
    pub fn ack(&mut self, ack: &Ack<'_>) -> bool {
        let used = ack.bitmap.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let bitmap = ack.bitmap.get(..used.min(ACK_SPAN / 8)).unwrap_or_default();
        let mut head = [0; ACK_HEADER];
        head[..2].copy_from_slice(&ack.credit.to_le_bytes());
        head[4..].copy_from_slice(&ack.highest.to_le_bytes());
        self.frame(ACK, ack.object, ack.base, [&head, bitmap])
    }

    /// Adds a control message.
    pub fn ctrl(&mut self, body: &[u8]) -> bool {
        self.frame(CTRL, 0, 0, [body, &[]])
    }

    /// Adds an event.
    pub fn event(&mut self, body: &[u8]) -> bool {
        self.frame(EVENT, 0, 0, [body, &[]])
    }

    /// Adds an empty PAD.
    pub fn pad(&mut self) -> bool {
        self.frame(PAD, 0, 0, [&[], &[]])
    }
}
