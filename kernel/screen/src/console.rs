//! A terminal's worth of text: a cursor, colours, sizes, scrolling. Takes
//! UTF-8 in pieces; what is not UTF-8, or has no glyph, becomes a box.

use crate::color::Color;
use crate::font::{self, Size};
use crate::grid::Grid;

/// Tabs stop at every eighth character.
const TAB: u16 = 8;

/// Where and how text goes on.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    column: u16,
    row: u16,
    /// Colour of the text.
    pub ink: Color,
    /// Colour behind it.
    pub paper: Color,
    /// Its size.
    pub size: Size,
    /// The largest size on this line.
    line: Size,
    utf8: Utf8,
}

impl Default for Console {
    fn default() -> Self {
        Self::new(Color::WHITE, Color::BLACK)
    }
}

impl Console {
    /// At the upper left, small.
    #[must_use]
    pub const fn new(ink: Color, paper: Color) -> Self {
        let (size, utf8) = (Size::Small, Utf8::START);
        Self { column: 0, row: 0, ink, paper, size, line: size, utf8 }
    }

    /// Column and row of the cell where text goes on.
    #[must_use]
    pub const fn cursor(&self) -> (u16, u16) {
        (self.column, self.row)
    }

    /// Goes to a cell. Beyond the edges the next character goes to a new line
    /// or scrolls.
    pub const fn go(&mut self, column: u16, row: u16) {
        (self.column, self.row, self.line) = (column, row, Size::Small);
    }

    /// Empties the grid, and goes to the upper left.
    pub fn clear<const N: usize>(&mut self, grid: &mut Grid<N>) {
        grid.clear(self.paper);
        self.go(0, 0);
    }

    /// Writes bytes.
    pub fn write<const N: usize>(&mut self, grid: &mut Grid<N>, bytes: &[u8]) {
        for byte in bytes {
            for c in self.utf8.take(*byte).into_iter().flatten() {
                self.char(grid, c);
            }
        }
    }

    fn char<const N: usize>(&mut self, grid: &mut Grid<N>, c: char) {
        let cells = self.size.cells();
        match c {
            '\n' => self.new_line(grid),
            '\r' => self.column = 0,
            '\x08' => self.column = self.column.saturating_sub(cells),
            '\t' => {
                let stop = TAB * cells;
                let next = (self.column / stop).saturating_add(1).saturating_mul(stop);
                // Not beyond the edge, where a glyph would go to the next line.
                let room = next.min(grid.columns()).saturating_sub(self.column);
                for _ in 0..room / cells {
                    self.glyph(grid, font::index(' '));
                }
            }
            c => self.glyph(grid, font::index(c)),
        }
    }

    fn glyph<const N: usize>(&mut self, grid: &mut Grid<N>, glyph: u8) {
        let cells = self.size.cells();
        if self.column > 0 && self.column.saturating_add(cells) > grid.columns() {
            self.new_line(grid);
        }
        if self.size > self.line {
            self.line = self.size;
        }
        self.make_room(grid);
        grid.put(self.column, self.row, glyph, self.size, self.ink, self.paper);
        self.column = self.column.saturating_add(cells);
    }

    fn new_line<const N: usize>(&mut self, grid: &mut Grid<N>) {
        self.column = 0;
        self.row = self.row.saturating_add(self.line.max(self.size).cells());
        self.line = Size::Small;
        self.make_room(grid);
    }

    /// Scrolls until the line is on the screen.
    fn make_room<const N: usize>(&mut self, grid: &mut Grid<N>) {
        let end = self.row.saturating_add(self.line.cells());
        let over = end.saturating_sub(grid.rows());
        if over > 0 {
            grid.scroll(over, self.paper);
            self.row = self.row.saturating_sub(over);
        }
    }
}

/// A decoder that takes a byte at a time. One that does not fit ends what was
/// begun, which becomes a single replacement character, and begins anew (The
/// Unicode Standard, section 3.9, *maximal subparts*).
#[derive(Clone, Copy, Debug)]
struct Utf8 {
    code: u32,
    /// Bytes to come.
    more: u8,
    /// What the next may be.
    low: u8,
    high: u8,
}

impl Utf8 {
    const START: Self = Self { code: 0, more: 0, low: 0x80, high: 0xBF };

    fn take(&mut self, byte: u8) -> [Option<char>; 2] {
        const BAD: Option<char> = Some(char::REPLACEMENT_CHARACTER);
        if self.more > 0 {
            if byte >= self.low && byte <= self.high {
                (self.low, self.high) = (0x80, 0xBF);
                self.code = self.code << 6 | u32::from(byte & 0x3F);
                self.more -= 1;
                let done = if self.more == 0 { char::from_u32(self.code) } else { None };
                return [done, None];
            }
            *self = Self::START;
            return [BAD, self.first(byte)];
        }
        [self.first(byte), None]
    }

    fn first(&mut self, byte: u8) -> Option<char> {
        let (bits, more, low, high) = match byte {
            0..=0x7F => return Some(char::from(byte)),
            0xC2..=0xDF => (0x1F, 1, 0x80, 0xBF),
            0xE0 => (0x0F, 2, 0xA0, 0xBF),
            0xED => (0x0F, 2, 0x80, 0x9F),
            0xE1..=0xEF => (0x0F, 2, 0x80, 0xBF),
            0xF0 => (0x07, 3, 0x90, 0xBF),
            0xF4 => (0x07, 3, 0x80, 0x8F),
            0xF1..=0xF3 => (0x07, 3, 0x80, 0xBF),
            _ => return Some(char::REPLACEMENT_CHARACTER),
        };
        *self = Self { code: u32::from(byte & bits), more, low, high };
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Utf8;
    use proptest::prelude::*;
    use std::string::String;
    use std::vec::Vec;

    proptest! {
        /// As the standard library decodes, but for a sequence that is not
        /// ended yet.
        #[test]
        fn utf8_is_decoded_as_the_standard_library_does(
            pieces in proptest::collection::vec(prop_oneof![
                any::<char>().prop_map(|c| String::from(c).into_bytes()),
                proptest::collection::vec(any::<u8>(), 1..4),
                proptest::collection::vec(0x80u8.., 1..4),
            ], 0..20),
        ) {
            let mut bytes: Vec<u8> = pieces.concat();
            bytes.push(b'.');
            let mut utf8 = Utf8::START;
            let ours: String = bytes.iter().flat_map(|b| utf8.take(*b)).flatten().collect();
            prop_assert_eq!(ours, String::from_utf8_lossy(&bytes));
        }
    }
}
