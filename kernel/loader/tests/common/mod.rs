//! An encoder and a checker of images, written from the description of the
//! format and sharing nothing with the loader but its constants.

#![allow(dead_code)] // each test binary uses its part

use proptest::prelude::*;

/// What an image says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    pub(crate) text: Vec<u8>,
    pub(crate) entry: u32,
    pub(crate) data: Vec<u8>,
    pub(crate) bss: u32,
    /// Units of 256 bytes, 0 = default.
    pub(crate) stack: u32,
    /// Word indices in the data.
    pub(crate) relocs: Vec<u32>,
    pub(crate) imports: Vec<u32>,
    pub(crate) flags: u32,
}

fn varint(out: &mut Vec<u8>, mut v: u32) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

impl Image {
    /// The bytes of the image.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let optional = [
            self.entry,
            self.data.len() as u32,
            self.bss,
            self.stack,
            self.relocs.len() as u32,
            self.imports.len() as u32,
            self.flags,
        ];
        let mut out = vec![b'K', 0x11, 0];
        varint(&mut out, self.text.len() as u32);
        for (bit, value) in optional.into_iter().enumerate() {
            if value != 0 {
                out[2] |= 1 << bit;
                varint(&mut out, value);
            }
        }
        out.extend(&self.text);
        out.extend(&self.data);
        let mut last = -1i64;
        for &word in &self.relocs {
            varint(&mut out, (i64::from(word) - last) as u32);
            last = i64::from(word);
        }
        for id in &self.imports {
            out.extend(id.to_le_bytes());
        }
        out
    }
}

/// Any image that is right.
pub(crate) fn image() -> impl Strategy<Value = Image> {
    let text = prop::collection::vec(any::<u8>(), 4..9000);
    let data = prop_oneof![Just(Vec::new()), prop::collection::vec(any::<u8>(), 1..5000)];
    let words = prop::collection::btree_set(0u32..1200, 0..60);
    let imports = prop::collection::btree_set(1u32.., 0..20);
    let small = prop_oneof![Just(0u32), 1u32..20_000];
    (text, data, words, imports, small, 0u32..200, any::<u32>(), 0u32..4).prop_map(
        |(text, data, words, imports, bss, stack, entry, flags)| Image {
            entry: (entry % (text.len() as u32 - 3)) & !3,
            relocs: words.into_iter().filter(|w| w * 4 + 4 <= data.len() as u32).collect(),
            text,
            data,
            bss,
            stack,
            imports: imports.into_iter().collect(),
            flags,
        },
    )
}

/// Reads an image once more, byte by byte, with 128-bit arithmetic: `Ok` only
/// if every rule of the format holds.
pub(crate) fn check(bytes: &[u8]) -> Result<(), &'static str> {
    let mut at = 0usize;
    let mut byte = || {
        at += 1;
        bytes.get(at - 1).copied().ok_or("short")
    };
    if byte()? != b'K' {
        return Err("magic");
    }
    if byte()? != 0x11 {
        return Err("version");
    }
    let presence = byte()?;
    if presence > 0x7F {
        return Err("presence");
    }
    let mut number = |present: bool| -> Result<u128, &'static str> {
        if !present {
            return Ok(0);
        }
        let (mut value, mut shift) = (0u128, 0);
        loop {
            let b = byte()?;
            value += u128::from(b & 0x7F) << shift;
            shift += 7;
            if b < 0x80 {
                if b == 0 && shift > 7 {
                    return Err("long form");
                }
                break;
            }
            if shift > 28 {
                return Err("too long");
            }
        }
        if value >> 32 != 0 { Err("too big") } else { Ok(value) }
    };
    let text = number(true)?;
    let mut fields = [0u128; 7];
    for (bit, field) in fields.iter_mut().enumerate() {
        let present = presence >> bit & 1 != 0;
        *field = number(present)?;
        if present && *field == 0 {
            return Err("zero is not written");
        }
    }
    let [entry, data, bss, stack, relocs, imports, flags] = fields;
    if !(4..=16 << 20).contains(&text) || data > 16 << 20 || bss > 256 << 20 || stack > 65536 {
        return Err("limits");
    }
    if entry % 4 != 0 || entry + 4 > text || flags > 3 || imports > 128 {
        return Err("fields");
    }
    let mut left: i128 = relocs as i128;
    let mut rest = bytes.get(at..).ok_or("short")?;
    rest = rest.get((text + data) as usize..).ok_or("short")?;
    let mut word: u128 = 0;
    while left > 0 {
        let (mut step, mut shift) = (0u128, 0);
        loop {
            let (&b, r) = rest.split_first().ok_or("short")?;
            rest = r;
            step += u128::from(b & 0x7F) << shift;
            shift += 7;
            if b < 0x80 {
                if b == 0 {
                    return Err("no step");
                }
                break;
            }
            if shift > 28 {
                return Err("too long");
            }
        }
        word += step;
        if word * 4 > data {
            return Err("relocation outside");
        }
        left -= 1;
    }
    if rest.len() as u128 != imports * 4 {
        return Err("length");
    }
    let ids: Vec<u32> =
        rest.chunks(4).map(|c| u32::from_le_bytes(c.try_into().expect("four"))).collect();
    if ids.windows(2).any(|w| w[0] >= w[1]) { Err("order") } else { Ok(()) }
}
