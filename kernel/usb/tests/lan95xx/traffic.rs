//! Frames of every length, alone and in bursts.

use super::rig::{MS, Rig, frame, padded, quick, to_us, variants};
use proptest::prelude::*;
use sk_hal::net::FrameDevice;

#[test]
fn every_length_both_ways() {
    for chip in variants() {
        let mut rig = Rig::running(chip);
        let before = *rig.net.statistics();
        for length in 14..=1514 {
            rig.echo(length, length);
        }
        let after = rig.net.statistics();
        assert_eq!(after.frames_in - before.frames_in, 1501);
        assert_eq!(after.frames_out - before.frames_out, 1501);
        assert_eq!((after.bad_transfers_in, after.errors_in, after.oversize_in), (0, 0, 0));
        assert_eq!(rig.errors(), []);
        rig.assert_clean();
    }
}

#[test]
fn transfers_that_fill_their_last_packet_are_closed() {
    // With the header of eight bytes: multiples of 64 and of 512.
    for chip in variants() {
        let mut rig = Rig::running(chip);
        for length in (1..=23).map(|n| 64 * n - 8) {
            for seed in 0..3 {
                assert!(rig.transmit(&frame(length, seed)));
                rig.run(MS);
            }
            for seed in 0..3 {
                assert_eq!(rig.chip().pop_frame(), Some(padded(length, seed)), "{length}");
            }
        }
        rig.assert_clean();
    }
}

#[test]
fn bursts_share_transfers_and_stay_in_order() {
    for chip in variants() {
        let mut rig = Rig::running(chip);
        let before = *rig.net.statistics();
        let lengths = [60, 61, 62, 63, 64, 1514, 60, 1514, 1514, 200, 60, 1024, 512, 500, 99];
        for (seed, length) in lengths.into_iter().enumerate() {
            assert!(rig.chip().push_frame(to_us(length, seed)));
        }
        let sent: Vec<_> =
            lengths.into_iter().enumerate().map(|(seed, length)| to_us(length, seed)).collect();
        assert!(rig.receive_all() == sent);
        assert_eq!(rig.net.statistics().bad_transfers_in, before.bad_transfers_in);
        rig.assert_clean();
    }
}

#[test]
fn a_transfer_is_looked_at_once_for_each_frame_in_it() {
    let mut rig = Rig::running(quick());
    for seed in 0..20 {
        assert!(rig.chip().push_frame(to_us(60, seed)));
    }
    rig.poll();
    // All in one transfer: no poll is needed between them.
    for seed in 0..20 {
        assert!(rig.net.has_frame());
        assert_eq!(rig.receive(), Some(to_us(60, seed)));
    }
    assert_eq!(rig.receive(), None);
}

#[test]
fn a_full_burst_is_closed_by_an_empty_transfer_or_none() {
    // Blocks of 64 + 4 + 4: 56 of them in 4096 bytes; and bursts that end
    // exactly with a packet.
    for chip in variants() {
        let mut rig = Rig::running(chip);
        for length in [60, 504 - 4, 1016 - 4, 1512 - 4] {
            for round in 0..4 {
                let mut sent = Vec::new();
                while sent.len() < 64 && rig.chip().push_frame(to_us(length, sent.len() + round)) {
                    sent.push(to_us(length, sent.len() + round));
                }
                let got = rig.receive_all();
                assert!(got == sent, "{length}: {} of {}", got.len(), sent.len());
            }
        }
        rig.assert_clean();
    }
}

#[test]
fn a_hundred_thousand_frames_each_way() {
    let mut rig = Rig::running(quick());
    let length = |n: usize| if n.is_multiple_of(400) { 14 + n * 31 % 1501 } else { 60 + n % 9 };
    let (mut sent, mut arrived, mut pushed, mut received) = (0, 0, 0, 0);
    const ALL: usize = 100_000;
    while arrived < ALL || received < ALL {
        for _ in 0..1 + pushed % 40 {
            if pushed < ALL
                && pushed - received < 60
                && rig.chip().push_frame(to_us(length(pushed).max(60), pushed))
            {
                pushed += 1;
            }
        }
        while sent < ALL && rig.transmit(&frame(length(sent), sent)) {
            sent += 1;
        }
        rig.now += 100;
        rig.poll();
        while let Some(frame) = rig.receive() {
            assert!(frame == to_us(length(received).max(60), received), "frame {received}");
            received += 1;
        }
        while let Some(frame) = rig.chip().pop_frame() {
            assert!(frame == padded(length(arrived), arrived), "frame {arrived}");
            arrived += 1;
        }
    }
    assert_eq!((sent, pushed), (ALL, ALL));
    let statistics = rig.net.statistics();
    assert_eq!((statistics.frames_in, statistics.frames_out), (ALL as u32, ALL as u32));
    assert_eq!((statistics.bad_transfers_in, statistics.pipe_stops), (0, 0));
    let seen = rig.chip().counters;
    assert_eq!((seen.received, seen.sent, seen.overrun), (ALL as u64, ALL as u64, 0));
    assert_eq!(rig.errors(), []);
    rig.assert_clean();
}

#[test]
fn lengths_that_are_no_frame_are_not_sent() {
    let mut rig = Rig::running(quick());
    for length in [0, 1, 13, 1515, 2048, 65_536] {
        assert!(!rig.net.transmit(rig.now, length, &mut |_| panic!("filled {length}")));
    }
    assert_eq!(rig.net.statistics().bad_length_out, 6);
    rig.echo(14, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_frames_in_any_rhythm(
        full_speed in any::<bool>(),
        frames in proptest::collection::vec((60_usize..=1514, any::<bool>(), any::<bool>()), 1..60)
    ) {
        let [high, full] = variants();
        let mut rig = Rig::running(if full_speed { full } else { high });
        let (mut pushed, mut got) = (Vec::new(), Vec::new());
        for (seed, (length, poll, take)) in frames.into_iter().enumerate() {
            if rig.chip().push_frame(to_us(length, seed)) {
                pushed.push(to_us(length, seed));
            }
            if poll {
                rig.now += 125;
                rig.poll();
            }
            if take {
                got.extend(rig.receive());
            }
        }
        got.extend(rig.receive_all());
        prop_assert!(got == pushed);
        rig.assert_clean();
    }
}
