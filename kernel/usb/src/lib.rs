//! USB host stack over the transfer trait: enumeration and class drivers.
//!
//! Below is [`sk_hal::usb::UsbHost`] (whole transfers; NAK retries, toggles and
//! DMA are the controller's), above is [`sk_hal::net::FrameDevice`] (Ethernet
//! frames). Between them:
//!
//! * [`descriptor`]: what a device says about itself, checked once;
//! * [`request`]: the control requests, and how often one is tried;
//! * [`enumerate`]: from "a device answers at address 0" to "configured";
//! * [`hub`]: hubs; what is plugged in where is `topology`'s;
//! * [`cdc_ecm`]: USB CDC 1.2 Ethernet Control Model;
//! * [`smsc95xx`]: SMSC LAN9512 and kin;
//! * [`UsbNet`]: the one object the kernel polls.
//!
//! Everything is a state machine with a `poll(now)`. Nothing waits, nothing is
//! allocated, and no step is without a time limit: whatever fails ends in a
//! reset of the port it is plugged into, after a pause that grows to half a
//! minute and never ends, since a working device may be plugged in at any time.
#![no_std]
#![forbid(unsafe_code)]

pub mod cdc_ecm;
pub mod descriptor;
pub mod endpoint;
pub mod enumerate;
pub mod hub;
pub mod request;
pub mod smsc95xx;

mod event;
mod function;
mod line;
mod net;
mod pipes;
mod statistics;
mod topology;

pub use event::{Driver, Fault, Identity, MacSource, Stage, UsbEvent};
pub use net::{Adapter, UsbNet};
pub use statistics::Statistics;
