//! Building a payload in C: the compiler, its flags, and what is below `main`.
//!
//! The header, the runtime and the linker script are compiled in and written to
//! a cache directory, so that `sk` needs no files beside it. GNU ld leaves
//! `R_ARM_RELATIVE` relocations only, as rust-lld does: with `-pie` every symbol
//! is ours, and those that go through the GOT are words of `.data`. Branches
//! reach 32 MiB and a text 16 MiB, so there are no veneers.

use crate::build::{BuildError, Built, LINKER_SCRIPT, write};
use crate::{PackOptions, Packed, pack};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The header with the services, `serverkernel.h`.
pub const HEADER: &str = include_str!("../../../payload-sdk/c/serverkernel.h");
/// The header with text output, `sk_text.h`.
pub const TEXT_HEADER: &str = include_str!("../../../payload-sdk/c/sk_text.h");
/// The entry and what the compiler calls.
pub const RUNTIME: &str = include_str!("../../../payload-sdk/c/runtime.c");

/// The compiler, unless another is named.
const COMPILER: &str = "arm-none-eabi-gcc";

/// The machine: ARM state only (an erratum of the ARM1176 makes calls from
/// Thumb unsafe), VFPv2 with arguments in its registers.
const MACHINE: [&str; 4] = ["-mcpu=arm1176jzf-s", "-marm", "-mfpu=vfp", "-mfloat-abi=hard"];

/// Position independence is `pie`, not `pic`: nobody replaces a function of a
/// payload, so they may be inlined and called directly. No `errno`, so that a
/// square root is one instruction; no contraction, so that a float computation
/// is the same as in Rust.
const COMPILE: [&str; 12] = [
    "-std=gnu17",
    "-ffreestanding",
    "-fpie",
    "-fvisibility=hidden",
    "-O2",
    "-g",
    "-Wall",
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-math-errno",
    "-ffp-contract=off",
    "-fno-asynchronous-unwind-tables",
];

/// No C library; of the compiler's own, what ARMv6 has no instruction for.
const LINK: [&str; 6] = [
    "-nostdlib",
    "-pie",
    "-Wl,--no-dynamic-linker",
    "-Wl,--gc-sections",
    "-Wl,--build-id=none",
    "-Wl,-z,max-page-size=4096",
];

/// How to build, where it is not obvious.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct COptions {
    /// Folders searched for headers, after the payload's own.
    pub include: Vec<PathBuf>,
    /// Macros: `NAME` or `NAME=VALUE`.
    pub define: Vec<String>,
    /// The compiler; without it `arm-none-eabi-gcc`.
    pub compiler: Option<OsString>,
    /// Where header, runtime and linker script are written.
    pub cache_dir: PathBuf,
    /// Say nothing unless it fails.
    pub quiet: bool,
}

/// Does the name of a file say that it is C?
#[must_use]
pub fn is_c(path: &Path) -> bool {
    path.extension() == Some(OsStr::new("c"))
}

/// Compiles and links one payload out of `sources` into the file `elf`. The
/// compiler's messages go to standard error.
///
/// # Errors
/// In words for the person who started the build.
pub fn build_c(sources: &[PathBuf], elf: &Path, options: &COptions) -> Result<Built, BuildError> {
    let first = sources.first().ok_or_else(|| BuildError::NotC(PathBuf::new()))?;
    for path in sources {
        if !is_c(path) {
            return Err(BuildError::NotC(path.clone()));
        }
        // Said here in the same words for every file; the compiler would name
        // itself first.
        std::fs::metadata(path).map_err(|error| BuildError::File { path: path.clone(), error })?;
    }
    // A folder for these very texts: programs of two versions do not disturb
    // each other.
    let texts = [HEADER, TEXT_HEADER, RUNTIME, LINKER_SCRIPT].concat();
    let dir = options.cache_dir.join(format!("c-{:08x}", fingerprint(&texts)));
    let header = write(&dir, "serverkernel.h", HEADER)?;
    write(&dir, "sk_text.h", TEXT_HEADER)?;
    let runtime = write(&dir, "runtime.c", RUNTIME)?;
    let script = write(&dir, "payload.ld", LINKER_SCRIPT)?;
    if let Some(parent) = elf.parent() {
        std::fs::create_dir_all(parent)
            .map_err(|error| BuildError::File { path: parent.into(), error })?;
    }

    let program = options.compiler.clone().unwrap_or_else(|| COMPILER.into());
    let mut gcc = Command::new(&program);
    gcc.args(MACHINE).args(COMPILE).args(LINK);
    for path in &options.include {
        gcc.arg("-I").arg(path);
    }
    gcc.arg("-I").arg(header.parent().unwrap_or(&dir));
    for name in &options.define {
        gcc.arg("-D").arg(name);
    }
    gcc.arg("-T").arg(&script).args(sources).arg(&runtime).arg("-lgcc").arg("-o").arg(elf);
    // Folders and languages from the user's environment are for this machine.
    for name in ["CPATH", "C_INCLUDE_PATH", "LIBRARY_PATH", "GCC_EXEC_PREFIX", "COMPILER_PATH"] {
        gcc.env_remove(name);
    }
    gcc.stdin(Stdio::null()).stdout(Stdio::null());
    gcc.stderr(if options.quiet { Stdio::piped() } else { Stdio::inherit() });
    let output =
        gcc.output().map_err(|error| BuildError::Compiler { program: program.into(), error })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim();
        let said = if said.is_empty() { String::new() } else { format!(":\n{said}") };
        return Err(BuildError::Failed(said));
    }
    let name = first.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Built { elf: elf.into(), name })
}

/// [`build_c`], then [`pack`].
///
/// # Errors
/// As both.
pub fn pack_c(
    sources: &[PathBuf],
    elf: &Path,
    build: &COptions,
    options: PackOptions,
) -> Result<(Built, Packed), BuildError> {
    let built = build_c(sources, elf, build)?;
    let bytes = std::fs::read(&built.elf)
        .map_err(|error| BuildError::File { path: built.elf.clone(), error })?;
    let packed = pack(&bytes, options)?;
    Ok((built, packed))
}

/// A short name for a text, the same every time.
#[must_use]
pub fn fingerprint(text: &str) -> u32 {
    sk_abi::service::hash(text)
}
