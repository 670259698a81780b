//! `sk kill`: ends the task of a board.

use sk_client::{Error, Selector, Status};

use crate::failure::Failure;
use crate::{board, stop, terminal};

/// Ends the task that runs on a board, from whichever program it was started
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
        let status = client.abort(&board).map_err(|error| match error {
            Error::Denied { board, status: Status::BAD_STATE } => {
                Failure::new(format!("no task runs on {board}"))
            }
            Error::Denied { board, status: Status::NOT_OWNER } => {
                Failure::new(format!("the task on {board} belongs to another client"))
                    .help("only its owner and operators may end it")
            }
            other => other.into(),
        })?;
        terminal::say(&format!("{}: {}", board.name(), status.text()));
        Ok(())
    }
}
