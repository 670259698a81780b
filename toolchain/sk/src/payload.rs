//! From what a user names to an image: an image file, a linked ELF file, or a
//! package that is built first.

use std::io;
use std::path::Path;

use sk_client::exit;
use sk_pack::{BuildOptions, PackOptions, pack, pack_payload};

use crate::failure::Failure;

/// Reads or builds the payload at `path`.
pub(crate) fn image(path: &Path, quiet: bool) -> Result<Vec<u8>, Failure> {
    if path.is_dir() {
        let options = BuildOptions { quiet, ..BuildOptions::default() };
        return Ok(pack_payload(path, &options, PackOptions::default())?.1.bytes);
    }
    let bytes = read(path)?;
    if is_elf(&bytes) {
        return Ok(pack(&bytes, PackOptions::default())?.bytes);
    }
    Ok(bytes)
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
                .help("name a payload image (.skp), a linked ELF file, or the folder of a payload's Cargo.toml");
        }
        failure
    })
}

/// Writes an image where it is wanted.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, bytes).map_err(|error| Failure::file(path, &error))
}
