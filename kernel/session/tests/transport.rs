//! DATA datagrams under attack (conformance ids S1 to S4).

mod common;

use common::{BOARD_INDEX, CLIENT_INDEX, inputs};
use proptest::prelude::*;
use sk_session::transport::{
    OpenError, REJECT_AGE_US, REJECT_PACKETS, REKEY_AGE_US, SealError, Transport,
};
use sk_session::window::WINDOW;
use sk_wire::{DataHeader, MAX_DATAGRAM, MAX_PLAINTEXT};

const NOW: u64 = 5_000_000;

fn ends() -> (Transport, Transport) {
    let (client, board) = inputs().keys();
    (
        Transport::new(client, CLIENT_INDEX, BOARD_INDEX, NOW),
        Transport::new(board, BOARD_INDEX, CLIENT_INDEX, NOW),
    )
}

fn seal(from: &mut Transport, text: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; MAX_DATAGRAM];
    buffer[Transport::HEADER..][..text.len()].copy_from_slice(text);
    let len = from.seal(NOW, &mut buffer, text.len()).unwrap();
    buffer.truncate(len);
    buffer
}

#[test]
fn every_length_goes_through_in_both_directions() {
    let (mut client, mut board) = ends();
    for len in 1..=MAX_PLAINTEXT {
        let text: Vec<u8> = (0..len).map(|i| (i * 7 + len) as u8).collect();
        let mut datagram = seal(&mut client, &text);
        assert_eq!(datagram.len(), len + Transport::OVERHEAD);
        assert_eq!(board.open(NOW, &mut datagram).unwrap(), text);
        let mut datagram = seal(&mut board, &text);
        assert_eq!(client.open(NOW, &mut datagram).unwrap(), text);
    }
    assert_eq!(client.sent(), MAX_PLAINTEXT as u64);
    assert_eq!(board.highest_received(), Some(MAX_PLAINTEXT as u64 - 1));
}

/// The bytes, against the cipher itself.
#[test]
fn the_header_names_receiver_and_nonce() {
    let (mut client, _) = ends();
    let keys = inputs().keys().0;
    seal(&mut client, b"one");
    let datagram = seal(&mut client, b"two");
    let header = DataHeader { receiver_index: BOARD_INDEX, counter: 1 };
    assert_eq!(datagram[..16], header.emit());
    let mut text = *b"two";
    let tag = sk_session::aead::seal(&keys.send, 1, &[], &mut text).unwrap();
    assert_eq!(datagram[16..], [&text[..], &tag].concat());
}

#[test]
fn unusable_lengths_are_refused() {
    let (mut client, mut board) = ends();
    let mut buffer = [0; MAX_DATAGRAM + 8];
    for len in [0, MAX_PLAINTEXT + 1, usize::MAX] {
        assert_eq!(client.seal(NOW, &mut buffer, len), Err(SealError::Length));
    }
    for short in 0..Transport::OVERHEAD + 10 {
        assert_eq!(client.seal(NOW, &mut buffer[..short], 10), Err(SealError::Length));
    }
    assert_eq!(client.sent(), 0, "a refusal uses no counter up");
    for len in 0..=buffer.len() {
        assert!(board.open(NOW, &mut buffer[..len]).is_err());
    }
}

/// S1: each counter once, in any order.
#[test]
fn duplicates_and_reordering() {
    let (mut client, mut board) = ends();
    let datagrams: Vec<_> = (0..WINDOW + 8).map(|_| seal(&mut client, b"x")).collect();
    let mut open = |at: u64| board.open(NOW, &mut datagrams[at as usize].clone()).map(|_| ());
    for at in [3, 0, 2, 1] {
        assert_eq!(open(at), Ok(()));
        assert_eq!(open(at), Err(OpenError::Replay));
    }
    let newest = WINDOW + 7;
    assert_eq!(open(newest), Ok(()));
    assert_eq!(open(7), Err(OpenError::Replay), "too old to tell");
    assert_eq!(open(8), Ok(()));
    assert_eq!(open(newest), Err(OpenError::Replay));
}

/// S2: forgeries leave session and buffer as they were.
#[test]
fn forgeries_change_nothing() {
    let (mut client, mut board) = ends();
    let good = seal(&mut client, b"the real one");
    for counter in [0, 1, 500, 5000, REJECT_PACKETS - 1] {
        let mut forged = good.clone();
        forged[8..16].copy_from_slice(&counter.to_le_bytes());
        *forged.last_mut().unwrap() ^= 1;
        let before = forged.clone();
        assert_eq!(board.open(NOW, &mut forged), Err(OpenError::Forged));
        assert_eq!(forged, before);
    }
    assert_eq!(board.highest_received(), None);
    assert_eq!(board.open(NOW, &mut good.clone()).unwrap(), b"the real one");
}

#[test]
fn every_flipped_bit_is_dropped() {
    let (mut client, mut board) = ends();
    let good = seal(&mut client, b"0123456789");
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let expected = match bit / 8 {
            0..4 => vec![OpenError::Malformed],
            4..8 => vec![OpenError::WrongIndex],
            8..16 => vec![OpenError::Forged, OpenError::Expired],
            _ => vec![OpenError::Forged],
        };
        let error = board.open(NOW, &mut bad).unwrap_err();
        assert!(expected.contains(&error), "bit {bit}: {error:?}");
    }
    assert!(board.open(NOW, &mut good.clone()).is_ok());
}

/// S3, and a datagram thrown back at its sender.
#[test]
fn another_session_is_not_opened() {
    let (mut client, mut board) = ends();
    let mut own = seal(&mut client, b"x");
    assert_eq!(client.open(NOW, &mut own), Err(OpenError::WrongIndex));
    let mut reflected = seal(&mut client, b"x");
    reflected[4..8].copy_from_slice(&CLIENT_INDEX.to_le_bytes());
    assert_eq!(client.open(NOW, &mut reflected), Err(OpenError::Forged));

    let mut later = inputs();
    later.board_e = [0xE5; 32];
    let mut other = Transport::new(later.keys().0, CLIENT_INDEX, BOARD_INDEX, NOW);
    assert_eq!(board.open(NOW, &mut seal(&mut other, b"x")), Err(OpenError::Forged));
}

/// S4: age.
#[test]
fn old_keys_are_refused() {
    let (mut client, mut board) = ends();
    let first = seal(&mut client, b"x");
    let second = seal(&mut client, b"x");
    assert!(!client.wants_rekey(NOW + REKEY_AGE_US - 1));
    assert!(client.wants_rekey(NOW + REKEY_AGE_US));
    let last = NOW + REJECT_AGE_US - 1;
    assert!(board.open(last, &mut first.clone()).is_ok());
    assert!(client.seal(last, &mut [0; 64], 1).is_ok());
    let end = NOW + REJECT_AGE_US;
    assert!(!client.is_expired(last) && client.is_expired(end));
    assert_eq!(board.open(end, &mut second.clone()), Err(OpenError::Expired));
    assert_eq!(client.seal(end, &mut [0; 64], 1), Err(SealError::Expired));
}

/// S1, S4: a counter beyond the limit is refused whatever its tag.
#[test]
fn counters_beyond_the_limit_are_refused() {
    let (_, mut board) = ends();
    let keys = inputs().keys().0;
    for counter in [REJECT_PACKETS - 1, REJECT_PACKETS, 1 << 40, u64::MAX] {
        let mut text = [7; 5];
        let tag = sk_session::aead::seal(&keys.send, counter, &[], &mut text).unwrap();
        let header = DataHeader { receiver_index: BOARD_INDEX, counter }.emit();
        let mut datagram = [&header[..], &text, &tag].concat();
        let opened = board.open(NOW, &mut datagram).map(|_| ());
        let expected = if counter < REJECT_PACKETS { Ok(()) } else { Err(OpenError::Expired) };
        assert_eq!(opened, expected, "{counter}");
    }
    assert_eq!(board.highest_received(), Some(REJECT_PACKETS - 1));
}

proptest! {
    #[test]
    fn noise_is_dropped(mut bytes in prop::collection::vec(any::<u8>(), 0..1500)) {
        let (_, mut board) = ends();
        prop_assert!(board.open(NOW, &mut bytes).is_err());
        if let Some(header) = bytes.first_chunk_mut() {
            *header = DataHeader { receiver_index: BOARD_INDEX, counter: 3 }.emit();
        }
        prop_assert!(board.open(NOW, &mut bytes).is_err());
        prop_assert_eq!(board.highest_received(), None);
    }
}
