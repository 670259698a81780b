//! Host doubles of hardware, with fault knobs.
//!
//! A driver that was never seen to fail is not tested: every model here can be
//! told to misbehave as silicon or a device may.

pub mod memory;
pub mod usb;
