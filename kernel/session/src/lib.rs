//! SKP/1 as sans-IO state machines, both ends.
#![no_std]
#![forbid(unsafe_code)]
