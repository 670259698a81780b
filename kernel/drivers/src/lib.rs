//! Register-level drivers of the BCM2835's blocks.
#![no_std]
#![forbid(unsafe_code)]
