//! From a payload's source to its image, and back to something readable.
//!
//! * [`build_payload`] runs cargo with the target description and linker
//!   script of this repository, for a package anywhere.
//! * [`build_c`] runs the C compiler with the same script, the header and the
//!   runtime of `payload-sdk/c`.
//! * [`pack`] turns the ELF file into an image (`skx1`, see
//!   [`sk_abi::image`]). Whatever a board could not load is refused here, by
//!   the name of the section and symbol that caused it.
//! * [`inspect`] says what is in an image.
//!
//! Every image made is read back by the loader's own parser before it is
//! handed out.
#![forbid(unsafe_code)]

mod build;
mod c;
mod elf;
mod image;
mod inspect;

pub use build::{
    BuildError, BuildOptions, Built, LINKER_SCRIPT, TARGET_JSON, build_payload, pack_payload,
};
pub use c::{COptions, HEADER, RUNTIME, TEXT_HEADER, build_c, fingerprint, is_c, pack_c};
pub use elf::PackError;
pub use image::{PackOptions, Packed, pack};
pub use inspect::{Report, Sizes, inspect};
