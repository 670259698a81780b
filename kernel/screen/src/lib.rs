//! The screen, without touching it.
//!
//! The framebuffer belongs to the firmware: [`setup`] asks for one, checks
//! every word of the answer and says where it is. What is drawn goes out as
//! pieces of rows through a [`Sink`], so that this crate never holds a
//! reference to memory that a display reads. Nothing is ever read back: reading
//! uncached memory is what makes a scrolling text screen slow. Text lives in a
//! [`Grid`] of cells, which also knows what of it is shown, and only what
//! differs is painted, so much per call as the caller has time for.
//!
//! | module | what |
//! | --- | --- |
//! | [`setup`], [`edid`] | a framebuffer from the firmware |
//! | [`color`], [`surface`] | pixels, rectangles, pictures, clipped |
//! | [`font`], [`grid`], [`console`] | text |
//! | [`printf`] | C's `printf` with arguments nobody has to trust |
//! | [`bmp`] | BMP files, row by row |
//! | [`board`] | the status board of an idle board |
//! | [`screen`] | whose the screen is: the board's or a payload's |
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod bmp;
pub mod board;
pub mod color;
pub mod console;
pub mod edid;
pub mod font;
pub mod grid;
pub mod printf;
pub mod screen;
pub mod setup;
pub mod surface;

pub use color::{Color, Depth, Format, Order};
pub use console::Console;
pub use grid::Grid;
pub use screen::Screen;
pub use setup::{Framebuffer, Setup};
pub use surface::{Sink, Surface};
