//! What the kernel, a payload and the host tools must agree on.
//!
//! Service ids and slots, the C layout of what a payload is handed, the header
//! of a payload image (`skx1`), and the status codes that travel back to the
//! client. No code beyond what computes these at compile time, and no
//! dependencies: this crate is linked by everything.
#![no_std]
#![forbid(unsafe_code)]

pub mod status;

pub use status::Status;
