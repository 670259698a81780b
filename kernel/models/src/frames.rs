//! A network adapter as two queues of frames, with fault knobs.

use std::collections::VecDeque;

use sk_hal::Micros;
use sk_hal::net::FrameDevice;

/// What fresh transmit memory holds: not zero, so that a byte nobody wrote
/// shows up in a golden frame.
const DIRT: u8 = 0xA5;

/// A [`FrameDevice`] whose wire is the test.
#[derive(Clone, Debug)]
pub struct FrameQueue {
    /// Station address; `None` = the adapter is not up.
    pub mac: Option<[u8; 6]>,
    /// Is the cable in? Pulling it loses what is queued to be sent.
    link: bool,
    /// Frames the adapter can hold until the test takes them; `None` = any
    /// number. `Some(0)` = the transmitter is stuck.
    pub tx_slots: Option<usize>,
    /// So many `transmit` calls fail although `can_transmit` said yes.
    pub refuse: u32,
    /// Every n-th sent frame vanishes on the wire (0 = none).
    pub lose_sent_every: u32,
    /// Every n-th frame given to `push` vanishes on the wire (0 = none).
    pub lose_pushed_every: u32,
    /// Frames the stack sent, as far as they got on the wire, ever.
    pub sent_total: u32,
    /// Frames pushed, ever.
    pub pushed_total: u32,
    received: VecDeque<Vec<u8>>,
    sent: VecDeque<Vec<u8>>,
}

impl FrameQueue {
    /// An adapter that works, its cable in.
    #[must_use]
    pub fn new(mac: [u8; 6]) -> Self {
        Self {
            mac: Some(mac),
            link: true,
            tx_slots: None,
            refuse: 0,
            lose_sent_every: 0,
            lose_pushed_every: 0,
            sent_total: 0,
            pushed_total: 0,
            received: VecDeque::new(),
            sent: VecDeque::new(),
        }
    }

    /// A frame arrives from the wire (lost if the cable is out).
    pub fn push(&mut self, frame: impl Into<Vec<u8>>) {
        self.pushed_total += 1;
        if self.link && !nth(self.pushed_total, self.lose_pushed_every) {
            self.received.push_back(frame.into());
        }
    }

    /// The next frame that was sent.
    pub fn pop(&mut self) -> Option<Vec<u8>> {
        self.sent.pop_front()
    }

    /// All frames that were sent.
    pub fn drain(&mut self) -> Vec<Vec<u8>> {
        self.sent.drain(..).collect()
    }

    /// Frames that wait to be received.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.received.len()
    }

    /// Plugs the cable in or out.
    pub fn set_link(&mut self, up: bool) {
        self.link = up;
        if !up {
            self.sent.clear();
            self.received.clear();
        }
    }
}

fn nth(count: u32, every: u32) -> bool {
    every != 0 && count.is_multiple_of(every)
}

impl FrameDevice for FrameQueue {
    fn mac(&self) -> Option<[u8; 6]> {
        self.mac
    }

    fn link_up(&self) -> bool {
        self.link && self.mac.is_some()
    }

    fn receive(&mut self, _: Micros, take: &mut dyn FnMut(&mut [u8])) -> bool {
        let Some(mut frame) = self.received.pop_front() else {
            return false;
        };
        take(&mut frame);
        true
    }

    fn can_transmit(&self) -> bool {
        self.link_up() && self.tx_slots.is_none_or(|slots| self.sent.len() < slots)
    }

    fn transmit(&mut self, _: Micros, len: usize, fill: &mut dyn FnMut(&mut [u8])) -> bool {
        if !self.can_transmit() {
            return false;
        }
        if self.refuse > 0 {
            self.refuse -= 1;
            return false;
        }
        assert!(len <= 1514, "a frame of {len} bytes");
        let mut frame = vec![DIRT; len];
        fill(&mut frame);
        self.sent_total += 1;
        if !nth(self.sent_total, self.lose_sent_every) {
            self.sent.push_back(frame);
        }
        true
    }
}
