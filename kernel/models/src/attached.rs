//! The device's end of the wire: address, toggles and control stages, around a
//! [`UsbFunction`].

use crate::usb::{Answer, UsbFunction};
use sk_hal::usb::{Setup, Speed};

/// A device's answer to OUT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OutAnswer {
    Ack,
    Nyet,
    Nak,
    Stall,
    Silence,
    /// Toggle as of a packet already accepted: ACK, and dropped.
    Duplicate,
    /// The same, without a lost ACK that would explain it.
    WrongToggle,
}

/// A device's answer to IN.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum InAnswer {
    /// A packet, its toggle (true: DATA1), and whether it repeats one.
    Data {
        bytes: Vec<u8>,
        data1: bool,
        repeat: bool,
    },
    Nak,
    Stall,
    Silence,
    Babble,
}

/// Who is shown devices: each with the hub's address and port that its splits
/// must name, and whether it has recovered from its reset.
pub(crate) type Visitor<'v> = dyn FnMut(&mut Attached, Option<(u8, u8)>, bool) + 'v;

/// An attached device.
pub(crate) struct Attached {
    pub(crate) function: Box<dyn UsbFunction>,
    pub(crate) address: u8,
    pub(crate) configured: bool,
    in_data1: [bool; 16],
    out_data1: [bool; 16],
    /// Packets sent whose ACK was lost.
    unacked: [Option<Vec<u8>>; 16],
    /// The host missed the ACK of the last packet accepted.
    duplicate: [bool; 16],
    /// NYET was answered: PING before the next OUT.
    pub(crate) ping: [bool; 16],
    setup: Option<Setup>,
    /// Data of a control IN, and how much of it was sent.
    reply: Option<(Vec<u8>, usize)>,
    received: Vec<u8>,
}

impl Attached {
    pub(crate) fn new(function: Box<dyn UsbFunction>) -> Self {
        Self {
            function,
            address: 0,
            configured: false,
            in_data1: [false; 16],
            out_data1: [false; 16],
            unacked: Default::default(),
            duplicate: [false; 16],
            ping: [false; 16],
            setup: None,
            reply: None,
            received: Vec::new(),
        }
    }

    pub(crate) fn speed(&self) -> Speed {
        self.function.speed()
    }

    /// Shows every device behind this one, if it is a hub, to `f`.
    pub(crate) fn visit_children(&mut self, route: Option<(u8, u8)>, f: &mut Visitor<'_>) {
        if self.configured
            && let Some(hub) = self.function.as_hub()
        {
            hub.visit(self.address, route, f);
        }
    }

    pub(crate) fn reset(&mut self) {
        self.function.reset();
        self.address = 0;
        self.configured = false;
        self.setup = None;
        self.reset_toggles(None);
    }

    fn reset_toggles(&mut self, endpoint: Option<u8>) {
        let chosen = |e: usize, input: bool| match endpoint {
            None => e != 0,
            Some(ep) => usize::from(ep & 15) == e && (ep & 0x80 != 0) == input,
        };
        for e in 0..16 {
            if chosen(e, true) {
                self.in_data1[e] = false;
                self.unacked[e] = None;
            }
            if chosen(e, false) {
                self.out_data1[e] = false;
                self.duplicate[e] = false;
                self.ping[e] = false;
            }
        }
    }

    /// Is this the toggle the device expects of an OUT?
    pub(crate) fn expects(&self, endpoint: usize) -> bool {
        self.out_data1[endpoint]
    }

    pub(crate) fn setup(&mut self, bytes: [u8; 8]) {
        let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        self.setup = Some(Setup {
            request_type: bytes[0],
            request: bytes[1],
            value: word(2),
            index: word(4),
            length: word(6),
        });
        self.reply = None;
        self.received.clear();
        self.in_data1[0] = true;
        self.out_data1[0] = true;
        self.unacked[0] = None;
        self.duplicate[0] = false;
    }

    pub(crate) fn out(
        &mut self,
        endpoint: usize,
        data1: bool,
        data: &[u8],
        ack_lost: bool,
    ) -> OutAnswer {
        let status = endpoint == 0 && self.setup.is_some_and(Setup::is_in);
        let expected = status || self.out_data1[endpoint];
        if data1 != expected {
            let explained = core::mem::take(&mut self.duplicate[endpoint]);
            return if explained { OutAnswer::Duplicate } else { OutAnswer::WrongToggle };
        }
        let answer = if status {
            assert!(data.is_empty(), "data in the status stage");
            Answer::Ack
        } else if endpoint == 0 {
            self.received.extend_from_slice(data);
            let room = self.setup.map_or(0, |s| usize::from(s.length));
            assert!(self.received.len() <= room, "more control data than wLength");
            Answer::Ack
        } else {
            self.function.packet_out(endpoint as u8, data)
        };
        match answer {
            Answer::Ack | Answer::Nyet | Answer::Data(_) => {
                if !status {
                    self.out_data1[endpoint] = !self.out_data1[endpoint];
                    self.duplicate[endpoint] = ack_lost;
                }
                if answer == Answer::Nyet {
                    assert_eq!(self.speed(), Speed::High, "NYET exists at high speed only");
                    self.ping[endpoint] = true;
                    return OutAnswer::Nyet;
                }
                OutAnswer::Ack
            }
            Answer::Nak => OutAnswer::Nak,
            Answer::Stall => OutAnswer::Stall,
            Answer::Silence | Answer::Babble => OutAnswer::Silence,
        }
    }

    pub(crate) fn input(&mut self, endpoint: usize, max_packet: usize, ack_lost: bool) -> InAnswer {
        let repeat = self.unacked[endpoint].is_some();
        let answer = match self.unacked[endpoint].take() {
            Some(bytes) => Answer::Data(bytes),
            None if endpoint == 0 => self.control_in(max_packet),
            None => self.function.packet_in(endpoint as u8, max_packet),
        };
        match answer {
            Answer::Data(bytes) => {
                let data1 = self.in_data1[endpoint];
                if ack_lost && !repeat {
                    self.unacked[endpoint] = Some(bytes.clone());
                } else {
                    self.in_data1[endpoint] = !data1;
                }
                InAnswer::Data { bytes, data1, repeat }
            }
            Answer::Ack | Answer::Nyet => panic!("{answer:?} is no answer to IN"),
            Answer::Nak => InAnswer::Nak,
            Answer::Stall => InAnswer::Stall,
            Answer::Silence => InAnswer::Silence,
            Answer::Babble => InAnswer::Babble,
        }
    }

    /// IN on endpoint 0: data of a control read, or the status of a write.
    fn control_in(&mut self, max_packet: usize) -> Answer {
        let setup = self.setup.expect("IN on endpoint 0 without SETUP");
        if !setup.is_in() {
            assert_eq!(self.received.len(), usize::from(setup.length), "status before all data");
            return match self.function.control(setup, &self.received) {
                Answer::Ack | Answer::Data(_) => {
                    self.in_data1[0] = true;
                    self.accepted(setup);
                    Answer::Data(Vec::new())
                }
                other => other,
            };
        }
        if self.reply.is_none() {
            match self.function.control(setup, &[]) {
                Answer::Data(bytes) => self.reply = Some((bytes, 0)),
                other => return other,
            }
        }
        let (bytes, sent) = self.reply.as_mut().expect("just set");
        let end = bytes.len().min(*sent + max_packet);
        let chunk = bytes[*sent..end].to_vec();
        *sent = end;
        Answer::Data(chunk)
    }

    /// Standard requests that change addresses and toggles (USB 2.0 section 9.4).
    fn accepted(&mut self, setup: Setup) {
        match (setup.request_type, setup.request) {
            (0x00, 5) => self.address = setup.value as u8,
            (0x00, 9) => {
                self.configured = true;
                self.reset_toggles(None);
            }
            (0x01, 11) => self.reset_toggles(None),
            (0x02, 1) if setup.value == 0 => self.reset_toggles(Some(setup.index as u8)),
            _ => {}
        }
    }
}
