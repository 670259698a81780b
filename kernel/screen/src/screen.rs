//! Whose the screen is.
//!
//! While the board idles, its status board is on it. The first thing a payload
//! draws takes the whole screen, black, and when the payload has ended the
//! board takes it back. Both begin with a cleared screen; clearing takes its
//! time like everything else, and until [`Screen::step`] has come to its end
//! nobody draws.

use crate::color::Color;
use crate::console::Console;
use crate::grid::{Grid, MAX_CELLS};
use crate::surface::{Area, Sink, Span, Surface};

/// Behind the status board.
pub const BACKGROUND: Color = Color::rgb(0x10, 0x14, 0x20);

/// Who draws.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// The kernel: the status board.
    Board,
    /// The payload that runs.
    Payload,
}

/// A screen with text on it.
#[derive(Debug)]
pub struct Screen<'g, S, const N: usize = MAX_CELLS> {
    surface: Surface<S>,
    /// The text.
    pub grid: &'g mut Grid<N>,
    /// Where a payload's text goes on.
    pub console: Console,
    owner: Owner,
    clearing: Option<Span>,
    /// Colour that it is being cleared to.
    paper: Color,
}

impl<'g, S: Sink, const N: usize> Screen<'g, S, N> {
    /// The board's screen, about to be cleared.
    pub fn new(surface: Surface<S>, grid: &'g mut Grid<N>) -> Self {
        let geometry = surface.geometry();
        grid.resize(geometry.width, geometry.height, BACKGROUND);
        let console = Console::default();
        let (owner, paper) = (Owner::Board, BACKGROUND);
        let mut screen = Self { surface, grid, console, owner, clearing: None, paper };
        screen.clear(BACKGROUND);
        screen
    }

    /// Who draws?
    #[must_use]
    pub const fn owner(&self) -> Owner {
        self.owner
    }

    /// The payload draws from now on. It begins with a black screen.
    pub fn take(&mut self) {
        if self.owner != Owner::Payload {
            self.owner = Owner::Payload;
            self.console = Console::default();
            self.clear(Color::BLACK);
        }
    }

    /// The payload has ended.
    pub fn give_back(&mut self) {
        if self.owner != Owner::Board {
            self.owner = Owner::Board;
            self.clear(BACKGROUND);
        }
    }

    /// Clears the screen, text and all, from the next step on.
    pub fn clear(&mut self, paper: Color) {
        let geometry = self.surface.geometry();
        let (width, height) = (u32::from(geometry.width), u32::from(geometry.height));
        self.paper = paper;
        self.clearing = Some(Span::new(Area { x: 0, y: 0, width, height }));
        self.grid.blank(paper);
        self.console.go(0, 0);
    }

    /// Where pixels are drawn, if the screen is cleared.
    pub const fn surface(&mut self) -> Option<&mut Surface<S>> {
        if self.clearing.is_some() { None } else { Some(&mut self.surface) }
    }

    /// Writes text; it is seen after the next steps.
    pub fn write(&mut self, bytes: &[u8]) {
        self.console.write(self.grid, bytes);
    }

    /// Paints about `budget` pixels, at least a row. `true`: everything is
    /// shown.
    pub fn step(&mut self, budget: u32) -> bool {
        if let Some(span) = &mut self.clearing {
            if self.surface.fill(span, self.paper, budget) {
                self.clearing = None;
            }
            return false;
        }
        self.grid.flush(&mut self.surface, budget)
    }
}

impl<S: Sink, const N: usize> crate::printf::Out for Screen<'_, S, N> {
    fn put(&mut self, bytes: &[u8]) {
        self.write(bytes);
    }
}
