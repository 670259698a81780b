//! Every datagram, control message and the configuration blob of SKP/1.
#![no_std]
#![forbid(unsafe_code)]
