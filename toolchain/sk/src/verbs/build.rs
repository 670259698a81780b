//! `sk build`: from a package to an image.

use std::path::PathBuf;

use sk_pack::{BuildOptions, PackOptions, pack_payload};

use crate::failure::Failure;
use crate::{payload, terminal, units};

/// Builds a payload's package for boards
#[derive(clap::Args)]
#[command(after_help = "Example:\n  sk build payload-sdk/examples/md5 -o md5.skp\n\n\
                        Prints the path of the image. Needs the Rust sources: rustup component add rust-src")]
pub(crate) struct Args {
    /// Folder of the package's Cargo.toml
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Where the image goes; without it beside the linked file in the target folder
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Which program, if the package has several
    #[arg(long)]
    bin: Option<String>,
    /// Features to switch on, apart by commas
    #[arg(long, value_delimiter = ',')]
    features: Vec<String>,
    /// Stack, instead of what the payload says (16K)
    #[arg(long, value_parser = units::size, value_name = "SIZE")]
    stack: Option<u32>,
    /// The payload needs privileges: boards refuse to run it shielded
    #[arg(long)]
    direct: bool,
    /// Do not use the network
    #[arg(long)]
    offline: bool,
    /// Say nothing unless it fails
    #[arg(long, short)]
    quiet: bool,
}

impl Args {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let options = BuildOptions {
            bin: self.bin.clone(),
            features: self.features.clone(),
            offline: self.offline,
            quiet: self.quiet,
            ..BuildOptions::default()
        };
        let pack = PackOptions { stack: self.stack, direct: self.direct, ..PackOptions::default() };
        let (built, packed) = pack_payload(&self.dir, &options, pack)?;
        let path = self.output.clone().unwrap_or_else(|| built.elf.with_extension("skp"));
        payload::write(&path, &packed.bytes)?;
        if !self.quiet {
            terminal::say(&format!("{}: {} bytes", built.name, packed.bytes.len()));
        }
        terminal::data(&format!("{}\n", path.display()))
    }
}
