//! Which board, and where boards are looked for: what several verbs share.

use std::net::SocketAddr;

use sk_client::{Board, Client, Selector, Store};

use crate::failure::Failure;

/// The option that names a board.
#[derive(clap::Args)]
pub(crate) struct Choice {
    /// The board: its name, its key's 16 digits, or its address; without it
    /// the only one there is (`sk run`: that is idle)
    #[arg(long, short, env = "SK_BOARD", value_name = "NAME|ID|ADDRESS")]
    board: Option<String>,
}

impl Choice {
    /// Finds it; the one meant by `else_` when none was named.
    pub(crate) fn find(&self, client: &Client, else_: Selector) -> Result<Board, Failure> {
        let selector = match &self.board {
            Some(text) => Selector::parse(text)?,
            None => else_,
        };
        Ok(client.find(&selector)?)
    }
}

/// This user on this network, emulated boards included.
pub(crate) fn client() -> Result<Client, Failure> {
    let mut client = Client::new(Store::open()?);
    client.targets = emulated();
    Ok(client)
}

/// Where the emulated boards of this user are.
fn emulated() -> Vec<SocketAddr> {
    sk_emulator::registry::list().into_iter().map(|entry| entry.address).collect()
}
