//! Every packed glyph is the one that was drawn.

#[path = "common/psf.rs"]
mod psf;

use sk_screen::font::{self, GLYPHS, Glyph, Size};

fn chars() -> impl Iterator<Item = char> {
    (0..0x3000).filter_map(char::from_u32).chain(['\u{FFFD}'])
}

#[test]
fn glyphs_are_those_of_spleen() {
    for (size, file, width, height) in [
        (Size::Small, spleen_font::FONT_8X16, 8, 16),
        (Size::Large, spleen_font::FONT_16X32, 16, 32),
    ] {
        let font = psf::Psf::read(file);
        assert_eq!((font.width, font.height), (width, height));
        let mut found = 0;
        for c in chars().filter(|c| font::index(*c) != GLYPHS - 1 || *c == '\u{FFFD}') {
            let glyph = Glyph::new(font::index(c), size);
            let rows: Vec<u32> = (0..64).map(|y| glyph.row(y) >> (32 - width)).collect();
            assert_eq!(rows[..height], font.glyph(c), "{c:?}");
            assert!(rows[height..].iter().all(|row| *row == 0), "{c:?}");
            found += 1;
        }
        assert_eq!(found, usize::from(GLYPHS));
    }
}

#[test]
fn an_index_that_is_none_is_blank() {
    for index in GLYPHS..=255 {
        assert_eq!(Glyph::new(index, Size::Huge), Glyph::BLANK);
    }
}

#[test]
fn doubling_keeps_ink_and_rounds_corners() {
    // A full block stays one.
    let block = Glyph::new(font::index('█'), Size::Huge);
    assert!((0..64).all(|y| block.row(y) == u32::MAX));
    // Pixel by pixel with the rule as it is written down for EPX.
    for index in 0..GLYPHS {
        let (small, huge) = (Glyph::new(index, Size::Large), Glyph::new(index, Size::Huge));
        let at =
            |x: i32, y: i32| small.row(y.clamp(0, 31) as u8) << x.clamp(0, 15) & 0x8000_0000 != 0;
        for y in 0..32 {
            for x in 0..16 {
                let (p, a, b, c, d) =
                    (at(x, y), at(x, y - 1), at(x + 1, y), at(x - 1, y), at(x, y + 1));
                let expected = [
                    if c == a && c != d && a != b { a } else { p },
                    if a == b && a != c && b != d { b } else { p },
                    if d == c && d != b && c != a { c } else { p },
                    if b == d && b != a && d != c { d } else { p },
                ];
                let got = |dx: i32, dy: i32| {
                    huge.row((y * 2 + dy) as u8) << (x * 2 + dx) & 0x8000_0000 != 0
                };
                assert_eq!(
                    [got(0, 0), got(1, 0), got(0, 1), got(1, 1)],
                    expected,
                    "{index}: {x},{y}"
                );
            }
        }
    }
}
