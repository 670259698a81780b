//! Shapes with any coordinates against a picture drawn pixel by pixel.

mod common;

use common::{Canvas, RGB16, RGB32, canvas, picture};
use image::{Rgb, RgbImage};
use proptest::prelude::*;
use sk_screen::font::{self, Glyph, Size};
use sk_screen::surface::{Area, Geometry, Part, Picture, Progress, Span};
use sk_screen::{Color, Depth, Format, Order, Surface};

const W: u16 = 70;
const H: u16 = 40;

fn coordinate() -> impl Strategy<Value = i32> {
    prop_oneof![-90..90i32, any::<i32>()]
}

fn length() -> impl Strategy<Value = u32> {
    prop_oneof![0..120u32, any::<u32>()]
}

fn area() -> impl Strategy<Value = Area> {
    (coordinate(), coordinate(), length(), length()).prop_map(|(x, y, width, height)| Area {
        x,
        y,
        width,
        height,
    })
}

fn format() -> impl Strategy<Value = Format> {
    (any::<bool>(), any::<bool>()).prop_map(|(deep, swapped)| Format {
        depth: if deep { Depth::Bits32 } else { Depth::Bits16 },
        order: if swapped { Order::Bgr } else { Order::Rgb },
    })
}

fn rgb(format: Format, color: Color) -> Rgb<u8> {
    let [_, r, g, b] = format.color(format.pixel(color)).0.to_be_bytes();
    Rgb([r, g, b])
}

fn expected(format: Format, color: impl Fn(i64, i64) -> Option<Color>) -> RgbImage {
    let ground = picture(&black(format)).get_pixel(0, 0).to_owned();
    RgbImage::from_fn(W.into(), H.into(), |x, y| {
        color(x.into(), y.into()).map_or(ground, |color| rgb(format, color))
    })
}

fn black(format: Format) -> Surface<Canvas> {
    let mut surface = canvas(W, H, format);
    surface.rectangle(Area { x: 0, y: 0, width: W.into(), height: H.into() }, Color::BLACK);
    surface
}

fn inside(area: Area, x: i64, y: i64) -> Option<(i64, i64)> {
    let (x, y) = (x - i64::from(area.x), y - i64::from(area.y));
    ((0..i64::from(area.width)).contains(&x) && (0..i64::from(area.height)).contains(&y))
        .then_some((x, y))
}

proptest! {
    #[test]
    fn colors_go_to_pixels_and_back(rgb in 0..1u32 << 24, format in format()) {
        let back = format.color(format.pixel(Color(rgb)));
        match format.depth {
            Depth::Bits32 => prop_assert_eq!(back, Color(rgb)),
            Depth::Bits16 => {
                prop_assert_eq!(format.pixel(back), format.pixel(Color(rgb)));
                let far = |shift: u32| (back.0 >> shift & 0xFF).abs_diff(rgb >> shift & 0xFF);
                prop_assert!(far(0) < 8 && far(8) < 8 && far(16) < 8);
            }
        }
    }

    #[test]
    fn rectangles(area in area(), color in 0..1u32 << 24, format in format(), budget in 1..200u32) {
        let mut whole = black(format);
        whole.rectangle(area, Color(color));
        let want = expected(format, |x, y| inside(area, x, y).map(|_| Color(color)));
        prop_assert!(picture(&whole) == want);
        let mut pieces = black(format);
        let mut span = Span::new(area);
        for _ in 0..=H {
            if pieces.fill(&mut span, Color(color), budget) {
                break;
            }
        }
        prop_assert!(picture(&pieces) == want);
    }

    #[test]
    fn pixels_and_rows(x in coordinate(), y in coordinate(), len in 0..200usize, format in format()) {
        let mut surface = black(format);
        surface.row(x, y, (0..len).map(|n| Color::rgb(n as u8, 0xFF, !n as u8)));
        let area = Area { x, y, width: len as u32, height: 1 };
        let want = expected(format, |x, y| {
            inside(area, x, y).map(|(n, _)| Color::rgb(n as u8, 0xFF, !n as u8))
        });
        prop_assert!(picture(&surface) == want);
        surface.pixel(x, y, Color::WHITE);
    }

    #[test]
    fn pictures(
        (x, y) in (coordinate(), coordinate()), (width, height) in (0..90u32, 0..60u32),
        from in format(), to in format(), more in 0..9u32, budget in 1..500u32, cut in 0..3000usize,
    ) {
        let area = Area { x, y, width, height };
        let size = from.depth.bytes() as u32;
        let stride = width * size + more;
        let mut bytes = vec![0u8; (stride * height) as usize];
        let color = |x: u32, y: u32| Color::rgb((x * 3) as u8, (y * 5) as u8, (x ^ y) as u8);
        for y in 0..height {
            for x in 0..width {
                let at = (y * stride + x * size) as usize;
                let pixel = from.pixel(color(x, y)).to_le_bytes();
                bytes[at..at + size as usize].copy_from_slice(&pixel[..size as usize]);
            }
        }
        let mut surface = black(to);
        let mut left = Picture::new(area, stride, from);
        for _ in 0..=height {
            match surface.blit(&left, &bytes, budget) {
                Progress::Done => break,
                Progress::More(rest) => left = rest,
            }
        }
        let want = expected(to, |x, y| {
            inside(area, x, y).map(|(x, y)| from.color(from.pixel(color(x as u32, y as u32))))
        });
        prop_assert!(picture(&surface) == want);
        // A memory that is shorter than was said: rows that are there.
        let _ = surface.blit(&Picture::new(area, stride, from), &bytes[..cut.min(bytes.len())], u32::MAX);
        let _ = surface.blit(&Picture::new(area, u32::MAX, from), &bytes, u32::MAX);
    }

    #[test]
    fn glyphs(x in coordinate(), y in coordinate(), index in any::<u8>(), part in any::<[u8; 4]>()) {
        let mut surface = black(RGB16);
        let glyph = Glyph::new(index, Size::Huge);
        let [from_x, from_y, width, height] = part;
        let part = Part { glyph: &glyph, from_x, from_y, width, height };
        surface.glyph(x, y, &part, Color::WHITE, Color::BLACK);
        let _ = picture(&surface);
    }
}

#[test]
fn a_glyph_is_where_it_belongs() {
    let mut surface = black(RGB32);
    let glyph = Glyph::new(font::index('F'), Size::Small);
    let part = Part { glyph: &glyph, from_x: 0, from_y: 0, width: 8, height: 16 };
    surface.glyph(3, 2, &part, Color::WHITE, Color::BLACK);
    let picture = picture(&surface);
    let rows: Vec<String> = (2..18)
        .map(|y| {
            let ink = |x| picture.get_pixel(x, y).0 == [0xFF; 3];
            (3..11).map(|x| if ink(x) { '#' } else { '.' }).collect()
        })
        .collect();
    let expected = [
        "........", "........", ".######.", "##......", "##......", "##......", "#####...",
        "##......", "##......", "##......", "##......", "##......", "........", "........",
        "........", "........",
    ];
    assert_eq!(rows, expected);
}

#[test]
fn shapes_that_do_not_fit_are_no_surface() {
    let shape = |width, height, pitch, bytes: usize| {
        let geometry = Geometry { width, height, pitch, format: RGB16 };
        Surface::new(Canvas { bytes: vec![0; bytes], puts: 0 }, geometry).is_some()
    };
    assert!(shape(10, 3, 24, 24 * 2 + 20));
    assert!(!shape(10, 3, 24, 24 * 2 + 19), "too few bytes");
    assert!(!shape(10, 3, 18, 1000), "rows overlap");
    assert!(!shape(10, 3, 21, 1000), "rows split pixels");
    assert!(!shape(0, 3, 20, 1000) && !shape(10, 0, 20, 1000), "nothing");
    assert!(!shape(u16::MAX, u16::MAX, u32::MAX - 1, 1000), "absurd");
}
