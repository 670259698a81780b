//! What can be made to go wrong.

use std::collections::VecDeque;

/// A fault that befalls one packet of an endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// This packet meets no fault.
    None,
    /// The device answers NAK.
    Nak,
    /// A complete split is answered NYET; nothing else is. (Silicon only.)
    Nyet,
    /// The device answers STALL.
    Stall,
    /// The device sends too much.
    Babble,
    /// The packet is lost: the device does not see it, the core sees no answer.
    Lost,
    /// The device sees the packet, its or the host's ACK is lost. OUT: a
    /// transaction error, and the retry is a duplicate. IN: the device repeats
    /// the packet, a toggle error. (Silicon only.)
    AckLost,
    /// IN: the device sends an old packet once more. (Silicon only.)
    ToggleError,
    /// The channel halts without a result. (Silicon only.)
    EmptyHalt,
    /// The halt shows a second time, this many microseconds later. (Silicon only.)
    DoubleHalt(u32),
    /// The completion raises no interrupt; HCINT shows it all the same.
    LostInterrupt,
    /// Nothing happens any more until the channel is disabled.
    Never,
    /// A periodic packet missed its frame. (Silicon only.)
    FrameOverrun,
    /// The core reports an AHB error.
    AhbError,
}

/// The faults of a model.
#[derive(Default, Debug)]
pub struct Faults {
    packets: Vec<(u8, VecDeque<(Fault, u32)>)>,
    /// The device shows up this long after port power, microseconds.
    pub connect_delay: u64,
    /// Over-current.
    pub over_current: bool,
    /// The AHB master is never idle.
    pub ahb_busy: bool,
    /// The soft reset never ends.
    pub reset_stuck: bool,
    /// FIFO flushes never end.
    pub flush_stuck: bool,
    /// So many port resets do not enable the port.
    pub refuse_enable: u32,
    /// PHY selection bits (3, 4, 6) that GUSBCFG has at first.
    pub phy_select: u32,
    /// QEMU, asynchronous: the device answers requests of before a port reset
    /// instead of holding them until SET_CONFIGURATION.
    pub answers_after_reset: bool,
    /// Channels do not halt when disabled. (Silicon only.)
    pub halt_stuck: bool,
    /// A hub lies: what a host cannot but do wrong then is not a panic.
    pub lax: bool,
    /// The connection breaks and comes back so often within the debounce time.
    pub bounces: u32,
}

impl Faults {
    /// The next `times` packets of `endpoint` (bit 7: IN; 0 and 0x80 are the
    /// stages of control transfers) meet `fault`.
    pub fn inject(&mut self, endpoint: u8, fault: Fault, times: u32) {
        let at = self.packets.iter().position(|(e, _)| *e == endpoint).unwrap_or_else(|| {
            self.packets.push((endpoint, VecDeque::new()));
            self.packets.len() - 1
        });
        self.packets[at].1.push_back((fault, times));
    }

    /// No packet faults any more.
    pub fn clear(&mut self) {
        self.packets.clear();
    }

    /// The knobs, all of them, by name, and whether each is turned.
    #[must_use]
    pub fn knobs(&self) -> [(&'static str, bool); 11] {
        let Self {
            packets: _, // by [`Fault`]
            connect_delay,
            over_current,
            ahb_busy,
            reset_stuck,
            flush_stuck,
            refuse_enable,
            phy_select,
            answers_after_reset,
            halt_stuck,
            lax,
            bounces,
        } = self;
        [
            ("connect_delay", *connect_delay > 0),
            ("over_current", *over_current),
            ("ahb_busy", *ahb_busy),
            ("reset_stuck", *reset_stuck),
            ("flush_stuck", *flush_stuck),
            ("refuse_enable", *refuse_enable > 0),
            ("phy_select", *phy_select != 0),
            ("answers_after_reset", *answers_after_reset),
            ("halt_stuck", *halt_stuck),
            ("lax", *lax),
            ("bounces", *bounces > 0),
        ]
    }

    pub(super) fn take(&mut self, endpoint: u8) -> Option<Fault> {
        let (_, queue) = self.packets.iter_mut().find(|(e, _)| *e == endpoint)?;
        let (fault, times) = queue.front_mut()?;
        let fault = *fault;
        *times = times.saturating_sub(1);
        if *times == 0 {
            queue.pop_front();
        }
        Some(fault)
    }
}
