//! The fabric between the core and the peripherals, as BCM2835 ARM Peripherals
//! section 1.3 warns of it: order holds for accesses to one peripheral, and
//! between two of them only where there is a barrier.
//!
//! Without one, the second of two reads gets the first one's data, and the
//! second of two writes arrives first.

use crate::memory::Memory;
use sk_hal::Bus32;
use std::cell::RefCell;

struct Read {
    port: usize,
    barriers: u64,
    value: u32,
}

struct Write {
    port: usize,
    barriers: u64,
    off: u32,
    value: u32,
}

#[derive(Default)]
struct State {
    last_read: Option<Read>,
    /// Underway.
    posted: Option<Write>,
}

/// Peripherals behind one fabric.
pub struct Fabric<'p> {
    memory: Memory,
    peripherals: Vec<&'p dyn Bus32>,
    state: RefCell<State>,
}

/// One peripheral, as the core reaches it.
#[derive(Clone, Copy)]
pub struct Port<'f> {
    fabric: &'f Fabric<'f>,
    number: usize,
}

impl<'p> Fabric<'p> {
    /// A fabric for `peripherals`; the barriers are those of `memory`.
    #[must_use]
    pub fn new(memory: &Memory, peripherals: Vec<&'p dyn Bus32>) -> Self {
        Self { memory: memory.clone(), peripherals, state: RefCell::default() }
    }

    /// The peripheral at `number` in the order in which they were given.
    #[must_use]
    pub fn port(&'p self, number: usize) -> Port<'p> {
        Port { fabric: self, number }
    }

    /// What is underway arrives.
    pub fn settle(&self) {
        if let Some(write) = self.state.borrow_mut().posted.take() {
            self.peripherals[write.port].write(write.off, write.value);
        }
    }
}

impl Bus32 for Port<'_> {
    fn read(&self, off: u32) -> u32 {
        let fabric = self.fabric;
        fabric.settle();
        let value = fabric.peripherals[self.number].read(off);
        let barriers = fabric.memory.barriers();
        let read = Read { port: self.number, barriers, value };
        match fabric.state.borrow_mut().last_read.replace(read) {
            Some(last) if last.port != self.number && last.barriers == barriers => last.value,
            _ => value,
        }
    }

    fn write(&self, off: u32, value: u32) {
        let fabric = self.fabric;
        let barriers = fabric.memory.barriers();
        let overtakes = fabric
            .state
            .borrow()
            .posted
            .as_ref()
            .is_some_and(|first| first.port != self.number && first.barriers == barriers);
        if overtakes {
            fabric.peripherals[self.number].write(off, value);
            fabric.settle();
            return;
        }
        fabric.settle();
        let write = Write { port: self.number, barriers, off, value };
        fabric.state.borrow_mut().posted = Some(write);
    }
}
