//! Building a payload's package for the board: the inner cargo.
//!
//! The target description and the linker script come from this repository,
//! compiled in, and are written to a cache directory, so that a package
//! anywhere can be built. The compiler builds `core` and `alloc` for the
//! target itself; cargo's settings that would get in between (from an outer
//! cargo, or from the user's environment) are taken out of the environment.

use crate::{PackError, PackOptions, Packed, pack};
use serde_json::Value;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The target description for payloads.
pub const TARGET_JSON: &str = include_str!("../../../linker/armv6-none-skhf.json");
/// The linker script for payloads.
pub const LINKER_SCRIPT: &str = include_str!("../../../linker/payload.ld");

/// The target's name: the description's file name.
const TARGET: &str = "armv6-none-skhf";

/// How payloads are compiled unless the package has a profile `payload` of its
/// own: small and fast rather than quick to build, with line numbers for
/// `sk run` to translate fault addresses (they are not in the image).
const PROFILE: [&str; 7] = [
    "profile.payload.inherits=\"release\"",
    "profile.payload.lto=\"fat\"",
    "profile.payload.codegen-units=1",
    "profile.payload.panic=\"abort\"",
    "profile.payload.opt-level=3",
    "profile.payload.debug=2",
    "profile.payload.strip=\"none\"",
];

/// What to build, where it is not obvious.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct BuildOptions {
    /// Which program, if the package has several.
    pub bin: Option<String>,
    /// Features to switch on, as cargo takes them.
    pub features: Vec<String>,
    /// Where cargo builds; by default `serverkernel/payload` in the package's
    /// own target directory.
    pub target_dir: Option<PathBuf>,
    /// Where the target description and the linker script are written; by
    /// default a folder in the target directory.
    pub cache_dir: Option<PathBuf>,
    /// Do not use the network.
    pub offline: bool,
    /// Say nothing unless it fails.
    pub quiet: bool,
}

/// What a build made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Built {
    /// The linked file: keep it, it translates addresses to lines.
    pub elf: PathBuf,
    /// Name of the program.
    pub name: String,
}

/// Why a payload could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No package where one was expected.
    #[error("{0} has no Cargo.toml: it is not a Rust package")]
    NoPackage(PathBuf),
    /// cargo could not be started.
    #[error("cargo could not be started ({0}): is Rust installed?")]
    Cargo(#[source] io::Error),
    /// cargo does not understand the package.
    #[error("cargo does not accept the package:\n{0}")]
    Metadata(String),
    /// The C compiler could not be started.
    #[error(
        "{} could not be started ({error}): is the package gcc-arm-none-eabi installed?",
        program.display()
    )]
    Compiler {
        /// Its name.
        program: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// A file that is not a source file in C where one was expected.
    #[error("{} is not a source file in C (.c)", .0.display())]
    NotC(PathBuf),
    /// A file of ours could not be written, or a source or ELF file not read.
    #[error("{path}: {error}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        error: io::Error,
    },
    /// The compiler's own sources are missing.
    #[error(
        "the sources of Rust's core library are not installed; run: rustup component add rust-src"
    )]
    NoSource,
    /// The compiler or the linker refused the program; its words were shown.
    #[error("the payload was not built{0}")]
    Failed(String),
    /// Nothing to run was built.
    #[error("the package has no program: src/main.rs or a [[bin]] with entry!(...)")]
    NoProgram,
    /// Several programs, none chosen.
    #[error("the package has several programs, choose one: {}", .0.join(", "))]
    SeveralPrograms(Vec<String>),
    /// It was built, but is no payload.
    #[error(transparent)]
    Pack(#[from] PackError),
}

/// Builds the package at `dir` (the folder of its `Cargo.toml`) for a board.
/// cargo's progress and the compiler's messages go to standard error.
///
/// # Errors
/// In words for the person who started the build.
pub fn build_payload(dir: &Path, options: &BuildOptions) -> Result<Built, BuildError> {
    let manifest = dir.join("Cargo.toml");
    let manifest = manifest.canonicalize().map_err(|_| BuildError::NoPackage(dir.into()))?;
    let package = Package::read(&manifest, options)?;
    let target_dir = options
        .target_dir
        .clone()
        .unwrap_or_else(|| package.target_dir.join("serverkernel").join("payload"));
    let cache = options.cache_dir.clone().unwrap_or_else(|| target_dir.join("toolchain"));
    let script = write(&cache, "payload.ld", LINKER_SCRIPT)?;
    let target = write(&cache, &format!("{TARGET}.json"), TARGET_JSON)?;

    let mut cargo = cargo();
    cargo.current_dir(dir).arg("build").arg("--manifest-path").arg(&manifest);
    cargo.args(["--profile", "payload", "--bin", &package.bin]);
    cargo.arg("--target").arg(&target).arg("--target-dir").arg(&target_dir);
    cargo.args(["-Zjson-target-spec", "-Zbuild-std=core,alloc"]);
    cargo.arg("-Zbuild-std-features=compiler-builtins-mem");
    cargo.arg("--message-format=json-render-diagnostics");
    if !package.has_profile {
        for setting in PROFILE {
            cargo.arg("--config").arg(setting);
        }
    }
    if !options.features.is_empty() {
        cargo.arg("--features").arg(options.features.join(","));
    }
    if options.offline {
        cargo.arg("--offline");
    }
    if options.quiet {
        cargo.arg("--quiet");
    }
    // Unit separators, so that a path may hold spaces.
    let mut flags = OsString::from("-Clink-arg=-T");
    flags.push(&script);
    flags.push("\x1f-Clink-arg=-pie");
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags).env("RUSTC_BOOTSTRAP", "1");
    cargo.stdin(Stdio::null()).stdout(Stdio::piped());
    cargo.stderr(if options.quiet { Stdio::piped() } else { Stdio::inherit() });

    let output = cargo.output().map_err(BuildError::Cargo)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        if said.contains("rust-src") || !has_source(dir) {
            return Err(BuildError::NoSource);
        }
        let said = said.trim();
        let said = if said.is_empty() { String::new() } else { format!(":\n{said}") };
        return Err(BuildError::Failed(said));
    }
    let elf = executable(&output.stdout, &package.bin).ok_or(BuildError::NoProgram)?;
    Ok(Built { elf, name: package.bin })
}

/// [`build_payload`], then [`pack`]; the ELF's path comes with the image.
///
/// # Errors
/// As both.
pub fn pack_payload(
    dir: &Path,
    build: &BuildOptions,
    options: PackOptions,
) -> Result<(Built, Packed), BuildError> {
    let built = build_payload(dir, build)?;
    let elf = std::fs::read(&built.elf)
        .map_err(|error| BuildError::File { path: built.elf.clone(), error })?;
    let packed = pack(&elf, options)?;
    Ok((built, packed))
}

/// What there is to know of a package before it is built.
struct Package {
    bin: String,
    target_dir: PathBuf,
    has_profile: bool,
}

impl Package {
    fn read(manifest: &Path, options: &BuildOptions) -> Result<Self, BuildError> {
        // Here the user's CARGO_TARGET_DIR does count: it says where.
        let mut cargo = Command::new(program());
        cargo.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]);
        cargo.arg(manifest);
        if options.offline {
            cargo.arg("--offline");
        }
        let output = cargo.stdin(Stdio::null()).output().map_err(BuildError::Cargo)?;
        let said = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if !output.status.success() {
            return Err(BuildError::Metadata(said()));
        }
        let all: Value =
            serde_json::from_slice(&output.stdout).map_err(|_| BuildError::Metadata(said()))?;
        let text = |v: &Value| v.as_str().map(str::to_owned);
        let ours =
            |p: &&Value| p["manifest_path"].as_str().is_some_and(|m| Path::new(m) == manifest);
        let package = all["packages"].as_array().and_then(|p| p.iter().find(ours));
        let package = package.ok_or(BuildError::NoProgram)?;
        let is_bin =
            |t: &&Value| t["kind"].as_array().is_some_and(|k| k.iter().any(|k| k == "bin"));
        let targets = package["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
        let bins: Vec<String> =
            targets.iter().filter(is_bin).filter_map(|t| text(&t["name"])).collect();
        let chosen = options.bin.clone().or_else(|| text(&package["default_run"]));
        let bin = match (chosen, bins.as_slice()) {
            (Some(bin), _) => bin,
            (None, [bin]) => bin.clone(),
            (None, []) => return Err(BuildError::NoProgram),
            (None, _) => return Err(BuildError::SeveralPrograms(bins)),
        };
        let root = text(&all["workspace_root"]).map(PathBuf::from).unwrap_or_default();
        let settings = std::fs::read_to_string(root.join("Cargo.toml")).unwrap_or_default();
        Ok(Self {
            bin,
            target_dir: text(&all["target_directory"]).map(PathBuf::from).unwrap_or_default(),
            has_profile: settings.lines().any(|line| line.trim() == "[profile.payload]"),
        })
    }
}

/// The cargo that started us, if one did.
fn program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// A cargo that takes its settings from our arguments and the package alone.
fn cargo() -> Command {
    let mut cargo = Command::new(program());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_setting) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Does an environment variable change how cargo builds? `CARGO_HOME`,
/// registries and network settings stay.
fn is_setting(name: &str) -> bool {
    let exact = [
        "RUSTFLAGS",
        "RUSTC",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTDOCFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_MAKEFLAGS",
        "MAKEFLAGS",
        "MFLAGS",
        "CARGO_MANIFEST_DIR",
        "CARGO_INCREMENTAL",
    ];
    let starts = ["CARGO_BUILD_", "CARGO_TARGET_", "CARGO_PROFILE_", "CARGO_UNSTABLE_", "__CARGO"];
    exact.contains(&name) || starts.iter().any(|s| name.starts_with(s))
}

/// Writes a file of ours unless it is there already: a new time stamp would
/// make cargo build everything again.
pub(crate) fn write(dir: &Path, name: &str, text: &str) -> Result<PathBuf, BuildError> {
    let path = dir.join(name);
    let failed = |error| BuildError::File { path: path.clone(), error };
    if std::fs::read_to_string(&path).is_ok_and(|old| old == text) {
        return path.canonicalize().map_err(failed);
    }
    std::fs::create_dir_all(dir).map_err(failed)?;
    // Two builds may do this at once: each writes its own, one name wins.
    let own = dir.join(format!("{name}.{}", std::process::id()));
    std::fs::write(&own, text).and_then(|()| std::fs::rename(&own, &path)).map_err(failed)?;
    path.canonicalize().map_err(failed)
}

/// Are the sources of `core` there?
fn has_source(dir: &Path) -> bool {
    let rustc = Command::new("rustc").args(["--print", "sysroot"]).current_dir(dir).output();
    rustc.is_ok_and(|output| {
        let root = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Path::new(&root).join("lib/rustlib/src/rust/library/core").is_dir()
    })
}

/// The program's path, from cargo's messages.
fn executable(messages: &[u8], bin: &str) -> Option<PathBuf> {
    let lines = String::from_utf8_lossy(messages);
    let artifacts = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    artifacts
        .filter(|m| m["reason"] == "compiler-artifact" && m["target"]["name"] == bin)
        .find_map(|m| m["executable"].as_str().map(PathBuf::from))
}
