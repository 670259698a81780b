//! The other side: QEMU's part of the conversation.
#![allow(dead_code)] // Each test uses its own part.

use sk_redir::wire::{Bulk, Control, Format, Message, Packet, caps};

/// Reads what the host side says.
#[derive(Default)]
pub(crate) struct Ear {
    bytes: Vec<u8>,
    heard_hello: bool,
}

impl Ear {
    /// Takes bytes; gives the messages that are complete with them.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> Vec<(u64, Message)> {
        self.bytes.extend_from_slice(bytes);
        let mut heard = Vec::new();
        loop {
            let format = if self.heard_hello { full() } else { Format::default() };
            let Some((packet, length)) = Packet::decode(format, &self.bytes).unwrap() else {
                return heard;
            };
            self.bytes.drain(..length);
            self.heard_hello = true;
            heard.push((packet.id, packet.message));
        }
    }
}

pub(crate) fn full() -> Format {
    Format::of(caps::OURS)
}

/// A message's bytes.
pub(crate) fn say(id: u64, message: Message) -> Vec<u8> {
    let mut out = Vec::new();
    Packet { id, message }.encode(full(), &mut out);
    out
}

/// As QEMU says it.
pub(crate) fn hello() -> Vec<u8> {
    say(0, Message::Hello { version: "qemu usb-redir guest 7.2.22".into(), caps: 0xff })
}

pub(crate) fn ask_in(endpoint: u8, length: u32) -> Message {
    Message::Bulk(Bulk { endpoint, status: 0, length, stream: 0, data: vec![] })
}

pub(crate) fn send_out(endpoint: u8, data: &[u8]) -> Message {
    let length = data.len() as u32;
    Message::Bulk(Bulk { endpoint, status: 0, length, stream: 0, data: data.to_vec() })
}

pub(crate) fn bulk(endpoint: u8, status: u8, data: &[u8]) -> Message {
    let length = data.len() as u32;
    Message::Bulk(Bulk { endpoint, status, length, stream: 0, data: data.to_vec() })
}

/// The answer to a bulk OUT.
pub(crate) fn taken(endpoint: u8, status: u8, length: u32) -> Message {
    Message::Bulk(Bulk { endpoint, status, length, stream: 0, data: vec![] })
}

pub(crate) fn control(
    request_type: u8,
    request: u8,
    value: u16,
    length: u16,
    data: &[u8],
) -> Message {
    Message::Control(Control {
        endpoint: request_type & 0x80,
        request,
        request_type,
        status: 0,
        value,
        index: 0,
        length,
        data: data.to_vec(),
    })
}
