//! BMP files, row by row.
//!
//! Every form that programs write without compression: the old header of OS/2
//! and the Windows ones up to version 5, 1, 4, 8, 16, 24 and 32 bits, palette
//! or masks, rows from the bottom up or from the top down. A file is checked
//! once, when it is parsed; drawing then looks at it again with every access, so
//! that it does no harm if its bytes change in between. (Windows GDI,
//! *Bitmap Storage*, BITMAPFILEHEADER to BITMAPV5HEADER.)

use crate::color::Color;
use crate::surface::{Sink, Surface};

/// Widest and highest picture that is taken.
pub const MAX_SIDE: u32 = 16_384;

const FILE_HEADER: usize = 14;
const CORE: u32 = 12;
const INFO: u32 = 40;

/// Why a file is not shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BmpError {
    /// It does not begin with "BM".
    Magic,
    /// It ends before what its header says is in it.
    Truncated {
        /// Bytes it needs.
        needs: u64,
        /// Bytes it has.
        has: u64,
    },
    /// A header of a length that is none of the known ones.
    Header(u32),
    /// No pixels, or more than [`MAX_SIDE`] across or down.
    Size {
        /// Pixels in a row, as in the file.
        width: i32,
        /// Rows, as in the file.
        height: i32,
    },
    /// Planes other than one.
    Planes(u16),
    /// Bits of a pixel that no BMP has.
    Bits(u16),
    /// Run-length encoding.
    RunLength,
    /// A JPEG, a PNG or something unknown inside.
    Compression(u32),
    /// Masks with a pixel that cannot have them, or that are not each a run of
    /// ones.
    Masks,
    /// More colours in the palette than a pixel can tell.
    Palette(u32),
}

/// One colour of a pixel: where its bits are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Mask {
    shift: u32,
    bits: u32,
}

impl Mask {
    fn new(mask: u32) -> Result<Self, BmpError> {
        let shift = if mask == 0 { 0 } else { mask.trailing_zeros() };
        let bits = (mask >> shift).trailing_ones();
        if bits == 32 || mask >> shift == (1 << bits) - 1 {
            Ok(Self { shift, bits })
        } else {
            Err(BmpError::Masks)
        }
    }

    /// Scaled to 0 to 255.
    fn of(self, pixel: u32) -> u8 {
        if self.bits == 0 {
            return 0;
        }
        // Only the highest eight bits are of use.
        let spare = self.bits.saturating_sub(8);
        let bits = self.bits - spare;
        let top = (1u32 << bits) - 1;
        let value = pixel >> (self.shift + spare) & top;
        ((value * 255 + top / 2) / top) as u8
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pixels {
    /// 1, 4 or 8 bits, and where the palette is: first byte, bytes of an
    /// entry, entries.
    Indexed { bits: u32, palette: usize, entry: usize, entries: u32 },
    /// 16 or 32 bits: bytes, red, green, blue.
    Masked { bytes: usize, masks: [Mask; 3] },
    /// 24 bits.
    Plain,
}

/// A file that was checked. Holds no reference to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bmp {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    top_down: bool,
    data: usize,
    stride: usize,
    pixels: Pixels,
}

impl Bmp {
    /// Checks a file.
    ///
    /// # Errors
    /// [`BmpError`].
    pub fn parse(file: &[u8]) -> Result<Self, BmpError> {
        let read = Reader(file);
        if file.get(..2).is_some_and(|magic| magic != b"BM") {
            return Err(BmpError::Magic);
        }
        read.needs(FILE_HEADER as u64 + 4)?;
        let data = read.u32(10);
        let header = read.u32(14);
        if !matches!(header, CORE | INFO | 52 | 56 | 64 | 108 | 124) {
            return Err(BmpError::Header(header));
        }
        let palette = FILE_HEADER + header as usize;
        read.needs(palette as u64)?;
        let core = header == CORE;
        let (width, height, planes, bits) = if core {
            (i32::from(read.u16(18)), i32::from(read.u16(20)), read.u16(22), read.u16(24))
        } else {
            (read.u32(18) as i32, read.u32(22) as i32, read.u16(26), read.u16(28))
        };
        let side = |n: u32| (1..=MAX_SIDE).contains(&n);
        if width < 0 || !side(width.unsigned_abs()) || !side(height.unsigned_abs()) {
            return Err(BmpError::Size { width, height });
        }
        if planes != 1 {
            return Err(BmpError::Planes(planes));
        }
        if !matches!(bits, 1 | 4 | 8 | 16 | 24 | 32) {
            return Err(BmpError::Bits(bits));
        }
        let (compression, used) = if core { (0, 0) } else { (read.u32(30), read.u32(46)) };
        let masked = match compression {
            0 => false,
            1 | 2 => return Err(BmpError::RunLength),
            // OS/2 means something else by these.
            3 | 6 if header != 64 => true,
            other => return Err(BmpError::Compression(other)),
        };
        let pixels = match bits {
            1 | 4 | 8 if masked => return Err(BmpError::Masks),
            1 | 4 | 8 => {
                let most = 1u32 << bits;
                if used > most {
                    return Err(BmpError::Palette(used));
                }
                let entries = if used == 0 { most } else { used };
                let entry = if core { 3 } else { 4 };
                read.needs(palette as u64 + u64::from(entries) * entry as u64)?;
                Pixels::Indexed { bits: u32::from(bits), palette, entry, entries }
            }
            24 if masked => return Err(BmpError::Masks),
            24 => Pixels::Plain,
            _ => {
                let masks = if masked {
                    // Behind a header of 40 bytes, inside the longer ones: in
                    // both cases here.
                    read.needs(FILE_HEADER as u64 + 52)?;
                    [read.u32(54), read.u32(58), read.u32(62)]
                } else if bits == 16 {
                    [0x7C00, 0x03E0, 0x001F]
                } else {
                    [0x00FF_0000, 0x0000_FF00, 0x0000_00FF]
                };
                let bytes = usize::from(bits) / 8;
                if bytes == 2 && masks.iter().any(|mask| *mask > 0xFFFF) {
                    return Err(BmpError::Masks);
                }
                let [r, g, b] = masks;
                Pixels::Masked { bytes, masks: [Mask::new(r)?, Mask::new(g)?, Mask::new(b)?] }
            }
        };
        let (width, rows) = (width.unsigned_abs(), height.unsigned_abs());
        // At most 64 KiB.
        let stride = (width * u32::from(bits)).div_ceil(32) * 4;
        read.needs(u64::from(data) + u64::from(stride) * u64::from(rows))?;
        Ok(Self {
            width,
            height: rows,
            top_down: height < 0,
            data: data as usize,
            stride: stride as usize,
            pixels,
        })
    }

    /// The colours of a row, 0 uppermost, of the file that was parsed. What is
    /// not in it is black.
    pub fn row<'f>(&self, file: &'f [u8], y: u32) -> impl Iterator<Item = Color> + use<'f> {
        let line = if self.top_down { y } else { (self.height - 1).saturating_sub(y) };
        let start = (line as usize).checked_mul(self.stride);
        let start = start.and_then(|at| at.checked_add(self.data));
        let end = start.and_then(|at| at.checked_add(self.stride));
        let range = start.zip(end).filter(|_| y < self.height);
        let row = range.and_then(|(start, end)| file.get(start..end)).unwrap_or_default();
        let pixels = self.pixels;
        (0..self.width as usize).map(move |x| pixels.color(file, row, x))
    }

    /// Draws rows from `first` on with the picture's upper left corner at (`x`,
    /// `y`), at least one and then as many as make up `budget` pixels. The row
    /// where to go on; [`Bmp::height`] when all is done.
    pub fn draw<S: Sink>(
        &self,
        file: &[u8],
        surface: &mut Surface<S>,
        (x, y): (i32, i32),
        first: u32,
        budget: u32,
    ) -> u32 {
        let bottom = i64::from(surface.geometry().height);
        let mut budget = budget;
        let mut row = first;
        // What is above the screen costs nothing.
        if y < 0 {
            row = row.max(y.unsigned_abs());
        }
        while row < self.height {
            let at = i64::from(y) + i64::from(row);
            if at >= bottom {
                return self.height;
            }
            surface.row(x, at as i32, self.row(file, row));
            row += 1;
            budget = budget.saturating_sub(self.width);
            if budget == 0 {
                break;
            }
        }
        row.min(self.height)
    }
}

impl Pixels {
    fn color(self, file: &[u8], row: &[u8], x: usize) -> Color {
        match self {
            Self::Indexed { bits, palette, entry, entries } => {
                let per_byte = 8 / bits as usize;
                let byte = row.get(x / per_byte).copied().unwrap_or(0);
                let shift = 8 - bits as usize * (x % per_byte + 1);
                let index = u32::from(byte) >> shift & ((1 << bits) - 1);
                if index >= entries {
                    return Color::BLACK;
                }
                bgr(file, palette + index as usize * entry)
            }
            Self::Masked { bytes, masks: [r, g, b] } => {
                let read = Reader(row);
                let at = x * bytes;
                let pixel = if bytes == 2 { u32::from(read.u16(at)) } else { read.u32(at) };
                Color::rgb(r.of(pixel), g.of(pixel), b.of(pixel))
            }
            Self::Plain => bgr(row, x * 3),
        }
    }
}

/// Three bytes, blue first.
fn bgr(bytes: &[u8], at: usize) -> Color {
    match bytes.get(at..).and_then(<[u8]>::first_chunk) {
        Some([b, g, r]) => Color::rgb(*r, *g, *b),
        None => Color::BLACK,
    }
}

/// Little-endian numbers; 0 where there are none.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn needs(&self, needs: u64) -> Result<(), BmpError> {
        let has = self.0.len() as u64;
        if needs > has { Err(BmpError::Truncated { needs, has }) } else { Ok(()) }
    }

    fn u16(&self, at: usize) -> u16 {
        self.0.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u16::from_le_bytes(*b))
    }

    fn u32(&self, at: usize) -> u32 {
        self.0.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u32::from_le_bytes(*b))
    }
}
