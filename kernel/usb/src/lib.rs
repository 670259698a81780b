//! USB host stack over the transfer trait.
#![no_std]
#![forbid(unsafe_code)]
