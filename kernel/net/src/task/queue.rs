//! Datagrams that wait for the task, in a ring of bytes.
//!
//! Records of a head and the datagram, rounded up to four bytes, one behind
//! the other; one that does not fit before the end begins at the start.

use core::net::{Ipv4Addr, SocketAddrV4};

use crate::UdpMeta;
use crate::counters::count;
use crate::flow::MAX_PAYLOAD;

/// Source address and port, destination port, length, flags.
const HEAD: usize = 12;
const BROADCAST: u8 = 1;

/// A datagram handed over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrived {
    /// The sender.
    pub src: SocketAddrV4,
    /// Port it was sent to.
    pub port: u16,
    /// Sent to more than us.
    pub broadcast: bool,
    /// Bytes it has; fewer were copied if the buffer was shorter.
    pub len: usize,
}

impl Arrived {
    /// Of a datagram of `len` bytes.
    #[inline]
    #[must_use]
    pub fn new(meta: &UdpMeta, len: usize) -> Self {
        Self { src: meta.src, port: meta.dst.port(), broadcast: meta.broadcast, len }
    }
}

/// The ring.
#[derive(Debug)]
pub struct Queue<'q> {
    memory: &'q mut [u8],
    /// Where the oldest record begins, and where the next will.
    head: usize,
    tail: usize,
    /// Where the records before the start ended, when they have gone round.
    wrap: Option<usize>,
    count: usize,
    lost: u32,
    /// Nothing was ever written from here on.
    dirty: usize,
}

impl<'q> Queue<'q> {
    /// An empty ring.
    #[must_use]
    pub fn new(memory: &'q mut [u8]) -> Self {
        Self { memory, head: 0, tail: 0, wrap: None, count: 0, lost: 0, dirty: 0 }
    }

    pub(super) fn lost(&self) -> u32 {
        self.lost
    }

    /// Forgets all and overwrites it.
    pub(super) fn wipe(&mut self) {
        if let Some(used) = self.memory.get_mut(..self.dirty) {
            used.fill(0);
        }
        (self.head, self.tail, self.wrap, self.count) = (0, 0, None, 0);
        (self.lost, self.dirty) = (0, 0);
    }

    /// Where a record of `need` bytes can go.
    fn room(&mut self, need: usize) -> Option<usize> {
        if self.count == 0 {
            (self.head, self.tail, self.wrap) = (0, 0, None);
        }
        if self.wrap.is_some() {
            return (need <= self.head - self.tail).then_some(self.tail);
        }
        if need <= self.memory.len() - self.tail {
            return Some(self.tail);
        }
        if need > self.head {
            return None;
        }
        self.wrap = Some(self.tail);
        Some(0)
    }

    pub(super) fn push(&mut self, meta: &UdpMeta, payload: &[u8]) {
        let need = HEAD + payload.len().next_multiple_of(4);
        let fits = if payload.len() <= MAX_PAYLOAD { self.room(need) } else { None };
        let Some(at) = fits else {
            count(&mut self.lost);
            return;
        };
        let Some((head, body)) = self
            .memory
            .get_mut(at..at + need)
            .and_then(|record| record.split_first_chunk_mut::<HEAD>())
        else {
            return;
        };
        let [a, b, c, d] = meta.src.ip().octets();
        let [s0, s1] = meta.src.port().to_le_bytes();
        let [p0, p1] = meta.dst.port().to_le_bytes();
        let [l0, l1] = (payload.len() as u16).to_le_bytes();
        *head = [a, b, c, d, s0, s1, p0, p1, l0, l1, u8::from(meta.broadcast) * BROADCAST, 0];
        if let Some(to) = body.get_mut(..payload.len()) {
            to.copy_from_slice(payload);
        }
        self.tail = at + need;
        self.dirty = self.dirty.max(self.tail);
        self.count += 1;
    }

    #[inline]
    pub(super) fn pop(&mut self, buf: &mut [u8]) -> Option<Arrived> {
        if self.count == 0 {
            return None;
        }
        if self.wrap == Some(self.head) {
            (self.head, self.wrap) = (0, None);
        }
        let (head, body) = self.memory.get(self.head..)?.split_first_chunk::<HEAD>()?;
        let [a, b, c, d, s0, s1, p0, p1, l0, l1, flags, _] = *head;
        let len = usize::from(u16::from_le_bytes([l0, l1]));
        let copied = len.min(buf.len());
        buf.get_mut(..copied)?.copy_from_slice(body.get(..copied)?);
        self.head += HEAD + len.next_multiple_of(4);
        self.count -= 1;
        Some(Arrived {
            src: SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), u16::from_le_bytes([s0, s1])),
            port: u16::from_le_bytes([p0, p1]),
            broadcast: flags & BROADCAST != 0,
            len,
        })
    }
}
