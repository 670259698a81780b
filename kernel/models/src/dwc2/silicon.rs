//! Channels as BCM2835's core runs them: the core retries NAK and sends PING
//! by itself, writes size, address and PID back, and halts for all else.

use super::faults::Fault;
use super::registers::*;
use crate::attached::{InAnswer, OutAnswer};
use sk_hal::usb::Speed;

const DATA1: u32 = 2;
const SETUP: u32 = 3;
/// Packets a channel moves in a microframe.
const BURST: usize = 8;

impl Core {
    pub(super) fn silicon_channel(&mut self, n: usize) {
        let now = self.now;
        let ch = &mut self.channels[n];
        if !ch.enabled() {
            return;
        }
        if ch.halt_at.is_some_and(|t| now >= t) {
            ch.end(0, now);
            self.write_back_out(n, false);
            return;
        }
        if !self.port_enabled() {
            return;
        }
        let burst = if self.channels[n].is_interrupt() { 1 } else { BURST };
        for _ in 0..burst {
            let ch = &self.channels[n];
            if !ch.enabled() || ch.hung || !self.silicon_packet(n) {
                return;
            }
        }
    }

    /// One packet. False if nothing more is to be tried in this microframe.
    fn silicon_packet(&mut self, n: usize) -> bool {
        let key = self.channels[n].fault_key();
        let mut ack_lost = false;
        while let Some(fault) = self.faults.take(key) {
            match fault {
                Fault::None => break,
                Fault::Nyet if self.channels[n].is_complete_split() => {
                    return self.silicon_end(n, NYET);
                }
                Fault::Nyet => break,
                Fault::DoubleHalt(us) => self.channels[n].double = Some(us),
                Fault::LostInterrupt => self.channels[n].mute_next = true,
                Fault::Nak => return self.silicon_nak(n),
                Fault::Stall => return self.silicon_end(n, STALL),
                Fault::Babble => return self.silicon_end(n, BABBLE),
                Fault::ToggleError => return self.silicon_end(n, TOGGLE_ERROR | ACK),
                Fault::Lost => return self.silicon_end(n, XACT_ERROR),
                Fault::EmptyHalt => return self.silicon_end(n, 0),
                Fault::FrameOverrun => return self.silicon_end(n, FRAME_OVERRUN),
                Fault::AhbError => return self.silicon_end(n, AHB_ERROR),
                Fault::Never => {
                    self.channels[n].hung = true;
                    return false;
                }
                Fault::AckLost => {
                    ack_lost = true;
                    break;
                }
            }
        }
        if self.channels[n].split != 0 {
            return self.split_packet(n, ack_lost);
        }
        let ch = &self.channels[n];
        let (address, input, low) = (ch.address(), ch.is_in(), ch.char >> 17 & 1 == 1);
        let lax = self.faults.lax;
        let here = self.at(address, |d, route| {
            let right = low == (d.speed() == Speed::Low);
            assert!(lax || route.is_none(), "a slow device behind a fast hub wants splits");
            assert!(lax || right, "LSpdDev of the device at {address}");
            right && route.is_none()
        });
        match (here == Some(true), input) {
            (false, _) => self.silicon_end(n, XACT_ERROR),
            (true, true) => self.silicon_in(n, ack_lost),
            (true, false) => self.silicon_out(n, ack_lost),
        }
    }

    /// Halts the channel with these bits.
    pub(super) fn silicon_end(&mut self, n: usize, bits: u32) -> bool {
        self.channels[n].end(bits, self.now);
        self.write_back_out(n, bits & COMPLETE != 0);
        false
    }

    fn silicon_nak(&mut self, n: usize) -> bool {
        if self.channels[n].split != 0 {
            return self.split_nak(n);
        }
        let address = self.channels[n].address();
        let high = self.at(address, |d, _| d.speed() == Speed::High) == Some(true);
        let ch = &mut self.channels[n];
        assert_ne!(ch.pid(), SETUP, "SETUP cannot be answered NAK");
        if ch.is_interrupt() {
            return self.silicon_end(n, NAK);
        }
        ch.int |= NAK;
        if !ch.is_in() && high {
            ch.size |= 1 << 31;
        }
        false
    }

    /// An OUT's XferSize and HCDMA count what was fetched from memory, up to
    /// two packets ahead of what the device accepted.
    fn write_back_out(&mut self, n: usize, complete: bool) {
        let ch = &mut self.channels[n];
        if ch.is_in() {
            return;
        }
        let total = ch.programmed & 0x7_FFFF;
        let fetched = if complete { total } else { total.min(ch.accepted + 2 * ch.max_packet()) };
        ch.size = ch.size & !0x7_FFFF | (total - fetched);
        ch.dma = ch.base.wrapping_add(fetched);
    }

    /// One packet less, and the other toggle.
    pub(super) fn step(&mut self, n: usize) {
        let ch = &mut self.channels[n];
        let packets = ch.packets_left() - 1;
        let pid = if ch.pid() == SETUP { SETUP } else { ch.pid() ^ DATA1 };
        ch.size = ch.size & !(0x3FF << 19 | 3 << 29) | packets << 19 | pid << 29;
        ch.packets += 1;
    }

    /// A packet that came in, to memory.
    pub(super) fn deliver(&mut self, n: usize, bytes: Vec<u8>) {
        let len = bytes.len() as u32;
        // Whole words reach memory.
        let mut words = bytes;
        words.resize(words.len().next_multiple_of(4), 0xEE);
        let ch = &mut self.channels[n];
        self.memory.device_write(ch.dma, &words);
        ch.dma = ch.dma.wrapping_add(len);
        ch.size -= len;
        ch.int |= ACK;
        self.step(n);
    }

    fn silicon_in(&mut self, n: usize, ack_lost: bool) -> bool {
        let ch = &self.channels[n];
        let (endpoint, mps, pid) = (ch.endpoint() as usize, ch.max_packet(), ch.pid());
        let address = ch.address();
        let answer = self.at(address, |d, _| d.input(endpoint, mps as usize, ack_lost));
        match answer.expect("checked") {
            InAnswer::Nak => self.silicon_nak(n),
            InAnswer::Stall => self.silicon_end(n, STALL),
            InAnswer::Silence => self.silicon_end(n, XACT_ERROR),
            InAnswer::Babble => self.silicon_end(n, BABBLE),
            InAnswer::Data { bytes, data1, repeat } => {
                let expected = pid == DATA1;
                if data1 != expected {
                    assert!(repeat, "IN on {endpoint}: host expects DATA1={expected}");
                    return self.silicon_end(n, TOGGLE_ERROR | ACK);
                }
                let len = bytes.len() as u32;
                let ch = &mut self.channels[n];
                if len > mps || len > ch.left() {
                    return self.silicon_end(n, BABBLE);
                }
                self.deliver(n, bytes);
                let ch = &self.channels[n];
                if len < mps || ch.packets_left() == 0 {
                    return self.silicon_end(n, COMPLETE);
                }
                true
            }
        }
    }

    fn silicon_out(&mut self, n: usize, ack_lost: bool) -> bool {
        let ch = &self.channels[n];
        let (endpoint, mps, pid) = (ch.endpoint() as usize, ch.max_packet(), ch.pid());
        let (address, total, ping) = (ch.address(), ch.programmed & 0x7_FFFF, ch.size >> 31 == 1);
        let len = mps.min(total - ch.accepted);
        let data = self.memory.device_read(ch.base + ch.accepted, len as usize);
        let answer = self.at(address, |device, _| {
            if pid == SETUP {
                device.setup(data.as_slice().try_into().expect("SETUP of 8 bytes"));
                return OutAnswer::Ack;
            }
            if device.ping[endpoint] {
                assert!(ping, "OUT on {endpoint} after NYET without PING");
                device.ping[endpoint] = false;
            }
            device.out(endpoint, pid == DATA1, &data, ack_lost)
        });
        let answer = answer.expect("checked");
        let ch = &mut self.channels[n];
        if pid != SETUP && ping {
            self.seen.pings += 1;
            ch.size &= !(1 << 31);
        }
        if ack_lost && matches!(answer, OutAnswer::Ack | OutAnswer::Nyet) {
            return self.silicon_end(n, XACT_ERROR);
        }
        match answer {
            OutAnswer::Nak => self.silicon_nak(n),
            OutAnswer::Stall => self.silicon_end(n, STALL),
            OutAnswer::Silence => self.silicon_end(n, XACT_ERROR),
            OutAnswer::WrongToggle => panic!("OUT on {endpoint}: toggle not the device's"),
            OutAnswer::Ack | OutAnswer::Duplicate | OutAnswer::Nyet => {
                ch.accepted += len;
                ch.int |= ACK;
                self.step(n);
                let ch = &mut self.channels[n];
                if answer == OutAnswer::Nyet {
                    ch.size |= 1 << 31;
                }
                if ch.packets_left() == 0 {
                    let nyet = if answer == OutAnswer::Nyet { NYET } else { 0 };
                    return self.silicon_end(n, COMPLETE | nyet);
                }
                true
            }
        }
    }
}
