//! CDC Ethernet Control Model (USB CDC 1.2, ECM 1.2).
//!
//! An adapter has a communications interface (class 02, subclass 06) with a
//! notification endpoint and a data interface (class 0A) that is mute in
//! alternate setting 0 and has bulk IN and OUT in another one. A frame is one
//! bulk transfer, without FCS, ended by a short or an empty packet; short ones
//! are padded here to the 60 bytes that Ethernet wants.
//!
//! * [`layout`]: finding the function in a configuration, and the station
//!   address in its string;
//! * `driver`: setting it up and carrying frames.

pub(crate) mod driver;
pub mod layout;
mod notification;

pub use layout::{EcmLayout, MacError, parse_mac_string};
