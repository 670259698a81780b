//! The unsafe floor of the BCM2835: volatile access, barriers, cache and TLB
//! operations, the memory map. Firmware target only; nothing here decides
//! anything.
#![no_std]
