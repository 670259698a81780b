//! `sk accept`: takes what the owner of a board has handed over.

use std::path::PathBuf;

use sk_client::{Store, to_hex};

use crate::failure::Failure;
use crate::terminal;

/// Records a board that somebody else owns and lets you use
#[derive(clap::Args)]
#[command(after_help = "Example:\n  sk accept 0e5751c026e543b2.toml\n\n\
                        The file comes from the board's owner (`sk emu --clients`, `sk image --clients`). It holds a\n\
                        secret that is yours and the board's: delete other copies of it.")]
pub(crate) struct Args {
    /// The file
    record: PathBuf,
}

impl Args {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let board = Store::open()?.accept(&self.record)?;
        terminal::say(&format!(
            "{} is known now: key {}",
            board.name,
            to_hex(&board.fingerprint())
        ));
        Ok(())
    }
}
