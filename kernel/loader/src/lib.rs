//! Payload image checks and relocation arithmetic.
#![no_std]
#![forbid(unsafe_code)]
