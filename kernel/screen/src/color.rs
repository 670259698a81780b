//! Colours, and the two forms a pixel has in the framebuffer.
//!
//! 16 bits are five of red, six of green, five of blue, red highest; 32 bits
//! are one byte each, red lowest, the highest byte unused. That is pixel order
//! 1 (RGB) of the firmware; order 0 swaps red and blue.

/// A colour: 0x00RRGGBB.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Color(pub u32);

impl Color {
    /// Black.
    pub const BLACK: Self = Self(0);
    /// White.
    pub const WHITE: Self = Self(0x00FF_FFFF);

    /// From red, green and blue.
    #[must_use]
    pub const fn rgb(red: u8, green: u8, blue: u8) -> Self {
        Self((red as u32) << 16 | (green as u32) << 8 | blue as u32)
    }

    /// From 16 bits, the highest bits of each part repeated below: white stays
    /// white.
    #[must_use]
    pub const fn from_565(bits: u16) -> Self {
        let (r, g, b) = (bits as u32 >> 11, bits as u32 >> 5 & 0x3F, bits as u32 & 0x1F);
        Self((r << 3 | r >> 2) << 16 | (g << 2 | g >> 4) << 8 | (b << 3 | b >> 2))
    }

    /// In 16 bits.
    #[must_use]
    pub const fn to_565(self) -> u16 {
        ((self.0 >> 8 & 0xF800) | (self.0 >> 5 & 0x07E0) | (self.0 >> 3 & 0x001F)) as u16
    }

    const fn swapped(self) -> Self {
        Self((self.0 & 0xFF) << 16 | (self.0 & 0xFF00) | (self.0 >> 16 & 0xFF))
    }
}

/// Bits of a pixel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    /// 16: half the memory traffic.
    Bits16,
    /// 32.
    Bits32,
}

impl Depth {
    /// As a number.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::Bits16 => 16,
            Self::Bits32 => 32,
        }
    }

    /// Bytes of a pixel.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.bits() as usize / 8
    }
}

/// Which colour is where in a pixel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// The firmware's 0.
    Bgr,
    /// The firmware's 1.
    Rgb,
}

/// What a pixel looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Format {
    /// Bits of it.
    pub depth: Depth,
    /// Order of colours in it.
    pub order: Order,
}

impl Format {
    /// A colour as a pixel, in the lowest bits.
    #[must_use]
    pub const fn pixel(self, color: Color) -> u32 {
        // Color has blue lowest, the framebuffer's 32-bit RGB has red there.
        match (self.depth, self.order) {
            (Depth::Bits16, Order::Rgb) => color.to_565() as u32,
            (Depth::Bits16, Order::Bgr) => color.swapped().to_565() as u32,
            (Depth::Bits32, Order::Rgb) => color.swapped().0,
            (Depth::Bits32, Order::Bgr) => color.0 & 0x00FF_FFFF,
        }
    }

    /// The colour of a pixel: what a picture of the framebuffer shows.
    #[must_use]
    pub const fn color(self, pixel: u32) -> Color {
        match (self.depth, self.order) {
            (Depth::Bits16, Order::Rgb) => Color::from_565(pixel as u16),
            (Depth::Bits16, Order::Bgr) => Color::from_565(pixel as u16).swapped(),
            (Depth::Bits32, Order::Rgb) => Color(pixel & 0x00FF_FFFF).swapped(),
            (Depth::Bits32, Order::Bgr) => Color(pixel & 0x00FF_FFFF),
        }
    }
}
