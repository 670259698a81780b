//! `sk kill`: ends the task of a board.

use sk_client::Selector;

use crate::failure::Failure;
use crate::{board, stop, terminal};

/// Ends the task that runs on a board
#[derive(clap::Args)]
#[command(after_help = "Example:\n  sk kill --board attic-1")]
pub(crate) struct Args {
    #[command(flatten)]
    choice: board::Choice,
}

impl Args {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let client = board::client()?;
        stop::on_signal(&client.stop_flag())?;
        let board = self.choice.find(&client, Selector::Known)?;
        let status = client.abort(&board)?;
        terminal::say(&format!("{}: {}", board.name(), status.text()));
        Ok(())
    }
}
