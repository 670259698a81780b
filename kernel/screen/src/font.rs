//! The font: Spleen, in two sizes that were drawn and a third made of the
//! larger one by doubling it and rounding its corners.
//!
//! Glyphs are packed to a quarter of their pixels: the box that holds ink, and
//! of each row only a bit if it is like the one above. One is unpacked when a
//! cell is painted, which takes less time than painting it.

mod data;

use data::{LARGE, LARGE_LENGTHS, MORE, SMALL, SMALL_LENGTHS};

/// Width of a small glyph, and of a cell of a [`crate::Grid`].
pub const CELL_WIDTH: u8 = 8;
/// Rows of a small glyph.
pub const CELL_HEIGHT: u8 = 16;

/// Size of text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub enum Size {
    /// 8 by 16 pixels: one cell.
    #[default]
    Small,
    /// 16 by 32: two by two cells.
    Large,
    /// 32 by 64: four by four cells.
    Huge,
}

impl Size {
    /// Cells a glyph takes across, and down.
    #[must_use]
    pub const fn cells(self) -> u16 {
        match self {
            Self::Small => 1,
            Self::Large => 2,
            Self::Huge => 4,
        }
    }
}

/// Number of glyphs.
pub const GLYPHS: u8 = SMALL_LENGTHS.len() as u8;

const ASCII: u8 = b'~' - b' ' + 1;

/// The index of a character's glyph; what has none gets the last one.
#[must_use]
pub fn index(c: char) -> u8 {
    match c {
        ' '..='~' => c as u8 - b' ',
        _ => MORE.binary_search(&c).map_or(GLYPHS - 1, |more| ASCII + more as u8),
    }
}

/// A glyph's pixels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Glyph {
    /// Its leftmost pixel is in bit 31.
    rows: [u32; 64],
}

impl Glyph {
    /// Nothing.
    pub const BLANK: Self = Self { rows: [0; 64] };

    /// The glyph with an index, blank if there is none.
    #[must_use]
    pub fn new(index: u8, size: Size) -> Self {
        let mut glyph = Self::BLANK;
        let (lengths, bytes) = match size {
            Size::Small => (&SMALL_LENGTHS, SMALL.as_slice()),
            Size::Large | Size::Huge => (&LARGE_LENGTHS, LARGE.as_slice()),
        };
        let at: usize = lengths.iter().take(usize::from(index)).map(|len| usize::from(*len)).sum();
        if index < GLYPHS {
            glyph.unpack(&mut Bits { bytes: bytes.get(at..).unwrap_or_default(), used: 0 });
        }
        if size == Size::Huge {
            glyph.double();
        }
        glyph
    }

    /// A row, its leftmost pixel in bit 31.
    #[must_use]
    pub fn row(&self, y: u8) -> u32 {
        self.rows.get(usize::from(y)).copied().unwrap_or(0)
    }

    fn unpack(&mut self, bits: &mut Bits<'_>) {
        let (top, rows) = (bits.take(5), bits.take(6));
        let (left, columns) = (bits.take(4), bits.take(4) + 1);
        let mut row = 0;
        for place in self.rows.iter_mut().skip(top as usize).take(rows as usize) {
            if bits.take(1) == 0 {
                row = bits.take(columns) << (32 - columns) >> left;
            }
            *place = row;
        }
    }

    /// From 16 by 32 to 32 by 64 pixels. A pixel becomes four; one of them
    /// takes the colour of the two pixels next to its corner if those are the
    /// same and the other two differ from them (the rule of EPX).
    fn double(&mut self) {
        let small = self.rows;
        let at = |y: usize| small.get(y).copied().unwrap_or(0);
        for y in 0..32usize {
            // Beyond the edge it goes on as at the edge: lines join.
            let (row, up, down) = (at(y), at(y.saturating_sub(1)), at((y + 1).min(31)));
            let (west, east) = (row >> 1 | row & 1 << 31, row << 1 | row & 1 << 16);
            // Bits where a corner takes its neighbours' colour, and that colour.
            let corner = |v: u32, v_other: u32, h: u32, h_other: u32| {
                let take = !(v ^ h) & (v ^ v_other) & (h ^ h_other);
                (row & !take) | (v & take)
            };
            let upper = (corner(up, down, west, east), corner(up, down, east, west));
            let lower = (corner(down, up, west, east), corner(down, up, east, west));
            for (place, (left, right)) in [(y * 2, upper), (y * 2 + 1, lower)] {
                if let Some(place) = self.rows.get_mut(place) {
                    *place = spread(left) | spread(right) >> 1;
                }
            }
        }
    }
}

/// The upper sixteen bits, each in the upper one of two.
const fn spread(bits: u32) -> u32 {
    let mut x = bits >> 16;
    x = (x | x << 8) & 0x00FF_00FF;
    x = (x | x << 4) & 0x0F0F_0F0F;
    x = (x | x << 2) & 0x3333_3333;
    x = (x | x << 1) & 0x5555_5555;
    x << 1
}

/// Bits, the highest of a byte first.
struct Bits<'a> {
    bytes: &'a [u8],
    used: usize,
}

impl Bits<'_> {
    /// At most sixteen; beyond the end there are zeros.
    fn take(&mut self, count: u32) -> u32 {
        let at = self.used / 8;
        let byte = |n: usize| u32::from(self.bytes.get(at + n).copied().unwrap_or(0));
        let window = byte(0) << 24 | byte(1) << 16 | byte(2) << 8;
        let shift = (self.used % 8) as u32;
        self.used += count as usize;
        window << shift >> (32 - count)
    }
}
