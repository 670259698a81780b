//! What a payload links.
#![no_std]
