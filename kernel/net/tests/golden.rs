//! Frames byte by byte, computed by hand (and once by a script that knows
//! nothing of this crate).

mod common;

use std::net::{Ipv4Addr, SocketAddrV4};

use common::*;

const DATAGRAM: &str = "02 00 00 00 00 09 b8 27 eb 01 02 03 08 00 \
    45 00 00 21 00 00 40 00 40 11 ab 70 c0 a8 07 02 c0 a8 07 09 \
    5e 4b 9c 40 00 0d 32 1a 68 65 6c 6c 6f";

#[test]
fn arp_reply() {
    let mut board = Board::fixed();
    let request = hex("ff ff ff ff ff ff 02 00 00 00 00 09 08 06 \
        00 01 08 00 06 04 00 01 02 00 00 00 00 09 c0 a8 07 09 00 00 00 00 00 00 c0 a8 07 02");
    assert_eq!(request, peer().who_has(IP));
    let reply = hex("02 00 00 00 00 09 b8 27 eb 01 02 03 08 06 \
        00 01 08 00 06 04 00 02 b8 27 eb 01 02 03 c0 a8 07 02 02 00 00 00 00 09 c0 a8 07 09");
    assert_eq!(board.receive(&request), [reply]);
}

#[test]
fn arp_request_and_announcement() {
    let mut board = Board::fixed();
    assert!(board.send(peer_address(), b"hello").is_err());
    let request = hex("ff ff ff ff ff ff b8 27 eb 01 02 03 08 06 \
        00 01 08 00 06 04 00 01 b8 27 eb 01 02 03 c0 a8 07 02 00 00 00 00 00 00 c0 a8 07 09");
    assert_eq!(board.device.drain(), [request]);

    let mut fresh =
        Board::new(sk_net::NetMode::Static(sk_net::Address { ip: IP, prefix: 24, gateway: None }));
    fresh.poll();
    let announcement = hex("ff ff ff ff ff ff b8 27 eb 01 02 03 08 06 \
        00 01 08 00 06 04 00 01 b8 27 eb 01 02 03 c0 a8 07 02 00 00 00 00 00 00 c0 a8 07 02");
    assert_eq!(fresh.device.drain(), [announcement]);
}

#[test]
fn datagram() {
    let mut board = Board::fixed();
    board.meet(&peer());
    assert_eq!(board.sent(peer_address(), b"hello"), hex(DATAGRAM));
    assert_eq!(board.sent(peer_address(), b"hello"), hex(DATAGRAM), "by its flow");
    assert_eq!(board.net.counters().flow_out, 1);
}

#[test]
fn broadcast() {
    let mut board = Board::fixed();
    let beacon = hex("ff ff ff ff ff ff b8 27 eb 01 02 03 08 00 \
        45 00 00 1e 00 00 40 00 40 11 73 25 c0 a8 07 02 ff ff ff ff \
        5e 4b 5e 4b 00 0a 28 4e 53 4b");
    let everyone = SocketAddrV4::new(Ipv4Addr::BROADCAST, PORT);
    assert_eq!(board.sent(everyone, b"SK"), beacon);
    let subnet = SocketAddrV4::new(Ipv4Addr::new(192, 168, 7, 255), PORT);
    assert_eq!(board.sent(subnet, b"SK")[..6], [0xFF; 6]);
}

#[test]
fn a_checksum_of_zero_is_sent_as_ones() {
    let mut board = Board::fixed();
    board.meet(&peer());
    let expected = hex("02 00 00 00 00 09 b8 27 eb 01 02 03 08 00 \
        45 00 00 1e 00 00 40 00 40 11 ab 73 c0 a8 07 02 c0 a8 07 09 \
        5e 4b 9c 40 00 0a ff ff 75 f2");
    for _ in 0..2 {
        assert_eq!(board.sent(peer_address(), &[0x75, 0xF2]), expected);
    }
}

#[test]
fn echo_reply() {
    let mut board = Board::fixed();
    board.meet(&peer());
    let request = hex("b8 27 eb 01 02 03 02 00 00 00 00 09 08 00 \
        45 00 00 21 00 00 40 00 40 01 ab 80 c0 a8 07 09 c0 a8 07 02 \
        08 00 e5 f9 12 34 00 01 70 69 6e 67 21");
    let reply = hex("02 00 00 00 00 09 b8 27 eb 01 02 03 08 00 \
        45 00 00 21 00 00 40 00 40 01 ab 80 c0 a8 07 02 c0 a8 07 09 \
        00 00 ed f9 12 34 00 01 70 69 6e 67 21");
    assert_eq!(board.receive(&request), [reply]);
}

#[test]
fn multicast() {
    let mut board = Board::fixed();
    let group = SocketAddrV4::new(Ipv4Addr::new(224, 0, 0, 251), sk_net::MDNS_PORT);
    let frame = board.sent(group, b"x");
    assert_eq!(frame[..6], [0x01, 0x00, 0x5E, 0, 0, 251]);
    assert_eq!(frame[22], 255, "RFC 6762 section 11");
    let routed = SocketAddrV4::new(Ipv4Addr::new(239, 129, 2, 3), 9);
    let frame = board.sent(routed, b"x");
    assert_eq!(frame[..6], [0x01, 0x00, 0x5E, 1, 2, 3]);
    assert_eq!(frame[22], 1, "RFC 1112 section 6.1");
}
