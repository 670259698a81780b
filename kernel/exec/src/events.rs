//! Events: how an interrupt handler tells the executive that there is work.

use core::sync::atomic::{AtomicU32, Ordering};

/// Up to 32 events, one bit each. An event is a hint that a slot should run,
/// not a message: raised twice before the slot ran, it is one event.
#[derive(Debug, Default)]
pub struct Events(AtomicU32);

impl Events {
    /// None raised.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Raises the events in `mask`; may be called from an interrupt handler.
    pub fn raise(&self, mask: u32) {
        // Release: what the handler wrote is seen by the slot it wakes.
        self.0.fetch_or(mask, Ordering::Release);
    }

    /// Is any raised and not yet seen by the executive? To be asked with
    /// interrupts masked just before waiting for one.
    #[must_use]
    pub fn any(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }

    /// Takes all that are raised.
    pub(crate) fn take(&self) -> u32 {
        // The load alone is the usual case and spares an exclusive access.
        if self.any() { self.0.swap(0, Ordering::Acquire) } else { 0 }
    }
}
