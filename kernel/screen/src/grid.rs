//! Text as cells of 8 by 16 pixels: what is to be seen, and what of it is.
//!
//! Writing changes cells and paints nothing. [`Grid::flush`] paints the cells
//! that differ from what is on the screen, for as long as its caller has time,
//! and goes on there the next time. So scrolling moves a number, lines that
//! come faster than the screen is painted cost nothing, and a status line that
//! says the same again is not painted at all. Larger text takes several cells,
//! each of which knows its part of the glyph.

use crate::color::Color;
use crate::font::{CELL_HEIGHT, CELL_WIDTH, Glyph, Size};
use crate::surface::{Part, Sink, Surface};

/// Cells that do for the largest screen, 240 by 75.
pub const MAX_CELLS: usize = 240 * 75;
/// Rows there are marks for.
const MAX_ROWS: u16 = 128;
/// What looking at a cell costs, in pixels painted.
const LOOK: u32 = 4;

/// One cell. All zeros is a space, black on black.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cell {
    glyph: u8,
    /// Which part of it: 0 all of a small one, 1 to 4 of a large, 5 to 20 of a
    /// huge one, row by row.
    part: u8,
    ink: u16,
    paper: u16,
}

impl Cell {
    /// A space.
    #[must_use]
    pub const fn blank(paper: Color) -> Self {
        Self { glyph: 0, part: 0, ink: 0, paper: paper.to_565() }
    }

    const NOTHING: Self = Self { glyph: 0, part: 0, ink: 0, paper: 0 };

    /// Size of the glyph, and the part's column and row in it.
    const fn place(self) -> (Size, u8, u8) {
        match self.part {
            0 => (Size::Small, 0, 0),
            n @ 1..=4 => (Size::Large, (n - 1) % 2, (n - 1) / 2),
            n => (Size::Huge, (n - 5) % 4, (n - 5) / 4 % 4),
        }
    }
}

/// A mark for each row.
#[derive(Clone, Copy, Debug)]
struct Rows([u32; MAX_ROWS as usize / 32]);

impl Rows {
    const NONE: Self = Self([0; MAX_ROWS as usize / 32]);
    const ALL: Self = Self([u32::MAX; MAX_ROWS as usize / 32]);

    fn has(self, row: u16) -> bool {
        self.0.get(usize::from(row / 32)).is_some_and(|word| word >> (row % 32) & 1 != 0)
    }

    fn set(&mut self, row: u16, to: bool) {
        if let Some(word) = self.0.get_mut(usize::from(row / 32)) {
            *word = *word & !(1 << (row % 32)) | u32::from(to) << (row % 32);
        }
    }
}

/// Where painting goes on.
#[derive(Clone, Copy, Debug)]
struct Painting {
    /// In the middle of a row. A field, because an `Option` of the others would
    /// not be all zeros when it is `None`, and a grid would be stored in the
    /// image with all its cells.
    begun: bool,
    row: u16,
    column: u16,
    /// What is on the screen in this row is not known.
    blind: bool,
}

impl Painting {
    const NONE: Self = Self { begun: false, row: 0, column: 0, blind: false };
}

/// The cells of a screen, at most `N`.
pub struct Grid<const N: usize> {
    wanted: [Cell; N],
    shown: [Cell; N],
    columns: u16,
    rows: u16,
    /// Left and upper edge in pixels.
    origin: (u16, u16),
    /// Row of `wanted` that is uppermost on the screen.
    top: u16,
    /// Rows, as on the screen, that may differ from what is shown.
    changed: Rows,
    /// Rows of which it is not known what is shown.
    unknown: Rows,
    painting: Painting,
    glyph: (u8, Size, Glyph),
}

impl<const N: usize> core::fmt::Debug for Grid<N> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Grid")
            .field("columns", &self.columns)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl<const N: usize> Default for Grid<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Grid<N> {
    /// One without cells. All its bytes are 0: a static one takes no room in an
    /// image.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            wanted: [Cell::NOTHING; N],
            shown: [Cell::NOTHING; N],
            columns: 0,
            rows: 0,
            origin: (0, 0),
            top: 0,
            changed: Rows::NONE,
            unknown: Rows::NONE,
            painting: Painting::NONE,
            glyph: (0, Size::Small, Glyph::BLANK),
        }
    }

    /// Fits the grid to a screen, in its middle: as many whole cells as there
    /// is room for. They are blank, and taken for shown: clear the screen.
    pub fn resize(&mut self, width: u16, height: u16, paper: Color) {
        let (cell_width, cell_height) = (u16::from(CELL_WIDTH), u16::from(CELL_HEIGHT));
        self.columns = (width / cell_width).min(u16::try_from(N).unwrap_or(u16::MAX));
        let room = N / usize::from(self.columns).max(1);
        let room = u16::try_from(room).unwrap_or(u16::MAX).min(MAX_ROWS);
        self.rows = if self.columns == 0 { 0 } else { (height / cell_height).min(room) };
        let middle = |all: u16, cells: u16, cell: u16| all.saturating_sub(cells * cell) / 2;
        self.origin =
            (middle(width, self.columns, cell_width), middle(height, self.rows, cell_height));
        self.blank(paper);
    }

    /// All cells blank, and taken for shown.
    pub fn blank(&mut self, paper: Color) {
        self.wanted.fill(Cell::blank(paper));
        self.shown.fill(Cell::blank(paper));
        (self.top, self.changed, self.unknown, self.painting) =
            (0, Rows::NONE, Rows::NONE, Painting::NONE);
    }

    /// All cells blank.
    pub fn clear(&mut self, paper: Color) {
        self.wanted.fill(Cell::blank(paper));
        self.changed = Rows::ALL;
    }

    /// What is on the screen is not known any more: everything is painted.
    pub const fn forget(&mut self) {
        self.changed = Rows::ALL;
        self.unknown = Rows::ALL;
    }

    /// Cells in a row.
    #[must_use]
    pub const fn columns(&self) -> u16 {
        self.columns
    }

    /// Rows of cells.
    #[must_use]
    pub const fn rows(&self) -> u16 {
        self.rows
    }

    /// Sets a cell. Outside nothing happens.
    pub fn set(&mut self, column: u16, row: u16, cell: Cell) {
        let Some(index) = self.index(column, row) else { return };
        if let Some(place) = self.wanted.get_mut(index)
            && *place != cell
        {
            *place = cell;
            self.changed.set(row, true);
        }
    }

    /// Puts a glyph into as many cells as its size takes.
    pub fn put(&mut self, column: u16, row: u16, glyph: u8, size: Size, ink: Color, paper: Color) {
        let (ink, paper) = (ink.to_565(), paper.to_565());
        let mut part = match size {
            Size::Small => 0,
            Size::Large => 1,
            Size::Huge => 5,
        };
        let n = size.cells();
        for y in 0..n {
            for x in 0..n {
                // A space is the same in all its parts: less to paint.
                let cell = match glyph {
                    0 => Cell { glyph: 0, part: 0, ink: 0, paper },
                    _ => Cell { glyph, part, ink, paper },
                };
                self.set(column.saturating_add(x), row.saturating_add(y), cell);
                part += 1;
            }
        }
    }

    /// Moves everything up by some rows; those that come in are blank.
    pub fn scroll(&mut self, by: u16, paper: Color) {
        let by = by.min(self.rows);
        if by == 0 {
            return;
        }
        self.top = (self.top + by) % self.rows;
        for row in self.rows - by..self.rows {
            for column in 0..self.columns {
                self.set(column, row, Cell::blank(paper));
            }
        }
        self.changed = Rows::ALL;
    }

    /// Is everything shown?
    #[must_use]
    pub fn is_shown(&self) -> bool {
        !self.painting.begun && self.next_row().is_none()
    }

    /// Paints what differs, until about `budget` pixels are painted. `true`:
    /// everything is shown.
    pub fn flush<S: Sink>(&mut self, surface: &mut Surface<S>, budget: u32) -> bool {
        let mut budget = budget;
        loop {
            let mut at = core::mem::replace(&mut self.painting, Painting::NONE);
            if !at.begun {
                let Some(row) = self.next_row() else { return true };
                // Cells set from here on mark the row again.
                self.changed.set(row, false);
                at = Painting { begun: true, row, column: 0, blind: self.unknown.has(row) };
                self.unknown.set(row, false);
            }
            while at.column < self.columns {
                if budget == 0 {
                    self.painting = at;
                    return false;
                }
                budget = budget.saturating_sub(self.cell(surface, at));
                at.column += 1;
            }
        }
    }

    /// Paints a cell if it differs; what that cost.
    fn cell<S: Sink>(&mut self, surface: &mut Surface<S>, at: Painting) -> u32 {
        let place = usize::from(at.row) * usize::from(self.columns) + usize::from(at.column);
        let wanted = self.index(at.column, at.row).and_then(|index| self.wanted.get(index));
        let (Some(wanted), Some(shown)) = (wanted, self.shown.get_mut(place)) else {
            return LOOK;
        };
        if *wanted == *shown && !at.blind {
            return LOOK;
        }
        *shown = *wanted;
        let (size, x, y) = wanted.place();
        if (self.glyph.0, self.glyph.1) != (wanted.glyph, size) {
            self.glyph = (wanted.glyph, size, Glyph::new(wanted.glyph, size));
        }
        let part = Part {
            glyph: &self.glyph.2,
            from_x: x * CELL_WIDTH,
            from_y: y * CELL_HEIGHT,
            width: CELL_WIDTH,
            height: CELL_HEIGHT,
        };
        let left = i32::from(self.origin.0) + i32::from(at.column) * i32::from(CELL_WIDTH);
        let upper = i32::from(self.origin.1) + i32::from(at.row) * i32::from(CELL_HEIGHT);
        let (ink, paper) = (Color::from_565(wanted.ink), Color::from_565(wanted.paper));
        surface.glyph(left, upper, &part, ink, paper);
        u32::from(CELL_WIDTH) * u32::from(CELL_HEIGHT)
    }

    /// The first row that may differ.
    fn next_row(&self) -> Option<u16> {
        (0..self.rows).find(|row| self.changed.has(*row))
    }

    fn index(&self, column: u16, row: u16) -> Option<usize> {
        if column >= self.columns || row >= self.rows {
            return None;
        }
        // Without a division, which would be a call.
        let row = self.top + row;
        let row = if row >= self.rows { row - self.rows } else { row };
        Some(usize::from(row) * usize::from(self.columns) + usize::from(column))
    }
}
