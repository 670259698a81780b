//! Whatever comes in: no panic, nothing delivered that is not right, and the
//! board still works afterwards.

mod common;

use std::net::SocketAddrV4;

use common::*;
use proptest::prelude::*;
use sk_models::lan::{DhcpServer, Host, Lan};
use sk_net::NetMode;

/// Good frames to spoil.
fn seeds() -> Vec<Vec<u8>> {
    let group = std::net::Ipv4Addr::new(224, 0, 0, 1);
    vec![
        peer().who_has(IP),
        peer().is_at((MAC, IP)),
        peer().ping(MAC, IP, 1, 2, b"abcdefgh"),
        peer().udp(MAC, PEER_PORT, SocketAddrV4::new(IP, PORT), b"payload"),
        peer().udp(MAC, 67, SocketAddrV4::new(IP, 68), &[1; 300]),
        sk_models::lan::ipv4(
            ([1, 0, 0x5E, 0, 0, 1], peer().mac),
            PEER_IP,
            group,
            smoltcp::wire::IpProtocol::Igmp,
            1,
            &[0x11, 100, 0xEE, 0x9B, 0, 0, 0, 0],
        ),
    ]
}

fn mend(frame: &mut [u8]) {
    if frame.len() >= 34 {
        frame[24..26].fill(0);
        let sum = sk_net::checksum::sum(&frame[14..34]);
        frame[24..26].copy_from_slice(&(!sum).to_be_bytes());
    }
}

fn board() -> Board {
    let mut board = Board::fixed();
    board.net.join(std::net::Ipv4Addr::new(224, 0, 0, 251), board.now);
    board.poll();
    board.device.drain();
    board.meet(&peer());
    board
}

/// The peer can still talk to it.
fn works(board: &mut Board) {
    board.now += 70 * SECOND;
    board.sink.got.clear();
    board.poll();
    board.device.drain();
    board.meet(&peer());
    board.receive(&peer().udp(MAC, PEER_PORT, SocketAddrV4::new(IP, PORT), b"still there?"));
    assert_eq!(board.sink.got.len(), 1);
    board.sent(peer_address(), b"yes");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn noise(frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..20)) {
        let mut board = board();
        for frame in &frames {
            let before = board.net.counters().dropped();
            board.receive(frame);
            prop_assert_eq!(board.net.counters().dropped(), before + 1);
        }
        prop_assert!(board.sink.got.is_empty());
        works(&mut board);
    }

    #[test]
    fn spoiled_frames(
        spoils in proptest::collection::vec(
            (0usize..6, proptest::collection::vec((0usize..64, any::<u8>()), 0..4), 0usize..80, any::<bool>()),
            1..20,
        ),
    ) {
        let mut board = board();
        let seeds = seeds();
        for (which, spoil, cut, mended) in &spoils {
            let mut frame = seeds[*which].clone();
            for (at, value) in spoil {
                if let Some(byte) = frame.get_mut(*at) {
                    *byte = *value;
                }
            }
            if *mended {
                mend(&mut frame);
            }
            frame.truncate(frame.len().saturating_sub(cut / 2));
            board.now += 1000;
            board.receive(&frame);
        }
        for (meta, payload) in &board.sink.got {
            prop_assert_eq!(meta.dst.port(), PORT);
            prop_assert!(payload.len() <= 7);
        }
        works(&mut board);
    }

    /// A DHCP server that says anything at all, between two that work.
    #[test]
    fn dhcp_messages_spoiled(
        spoil in proptest::collection::vec((42usize..360, any::<u8>()), 1..6),
        which in 0u32..4,
    ) {
        let mut board = Board::new(NetMode::Dhcp);
        let mut router = Host::new(1, GATEWAY);
        router.dhcp = Some(DhcpServer::new(std::net::Ipv4Addr::new(192, 168, 7, 50), Some(GATEWAY), 30));
        let mut lan = Lan::new(vec![router]);
        let mut count = 0;
        for _ in 0..40 {
            board.poll();
            for frame in board.device.drain() {
                for mut answer in lan.hosts[0].receive(board.now, &frame) {
                    if count % 4 == which && answer[12..14] == [8, 0] {
                        for (at, value) in &spoil {
                            if let Some(byte) = answer.get_mut(*at) {
                                *byte = *value;
                            }
                        }
                        answer[40..42].fill(0);
                    }
                    count += 1;
                    board.device.push(answer);
                }
            }
            board.now += SECOND;
        }
        let until = board.now + 60 * SECOND;
        board.run(&mut lan, until);
        prop_assert!(board.net.address().is_some());
    }
}

#[test]
fn every_length_of_every_good_frame() {
    for seed in seeds() {
        let mut board = board();
        for len in 0..seed.len() {
            board.now += 100_000;
            board.receive(&seed[..len]);
        }
        assert!(board.sink.got.is_empty());
        works(&mut board);
    }
}

#[test]
fn a_frame_longer_than_any() {
    let mut board = board();
    let mut jumbo = peer().ping(MAC, IP, 1, 2, &vec![7; 4000]);
    assert!(board.receive(&jumbo).is_empty());
    jumbo.resize(70_000, 0);
    assert!(board.receive(&jumbo).is_empty());
    works(&mut board);
}
