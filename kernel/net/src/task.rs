//! The task's sockets: its ports, what waits for it, where it may send.
//!
//! There is one task at a time, so there is one of this. It takes part in no
//! waiting: the kernel asks it who wants a datagram, puts one that nobody waits
//! for into the queue, and asks before it sends one.
//!
//! When the task ends, [`Sockets::end`] forgets everything it had, and wipes
//! what was queued. Only the counter of ephemeral ports goes on, so that an
//! answer to one task does not arrive at the next.

mod policy;
mod queue;

pub use policy::{Destination, Policy};
pub use queue::{Arrived, Queue};

use core::net::Ipv4Addr;

use sk_hal::Micros;

use crate::address::{Address, is_multicast};
use crate::{UdpMeta, is_reserved};
use policy::Pace;

/// Ports a task can have bound at a time.
pub const TASK_PORTS: usize = 8;
/// Senders from outside that may be answered; the oldest is forgotten.
const VISITORS: usize = 8;
/// RFC 6335 section 6: ports for passing use.
const EPHEMERAL: u16 = 49_152;

/// Why the task does not get a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BindError {
    /// It belongs to the kernel, or is none.
    Reserved,
    /// The task has it already.
    InUse,
    /// The task has as many as it can have.
    NoRoom,
}

/// Why a datagram of the task is not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The task has not bound the source port.
    NotBound,
    /// Not a destination of this client's tasks.
    Denied,
    /// It may be sent at this time.
    NotBefore(Micros),
}

/// See the module's head.
#[derive(Debug)]
pub struct Sockets<'q> {
    /// 0 = free; in the order in which they were bound.
    ports: [u16; TASK_PORTS],
    any: bool,
    /// The service port, where it is not the usual one.
    kernel_port: u16,
    next_ephemeral: u16,
    queue: Queue<'q>,
    policy: Policy,
    pace: Pace,
    visitors: [u32; VISITORS],
    next_visitor: usize,
}

impl<'q> Sockets<'q> {
    /// No task yet. `memory` is for the queue; `kernel_port` is never a task's.
    /// `seed`: where ephemeral ports begin.
    #[must_use]
    pub fn new(memory: &'q mut [u8], kernel_port: u16, seed: u16) -> Self {
        Self {
            ports: [0; TASK_PORTS],
            any: false,
            kernel_port,
            next_ephemeral: EPHEMERAL | seed,
            queue: Queue::new(memory),
            policy: Policy::default(),
            pace: Pace::new(0),
            visitors: [0; VISITORS],
            next_visitor: 0,
        }
    }

    /// A task of a client with this policy is about to begin.
    pub fn begin(&mut self, policy: Policy, packets_per_s: u32) {
        self.end();
        self.policy = policy;
        self.pace = Pace::new(packets_per_s);
    }

    /// The task is gone: nothing of its doings stays.
    pub fn end(&mut self) {
        self.ports = [0; TASK_PORTS];
        self.any = false;
        self.queue.wipe();
        self.policy = Policy::Listed(heapless::Vec::new());
        self.pace = Pace::new(0);
        self.visitors = [0; VISITORS];
    }

    fn is_kernels(&self, port: u16) -> bool {
        port == self.kernel_port || is_reserved(port)
    }

    /// Gives the task a port, 0: any free one. Which it is.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn bind(&mut self, port: u16) -> Result<u16, BindError> {
        if self.is_kernels(port) {
            return Err(BindError::Reserved);
        }
        if port != 0 && self.ports.contains(&port) {
            return Err(BindError::InUse);
        }
        let port = if port == 0 { self.ephemeral() } else { port };
        let free = self.ports.iter_mut().find(|p| **p == 0).ok_or(BindError::NoRoom)?;
        *free = port;
        Ok(port)
    }

    /// Gives the task every port that is not the kernel's.
    pub fn bind_any(&mut self) {
        self.any = true;
    }

    /// The next port for passing use that is nobody's: at most the task's and
    /// the kernel's are in the way.
    fn ephemeral(&mut self) -> u16 {
        loop {
            let port = self.next_ephemeral;
            self.next_ephemeral = port.wrapping_add(1).max(EPHEMERAL);
            if !self.ports.contains(&port) && !self.is_kernels(port) {
                return port;
            }
        }
    }

    /// Takes a port back, 0: all of them. `false` = it was not bound. What has
    /// been received stays to be read.
    pub fn close(&mut self, port: u16) -> bool {
        if port == 0 {
            let bound = self.is_bound();
            self.ports = [0; TASK_PORTS];
            self.any = false;
            return bound;
        }
        let before = self.ports;
        let mut kept = self.ports.iter_mut();
        // In order, without gaps.
        for p in before.into_iter().filter(|p| *p != port).chain([0]) {
            if let Some(to) = kept.next() {
                *to = p;
            }
        }
        before.contains(&port)
    }

    /// Can anything arrive?
    #[must_use]
    pub fn is_bound(&self) -> bool {
        self.any || self.ports != [0; TASK_PORTS]
    }

    /// Is a datagram for `port` the task's?
    #[inline]
    #[must_use]
    pub fn wants(&self, port: u16) -> bool {
        port != 0 && (self.ports.contains(&port) || self.any) && !self.is_kernels(port)
    }

    /// A datagram for the task was received: whoever sent it may be answered.
    #[inline]
    pub fn heard(&mut self, meta: &UdpMeta, address: Option<Address>) {
        let ip = u32::from(*meta.src.ip());
        if address.is_none_or(|a| !a.on_link(ip)) {
            self.visited(ip);
        }
    }

    #[cold]
    fn visited(&mut self, ip: u32) {
        if self.visitors.contains(&ip) {
            return;
        }
        if let Some(oldest) = self.visitors.get_mut(self.next_visitor) {
            *oldest = ip;
        }
        self.next_visitor = (self.next_visitor + 1) % VISITORS;
    }

    /// Keeps a datagram the task does not wait for at the moment; when there is
    /// no room, the new one is lost and counted.
    pub fn keep(&mut self, meta: &UdpMeta, payload: &[u8]) {
        self.queue.push(meta, payload);
    }

    /// The oldest datagram that was kept: as much of it as `buf` takes.
    #[inline]
    pub fn take(&mut self, buf: &mut [u8]) -> Option<Arrived> {
        self.queue.pop(buf)
    }

    /// Datagrams lost for want of room since the task began.
    #[must_use]
    pub fn lost(&self) -> u32 {
        self.queue.lost()
    }

    /// May the task send from `source` (0: its first port) to this destination
    /// now? If so, from which port; it counts as sent.
    ///
    /// # Errors
    /// [`Refused`].
    #[inline]
    pub fn may_send(
        &mut self,
        now: Micros,
        source: u16,
        ip: Ipv4Addr,
        port: u16,
        address: &Address,
    ) -> Result<u16, Refused> {
        let [first, ..] = self.ports;
        let source = if source == 0 { first } else { source };
        if !self.wants(source) {
            return Err(Refused::NotBound);
        }
        let to = u32::from(ip);
        let allowed = match &self.policy {
            // Of groups none is in a subnet.
            Policy::OwnSubnet => {
                address.on_link(to)
                    || to == u32::MAX
                    || (!is_multicast(to) && self.visitors.contains(&to))
            }
            Policy::Listed(list) => list.iter().any(|d| d.covers(to, port)),
        };
        if !allowed {
            return Err(Refused::Denied);
        }
        match self.pace.take(now) {
            Ok(()) => Ok(source),
            Err(Some(at)) => Err(Refused::NotBefore(at)),
            Err(None) => Err(Refused::Denied),
        }
    }

    /// What was allowed did not go out: it does not count.
    pub fn unsent(&mut self) {
        self.pace.give_back();
    }
}

#[cfg(test)]
mod tests;
