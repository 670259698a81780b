//! `cargo xtask test`: everything that must hold before a change goes in.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::repo::{Repo, run};
use crate::{build, newer_qemu, payloads, setup, sizes};

/// Options of `cargo xtask test`.
#[derive(clap::Args, Clone, Default)]
pub(crate) struct Options {
    /// Only these steps, in the order of the whole: setup, fmt, clippy, unit, fuzz,
    /// build, firmware-clippy, sizes, payloads, e2e, smoke
    steps: Vec<String>,
}

/// A step's name and what it does.
type Step = (&'static str, fn(&Repo) -> Result<()>);

const STEPS: [Step; 11] = [
    ("setup", setup::run_setup),
    ("fmt", fmt),
    ("clippy", clippy),
    ("unit", unit),
    ("fuzz", fuzz),
    ("build", |repo| build::run(repo, &build::Options::default())),
    ("firmware-clippy", build::clippy),
    ("sizes", |repo| sizes::run(repo, &sizes::Options::default())),
    ("payloads", payloads::run_all),
    ("e2e", e2e),
    ("smoke", smoke),
];

/// Runs the steps until one fails, and says how long each took.
pub(crate) fn run_steps(repo: &Repo, options: &Options) -> Result<()> {
    for asked in &options.steps {
        if !STEPS.iter().any(|(name, _)| name == asked) {
            bail!("no step named {asked}");
        }
    }
    let mut times: Vec<(&str, Duration)> = Vec::new();
    for (name, step) in STEPS {
        if !options.steps.is_empty() && !options.steps.iter().any(|asked| asked == name) {
            continue;
        }
        println!("== {name}");
        let began = Instant::now();
        let result = step(repo);
        times.push((name, began.elapsed()));
        if result.is_err() {
            report(&times);
        }
        result.with_context(|| format!("step {name}"))?;
    }
    report(&times);
    println!("all passed");
    Ok(())
}

fn report(times: &[(&str, Duration)]) {
    println!("==");
    for (name, time) in times {
        println!("{name:16} {:7.1} s", time.as_secs_f32());
    }
}

fn fmt(repo: &Repo) -> Result<()> {
    run(repo.cargo().args(["fmt", "--all", "--check"]))
}

/// All packages that build for the host.
fn clippy(repo: &Repo) -> Result<()> {
    let arguments = ["clippy", "--all-targets", "--", "--deny", "warnings"];
    run(repo.cargo().args(arguments))?;
    let arguments = ["clippy", "--package", "e2e", "--all-targets"];
    run(repo.cargo().args(arguments).args(["--", "--deny", "warnings"]))
}

fn unit(repo: &Repo) -> Result<()> {
    run(repo.cargo().arg("test"))
}

/// What USB devices and the firmware say, bent for 20 s each, two at a time:
/// descriptors, hub status, receive stream, property replies.
fn fuzz(repo: &Repo) -> Result<()> {
    let targets = ["descriptors", "hub", "hub_answers", "lan95xx", "property"];
    let arguments = ["run", "--quiet", "--package", "sk-fuzz", "--example", "mutate", "--", "20"];
    run(repo.cargo().args(arguments).args(targets))
}

/// Boards in QEMU that boot the kernel as it was built: a Zero on the system's
/// QEMU, in full.
fn e2e(repo: &Repo) -> Result<()> {
    run(&mut end_to_end(repo)?)
}

/// The main job on the other boards, and on all with a newer QEMU where there
/// is one.
fn smoke(repo: &Repo) -> Result<()> {
    // Without counting: a newer QEMU does not take the plugin.
    let quick = "--test main_job --test memory --test network -- \
                 a_large_file the_smallest_payload gets_an_address right_at_every_alignment";
    let job = "--test main_job --test network --test examples";
    let plugs = "--test main_job --test network --test plugs";
    let newer = newer_qemu::find(repo);
    let mut others = vec![("1a-plus", None, quick), ("1b", None, job)];
    if let Some(qemu) = &newer {
        let qemu = Some(qemu);
        others.extend([("zero", qemu, quick), ("1a-plus", qemu, quick), ("1b", qemu, plugs)]);
    }
    for (board, qemu, tests) in others {
        let mut command = end_to_end(repo)?;
        command.args(tests.split_whitespace()).env("SK_MACHINE", board);
        if let Some(qemu) = qemu {
            command.env("SK_QEMU", qemu);
        }
        println!("-- {board}, {} QEMU", if qemu.is_some() { "newer" } else { "the system's" });
        run(&mut command)?;
    }
    Ok(())
}

fn end_to_end(repo: &Repo) -> Result<std::process::Command> {
    build::guests(repo)?;
    let sk = payloads::build_sk(repo)?;
    let mut command = repo.cargo();
    command
        .args(["test", "--package", "e2e"])
        .env("SK_ARTEFACTS", repo.artefacts())
        .env("SK_BIN", sk);
    Ok(command)
}
