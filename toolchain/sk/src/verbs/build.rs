//! `sk build`: from a package, or from source files in C, to an image.

use std::path::{Path, PathBuf};

use sk_pack::{
    BuildError, BuildOptions, Built, COptions, PackOptions, Packed, is_c, pack_c, pack_payload,
};

use crate::failure::Failure;
use crate::{payload, terminal, units};

/// Builds a payload for boards: a Rust package, or source files in C
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  sk build payload-sdk/examples/md5 -o md5.skp\n  sk build main.c parser.c -o parser.skp\n\n\
                        Prints the path of the image. Rust needs its sources: rustup component add rust-src; C needs\n\
                        the package gcc-arm-none-eabi ($SK_CC names another compiler)."
)]
pub(crate) struct Args {
    /// Folder of the package's Cargo.toml, or the source files (.c) of one payload
    #[arg(default_value = ".", value_name = "DIR|FILE.c")]
    sources: Vec<PathBuf>,
    /// Where the image goes; without it beside the linked file in the target
    /// folder, or for C as FILE.skp in this folder. The linked file of a payload
    /// in C goes beside it (.elf)
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Which program, if the package has several
    #[arg(long)]
    bin: Option<String>,
    /// Features to switch on, apart by commas
    #[arg(long, value_delimiter = ',')]
    features: Vec<String>,
    /// C: a folder to search for headers
    #[arg(short = 'I', long = "include", value_name = "DIR")]
    include: Vec<PathBuf>,
    /// C: a macro
    #[arg(short = 'D', long = "define", value_name = "NAME[=VALUE]")]
    define: Vec<String>,
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
        let pack = PackOptions { stack: self.stack, direct: self.direct, ..PackOptions::default() };
        let (path, built, packed) = match self.sources.as_slice() {
            [dir] if !is_c(dir) => self.package(dir, pack)?,
            sources => self.c(sources, pack)?,
        };
        payload::write(&path, &packed.bytes)?;
        payload::remember(&packed.bytes, &built.elf);
        if !self.quiet {
            terminal::say(&format!("{}: {} bytes", built.name, packed.bytes.len()));
        }
        terminal::data(&format!("{}\n", path.display()))
    }

    fn package(&self, dir: &Path, pack: PackOptions) -> Result<(PathBuf, Built, Packed), Failure> {
        if !self.include.is_empty() || !self.define.is_empty() {
            return Err(Failure::new("-I and -D are for payloads in C"));
        }
        let options = BuildOptions {
            bin: self.bin.clone(),
            features: self.features.clone(),
            offline: self.offline,
            quiet: self.quiet,
            ..BuildOptions::default()
        };
        let (built, packed) = pack_payload(dir, &options, pack)?;
        let path = self.output.clone().unwrap_or_else(|| built.elf.with_extension("skp"));
        Ok((path, built, packed))
    }

    fn c(
        &self,
        sources: &[PathBuf],
        pack: PackOptions,
    ) -> Result<(PathBuf, Built, Packed), Failure> {
        if self.bin.is_some() || !self.features.is_empty() {
            return Err(Failure::new("--bin and --features are for packages"));
        }
        let options = COptions {
            include: self.include.clone(),
            define: self.define.clone(),
            quiet: self.quiet,
            ..payload::c_options()
        };
        let name = sources.first().and_then(|first| first.file_name()).map(PathBuf::from);
        let name = name.ok_or_else(|| BuildError::NotC(PathBuf::new()))?;
        let path = self.output.clone().unwrap_or_else(|| name.with_extension("skp"));
        let (built, packed) = pack_c(sources, &path.with_extension("elf"), &options, pack)?;
        Ok((path, built, packed))
    }
}
