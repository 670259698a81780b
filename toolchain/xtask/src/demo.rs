//! `cargo xtask demo [FILE]`: the whole product in one command.
//!
//! Builds kernel, payload and `sk`; starts a board; lets `sk` find it without
//! being told an address; has the board compute a file's MD5, and compares the
//! answer with two computed here.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use md5::{Digest, Md5};

use crate::repo::{Repo, output};
use crate::{build, payloads, setup};

/// Options of `cargo xtask demo`.
#[derive(clap::Args, Clone, Default)]
pub(crate) struct Options {
    /// What to hash; without it a file of more than 1 MiB that the build made
    file: Option<PathBuf>,
    /// The board: zero, 1a-plus or 1b
    #[arg(long, alias = "machine", default_value = "zero")]
    board: String,
}

/// From the start of the emulator to the board's "ready".
const READY: Duration = Duration::from_secs(60);

/// The least size of the default input.
const MEBIBYTE: u64 = 1 << 20;

/// Runs the demonstration; an error when anything differs.
pub(crate) fn run(repo: &Repo, options: &Options) -> Result<()> {
    setup::run_setup(repo)?;
    build::run(repo, &build::Options::default())?;
    let payload = payloads::run_one(repo, "md5")?;
    let sk = repo.target.join("debug/sk");
    let input = match &options.file {
        Some(file) => fs::canonicalize(file).with_context(|| format!("{}", file.display()))?,
        None => default_input(repo)?,
    };

    println!("\n1. a board");
    let name = "demo";
    // Keys of its own: the demonstration leaves nothing among the user's.
    let keys = repo.artefacts().join("demo-keys");
    let sk = || {
        let mut command = repo.command(&sk);
        command.env("SK_HOME", &keys);
        command
    };
    let mut emu = sk();
    emu.args(["emu", "--name", name, "--board", &options.board]);
    emu.arg("--kernel").arg(repo.kernel_img());
    let _board = Running::start(&mut emu, &format!("board {name} ready on"))?;

    println!("\n2. found, with no address given");
    let found = output(sk().arg("scan"))?;
    println!("{found}");
    ensure!(found.contains(name), "`sk scan` does not list {name}");

    println!("\n3. a payload computes the MD5 of {}", input.display());
    let bytes = fs::read(&input)?;
    let began = Instant::now();
    let answer = sk()
        .arg("run")
        .arg(&payload)
        .stdin(File::open(&input)?)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start `sk run`")?;
    let time = began.elapsed();
    ensure!(answer.status.success(), "`sk run` failed: {}", answer.status);

    let theirs = digest(&answer.stdout)?;
    let ours = hex(&Md5::digest(&bytes));
    println!("board {name}    {theirs}");
    println!("md-5 crate      {ours}");
    ensure!(theirs == ours, "the board's digest is wrong");
    match output(repo.command("md5sum").arg(&input)) {
        Ok(line) => {
            println!("md5sum          {line}");
            ensure!(line.starts_with(&ours), "md5sum disagrees");
        }
        Err(_) => println!("md5sum          is not installed here"),
    }
    println!(
        "{} bytes to {name} and back in {:.2} s: all three agree",
        bytes.len(),
        time.as_secs_f32()
    );
    Ok(())
}

/// `sk emu`, ended with this value; the board goes with it.
struct Running(Child);

impl Running {
    fn start(command: &mut Command, ready: &str) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start `sk emu`")?;
        let stdout = child.stdout.take();
        let running = Self(child);
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.into_iter().flat_map(|pipe| BufReader::new(pipe).lines()) {
                let Ok(line) = line else { break };
                println!("   {line}");
                // After "ready" nobody listens, but the pipe must be emptied.
                let _ = sender.send(line);
            }
        });
        let until = Instant::now() + READY;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) if line.starts_with(ready) => return Ok(running),
                Ok(_) => {}
                Err(_) => bail!("`sk emu` did not print \"{ready} …\" within {READY:?}"),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The digest in what the payload wrote: 16 bytes, or 32 digits of text.
fn digest(answer: &[u8]) -> Result<String> {
    if answer.len() == 16 {
        return Ok(hex(answer));
    }
    let text = String::from_utf8_lossy(answer);
    let text = text.trim();
    let good = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    ensure!(good, "the payload wrote {} bytes that are no digest", answer.len());
    Ok(text.to_ascii_lowercase())
}

/// kernel.elf if it is large enough, else a file of numbers.
fn default_input(repo: &Repo) -> Result<PathBuf> {
    let elf = repo.kernel_elf();
    if fs::metadata(&elf)?.len() > MEBIBYTE {
        return Ok(elf);
    }
    let path = repo.artefacts().join("demo-input.bin");
    write_numbers(&path)?;
    Ok(path)
}

/// 1 MiB and a bit, the same each time (xorshift, Marsaglia 2003).
fn write_numbers(path: &Path) -> Result<()> {
    let mut state = 0x2545_f491_u32;
    let bytes: Vec<u8> = (0..MEBIBYTE / 4 + 77)
        .flat_map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()
        })
        .collect();
    fs::write(path, bytes).with_context(|| format!("{}", path.display()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_16_bytes_or_32_digits() {
        assert_eq!(digest(&[0xab; 16]).unwrap(), "ab".repeat(16));
        let text = format!("{}\n", "AB".repeat(16));
        assert_eq!(digest(text.as_bytes()).unwrap(), "ab".repeat(16));
        for bad in [&b"hello"[..], b"", &[b'x'; 32], &[0; 17]] {
            digest(bad).unwrap_err();
        }
    }
}
