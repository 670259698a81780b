//! `cargo xtask setup`: what the repository needs and this machine lacks.
//!
//! Rust's components come through rustup, programs through the system's
//! packages. Nothing is done when all is there.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::repo::{Repo, output, run};

/// A component of the toolchain and how to see that it is there.
const COMPONENTS: [(&str, Sign); 3] = [
    ("rust-src", Sign::Sysroot("lib/rustlib/src/rust/library/core")),
    ("rustfmt", Sign::Sysroot("bin/rustfmt")),
    ("clippy", Sign::Sysroot("bin/clippy-driver")),
];

enum Sign {
    /// A file or folder of the toolchain.
    Sysroot(&'static str),
}

/// A program, the Debian package that has it, and what it is for.
const PROGRAMS: [(&str, &str, &str); 2] = [
    ("qemu-system-arm", "qemu-system-arm", "emulates a board"),
    ("arm-none-eabi-gcc", "gcc-arm-none-eabi", "compiles payloads in C"),
];

/// Adds what is missing.
pub(crate) fn run_setup(repo: &Repo) -> Result<()> {
    components(repo)?;
    programs(repo)
}

fn components(repo: &Repo) -> Result<()> {
    let sysroot = PathBuf::from(output(repo.command("rustc").args(["--print", "sysroot"]))?);
    let missing: Vec<&str> = COMPONENTS
        .iter()
        .filter(|(_, Sign::Sysroot(file))| !sysroot.join(file).exists())
        .map(|(name, _)| *name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("adding to the Rust toolchain: {}", missing.join(", "));
    run(repo.command("rustup").args(["component", "add"]).args(missing))
}

fn programs(repo: &Repo) -> Result<()> {
    let missing: Vec<_> =
        PROGRAMS.iter().filter(|(program, _, _)| find(program).is_none()).collect();
    if missing.is_empty() {
        println!("setup: all there");
        return Ok(());
    }
    for (program, package, purpose) in &missing {
        println!("missing: {program} (package {package}), which {purpose}");
    }
    let packages: Vec<&str> = missing.iter().map(|(_, package, _)| *package).collect();
    if find("apt-get").is_none() {
        bail!("install with this system's package manager: {}", packages.join(" "));
    }
    let Some(prefix) = superuser(repo) else {
        bail!("as root: apt-get install {}", packages.join(" "));
    };
    let apt = |arguments: &[&str]| {
        let mut words = prefix.iter().copied().chain(["apt-get"]);
        let mut command = repo.command(words.next().unwrap_or("apt-get"));
        command.args(words).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        run(&mut command)
    };
    apt(&["update", "--quiet"])?;
    let mut install = vec!["install", "--quiet", "--yes", "--no-install-recommends"];
    install.extend(&packages);
    apt(&install)?;
    for (program, package, _) in missing {
        if find(program).is_none() {
            bail!("{package} is installed, but {program} is not in PATH");
        }
    }
    Ok(())
}

/// How to become root without a question: not at all, or by `sudo -n`.
fn superuser(repo: &Repo) -> Option<&'static [&'static str]> {
    let uid = output(repo.command("id").arg("-u")).ok()?;
    if uid == "0" {
        return Some(&[]);
    }
    let sudo = output(repo.command("sudo").args(["-n", "true"]));
    sudo.is_ok().then_some(&["sudo", "-n"])
}

fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}
