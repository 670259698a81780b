#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

pub mod cpufreq;
pub mod framebuffer;
pub mod message;
pub mod tags;
mod transport;

pub use message::{MessageError, Request, Response, Slot, Tag, TagError};
pub use transport::{Error, Mailbox, TIMEOUT};
