//! A framebuffer from the firmware: what is asked, and everything that can be
//! wrong with what it answers.
//!
//! A state machine that is given answers and gives questions, so that the
//! caller may wait for the mailbox or not. It first looks (size of the picture,
//! EDID of the monitor), then asks for one in a single message, as the firmware
//! wants it. An answer that does not hold together is refused by name, the
//! framebuffer given back, and less asked for: the other depth, then 640x480.
//! After the last it gives up: a board without a screen is still a board.
//!
//! What may not be trusted: a base in memory that is the ARM's (drawing would
//! overwrite the kernel), a buffer smaller than its rows, a pitch shorter than
//! a row. The base may be an address of the bus or a physical one.
//!
//! The framebuffer has to be mapped, for its whole length, as normal memory
//! that is not cached (ARM1176: TEX 1, C 0, B 0, execute never): writes are
//! then gathered into bursts. As device memory each write is one of its own;
//! cached, pixels would reach the display when their line is evicted.

use crate::color::{Depth, Format, Order};
use crate::edid::{self, Monitor};
use rpi_mbox::framebuffer::{
    AllocateFramebuffer, Allocation, EdidBlock, GetPhysicalSize, GetPitch, Pair,
    ReleaseFramebuffer, SetAlphaMode, SetDepth, SetPhysicalSize, SetPixelOrder, SetVirtualOffset,
    SetVirtualSize,
};
use rpi_mbox::{MessageError, Request, Response, Slot, TagError};

/// Largest size that is asked for or taken.
pub const MAX_WIDTH: u32 = 1920;
/// Rows of it.
pub const MAX_HEIGHT: u32 = 1200;
/// Smaller pictures are not worth having: text would not fit.
pub const MIN_WIDTH: u32 = 320;
/// Rows of it.
pub const MIN_HEIGHT: u32 = 200;
/// What every display can show.
pub const FALLBACK: (u32, u32) = (640, 480);
/// Bytes a message buffer needs for the longest question.
pub const MESSAGE: usize = 256;

/// Addresses of the bus to physical ones.
const PHYSICAL: u32 = 0x3FFF_FFFF;
/// Where peripherals begin, and memory ends.
const MEMORY_END: u32 = 0x2000_0000;
/// Asked for as alignment: a page, so that no neighbour is mapped with it.
const PAGE: u32 = 4096;
/// The longest row that makes sense: four times what is needed.
const MAX_PITCH: u32 = MAX_WIDTH * 4 * 4;

/// What is to be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wish {
    /// A size, whatever the display says.
    pub size: Option<(u32, u32)>,
    /// Depth to try first. 16 bits halve the bandwidth that drawing and, all
    /// the time, the display take from the one memory there is.
    pub depth: Depth,
    /// First byte behind the ARM's memory: a framebuffer begins here or later.
    pub arm_end: u32,
}

/// What is known of the display.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Display {
    /// One that speaks.
    Monitor(Monitor),
    /// Nothing answered: none, or composite video.
    Silent,
}

/// A framebuffer, checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Framebuffer {
    /// Physical address.
    pub base: u32,
    /// Bytes to be mapped; all rows are inside.
    pub bytes: u32,
    /// Pixels in a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// Bytes from one row to the next.
    pub pitch: u32,
    /// What a pixel looks like.
    pub format: Format,
}

/// Why an answer was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The message was not worked through, or did not come back.
    Message(MessageError),
    /// A tag gave no value.
    Tag(TagError),
    /// Not the size asked for.
    Size {
        /// What the display gets.
        physical: Pair,
        /// What the framebuffer has.
        virtual_: Pair,
    },
    /// Not the depth asked for.
    Depth(u32),
    /// Neither of the two pixel orders.
    Order(u32),
    /// The display does not begin with the first pixel.
    Offset(Pair),
    /// A row does not fit in the pitch, or it is absurd, or splits a pixel.
    Pitch(u32),
    /// No memory was allocated.
    NoMemory,
    /// The address is not that of a word.
    Misaligned(u32),
    /// It would lie in the ARM's memory.
    InArmMemory(u32),
    /// It would reach beyond the memory.
    BeyondMemory {
        /// Physical address.
        base: u32,
        /// Bytes.
        size: u32,
    },
    /// The buffer is smaller than its rows.
    TooSmall {
        /// Bytes allocated.
        size: u32,
        /// Bytes of the rows.
        needs: u32,
    },
}

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Send [`Setup::ask`] and give the answer to [`Setup::answer`].
    Ask,
    /// There is a framebuffer.
    Done(Framebuffer),
    /// There is none to be had; why the last one was refused.
    None(Refused),
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    physical: Slot<SetPhysicalSize>,
    virtual_: Slot<SetVirtualSize>,
    depth: Slot<SetDepth>,
    order: Slot<SetPixelOrder>,
    offset: Slot<SetVirtualOffset>,
    allocation: Slot<AllocateFramebuffer>,
    pitch: Slot<GetPitch>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Look { sent: Option<(Slot<GetPhysicalSize>, Slot<EdidBlock>)> },
    Set { attempt: u8, sent: Option<Asked> },
    Done,
}

/// The negotiation.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    wish: Wish,
    size: (u32, u32),
    display: Display,
    refused: Option<Refused>,
    state: State,
}

impl Setup {
    /// Begins with a look.
    #[must_use]
    pub const fn new(wish: Wish) -> Self {
        let (size, display) = (FALLBACK, Display::Silent);
        Self { wish, size, display, refused: None, state: State::Look { sent: None } }
    }

    /// What was found at the other end of the cable.
    #[must_use]
    pub const fn display(&self) -> Display {
        self.display
    }

    /// Why the last answer was refused, if one was.
    #[must_use]
    pub const fn refused(&self) -> Option<Refused> {
        self.refused
    }

    /// The next question. It takes at most [`MESSAGE`] bytes.
    ///
    /// # Errors
    /// [`MessageError::NoRoom`].
    pub fn ask(&mut self, request: &mut Request<'_>) -> Result<(), MessageError> {
        match &mut self.state {
            State::Look { sent } => {
                *sent = Some((request.add(&GetPhysicalSize)?, request.add(&EdidBlock(0))?));
            }
            State::Set { attempt, .. } => {
                let attempt = *attempt;
                let (size, depth) = self.candidate(attempt);
                if attempt > 0 {
                    request.add(&ReleaseFramebuffer)?;
                }
                let asked = Asked {
                    physical: request.add(&SetPhysicalSize(size))?,
                    virtual_: request.add(&SetVirtualSize(size))?,
                    depth: request.add(&SetDepth(depth.bits()))?,
                    order: request.add(&SetPixelOrder(1))?,
                    offset: request.add(&SetVirtualOffset(Pair { x: 0, y: 0 }))?,
                    allocation: request.add(&AllocateFramebuffer(PAGE))?,
                    pitch: request.add(&GetPitch)?,
                };
                // The fourth byte is to do nothing; firmware that does not know
                // this takes 0, which it is, for opaque.
                request.add(&SetAlphaMode(2))?;
                self.state = State::Set { attempt, sent: Some(asked) };
            }
            State::Done => {}
        }
        Ok(())
    }

    /// Takes the answer to what [`Setup::ask`] asked; `Err`: it never came, or
    /// was not one.
    pub fn answer(&mut self, answer: Result<Response<'_>, MessageError>) -> Step {
        match self.state {
            State::Look { sent } => {
                if let (Ok(response), Some((size, edid))) = (answer, sent) {
                    self.look(&response, size, edid);
                }
                self.state = State::Set { attempt: 0, sent: None };
                Step::Ask
            }
            State::Set { attempt, sent } => {
                let (size, depth) = self.candidate(attempt);
                let checked = match (answer, sent) {
                    (Ok(response), Some(asked)) => self.check(&response, &asked, size, depth),
                    (Err(error), _) => Err(Refused::Message(error)),
                    (Ok(_), None) => Err(Refused::Message(MessageError::BadCode(0))),
                };
                match checked {
                    Ok(framebuffer) => {
                        self.state = State::Done;
                        Step::Done(framebuffer)
                    }
                    Err(refused) => {
                        self.refused = Some(refused);
                        if attempt + 1 < ATTEMPTS {
                            self.state = State::Set { attempt: attempt + 1, sent: None };
                            Step::Ask
                        } else {
                            self.state = State::Done;
                            Step::None(refused)
                        }
                    }
                }
            }
            State::Done => Step::None(self.refused.unwrap_or(Refused::NoMemory)),
        }
    }

    /// The size: as wished, or as the display has it, or as the monitor likes
    /// it, or what always works.
    fn look(
        &mut self,
        response: &Response<'_>,
        size: Slot<GetPhysicalSize>,
        block: Slot<EdidBlock>,
    ) {
        if let Ok(Some(block)) = response.get(block)
            && let Ok(monitor) = edid::parse(block)
        {
            self.display = Display::Monitor(monitor);
        }
        let preferred = match self.display {
            Display::Monitor(m) => Some((u32::from(m.width), u32::from(m.height))),
            Display::Silent => None,
        };
        let shown = response.get(size).ok().map(|size| (size.x, size.y));
        let sizes = [self.wish.size, shown, preferred];
        self.size = sizes.into_iter().flatten().find(|s| sensible(*s)).unwrap_or(FALLBACK);
    }

    /// What is asked for at an attempt.
    fn candidate(&self, attempt: u8) -> (Pair, Depth) {
        let (x, y) = if attempt < 2 { self.size } else { FALLBACK };
        let other = match self.wish.depth {
            Depth::Bits16 => Depth::Bits32,
            Depth::Bits32 => Depth::Bits16,
        };
        (Pair { x, y }, if attempt.is_multiple_of(2) { self.wish.depth } else { other })
    }

    fn check(
        &self,
        response: &Response<'_>,
        asked: &Asked,
        size: Pair,
        depth: Depth,
    ) -> Result<Framebuffer, Refused> {
        let physical = response.get(asked.physical).map_err(Refused::Tag)?;
        let virtual_ = response.get(asked.virtual_).map_err(Refused::Tag)?;
        if physical != size || virtual_ != size {
            return Err(Refused::Size { physical, virtual_ });
        }
        match response.get(asked.depth).map_err(Refused::Tag)? {
            bits if bits == depth.bits() => {}
            bits => return Err(Refused::Depth(bits)),
        }
        let order = match response.get(asked.order) {
            Ok(0) => Order::Bgr,
            // Firmware too old to be asked has this one.
            Ok(1) | Err(TagError::Unknown(_)) => Order::Rgb,
            Ok(order) => return Err(Refused::Order(order)),
            Err(error) => return Err(Refused::Tag(error)),
        };
        match response.get(asked.offset).map_err(Refused::Tag)? {
            Pair { x: 0, y: 0 } => {}
            offset => return Err(Refused::Offset(offset)),
        }
        let allocation = response.get(asked.allocation).map_err(Refused::Tag)?;
        let pitch = response.get(asked.pitch).map_err(Refused::Tag)?;
        let bytes = depth.bits() / 8;
        if pitch < size.x * bytes || pitch > MAX_PITCH || !pitch.is_multiple_of(4) {
            return Err(Refused::Pitch(pitch));
        }
        let base = self.place(allocation, pitch * size.y)?;
        Ok(Framebuffer {
            base,
            bytes: pitch * size.y,
            width: size.x as u16,
            height: size.y as u16,
            pitch,
            format: Format { depth, order },
        })
    }

    /// The physical address of an allocation that holds so many bytes.
    fn place(&self, allocation: Allocation, needs: u32) -> Result<u32, Refused> {
        let Allocation { address, size } = allocation;
        let base = address & PHYSICAL;
        if base == 0 || size == 0 {
            return Err(Refused::NoMemory);
        }
        if !base.is_multiple_of(4) {
            return Err(Refused::Misaligned(base));
        }
        if size < needs {
            return Err(Refused::TooSmall { size, needs });
        }
        if base < self.wish.arm_end {
            return Err(Refused::InArmMemory(base));
        }
        if base.checked_add(size).is_none_or(|end| end > MEMORY_END) {
            return Err(Refused::BeyondMemory { base, size });
        }
        Ok(base)
    }
}

/// Both depths, at the display's size and at 640x480.
const ATTEMPTS: u8 = 4;

const fn sensible(size: (u32, u32)) -> bool {
    let (width, height) = size;
    width >= MIN_WIDTH && width <= MAX_WIDTH && height >= MIN_HEIGHT && height <= MAX_HEIGHT
}
