//! Drawing: every coordinate may be anything, and what is outside is not drawn.
//!
//! A [`Surface`] turns shapes into pieces of rows and hands those to a
//! [`Sink`]. Shapes of many pixels are drawn a few rows per call, so that no
//! caller has to wait for a whole screen: [`Span`] says which rows are left.

use crate::color::{Color, Depth, Format};
use crate::font::Glyph;
use crate::setup::Framebuffer;
use core::ops::Range;

/// Where pixels go: the bytes of a framebuffer, which may only be written.
pub trait Sink {
    /// Bytes there are.
    fn len(&self) -> usize;

    /// No bytes?
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes bytes at an offset. Both are whole pixels. What would lie outside
    /// must be dropped, although no [`Surface`] asks for it. Worth a loop that
    /// stores words, and not to be inlined: it is called from many places.
    fn put(&mut self, at: usize, bytes: &[u8]);
}

impl<S: Sink + ?Sized> Sink for &mut S {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        (**self).put(at, bytes);
    }
}

impl Sink for [u8] {
    fn len(&self) -> usize {
        <[u8]>::len(self)
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        let place = at.checked_add(bytes.len()).and_then(|end| self.get_mut(at..end));
        if let Some(place) = place {
            place.copy_from_slice(bytes);
        }
    }
}

/// Shape of a surface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Geometry {
    /// Pixels in a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// Bytes from one row to the next.
    pub pitch: u32,
    /// What a pixel looks like.
    pub format: Format,
}

impl From<&Framebuffer> for Geometry {
    fn from(f: &Framebuffer) -> Self {
        Self { width: f.width, height: f.height, pitch: f.pitch, format: f.format }
    }
}

/// Bytes of a row that are made at a time.
const PIECE: usize = 256;

/// Something to draw on.
#[derive(Debug)]
pub struct Surface<S> {
    sink: S,
    geometry: Geometry,
}

/// A rectangle as a caller gives it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Area {
    /// Left edge.
    pub x: i32,
    /// Upper edge.
    pub y: i32,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// What of an area is left to be drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    area: Area,
    /// Rows of the area that are done.
    done: u32,
}

impl Span {
    /// All of it.
    #[must_use]
    pub const fn new(area: Area) -> Self {
        Self { area, done: 0 }
    }
}

impl<S: Sink> Surface<S> {
    /// A surface of a sink. `None`: its rows are not all inside, or overlap.
    #[must_use]
    pub fn new(sink: S, geometry: Geometry) -> Option<Self> {
        let pixel = geometry.format.depth.bytes();
        let row = usize::from(geometry.width) * pixel;
        let pitch = geometry.pitch as usize;
        let last = usize::from(geometry.height).checked_sub(1)?;
        let end = last.checked_mul(pitch)?.checked_add(row)?;
        let whole = row > 0 && pitch >= row && pitch.is_multiple_of(pixel);
        (whole && end <= sink.len()).then_some(Self { sink, geometry })
    }

    /// Its shape.
    #[must_use]
    pub const fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Where it goes.
    pub const fn sink(&self) -> &S {
        &self.sink
    }

    /// One pixel.
    pub fn pixel(&mut self, x: i32, y: i32, color: Color) {
        self.row(x, y, core::iter::once(color));
    }

    /// Pixels of a row, from `x` on.
    pub fn row(&mut self, x: i32, y: i32, colors: impl Iterator<Item = Color>) {
        let Some(start) = self.row_start(y) else { return };
        // Left of the screen: so many are left out.
        let skip = x.min(0).unsigned_abs() as usize;
        let x = x.max(0) as usize;
        let room = usize::from(self.geometry.width).saturating_sub(x);
        if room == 0 || skip > MAX_SKIP {
            return;
        }
        let format = self.geometry.format;
        self.write(start, x, colors.skip(skip).take(room).map(|color| format.pixel(color)));
    }

    /// Fills rows of an area, at least one and then as many as make up
    /// `budget` pixels. `true`: all is done.
    pub fn fill(&mut self, span: &mut Span, color: Color, budget: u32) -> bool {
        let Some((columns, rows)) = self.clip(span.area) else { return true };
        let pixel = self.geometry.format.pixel(color);
        let mut budget = budget;
        let mut y = rows.start + span.done.min(rows.end - rows.start);
        while y < rows.end {
            let start = y as usize * self.geometry.pitch as usize;
            self.solid(start, columns.start as usize, columns.len(), pixel);
            y += 1;
            span.done += 1;
            budget = budget.saturating_sub(columns.len() as u32);
            if budget == 0 {
                break;
            }
        }
        y >= rows.end
    }

    /// A filled rectangle in one go.
    pub fn rectangle(&mut self, area: Area, color: Color) {
        self.fill(&mut Span::new(area), color, u32::MAX);
    }

    /// Copies rows of a picture in memory, at least one and then as many as
    /// make up `budget` pixels. `true`: all is done. Rows that `bytes` does not
    /// hold are not drawn.
    pub fn blit(&mut self, picture: &Picture, bytes: &[u8], budget: u32) -> Progress {
        let mut next = *picture;
        let Some((columns, rows)) = self.clip(picture.area) else {
            return Progress::Done;
        };
        let mut budget = budget;
        // Rows above the screen are left out, columns left of it too.
        let above = picture.area.y.min(0).unsigned_abs();
        let left = picture.area.x.min(0).unsigned_abs();
        let all = rows.end - rows.start;
        while next.done < all {
            let row = u64::from(above + next.done) * u64::from(picture.stride);
            let size = picture.format.depth.bytes();
            let first = row + u64::from(left) * size as u64;
            let last = first + columns.len() as u64 * size as u64;
            let source = usize::try_from(first).ok().zip(usize::try_from(last).ok());
            if let Some(source) = source.and_then(|(first, last)| bytes.get(first..last)) {
                let start = (rows.start + next.done) as usize * self.geometry.pitch as usize;
                let (from, to) = (picture.format, self.geometry.format);
                if from == to {
                    let at = start + columns.start as usize * size;
                    self.sink.put(at, source);
                } else {
                    let pixels = source.chunks_exact(size).map(|p| to.pixel(from.color(word(p))));
                    self.write(start, columns.start as usize, pixels);
                }
            }
            next.done += 1;
            budget = budget.saturating_sub(columns.len() as u32);
            if budget == 0 && next.done < all {
                return Progress::More(next);
            }
        }
        Progress::Done
    }

    /// Part of a glyph, both colours drawn.
    pub fn glyph(&mut self, x: i32, y: i32, part: &Part<'_>, ink: Color, paper: Color) {
        let width = part.width.min(32);
        let format = self.geometry.format;
        let whole = u16::try_from(x)
            .is_ok_and(|x| u32::from(x) + u32::from(width) <= self.geometry.width.into());
        let pixels = [format.pixel(paper), format.pixel(ink)];
        for row in 0..part.height {
            let bits = part.glyph.row(part.from_y.saturating_add(row));
            let bits = bits.checked_shl(part.from_x.into()).unwrap_or(0);
            let y = y.saturating_add(i32::from(row));
            if !whole {
                let color = |column: u8| if bits << column >> 31 != 0 { ink } else { paper };
                self.row(x, y, (0..width).map(color));
            } else if let Some(start) = self.row_start(y) {
                self.bits(start, x as usize, bits, width, pixels);
            }
        }
    }

    /// Pixels of a row that starts at byte `start`, from `x` on, one for each
    /// bit from the highest down. All are inside the row. This is what painting
    /// text spends its time in.
    fn bits(&mut self, start: usize, x: usize, bits: u32, width: u8, pixels: [u32; 2]) {
        let [paper, ink] = pixels;
        let depth = self.geometry.format.depth;
        let mut at = start + x * depth.bytes();
        let mut rest = bits;
        let mut left = usize::from(width);
        while left > 0 {
            // A cell's width at a time.
            let now = left.min(8);
            let used = now * depth.bytes();
            let mut piece = [0u8; 8 * 4];
            let mut next = || {
                let pixel = if rest >> 31 != 0 { ink } else { paper };
                rest <<= 1;
                pixel
            };
            match depth {
                Depth::Bits16 => {
                    for place in piece.as_chunks_mut::<2>().0.iter_mut().take(now) {
                        *place = (next() as u16).to_le_bytes();
                    }
                }
                Depth::Bits32 => {
                    for place in piece.as_chunks_mut::<4>().0 {
                        *place = next().to_le_bytes();
                    }
                }
            }
            self.sink.put(at, piece.get(..used).unwrap_or_default());
            at += used;
            left -= now;
        }
    }

    /// The part of an area that is on the screen: its columns and rows.
    fn clip(&self, area: Area) -> Option<(Range<u32>, Range<u32>)> {
        let axis = |at: i32, size: u32, end: u16| {
            let (at, end) = (i64::from(at), i64::from(end));
            let from = at.clamp(0, end);
            let to = (at + i64::from(size)).clamp(0, end);
            (from < to).then_some(from as u32..to as u32)
        };
        let columns = axis(area.x, area.width, self.geometry.width)?;
        Some((columns, axis(area.y, area.height, self.geometry.height)?))
    }

    /// First byte of a row that is on the screen.
    fn row_start(&self, y: i32) -> Option<usize> {
        let y = u16::try_from(y).ok().filter(|y| *y < self.geometry.height)?;
        Some(usize::from(y) * self.geometry.pitch as usize)
    }

    /// `count` pixels of one colour; they are inside the row.
    fn solid(&mut self, start: usize, x: usize, count: usize, pixel: u32) {
        let size = self.geometry.format.depth.bytes();
        let mut piece = [0u8; PIECE];
        let [a, b, c, d] = pixel.to_le_bytes();
        // Four bytes are one pixel or two.
        let four = if size == 2 { [a, b, a, b] } else { [a, b, c, d] };
        let mut left = count * size;
        let used = left.next_multiple_of(4).min(PIECE);
        for place in piece.get_mut(..used).unwrap_or_default().as_chunks_mut::<4>().0 {
            *place = four;
        }
        let mut at = start + x * size;
        while left > 0 {
            let now = left.min(PIECE);
            self.sink.put(at, piece.get(..now).unwrap_or_default());
            at += now;
            left -= now;
        }
    }

    /// Pixels of a row that starts at byte `start`, from `x` on; they are
    /// inside the row.
    fn write(&mut self, start: usize, x: usize, pixels: impl Iterator<Item = u32>) {
        let depth = self.geometry.format.depth;
        let mut at = start + x * depth.bytes();
        let mut piece = [0u8; PIECE];
        let mut used = 0;
        for pixel in pixels {
            let bytes = pixel.to_le_bytes();
            match depth {
                Depth::Bits16 => {
                    if let Some(place) = piece.get_mut(used..used + 2) {
                        place.copy_from_slice(&[bytes[0], bytes[1]]);
                    }
                }
                Depth::Bits32 => {
                    if let Some(place) = piece.get_mut(used..used + 4) {
                        place.copy_from_slice(&bytes);
                    }
                }
            }
            used += depth.bytes();
            if used == PIECE {
                self.sink.put(at, &piece);
                at += PIECE;
                used = 0;
            }
        }
        self.sink.put(at, piece.get(..used).unwrap_or_default());
    }
}

/// More pixels left of the screen than any picture has.
const MAX_SKIP: usize = 1 << 16;

/// A picture in memory that is to be copied to the screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Picture {
    /// Where it goes, and its size.
    pub area: Area,
    /// Bytes from one of its rows to the next.
    pub stride: u32,
    /// What its pixels look like.
    pub format: Format,
    done: u32,
}

impl Picture {
    /// A picture none of whose rows is drawn yet.
    #[must_use]
    pub const fn new(area: Area, stride: u32, format: Format) -> Self {
        Self { area, stride, format, done: 0 }
    }
}

/// How far a drawing is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// All of it is drawn.
    Done,
    /// This much is left.
    More(Picture),
}

/// Some pixels of a glyph.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// The glyph.
    pub glyph: &'a Glyph,
    /// First column.
    pub from_x: u8,
    /// First row.
    pub from_y: u8,
    /// Columns.
    pub width: u8,
    /// Rows.
    pub height: u8,
}

fn word(pixel: &[u8]) -> u32 {
    pixel.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
}
