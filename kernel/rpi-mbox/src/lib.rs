//! The VideoCore mailbox and its property tags.
#![no_std]
#![forbid(unsafe_code)]
