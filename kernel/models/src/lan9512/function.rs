//! Endpoint 0 and the dispatch of packets.

use super::descriptors::{descriptor, packet_size};
use super::registers::offset::INT_EP_CTL;
use super::registers::{Effect, Registers};
use super::{BULK_IN, BULK_OUT, INTERRUPT, Lan9512, REQUESTS_KEPT};
use crate::usb::{Answer, UsbFunction};
use sk_hal::Micros;
use sk_hal::usb::{Setup, Speed};

const WRITE_REGISTER: (u8, u8) = (0x40, 0xA0);
const READ_REGISTER: (u8, u8) = (0xC0, 0xA1);
const READ_STATISTICS: (u8, u8) = (0xC0, 0xA2);
/// INT_EP_CTL: every poll is answered.
const ALWAYS: u32 = 1 << 31;

impl Lan9512 {
    fn halted(&self, address: u8) -> bool {
        self.halted.contains(&address) || self.faults.broken.contains(&address)
    }

    fn deconfigure(&mut self) {
        self.halted.clear();
        self.rx.flush();
        self.tx.reset();
    }

    /// A register or statistics request; `None` = STALL.
    fn vendor(&mut self, setup: Setup, out: &[u8]) -> Option<Answer> {
        if self.configuration == 0 || setup.value != 0 {
            return None;
        }
        self.counters.accesses += 1;
        let offset = setup.index;
        match (setup.request_type, setup.request) {
            WRITE_REGISTER if Registers::exists(offset) && setup.length == 4 => {
                let value = u32::from_le_bytes(out.try_into().ok()?);
                match self.registers.write(offset, value, &mut self.counters) {
                    Effect::None => {}
                    Effect::FlushRx => self.rx.flush(),
                    Effect::FlushTx => self.tx.flush(),
                    Effect::Reset => {
                        self.rx.flush();
                        self.tx.reset();
                    }
                }
                self.transmit();
                Some(Answer::Ack)
            }
            READ_REGISTER if Registers::exists(offset) && setup.length == 4 => {
                let (rx, tx) = (self.rx.used() as u32, self.tx.used() as u32);
                let value = self.registers.read(offset, rx, tx);
                let given = self.faults.replies.iter().find(|(at, _)| *at == offset);
                let mut bytes = given.map_or(value.to_le_bytes().to_vec(), |(_, b)| b.clone());
                bytes.truncate(usize::from(setup.length));
                Some(Answer::Data(bytes))
            }
            READ_STATISTICS => {
                let mut bytes = self.statistics(offset)?;
                bytes.truncate(usize::from(setup.length));
                Some(Answer::Data(bytes))
            }
            _ => None,
        }
    }

    /// Receive (0): good, CRC, runt, alignment, too long, collision, bad,
    /// dropped. Transmit (1): good, pause, one and several collisions, excess,
    /// late, underrun, deferred, no carrier, bad.
    fn statistics(&self, index: u16) -> Option<Vec<u8>> {
        let c = &self.counters;
        let words = match index {
            0 => vec![c.received, 0, 0, 0, c.too_long, 0, c.too_long, c.overrun],
            1 => {
                let bad = c.bad_size + c.bad_fcs;
                vec![c.sent, 0, 0, 0, 0, 0, 0, 0, c.no_link, bad]
            }
            _ => return None,
        };
        Some(words.iter().flat_map(|count| (*count as u32).to_le_bytes()).collect())
    }

    fn standard(&mut self, setup: Setup) -> Option<Answer> {
        let [value, high] = setup.value.to_le_bytes();
        let [index, _] = setup.index.to_le_bytes();
        let mut bytes = match (setup.request_type, setup.request) {
            (0x80, 6) => {
                let replaced =
                    self.faults.replace.iter().find(|(k, i, _)| (*k, *i) == (high, value));
                match replaced {
                    Some((.., bytes)) => bytes.clone(),
                    None => descriptor(self.product, self.speed, high, value)?,
                }
            }
            (0x80, 8) => vec![self.configuration],
            (0x80, 0) => vec![1, 0],
            (0x81, 0) if self.configuration != 0 => vec![0, 0],
            (0x81, 10) if self.configuration != 0 && index == 0 => vec![0],
            (0x82, 0) => vec![u8::from(self.halted(index)), 0],
            (0x00, 5) if value < 128 => {
                self.address = value;
                return Some(Answer::Ack);
            }
            (0x00, 9) if value <= 1 => {
                self.deconfigure();
                self.configuration = value;
                return Some(Answer::Ack);
            }
            (0x01, 11) if self.configuration != 0 && (index, value) == (0, 0) => {
                self.halted.clear();
                return Some(Answer::Ack);
            }
            // Remote wake-up may be switched; nothing wakes.
            (0x00, 1 | 3) if setup.value == 1 => return Some(Answer::Ack),
            (0x02, 1) if setup.value == 0 => {
                self.halted.retain(|address| *address != index);
                return Some(Answer::Ack);
            }
            (0x02, 3) if setup.value == 0 => {
                self.halt(index);
                return Some(Answer::Ack);
            }
            _ => return None,
        };
        bytes.truncate(usize::from(setup.length));
        Some(Answer::Data(bytes))
    }

    fn interrupt_in(&mut self) -> Answer {
        if self.faults.silent_interrupt {
            return Answer::Nak;
        }
        if let Some(bytes) = self.faults.interrupt.take() {
            return Answer::Data(bytes);
        }
        let (status, enabled) = (self.registers.interrupts(), self.registers.get(INT_EP_CTL));
        if status & enabled & !ALWAYS == 0 && enabled & ALWAYS == 0 {
            return Answer::Nak;
        }
        Answer::Data(status.to_le_bytes().to_vec())
    }
}

impl UsbFunction for Lan9512 {
    fn speed(&self) -> Speed {
        self.speed
    }

    fn reset(&mut self) {
        self.deconfigure();
        self.registers.reset();
        self.address = 0;
        self.configuration = 0;
    }

    fn control(&mut self, setup: Setup, out: &[u8]) -> Answer {
        if self.requests.len() < REQUESTS_KEPT {
            self.requests.push(setup);
        }
        if self.faults.gone {
            return Answer::Silence;
        }
        if self.faults.nak_control {
            return Answer::Nak;
        }
        let vendor = setup.request_type & 0x60 == 0x40;
        if vendor && self.faults.silent_registers > 0 {
            self.faults.silent_registers -= 1;
            return Answer::Silence;
        }
        let ordered = if vendor {
            let n = self.faults.stall_registers;
            self.faults.stall_registers = n.saturating_sub(1);
            n > 0
        } else {
            self.faults.stall.contains(&(setup.request_type, setup.request))
        };
        let answer = match (ordered, vendor) {
            (true, _) => None,
            (_, true) => self.vendor(setup, out),
            (_, false) => self.standard(setup),
        };
        if answer.is_none() {
            self.counters.refused += 1;
        }
        answer.unwrap_or(Answer::Stall)
    }

    fn packet_out(&mut self, endpoint: u8, data: &[u8]) -> Answer {
        if endpoint != BULK_OUT || self.faults.gone || self.configuration == 0 {
            return Answer::Silence;
        }
        if data.len() > packet_size(self.speed) {
            return Answer::Silence;
        }
        if self.halted(endpoint) {
            return Answer::Stall;
        }
        self.bulk_out(data)
    }

    fn packet_in(&mut self, endpoint: u8, max_packet: usize) -> Answer {
        if self.faults.gone || self.configuration == 0 {
            return Answer::Silence;
        }
        if self.halted(endpoint | 0x80) {
            return Answer::Stall;
        }
        let answer = match endpoint {
            BULK_IN => self.bulk_in(),
            INTERRUPT => self.interrupt_in(),
            _ => Answer::Silence,
        };
        match answer {
            Answer::Data(bytes) if bytes.len() > max_packet => Answer::Babble,
            answer => answer,
        }
    }

    fn advance(&mut self, now: Micros) {
        self.now = self.now.max(now);
        if let Some(period) = self.faults.flap
            && self.now - self.flapped_at >= period
        {
            self.flapped_at = self.now;
            let cable = self.registers.phy.cable();
            self.set_link(!cable);
        }
        self.registers.advance(self.now, &self.faults);
        self.transmit();
    }
}
