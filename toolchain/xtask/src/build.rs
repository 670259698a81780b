//! `cargo xtask build`: the kernel; and the guests of the end-to-end tests, which
//! are built as it is.
//!
//! The kernel is built for a target file of our own (`linker/`), so `core` and
//! `alloc` are built with it, and that takes flags which the pinned stable
//! compiler accepts only with `RUSTC_BOOTSTRAP=1`.
//!
//! The same sources give the same bytes wherever the repository lies: every
//! path the compiler might store is mapped to a fixed one, and the linker
//! script is named relative to the root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::image;
use crate::repo::{self, Repo, output};

/// The package, the profile and the target file of the kernel.
const PACKAGE: &str = "serverkernel";
/// Guests that count on the emulated core.
const GUESTS: [&str; 2] = ["mem-guest", "usb-guest"];
/// The feature of the kernel that is built with them.
const UNCAPPED: &str = "uncapped";
const GUEST_SCRIPT: &str = "kernel/mem/guest/guest.ld";
const PROFILE: &str = "firmware";
const TARGET: &str = "armv6-none-sk";

/// Options of `cargo xtask build`.
#[derive(clap::Args, Clone, Default)]
pub(crate) struct Options {
    /// Features of the kernel package, comma separated
    #[arg(long, value_delimiter = ',')]
    pub(crate) features: Vec<String>,
    /// The guests of the end-to-end tests, and the kernel without a limit to its
    /// share of the time, instead of the kernel
    #[arg(long)]
    pub(crate) guests: bool,
    /// Show the commands cargo runs
    #[arg(long, short)]
    pub(crate) verbose: bool,
}

/// What `reference.json` says of an image: `sk` compares it with what a board
/// attests.
#[derive(Serialize)]
struct Reference {
    /// SHA-256 of `kernel.img`, as `sha256sum` prints it.
    sha256: String,
    /// Bytes in `kernel.img`.
    size: usize,
    /// Version of the kernel package.
    version: String,
    /// Commit it was built from, `-dirty` when files differed from it.
    git: String,
}

/// Builds kernel.elf, kernel.img and reference.json.
pub(crate) fn run(repo: &Repo, options: &Options) -> Result<()> {
    if options.guests {
        return guests(repo);
    }
    check_rust_src(repo)?;
    let git = describe(repo);
    let mut cargo = firmware(repo, "rustc", PACKAGE)?;
    cargo.env("SK_GIT", &git);
    if !options.features.is_empty() {
        cargo.arg("--features").arg(options.features.join(","));
    }
    if options.verbose {
        cargo.arg("--verbose");
    }
    let (elf, image) = link(repo, cargo, PACKAGE, "linker/kernel.ld")?;
    let reference = Reference {
        sha256: hex(&Sha256::digest(&image)),
        size: image.len(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        git,
    };
    fs::create_dir_all(repo.artefacts())?;
    write(repo.kernel_elf(), &elf)?;
    write(repo.kernel_img(), &image)?;
    let mut json = serde_json::to_vec_pretty(&reference)?;
    json.push(b'\n');
    write(repo.artefacts().join("reference.json"), &json)?;
    println!(
        "{}: {} bytes, sha256 {}",
        repo.kernel_img().display(),
        reference.size,
        reference.sha256
    );
    Ok(())
}

/// Builds the guests that check and count `sk-mem`'s routines and `sk-usb`'s
/// adapters, and the kernel with which a test shows what the limit to its share
/// of a payload's time is good for.
pub(crate) fn guests(repo: &Repo) -> Result<()> {
    check_rust_src(repo)?;
    fs::create_dir_all(repo.artefacts())?;
    for guest in GUESTS {
        let cargo = firmware(repo, "rustc", guest)?;
        let (_, image) = link(repo, cargo, guest, GUEST_SCRIPT)?;
        write(repo.artefacts().join(format!("{guest}.img")), &image)?;
    }
    let mut cargo = firmware(repo, "rustc", PACKAGE)?;
    cargo.env("SK_GIT", describe(repo)).args(["--features", UNCAPPED]);
    let (_, image) = link(repo, cargo, PACKAGE, "linker/kernel.ld")?;
    write(repo.artefacts().join(format!("kernel-{UNCAPPED}.img")), &image)
}

/// Runs `cargo rustc`, the linker with a script of its own, and returns the ELF
/// file and the image.
fn link(
    repo: &Repo,
    mut cargo: Command,
    package: &str,
    script: &str,
) -> Result<(Vec<u8>, Vec<u8>)> {
    let path = repo.root.join(script);
    ensure!(path.is_file(), "{} is missing", path.display());
    let built = repo.target.join(TARGET).join(PROFILE).join(package);
    relink_after(&path, &built, package);
    // To the linker of this package only: all else is shared among them.
    cargo.arg("--").arg(format!("-Clink-arg=-T{script}"));
    repo::run(cargo.arg("-Clink-arg=--build-id=sha1"))?;
    let elf = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    let image = image::flatten(&elf).with_context(|| format!("{}", built.display()))?;
    Ok((elf, image))
}

/// Cargo does not know that the linker script went into the program: if the
/// script is the newer one, the program is removed, so that cargo makes it
/// again.
fn relink_after(script: &Path, built: &Path, package: &str) {
    let changed = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
    if changed(script) <= changed(built) {
        return;
    }
    let Some(dir) = built.parent() else { return };
    let stem = package.replace('-', "_");
    let files = fs::read_dir(dir.join("deps")).into_iter().flatten().flatten();
    for file in files {
        if file.file_name().to_string_lossy().starts_with(&format!("{stem}-")) {
            let _ = fs::remove_file(file.path());
        }
    }
}

/// Clippy on what builds for no other target: the kernel's glue, the guests.
pub(crate) fn clippy(repo: &Repo) -> Result<()> {
    check_rust_src(repo)?;
    for package in [PACKAGE].into_iter().chain(GUESTS) {
        let mut cargo = firmware(repo, "clippy", package)?;
        repo::run(cargo.args(["--", "--deny", "warnings"]))?;
    }
    Ok(())
}

/// `cargo VERB` for the kernel or what is built like it.
fn firmware(repo: &Repo, verb: &str, package: &str) -> Result<Command> {
    let mut cargo = repo.cargo();
    cargo
        .args([verb, "--package", package, "--profile", PROFILE])
        .arg("--target")
        .arg(format!("linker/{TARGET}.json"))
        .args(["-Zjson-target-spec", "-Zbuild-std=core,alloc"])
        .arg("-Zbuild-std-features=compiler-builtins-mem")
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(repo)?.join("\x1f"))
        .env_remove("RUSTFLAGS");
    Ok(cargo)
}

/// Flags for every crate of the firmware, `core` included.
fn rustflags(repo: &Repo) -> Result<Vec<String>> {
    let sysroot = output(repo.command("rustc").args(["--print", "sysroot"]))?;
    let cargo_home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
        .context("neither CARGO_HOME nor HOME is set")?;
    let mut flags = Vec::new();
    // The registry's folder has a name of its own, which says nothing and would
    // be in the image with every file that can panic.
    let registries = fs::read_dir(cargo_home.join("registry/src")).into_iter().flatten().flatten();
    let mut from_to: Vec<_> = registries.map(|dir| (dir.path(), "/registry")).collect();
    from_to.push((PathBuf::from(sysroot).join("lib/rustlib/src/rust"), "/rust"));
    from_to.push((repo.root.clone(), "/serverkernel"));
    for (from, to) in from_to {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    }
    Ok(flags)
}

/// `-Zbuild-std` without the sources of `core` fails with a message that does
/// not say what to do.
fn check_rust_src(repo: &Repo) -> Result<()> {
    let sysroot = output(repo.command("rustc").args(["--print", "sysroot"]))?;
    let core = PathBuf::from(sysroot).join("lib/rustlib/src/rust/library/core");
    if !core.is_dir() {
        bail!("the component rust-src is missing; run `cargo xtask setup`");
    }
    Ok(())
}

/// The commit, or `unknown` outside a git checkout.
fn describe(repo: &Repo) -> String {
    let mut git = repo.command("git");
    git.args(["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]);
    output(&mut git).unwrap_or_else(|_| "unknown".to_owned())
}

fn write(path: PathBuf, bytes: &[u8]) -> Result<()> {
    fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// Lower-case hexadecimal.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
