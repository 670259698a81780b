//! Frames from the wire, any at all, to a board with an address and one that
//! looks for one.

use std::net::{Ipv4Addr, SocketAddrV4};

use sk_hal::Micros;
use sk_models::frames::FrameQueue;
use sk_models::lan::Host;
use sk_net::{Address, Net, NetConfig, NetMode, NetStorage, SKP_PORT, UdpMeta, UdpSink};

use crate::bytes::Bytes;

const MAC: [u8; 6] = [0xB8, 0x27, 0xEB, 0x01, 0x02, 0x03];
const IP: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 2);

#[derive(Default)]
struct Sink(u32);

impl UdpSink for Sink {
    fn wants(&self, port: u16) -> bool {
        port == SKP_PORT
    }

    fn datagram(&mut self, _: Micros, meta: &UdpMeta, payload: &mut [u8]) {
        assert_eq!(meta.dst.port(), SKP_PORT);
        assert!(payload.len() <= sk_net::MAX_PAYLOAD);
        self.0 += 1;
        payload.fill(0xFF);
    }
}

/// Fills in what a sender would have: addresses and checksums, by bits of
/// `how`. Without that hardly a frame would get past the first header.
fn mend(frame: &mut [u8], how: u8) {
    if how & 1 != 0 && frame.len() >= 14 {
        frame[..6].copy_from_slice(if how & 2 != 0 { &[0xFF; 6] } else { &MAC });
        frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
    }
    if how & 4 != 0 && frame.len() >= 34 {
        let len = (frame.len() as u16 - 14).to_be_bytes();
        frame[12..15].copy_from_slice(&[8, 0, 0x45]);
        frame[16..18].copy_from_slice(&len);
        frame[20..22].fill(0);
        frame[26..30].copy_from_slice(&[192, 168, 7, 9]);
        frame[30..34].copy_from_slice(&IP.octets());
        frame[24..26].fill(0);
        let sum = !sk_net::checksum::sum(&frame[14..34]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
    }
    if how & 8 != 0 && frame.len() >= 42 {
        // A checksum of zero is none.
        let len = (frame.len() as u16 - 34).to_be_bytes();
        frame[23] = 17;
        frame[38..40].copy_from_slice(&len);
        frame[40..42].fill(0);
        frame[24..26].fill(0);
        let sum = !sk_net::checksum::sum(&frame[14..34]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
    }
    if how & 16 != 0 && frame.len() >= 42 {
        frame[12..14].copy_from_slice(&[8, 6]);
        frame[14..20].copy_from_slice(&[0, 1, 8, 0, 6, 4]);
    }
}

/// Frames one after the other, time passing between them; then the board must
/// still hear a neighbour.
pub(crate) fn net(data: &[u8]) {
    let mut bytes = Bytes(data);
    let fixed = bytes.byte() & 1 == 0;
    let address = Address { ip: IP, prefix: 24, gateway: Some(Ipv4Addr::new(192, 168, 7, 1)) };
    let mode = if fixed { NetMode::Static(address) } else { NetMode::Dhcp };
    let config = NetConfig { mode, hostname: "fuzz", seed: 42 };
    let mut storage = NetStorage::new();
    let mut net = Net::new(&config, &mut storage, 0);
    let mut device = FrameQueue::new(MAC);
    let (mut sink, mut now) = (Sink::default(), 0);
    net.poll(now, &mut device, 16, &mut sink);
    for _ in 0..64 {
        if bytes.is_empty() {
            break;
        }
        let how = bytes.byte();
        now += u64::from(bytes.byte()) << (how >> 5 << 1);
        let mut frame = bytes.piece().to_vec();
        mend(&mut frame, how);
        device.push(frame);
        net.poll(now, &mut device, 16, &mut sink);
        let peer = SocketAddrV4::new(Ipv4Addr::new(192, 168, 7, 9), 1234);
        let _ = net.send(now, &mut device, SKP_PORT, peer, 100, &mut |out| out.fill(3));
        while net.take_event().is_some() {}
        assert!(net.next_deadline().is_none_or(|at| at > now), "a deadline in the past");
        device.drain();
    }
    if fixed {
        let peer = Host::new(77, Ipv4Addr::new(192, 168, 7, 77));
        now += 10_000_000;
        let before = sink.0;
        device.push(peer.who_has(IP));
        device.push(peer.udp(MAC, 9, SocketAddrV4::new(IP, SKP_PORT), b"still there?"));
        net.poll(now, &mut device, 16, &mut sink);
        assert_eq!(sink.0, before + 1);
        let to = SocketAddrV4::new(peer.ip, 9);
        net.send(now, &mut device, SKP_PORT, to, 3, &mut |out| out.fill(3)).expect("sent");
    }
}
