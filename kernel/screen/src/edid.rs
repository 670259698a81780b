//! What a monitor says of itself: block 0 of its EDID (VESA E-EDID 1.4,
//! section 3), as much of it as a screen needs.

use core::str;

/// A monitor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Monitor {
    /// Width and height of the first detailed timing, in pixels: the preferred
    /// one. 0 where the block has none.
    pub width: u16,
    /// Rows of it.
    pub height: u16,
    name: [u8; 13],
}

impl Monitor {
    /// Its name; empty if it has none, or not one of printable ASCII.
    #[must_use]
    pub fn name(&self) -> &str {
        let end = self.name.iter().position(|b| *b == b'\n').unwrap_or(self.name.len());
        let name = self.name.get(..end).unwrap_or_default().trim_ascii_end();
        match str::from_utf8(name) {
            Ok(name) if name.bytes().all(|b| matches!(b, 0x20..0x7F)) => name,
            _ => "",
        }
    }
}

/// Why a block says nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EdidError {
    /// The first eight bytes are not 00 FF FF FF FF FF FF 00.
    Header,
    /// The bytes do not add up to 0.
    Checksum,
}

/// Reads block 0.
///
/// # Errors
/// [`EdidError`].
pub fn parse(block: &[u8; 128]) -> Result<Monitor, EdidError> {
    const HEADER: [u8; 8] = [0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0];
    if block.first_chunk() != Some(&HEADER) {
        return Err(EdidError::Header);
    }
    if block.iter().fold(0u8, |sum, b| sum.wrapping_add(*b)) != 0 {
        return Err(EdidError::Checksum);
    }
    let mut monitor = Monitor { width: 0, height: 0, name: [b'\n'; 13] };
    // Four descriptors of 18 bytes; a pixel clock of 0 marks one that is not a
    // timing, whose fourth byte then says what it is.
    for (index, d) in block.get(54..126).unwrap_or_default().chunks_exact(18).enumerate() {
        match *d {
            [0, 0, _, 0xFC, _, ref name @ ..] => {
                monitor.name = name.try_into().unwrap_or(monitor.name);
            }
            [0, 0, ..] => {}
            [_, _, w, _, w_high, h, _, h_high, ..] if index == 0 => {
                monitor.width = u16::from(w) | u16::from(w_high & 0xF0) << 4;
                monitor.height = u16::from(h) | u16::from(h_high & 0xF0) << 4;
            }
            _ => {}
        }
    }
    Ok(monitor)
}
