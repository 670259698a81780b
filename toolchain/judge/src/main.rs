//! An independent judge of what we assume of network adapters.
//!
//! The tests of our drivers run against models that we wrote, so a mistake made
//! in both would not show. Here each side meets a stranger, in QEMU: our model
//! of the LAN9512 meets the driver of an unmodified Linux, and QEMU's own
//! `usb-net` shows, under the same Linux, what our model of it claims.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

mod boot;
mod ecm;
mod guest;
mod lan9512;
mod packages;
mod station;
mod trial;
mod usbmon;
mod verdict;

use boot::Machine;
use packages::Packages;
use verdict::Verdict;

#[derive(Parser)]
struct Cli {
    /// Only this
    #[arg(value_enum)]
    only: Option<Trial>,
    /// Where packages and logs are kept
    #[arg(long)]
    cache: PathBuf,
    /// The emulator
    #[arg(long, default_value = "qemu-system-arm")]
    qemu: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Trial {
    /// Linux's smsc95xx on our model
    Lan9512,
    /// Linux's cdc_ether on QEMU's usb-net, compared with our model
    Ecm,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: not judged, so not passed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<bool> {
    std::fs::create_dir_all(&cli.cache).with_context(|| cli.cache.display().to_string())?;
    let cache = cli.cache.canonicalize()?;
    let packages = Packages::get(&cache)?;
    let archive = cache.join("guest.cpio");
    std::fs::write(&archive, guest::archive(&packages)?)?;
    let machine = Machine { qemu: cli.qemu.clone(), packages, archive };
    let mut verdict = Verdict::default();
    verdict.tell("emulator", machine.version()?);
    verdict.tell("judge", format!("Linux {}", machine.packages.version));
    for trial in [Trial::Lan9512, Trial::Ecm] {
        if cli.only.is_some_and(|only| only != trial) {
            continue;
        }
        let (name, ended) = match trial {
            Trial::Lan9512 => (lan9512::NAME, lan9512::run(&mut verdict, &machine, &cache)),
            Trial::Ecm => (ecm::NAME, ecm::run(&mut verdict, &machine, &cache)),
        };
        if let Err(error) = ended {
            verdict.judge(format!("{name}: to the end"), format!("{error:#}"), false);
        }
    }
    Ok(verdict.print())
}
