//! The firmware behind the mailbox: answers property messages, or fails to.

use crate::memory::{ALIAS, Memory};
use crate::systimer::SimClock;
use sk_hal::{Bus32, Micros};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};

/// How the firmware misbehaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Not at all.
    None,
    /// Never answers and never writes.
    Silent,
    /// A word of another channel comes first.
    OtherChannel,
    /// A word for another address comes first.
    OtherAddress,
    /// Other words come without end.
    Flood,
    /// The answer's address carries another alias.
    PlainAddress,
    /// 0x8000_0001: could not parse.
    ParseError,
    /// Sends the word back, but never wrote the buffer.
    Untouched,
    /// Does not know this tag: leaves bit 31 clear.
    Unknown(u32),
    /// Answers an unknown tag with length 0, as an emulator does.
    Empty(u32),
    /// Says that the answer to this tag takes more room than there is.
    TooLong(u32),
    /// The mailbox is always full.
    Full,
}

/// What the firmware knows.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Board revision code.
    pub revision: u32,
    /// Board serial number.
    pub serial: u64,
    /// Station address.
    pub mac: [u8; 6],
    /// The ARM's memory: base, size.
    pub arm_memory: (u32, u32),
    /// Clocks by id: (now, min, max) in Hz.
    pub clocks: BTreeMap<u32, (u32, u32, u32)>,
    /// The firmware grants the ARM no more than this, in Hz.
    pub arm_cap: u32,
    /// Powered devices, as bits.
    pub power: u32,
    /// Devices that exist, as bits.
    pub devices: u32,
    /// Throttling bits.
    pub throttled: u32,
    /// Temperature in thousandths of a degree.
    pub temperature: u32,
    /// Turbo level.
    pub turbo: u32,
    /// The command line.
    pub command_line: Vec<u8>,
}

impl Default for Facts {
    /// A Zero.
    fn default() -> Self {
        Self {
            revision: 0x0090_0092,
            serial: 0x0000_0000_1234_5678,
            mac: [0xB8, 0x27, 0xEB, 0x34, 0x56, 0x78],
            arm_memory: (0, 0x1C00_0000),
            clocks: BTreeMap::from([
                (2, (48_000_000, 0, 1_000_000_000)),
                (3, (700_000_000, 700_000_000, 1_000_000_000)),
                (4, (250_000_000, 250_000_000, 400_000_000)),
            ]),
            arm_cap: u32::MAX,
            power: 0,
            devices: 0xFF,
            throttled: 0,
            temperature: 42_000,
            turbo: 0,
            command_line: b"console=serial0".to_vec(),
        }
    }
}

struct State {
    /// Words for the ARM: when, the word, and what is written to memory then.
    outbox: VecDeque<(Micros, u32, Option<Vec<u8>>)>,
    messages: usize,
}

/// Registers of the mailbox, with the firmware behind them.
pub struct MboxModel {
    memory: Memory,
    clock: SimClock,
    state: RefCell<State>,
    /// What it knows.
    pub facts: RefCell<Facts>,
    /// How it misbehaves.
    pub fault: Cell<Fault>,
    /// Time it takes to answer.
    pub delay: Cell<Micros>,
}

impl MboxModel {
    /// Firmware that sees `memory` and takes 50 us to answer.
    #[must_use]
    pub fn new(memory: &Memory, clock: &SimClock) -> Self {
        Self {
            memory: memory.clone(),
            clock: clock.clone(),
            state: RefCell::new(State { outbox: VecDeque::new(), messages: 0 }),
            facts: RefCell::default(),
            fault: Cell::new(Fault::None),
            delay: Cell::new(50),
        }
    }

    /// Leaves a word in the mailbox, as something before the kernel did.
    pub fn leave(&self, word: u32) {
        self.state.borrow_mut().outbox.push_back((0, word, None));
    }

    /// Messages taken so far.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.state.borrow().messages
    }

    fn ring(&self, word: u32) {
        assert!(!self.memory.dsb_missing(), "mailbox doorbell before the DSB");
        assert_eq!(word & 0xF, 8, "not the property channel");
        let address = word & !0xF;
        assert_eq!(address & 0xC000_0000, ALIAS, "bus alias of {address:#x}");
        let fault = self.fault.get();
        assert_ne!(fault, Fault::Full, "written while full");
        let now = self.clock.peek();
        let mut s = self.state.borrow_mut();
        assert!(s.outbox.len() < 8, "the mailbox holds eight words");
        s.messages += 1;
        let length = u32_at(&self.memory.device_read(address, 4), 0) as usize;
        assert!(length.is_multiple_of(4) && length >= 12, "message of {length} bytes");
        let mut message = self.memory.device_read(address, length);
        assert_eq!(u32_at(&message, 4), 0, "not a request");
        match fault {
            Fault::Silent => return,
            Fault::OtherChannel => s.outbox.push_back((now, word & !0xF | 1, None)),
            Fault::OtherAddress => s.outbox.push_back((now, word + 0x1000, None)),
            _ => {}
        }
        let reply = if fault == Fault::PlainAddress { word & 0x3FFF_FFFF } else { word };
        let written = match fault {
            Fault::Untouched => None,
            Fault::ParseError => {
                put(&mut message, 4, 0x8000_0001);
                Some(message)
            }
            _ => {
                self.work_through(&mut message);
                Some(message)
            }
        };
        s.outbox.push_back((now + self.delay.get(), reply, written));
    }

    fn work_through(&self, message: &mut [u8]) {
        let mut at = 8;
        loop {
            let id = u32_at(message, at);
            if id == 0 {
                assert_eq!(at + 4, message.len(), "bytes after the end tag");
                break;
            }
            let room = u32_at(message, at + 4) as usize;
            assert_eq!(room % 4, 0, "tag {id:#x}: room of {room} bytes");
            assert_eq!(u32_at(message, at + 8), 0, "tag {id:#x}: not a request");
            let value = message[at + 12..at + 12 + room].to_vec();
            match self.fault.get() {
                Fault::Unknown(unknown) if unknown == id => {}
                Fault::Empty(unknown) if unknown == id => put(message, at + 8, 1 << 31),
                fault => {
                    if let Some(answer) = self.answer(id, &value) {
                        let fits = answer.len().min(room);
                        message[at + 12..at + 12 + fits].copy_from_slice(&answer[..fits]);
                        let much =
                            if fault == Fault::TooLong(id) { room + 4 } else { answer.len() };
                        put(message, at + 8, 1 << 31 | much as u32);
                    }
                }
            }
            at += 12 + room;
        }
        put(message, 4, 0x8000_0000);
    }

    fn answer(&self, id: u32, value: &[u8]) -> Option<Vec<u8>> {
        let mut f = self.facts.borrow_mut();
        let words = |words: &[u32]| Some(words.iter().flat_map(|w| w.to_le_bytes()).collect());
        let arg = |n: usize| u32_at(value, n * 4);
        let clock = |f: &Facts| f.clocks.get(&arg(0)).copied().unwrap_or_default();
        match id {
            0x0000_0001 => words(&[1_661_000_000]),
            0x0001_0001 => words(&[0]),
            0x0001_0002 => words(&[f.revision]),
            0x0001_0003 => Some(f.mac.to_vec()),
            0x0001_0004 => words(&[f.serial as u32, (f.serial >> 32) as u32]),
            0x0001_0005 => words(&[f.arm_memory.0, f.arm_memory.1]),
            0x0001_0006 => words(&[f.arm_memory.1, 0x2000_0000 - f.arm_memory.1]),
            0x0002_0001 | 0x0002_8001 => {
                let bit = 1u32.checked_shl(arg(0)).unwrap_or(0);
                if id == 0x0002_8001 {
                    f.power = if arg(1) & 1 != 0 { f.power | bit } else { f.power & !bit };
                }
                let there = f.devices & bit != 0;
                words(&[arg(0), u32::from(there && f.power & bit != 0) | u32::from(!there) << 1])
            }
            0x0003_0002 | 0x0003_0047 => words(&[arg(0), clock(&f).0]),
            0x0003_0004 => words(&[arg(0), clock(&f).2]),
            0x0003_0007 => words(&[arg(0), clock(&f).1]),
            0x0003_8002 => {
                assert_eq!(value.len(), 12, "set clock rate takes three words");
                let (_, min, max) = clock(&f);
                let cap = if arg(0) == 3 { f.arm_cap } else { u32::MAX };
                let now = arg(1).clamp(min, max).min(cap);
                f.clocks.insert(arg(0), (now, min, max));
                words(&[arg(0), now])
            }
            0x0003_0006 => words(&[arg(0), f.temperature]),
            0x0003_0009 => words(&[0, f.turbo]),
            0x0003_8009 => {
                f.turbo = arg(1);
                words(&[0, f.turbo])
            }
            0x0003_0046 => words(&[f.throttled]),
            0x0005_0001 => Some(f.command_line.clone()),
            _ => None,
        }
    }

    /// Is a word there now?
    fn ready(&self) -> bool {
        let s = self.state.borrow();
        s.outbox.front().is_some_and(|(when, _, _)| *when <= self.clock.peek())
    }
}

impl Bus32 for MboxModel {
    fn read(&self, off: u32) -> u32 {
        match off {
            0x00 => {
                assert!(
                    self.ready() || self.fault.get() == Fault::Flood,
                    "mailbox read while empty"
                );
                let Some((_, word, written)) = self.state.borrow_mut().outbox.pop_front() else {
                    return 0x11;
                };
                if let Some(bytes) = written {
                    // The firmware wrote before it rang; the ARM saw nothing of
                    // it until now.
                    self.memory.device_write(word & 0x3FFF_FFF0 | ALIAS, &bytes);
                }
                word
            }
            0x18 => {
                let flood = self.fault.get() == Fault::Flood;
                u32::from(!self.ready() && !flood) << 30
            }
            0x38 => u32::from(self.fault.get() == Fault::Full) << 31 | 1 << 30,
            _ => panic!("mailbox: no readable register {off:#x}"),
        }
    }

    fn write(&self, off: u32, value: u32) {
        assert_eq!(off, 0x20, "mailbox: {off:#x} is not writable");
        self.ring(value);
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn put(bytes: &mut [u8], at: usize, word: u32) {
    bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
}
