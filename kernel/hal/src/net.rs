//! The frame trait: what a network adapter does for the IP stack.

use crate::Micros;

/// An Ethernet adapter. Frames are without FCS; at most 1514 bytes.
pub trait FrameDevice {
    /// The station address, once the adapter is up.
    fn mac(&self) -> Option<[u8; 6]>;

    /// Is the cable in and the adapter ready to carry frames?
    fn link_up(&self) -> bool;

    /// May `receive` have a frame? `false` spares the call; a device that does
    /// not know says `true`.
    fn has_frame(&self) -> bool {
        true
    }

    /// Takes the next received frame, if any; `take` sees it in place and may
    /// change it. `false` = there was none.
    fn receive(&mut self, now: Micros, take: &mut dyn FnMut(&mut [u8])) -> bool;

    /// May `transmit` be called now?
    fn can_transmit(&self) -> bool;

    /// Sends a frame of `len` bytes that `fill` writes in place. `false` = no
    /// buffer free or link down; `fill` was not called.
    fn transmit(&mut self, now: Micros, len: usize, fill: &mut dyn FnMut(&mut [u8])) -> bool;
}
