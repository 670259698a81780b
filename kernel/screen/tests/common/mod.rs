//! A framebuffer in memory, and pictures of it.

use image::{Rgb, RgbImage};
use sk_screen::surface::Geometry;
use sk_screen::{Depth, Format, Order, Sink, Surface};

/// Fills what must not be drawn on: the gap between rows.
pub(crate) const GAP: u8 = 0xA5;

/// Bytes of a framebuffer. Panics at what a [`Surface`] must not do.
pub(crate) struct Canvas {
    pub(crate) bytes: Vec<u8>,
    pub(crate) puts: usize,
}

impl Sink for Canvas {
    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        self.puts += 1;
    }
}

#[allow(dead_code)]
pub(crate) const RGB16: Format = Format { depth: Depth::Bits16, order: Order::Rgb };
#[allow(dead_code)]
pub(crate) const RGB32: Format = Format { depth: Depth::Bits32, order: Order::Rgb };

/// A surface whose rows have a gap behind them.
pub(crate) fn canvas(width: u16, height: u16, format: Format) -> Surface<Canvas> {
    let pitch = usize::from(width) * format.depth.bytes() + 12;
    let canvas = Canvas { bytes: vec![GAP; pitch * usize::from(height)], puts: 0 };
    let geometry = Geometry { width, height, pitch: pitch as u32, format };
    Surface::new(canvas, geometry).expect("whole rows")
}

/// What a display shows. Checks the gaps.
pub(crate) fn picture(surface: &Surface<Canvas>) -> RgbImage {
    let g = surface.geometry();
    let (size, used) = (g.format.depth.bytes(), usize::from(g.width) * g.format.depth.bytes());
    let rows = surface.sink().bytes.chunks(g.pitch as usize);
    let mut picture = RgbImage::new(g.width.into(), g.height.into());
    for (y, row) in rows.enumerate() {
        assert!(row[used..].iter().all(|b| *b == GAP), "drawn behind row {y}");
        for (x, pixel) in row[..used].chunks(size).enumerate() {
            let word = pixel.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
            let [_, r, g, b] = g.format.color(word).0.to_be_bytes();
            picture.put_pixel(x as u32, y as u32, Rgb([r, g, b]));
        }
    }
    picture
}

/// Keeps a picture to be looked at, and returns a number that stands for it.
#[allow(dead_code)]
pub(crate) fn keep(name: &str, picture: &RgbImage) -> u64 {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
    picture.save(&path).expect("a PNG");
    println!("{}", path.display());
    // FNV-1a, 64 bits.
    picture.as_raw().iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}
