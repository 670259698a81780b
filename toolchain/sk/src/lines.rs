//! From the address of a fault to a line of the source.
//!
//! An image has no line numbers; the linked file it was made of has. Whatever
//! makes an image notes where that file is, under the image's digest, in the
//! cache folder; a file that has changed since is not believed.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use addr2line::Context;
use addr2line::gimli::{Dwarf, EndianSlice, LittleEndian, SectionId};
use blake2::{Blake2s256, Digest};
use object::{Object, ObjectSection};
use sk_abi::Status;
use sk_abi::status::FaultRecord;
use sk_client::to_hex;

fn digest(bytes: &[u8]) -> [u8; 32] {
    Blake2s256::digest(bytes).into()
}

/// Where the note on an image is.
fn note(cache: &Path, image: &[u8]) -> PathBuf {
    cache.join("images").join(to_hex(&digest(image)))
}

/// Notes that `image` was made of the linked file at `elf`. What cannot be
/// noted is missing later, and that is all.
pub(crate) fn remember(cache: &Path, image: &[u8], elf: &Path) {
    let (Ok(elf), Ok(bytes)) = (elf.canonicalize(), std::fs::read(elf)) else { return };
    let path = note(cache, image);
    let text = format!("{}\n{}\n", to_hex(&digest(&bytes)), elf.display());
    if let Some(folder) = path.parent()
        && std::fs::create_dir_all(folder).is_ok()
    {
        let _ = std::fs::write(path, text);
    }
}

/// The linked file that `image` was made of, as it was then.
fn recall(cache: &Path, image: &[u8]) -> Option<Vec<u8>> {
    let text = std::fs::read_to_string(note(cache, image)).ok()?;
    let (was, path) = text.trim_end().split_once('\n')?;
    let bytes = std::fs::read(path).ok()?;
    (to_hex(&digest(&bytes)) == was).then_some(bytes)
}

/// `src/main.rs:12 (payload::run)` for a fault of `image`.
pub(crate) fn place(cache: &Path, image: &[u8], fault: &FaultRecord) -> Option<String> {
    find(&recall(cache, image)?, fault)
}

fn find(elf: &[u8], fault: &FaultRecord) -> Option<String> {
    let pc = fault.pc.wrapping_sub(fault.base);
    // A branch leaves lr behind it: the call is the instruction before.
    let caller = fault.lr.wrapping_sub(fault.base).wrapping_sub(4);
    let symbols = Symbols::new(elf)?;
    match Status(fault.kind) {
        // The routine that noticed has no lines; whoever called it has.
        Status::DIV_ZERO => symbols.line(caller).or_else(|| symbols.line(pc)),
        // The program counter is where the jump led to.
        Status::PREFETCH_ABORT | Status::KERNEL_ACCESS if fault.far == fault.pc => {
            symbols.line(caller).map(|line| format!("or after {line}, the last call"))
        }
        // A gate stub of the kernel's: the call is the payload's.
        Status::SYSCALL_ARG | Status::SYSCALL_UNKNOWN => {
            symbols.line(pc).or_else(|| symbols.line(caller))
        }
        _ => symbols.line(pc),
    }
}

struct Symbols<'e> {
    context: Context<EndianSlice<'e, LittleEndian>>,
    /// Nothing beyond is code.
    text: std::ops::Range<u64>,
}

impl<'e> Symbols<'e> {
    fn new(elf: &'e [u8]) -> Option<Self> {
        let file = object::File::parse(elf).ok()?;
        let load =
            |id: SectionId| -> Result<EndianSlice<'e, LittleEndian>, addr2line::gimli::Error> {
                let section = file.section_by_name(id.name());
                let data = match section.and_then(|section| section.uncompressed_data().ok()) {
                    Some(Cow::Borrowed(data)) => data,
                    // Compressed sections are not what our linkers make.
                    _ => &[],
                };
                Ok(EndianSlice::new(data, LittleEndian))
            };
        let context = Context::from_dwarf(Dwarf::load(load).ok()?).ok()?;
        let text = file.section_by_name(".text")?;
        let text = text.address()..text.address() + text.size();
        Some(Self { context, text })
    }

    fn line(&self, offset: u32) -> Option<String> {
        let at = u64::from(offset);
        if !self.text.contains(&at) {
            return None;
        }
        let mut frames = self.context.find_frames(at).skip_all_loads().ok()?;
        let mut inner = None;
        while let Ok(Some(frame)) = frames.next() {
            let Some((file, line)) =
                frame.location.as_ref().and_then(|at| Some((at.file?, at.line?)))
            else {
                continue;
            };
            let function = frame
                .function
                .as_ref()
                .and_then(|f| f.demangle().ok())
                .map_or_else(String::new, |name| format!(" ({name})"));
            let text = format!("{}:{line}{function}", short(file));
            // Of what was inlined, the innermost line of the author's own.
            if !is_library(file) {
                return Some(text);
            }
            inner.get_or_insert(text);
        }
        inner
    }
}

/// Is it the compiler's library, or another package's?
fn is_library(file: &str) -> bool {
    ["/rustc/", "/lib/rustlib/", "/.cargo/registry/", "/payload-sdk/src/"]
        .iter()
        .any(|part| file.contains(part))
}

/// Relative to this folder, where it is below.
fn short(file: &str) -> String {
    let here = std::env::current_dir().ok();
    let path = Path::new(file);
    let short = here.as_deref().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path);
    short.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_believed_only_while_the_file_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let elf = dir.path().join("a.elf");
        std::fs::write(&elf, b"one").unwrap();
        remember(dir.path(), b"image", &elf);
        assert_eq!(recall(dir.path(), b"image").as_deref(), Some(&b"one"[..]));
        assert_eq!(recall(dir.path(), b"another image"), None);
        std::fs::write(&elf, b"two").unwrap();
        assert_eq!(recall(dir.path(), b"image"), None);
        remember(dir.path(), b"image", Path::new("/nowhere"));
    }

    #[test]
    fn what_is_no_elf_file_has_no_lines() {
        let fault = FaultRecord::default();
        for bytes in [&b""[..], b"\x7fELF", &[0xFF; 64]] {
            assert_eq!(find(bytes, &fault), None);
        }
    }
}
