//! Repository chores, run as `cargo xtask VERB`.
//!
//! `sk` is the tool for users; this one is for people who work on the
//! repository. One verb per file.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

mod build;
mod demo;
mod headers;
mod image;
mod judge;
mod mutate_dma;
mod newer_qemu;
mod payloads;
mod repo;
mod setup;
mod sizes;
mod symbols;
mod test;

use repo::Repo;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Repository chores for serverkernel")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Add what this machine lacks: components of Rust, QEMU
    Setup,
    /// Build kernel.elf, kernel.img and reference.json into target/serverkernel
    Build(build::Options),
    /// Write the SDK's C header from what the kernel is compiled from
    Headers,
    /// Build the SDK's examples into target/serverkernel
    Payloads,
    /// Print the size of each crate in kernel.elf against kernel/budgets.toml
    Sizes(sizes::Options),
    /// Build, start a board, and have it compute a file's MD5
    Demo(demo::Options),
    /// Leave out each cache operation and barrier, and want a test to fail
    MutateDma(mutate_dma::Options),
    /// Let Linux's drivers judge our model of the LAN9512, and QEMU's adapter ours of it
    Judge(judge::Options),
    /// Run all checks, as .ci/run does
    Test(test::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli.verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The chain of causes on one line, no backtrace.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: &Verb) -> Result<()> {
    let repo = Repo::find()?;
    match verb {
        Verb::Setup => setup::run_setup(&repo),
        Verb::Build(options) => build::run(&repo, options),
        Verb::Headers => headers::run(&repo),
        Verb::Payloads => payloads::run_all(&repo),
        Verb::Sizes(options) => sizes::run(&repo, options),
        Verb::Demo(options) => demo::run(&repo, options),
        Verb::MutateDma(options) => mutate_dma::mutate(&repo, options),
        Verb::Judge(options) => judge::run_judge(&repo, options),
        Verb::Test(options) => test::run_steps(&repo, options),
    }
}
