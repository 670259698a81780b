//! Golden bytes and behaviour of the model itself. The golden sums were made
//! with zlib and a bit-by-bit CRC, not with this code.

mod chip;
mod receive;
mod transmit;
mod usb;

use super::offset::*;
use super::*;
use crate::usb::{Answer, UsbFunction};

const MAC: [u8; 6] = [0xB8, 0x27, 0xEB, 0x12, 0x34, 0x56];
/// A broadcast ARP request, as its sender hands it to its adapter.
const ARP: [u8; 42] = [
    0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02, 0, 0, 0, 0, 0x01, 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1,
    0x02, 0, 0, 0, 0, 0x01, 0x0A, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x0A, 0, 0, 2,
];

fn request(request_type: u8, request: u8, value: u16, index: u16, length: u16) -> Setup {
    Setup { request_type, request, value, index, length }
}

fn read(lan: &mut Lan9512, offset: u16) -> u32 {
    match lan.control(request(0xC0, 0xA1, 0, offset, 4), &[]) {
        Answer::Data(bytes) => u32::from_le_bytes(bytes.try_into().expect("four bytes")),
        other => panic!("{offset:#x}: {other:?}"),
    }
}

fn write(lan: &mut Lan9512, offset: u16, value: u32) {
    let answer = lan.control(request(0x40, 0xA0, 0, offset, 4), &value.to_le_bytes());
    assert_eq!(answer, Answer::Ack, "{offset:#x}");
}

/// Lets so much time pass.
fn wait(lan: &mut Lan9512, micros: Micros) {
    let now = lan.now + micros;
    lan.advance(now);
}

fn mii_read(lan: &mut Lan9512, register: u32) -> u16 {
    write(lan, MII_ADDR, 1 << 11 | register << 6 | 1);
    assert_eq!(read(lan, MII_ADDR) & 1, 1, "busy");
    wait(lan, 30);
    assert_eq!(read(lan, MII_ADDR) & 1, 0, "done");
    read(lan, MII_DATA) as u16
}

fn mii_write(lan: &mut Lan9512, register: u32, value: u16) {
    write(lan, MII_DATA, value.into());
    write(lan, MII_ADDR, 1 << 11 | register << 6 | 3);
    wait(lan, 30);
}

fn configured() -> Lan9512 {
    let mut lan = Lan9512::new(LAN9512);
    assert_eq!(lan.control(request(0, 9, 1, 0, 0), &[]), Answer::Ack);
    lan
}

/// Link up, transmitter and receiver on, NAK when empty, own address set.
fn running() -> Lan9512 {
    let mut lan = configured();
    wait(&mut lan, 2_000_000);
    write(&mut lan, ADDRL, 0x12EB_27B8);
    write(&mut lan, ADDRH, 0x5634);
    write(&mut lan, HW_CFG, 1 << 12);
    write(&mut lan, TX_CFG, 4);
    write(&mut lan, MAC_CR, 1 << 20 | 0xC);
    lan
}

/// A frame to `destination` of `len` bytes.
fn frame(destination: [u8; 6], len: usize) -> Vec<u8> {
    let mut bytes = destination.to_vec();
    bytes.extend([2, 0, 0, 0, 0, 1, 0x08, 0x00]);
    bytes.extend((14..len).map(|at| at as u8));
    bytes
}

/// One whole bulk IN transfer, its packets joined; `None` = NAK.
fn fetch(lan: &mut Lan9512) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        match lan.packet_in(BULK_IN, 512) {
            Answer::Data(bytes) => {
                all.extend(&bytes);
                if bytes.len() < 512 {
                    return Some(all);
                }
            }
            Answer::Nak => return None,
            other => panic!("{other:?}"),
        }
    }
}

/// Sends a transfer packet by packet, with the empty one if it needs it.
fn send(lan: &mut Lan9512, transfer: &[u8]) -> Answer {
    for packet in transfer.chunks(512) {
        match lan.packet_out(BULK_OUT, packet) {
            Answer::Ack => {}
            other => return other,
        }
    }
    if transfer.len().is_multiple_of(512) {
        return lan.packet_out(BULK_OUT, &[]);
    }
    Answer::Ack
}

/// A frame with its command words.
fn commanded(frame: &[u8]) -> Vec<u8> {
    let len = frame.len() as u32;
    let mut bytes = (len | 0x3000).to_le_bytes().to_vec();
    bytes.extend(len.to_le_bytes());
    bytes.extend(frame);
    bytes
}
