//! `sk inspect`: what is in an image.

use std::path::PathBuf;

use sk_pack::PackOptions;

use crate::failure::Failure;
use crate::{payload, terminal};

/// Says what is in a payload: header, sizes, services needed, relocations
#[derive(clap::Args)]
#[command(after_help = "Example:\n  sk inspect md5.skp")]
pub(crate) struct Args {
    /// A payload image, or a linked ELF file
    file: PathBuf,
}

impl Args {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let bytes = payload::read(&self.file)?;
        let image = if payload::is_elf(&bytes) {
            sk_pack::pack(&bytes, PackOptions::default())?.bytes
        } else {
            bytes
        };
        let report = sk_pack::inspect(&image).map_err(|refusal| {
            Failure::new(format!("{}: boards would refuse it: {refusal}", self.file.display()))
                .help("`sk build` or `sk pack` makes payload images")
        })?;
        terminal::data(&report.to_string())
    }
}
