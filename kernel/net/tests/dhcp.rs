//! The DHCP life cycle, and static addresses.

mod common;

use std::net::Ipv4Addr;

use common::*;
use sk_models::lan::{DhcpServer, Host, Lan};
use sk_net::{Address, AddressEvent, NetMode};
use smoltcp::wire::DhcpMessageType::{Discover, Request};

const LEASED: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 50);

fn address(ip: Ipv4Addr) -> Address {
    Address { ip, prefix: 24, gateway: Some(GATEWAY) }
}

fn network(lease: u32) -> Lan {
    let mut router = Host::new(1, GATEWAY);
    router.dhcp = Some(DhcpServer::new(LEASED, Some(GATEWAY), lease));
    Lan::new(vec![router, peer()])
}

fn server(lan: &mut Lan) -> &mut DhcpServer {
    lan.hosts[0].dhcp.as_mut().expect("a server")
}

#[test]
fn offered_then_bound() {
    let mut board = Board::new(NetMode::Dhcp);
    let mut lan = network(3600);
    board.poll();
    assert_eq!(board.net.address(), None);
    board.run(&mut lan, SECOND);
    assert_eq!(board.net.address(), Some(address(LEASED)));
    assert_eq!(
        board.events(),
        [
            AddressEvent::LinkUp(MAC),
            AddressEvent::DhcpOffered { ip: LEASED, server: GATEWAY },
            AddressEvent::DhcpBound(address(LEASED)),
        ]
    );
    assert_eq!(server(&mut lan).log, [Discover, Request]);
    assert_eq!(server(&mut lan).hostname.as_deref(), Some("sk-test"));
    // No address, no word: until bound all that was sent came from 0.0.0.0.
    board.run(&mut lan, 5 * SECOND);
    assert!(board.polls < 40, "{} polls: it sleeps", board.polls);
}

#[test]
fn renewed_for_hours_without_a_gap() {
    let mut board = Board::new(NetMode::Dhcp);
    let mut lan = network(600);
    board.run(&mut lan, SECOND);
    board.events();
    for _ in 0..360 {
        let until = board.now + 20 * SECOND;
        board.run(&mut lan, until);
        assert_eq!(board.net.address(), Some(address(LEASED)));
    }
    assert_eq!(board.events(), []);
    let renewals = server(&mut lan).log.len() - 2;
    assert!((20..=30).contains(&renewals), "{renewals} renewals in two hours");
    assert!(board.polls < 1000, "{} polls in two hours", board.polls);
}

#[test]
fn lost_when_the_lease_runs_out_and_found_again() {
    let mut board = Board::new(NetMode::Dhcp);
    let mut lan = network(600);
    board.run(&mut lan, SECOND);
    board.events();
    server(&mut lan).silent = true;
    board.run(&mut lan, 590 * SECOND);
    assert_eq!(board.net.address(), Some(address(LEASED)));
    board.run(&mut lan, 615 * SECOND);
    assert_eq!(board.net.address(), None);
    assert_eq!(board.events(), [AddressEvent::DhcpLost, AddressEvent::DhcpGaveUp]);
    assert!(board.send(peer_address(), b"").is_err());
    server(&mut lan).silent = false;
    board.run(&mut lan, 620 * SECOND);
    assert_eq!(board.net.address(), Some(address(LEASED)));
}

#[test]
fn absent_is_reported_after_ten_seconds_and_searched_on() {
    let mut board = Board::new(NetMode::Dhcp);
    let mut lan = network(600);
    server(&mut lan).silent = true;
    board.run(&mut lan, 10 * SECOND - 1);
    assert_eq!(board.events(), [AddressEvent::LinkUp(MAC)]);
    board.run(&mut lan, 10 * SECOND + 1);
    assert_eq!(board.events(), [AddressEvent::DhcpGaveUp]);
    assert_eq!(server(&mut lan).log.len(), 6);
    board.run(&mut lan, 60 * SECOND);
    assert_eq!(board.events(), [], "reported once");
    server(&mut lan).silent = false;
    board.run(&mut lan, 65 * SECOND);
    assert_eq!(board.net.address(), Some(address(LEASED)));
}

#[test]
fn a_nak_starts_over() {
    let mut board = Board::new(NetMode::Dhcp);
    let mut lan = network(600);
    server(&mut lan).naks = 2;
    board.run(&mut lan, 5 * SECOND);
    let naks = board.events().iter().filter(|e| **e == AddressEvent::DhcpNak).count();
    assert_eq!(naks, 2);
    assert_eq!(board.net.address(), Some(address(LEASED)));
}

#[test]
fn a_nak_on_renewal_takes_the_address() {
    let mut board = Board::new(NetMode::Dhcp);
    let mut lan = network(600);
    board.run(&mut lan, SECOND);
    board.events();
    server(&mut lan).naks = 1;
    server(&mut lan).offer = Ipv4Addr::new(192, 168, 7, 51);
    board.run(&mut lan, 310 * SECOND);
    let events = board.events();
    assert_eq!(events[..2], [AddressEvent::DhcpNak, AddressEvent::DhcpLost]);
    assert_eq!(board.net.address(), Some(address(Ipv4Addr::new(192, 168, 7, 51))));
}

#[test]
fn a_server_that_naks_for_ever_is_asked_once_a_second() {
    let mut board = Board::new(NetMode::Dhcp);
    let mut lan = network(600);
    server(&mut lan).naks = u32::MAX;
    board.run(&mut lan, 60 * SECOND);
    let sent = server(&mut lan).log.len();
    assert!(sent <= 70, "{sent} messages in a minute");
    assert!(board.polls < 1000, "{} polls", board.polls);
}

#[test]
fn a_lease_of_no_time_does_not_spin() {
    let mut board = Board::new(NetMode::Dhcp);
    let mut lan = network(0);
    board.run(&mut lan, 60 * SECOND);
    let sent = server(&mut lan).log.len();
    assert!(sent <= 70, "{sent} messages in a minute");
    assert!(board.polls < 7000, "{} polls", board.polls);
}

#[test]
fn offers_that_lead_nowhere() {
    for spoil in [
        (|s: &mut DhcpServer| s.offers_only = true) as fn(&mut DhcpServer),
        |s| s.wrong_xid = true,
        |s| s.offer = Ipv4Addr::new(192, 168, 7, 255),
        |s| s.offer = Ipv4Addr::LOCALHOST,
        |s| s.offer = Ipv4Addr::UNSPECIFIED,
        |s| s.offer = Ipv4Addr::new(224, 0, 0, 1),
        |s| s.mask = Ipv4Addr::new(255, 0, 255, 0),
    ] {
        let mut board = Board::new(NetMode::Dhcp);
        let mut lan = network(600);
        spoil(server(&mut lan));
        board.run(&mut lan, 11 * SECOND);
        assert!(board.events().contains(&AddressEvent::DhcpGaveUp));
        board.run(&mut lan, 100 * SECOND);
        assert_eq!(board.net.address(), None);
        let sent = server(&mut lan).log.len();
        assert!(sent <= 120, "{sent} messages in 100 s");
    }
}

/// smoltcp would assert on each of these once it had to send there.
#[test]
fn a_gateway_that_cannot_be_is_no_gateway() {
    for router in [
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::BROADCAST,
        Ipv4Addr::new(224, 0, 0, 1),
        Ipv4Addr::new(192, 168, 7, 255),
        Ipv4Addr::new(10, 0, 0, 1),
        LEASED,
    ] {
        let mut board = Board::new(NetMode::Dhcp);
        let mut lan = network(600);
        server(&mut lan).router = Some(router);
        board.run(&mut lan, 400 * SECOND);
        let bound = board.net.address().expect("an address without a gateway");
        assert_eq!((bound.ip, bound.gateway), (LEASED, None), "{router}");
        // From afar: the answer would have to go by the gateway.
        let far = Host::new(1, Ipv4Addr::new(10, 9, 8, 7));
        board.receive(&far.ping(MAC, LEASED, 1, 1, b""));
    }
}

#[test]
fn a_server_without_an_address_of_its_own_is_not_heard() {
    for ip in [Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, Ipv4Addr::new(239, 0, 0, 1)] {
        let mut board = Board::new(NetMode::Dhcp);
        let mut lan = network(20);
        lan.hosts[0].ip = ip;
        board.run(&mut lan, 100 * SECOND);
        assert_eq!(board.net.address(), None, "{ip}");
        assert!(board.net.counters().dhcp_ignored > 0);
    }
}

#[test]
fn frames_lost_on_the_way_only_cost_time() {
    for every in [2, 3] {
        let mut board = Board::new(NetMode::Dhcp);
        board.device.lose_sent_every = every;
        board.device.lose_pushed_every = every + 1;
        let mut lan = network(3600);
        board.run(&mut lan, 30 * SECOND);
        assert_eq!(board.net.address(), Some(address(LEASED)), "every {every}th lost");
    }
}

#[test]
fn a_stuck_transmitter_is_waited_for() {
    let mut board = Board::new(NetMode::Dhcp);
    board.device.tx_slots = Some(0);
    let mut lan = network(3600);
    board.run(&mut lan, SECOND);
    assert!(board.polls < 200, "{} polls", board.polls);
    board.device.tx_slots = None;
    board.run(&mut lan, 2 * SECOND);
    assert_eq!(board.net.address(), Some(address(LEASED)));
}

#[test]
fn a_flap_keeps_the_lease_a_long_absence_asks_again() {
    for (absence, kept) in [(SECOND, true), (20 * SECOND, true), (120 * SECOND, false)] {
        let mut board = Board::new(NetMode::Dhcp);
        let mut lan = network(3600);
        board.run(&mut lan, SECOND);
        board.events();
        board.device.set_link(false);
        board.poll();
        assert_eq!(board.net.next_deadline(), None);
        board.now += absence;
        board.device.set_link(true);
        board.poll();
        assert_eq!(board.net.address().is_some(), kept, "{absence} us");
        let until = board.now + SECOND;
        board.run(&mut lan, until);
        assert_eq!(board.net.address(), Some(address(LEASED)));
        assert_eq!(server(&mut lan).log.len(), if kept { 2 } else { 4 });
    }
}

#[test]
fn flapping_a_hundred_times_leaves_a_working_board() {
    let mut board = Board::new(NetMode::Dhcp);
    let mut lan = network(3600);
    for _ in 0..100 {
        let until = board.now + SECOND / 2;
        board.run(&mut lan, until);
        board.device.set_link(false);
        board.poll();
        board.now += SECOND / 2;
        board.device.set_link(true);
    }
    let until = board.now + SECOND;
    board.run(&mut lan, until);
    assert_eq!(board.net.address(), Some(address(LEASED)));
    assert!(board.net.counters().events_lost > 0, "nobody took them");
}

#[test]
fn another_adapter_is_another_client() {
    let mut board = Board::new(NetMode::Dhcp);
    let mut lan = network(3600);
    board.run(&mut lan, SECOND);
    board.device.mac = Some([2, 2, 2, 2, 2, 2]);
    board.poll();
    assert_eq!(board.net.address(), None);
    board.run(&mut lan, 2 * SECOND);
    assert_eq!(board.net.address(), Some(address(LEASED)));
}

#[test]
fn an_adapter_without_a_station_address_is_down() {
    for mac in [[0; 6], [1, 0, 0, 0, 0, 0], [0xFF; 6]] {
        let mut board = Board::new(NetMode::Static(address(IP)));
        board.device.mac = Some(mac);
        board.poll();
        assert_eq!(board.net.mac(), None);
        assert_eq!(board.events(), []);
    }
}

#[test]
fn a_static_address_is_announced_twice_and_then_sleeps() {
    let mut board = Board::new(NetMode::Static(address(IP)));
    let mut lan = network(3600);
    board.run(&mut lan, 100 * SECOND);
    assert_eq!(board.events(), [AddressEvent::LinkUp(MAC), AddressEvent::Static(address(IP))]);
    assert_eq!(lan.sent.len(), 2);
    assert_eq!(lan.sent[1].0, 2 * SECOND);
    assert_eq!(board.net.next_deadline(), None);
    // A DHCP server's words are nothing to us.
    let message = lan.hosts[0].udp(MAC, 67, std::net::SocketAddrV4::new(IP, 68), &[0; 300]);
    board.receive(&message);
    assert_eq!(board.net.counters().dhcp_ignored, 1);
}

#[test]
fn a_static_address_that_is_none_is_refused() {
    for ip in [[0, 0, 0, 0], [192, 168, 7, 255], [224, 0, 0, 1], [127, 0, 0, 1]] {
        let mut board = Board::new(NetMode::Static(address(ip.into())));
        board.poll();
        assert_eq!(board.net.address(), None);
        assert!(board.events().contains(&AddressEvent::StaticRefused));
    }
}
