//! Datagrams for the running task.

use super::{Tasks, View};
use crate::wire;
use sk_hal::Clock;
use sk_net::task::Arrived;
use sk_net::{Address, UdpMeta};
use sk_services::Park;

impl<K: Clock + Copy> Tasks<K> {
    /// Is a datagram for `port` the running task's?
    #[inline]
    pub fn wants(&self, port: u16) -> bool {
        self.sockets.wants(port)
    }

    /// A datagram for the task: into its buffer if it waits for one, else into
    /// the queue.
    #[inline]
    pub fn datagram(&mut self, meta: &UdpMeta, address: Option<Address>, payload: &[u8]) {
        self.sockets.heard(meta, address);
        if let (Some(park), Some(layout)) = (self.parked, &self.layout) {
            let mut view = View { region: &mut self.region, layout };
            let info = wire::info(&Arrived::new(meta, payload.len()));
            if let Some(outcome) = park.deliver(&mut view, &info, payload) {
                self.parked = None;
                // Where it goes was checked when the task began to wait, and its
                // memory has not changed: nothing but a return.
                let _ = self.settle(outcome);
                return;
            }
        }
        self.sockets.keep(meta, payload);
    }

    /// Does it wait for a datagram?
    #[inline]
    pub fn is_receiving(&self) -> bool {
        matches!(self.parked, Some(Park::Receive(_)))
    }

    /// Does it wait for one of its own to be sent?
    #[inline]
    pub fn is_sending(&self) -> bool {
        matches!(self.parked, Some(Park::Send(_)))
    }
}
