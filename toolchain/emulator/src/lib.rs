//! A board in QEMU.
//!
//! [`Board::start`] boots the raw `kernel.img` as the Raspberry Pi's firmware
//! does: the bytes at 0x8000, registers r0-r2 as the ARM boot protocol wants
//! them, ATAGs at 0x100 (or a device tree), the configuration blob where an
//! initial RAM disk goes. What boots here is the file that goes on the card.
//!
//! The crate knows nothing of the protocol spoken on the network: it gives a
//! board an address on the host ([`Board::address`]) and a line of text from
//! its serial port ([`Board::wait_for_line`]). Running boards are listed in a
//! folder of the user's own ([`registry`]), so that `sk scan` finds them
//! although no broadcast crosses from the host into an emulated network.
//!
//! A board ends with the value that holds it, and on Linux also when its owner
//! dies without running any destructor.
#![forbid(unsafe_code)]

mod board;
mod boot;
mod command;
mod config;
mod error;
mod front;
mod keeper;
mod lan;
mod qmp;
pub mod registry;
mod serial;

pub use board::{Board, Exit};
pub use boot::{BLOB_ADDRESS, DTB_ADDRESS, atags};
pub use config::{Adapter, Atags, BoardConfig, BootData, GUEST_PORT, Machine, Net, Plugin, Serial};
pub use error::Error;
pub use front::Front;
pub use lan::{Faults, Traffic};
pub use qmp::Qmp;
pub use sk_models::ecm::EcmFunction;
pub use sk_models::lan9512::Lan9512;

/// What the functions of this crate return.
pub type Result<T> = std::result::Result<T, Error>;
