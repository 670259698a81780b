//! BMP files against the decoder of the `image` crate, and files cut and bent.

mod common;

use common::{RGB32, canvas, picture};
use image::{ImageFormat, RgbImage};
use proptest::prelude::*;
use sk_screen::bmp::{Bmp, BmpError};

/// How a file is written.
#[derive(Clone, Debug)]
struct Form {
    width: u32,
    height: u32,
    bits: u16,
    top_down: bool,
    /// Length of the header.
    header: u32,
    /// Masks instead of the usual places.
    masks: Option<[u32; 3]>,
    /// Bytes between header or palette and pixels.
    gap: usize,
    /// Entries of the palette, 0: all.
    used: u32,
    seed: u64,
}

fn form() -> impl Strategy<Value = Form> {
    let kind = prop_oneof![
        prop::sample::select(vec![1u16, 4, 8, 16, 24, 32]).prop_map(|bits| (bits, None)),
        prop::sample::select(vec![
            (16, Some([0xF800, 0x07E0, 0x001F])),
            (16, Some([0x0F00, 0x00F0, 0x000F])),
            (16, Some([0x001F, 0x03E0, 0x7C00])),
            (32, Some([0x0000_00FF, 0x0000_FF00, 0x00FF_0000])),
            (32, Some([0xFF00_0000, 0x00FF_0000, 0x0000_FF00])),
            (32, Some([0x0000_007F, 0x0000_0300, 0x0000_8000])),
        ]),
    ];
    let header = prop::sample::select(vec![12u32, 40, 52, 56, 108, 124]);
    ((1..40u32, 1..20u32), kind, any::<bool>(), header, 0..9usize, 0..300u32, any::<u64>())
        .prop_map(|((width, height), (bits, masks), top_down, header, gap, used, seed)| {
            let header = if header == 12 && (masks.is_some() || !matches!(bits, 1 | 4 | 8 | 24)) {
                40
            } else {
                header
            };
            let top_down = top_down && header != 12;
            let used = if bits <= 8 && header != 12 { used.min(1 << bits) } else { 0 };
            Form { width, height, bits, top_down, header, masks, gap, used, seed }
        })
}

impl Form {
    fn file(&self) -> Vec<u8> {
        let mut state = self.seed | 1;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        let mut h = vec![0u8; 14 + self.header as usize];
        h[..2].copy_from_slice(b"BM");
        put(&mut h, 14, self.header);
        if self.header == 12 {
            put(&mut h, 18, self.width | self.height << 16);
            put(&mut h, 22, 1 | u32::from(self.bits) << 16);
        } else {
            put(&mut h, 18, self.width);
            let height = self.height as i32;
            put(&mut h, 22, if self.top_down { -height } else { height } as u32);
            put(&mut h, 26, 1 | u32::from(self.bits) << 16);
            put(&mut h, 30, if self.masks.is_some() { 3 } else { 0 });
            put(&mut h, 46, self.used);
        }
        if let Some(masks) = self.masks {
            h.resize(h.len().max(66), 0);
            for (index, mask) in masks.into_iter().enumerate() {
                put(&mut h, 54 + index * 4, mask);
            }
        }
        let entries = match self.bits {
            1 | 4 | 8 if self.used == 0 => 1 << self.bits,
            1 | 4 | 8 => self.used as usize,
            _ => 0,
        };
        let entry = if self.header == 12 { 3 } else { 4 };
        h.extend((0..entries * entry).map(|_| random()));
        h.resize(h.len() + self.gap, 0);
        let data = h.len() as u32;
        put(&mut h, 10, data);
        let stride = (self.width * u32::from(self.bits)).div_ceil(32) * 4;
        h.extend((0..stride * self.height).map(|_| random()));
        let len = h.len() as u32;
        put(&mut h, 2, len);
        h
    }
}

fn put(bytes: &mut [u8], at: usize, word: u32) {
    bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
}

fn ours(file: &[u8]) -> Result<RgbImage, BmpError> {
    let bmp = Bmp::parse(file)?;
    let mut picture = RgbImage::new(bmp.width, bmp.height);
    for y in 0..bmp.height {
        for (x, color) in bmp.row(file, y).enumerate() {
            let [_, r, g, b] = color.0.to_be_bytes();
            picture.put_pixel(x as u32, y, image::Rgb([r, g, b]));
        }
    }
    Ok(picture)
}

proptest! {
    #[test]
    fn pixels_are_those_of_the_reference(form in form()) {
        let file = form.file();
        let theirs = image::load_from_memory_with_format(&file, ImageFormat::Bmp);
        let ours = ours(&file);
        prop_assert!(theirs.is_ok() && ours.is_ok(), "{:?} {:?}", theirs.err(), ours.err());
        let (ours, theirs) = (ours.unwrap(), theirs.unwrap().to_rgb8());
        prop_assert_eq!(ours.dimensions(), theirs.dimensions());
        prop_assert!(ours.as_raw() == theirs.as_raw());
    }

    /// A file cut short is named so, and never read beyond its end.
    #[test]
    fn a_file_cut_short_is_refused(form in form(), at in any::<prop::sample::Index>()) {
        let file = form.file();
        let at = at.index(file.len());
        match Bmp::parse(&file[..at]) {
            Err(BmpError::Truncated { needs, has }) => prop_assert!(has == at as u64 && needs > has),
            other => prop_assert!(false, "{:?}", other),
        }
    }

    /// Any bytes: an error or a picture that can be drawn, in pieces as in one,
    /// also from a file that changed.
    #[test]
    fn bent_files_do_no_harm(
        form in form(),
        bends in proptest::collection::vec((0..70usize, any::<u8>()), 0..6),
        (x, y) in (-50..50i32, -50..50i32),
        budget in 1..100u32,
    ) {
        let mut file = form.file();
        for (at, byte) in bends {
            if let Some(place) = file.get_mut(at) {
                *place = byte;
            }
        }
        let Ok(bmp) = Bmp::parse(&file) else { return Ok(()) };
        let (mut whole, mut pieces) = (canvas(40, 30, RGB32), canvas(40, 30, RGB32));
        prop_assert_eq!(bmp.draw(&file, &mut whole, (x, y), 0, u32::MAX), bmp.height);
        let mut row = 0;
        while row < bmp.height {
            let next = bmp.draw(&file, &mut pieces, (x, y), row, budget);
            prop_assert!(next > row);
            row = next;
        }
        prop_assert!(whole.sink().bytes == pieces.sink().bytes);
        let _ = picture(&whole);
        let _ = bmp.draw(&file[..file.len() / 2], &mut whole, (x, y), 0, u32::MAX);
    }
}

#[test]
fn what_is_not_shown_is_named() {
    let form = Form {
        width: 3,
        height: 2,
        bits: 24,
        top_down: false,
        header: 40,
        masks: None,
        gap: 0,
        used: 0,
        seed: 1,
    };
    let bent = |at: usize, word: u32| {
        let mut file = form.file();
        put(&mut file, at, word);
        Bmp::parse(&file).map(|_| ())
    };
    assert_eq!(bent(0, 0x4D42), Ok(()), "unbent");
    assert_eq!(bent(0, 0x4D43), Err(BmpError::Magic));
    assert_eq!(bent(14, 41), Err(BmpError::Header(41)));
    assert_eq!(bent(18, 0), Err(BmpError::Size { width: 0, height: 2 }));
    assert_eq!(bent(18, -3i32 as u32), Err(BmpError::Size { width: -3, height: 2 }));
    assert_eq!(bent(22, i32::MIN as u32), Err(BmpError::Size { width: 3, height: i32::MIN }));
    assert_eq!(bent(26, 24 << 16), Err(BmpError::Planes(0)));
    assert_eq!(bent(26, 1 | 2 << 16), Err(BmpError::Bits(2)));
    assert_eq!(bent(30, 1), Err(BmpError::RunLength));
    assert_eq!(bent(30, 2), Err(BmpError::RunLength));
    assert_eq!(bent(30, 4), Err(BmpError::Compression(4)));
    assert_eq!(bent(30, 3), Err(BmpError::Masks));
    assert_eq!(
        bent(10, u32::MAX),
        Err(BmpError::Truncated { needs: u64::from(u32::MAX) + 24, has: 78 })
    );
    let indexed = Form { bits: 8, ..form.clone() };
    let mut file = indexed.file();
    put(&mut file, 46, 257);
    assert_eq!(Bmp::parse(&file), Err(BmpError::Palette(257)));
    let holes = Form { bits: 16, masks: Some([0xF800, 0x0550, 0x001F]), ..form };
    assert_eq!(Bmp::parse(&holes.file()), Err(BmpError::Masks));
}
