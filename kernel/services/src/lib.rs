//! The service table, argument checks and handlers.
#![no_std]
#![forbid(unsafe_code)]
