//! What the server needs of a network adapter besides its USB side.

use sk_models::ecm::EcmFunction;
use sk_models::lan9512::Lan9512;
use sk_models::usb::UsbFunction;

/// Frames that may wait in a model which has no limit of its own.
const WAITING: usize = 64;

/// Frames that may wait in the LAN9512's receive FIFO, 20 KiB: a cable at
/// 100 Mbit/s does not fill it either before a driver that keeps up looks.
const WAITING_IN_FIFO: usize = 8;

/// A USB function with a network cable at its other end.
pub trait Adapter: UsbFunction + Send {
    /// A frame came in from the cable, without its checksum.
    fn frame_in(&mut self, frame: &[u8]);

    /// The next frame for the cable, without its checksum.
    fn frame_out(&mut self) -> Option<Vec<u8>>;

    /// Whether frames are taken from the cable now; the others wait in it.
    fn wants_frame(&self) -> bool {
        true
    }

    /// Plugs the network cable in or out.
    fn set_link(&mut self, up: bool);
}

impl Adapter for EcmFunction {
    fn frame_in(&mut self, frame: &[u8]) {
        self.push_frame(frame);
    }

    fn frame_out(&mut self) -> Option<Vec<u8>> {
        self.pop_frame()
    }

    fn wants_frame(&self) -> bool {
        self.pending() < WAITING
    }

    fn set_link(&mut self, up: bool) {
        Self::set_link(self, up);
    }
}

impl Adapter for Lan9512 {
    fn frame_in(&mut self, frame: &[u8]) {
        // Anything shorter has no header, and cannot be on a cable.
        if frame.len() >= 14 {
            self.push_frame(frame);
        }
    }

    fn frame_out(&mut self) -> Option<Vec<u8>> {
        self.pop_frame()
    }

    fn wants_frame(&self) -> bool {
        self.pending() < WAITING_IN_FIFO
    }

    fn set_link(&mut self, up: bool) {
        Self::set_link(self, up);
    }
}
