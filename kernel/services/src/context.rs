//! What a handler sees: the task's memory, the board, the task's own state.

use crate::heap::Heap;
use sk_abi::net::{Addresses, Neighbour, NetError, UdpInfo, UdpPeer};
use sk_abi::{SLOTS, task};

/// One of the two byte streams a task sends to its client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    /// `io.write`: the result.
    Output,
    /// `io.error`: what went wrong.
    Error,
}

/// The memory of the task that called, by the addresses it uses.
///
/// The payload does not run while a handler does, so a slice stays what it was
/// checked to be for as long as it is borrowed. A length of 0 is always
/// granted, whatever the address.
pub trait Memory {
    /// The bytes at `at .. at + len`, if the task may read them all.
    fn readable(&self, at: u32, len: u32) -> Option<&[u8]>;

    /// The bytes at `at .. at + len`, if the task may write them all.
    fn writable(&mut self, at: u32, len: u32) -> Option<&mut [u8]>;

    /// The task's heap as words; empty if it has none.
    fn heap(&mut self) -> &mut [u32];

    /// Copies inside the task's memory, forwards; the ranges do not overlap.
    /// `false`: a range is not the task's. To be overridden where one pass
    /// is possible.
    fn copy(&mut self, from: u32, to: u32, len: u32) -> bool {
        let mut bounce = [0u8; 128];
        let mut done = 0;
        while done < len {
            let n = (len - done).min(bounce.len() as u32);
            let (Some(src), Some(dst)) = (from.checked_add(done), to.checked_add(done)) else {
                return false;
            };
            let Some(piece) = bounce.get_mut(..n as usize) else {
                return false;
            };
            match self.readable(src, n) {
                Some(bytes) if bytes.len() == piece.len() => piece.copy_from_slice(bytes),
                _ => return false,
            }
            match self.writable(dst, n) {
                Some(bytes) if bytes.len() == piece.len() => bytes.copy_from_slice(piece),
                _ => return false,
            }
            done += n;
        }
        true
    }
}

/// What the rest of the kernel does for a service.
pub trait Board {
    /// Microseconds since boot.
    fn now(&self) -> u64;

    /// The core's cycle counter.
    fn cycles(&self) -> u32;

    /// Appends to a stream of the task. Fewer than `bytes.len()` taken means
    /// that the room the client asked for is used up; a stream whose policy
    /// is to drop the oldest takes everything.
    fn push(&mut self, stream: Stream, bytes: &[u8]) -> usize;

    /// One line of text for the board's log.
    fn log(&mut self, line: &str);

    /// The task gave a sign of life.
    fn beat(&mut self);

    /// Has the client asked the task to come to an end?
    fn stop_requested(&self) -> bool;

    /// Code was written here: clean D, invalidate I.
    fn sync_code(&mut self, code: &[u8]);
}

/// What became of a datagram to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    /// It is on its way.
    Done,
    /// Not yet: try again when the network has moved, or at this time. If it
    /// never works, this was why.
    Later(u64, NetError),
    /// It cannot be sent.
    Failed(NetError),
}

/// The network, as the task may use it.
pub trait Network {
    /// Takes the datagrams for a port, 0: any free one. Which it is.
    ///
    /// # Errors
    /// [`NetError::Reserved`], [`NetError::InUse`], [`NetError::NoRoom`].
    fn bind(&mut self, port: u16) -> Result<u16, NetError>;

    /// Takes the datagrams for all ports that are not the kernel's.
    fn bind_any(&mut self);

    /// Gives a port back, 0: all. `false`: it was not bound.
    fn close(&mut self, port: u16) -> bool;

    /// Can anything arrive?
    fn is_bound(&self) -> bool;

    /// The oldest datagram that has arrived: as much of it as `buf` takes.
    fn take(&mut self, buf: &mut [u8]) -> Option<UdpInfo>;

    /// Sends a datagram.
    fn send(&mut self, peer: &UdpPeer, bytes: &[u8]) -> Sent;

    /// The board's addresses.
    fn addresses(&self) -> Addresses;

    /// The neighbour at a place of the ARP table, places without one left out.
    fn neighbour(&self, at: u32) -> Option<Neighbour>;
}

/// Which services the task may call: one bit per slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allowed([u32; SLOTS / 32]);

impl Allowed {
    /// All of them.
    pub const ALL: Self = Self([u32::MAX; SLOTS / 32]);
    /// None of them.
    pub const NONE: Self = Self([0; SLOTS / 32]);

    /// Grants or withdraws a slot. One that does not exist is ignored.
    pub fn set(&mut self, slot: u8, allowed: bool) {
        if let Some(word) = self.0.get_mut(usize::from(slot / 32)) {
            let bit = 1 << (slot % 32);
            *word = if allowed { *word | bit } else { *word & !bit };
        }
    }

    /// The services whose ids `granted` accepts.
    pub fn by_id(mut granted: impl FnMut(u32) -> bool) -> Self {
        let mut allowed = Self::NONE;
        for (id, slot) in crate::resolver::ids_and_slots() {
            allowed.set(slot, granted(id));
        }
        allowed
    }

    /// May the slot be called?
    #[must_use]
    pub fn has(&self, slot: u32) -> bool {
        let word = self.0.get(slot as usize / 32).copied().unwrap_or(0);
        word >> (slot % 32) & 1 != 0
    }
}

/// What the services remember of the task that runs.
#[derive(Clone, Debug)]
pub struct Task {
    /// Address of its [`sk_abi::TaskInfo`].
    pub info: u32,
    /// Address of its input.
    pub input: u32,
    /// Bytes of its input.
    pub input_len: u32,
    /// Bytes of it that `io.read` has handed out.
    pub input_read: u32,
    /// Address of its heap.
    pub heap_start: u32,
    /// The heap's bookkeeping.
    pub heap: Heap,
    /// When it will be ended, in microseconds since boot.
    pub deadline: u64,
    /// What it may call.
    pub allowed: Allowed,
    pub(crate) message: heapless::Vec<u8, { task::MESSAGE_MAX }>,
}

impl Task {
    /// A task about to be entered. `heap` is its memory, which is prepared for
    /// the allocator (a few words are written, at both ends).
    #[must_use]
    pub fn new(info: u32, input: u32, input_len: u32, heap_start: u32, heap: &mut [u32]) -> Self {
        Self {
            info,
            input,
            input_len,
            input_read: 0,
            heap_start,
            heap: Heap::new(heap),
            deadline: u64::MAX,
            allowed: Allowed::ALL,
            message: heapless::Vec::new(),
        }
    }

    /// The message of `task.abort`, or why the kernel ended the task; to be
    /// sent with the result. Any bytes: the payload wrote them.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    pub(crate) fn set_message(&mut self, bytes: &[u8]) {
        self.message.clear();
        let len = bytes.len().min(task::MESSAGE_MAX);
        // Cannot fail: cut to the capacity.
        let _ = self.message.extend_from_slice(bytes.get(..len).unwrap_or_default());
    }
}

/// Everything a handler may touch.
#[derive(Debug)]
pub struct Context<'a, M, B> {
    /// The task's memory.
    pub memory: &'a mut M,
    /// The rest of the kernel.
    pub board: &'a mut B,
    /// The task's state.
    pub task: &'a mut Task,
}
