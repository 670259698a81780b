//! Transfers IN of the LAN95xx, taken apart: right ones give their frames in
//! place, wrong ones nothing that was not there.

use proptest::prelude::*;
use sk_usb::Statistics;
use sk_usb::smsc95xx::stream::Stream;

/// A block with this status word but for its length, FCS of four bytes 0xFC.
fn block(status: u32, length: u32, frame: &[u8]) -> Vec<u8> {
    let mut bytes = (status | length << 16).to_le_bytes().to_vec();
    bytes.extend(frame);
    bytes.extend([0xFC; 4]);
    bytes
}

fn good(frame: &[u8]) -> Vec<u8> {
    block(0, frame.len() as u32 + 4, frame)
}

/// Blocks at multiples of four.
fn transfer(blocks: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for block in blocks {
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(block);
    }
    bytes
}

/// All frames of a transfer, and what was counted.
fn take(mut bytes: Vec<u8>) -> (Vec<Vec<u8>>, Statistics) {
    let mut stream = Stream::new();
    let mut statistics = Statistics::ZERO;
    let mut frames = Vec::new();
    for _ in 0..=bytes.len() {
        let inside = bytes.as_ptr_range();
        if let Some(frame) = stream.next(&mut bytes, &mut statistics) {
            assert!(inside.contains(&frame.as_ptr()) && (14..=1514).contains(&frame.len()));
            frames.push(frame.to_vec());
        }
        if stream.is_over() {
            return (frames, statistics);
        }
    }
    panic!("no end");
}

fn frame(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|i| (i as u8).wrapping_mul(7) ^ seed).collect()
}

#[test]
fn golden() {
    // 60 bytes and FCS, then 61: three bytes of padding between.
    let mut bytes = vec![0x20, 0x20, 64, 0];
    bytes.extend(frame(60, 1));
    bytes.extend([0xFC; 4]);
    bytes.extend([0x20, 0x00, 65, 0x40]);
    bytes.extend(frame(61, 2));
    bytes.extend([0xFC; 4]);
    let (frames, statistics) = take(bytes);
    assert_eq!(frames, [frame(60, 1), frame(61, 2)]);
    assert_eq!(statistics, Statistics::ZERO);
}

#[test]
fn every_length_at_every_place() {
    for length in 14..=1514 {
        let all = [frame(length, 1), frame(60 + length % 5, 2), frame(length, 3)];
        let blocks: Vec<_> = all.iter().map(|frame| good(frame)).collect();
        let (frames, statistics) = take(transfer(&blocks));
        assert_eq!(frames, all);
        assert_eq!(statistics, Statistics::ZERO);
    }
}

#[test]
fn a_transfer_is_over_with_its_last_frame() {
    // So that the buffer is free before the frame is asked for that is not there.
    for padding in 0..4 {
        let mut bytes = transfer(&[good(&frame(61, 1))]);
        bytes.resize(bytes.len() + padding, 0);
        let mut stream = Stream::new();
        assert!(stream.next(&mut bytes, &mut Statistics::ZERO.clone()).is_some());
        assert!(stream.is_over(), "{padding}");
    }
}

#[test]
fn frames_with_errors_are_left_out_and_no_more() {
    for bit in 0..16 {
        let bytes = transfer(&[
            good(&frame(100, 1)),
            block(1 << 15 | 1 << bit, 104, &frame(100, 2)),
            good(&frame(77, 3)),
        ]);
        let (frames, statistics) = take(bytes);
        assert_eq!(frames, [frame(100, 1), frame(77, 3)]);
        assert_eq!(statistics, Statistics { errors_in: 1, ..Statistics::ZERO });
    }
    // Runts and giants have lengths of their own.
    for length in [1, 10, 13, 1515, 1600, 2000] {
        let bad = block(1 << 15, length + 4, &frame(length as usize, 2));
        let (frames, statistics) = take(transfer(&[bad, good(&frame(60, 1))]));
        assert_eq!((frames, statistics.errors_in), (vec![frame(60, 1)], 1), "{length}");
    }
}

#[test]
fn a_frame_in_fault_of_the_filter_only_is_taken() {
    let (frames, _) = take(block(1 << 30, 64, &frame(60, 1)));
    assert_eq!(frames, [frame(60, 1)]);
}

#[test]
fn impossible_lengths_end_the_transfer() {
    for length in [0, 1, 4, 13, 17, 1527, 1600, 4000, 0x3FFF] {
        let bytes = transfer(&[
            good(&frame(100, 1)),
            block(0, length, &frame(1600, 2)),
            good(&frame(77, 3)),
        ]);
        let (frames, statistics) = take(bytes);
        assert_eq!(frames, [frame(100, 1)], "{length}");
        assert_eq!(statistics, Statistics { bad_transfers_in: 1, ..Statistics::ZERO });
    }
    // One byte more than there is.
    let mut bytes = good(&frame(100, 1));
    bytes.pop();
    assert_eq!(take(bytes).0, Vec::<Vec<u8>>::new());
}

#[test]
fn frames_with_tags_too_long_for_us_are_left_out() {
    for length in 1515..=1522 {
        let bytes = transfer(&[good(&frame(length, 1)), good(&frame(77, 3))]);
        let (frames, statistics) = take(bytes);
        assert_eq!((frames, statistics.oversize_in), (vec![frame(77, 3)], 1), "{length}");
    }
}

#[test]
fn a_rest_too_short_for_a_status_word_is_no_fault() {
    for rest in 0..4 {
        let (frames, statistics) = take(vec![0xFF; rest]);
        assert_eq!((frames.len(), statistics), (0, Statistics::ZERO));
    }
}

proptest! {
    #[test]
    fn whatever_comes_it_ends(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        take(bytes);
    }

    #[test]
    fn bursts_come_apart_as_they_were_put_together(
        lengths in proptest::collection::vec((14_usize..=1514, any::<bool>()), 0..6)
    ) {
        let blocks: Vec<_> = lengths
            .iter()
            .enumerate()
            .map(|(i, (length, bad))| {
                block(u32::from(*bad) << 15, *length as u32 + 4, &frame(*length, i as u8))
            })
            .collect();
        let expected: Vec<_> = lengths
            .iter()
            .enumerate()
            .filter(|(_, (_, bad))| !bad)
            .map(|(i, (length, _))| frame(*length, i as u8))
            .collect();
        let (frames, statistics) = take(transfer(&blocks));
        prop_assert_eq!(frames, expected);
        prop_assert_eq!(statistics.bad_transfers_in, 0);
    }

    #[test]
    fn what_is_before_a_wrong_word_is_kept(
        before in 0_usize..4, flip in 0_u32..32, length in 60_usize..200
    ) {
        let mut blocks: Vec<_> = (0..before).map(|i| good(&frame(60 + i, i as u8))).collect();
        let status = 1_u32.rotate_left(flip);
        blocks.push(block(0, (length as u32 + 4) ^ (status >> 16), &frame(length, 9)));
        let (frames, _) = take(transfer(&blocks));
        prop_assert!(frames.len() >= before);
        for (i, got) in frames.iter().take(before).enumerate() {
            prop_assert_eq!(got, &frame(60 + i, i as u8));
        }
    }
}
