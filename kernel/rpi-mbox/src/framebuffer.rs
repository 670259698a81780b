//! The tags that set a framebuffer up, and the one that reads what the monitor
//! says of itself. Firmware answers a *set* with what it did, which need not
//! be what was asked: whoever asks compares. (*Mailbox property interface*,
//! frame buffer.)

use crate::message::{Tag, Value, Words};

/// A width and a height, or a left and a top, in pixels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pair {
    /// Along a row.
    pub x: u32,
    /// Rows.
    pub y: u32,
}

impl Pair {
    fn of(value: &Value<'_>) -> Option<Self> {
        Some(Self { x: value.word(0)?, y: value.word(1)? })
    }
}

/// What an allocated framebuffer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allocation {
    /// Its address: of the bus with newer firmware, physical with older.
    /// Masking with 0x3FFF_FFFF makes either physical.
    pub address: u32,
    /// Bytes.
    pub size: u32,
}

/// A tag that asks with words and gets words.
macro_rules! tag {
    ($(#[$doc:meta])* $name:ident $(($ty:ty, |$this:ident| $words:expr))? = $id:literal,
     $room:literal bytes, $reply:ty, |$value:ident| $answer:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct $name $((pub $ty))?;

        impl Tag for $name {
            type Reply<'m> = $reply;
            const ID: u32 = $id;
            fn room(&self) -> usize {
                $room
            }
            $(fn ask(&self, value: &mut Words<'_>) {
                let $this = self.0;
                for (index, word) in $words.into_iter().enumerate() {
                    value.set(index, word);
                }
            })?
            fn answer<'m>($value: &Value<'m>) -> Option<$reply> {
                $answer
            }
        }
    };
}

tag! {
    /// Size of the picture that goes to the display.
    GetPhysicalSize = 0x0004_0003, 8 bytes, Pair, |value| Pair::of(value)
}
tag! {
    /// Sets that size; what it is now.
    SetPhysicalSize(Pair, |size| [size.x, size.y]) = 0x0004_8003, 8 bytes, Pair,
    |value| Pair::of(value)
}
tag! {
    /// Sets the size of the framebuffer; what it is now.
    SetVirtualSize(Pair, |size| [size.x, size.y]) = 0x0004_8004, 8 bytes, Pair,
    |value| Pair::of(value)
}
tag! {
    /// Sets the bits of a pixel; what they are now.
    SetDepth(u32, |bits| [bits]) = 0x0004_8005, 4 bytes, u32, |value| value.word(0)
}
tag! {
    /// Sets the order of a pixel's colours, 0: blue in the lowest bits of a
    /// 32-bit pixel, 1: red; what it is now.
    SetPixelOrder(u32, |order| [order]) = 0x0004_8006, 4 bytes, u32, |value| value.word(0)
}
tag! {
    /// Sets what the fourth byte of a pixel does, 2: nothing; what it is now.
    SetAlphaMode(u32, |mode| [mode]) = 0x0004_8007, 4 bytes, u32, |value| value.word(0)
}
tag! {
    /// Sets which pixel of the framebuffer is the display's first; what it is
    /// now.
    SetVirtualOffset(Pair, |at| [at.x, at.y]) = 0x0004_8009, 8 bytes, Pair,
    |value| Pair::of(value)
}
tag! {
    /// Allocates the framebuffer, with an alignment in bytes.
    AllocateFramebuffer(u32, |alignment| [alignment]) = 0x0004_0001, 8 bytes, Allocation,
    |value| Some(Allocation { address: value.word(0)?, size: value.word(1)? })
}
tag! {
    /// Gives the framebuffer back.
    ReleaseFramebuffer = 0x0004_8001, 4 bytes, (), |_value| Some(())
}
tag! {
    /// Bytes from one row of the framebuffer to the next.
    GetPitch = 0x0004_0008, 4 bytes, u32, |value| value.word(0)
}

/// Asks for a block of the monitor's EDID; `None` = there is no such block, as
/// a rule because there is no monitor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EdidBlock(pub u32);

impl Tag for EdidBlock {
    type Reply<'m> = Option<&'m [u8; 128]>;
    const ID: u32 = 0x0003_0020;
    fn room(&self) -> usize {
        8 + 128
    }
    fn ask(&self, value: &mut Words<'_>) {
        value.set(0, self.0);
    }
    fn answer<'m>(value: &Value<'m>) -> Option<Option<&'m [u8; 128]>> {
        if value.word(1)? != 0 {
            return Some(None);
        }
        value.bytes().get(8..)?.first_chunk().map(Some)
    }
}
