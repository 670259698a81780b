//! The kernel comes up on the network, also on a bad cable.

use std::fs;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use sk_emulator::{Board, BoardConfig, Faults, Net, Traffic};

/// Waits until the board has sent a datagram of its own, which it does not
/// before it has an address.
fn first_datagram(config: BoardConfig) -> Traffic {
    let board: Board = e2e::start(config);
    let until = Instant::now() + e2e::PATIENCE;
    loop {
        let traffic = board.traffic().expect("the network is ours");
        if traffic.from_board > 0 {
            return traffic;
        }
        let said = board.lines().join("\n");
        assert!(Instant::now() < until, "no datagram, only:\n{said}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn gets_an_address_and_makes_itself_known() {
    assert_eq!(first_datagram(e2e::zero()).malformed, 0);
}

#[test]
fn gets_an_address_on_a_bad_cable() {
    let mut config = e2e::zero();
    config.faults = Faults { lost: 200, doubled: 100, reordered: 100, damaged: 100, seed: 1 };
    assert_eq!(first_datagram(config).malformed, 0);
}

/// The frames of a classic pcap file.
fn frames(pcap: &[u8]) -> Vec<&[u8]> {
    let (head, mut rest) = pcap.split_at(24);
    assert_eq!(head[..8], [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0]);
    assert_eq!(head[20..], [1, 0, 0, 0], "Ethernet");
    let mut frames = Vec::new();
    while let Some((record, after)) = rest.split_at_checked(16) {
        let length = u32::from_le_bytes([record[8], record[9], record[10], record[11]]);
        let (frame, after) = after.split_at(length as usize);
        frames.push(frame);
        rest = after;
    }
    assert!(rest.is_empty(), "a record is cut");
    frames
}

#[test]
fn what_goes_over_the_cable_is_in_the_file() {
    const GATEWAY: [u8; 6] = [0x52, 0x55, 10, 0, 2, 2];
    for mut config in [e2e::zero(), e2e::one_b()] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("frames,1.pcap");
        config.pcap = Some(file.clone());
        first_datagram(config);
        let pcap = fs::read(file).unwrap();
        let (to, from): (Vec<_>, Vec<_>) =
            frames(&pcap).into_iter().partition(|frame| frame[6..12] == GATEWAY);
        // DHCP takes two each way.
        assert!(to.len() >= 2 && from.len() >= 2, "{} and {} frames", to.len(), from.len());
    }
}

#[test]
fn a_frame_is_a_datagram_on_a_udp_cable() {
    for mut config in [e2e::zero(), e2e::one_b()] {
        let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
        ours.set_read_timeout(Some(e2e::PATIENCE)).unwrap();
        let free = UdpSocket::bind("127.0.0.1:0").unwrap();
        let local = free.local_addr().unwrap();
        drop(free);
        config.network = Net::Dgram { local, remote: ours.local_addr().unwrap() };
        let mut board = e2e::start(config);
        let mut buffer = [0; 2048];
        let (length, from) = ours.recv_from(&mut buffer).expect("a frame");
        assert_eq!(from, local);
        assert_eq!(buffer[..6], [0xff; 6], "{} bytes", length);
        e2e::expect(&mut board, "net: LinkUp");
    }
}
