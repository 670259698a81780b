//! SMSC (Microchip) LAN95xx: USB 2.0 to Ethernet, as in the LAN9512 and LAN9514
//! of the Raspberry Pi 1B and 1B+ and in many adapters.
//!
//! The chip is a MAC with a PHY behind 32-bit registers, which vendor requests
//! read and write, and two FIFOs behind two bulk endpoints. A transfer OUT is a
//! frame with a header of eight bytes; a transfer IN is one frame or several,
//! each behind a status word. Checksum offload is not used: in this chip it
//! spoils short packets.
//!
//! * [`layout`]: which devices these are, and their endpoints;
//! * [`registers`]: the registers and their bits;
//! * `access`: one register operation at a time, in as many requests as it takes;
//! * [`bringup`]: the operations that set the chip up, in order;
//! * `link`: looking after the cable;
//! * [`stream`]: the frames of a transfer IN;
//! * `driver`: all of it together.
//!
//! Why the settings are what they are: docs/decisions/0012.

mod access;
pub mod bringup;
pub(crate) mod driver;
pub mod layout;
mod link;
pub mod registers;
pub mod stream;

pub use layout::SmscLayout;
