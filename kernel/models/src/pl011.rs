//! A PL011 whose FIFO of 16 empties at the speed of the line.

use crate::systimer::SimClock;
use sk_hal::{Bus32, Micros};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

const DEPTH: usize = 16;
const FEN: u32 = 1 << 4;
const UARTEN: u32 = 1;
const TXE: u32 = 1 << 8;
const RXE: u32 = 1 << 9;

struct State {
    control: u32,
    line: u32,
    mask: u32,
    divisor: (u32, u32),
    /// Divisors written, not yet latched by LCRH.
    unlatched: bool,
    latched: (u32, u32),
    transmit: VecDeque<u8>,
    /// The byte on the line, and when it will be out.
    shifting: Option<(u8, Micros)>,
    sent: Vec<u8>,
    receive: VecDeque<u32>,
    cut: usize,
}

/// Registers of a PL011.
pub struct Pl011Model {
    clock: SimClock,
    clock_hz: u32,
    state: RefCell<State>,
    /// Knob: the line is stuck, nothing ever leaves.
    pub stuck: Cell<bool>,
}

impl Pl011Model {
    /// A UART clocked with `clock_hz`, as the firmware leaves it: running at
    /// 115,200 baud.
    #[must_use]
    pub fn new(clock: &SimClock, clock_hz: u32) -> Self {
        let sixty_fourths = (u64::from(clock_hz) * 4 / 115_200) as u32;
        let divisor = (sixty_fourths / 64, sixty_fourths % 64);
        let state = State {
            control: UARTEN | TXE | RXE,
            line: FEN | 0x60,
            mask: 0,
            divisor,
            unlatched: false,
            latched: divisor,
            transmit: VecDeque::new(),
            shifting: None,
            sent: Vec::new(),
            receive: VecDeque::new(),
            cut: 0,
        };
        Self { clock: clock.clone(), clock_hz, state: RefCell::new(state), stuck: Cell::new(false) }
    }

    /// Puts bytes of the firmware into the transmit FIFO.
    pub fn preload(&self, bytes: &[u8]) {
        for b in bytes {
            self.write(0x00, u32::from(*b));
        }
    }

    /// What has left on the line.
    #[must_use]
    pub fn sent(&self) -> Vec<u8> {
        self.run();
        self.state.borrow().sent.clone()
    }

    /// Bytes lost because the UART was turned off over them.
    #[must_use]
    pub fn cut(&self) -> usize {
        self.state.borrow().cut
    }

    /// The baud rate in force.
    #[must_use]
    pub fn baud(&self) -> u32 {
        let (integer, fraction) = self.state.borrow().latched;
        (u64::from(self.clock_hz) * 4 / u64::from((integer * 64 + fraction).max(1))) as u32
    }

    /// A byte arrives; `errors` are the bits 11:8 of DR.
    pub fn arrive(&self, byte: u8, errors: u32) {
        let mut s = self.state.borrow_mut();
        if s.control & (UARTEN | RXE) != UARTEN | RXE {
            return;
        }
        if s.receive.len() == DEPTH {
            // The overrun shows with the last byte that got in.
            if let Some(last) = s.receive.back_mut() {
                *last |= 1 << 11;
            }
        } else {
            s.receive.push_back(u32::from(byte) | errors << 8);
        }
    }

    /// Is the interrupt line up?
    #[must_use]
    pub fn line_up(&self) -> bool {
        let s = self.state.borrow();
        let (level, timeout) = (s.receive.len() >= DEPTH / 2, !s.receive.is_empty());
        (s.mask & 1 << 4 != 0 && level) || (s.mask & 1 << 6 != 0 && timeout)
    }

    fn byte_time(&self) -> Micros {
        (10_000_000 / u64::from(self.baud().max(1))).max(1)
    }

    /// Moves bytes out up to now.
    fn run(&self) {
        let (now, each) = (self.clock.peek(), self.byte_time());
        let mut s = self.state.borrow_mut();
        if s.control & (UARTEN | TXE) != UARTEN | TXE || self.stuck.get() {
            return;
        }
        while let Some((byte, out)) = s.shifting {
            if out > now {
                break;
            }
            s.sent.push(byte);
            s.shifting = s.transmit.pop_front().map(|next| (next, out + each));
        }
        if s.shifting.is_none() {
            s.shifting = s.transmit.pop_front().map(|next| (next, now + each));
        }
    }
}

impl Bus32 for Pl011Model {
    fn read(&self, off: u32) -> u32 {
        self.run();
        let mut s = self.state.borrow_mut();
        match off {
            0x00 => s.receive.pop_front().expect("PL011: read of an empty receive FIFO"),
            0x18 => {
                let depth = if s.line & FEN != 0 { DEPTH } else { 1 };
                u32::from(s.shifting.is_some() || !s.transmit.is_empty()) << 3
                    | u32::from(s.receive.is_empty()) << 4
                    | u32::from(s.transmit.len() >= depth) << 5
                    | u32::from(s.receive.len() >= depth) << 6
                    | u32::from(s.transmit.is_empty()) << 7
            }
            0x24 => s.divisor.0,
            0x28 => s.divisor.1,
            0x2C => s.line,
            0x30 => s.control,
            0x38 => s.mask,
            _ => panic!("PL011: no readable register {off:#x}"),
        }
    }

    fn write(&self, off: u32, value: u32) {
        self.run();
        let mut s = self.state.borrow_mut();
        let on = s.control & UARTEN != 0;
        match off {
            0x00 => {
                assert!(on && s.control & TXE != 0, "PL011: written while off");
                let depth = if s.line & FEN != 0 { DEPTH } else { 1 };
                assert!(s.transmit.len() < depth, "PL011: transmit FIFO overrun");
                s.transmit.push_back(value as u8);
            }
            0x24 | 0x28 => {
                assert!(!on, "PL011: divisor changed while on");
                assert!(value <= if off == 0x24 { 0xFFFF } else { 63 }, "PL011: divisor {value}");
                if off == 0x24 {
                    s.divisor.0 = value;
                } else {
                    s.divisor.1 = value;
                }
                s.unlatched = true;
            }
            0x2C => {
                assert!(!on, "PL011: line control changed while on");
                if value & FEN == 0 {
                    s.cut += s.transmit.len();
                    s.transmit.clear();
                    s.receive.clear();
                }
                s.line = value;
                s.latched = s.divisor;
                s.unlatched = false;
            }
            0x30 => {
                if value & UARTEN == 0 && on && s.shifting.take().is_some() {
                    s.cut += 1;
                }
                if value & UARTEN != 0 {
                    assert!(!s.unlatched, "PL011: LCRH must follow the divisors");
                    assert!(s.latched.0 > 0, "PL011: divisor 0");
                }
                s.control = value;
            }
            0x38 => s.mask = value,
            0x44 => {}
            _ => panic!("PL011: {off:#x} is not writable"),
        }
    }
}
