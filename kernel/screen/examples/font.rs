//! Packs the font: reads Spleen's PSF files out of the crate that carries them
//! and writes `src/font/data.rs`. `cargo run -p sk-screen --example font`.

use std::fmt::Write;

#[path = "../tests/common/psf.rs"]
mod psf;

/// What there is a glyph for, besides printable ASCII; ascending.
const MORE: &str = "°±µ·×…─│┌┐└┘├┤┬┴┼█▌■▬�";

fn main() {
    let mut out = String::from(
        "//! The font's glyphs, packed; written by `examples/font.rs`, not by hand.\n//!\n\
         //! Spleen, Copyright (c) 2018-2024, Frederic Cambus, BSD 2-clause: `LICENSE-SPLEEN`.\n\n",
    );
    let mut more: Vec<char> = MORE.chars().collect();
    more.sort_unstable();
    writeln!(out, "/// Characters behind ASCII, ascending; the last stands for all others.")
        .unwrap();
    writeln!(out, "pub(super) const MORE: [char; {}] = {more:?};", more.len()).unwrap();
    let chars: Vec<char> = (' '..='~').chain(more).collect();
    for (name, file, text) in [
        ("SMALL", spleen_font::FONT_8X16, "8 by 16"),
        ("LARGE", spleen_font::FONT_16X32, "16 by 32"),
    ] {
        let font = psf::Psf::read(file);
        let packed: Vec<Vec<u8>> =
            chars.iter().map(|c| pack(&font.glyph(*c), font.width)).collect();
        let lengths: Vec<u8> = packed.iter().map(|g| u8::try_from(g.len()).unwrap()).collect();
        let bytes = packed.concat();
        writeln!(out, "\n/// Bytes of each glyph of the font of {text} pixels.").unwrap();
        writeln!(out, "pub(super) const {name}_LENGTHS: [u8; {}] = {lengths:?};", lengths.len())
            .unwrap();
        writeln!(out, "\n/// Those glyphs.").unwrap();
        writeln!(out, "pub(super) const {name}: [u8; {}] = {bytes:?};", bytes.len()).unwrap();
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/font/data.rs");
    std::fs::write(path, out).expect("src/font/data.rs");
}

/// First row (5 bits), rows (6), first column (4), columns - 1 (4); then for
/// each row a 1 if it is as the one above, else a 0 and its columns.
fn pack(rows: &[u32], width: u32) -> Vec<u8> {
    let mut bits = Bits::default();
    let inked = |row: &u32| *row != 0;
    let Some(top) = rows.iter().position(inked) else {
        bits.put(0, 19);
        return bits.bytes();
    };
    let bottom = rows.iter().rposition(inked).unwrap();
    let all = rows.iter().fold(0, |all, row| all | row);
    let left = width - (32 - all.leading_zeros());
    let right = all.trailing_zeros();
    let columns = width - left - right;
    bits.put(top as u32, 5);
    bits.put((bottom - top + 1) as u32, 6);
    bits.put(left, 4);
    bits.put(columns - 1, 4);
    let mut above = None;
    for row in &rows[top..=bottom] {
        if above == Some(row) {
            bits.put(1, 1);
        } else {
            bits.put(0, 1);
            bits.put(row >> right, columns);
        }
        above = Some(row);
    }
    bits.bytes()
}

#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        self.0.extend((0..count).rev().map(|bit| value >> bit & 1 != 0));
    }

    fn bytes(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| {
            bits.iter().enumerate().fold(0, |byte, (i, bit)| byte | u8::from(*bit) << (7 - i))
        };
        self.0.chunks(8).map(byte).collect()
    }
}
