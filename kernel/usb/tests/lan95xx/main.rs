//! The LAN95xx driver against the model of the chip, behind a mock of the
//! controller.

mod bringup;
mod faults;
mod lifecycle;
mod rig;
mod traffic;
