//! `cargo xtask mutate-dma`: is each cache operation and each barrier tested?
//!
//! Leaves them out one at a time and wants a test to fail for each. The sources
//! are copied into the target folder and every such call is wrapped in a
//! condition on an environment variable, so everything is compiled once and run
//! once per call.
//!
//! What only exists on the board is not run, so nothing is decided there: an
//! instruction each in `kernel/soc`, and the boot code. [`points::glue`] holds it
//! to that.

mod points;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::repo::{Repo, output, run};
use points::Point;

/// Options of `cargo xtask mutate-dma`.
#[derive(clap::Args, Clone, Default)]
pub(crate) struct Options {
    /// Only print what would be left out
    #[arg(long)]
    list: bool,
}

/// Says which call is left out: its number.
const VARIABLE: &str = "SK_MUTANT";

/// Tests: package, target as cargo names it, and filters of test names.
type Suite = (&'static str, &'static str, &'static [&'static str]);

const SUITES: [Suite; 6] = [
    ("sk-hal", "cp15", &[]),
    ("sk-hal", "dma", &[]),
    ("rpi-mbox", "mailbox", &[]),
    ("sk-drivers", "sk_drivers", &["dwc2::tests::caches", "dwc2::tests::transfers"]),
    ("sk-drivers", "tables", &[]),
    ("sk-loader", "cache", &[]),
];

/// Longest run of one suite.
const PATIENCE: Duration = Duration::from_secs(120);

/// Finds the calls, leaves them out, prints what failed.
pub(crate) fn mutate(repo: &Repo, options: &Options) -> Result<()> {
    points::glue(&repo.root)?;
    let points = points::find(&repo.root)?;
    if options.list {
        for point in &points {
            println!("{}:{}: {}", point.file, point.line, point.text);
        }
        return Ok(());
    }
    let work = repo.target.join("mutate-dma");
    let tree = work.join("tree");
    copy(repo, &tree, &points)?;
    let suites = build(repo, &tree, &work.join("target"))?;
    for (suite, program) in SUITES.iter().zip(&suites) {
        let failed = execute(program, suite, None)?;
        ensure!(failed.is_empty(), "with nothing left out: {} fails", failed.join(", "));
    }
    let began = Instant::now();
    let mut survivors = Vec::new();
    for (number, point) in points.iter().enumerate() {
        let place = format!("{}:{}", point.file, point.line);
        let mut noticed = Vec::new();
        for (suite, program) in SUITES.iter().zip(&suites) {
            let failed = execute(program, suite, Some(number))?;
            if let Some(first) = failed.first() {
                let others = match failed.len() - 1 {
                    0 => String::new(),
                    n => format!(" and {n} more"),
                };
                noticed.push(format!("{} {}: {first}{others}", suite.0, suite.1));
            }
        }
        println!("{place:34} {}", point.text);
        for line in &noticed {
            println!("    {line}");
        }
        if noticed.is_empty() {
            println!("    NO TEST FAILS");
            survivors.push(place);
        }
    }
    println!("{} left out in {:.0} s", points.len(), began.elapsed().as_secs_f32());
    if !survivors.is_empty() {
        bail!("{} without a test that fails: {}", survivors.len(), survivors.join(", "));
    }
    println!("a test fails for each");
    Ok(())
}

/// The repository's files into `tree`, the calls wrapped. What has not changed
/// is not written, so that it is not compiled again.
fn copy(repo: &Repo, tree: &Path, points: &[Point]) -> Result<()> {
    let mut git = repo.command("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let listed = output(&mut git)?;
    let mut by_file: BTreeMap<&str, Vec<(usize, &Point)>> = BTreeMap::new();
    for (number, point) in points.iter().enumerate() {
        by_file.entry(&point.file).or_default().push((number, point));
    }
    for name in listed.lines() {
        let from = repo.root.join(name);
        let Ok(mut bytes) = fs::read(&from) else { continue };
        if let Some(points) = by_file.get(name) {
            bytes = points::wrap(&String::from_utf8(bytes)?, name, points).into_bytes();
        }
        if name == points::HOME {
            bytes.extend_from_slice(points::SWITCH.replace("VARIABLE", VARIABLE).as_bytes());
        }
        let to = tree.join(name);
        if fs::read(&to).is_ok_and(|old| old == bytes) {
            continue;
        }
        fs::create_dir_all(to.parent().context("a file has a folder")?)?;
        fs::write(&to, bytes).with_context(|| format!("cannot write {}", to.display()))?;
    }
    Ok(())
}

/// Compiles the suites and returns their programs in the same order.
fn build(repo: &Repo, tree: &Path, target: &Path) -> Result<Vec<PathBuf>> {
    let cargo = || {
        let mut cargo = repo.cargo();
        cargo.current_dir(tree).env("CARGO_TARGET_DIR", target).args(["test", "--no-run"]);
        // What is wrapped is not pretty.
        cargo.env("RUSTFLAGS", "-Awarnings");
        for (package, name, _) in SUITES {
            cargo.args(["--package", package]);
            if *name == *package.replace('-', "_") {
                cargo.arg("--lib");
            } else {
                cargo.args(["--test", name]);
            }
        }
        cargo
    };
    run(&mut cargo())?;
    let said = output(cargo().args(["--message-format", "json", "--quiet"]))?;
    let messages: Vec<serde_json::Value> =
        said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let program = |(package, name, _): &Suite| {
        let ours = messages.iter().find(|message| {
            let id = message["package_id"].as_str().unwrap_or_default();
            message["target"]["name"] == *name
                && message["executable"].is_string()
                && id.contains(&format!("{package}@")) | id.contains(&folder(package))
        });
        let path = ours.and_then(|message| message["executable"].as_str());
        path.map(PathBuf::from).with_context(|| format!("no program for {package} {name}"))
    };
    SUITES.iter().map(program).collect()
}

/// How a package's ID names it when its folder is called like it: by that.
fn folder(package: &str) -> String {
    format!("/{}#", package.trim_start_matches("sk-"))
}

/// Runs a suite and returns the tests that failed.
fn execute(program: &Path, suite: &Suite, left_out: Option<usize>) -> Result<Vec<String>> {
    let mut command = Command::new(program);
    command.args(suite.2).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.env("RUST_BACKTRACE", "0").env("PROPTEST_MAX_SHRINK_ITERS", "0");
    match left_out {
        Some(number) => command.env(VARIABLE, number.to_string()),
        None => command.env_remove(VARIABLE),
    };
    let mut child = command.spawn().with_context(|| format!("{}", program.display()))?;
    let mut stdout = child.stdout.take().context("stdout is piped")?;
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    });
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if began.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            break None;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let text = match reader.join() {
        Ok(text) => text?,
        Err(_) => bail!("{} said nothing", program.display()),
    };
    let failed: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"))
        .map(|name| name.trim_end_matches(" - should panic").to_owned())
        .collect();
    match status {
        Some(status) if status.success() == failed.is_empty() => Ok(failed),
        Some(status) => bail!("{}: {status}", program.display()),
        None => Ok(vec![format!("(no end after {} s)", PATIENCE.as_secs())]),
    }
}
