//! UDP in and out: routes, errors, the flow cache against the long way.

mod common;

use std::net::{Ipv4Addr, SocketAddrV4};

use common::*;
use proptest::prelude::*;
use sk_models::lan;
use sk_net::{Address, MAX_PAYLOAD, NetMode, SendError};

/// A board that has an established flow with the peer.
fn warm() -> Board {
    let mut board = Board::fixed();
    board.meet(&peer());
    board.sent(peer_address(), b"");
    board
}

/// The same, its flow run out, its neighbour still known.
fn cold() -> Board {
    let mut board = warm();
    board.now += 11 * SECOND;
    board
}

fn from_peer(payload: &[u8]) -> Vec<u8> {
    peer().udp(MAC, PEER_PORT, SocketAddrV4::new(IP, PORT), payload)
}

#[test]
fn received_in_place_with_sender_and_destination() {
    for (mut board, by_flow) in [(warm(), 1), (cold(), 0)] {
        assert!(board.receive(&from_peer(b"payload")).is_empty());
        let (meta, payload) = board.sink.got.pop().expect("delivered");
        assert_eq!(meta.src, peer_address());
        assert_eq!(meta.dst, SocketAddrV4::new(IP, PORT));
        assert!(!meta.broadcast);
        assert_eq!(payload, b"payload");
        assert_eq!(board.net.counters().flow_in, by_flow);
        assert_eq!(board.net.counters().udp_in, 1);
    }
}

#[test]
fn padding_of_a_short_frame_is_not_payload() {
    for mut board in [warm(), cold()] {
        let mut frame = from_peer(b"x");
        frame.resize(60, 0xEE);
        board.receive(&frame);
        assert_eq!(board.sink.got[0].1, b"x");
    }
}

#[test]
fn a_checksum_of_zero_is_accepted() {
    for mut board in [warm(), cold()] {
        let mut frame = from_peer(b"abc");
        frame[40..42].fill(0);
        board.receive(&frame);
        assert_eq!(board.sink.got.len(), 1);
    }
}

#[test]
fn broadcasts_are_received_and_marked() {
    for dst in [Ipv4Addr::BROADCAST, Ipv4Addr::new(192, 168, 7, 255)] {
        let mut board = Board::fixed();
        board.receive(&peer().udp(lan::BROADCAST, 5, SocketAddrV4::new(dst, PORT), b"hello?"));
        let (meta, _) = board.sink.got.pop().expect("delivered");
        assert!(meta.broadcast);
        assert_eq!(*meta.dst.ip(), dst);
    }
}

#[test]
fn our_own_broadcast_is_not_ours_to_receive() {
    let mut board = Board::fixed();
    let beacon = board.sent(SocketAddrV4::new(Ipv4Addr::BROADCAST, PORT), b"beacon");
    board.receive(&beacon);
    assert!(board.sink.got.is_empty());
    assert_eq!(board.net.counters().bad_source, 1);
}

#[test]
fn sending_needs_an_address_a_route_and_a_neighbour() {
    let mut board = Board::new(NetMode::Dhcp);
    board.poll();
    assert_eq!(board.send(peer_address(), b""), Err(SendError::NoAddress));

    let mut board = Board::fixed();
    assert_eq!(board.send(peer_address(), b""), Err(SendError::ArpPending));
    assert_eq!(board.send(peer_address(), &[0; MAX_PAYLOAD + 1]), Err(SendError::TooLong));
    for (ip, port) in [(IP, 9), (Ipv4Addr::UNSPECIFIED, 9), (Ipv4Addr::LOCALHOST, 9), (PEER_IP, 0)]
    {
        let to = SocketAddrV4::new(ip, port);
        assert_eq!(board.send(to, b""), Err(SendError::NoRoute), "{to}");
    }
    board.receive(&peer().is_at((MAC, IP)));
    assert_eq!(board.sent(peer_address(), &[7; MAX_PAYLOAD]).len(), 1514);
}

#[test]
fn the_dhcp_port_is_not_for_sale() {
    let mut board = warm();
    let sent = board.net.send(board.now, &mut board.device, 68, peer_address(), 0, &mut |_| ());
    assert_eq!(sent, Err(SendError::NoRoute));
    assert!(sk_net::is_reserved(68) && sk_net::is_reserved(24139) && sk_net::is_reserved(5353));
    assert!(!sk_net::is_reserved(9));
}

#[test]
fn off_the_network_goes_to_the_gateway() {
    let mut board = Board::fixed();
    let far = SocketAddrV4::new(Ipv4Addr::new(10, 1, 2, 3), 7);
    assert_eq!(board.send(far, b""), Err(SendError::ArpPending));
    let mut gateway = lan::Host::new(1, GATEWAY);
    let request = board.device.drain().remove(0);
    let reply = gateway.receive(board.now, &request).remove(0);
    board.receive(&reply);
    let frame = board.sent(far, b"far");
    assert_eq!(frame[..6], gateway.mac);
    assert_eq!(lan::parse_udp(&frame).expect("udp").1, far);

    let mut alone = Board::new(NetMode::Static(Address { ip: IP, prefix: 24, gateway: None }));
    alone.poll();
    assert_eq!(alone.send(far, b""), Err(SendError::NoRoute));
}

#[test]
fn no_buffer_is_said_and_the_payload_not_asked_for() {
    let mut board = warm();
    board.device.tx_slots = Some(0);
    let mut asked = false;
    let sent = board
        .net
        .send(board.now, &mut board.device, PORT, peer_address(), 4, &mut |_| asked = true);
    assert_eq!(sent, Err(SendError::NoBuffer));
    assert!(!asked);
    board.device.tx_slots = None;
    board.device.refuse = 1;
    assert_eq!(board.send(peer_address(), b""), Err(SendError::NoBuffer));
    assert_eq!(board.send(peer_address(), b""), Ok(()));
    assert_eq!(board.net.counters().transmit_failed, 2);
}

#[test]
fn flows_end_with_the_link() {
    let mut board = warm();
    board.device.set_link(false);
    board.poll();
    assert_eq!(board.send(peer_address(), b""), Err(SendError::NoBuffer));
    board.device.set_link(true);
    board.poll();
    board.device.drain();
    assert_eq!(board.send(peer_address(), b""), Err(SendError::ArpPending));
}

#[test]
fn a_neighbour_that_moved_is_followed() {
    let mut board = warm();
    board.now += 2 * SECOND;
    let mut moved = peer();
    moved.mac[5] = 0x77;
    board.receive(&moved.is_at((MAC, IP)));
    assert_eq!(board.sent(peer_address(), b"")[..6], moved.mac);
    assert_eq!(board.net.counters().arp_changed, 1);
}

#[test]
fn more_flows_than_slots_only_cost_time() {
    let mut board = warm();
    for round in 0..3 {
        for port in 1..=20 {
            let to = SocketAddrV4::new(PEER_IP, port);
            let frame = board.sent(to, &[round]);
            assert_eq!(lan::parse_udp(&frame).expect("udp").1, to);
        }
    }
}

#[test]
fn poll_takes_no_more_frames_than_it_may() {
    let mut board = warm();
    for _ in 0..10 {
        board.device.push(from_peer(b""));
    }
    let Board { net, device, sink, now, .. } = &mut board;
    assert_eq!(net.poll(*now, device, 0, sink), 0);
    assert_eq!(net.poll(*now, device, 3, sink), 3);
    assert_eq!(net.poll(*now, device, 64, sink), 7);
    assert_eq!(sink.got.len(), 10);
}

/// P5, each with the counter that must tell.
#[test]
fn wrong_datagrams_are_dropped_under_their_reason() {
    type Spoil = fn(&mut Vec<u8>);
    type Reason = fn(&sk_net::Counters) -> u32;
    // Spoils a header byte and puts the header checksum right again.
    fn set(frame: &mut [u8], at: usize, value: u8) {
        frame[at] = value;
        frame[24..26].fill(0);
        let sum = sk_net::checksum::sum(&frame[14..34]);
        frame[24..26].copy_from_slice(&(!sum).to_be_bytes());
    }
    fn without_udp_checksum(frame: &mut [u8]) {
        frame[40..42].fill(0);
    }
    let cases: [(&str, Spoil, Reason); 20] = [
        ("payload bit", |f| f[43] ^= 1, |c| c.udp_checksum),
        ("header checksum", |f| f[24] ^= 1, |c| c.ip_checksum),
        ("MF", |f| set(f, 20, 0x20), |c| c.ip_fragment),
        ("offset", |f| set(f, 21, 1), |c| c.ip_fragment),
        ("reserved bit", |f| set(f, 20, 0x80), |c| c.ip_fragment),
        ("version 6", |f| set(f, 14, 0x65), |c| c.ip_malformed),
        ("header length 4", |f| set(f, 14, 0x44), |c| c.ip_malformed),
        ("total length beyond the frame", |f| set(f, 17, 0xFF), |c| c.ip_malformed),
        ("UDP longer than IP", |f| f[39] += 1, |c| c.udp_length),
        ("UDP shorter than IP", |f| f[39] -= 1, |c| c.udp_length),
        ("UDP length 0", |f| f[39] = 0, |c| c.udp_length),
        (
            "source port 0",
            |f| {
                f[34..36].fill(0);
                without_udp_checksum(f);
            },
            |c| c.udp_port_zero,
        ),
        ("no listener", |f| f[37] ^= 1, |c| c.udp_no_listener),
        (
            "source broadcast",
            |f| {
                f[27..30].fill(255);
                set(f, 26, 255);
            },
            |c| c.bad_source,
        ),
        ("source subnet broadcast", |f| set(f, 29, 255), |c| c.bad_source),
        ("source multicast", |f| set(f, 26, 224), |c| c.bad_source),
        ("source us", |f| set(f, 29, 2), |c| c.bad_source),
        (
            "source 0.0.0.0",
            |f| {
                f[27..30].fill(0);
                set(f, 26, 0);
            },
            |c| c.bad_source,
        ),
        ("other host", |f| set(f, 33, 77), |c| c.not_for_us),
        ("frame to all, datagram to us", |f| f[..6].fill(0xFF), |c| c.not_for_us),
    ];
    for (name, spoil, reason) in cases {
        for mut board in [warm(), cold()] {
            let before = *board.net.counters();
            let mut frame = from_peer(b"payload");
            spoil(&mut frame);
            assert!(board.receive(&frame).is_empty(), "{name}: answered");
            assert!(board.sink.got.is_empty(), "{name}: delivered");
            let after = *board.net.counters();
            assert_eq!(reason(&after), reason(&before) + 1, "{name}: {after:?}");
            assert_eq!(after.dropped(), before.dropped() + 1, "{name}");
        }
    }
}

#[test]
fn options_are_dropped() {
    let mut board = warm();
    let mut frame = from_peer(b"payload");
    frame.splice(34..34, [1, 1, 1, 1]);
    frame[14] = 0x46;
    frame[17] += 4;
    frame[24..26].fill(0);
    let sum = sk_net::checksum::sum(&frame[14..38]);
    frame[24..26].copy_from_slice(&(!sum).to_be_bytes());
    board.receive(&frame);
    assert!(board.sink.got.is_empty());
    assert_eq!(board.net.counters().ip_options, 1);
}

#[test]
fn a_group_is_heard_after_joining() {
    let group = Ipv4Addr::new(224, 0, 0, 251);
    let mut board = Board::fixed();
    board.sink.ports.push(sk_net::MDNS_PORT);
    let frame = peer().udp([1, 0, 0x5E, 0, 0, 251], 5353, SocketAddrV4::new(group, 5353), b"?");
    board.receive(&frame);
    assert!(board.sink.got.is_empty());
    assert!(!board.net.join(PEER_IP, board.now));
    assert!(board.net.join(group, board.now));
    board.poll();
    let report = board.device.drain();
    assert_eq!(report.len(), 1, "an IGMP report");
    assert_eq!(report[0][23], 2);
    board.receive(&frame);
    assert!(board.sink.got[0].0.broadcast);
}

#[test]
fn a_membership_query_is_answered_though_smoltcp_names_no_time() {
    let group = Ipv4Addr::new(224, 0, 0, 251);
    let mut board = Board::fixed();
    assert!(board.net.join(group, board.now));
    board.poll();
    board.device.drain();
    assert_eq!(board.net.next_deadline(), None);
    // General query, 10 s to answer (RFC 2236 section 2).
    let query = lan::ipv4(
        ([1, 0, 0x5E, 0, 0, 1], peer().mac),
        PEER_IP,
        Ipv4Addr::new(224, 0, 0, 1),
        smoltcp::wire::IpProtocol::Igmp,
        1,
        &[0x11, 100, 0xEE, 0x9B, 0, 0, 0, 0],
    );
    board.device.push(query);
    let mut network = lan::Lan::new(vec![peer()]);
    let until = board.now + 60 * SECOND;
    let polls = board.polls;
    board.run(&mut network, until);
    assert_eq!(network.sent.len(), 1);
    let (at, report) = &network.sent[0];
    assert!(until - at >= 50 * SECOND, "within 10 s");
    assert_eq!(report[34], 0x16, "IGMPv2 report");
    assert!(board.polls - polls < 400);
    assert_eq!(board.net.next_deadline(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// The template, the long way and smoltcp agree on every datagram.
    #[test]
    fn flow_and_long_way_send_the_same_bytes(
        payload in proptest::collection::vec(any::<u8>(), 0..=MAX_PAYLOAD),
        port in 1u16..,
    ) {
        let to = SocketAddrV4::new(PEER_IP, port);
        let mut board = Board::fixed();
        board.meet(&peer());
        let first = board.sent(to, &payload);
        let second = board.sent(to, &payload);
        prop_assert_eq!(board.net.counters().flow_out, 1);
        let oracle = lan::udp((peer().mac, MAC), SocketAddrV4::new(IP, PORT), to, 64, &payload);
        prop_assert_eq!(&first, &oracle);
        prop_assert_eq!(&second, &oracle);
    }

    /// Whatever is spoiled in a datagram, the flow delivers what the long way
    /// delivers, and both count the same.
    #[test]
    fn flow_and_long_way_receive_the_same(
        payload in proptest::collection::vec(any::<u8>(), 0..64),
        spoil in proptest::collection::vec((0usize..60, any::<u8>()), 0..3),
        cut in 0usize..8,
        mend in any::<bool>(),
    ) {
        let mut frame = from_peer(&payload);
        for (at, value) in spoil {
            if let Some(byte) = frame.get_mut(at) {
                *byte = value;
            }
        }
        if mend && frame.len() >= 42 {
            // Get past the checksums now and then.
            frame[24..26].fill(0);
            let sum = sk_net::checksum::sum(&frame[14..34]);
            frame[24..26].copy_from_slice(&(!sum).to_be_bytes());
            frame[40..42].fill(0);
        }
        frame.truncate(frame.len() - cut.saturating_sub(4));
        let (mut by_flow, mut long) = (warm(), cold());
        by_flow.receive(&frame);
        long.receive(&frame);
        prop_assert_eq!(&by_flow.sink.got, &long.sink.got);
        let (mut a, mut b) = (*by_flow.net.counters(), *long.net.counters());
        (a.flow_in, b.flow_in) = (0, 0);
        prop_assert_eq!(a, b);
    }
}
