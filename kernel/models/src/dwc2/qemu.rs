//! Channels as QEMU 7.2 to 10.0 runs them: HCTSIZ.PID stays, a zero-length
//! packet is not counted, toggles do not matter, an absent address is never
//! answered, and disabling a channel does not stop its packet.

use super::Personality;
use super::faults::Fault;
use super::registers::*;
use crate::attached::{InAnswer, OutAnswer};

const DATA1: u32 = 2;
const SETUP: u32 = 3;
/// Pause between packets of a small transfer, and before a retry.
const PAUSE: u64 = 250;
/// Transfers of more bytes are moved in one go.
const SMALL: u32 = 1536;

impl Core {
    pub(super) fn qemu_enable(&mut self, n: usize) {
        let address = self.channels[n].address();
        let here = self.at(address, |_, _| ());
        if here.is_none() || !self.port_enabled() {
            self.channels[n].hung = true;
            return;
        }
        let ch = &mut self.channels[n];
        ch.in_flight = self.personality == Personality::QemuAsync && !ch.is_interrupt();
        if !ch.in_flight {
            ch.retrying = true;
            self.qemu_channel(n);
        }
    }

    pub(super) fn qemu_channel(&mut self, n: usize) {
        loop {
            let ch = &mut self.channels[n];
            let active = ch.in_flight || ch.retrying;
            if !active || ch.hung || ch.poisoned || self.now < ch.not_before {
                return;
            }
            if ch.held && !self.faults.answers_after_reset {
                let address = ch.address();
                if self.at(address, |d, _| d.configured) != Some(true) {
                    return;
                }
                self.channels[n].held = false;
            }
            if !self.qemu_packet(n) {
                return;
            }
        }
    }

    fn qemu_end(&mut self, n: usize, bits: u32) -> bool {
        let ch = &mut self.channels[n];
        assert!(!ch.held, "QEMU abort: request of before the port reset answered");
        if !ch.enabled() {
            self.seen.zombies += 1;
        }
        ch.in_flight = false;
        ch.retrying = false;
        ch.double = None;
        ch.end(bits, self.now);
        false
    }

    fn qemu_nak(&mut self, n: usize) -> bool {
        let ch = &mut self.channels[n];
        if ch.is_interrupt() {
            return self.qemu_end(n, NAK);
        }
        if ch.retrying {
            ch.int |= NAK;
        }
        ch.not_before = self.now + PAUSE;
        false
    }

    /// One packet. True if the next is to follow at once.
    fn qemu_packet(&mut self, n: usize) -> bool {
        let key = self.channels[n].fault_key();
        while let Some(fault) = self.faults.take(key) {
            match fault {
                Fault::None => break,
                Fault::LostInterrupt => self.channels[n].mute_next = true,
                Fault::Nak => return self.qemu_nak(n),
                Fault::Stall => return self.qemu_end(n, STALL),
                Fault::Babble => return self.qemu_end(n, BABBLE),
                Fault::Lost => return self.qemu_end(n, XACT_ERROR),
                Fault::AhbError => return self.qemu_end(n, AHB_ERROR),
                Fault::Never => {
                    let ch = &mut self.channels[n];
                    ch.hung = true;
                    ch.in_flight = false;
                    ch.retrying = false;
                    return false;
                }
                // These do not happen there.
                Fault::Nyet
                | Fault::AckLost
                | Fault::ToggleError
                | Fault::EmptyHalt
                | Fault::DoubleHalt(_)
                | Fault::FrameOverrun => {}
            }
        }
        if self.channels[n].is_in() { self.qemu_in(n) } else { self.qemu_out(n) }
    }

    /// Nobody is at the packet's address any more: a retry ends the emulator,
    /// and so does the answer to a request of before a reset.
    fn qemu_nobody(&mut self, n: usize) -> bool {
        let ch = &mut self.channels[n];
        assert!(!ch.held, "QEMU abort: request of before the port reset answered");
        assert!(!ch.retrying, "QEMU abort: usb_ep_get: dev != NULL (channel {n})");
        ch.poisoned = true;
        false
    }

    /// Accounts for a packet; completes, pauses or goes on.
    fn qemu_moved(&mut self, n: usize, len: u32, short: bool) -> bool {
        let now = self.now;
        let ch = &mut self.channels[n];
        ch.size -= len;
        ch.dma = ch.dma.wrapping_add(len);
        ch.packets += 1;
        if len > 0 && ch.packets_left() > 0 {
            ch.size -= 1 << 19;
        }
        if short || ch.left() == 0 {
            return self.qemu_end(n, COMPLETE);
        }
        if ch.programmed & 0x7_FFFF <= SMALL {
            ch.not_before = now + PAUSE;
            return false;
        }
        true
    }

    /// Is the toggle the driver started with the right one? QEMU does not look.
    fn qemu_toggle(&mut self, n: usize, data1: bool) {
        let ch = &self.channels[n];
        let start = ch.programmed >> 29 & 3;
        let expected = (start ^ (ch.packets & 1) << 1) == DATA1;
        if start != SETUP && expected != data1 {
            self.seen.wrong_toggles += 1;
        }
    }

    fn qemu_in(&mut self, n: usize) -> bool {
        let ch = &self.channels[n];
        let (endpoint, mps) = (ch.endpoint() as usize, ch.max_packet());
        let address = ch.address();
        let answer = self.at(address, |d, _| d.input(endpoint, mps as usize, false));
        let Some(answer) = answer else {
            return self.qemu_nobody(n);
        };
        match answer {
            InAnswer::Nak => self.qemu_nak(n),
            InAnswer::Stall => self.qemu_end(n, STALL),
            InAnswer::Silence => self.qemu_end(n, XACT_ERROR),
            InAnswer::Babble => self.qemu_end(n, BABBLE),
            InAnswer::Data { bytes, data1, .. } => {
                self.qemu_toggle(n, data1);
                let len = bytes.len() as u32;
                if len > mps || len > self.channels[n].left() {
                    return self.qemu_end(n, BABBLE);
                }
                self.memory.device_write(self.channels[n].dma, &bytes);
                self.qemu_moved(n, len, len < mps)
            }
        }
    }

    fn qemu_out(&mut self, n: usize) -> bool {
        let ch = &self.channels[n];
        let (endpoint, len) = (ch.endpoint() as usize, ch.max_packet().min(ch.left()));
        let data = self.memory.device_read(ch.dma, len as usize);
        let (setup, address) = (ch.pid() == SETUP, ch.address());
        let answer = self.at(address, |device, _| {
            if setup {
                device.setup(data.as_slice().try_into().expect("SETUP of 8 bytes"));
                return None;
            }
            let data1 = endpoint == 0 && len == 0 || device.expects(endpoint);
            Some((device.out(endpoint, data1, &data, false), data1))
        });
        let (answer, data1) = match answer {
            None => return self.qemu_nobody(n),
            Some(None) => return self.qemu_moved(n, len, false),
            Some(Some(answer)) => answer,
        };
        match answer {
            OutAnswer::Nak => self.qemu_nak(n),
            OutAnswer::Stall => self.qemu_end(n, STALL),
            OutAnswer::Silence => self.qemu_end(n, XACT_ERROR),
            _ => {
                self.qemu_toggle(n, data1);
                self.qemu_moved(n, len, false)
            }
        }
    }
}
