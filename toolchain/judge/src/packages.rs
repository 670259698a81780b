//! Debian's kernel for these boards, and busybox: fetched once by apt, checked
//! by its signatures, unpacked and not installed.
//!
//! The packages are of another architecture. Apt is told so on its command line
//! and keeps lists of its own here, so nothing of the system changes and nobody
//! has to be root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

const RELEASE: &str = "bookworm";
const ARCHITECTURE: &str = "armel";
/// Depends on the current kernel of this kind.
const META: &str = "linux-image-rpi";
/// Where apt knows no mirror.
const MIRROR: &str = "http://deb.debian.org/debian/";

/// What a guest is made of.
pub(crate) struct Packages {
    /// Everything is unpacked below here.
    root: PathBuf,
    /// As in `uname -r`.
    pub(crate) version: String,
}

impl Packages {
    /// Fetched before, or now.
    pub(crate) fn get(cache: &Path) -> Result<Self> {
        let root = cache.join("root");
        let done = cache.join("version");
        if !done.is_file() {
            let version = fetch(cache, &root).context("Debian's packages cannot be had here")?;
            fs::write(&done, version)?;
        }
        let version = fs::read_to_string(&done)?;
        Ok(Self { root, version })
    }

    pub(crate) fn kernel(&self) -> PathBuf {
        self.root.join("boot").join(format!("vmlinuz-{}", self.version))
    }

    pub(crate) fn device_tree(&self) -> PathBuf {
        let dir = format!("usr/lib/linux-image-{}", self.version);
        self.root.join(dir).join("bcm2835-rpi-zero.dtb")
    }

    pub(crate) fn busybox(&self) -> PathBuf {
        self.root.join("bin/busybox")
    }

    pub(crate) fn modules(&self) -> PathBuf {
        self.root.join("lib/modules").join(&self.version)
    }
}

fn fetch(cache: &Path, root: &Path) -> Result<String> {
    let dir = cache.join("apt");
    fs::create_dir_all(dir.join("lists/partial"))?;
    fs::write(dir.join("status"), "")?;
    fs::write(dir.join("sources.list"), format!("deb {} {RELEASE} main\n", mirror()))?;
    println!("fetching {META} and busybox-static ({ARCHITECTURE}, 27 MB and lists)");
    run(apt("apt-get", &dir).args(["--quiet", "--quiet", "update"]))?;
    let depends = run(apt("apt-cache", &dir).args(["depends", META]))?;
    let image = depends
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "))
        .with_context(|| format!("{META} depends on nothing"))?;
    run(apt("apt-get", &dir).args(["--quiet", "--quiet", "download", image, "busybox-static"]))?;
    for file in fs::read_dir(&dir)? {
        let path = file?.path();
        if path.extension().is_some_and(|end| end == "deb") {
            run(Command::new("dpkg-deb").arg("-x").arg(&path).arg(root))?;
        }
    }
    fs::remove_dir_all(&dir)?;
    let version = image.strip_prefix("linux-image-").unwrap_or(image);
    Ok(version.to_owned())
}

/// The mirror that apt uses already.
fn mirror() -> String {
    let known = Command::new("apt-get")
        .args(["indextargets", "--format", "$(REPO_URI) $(CODENAME)", "Created-By: Packages"])
        .output();
    let known = known.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let suffix = format!(" {RELEASE}");
    known
        .ok()
        .and_then(|text| Some(text.lines().find_map(|l| l.strip_suffix(&suffix))?.to_owned()))
        .unwrap_or_else(|| MIRROR.to_owned())
}

fn apt(program: &str, dir: &Path) -> Command {
    let mut command = Command::new(program);
    let path = |name| dir.join(name).display().to_string();
    for (key, value) in [
        ("APT::Architecture", ARCHITECTURE.to_owned()),
        ("APT::Architectures::", ARCHITECTURE.to_owned()),
        ("Dir::Etc::sourcelist", path("sources.list")),
        ("Dir::Etc::sourceparts", "-".to_owned()),
        ("Dir::State::lists", path("lists")),
        ("Dir::State::status", path("status")),
        ("Dir::Cache", path("cache")),
        ("Acquire::Languages", "none".to_owned()),
        ("Acquire::http::Timeout", "20".to_owned()),
        ("APT::Sandbox::User", String::new()),
        ("APT::Update::Error-Mode", "any".to_owned()),
    ] {
        command.arg("-o").arg(format!("{key}={value}"));
    }
    command.current_dir(dir);
    command
}

fn run(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot start {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program}: {}: {}", output.status, said.trim_end());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
