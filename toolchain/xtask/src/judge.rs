//! `cargo xtask judge`: strangers judge what we assume of network adapters.
//!
//! The judge is a program of its own (`toolchain/judge`), so that this one does
//! not have to link models and servers. It needs packages of Debian's, so it is
//! not among the checks.

use std::ffi::OsString;

use anyhow::{Context, Result};

use crate::repo::{Repo, run};
use crate::{newer_qemu, setup};

/// Options of `cargo xtask judge`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Judge on a newer QEMU than the system's, fetched where it can be had
    #[arg(long)]
    newer: bool,
    /// For the judge: lan9512 or ecm for one of the two; --help
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Fetches what is missing, boots, asks; an error unless every answer is right.
pub(crate) fn run_judge(repo: &Repo, options: &Options) -> Result<()> {
    setup::run_setup(repo)?;
    let mut judge = repo.cargo();
    judge.args(["run", "--quiet", "--package", "judge", "--", "--cache"]);
    judge.arg(repo.target.join("judge"));
    if options.newer {
        judge.arg("--qemu").arg(newer_qemu::find(repo).context("no newer QEMU to judge on")?);
    }
    run(judge.args(&options.arguments))
}
