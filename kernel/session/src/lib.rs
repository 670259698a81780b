//! SKP/1 as sans-IO state machines, both ends.
//!
//! The lower half is cryptography and knows nothing of tasks: [`keys`],
//! [`drbg`], [`cookie`], the [`noise`] handshake and the [`transport`] that
//! comes of it. Datagrams and time are arguments, randomness is
//! [`sk_hal::Entropy`]; no call makes more than one key agreement unless it
//! says so, because on the board one takes 3 ms of the only thread.
#![no_std]
#![forbid(unsafe_code)]

pub mod aead;
pub mod cookie;
pub mod drbg;
pub mod hash;
pub mod keys;
pub mod noise;
pub mod transport;
pub mod window;

pub mod base;
pub mod client;
pub mod journal;
pub mod server;
pub mod tasks;
pub mod upload;
