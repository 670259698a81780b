//! A model of a USB function at a port of QEMU.
//!
//! QEMU's `usb-redir` device speaks a protocol (usbredir 0.7, spice-space.org)
//! in which it is the *guest* and the other end is the *host* that has the
//! device. Here the other end has no device but a [`UsbFunction`], the same
//! models that the drivers are tested against on the host:
//!
//! * [`wire`]: the messages, as bytes;
//! * [`Device`]: what the host side owes its guest, without sockets or clocks;
//! * [`Server`]: a thread that serves it on a Unix socket, with an [`Adapter`]
//!   as the function and a [`Cable`] at the adapter's other end;
//! * [`Pcap`]: what went over that cable, for Wireshark.
//!
//! ```text
//! guest's driver - DWC2 model - usb-redir = Server - Adapter - Cable
//! \______________ QEMU _________________/ socket
//! ```
//!
//! QEMU takes it with
//! `-chardev socket,id=usb,path=SOCKET -device usb-redir,chardev=usb,port=1`;
//! without `port=1` it puts a full-speed hub in between.
//!
//! [`UsbFunction`]: sk_models::usb::UsbFunction
#![deny(unsafe_code)]

mod adapter;
mod cable;
mod descriptors;
mod device;
mod pcap;
mod server;
mod tap;
pub mod wire;

pub use adapter::Adapter;
pub use cable::Cable;
pub use device::{Device, Violation};
pub use pcap::Pcap;
pub use server::{Server, Status};
