//! The mailbox itself: one buffer, one message at a time, every wait bounded.
//!
//! A message is handed over by writing its bus address, with the channel in
//! the low four bits, and comes back as the same word. Until it does, the
//! buffer is the firmware's: after a timeout it *stays* the firmware's, and the
//! next call first sees whether it came back meanwhile. Reusing it earlier would
//! let a late answer overwrite a new question.
//!
//! Registers: mailbox 0 (firmware to ARM) at 0x00, mailbox 1 (ARM to firmware)
//! at 0x20; eight words deep.

use crate::message::{MessageError, Request, Response, Tag, TagError};
use core::task::Poll;
use sk_hal::{Bus32, CacheOps, Clock, CpuOwned, Direction, DmaBuf, Micros, Reg};
use tock_registers::interfaces::Readable;
use tock_registers::register_bitfields;

const READ: u32 = 0x00;
const STATUS_0: u32 = 0x18;
const WRITE: u32 = 0x20;
const STATUS_1: u32 = 0x38;

register_bitfields! [u32,
    Status [
        EMPTY OFFSET(30) NUMBITS(1) [],
        FULL OFFSET(31) NUMBITS(1) []
    ]
];

/// Property tags, ARM to firmware.
const CHANNEL: u32 = 8;
const CHANNEL_MASK: u32 = 0xF;
/// The firmware may answer through another alias of the same memory.
const ADDRESS_MASK: u32 = 0x3FFF_FFF0;
/// More words than the hardware holds: beyond this somebody keeps talking.
const MAX_STALE: usize = 64;

/// Longest wait for an answer. The first power or clock call may take tens of
/// milliseconds.
pub const TIMEOUT: Micros = 1_000_000;
/// Longest wait for room to ask. With one message at a time the mailbox is
/// never full while the firmware lives.
const ROOM_TIMEOUT: Micros = 1_000;
/// Longest wait of a blocking call for an earlier message to come back.
const EARLIER_TIMEOUT: Micros = 100_000;
/// Looks per microsecond of waiting before the clock counts as stopped.
const LOOKS: Micros = 16;

/// Why a call gave nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The message could not be built, or was not understood.
    Message(MessageError),
    /// A tag of an answered message gave no value.
    Tag(TagError),
    /// The firmware does not take words.
    Full,
    /// The firmware did not answer in time. It may still do so.
    NoReply,
    /// An earlier message has not come back, so there is no buffer.
    StillWaiting,
    /// Words of other channels come without end.
    Flooded,
    /// No message was sent.
    Idle,
}

impl From<MessageError> for Error {
    fn from(error: MessageError) -> Self {
        Self::Message(error)
    }
}

impl From<TagError> for Error {
    fn from(error: TagError) -> Self {
        Self::Tag(error)
    }
}

enum Buffer {
    Ours(DmaBuf<CpuOwned>),
    Theirs(DmaBuf<sk_hal::DeviceOwned>),
    /// Only between two lines of this module.
    Moving,
}

/// The property mailbox.
pub struct Mailbox<B, C> {
    bus: B,
    cache: C,
    buffer: Buffer,
    length: usize,
    /// An answer is in the buffer.
    answered: bool,
}

impl<B: Bus32, C: CacheOps> Mailbox<B, C> {
    /// The mailbox behind `bus`, with a buffer for messages (its size limits
    /// theirs; 256 bytes do for everything but the command line).
    pub const fn new(bus: B, cache: C, buffer: DmaBuf<CpuOwned>) -> Self {
        Self { bus, cache, buffer: Buffer::Ours(buffer), length: 0, answered: false }
    }

    /// Asks one thing and waits for the answer, at most [`TIMEOUT`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn get<T: Tag>(
        &mut self,
        clock: &(impl Clock + ?Sized),
        tag: &T,
    ) -> Result<T::Reply<'_>, Error> {
        let (slot, response) = self.call(clock, |request| request.add(tag))?;
        Ok(response.get(slot)?)
    }

    /// Sends the message `build` makes (of several tags, worked through in
    /// order) and waits for it, at most [`TIMEOUT`]. Returns what `build`
    /// returned, as a rule its slots, and the answer.
    ///
    /// # Errors
    /// [`Error`]; of single tags only when they are asked for.
    pub fn call<S>(
        &mut self,
        clock: &(impl Clock + ?Sized),
        build: impl FnOnce(&mut Request<'_>) -> Result<S, MessageError>,
    ) -> Result<(S, Response<'_>), Error> {
        self.give_up_earlier(clock);
        let slots = self.send(clock, build)?;
        Ok((slots, self.wait_for_answer(clock)?))
    }

    /// Sends a message and does not wait for its answer (at most 1 ms for room
    /// in a mailbox that is full). Then call [`Mailbox::poll`]; sending anything
    /// else before gives the answer up.
    ///
    /// # Errors
    /// [`Error::StillWaiting`], [`Error::Full`], [`Error::Flooded`], and those
    /// of `build`.
    pub fn send<S>(
        &mut self,
        clock: &(impl Clock + ?Sized),
        build: impl FnOnce(&mut Request<'_>) -> Result<S, MessageError>,
    ) -> Result<S, Error> {
        let mut request = self.begin()?;
        let slots = build(&mut request)?;
        let length = request.finish();
        self.post(clock, length)?;
        Ok(slots)
    }

    // What follows does not depend on the message. Inlined into `call` and
    // `send` there would be a copy of it for each message of the program.

    /// A message somebody sent and has not polled for yet: its answer is given
    /// up, its buffer needed.
    #[inline(never)]
    fn give_up_earlier(&mut self, clock: &(impl Clock + ?Sized)) {
        wait(clock, EARLIER_TIMEOUT, || {
            self.collect().is_err() || matches!(self.buffer, Buffer::Ours(_))
        });
    }

    /// An empty message in the buffer, if that is ours.
    #[inline(never)]
    fn begin(&mut self) -> Result<Request<'_>, Error> {
        // Stale words, and among them perhaps our own late answer.
        self.collect()?;
        let Buffer::Ours(buffer) = &mut self.buffer else { return Err(Error::StillWaiting) };
        self.answered = false;
        Ok(Request::new(buffer.bytes_mut())?)
    }

    /// Hands over the message in the buffer.
    #[inline(never)]
    fn post(&mut self, clock: &(impl Clock + ?Sized), length: usize) -> Result<(), Error> {
        self.length = length;
        let status = Reg::<_, Status::Register>::new(&self.bus, STATUS_1);
        if !wait(clock, ROOM_TIMEOUT, || !status.is_set(Status::FULL)) {
            return Err(Error::Full);
        }
        if let Buffer::Ours(buffer) = core::mem::replace(&mut self.buffer, Buffer::Moving) {
            let bus = buffer.bus();
            // Includes the DSB that has to come before the doorbell.
            self.buffer = Buffer::Theirs(buffer.give(&self.cache, Direction::Both));
            self.bus.write(WRITE, (bus.0 & !CHANNEL_MASK) | CHANNEL);
        }
        Ok(())
    }

    #[inline(never)]
    fn wait_for_answer(&mut self, clock: &(impl Clock + ?Sized)) -> Result<Response<'_>, Error> {
        let mut failed = None;
        let done = wait(clock, TIMEOUT, || match self.poll() {
            Poll::Pending => false,
            Poll::Ready(result) => {
                failed = result.err();
                true
            }
        });
        match failed {
            Some(error) => Err(error),
            None if done => self.response(),
            None => Err(Error::NoReply),
        }
    }

    /// Has the answer to the last message come? Never waits. Ready says that
    /// [`Mailbox::response`] may be called.
    #[inline(never)]
    pub fn poll(&mut self) -> Poll<Result<(), Error>> {
        if let Err(error) = self.collect() {
            return Poll::Ready(Err(error));
        }
        match self.buffer {
            Buffer::Ours(_) if self.answered => Poll::Ready(Ok(())),
            Buffer::Ours(_) => Poll::Ready(Err(Error::Idle)),
            _ => Poll::Pending,
        }
    }

    /// The last answer, until the next message is sent.
    ///
    /// # Errors
    /// [`Error::StillWaiting`], [`Error::Idle`], [`Error::Message`].
    #[inline(never)]
    pub fn response(&self) -> Result<Response<'_>, Error> {
        match &self.buffer {
            Buffer::Ours(buffer) if self.answered => {
                Ok(Response::new(buffer.bytes(), self.length)?)
            }
            Buffer::Ours(_) => Err(Error::Idle),
            _ => Err(Error::StillWaiting),
        }
    }

    /// Reads what the firmware has sent, and takes the buffer back when it is
    /// among it. Words of other channels, or for an address that is not ours,
    /// are dropped: nobody else uses the mailbox.
    #[inline(never)]
    fn collect(&mut self) -> Result<(), Error> {
        let status = Reg::<_, Status::Register>::new(&self.bus, STATUS_0);
        for _ in 0..MAX_STALE {
            if status.is_set(Status::EMPTY) {
                return Ok(());
            }
            let word = self.bus.read(READ);
            let Buffer::Theirs(buffer) = &self.buffer else { continue };
            let ours = (word ^ buffer.bus().0) & ADDRESS_MASK == 0;
            if word & CHANNEL_MASK != CHANNEL || !ours {
                continue;
            }
            if let Buffer::Theirs(buffer) = core::mem::replace(&mut self.buffer, Buffer::Moving) {
                self.buffer = Buffer::Ours(buffer.take(&self.cache));
                self.answered = true;
            }
        }
        Err(Error::Flooded)
    }
}

impl<B, C> core::fmt::Debug for Mailbox<B, C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let waiting = !matches!(self.buffer, Buffer::Ours(_));
        f.debug_struct("Mailbox").field("waiting", &waiting).finish_non_exhaustive()
    }
}

/// Waits until `done`, for `limit` microseconds or, should the clock stand
/// still, a number of looks that takes longer than that.
fn wait(clock: &(impl Clock + ?Sized), limit: Micros, mut done: impl FnMut() -> bool) -> bool {
    let start = clock.now();
    for _ in 0..limit * LOOKS {
        if done() {
            return true;
        }
        if clock.now().wrapping_sub(start) > limit {
            return done();
        }
    }
    false
}
