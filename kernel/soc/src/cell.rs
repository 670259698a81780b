//! A static that is claimed once, in place of `static mut`.

use core::cell::{Cell, UnsafeCell};

/// Holds a `T` of which exactly one `&'static mut` is ever handed out.
pub struct Claim<T> {
    taken: Cell<bool>,
    value: UnsafeCell<T>,
}

// SAFETY: one core and one kernel thread; exception handlers touch no `Claim`.
unsafe impl<T> Sync for Claim<T> {}

impl<T> Claim<T> {
    /// A static's initial value.
    pub const fn new(value: T) -> Self {
        Self { taken: Cell::new(false), value: UnsafeCell::new(value) }
    }

    /// The one reference; `None` at every later call.
    #[allow(clippy::mut_from_ref)]
    pub fn take(&self) -> Option<&mut T> {
        if self.taken.replace(true) {
            return None;
        }
        // SAFETY: `taken` was false, so no other reference exists or ever will.
        Some(unsafe { &mut *self.value.get() })
    }
}
