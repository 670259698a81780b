//! The cyclic executive.
#![no_std]
#![forbid(unsafe_code)]
