//! Finds boards, opens sessions with them, runs payloads.
//!
//! ```no_run
//! use sk_client::{Client, Selector, Silent, Store, Task};
//!
//! # fn main() -> Result<(), sk_client::Error> {
//! let client = Client::new(Store::open()?);
//! let board = client.find(&Selector::Any)?;
//! let image = std::fs::read("md5.skp").unwrap();
//! let report = client.run(&board, &Task::new(&image, b"hello"), &mut Silent)?;
//! println!("exit {}", report.receipt.exit);
//! # Ok(())
//! # }
//! ```
//!
//! The protocol itself is [`sk_session::client`], the same crate as in the
//! kernel: here are only the sockets, the files and the sentences. Calls block
//! on one UDP socket each, with no runtime below them: a task is one
//! conversation with one board, the engine says when it wants to be woken, and
//! a program that drives many boards gives each a thread.
#![forbid(unsafe_code)]

mod discover;
mod error;
mod exchange;
mod find;
mod guests;
mod hex;
mod jobs;
mod provision;
mod store;

pub use discover::{Found, Search, search};
pub use error::{Aborted, Ended, Error, exit};
pub use find::{Board, Selector, Sighting};
pub use guests::{Guest, Handed};
pub use hex::{decode as from_hex, encode as to_hex};
pub use jobs::{Echo, Events, Limits, PING_PAUSE, Report, Silent, Step, Task};
pub use provision::{Addressing, Provisioned};
pub use store::{Counters, HANDSHAKES, Inventory, KnownBoard, Store, StoreError, random};

pub use sk_abi::Status;
pub use sk_session::client::{Doing, Patience};
pub use sk_wire::blob::{Client as ClientEntry, Quotas};
pub use sk_wire::control::receipt_flags;
pub use sk_wire::control::{Phase, Pong, Receipt, TaskStatus};
pub use sk_wire::manifest::flags;
pub use sk_wire::{LastEnd, PORT, Reason, Roles, State, VERSION as PROTOCOL};

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A user at a network: the keys in a [`Store`], where to look for boards, and
/// how long to try.
#[derive(Clone, Debug)]
pub struct Client {
    store: Store,
    /// Addresses asked besides the broadcast ones, such as those of emulated
    /// boards, which no broadcast reaches.
    pub targets: Vec<SocketAddr>,
    /// Ask by broadcast, and listen for beacons?
    pub broadcast: bool,
    /// How long a board is tried.
    pub patience: Patience,
    stop: Arc<AtomicBool>,
}

impl Client {
    /// Looks everywhere, with the usual patience.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store,
            targets: Vec::new(),
            broadcast: true,
            // A refused handshake is tried twice.
            patience: Patience { connect: 5_000_000, ..Patience::default() },
            stop: Arc::default(),
        }
    }

    /// Where the keys are.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// A flag that ends what is being done: a running task is aborted on its
    /// board, and the call returns [`Error::Interrupted`]. For signal handlers.
    #[must_use]
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
