//! What the kernel, a payload and the host tools must agree on.
//!
//! Service ids and slots, the C layout of what a payload is handed, the header
//! of a payload image (`skx1`), and the status codes that travel back to the
//! client. No code beyond what computes these at compile time, and no
//! dependencies: this crate is linked by everything.
//!
//! Addresses are `u32` here, not pointers: the same structure is written by
//! the kernel, read by a payload and inspected by tools on a 64-bit host.
#![no_std]
#![forbid(unsafe_code)]

pub mod fault;
pub mod image;
pub mod net;
pub mod service;
pub mod status;
pub mod task;

pub use service::{SERVICES, SLOTS, Service};
pub use status::Status;
pub use task::{Entry, Never, Resolve, TaskInfo};

/// The version of everything a payload can see: entry convention, [`TaskInfo`],
/// the meaning of service names. Four bits (it shares a byte of the image
/// header with the format version).
pub const ABI_VERSION: u8 = 1;
