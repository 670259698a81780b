//! `sk pack`: from a linked file to an image.

use std::path::PathBuf;

use sk_pack::PackOptions;

use crate::failure::Failure;
use crate::{payload, terminal, units};

/// Turns an ELF file, linked with payload.ld, into a payload image
#[derive(clap::Args)]
#[command(after_help = "Example:\n  sk pack hello.elf -o hello.skp")]
pub(crate) struct Args {
    /// The linked file
    elf: PathBuf,
    /// Where the image goes
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Stack, instead of what the payload says (16K)
    #[arg(long, value_parser = units::size, value_name = "SIZE")]
    stack: Option<u32>,
    /// The payload needs privileges: boards refuse to run it shielded
    #[arg(long)]
    direct: bool,
    /// Accept files of the soft-float ABI
    #[arg(long)]
    soft_float: bool,
}

impl Args {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let options =
            PackOptions { stack: self.stack, direct: self.direct, soft_float: self.soft_float };
        let elf = payload::read(&self.elf)?;
        let packed = sk_pack::pack(&elf, options).map_err(|error| {
            let failure = Failure::from(error);
            Failure { message: format!("{}: {}", self.elf.display(), failure.message), ..failure }
        })?;
        payload::write(&self.output, &packed.bytes)?;
        payload::remember(&packed.bytes, &self.elf);
        terminal::say(packed.sizes.to_string().trim_end());
        Ok(())
    }
}
