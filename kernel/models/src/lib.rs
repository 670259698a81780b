//! Host doubles of hardware, with fault knobs.
//!
//! A driver that was never seen to fail is not tested: every model here can be
//! told to misbehave as silicon or a device may.

mod attached;
pub mod dwc2;
pub mod ecm;
pub mod fabric;
pub mod frames;
pub mod gpio;
pub mod hub;
pub mod irq;
pub mod lan;
pub mod lan9512;
pub mod lowspeed;
pub mod mbox;
pub mod memory;
pub mod mockhost;
pub mod pl011;
pub mod pm;
pub mod rng;
pub mod systimer;
pub mod usb;
