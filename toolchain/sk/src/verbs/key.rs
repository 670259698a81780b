//! `sk key`: this user's public key.

use sk_client::{Store, to_hex};

use crate::failure::Failure;
use crate::terminal;

/// Prints your public key: what the owner of a board needs to let you in
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  sk key > ada.key\n\n\
                        The key is made on first use. It is no secret: give it to the owner of a board, who puts it\n\
                        into the board's clients file, and gives you a file for `sk accept` in return.")]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        terminal::data(&format!("{}\n", to_hex(&Store::open()?.public_key()?)))
    }
}
