//! What happens to our address, for the log, the screen and the beacon.

use core::net::Ipv4Addr;

use heapless::Deque;

use crate::address::Address;
use crate::counters::{Counters, count};

/// A change of link or address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddressEvent {
    /// The cable is in; our station address.
    LinkUp([u8; 6]),
    /// The cable is out, or the adapter is gone.
    LinkDown,
    /// The configured static address is in use.
    Static(Address),
    /// The configured static address is not a host address: there is none.
    StaticRefused,
    /// A server offers an address.
    DhcpOffered {
        /// The address offered.
        ip: Ipv4Addr,
        /// The server that offers it.
        server: Ipv4Addr,
    },
    /// A leased address is in use.
    DhcpBound(Address),
    /// A server refused the address we asked for.
    DhcpNak,
    /// What a server assigned is not a host address on its own network, or
    /// its gateway is not.
    DhcpRefused,
    /// The leased address is no longer ours: expired or withdrawn.
    DhcpLost,
    /// No address after 10 s. The search goes on.
    DhcpGaveUp,
    /// Somebody else uses our address (RFC 5227 section 2.4); reported at most
    /// every 10 s.
    Conflict([u8; 6]),
}

/// The events not yet taken; the oldest is lost first.
#[derive(Default)]
pub(crate) struct Events(Deque<AddressEvent, 8>);

impl Events {
    pub(crate) fn push(&mut self, event: AddressEvent, counters: &mut Counters) {
        if self.0.is_full() {
            self.0.pop_front();
            count(&mut counters.events_lost);
        }
        // There is room now.
        let _ = self.0.push_back(event);
    }

    pub(crate) fn take(&mut self) -> Option<AddressEvent> {
        self.0.pop_front()
    }
}
