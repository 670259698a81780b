//! `sk version`: what this program goes with.

use crate::failure::Failure;
use crate::terminal;

/// Prints versions of the program, the protocol and the payload ABI
#[derive(clap::Args)]
#[command(after_help = "Example:\n  sk version")]
pub(crate) struct Args {}

impl Args {
    #[expect(clippy::unused_self, reason = "verbs are alike")]
    pub(crate) fn run(&self) -> Result<(), Failure> {
        terminal::data(&format!(
            "sk {}\nprotocol SKP/{}\npayload ABI {}\npayload image skx{}\n",
            env!("CARGO_PKG_VERSION"),
            sk_client::PROTOCOL,
            sk_abi::ABI_VERSION,
            sk_abi::image::FORMAT_VERSION,
        ))
    }
}
