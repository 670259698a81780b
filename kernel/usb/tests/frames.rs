//! Every frame length both ways, and what is not a frame.

mod common;

use common::{MAC, Rig, frame, padded, variants};
use sk_hal::net::FrameDevice;
use sk_models::ecm::EcmFunction;

#[test]
fn every_length_both_ways() {
    for function in variants() {
        let mut rig = Rig::running(function);
        let before = *rig.net.statistics();
        for length in 14..=1514 {
            rig.echo(&frame(length, length));
        }
        let after = rig.net.statistics();
        assert_eq!(after.frames_in - before.frames_in, 1501);
        assert_eq!(after.frames_out - before.frames_out, 1501);
        // 46 lengths below 60, padded.
        let padding = (14..60).map(|length| 60 - length).sum::<u64>();
        assert_eq!(after.bytes_in + padding, after.bytes_out);
        rig.assert_clean();
        assert_eq!(rig.errors(), 0);
    }
}

#[test]
fn frames_in_a_row_stay_apart_and_in_order() {
    for function in variants() {
        let mut rig = Rig::running(function);
        // Multiples of both packet sizes among them: glued if a ZLP is missing.
        let lengths = [512, 64, 1024, 60, 128, 1514, 448, 511, 513, 1472];
        for (seed, length) in lengths.into_iter().enumerate() {
            assert!(rig.device().push_frame(frame(length, seed)));
        }
        for (seed, length) in lengths.into_iter().enumerate() {
            rig.poll();
            assert_eq!(rig.receive(), Some(frame(length, seed)), "{length}");
        }
        for (seed, length) in lengths.into_iter().enumerate() {
            assert!(rig.transmit(&frame(length, seed)));
            rig.run(1_000);
        }
        for (seed, length) in lengths.into_iter().enumerate() {
            assert_eq!(rig.device().pop_frame(), Some(frame(length, seed)), "{length}");
        }
        rig.assert_clean();
    }
}

#[test]
fn short_frames_are_padded_with_zeros_only() {
    for function in variants() {
        let mut rig = Rig::running(function);
        for length in [1514, 14, 42, 59, 60, 61] {
            // Every buffer was used before.
            for _ in 0..4 {
                assert!(rig.transmit(&[0xEE; 1514]));
                rig.run(1_000);
            }
            assert!(rig.transmit(&vec![0xFF; length]));
            rig.run(1_000);
            let sent = std::iter::from_fn(|| rig.device().pop_frame()).last();
            assert_eq!(sent, Some(padded(&vec![0xFF; length])), "{length}");
        }
        rig.assert_clean();
    }
}

#[test]
fn lengths_that_are_no_frame_are_not_sent() {
    let mut rig = Rig::running(EcmFunction::qemu(MAC));
    for length in [0, 1, 13, 1515, 2048, 65_536] {
        assert!(!rig.net.transmit(rig.now, length, &mut |_| panic!("filled {length}")));
    }
    assert_eq!(rig.net.statistics().bad_length_out, 6);
    rig.echo(&frame(14, 0));
}

#[test]
fn runts_and_empty_transfers_are_dropped_and_counted() {
    for mut function in variants() {
        function.faults.empty_ins = 20;
        let mut rig = Rig::running(function);
        rig.run(10_000);
        for length in [1, 13] {
            assert!(rig.device().push_frame(frame(length, 0)));
        }
        assert!(rig.device().push_frame(frame(60, 5)));
        let mut got = Vec::new();
        for _ in 0..50 {
            rig.poll();
            got.extend(rig.receive());
        }
        assert_eq!(got, [frame(60, 5)]);
        assert_eq!(rig.net.statistics().empty_in, 20);
        assert_eq!(rig.net.statistics().runts_in, 2);
        rig.assert_clean();
    }
}

#[test]
fn oversize_transfers_are_dropped_with_their_tails() {
    for function in variants() {
        let mut rig = Rig::running(function);
        // 2048 fills the transfer: its closing ZLP is a transfer of its own;
        // 5000 comes in three pieces, the last of which looks like a frame.
        for length in [1515, 1600, 2047, 2048, 2049 + 100, 5000, 4096] {
            assert!(rig.device().push_frame(frame(length, 1)));
            assert!(rig.device().push_frame(frame(99, length)));
            let mut got = Vec::new();
            for _ in 0..8 {
                rig.poll();
                got.extend(rig.receive());
            }
            assert_eq!(got, [frame(99, length)], "{length}");
        }
        assert!(rig.net.statistics().oversize_in >= 7);
        rig.assert_clean();
    }
}

#[test]
fn a_busy_pipe_takes_no_second_frame() {
    let mut rig = Rig::running(EcmFunction::high_speed(MAC));
    assert!(rig.net.can_transmit());
    assert!(rig.transmit(&frame(60, 1)));
    assert!(!rig.net.can_transmit());
    assert!(!rig.net.transmit(rig.now, 60, &mut |_| panic!("no room")));
    rig.poll();
    assert!(rig.net.can_transmit());
    assert_eq!(rig.net.statistics().frames_out, 1);
}
