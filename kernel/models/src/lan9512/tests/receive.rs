//! From the wire to the host.

use super::*;

#[test]
fn golden_frame() {
    let mut lan = running();
    assert!(lan.push_frame(ARP));
    let got = fetch(&mut lan).expect("a frame");
    // 64 bytes with check sequence; broadcast, Ethernet type.
    assert_eq!(got[..4], [0x20, 0x20, 0x40, 0x00]);
    assert_eq!(got[4..46], ARP);
    assert_eq!(got[46..64], [0; 18], "padded by its sender");
    assert_eq!(got[64..], [0xE8, 0x6F, 0x4D, 0xF8]);
    assert_eq!(fetch(&mut lan), None);
}

#[test]
fn golden_frame_with_offset_and_checksum() {
    let mut lan = running();
    write(&mut lan, HW_CFG, 1 << 12 | 2 << 9);
    write(&mut lan, COE_CR, 1);
    lan.push_frame(ARP);
    let got = fetch(&mut lan).expect("a frame");
    assert_eq!(got[..6], [0x20, 0x20, 0x42, 0x00, 0, 0], "two more, and two of padding");
    assert_eq!(got[6..48], ARP);
    assert_eq!(got[66..], [0xE8, 0x6F, 0x4D, 0xF8, 0x24, 0x0A]);
}

#[test]
fn a_transfer_of_whole_packets_is_closed_by_an_empty_one() {
    let mut lan = running();
    lan.push_frame(frame(MAC, 504));
    let lengths: Vec<_> = (0..2).map(|_| lan.packet_in(BULK_IN, 512)).collect();
    assert!(matches!(&lengths[0], Answer::Data(bytes) if bytes.len() == 512));
    assert_eq!(lengths[1], Answer::Data(vec![]));
    assert_eq!(lan.packet_in(BULK_IN, 512), Answer::Nak);
}

#[test]
fn one_frame_a_transfer_or_several() {
    let mut lan = running();
    let frames = [frame(MAC, 61), frame(MAC, 62), frame(MAC, 63)];
    frames.iter().for_each(|frame| assert!(lan.push_frame(frame.clone())));
    for frame in &frames {
        assert_eq!(fetch(&mut lan).map(|got| got.len()), Some(8 + frame.len()));
    }
    write(&mut lan, HW_CFG, 1 << 12 | 1 << 5);
    frames.iter().for_each(|frame| assert!(lan.push_frame(frame.clone())));
    let got = fetch(&mut lan).expect("three frames");
    // 69 and 70 bytes fill up to whole words; the last is not filled.
    assert_eq!(got.len(), 72 + 72 + 71);
    for (frame, at) in frames.iter().zip([0, 72, 144]) {
        assert_eq!(got[at + 2..at + 4], [frame.len() as u8 + 4, 0]);
        assert_eq!(got[at + 4..][..frame.len()], frame[..]);
    }
    assert_eq!((lan.pending(), lan.counters.fetched), (0, 6));
}

#[test]
fn the_burst_cap_counts_whole_frames() {
    let mut lan = running();
    write(&mut lan, BURST_CAP, 5);
    write(&mut lan, HW_CFG, 1 << 12 | 1 << 5 | 2);
    for _ in 0..4 {
        // 1280 bytes with status and check sequence: two fill 2560 exactly.
        lan.push_frame(frame(MAC, 1272));
    }
    let packets: Vec<_> = (0..13)
        .map_while(|_| match lan.packet_in(BULK_IN, 512) {
            Answer::Data(bytes) => Some(bytes.len()),
            _ => None,
        })
        .collect();
    assert_eq!(packets, [512, 512, 512, 512, 512, 0, 512, 512, 512, 512, 512, 0]);
    lan.push_frame(frame(MAC, 1514));
    lan.push_frame(frame(MAC, 1514));
    assert_eq!(fetch(&mut lan).map(|got| got.len()), Some(1522));
}

#[test]
fn nothing_to_give_is_nak_or_empty() {
    let mut lan = running();
    assert_eq!(lan.packet_in(BULK_IN, 512), Answer::Nak);
    lan.faults.empty_ins = 1;
    assert_eq!(lan.packet_in(BULK_IN, 512), Answer::Data(vec![]));
    assert_eq!(lan.packet_in(BULK_IN, 512), Answer::Nak);
    write(&mut lan, HW_CFG, 0);
    assert_eq!(lan.packet_in(BULK_IN, 512), Answer::Data(vec![]));
}

#[test]
fn addresses_are_filtered() {
    const OTHER: [u8; 6] = [0xB8, 0x27, 0xEB, 0x12, 0x34, 0x57];
    const GROUP: [u8; 6] = [0x01, 0x00, 0x5E, 0x00, 0x00, 0x01];
    const RXEN: u32 = 4;
    let takes = |mac_cr: u32, to: [u8; 6]| {
        let mut lan = running();
        // Bit 31 of the 64: all-hosts, and no other of these.
        write(&mut lan, HASHL, 1 << 31);
        write(&mut lan, MAC_CR, mac_cr | RXEN);
        lan.push_frame(frame(to, 60))
    };
    let cases = [
        (0, [true, false, false, true]),
        (1 << 11, [true, false, false, false]),
        (1 << 13, [true, false, true, true]),
        (1 << 15 | 1 << 13, [false, false, true, true]),
        (1 << 17, [false, true, false, true]),
        (1 << 18, [true, true, true, true]),
        (1 << 19, [true, false, true, true]),
        (1 << 31, [true, true, true, true]),
    ];
    for (bits, expected) in cases {
        let got = [MAC, OTHER, GROUP, [0xFF; 6]].map(|to| takes(bits, to));
        assert_eq!(got, expected, "{bits:#x}");
    }
}

#[test]
fn golden_hash_positions() {
    let places = [([1, 0, 0x5E, 0, 0, 1], 31), ([1, 0, 0x5E, 0, 0, 0xFB], 15)];
    for (address, index) in places {
        assert_eq!(crate::lan9512::crc::hash_index(&address), index);
    }
    assert_eq!(crate::lan9512::crc::hash_index(&[0x33, 0x33, 0, 0, 0, 1]), 62);
    assert_eq!(fcs(b"123456789"), 0xCBF4_3926_u32.to_le_bytes());
}

#[test]
fn the_fifo_is_finite() {
    let mut lan = running();
    let taken = (0..20).filter(|_| lan.push_frame(frame(MAC, 1514))).count();
    // 20 KiB of 1524 bytes.
    assert_eq!((taken, lan.counters.overrun, lan.pending()), (13, 7, 13));
    assert_eq!(read(&mut lan, RX_FIFO_INF), 13 * 1524);
    assert_eq!(read(&mut lan, INT_STS), 1 << 11);
    write(&mut lan, INT_STS, 1 << 11);
    assert_eq!(read(&mut lan, INT_STS), 0);
    write(&mut lan, RX_CFG, 1);
    assert_eq!((lan.pending(), fetch(&mut lan)), (0, None));
}

#[test]
fn nothing_is_heard_without_link_or_receiver() {
    let mut lan = running();
    lan.set_link(false);
    assert!(!lan.push_frame(ARP));
    lan.set_link(true);
    wait(&mut lan, 2_000_000);
    assert!(lan.push_frame(ARP));
    write(&mut lan, MAC_CR, 8);
    assert!(!lan.push_frame(ARP));
    assert_eq!(lan.counters.deaf, 2);
    assert_eq!(read(&mut lan, INT_STS) & 1 << 16, 1 << 16, "stopped");
}

#[test]
fn long_frames_are_kept_out_or_marked() {
    let mut lan = running();
    assert!(!lan.push_frame(frame(MAC, 1515)));
    write(&mut lan, MAC_CR, 1 << 16 | 4);
    assert!(lan.push_frame(frame(MAC, 1515)));
    let got = fetch(&mut lan).expect("passed on");
    assert_eq!(got[..4], [0xA0, 0x80, 0xEF, 0x05]);
    write(&mut lan, MAC_CR, 4);
    write(&mut lan, VLAN1, 0x8100);
    let mut tagged = frame(MAC, 1518);
    tagged[12..14].copy_from_slice(&[0x81, 0]);
    assert!(lan.push_frame(tagged));
    assert_eq!(lan.counters.too_long, 2);
}

#[test]
fn status_words_lie_when_told() {
    let mut lan = running();
    lan.faults.rx.extend([
        RxFault::None,
        RxFault::Length(0),
        RxFault::TooLong(100),
        RxFault::TooShort(50),
        RxFault::Status(0x8002),
        RxFault::Fcs,
        RxFault::Cut(2),
    ]);
    for _ in 0..8 {
        lan.push_frame(ARP);
    }
    let words: Vec<Vec<u8>> = (0..8).filter_map(|_| fetch(&mut lan)).collect();
    let lengths: Vec<u8> = words.iter().map(|w| w.get(2).copied().unwrap_or(0xEE)).collect();
    assert_eq!(lengths, [64, 0, 164, 14, 64, 64, 0xEE, 64]);
    assert_eq!(words[4][..2], [0x22, 0xA0]);
    assert_ne!(words[5][64..], words[0][64..]);
    assert_eq!(words[6].len(), 2);
    lan.faults.babble = true;
    assert_eq!(lan.packet_in(BULK_IN, 512), Answer::Babble);
}

#[test]
fn a_flood_never_ends() {
    let mut lan = running();
    let frame = frame(lan.mac(), 60);
    lan.faults.flood = Some(frame.clone());
    let mut taken = 0;
    for _ in 0..100 {
        let transfer = fetch(&mut lan).expect("there is always one");
        taken += transfer.len() / 68;
        // Status word, frame, check sequence.
        assert_eq!(transfer[4..64], frame);
        // The next burst is waiting already, as much as the FIFO holds.
        assert!(lan.pending() > 0);
    }
    assert!(taken >= 100, "{taken}");
    assert_eq!(lan.counters.overrun, 0);
    lan.faults.flood = None;
    while fetch(&mut lan).is_some() {}
    assert_eq!(lan.counters.received, lan.counters.fetched);
}
