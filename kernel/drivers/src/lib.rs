//! Register-level drivers of the BCM2835's blocks.
#![no_std]
#![forbid(unsafe_code)]

pub mod board;
pub mod bootdata;
pub mod crash;
pub mod dwc2;
pub mod gpio;
pub mod integrity;
pub mod irq;
pub mod mmu;
pub mod pl011;
pub mod pm;
pub mod rng;
pub mod systimer;
pub mod watchdog;

mod wait;
