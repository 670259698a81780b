//! Reads the two forms of a PC screen font (PSF 1 and 2).

use std::collections::HashMap;

/// A font.
pub(crate) struct Psf {
    /// Pixels in a row of a glyph.
    pub(crate) width: u32,
    /// Rows.
    pub(crate) height: usize,
    glyphs: Vec<Vec<u32>>,
    chars: HashMap<char, usize>,
}

impl Psf {
    pub(crate) fn read(file: &[u8]) -> Self {
        if file.starts_with(&[0x36, 0x04]) { Self::one(file) } else { Self::two(file) }
    }

    /// Rows of a glyph, its leftmost pixel in bit `width - 1`. Not every font has
    /// the sign for what it does not have; the bar is ours.
    pub(crate) fn glyph(&self, c: char) -> Vec<u32> {
        match (self.chars.get(&c), c) {
            (_, '▬') => self.bar(),
            (Some(index), _) => self.glyphs[*index].clone(),
            (None, '�') => hollow(self.width, self.height),
            _ => panic!("no glyph for {c:?}"),
        }
    }

    /// A bar as wide as the glyph, so that several make a longer one.
    fn bar(&self) -> Vec<u32> {
        let (all, h) = ((1 << self.width) - 1, self.height);
        (0..h).map(|y| if y >= h / 4 && y < h * 3 / 4 { all } else { 0 }).collect()
    }

    fn new(width: u32, height: usize, bytes: &[u8]) -> Self {
        let in_row = width.div_ceil(8) as usize;
        let row = |row: &[u8]| {
            let bits = row.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
            bits >> (in_row as u32 * 8 - width)
        };
        let glyphs = bytes.chunks_exact(in_row * height);
        let glyphs = glyphs.map(|g| g.chunks_exact(in_row).map(row).collect()).collect();
        Self { width, height, glyphs, chars: HashMap::new() }
    }

    fn one(file: &[u8]) -> Self {
        let (count, height) = (if file[2] & 1 != 0 { 512 } else { 256 }, usize::from(file[3]));
        let (glyphs, table) = file[4..].split_at(count * height);
        let mut font = Self::new(8, height, glyphs);
        let mut glyph = 0;
        let mut sequence = false;
        for unit in table.chunks_exact(2).map(|u| u16::from_le_bytes([u[0], u[1]])) {
            match unit {
                0xFFFF => (glyph, sequence) = (glyph + 1, false),
                0xFFFE => sequence = true,
                unit if !sequence => {
                    if let Some(c) = char::from_u32(u32::from(unit)) {
                        font.chars.entry(c).or_insert(glyph);
                    }
                }
                _ => {}
            }
        }
        font
    }

    fn two(file: &[u8]) -> Self {
        let word = |n: usize| u32::from_le_bytes(file[n * 4..n * 4 + 4].try_into().unwrap());
        assert_eq!(word(0), 0x864A_B572, "PSF 2");
        let (header, count, size) = (word(2) as usize, word(4) as usize, word(5) as usize);
        let (glyphs, table) = file[header..].split_at(count * size);
        let mut font = Self::new(word(7), word(6) as usize, glyphs);
        for (glyph, entry) in table.split(|b| *b == 0xFF).enumerate() {
            let alone = entry.split(|b| *b == 0xFE).next().unwrap_or_default();
            for c in String::from_utf8_lossy(alone).chars() {
                font.chars.entry(c).or_insert(glyph);
            }
        }
        font
    }
}

/// A hollow box.
fn hollow(width: u32, height: usize) -> Vec<u32> {
    let (thick, margin) = (width / 8, width / 8);
    let outer = ((1u32 << (width - 2 * margin)) - 1) << margin;
    let inner = ((1u32 << (width - 2 * margin - 2 * thick)) - 1) << (margin + thick);
    let (top, bottom) = (height / 8, height - height / 8);
    (0..height)
        .map(|y| match y {
            y if y < top || y >= bottom => 0,
            y if y < top + thick as usize || y >= bottom - thick as usize => outer,
            _ => outer & !inner,
        })
        .collect()
}
