//! A look into, and a hand in, the memory of a running board, past its MMU's
//! rights: what tests break it with.
//!
//! QEMU's stub for GDB, of whose protocol three packets are enough. Connecting
//! stops the board, detaching lets it go on.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use object::{Object, ObjectSymbol};

use crate::artefacts;

/// What makes a board listen at `socket`.
#[must_use]
pub fn option(socket: &Path) -> [OsString; 2] {
    let mut place = OsString::from("unix:");
    place.push(socket);
    place.push(",server=on,wait=off");
    ["-gdb".into(), place]
}

/// A board that stands still.
#[derive(Debug)]
pub struct Stopped(UnixStream);

impl Stopped {
    /// Stops the board that listens at `socket`.
    ///
    /// # Panics
    /// If it cannot be reached.
    #[must_use]
    pub fn at(socket: &Path) -> Self {
        let end = Instant::now() + crate::PATIENCE;
        loop {
            match UnixStream::connect(socket) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(crate::PATIENCE)).expect("a timeout");
                    let mut board = Self(stream);
                    // An answer to anything says that it stands still.
                    board.ask("?");
                    return board;
                }
                Err(error) => assert!(Instant::now() < end, "{}: {error}", socket.display()),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn ask(&mut self, packet: &str) -> String {
        let sum = packet.bytes().fold(0u8, u8::wrapping_add);
        write!(self.0, "${packet}#{sum:02x}").expect("sent");
        loop {
            let answer = self.packet();
            // That it stands still is told unasked, too.
            if packet == "?" || !answer.starts_with('T') {
                return answer;
            }
        }
    }

    fn packet(&mut self) -> String {
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"#") {
            self.0.read_exact(&mut byte).expect("an answer");
            answer.push(byte[0]);
        }
        self.0.read_exact(&mut [0; 2]).expect("its sum");
        self.0.write_all(b"+").expect("sent");
        let text = String::from_utf8_lossy(&answer).into_owned();
        text.trim_start_matches(['+', '$']).trim_end_matches('#').to_owned()
    }

    /// Reads a word.
    ///
    /// # Panics
    /// If the board does not show it.
    pub fn word(&mut self, address: u32) -> u32 {
        let answer = self.ask(&format!("m{address:x},4"));
        let word = u32::from_str_radix(&answer, 16).unwrap_or_else(|_| panic!("{answer}"));
        word.swap_bytes()
    }

    /// Writes a word.
    ///
    /// # Panics
    /// If the board does not take it.
    pub fn set_word(&mut self, address: u32, word: u32) {
        let answer = self.ask(&format!("M{address:x},4:{:08x}", word.swap_bytes()));
        assert_eq!(answer, "OK", "writing {address:#x}");
    }

    /// Lets it go on.
    pub fn go(mut self) {
        self.ask("D");
    }
}

/// The address of the kernel's function or object whose demangled name ends so.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn address(name: &str) -> u32 {
    let file = std::fs::read(artefacts().join("kernel.elf")).expect("a kernel");
    let elf = object::File::parse(&*file).expect("an ELF file");
    let mut found = elf.symbols().filter(|symbol| {
        let text = symbol.name().unwrap_or_default();
        format!("{:#}", rustc_demangle::demangle(text)).ends_with(name)
    });
    let symbol = found.next().unwrap_or_else(|| panic!("the kernel has no {name}"));
    u32::try_from(symbol.address()).expect("32 bits")
}
