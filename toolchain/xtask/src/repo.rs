//! Where things are, and how commands are run: printed first, timed, and quoted
//! in full when they fail.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// The checked-out repository.
pub(crate) struct Repo {
    /// The folder of the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Cargo's target folder: `$CARGO_TARGET_DIR`, or `target`.
    pub(crate) target: PathBuf,
}

impl Repo {
    /// Finds the repository from the place of this package, so that the verbs
    /// work from any folder.
    pub(crate) fn find() -> Result<Self> {
        let here = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = here
            .ancestors()
            .find(|dir| dir.join("rust-toolchain.toml").is_file())
            .with_context(|| format!("no rust-toolchain.toml above {}", here.display()))?
            .to_path_buf();
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => root.join(dir),
            None => root.join("target"),
        };
        Ok(Self { root, target })
    }

    /// Where the firmware goes: `sk` looks there too.
    pub(crate) fn artefacts(&self) -> PathBuf {
        self.target.join("serverkernel")
    }

    /// The raw image, exactly the bytes that go on the card.
    pub(crate) fn kernel_img(&self) -> PathBuf {
        self.artefacts().join("kernel.img")
    }

    /// The image with symbols and debug information.
    pub(crate) fn kernel_elf(&self) -> PathBuf {
        self.artefacts().join("kernel.elf")
    }

    /// A command to be run in the root of the repository.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// The cargo that runs this program.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = self.command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.env("CARGO_TARGET_DIR", &self.target);
        command
    }
}

/// Runs a command whose output goes to the terminal.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = shown(command);
    eprintln!("$ {line}");
    let began = Instant::now();
    let status =
        command.stdin(Stdio::null()).status().with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed: {status}");
    }
    eprintln!("  {:.1} s", began.elapsed().as_secs_f32());
    Ok(())
}

/// Runs a command and returns what it printed, without the last line break.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = shown(command);
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{line}` failed: {}\n{}", output.status, said.trim_end());
    }
    let text = String::from_utf8(output.stdout).context("output is not UTF-8")?;
    Ok(text.trim_end().to_owned())
}

/// The command as one would type it.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut line =
        program.file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}
