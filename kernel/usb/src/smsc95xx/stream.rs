//! The frames of a transfer IN: status word, frame, FCS, and the next status
//! word at the next multiple of four bytes.
//!
//! No length is believed: one that does not lie inside the transfer, or that no
//! frame has, ends the look at this transfer; the next begins with a status
//! word again.

use crate::statistics::{Statistics, count};

/// Bytes of a status word.
const STATUS: usize = 4;
/// Bytes of the FCS behind each frame.
const FCS: usize = 4;
/// Status: there was any error.
const ERROR: u32 = 1 << 15;
/// Lengths a block may have, FCS included, if it is no error: a header, and
/// what is between the longest frame and the longest with tags.
const SHORTEST: usize = 14 + FCS;
const LONGEST: usize = 1526;
/// The longest frame handed up, with FCS.
const LONGEST_FRAME: usize = 1514 + FCS;

/// Where in its transfer the stream is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stream {
    offset: usize,
}

impl Stream {
    /// At the start of a transfer.
    #[must_use]
    pub const fn new() -> Self {
        Self { offset: 0 }
    }

    /// Is there nothing more in the transfer last looked at?
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.offset == 0
    }

    /// The next good frame of `transfer`, without FCS. The caller shows the
    /// same transfer again until `is_over`.
    pub fn next<'t>(
        &mut self,
        transfer: &'t mut [u8],
        statistics: &mut Statistics,
    ) -> Option<&'t mut [u8]> {
        // Ends: each round goes on by a status word and a byte at least.
        let (start, end) = loop {
            let rest = transfer.get(self.offset..).unwrap_or(&[]);
            let Some((status, rest)) = rest.split_first_chunk::<STATUS>() else {
                self.offset = 0;
                return None;
            };
            let status = u32::from_le_bytes(*status);
            let length = (status >> 16 & 0x3FFF) as usize;
            if length > rest.len() || length == 0 {
                count(&mut statistics.bad_transfers_in);
                self.offset = 0;
                return None;
            }
            let start = self.offset + STATUS;
            let end = start + length;
            let next = (end + 3) & !3;
            self.offset = if next + STATUS <= transfer.len() { next } else { 0 };
            if status & ERROR != 0 {
                count(&mut statistics.errors_in);
            } else if (SHORTEST..=LONGEST_FRAME).contains(&length) {
                break (start, end - FCS);
            } else if (SHORTEST..=LONGEST).contains(&length) {
                count(&mut statistics.oversize_in);
            } else {
                count(&mut statistics.bad_transfers_in);
                self.offset = 0;
            }
            if self.is_over() {
                return None;
            }
        };
        transfer.get_mut(start..end)
    }
}
