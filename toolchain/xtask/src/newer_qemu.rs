//! A newer QEMU beside the system's, where it can be had.
//!
//! Debian 12 has QEMU 7.2, which lets unaligned accesses pass that hardware
//! with its MMU off does not; 10.0, from the backports of the same release,
//! faults them. It is unpacked into the target folder, from the mirror that apt
//! uses already, without being installed and without root.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::repo::{Repo, output, run};

const PACKAGES: [&str; 3] = ["qemu-system-arm", "qemu-system-common", "qemu-system-data"];
/// The release whose backports are asked; later ones have a newer QEMU anyway.
const RELEASE: &str = "bookworm";

/// The program, unpacked before or now; `None` (and why, on the terminal) if
/// it cannot be had here.
pub(crate) fn find(repo: &Repo) -> Option<PathBuf> {
    let dir = repo.target.join("newer-qemu");
    let program = dir.join("qemu-system-arm");
    let works = || output(repo.command(&program).arg("--version")).ok();
    if works().is_none()
        && let Err(error) = fetch(repo, &dir, &program)
    {
        println!("no newer QEMU here: {error:#}");
        return None;
    }
    let version = works()?;
    println!("newer QEMU: {}", version.lines().next().unwrap_or_default());
    Some(program)
}

fn fetch(repo: &Repo, dir: &Path, program: &Path) -> Result<()> {
    let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let codename = format!("VERSION_CODENAME={RELEASE}");
    ensure!(system.lines().any(|line| line == codename), "this is not Debian {RELEASE}");
    let mirrors = output(repo.command("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI) $(CODENAME)",
        "Created-By: Packages",
    ]))?;
    let mirror = mirrors
        .lines()
        .find_map(|line| line.strip_suffix(&format!(" {RELEASE}")))
        .context("apt knows no mirror; `apt-get update` helps")?;

    let lists = dir.join("lists");
    fs::create_dir_all(lists.join("partial"))?;
    let sources = dir.join("backports.list");
    fs::write(&sources, format!("deb {mirror} {RELEASE}-backports main\n"))?;
    let apt = |arguments: &[&str]| {
        let mut command = repo.command("apt-get");
        for (key, path) in [("Dir::Etc::sourcelist", &sources), ("Dir::State::lists", &lists)] {
            command.arg("-o").arg(format!("{key}={}", path.display()));
        }
        command.args(["-o", "Dir::Etc::sourceparts=-", "--quiet"]).args(arguments);
        run(command.current_dir(dir))
    };
    apt(&["update"])?;
    let mut download = vec!["download"];
    download.extend(PACKAGES);
    apt(&download)?;

    let root = dir.join("root");
    for file in fs::read_dir(dir)? {
        let path = file?.path();
        if path.extension().is_some_and(|end| end == "deb") {
            run(repo.command("dpkg-deb").arg("-x").arg(&path).arg(&root))?;
            fs::remove_file(&path)?;
        }
    }
    // Its modules are beside it; those of another build, where the system has
    // some, make it abort when it looks for sound.
    let root = root.display();
    let script = format!(
        "#!/bin/sh\nQEMU_MODULE_DIR=$(echo '{root}'/usr/lib/*/qemu)\nexport QEMU_MODULE_DIR\n\
         exec '{root}/usr/bin/qemu-system-arm' -L '{root}/usr/share/qemu' -audio driver=none \"$@\"\n"
    );
    fs::write(program, script)?;
    fs::set_permissions(program, fs::Permissions::from_mode(0o755))?;
    Ok(())
}
