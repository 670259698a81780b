//! ARP and echo on the wire: poisoning, conflicts, storms.

mod common;

use std::net::Ipv4Addr;

use common::*;
use sk_models::lan::{self, Host};
use sk_net::{AddressEvent, SendError};

#[test]
fn an_unsolicited_reply_creates_no_entry() {
    let mut board = Board::fixed();
    assert!(board.receive(&peer().is_at((MAC, IP))).is_empty());
    assert!(board.net.arp_view(board.now).iter().all(Option::is_none));
    assert_eq!(board.net.counters().arp_unsolicited, 1);
    assert_eq!(board.send(peer_address(), b""), Err(SendError::ArpPending));
}

#[test]
fn the_table_is_bounded_and_the_client_stays() {
    let mut board = Board::fixed();
    board.meet(&peer());
    board.sent(peer_address(), b"");
    for i in 0..1000u32 {
        board.now += 100_000;
        // 192.168.7.10 to .249 again and again.
        let ip = Ipv4Addr::from(u32::from(IP) + 8 + i % 240);
        board.receive(&Host::new(100, ip).who_has(IP));
        if i % 50 == 0 {
            board.sent(peer_address(), b"");
            board.receive(&peer().udp(MAC, 1, std::net::SocketAddrV4::new(IP, PORT), b""));
        }
    }
    let known = board.net.arp_view(board.now);
    assert_eq!(known.iter().flatten().count(), 16);
    assert!(known.iter().flatten().any(|e| e.ip == PEER_IP));
}

#[test]
fn who_cannot_be_a_neighbour_is_not_learned() {
    let mut board = Board::fixed();
    for ip in [
        Ipv4Addr::new(10, 0, 0, 1),
        Ipv4Addr::new(192, 168, 7, 255),
        Ipv4Addr::new(224, 0, 0, 1),
        Ipv4Addr::LOCALHOST,
    ] {
        assert!(board.receive(&Host::new(3, ip).who_has(IP)).is_empty(), "{ip}");
    }
    let mut group = peer();
    group.mac[0] |= 1;
    assert!(board.receive(&group.who_has(IP)).is_empty());
    assert_eq!(board.net.counters().bad_source, 5);
    assert!(board.net.arp_view(board.now).iter().all(Option::is_none));
}

#[test]
fn a_probe_is_answered_and_teaches_nothing() {
    let mut board = Board::fixed();
    let probe = Host::new(9, Ipv4Addr::UNSPECIFIED).who_has(IP);
    let answer = board.receive(&probe);
    let (_, sender, _) = lan::parse_arp(&answer[0]).expect("arp");
    assert_eq!(sender, (MAC, IP));
    assert!(board.net.arp_view(board.now).iter().all(Option::is_none));
}

#[test]
fn others_asking_for_others_is_not_our_business() {
    let mut board = Board::fixed();
    assert!(board.receive(&peer().who_has(GATEWAY)).is_empty());
    assert!(board.net.arp_view(board.now).iter().all(Option::is_none));
    assert_eq!(board.net.counters().dropped(), 0);
}

#[test]
fn a_conflict_is_reported_and_defended_every_ten_seconds() {
    let mut board = Board::fixed();
    let impostor = Host::new(66, IP);
    for _ in 0..20 {
        board.receive(&impostor.who_has(GATEWAY));
        board.now += SECOND;
    }
    board.poll();
    assert_eq!(
        board.events(),
        [AddressEvent::Conflict(impostor.mac), AddressEvent::Conflict(impostor.mac)]
    );
    assert_eq!(board.net.counters().arp_conflict, 20);
    assert!(board.net.arp_view(board.now).iter().all(Option::is_none));
}

#[test]
fn a_defence_is_an_announcement() {
    let mut board = Board::fixed();
    let sent = board.receive(&Host::new(66, IP).who_has(GATEWAY));
    let (_, sender, target) = lan::parse_arp(&sent[0]).expect("arp");
    assert_eq!((sender, target.1), ((MAC, IP), IP));
}

#[test]
fn storms_are_answered_at_a_bounded_rate() {
    let mut board = Board::fixed();
    board.meet(&peer());
    let (who_has, ping) = (peer().who_has(IP), peer().ping(MAC, IP, 1, 2, b"x"));
    let (mut arps, mut echoes) = (0, 0);
    // A second of 10,000 frames each.
    for _ in 0..10_000 {
        board.now += 100;
        arps += board.receive(&who_has).len();
        echoes += board.receive(&ping).len();
    }
    assert!((50..=85).contains(&arps), "{arps} ARP replies");
    assert!((50..=70).contains(&echoes), "{echoes} echo replies");
    assert!(board.net.counters().arp_limited > 9_000);
    assert!(board.net.counters().icmp_limited > 9_000);
}

#[test]
fn questions_are_rationed_over_all_addresses() {
    let mut board = Board::fixed();
    for i in 3..250 {
        let to = std::net::SocketAddrV4::new(Ipv4Addr::new(192, 168, 7, i), 9);
        assert_eq!(board.send(to, b""), Err(SendError::ArpPending));
    }
    assert!(board.device.drain().len() <= 32);
}

#[test]
fn a_lasting_exchange_never_stalls_on_arp() {
    let mut board = Board::fixed();
    let mut lan = lan::Lan::new(vec![peer()]);
    board.meet(&peer());
    for _ in 0..1000 {
        // Only sending: nothing but ARP itself confirms the neighbour.
        board.send(peer_address(), b"tick").expect("sent");
        let until = board.now + SECOND / 2;
        board.run(&mut lan, until);
    }
    assert!(lan.hosts[0].asked >= 8, "refreshed {} times", lan.hosts[0].asked);
}

#[test]
fn a_ping_of_every_length_comes_back() {
    let mut board = Board::fixed();
    let mut lan = lan::Lan::new(vec![peer()]);
    for len in [0, 1, 2, 3, 56, 57, 1471, 1472] {
        let data: Vec<u8> = (0..len).map(|i| i as u8).collect();
        board.meet(&peer());
        board.device.push(peer().ping(MAC, IP, 7, 9, &data));
        let until = board.now + SECOND;
        board.run(&mut lan, until);
        assert_eq!(lan.hosts[0].echoes.pop(), Some((7, 9, data)));
    }
}

#[test]
fn a_ping_from_an_unknown_neighbour_asks_first() {
    let mut board = Board::fixed();
    let mut lan = lan::Lan::new(vec![peer()]);
    for _ in 0..2 {
        board.device.push(peer().ping(MAC, IP, 7, 9, b""));
        let until = board.now + SECOND;
        board.run(&mut lan, until);
    }
    assert_eq!(lan.hosts[0].asked, 1);
    assert_eq!(lan.hosts[0].echoes.len(), 1);
}

#[test]
fn no_answer_to_what_is_not_a_ping_for_us_alone() {
    let mut board = Board::fixed();
    board.meet(&peer());
    let all = peer().ping(lan::BROADCAST, Ipv4Addr::BROADCAST, 1, 1, b"");
    let subnet = peer().ping(lan::BROADCAST, Ipv4Addr::new(192, 168, 7, 255), 1, 1, b"");
    let mut spoiled = peer().ping(MAC, IP, 1, 1, b"abcd");
    *spoiled.last_mut().expect("data") ^= 1;
    let tcp =
        lan::ipv4((MAC, peer().mac), PEER_IP, IP, smoltcp::wire::IpProtocol::Tcp, 64, &[0; 20]);
    for frame in [all, subnet, spoiled, tcp] {
        assert!(board.receive(&frame).is_empty());
    }
}
