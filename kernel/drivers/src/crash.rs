//! What one boot leaves in memory for the next: how it ended.
//!
//! A warm reset keeps SDRAM as it was, so a record at a fixed place tells the
//! next boot of a crash, of which nobody may have seen the last words. Memory
//! after power-on holds anything: a record counts only with its magic and its
//! checksum. While the kernel is well the record says *running*; a boot that
//! finds it so was not ended by the kernel: by the hardware watchdog, then, by
//! the reset line or by a dip of the supply.
//!
//! Also kept here: how many crashes there were in a row, so that a board that
//! crashes at every boot does not do so for ever ([`Record::crashed`]).
//!
//! Pure functions over the words; where they lie, and that they are cleaned
//! from the data cache before a reset, is the business of the kernel.

use sk_hal::Micros;

/// Words of a record in memory.
pub const WORDS: usize = 64;
/// Bytes of text kept.
pub const TEXT: usize = 96;
/// Registers kept: r0 to r12, sp, lr, pc, cpsr, DFSR, IFSR, FAR.
pub const REGISTERS: usize = 20;
/// A crash this soon after its boot counts as one of a row.
pub const SOON: Micros = 60_000_000;
/// After so many crashes in a row the next boot runs nothing.
pub const ROW: u32 = 3;

/// "SKC1", low byte first.
const MAGIC: u32 = 0x3143_4B53;
const AT_STATE: usize = 1;
const AT_CAUSE: usize = 2;
const AT_ROW: usize = 3;
const AT_UPTIME: usize = 4;
const AT_DETAIL: usize = 5;
const AT_TEXT_LEN: usize = 6;
const AT_REGISTERS: usize = 8;
const AT_TEXT: usize = AT_REGISTERS + REGISTERS;
const AT_SUM: usize = WORDS - 1;
const _: () = assert!(AT_TEXT + TEXT / 4 <= AT_SUM);

/// How the boot that wrote the record stands, or stood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum State {
    /// It runs; found at a boot: it was ended from outside.
    Running = 1,
    /// It crashed, and could say so.
    Crashed = 2,
    /// It restarted the board in good order.
    Restarted = 3,
}

/// A record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// What it is a record of.
    pub state: State,
    /// Number of the cause; its meaning is the kernel's.
    pub cause: u8,
    /// Crashes in a row, this one included.
    pub row: u32,
    /// From boot to crash, milliseconds.
    pub uptime_ms: u32,
    /// By cause.
    pub detail: u32,
    /// See [`REGISTERS`]; zero where there is nothing to tell.
    pub registers: [u32; REGISTERS],
    /// Its last words, zero padded.
    pub text: Text,
}

/// Up to [`TEXT`] bytes of text, cut where they end. Cannot fail, allocates
/// nothing: for use in a crash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Text {
    bytes: [u8; TEXT],
    len: usize,
}

impl Text {
    /// No text.
    pub const EMPTY: Self = Self { bytes: [0; TEXT], len: 0 };

    /// The text. Bytes that are no UTF-8 (a character that was cut, memory that
    /// only looked like a record) end it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.len).unwrap_or(&[]);
        match core::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let good = bytes.get(..error.valid_up_to()).unwrap_or(&[]);
                core::str::from_utf8(good).unwrap_or("")
            }
        }
    }
}

impl core::fmt::Write for Text {
    fn write_str(&mut self, s: &str) -> core::fmt::Result {
        for byte in s.bytes() {
            let Some(to) = self.bytes.get_mut(self.len) else { break };
            // One line, and no escape code, wherever it is shown.
            *to = if byte.is_ascii_control() { b' ' } else { byte };
            self.len += 1;
        }
        Ok(())
    }
}

impl Record {
    /// The record of a boot that has just begun, after one that left `before`.
    #[must_use]
    pub fn running(before: Option<&Self>) -> Self {
        Self {
            state: State::Running,
            cause: 0,
            row: before.map_or(0, Self::row_so_far),
            uptime_ms: 0,
            detail: 0,
            registers: [0; REGISTERS],
            text: Text::EMPTY,
        }
    }

    /// Crashes in a row up to the end that this record tells of. Whatever ended
    /// a boot that was up for longer than [`SOON`], or in good order, ends the
    /// row; being ended from outside neither adds to it nor ends it.
    #[must_use]
    pub fn row_so_far(&self) -> u32 {
        match self.state {
            State::Crashed | State::Running => self.row,
            State::Restarted => 0,
        }
    }

    /// Turns the record of a running boot into that of its crash, `uptime`
    /// after it began.
    pub fn crashed(&mut self, cause: u8, uptime: Micros) {
        self.state = State::Crashed;
        self.cause = cause;
        self.row = if uptime < SOON { self.row.saturating_add(1) } else { 1 };
        self.uptime_ms = u32::try_from(uptime / 1000).unwrap_or(u32::MAX);
    }

    /// Reads a record; `None`: there is none.
    #[must_use]
    pub fn read(words: &[u32; WORDS]) -> Option<Self> {
        let [first, .., sum] = words;
        if *first != MAGIC || *sum != checksum(words) {
            return None;
        }
        let word = |at: usize| words.get(at).copied().unwrap_or(0);
        let state = match word(AT_STATE) {
            1 => State::Running,
            2 => State::Crashed,
            3 => State::Restarted,
            _ => return None,
        };
        let mut registers = [0; REGISTERS];
        for (at, register) in (AT_REGISTERS..).zip(&mut registers) {
            *register = word(at);
        }
        let mut text = Text { bytes: [0; TEXT], len: (word(AT_TEXT_LEN) as usize).min(TEXT) };
        for (at, bytes) in (AT_TEXT..).zip(text.bytes.as_chunks_mut::<4>().0) {
            *bytes = word(at).to_le_bytes();
        }
        Some(Self {
            state,
            cause: word(AT_CAUSE) as u8,
            row: word(AT_ROW),
            uptime_ms: word(AT_UPTIME),
            detail: word(AT_DETAIL),
            registers,
            text,
        })
    }

    /// The record as it lies in memory.
    #[must_use]
    pub fn words(&self) -> [u32; WORDS] {
        let mut words = [0; WORDS];
        let mut put = |at: usize, value: u32| {
            if let Some(word) = words.get_mut(at) {
                *word = value;
            }
        };
        put(0, MAGIC);
        put(AT_STATE, self.state as u32);
        put(AT_CAUSE, u32::from(self.cause));
        put(AT_ROW, self.row);
        put(AT_UPTIME, self.uptime_ms);
        put(AT_DETAIL, self.detail);
        put(AT_TEXT_LEN, self.text.len as u32);
        for (at, register) in (AT_REGISTERS..).zip(self.registers) {
            put(at, register);
        }
        for (at, bytes) in (AT_TEXT..).zip(self.text.bytes.as_chunks::<4>().0) {
            put(at, u32::from_le_bytes(*bytes));
        }
        let sum = checksum(&words);
        if let Some(last) = words.last_mut() {
            *last = sum;
        }
        words
    }
}

/// Over all words but the last.
fn checksum(words: &[u32; WORDS]) -> u32 {
    let mut sum = crate::integrity::Sum::new();
    sum.add(words.get(..AT_SUM).unwrap_or(&[]));
    sum.value() ^ MAGIC
}
