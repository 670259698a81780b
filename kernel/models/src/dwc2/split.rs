//! Split transactions as silicon does them: one programming of a channel per
//! start split and per complete split, and the hub's transaction translator
//! between. What a real one would answer with a lost packet or a wild DMA is a
//! panic.

use super::registers::*;
use crate::attached::{InAnswer, OutAnswer};
use crate::hub::{Hub, Transaction};
use sk_hal::usb::Speed;

const DATA1: u32 = 2;
const SETUP: u32 = 3;
const COMPLETE_SPLIT: u32 = 1 << 16;

impl Channel {
    pub(super) fn is_complete_split(&self) -> bool {
        self.split & COMPLETE_SPLIT != 0
    }

    fn hub_address(&self) -> u8 {
        (self.split >> 7 & 0x7F) as u8
    }

    fn hub_port(&self) -> u8 {
        (self.split & 0x7F) as u8
    }

    fn kind(&self) -> u8 {
        (self.char >> 18 & 3) as u8
    }

    /// What can be checked when the channel is enabled.
    pub(super) fn check_split(&self) {
        if self.split == 0 {
            return;
        }
        assert_eq!(self.split >> 31, 1, "HCSPLT {:#x} without SpltEna", self.split);
        assert_eq!(self.split & 0x7FFE_0000, 0, "HCSPLT {:#x}: reserved bits", self.split);
        assert_eq!(self.split >> 14 & 3, 3, "HCSPLT {:#x}: XactPos is not All", self.split);
        assert!(self.hub_address() > 0 && self.hub_port() > 0, "HCSPLT {:#x}", self.split);
        assert_eq!(self.packets_left(), 1, "one packet per split");
        let most = if self.char >> 17 & 1 == 1 { 8 } else { 64 };
        assert!(self.max_packet() <= most, "packets of {} in a split", self.max_packet());
        assert!(self.left() <= self.max_packet(), "{} bytes in a split", self.left());
        assert_eq!(self.size >> 31, 0, "PING in a split");
        assert_ne!(self.kind(), 1, "isochronous splits are not modelled");
    }
}

impl Core {
    /// The hub whose translator the channel names, if it hears us.
    fn translator(&mut self, n: usize) -> Option<Hub> {
        let address = self.channels[n].hub_address();
        self.at(address, |d, route| {
            assert_eq!(route, None, "a translator behind a translator");
            d.function.as_hub().expect("HCSPLT names a device that is no hub")
        })
    }

    /// NAK: to a start split, the translator is full; to a complete split, the
    /// device had nothing, and the transaction is over.
    pub(super) fn split_nak(&mut self, n: usize) -> bool {
        if self.channels[n].is_complete_split() {
            assert_ne!(self.channels[n].pid(), SETUP, "SETUP cannot be answered NAK");
            self.take_transaction(n);
        } else {
            assert_ne!(self.channels[n].kind(), 3, "a periodic start split has no handshake");
        }
        self.silicon_end(n, NAK)
    }

    fn take_transaction(&mut self, n: usize) -> Option<Transaction> {
        let ch = &self.channels[n];
        let key = (ch.address(), ch.endpoint() as u8, ch.is_in());
        let hub = self.translator(n)?;
        hub.state(|s| {
            let at = s.translator.iter().position(|t| (t.address, t.endpoint, t.input) == key)?;
            Some(s.translator.remove(at))
        })
    }

    pub(super) fn split_packet(&mut self, n: usize, ack_lost: bool) -> bool {
        assert_eq!(self.device.as_ref().map(|d| d.speed()), Some(Speed::High), "split, slow root");
        let frame = self.now / TICK;
        let Some(hub) = self.translator(n) else {
            return self.silicon_end(n, XACT_ERROR);
        };
        let ch = &self.channels[n];
        let (address, want) = (ch.address(), (ch.hub_address(), ch.hub_port()));
        let low = ch.char >> 17 & 1 == 1;
        let lax = self.faults.lax;
        let right = self.at(address, |d, route| {
            let right = low == (d.speed() == Speed::Low);
            assert!(lax || route == Some(want), "the route of the device at {address}");
            assert!(lax || right, "LSpdDev of the device at {address}");
            right && route == Some(want)
        });
        if right == Some(false) {
            return self.silicon_end(n, XACT_ERROR);
        }
        if self.channels[n].is_complete_split() {
            self.complete_split(n, &hub, frame, ack_lost)
        } else {
            self.start_split(n, &hub, frame)
        }
    }

    fn start_split(&mut self, n: usize, hub: &Hub, frame: u64) -> bool {
        self.seen.start_splits += 1;
        let ch = &self.channels[n];
        let out = if ch.is_in() { 0 } else { ch.left() };
        assert!(ch.kind() != 3 || frame & 7 != 6, "periodic start split in microframe 6");
        let transaction = Transaction {
            address: ch.address(),
            endpoint: ch.endpoint() as u8,
            kind: ch.kind(),
            input: ch.is_in(),
            setup: ch.pid() == SETUP,
            data1: ch.pid() == DATA1,
            data: self.memory.device_read(ch.dma, out as usize),
            frame,
            registers: (ch.size, ch.dma),
        };
        if !hub.state(|s| s.accept(transaction)) {
            return self.split_nak(n);
        }
        // What the core leaves behind is not what the complete split needs.
        let ch = &mut self.channels[n];
        ch.dma = ch.dma.wrapping_add(0x40);
        ch.size &= !(0x3FF << 19);
        self.silicon_end(n, ACK)
    }

    fn complete_split(&mut self, n: usize, hub: &Hub, frame: u64, ack_lost: bool) -> bool {
        self.seen.complete_splits += 1;
        let ch = &self.channels[n];
        let (size, dma, mps) = (ch.size, ch.dma, ch.max_packet() as usize);
        let latency = hub.state(|s| s.latency);
        let (periodic, lax) = (ch.kind() == 3, self.faults.lax);
        let Some(t) = self.take_transaction(n) else {
            assert!(periodic || lax, "complete split without a start split");
            return self.silicon_end(n, NYET);
        };
        assert_eq!(t.registers, (size, dma), "HCTSIZ, HCDMA of the complete split");
        let age = frame - t.frame;
        assert!(!periodic || (2..=4).contains(&age), "complete split {age} microframes later");
        if age <= latency {
            hub.state(|s| s.translator.push(t));
            return self.silicon_end(n, NYET);
        }
        let endpoint = usize::from(t.endpoint);
        if t.input {
            let answer = self.at(t.address, |d, _| d.input(endpoint, mps, ack_lost));
            return match answer.unwrap_or(InAnswer::Silence) {
                InAnswer::Nak => self.silicon_end(n, NAK),
                InAnswer::Stall => self.silicon_end(n, STALL),
                InAnswer::Silence => self.silicon_end(n, XACT_ERROR),
                InAnswer::Babble => self.silicon_end(n, BABBLE),
                InAnswer::Data { data1, repeat, .. } if data1 != t.data1 => {
                    assert!(repeat, "IN on {endpoint}: host expects DATA1={}", t.data1);
                    self.silicon_end(n, TOGGLE_ERROR | ACK)
                }
                InAnswer::Data { bytes, .. } if bytes.len() > mps => self.silicon_end(n, BABBLE),
                InAnswer::Data { bytes, .. } => {
                    self.deliver(n, bytes);
                    self.silicon_end(n, COMPLETE)
                }
            };
        }
        let answer = self.at(t.address, |d, _| {
            if t.setup {
                d.setup(t.data.as_slice().try_into().expect("SETUP of 8 bytes"));
                return OutAnswer::Ack;
            }
            d.out(endpoint, t.data1, &t.data, ack_lost)
        });
        match answer.unwrap_or(OutAnswer::Silence) {
            OutAnswer::Ack if ack_lost => self.silicon_end(n, XACT_ERROR),
            OutAnswer::Ack | OutAnswer::Duplicate => {
                self.step(n);
                self.silicon_end(n, COMPLETE | ACK)
            }
            OutAnswer::Nak => self.silicon_end(n, NAK),
            OutAnswer::Stall => self.silicon_end(n, STALL),
            OutAnswer::Silence => self.silicon_end(n, XACT_ERROR),
            OutAnswer::Nyet => panic!("NYET exists at high speed only"),
            OutAnswer::WrongToggle => panic!("OUT on {endpoint}: toggle not the device's"),
        }
    }
}
