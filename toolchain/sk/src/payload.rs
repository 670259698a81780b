//! From what a user names to an image: an image file, a linked ELF file, or
//! what is built first: a package, a source file in C.

use std::io;
use std::path::{Path, PathBuf};

use sk_abi::status::FaultRecord;
use sk_client::exit;
use sk_pack::{BuildOptions, COptions, PackOptions, is_c, pack, pack_c, pack_payload};

use crate::failure::Failure;
use crate::lines;

/// Reads or builds the payload at `path`.
pub(crate) fn image(path: &Path, quiet: bool) -> Result<Vec<u8>, Failure> {
    if path.is_dir() {
        let options = BuildOptions { quiet, ..BuildOptions::default() };
        let (built, packed) = pack_payload(path, &options, PackOptions::default())?;
        remember(&packed.bytes, &built.elf);
        return Ok(packed.bytes);
    }
    if is_c(path) {
        let options = COptions { quiet, ..c_options() };
        let sources = [path.to_path_buf()];
        let (built, packed) = pack_c(&sources, &linked(path), &options, PackOptions::default())?;
        remember(&packed.bytes, &built.elf);
        return Ok(packed.bytes);
    }
    let bytes = read(path)?;
    if is_elf(&bytes) {
        let packed = pack(&bytes, PackOptions::default())?;
        remember(&packed.bytes, path);
        return Ok(packed.bytes);
    }
    Ok(bytes)
}

/// Notes what an image was made of, for the lines of its faults.
pub(crate) fn remember(image: &[u8], elf: &Path) {
    lines::remember(&cache_dir(), image, elf);
}

/// The line of the source that a fault of `image` belongs to.
pub(crate) fn line_of(image: &[u8], fault: &FaultRecord) -> Option<String> {
    lines::place(&cache_dir(), image, fault)
}

/// How C is compiled here.
pub(crate) fn c_options() -> COptions {
    let compiler = std::env::var_os("SK_CC");
    COptions { compiler, cache_dir: cache_dir(), ..COptions::default() }
}

/// Where what can be made again is kept.
fn cache_dir() -> PathBuf {
    let base = directories::BaseDirs::new().map(|dirs| dirs.cache_dir().to_path_buf());
    base.unwrap_or_else(std::env::temp_dir).join("serverkernel")
}

/// Where the linked file of a source file goes that is only to be run: one
/// place for each source.
fn linked(source: &Path) -> PathBuf {
    let full = source.canonicalize().unwrap_or_else(|_| source.to_path_buf());
    let name = source.file_stem().unwrap_or_default().to_string_lossy();
    let id = sk_pack::fingerprint(&full.to_string_lossy());
    cache_dir().join("run").join(format!("{name}-{id:08x}.elf"))
}

pub(crate) fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

/// Reads a file that is to be, or to become, a payload.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| {
        let failure = Failure::file(path, &error);
        if error.kind() == io::ErrorKind::NotFound {
            return failure
                .code(exit::NOT_FOUND)
                .help("name a payload image (.skp), a linked ELF file, a source file in C, or the folder of a payload's Cargo.toml");
        }
        failure
    })
}

/// Writes an image where it is wanted.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, bytes).map_err(|error| Failure::file(path, &error))
}
