//! From the host to the wire.

use super::*;

#[test]
fn golden_frame() {
    let mut lan = running();
    let mut transfer = vec![0x2A, 0x30, 0x00, 0x00, 0x2A, 0x00, 0x00, 0x00];
    transfer.extend(ARP);
    assert_eq!(lan.packet_out(BULK_OUT, &transfer), Answer::Ack);
    let frame = lan.pop_frame().expect("on the wire");
    assert_eq!(frame.len(), 60, "padded, and no check sequence to be seen");
    assert_eq!((&frame[..42], &frame[42..]), (&ARP[..], &[0; 18][..]));
    assert_eq!(lan.pop_frame(), None);
}

#[test]
fn full_packets_are_held_until_a_short_one_comes() {
    let mut lan = running();
    let transfer = commanded(&frame([0xFF; 6], 504));
    assert_eq!(lan.packet_out(BULK_OUT, &transfer), Answer::Ack);
    assert_eq!((lan.pop_frame(), lan.unfinished()), (None, 512));
    assert_eq!(lan.packet_out(BULK_OUT, &[]), Answer::Ack);
    assert_eq!(lan.pop_frame(), Some(frame([0xFF; 6], 504)));
}

#[test]
fn one_transfer_may_hold_several_frames_or_a_frame_in_pieces() {
    let mut lan = running();
    let mut transfer = commanded(&frame([0xFF; 6], 61));
    transfer.resize(72, 0);
    transfer.extend(commanded(&frame(MAC, 64)));
    assert_eq!(send(&mut lan, &transfer), Answer::Ack);
    assert_eq!(lan.pop_frame(), Some(frame([0xFF; 6], 61)));
    assert_eq!(lan.pop_frame(), Some(frame(MAC, 64)));

    let whole = frame(MAC, 100);
    let mut pieces = Vec::new();
    // 40 bytes two into their buffer, then 60.
    pieces.extend((40_u32 | 2 << 16 | 1 << 13).to_le_bytes());
    pieces.extend([100, 0, 0, 0, 0xEE, 0xEE]);
    pieces.extend(&whole[..40]);
    pieces.resize(52, 0);
    pieces.extend((60_u32 | 1 << 12).to_le_bytes());
    pieces.extend([100, 0, 0, 0]);
    pieces.extend(&whole[40..]);
    assert_eq!(send(&mut lan, &pieces), Answer::Ack);
    assert_eq!(lan.pop_frame(), Some(whole));
}

#[test]
fn command_words_that_disagree_end_it() {
    let good = commanded(&frame(MAC, 100));
    let mut disagree = good.clone();
    disagree[4] = 101;
    let mut long = good.clone();
    (long[0], long[4]) = (200, 200);
    let mut short = good.clone();
    (short[0], short[4]) = (60, 60);
    let mut no_first = good.clone();
    no_first[1] = 0x10;
    let mut offset = good.clone();
    offset[2] = 4;
    for bad in [disagree, long, short, no_first, offset, good[..7].to_vec()] {
        let mut lan = running();
        assert_eq!(send(&mut lan, &bad), Answer::Ack);
        assert_eq!(send(&mut lan, &good), Answer::Ack, "swallowed");
        assert_eq!(lan.pop_frame(), None);
        assert_eq!((lan.counters.lost_sync, lan.counters.discarded), (1, 108));
        assert_eq!(read(&mut lan, INT_STS), 1 << 14);
    }
}

#[test]
fn a_stalled_transmit_path_wants_both_cures() {
    let mut lan = running();
    write(&mut lan, HW_CFG, 1 << 8);
    let good = commanded(&frame(MAC, 100));
    let mut bad = good.clone();
    bad[4] = 101;
    assert_eq!(send(&mut lan, &bad), Answer::Stall);
    assert_eq!(send(&mut lan, &good), Answer::Stall);
    let clear = request(0x02, 1, 0, 0x02, 0);
    assert_eq!(lan.control(clear, &[]), Answer::Ack);
    assert_eq!(send(&mut lan, &good), Answer::Stall, "still out of step");
    write(&mut lan, HW_CFG, 8);
    wait(&mut lan, 2_000);
    assert_eq!(send(&mut lan, &good), Answer::Stall, "still halted");
    assert_eq!(lan.control(clear, &[]), Answer::Ack);
    assert_eq!(send(&mut lan, &good), Answer::Ack);
    write(&mut lan, TX_CFG, 4);
    write(&mut lan, MAC_CR, 8);
    assert_eq!(lan.pop_frame(), Some(frame(MAC, 100)), "kept until the transmitter runs");
    assert_eq!(lan.counters.wrong_duplex, 1);
}

#[test]
fn sizes_and_check_sequences() {
    let mut lan = running();
    let with_command = |frame: &[u8], bits: u16| {
        let mut bytes = commanded(frame);
        bytes[5] |= (bits >> 8) as u8;
        bytes
    };
    send(&mut lan, &with_command(&ARP, 1 << 12));
    send(&mut lan, &commanded(&frame(MAC, 1515)));
    assert_eq!(lan.counters.bad_size, 2);
    send(&mut lan, &commanded(&frame(MAC, 1514)));
    assert_eq!(lan.pop_frame().map(|frame| frame.len()), Some(1514));
    let mut own = frame(MAC, 60);
    own.extend(fcs(&own));
    send(&mut lan, &with_command(&own, 1 << 13));
    assert_eq!(lan.pop_frame(), Some(frame(MAC, 60)));
    own[63] ^= 1;
    send(&mut lan, &with_command(&own, 1 << 13));
    assert_eq!((lan.pop_frame(), lan.counters.bad_fcs), (None, 1));
}

#[test]
fn checksums_are_put_in() {
    let mut lan = running();
    write(&mut lan, COE_CR, 1 << 16);
    let body = frame(MAC, 80);
    let mut data = vec![14, 0, 24, 0];
    data.extend(&body);
    let mut transfer = commanded(&data);
    transfer[5] |= 1 << 6;
    send(&mut lan, &transfer);
    let got = lan.pop_frame().expect("a frame");
    let sum = got[14..].chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1]));
    // The sum over all, less what stood where the result was put.
    let before = u32::from(body[24]) << 8 | u32::from(body[25]);
    let folded = (sum.sum::<u32>() + before) % 0xFFFF;
    assert_eq!((got.len(), folded, lan.counters.mangled), (80, 0, 0));
    // The field in the last four bytes: known to go wrong.
    let mut data = vec![14, 0, 77, 0];
    data.extend(&body);
    let mut transfer = commanded(&data);
    transfer[5] |= 1 << 6;
    send(&mut lan, &transfer);
    assert_eq!(lan.counters.mangled, 1);
}

#[test]
fn a_full_fifo_puts_the_host_off() {
    let mut lan = running();
    lan.faults.tx_stuck = true;
    let transfer = commanded(&frame(MAC, 1514));
    let sent = (0..10).take_while(|_| send(&mut lan, &transfer) == Answer::Ack).count();
    assert_eq!((sent, lan.pop_frame()), (5, None));
    lan.faults.tx_stuck = false;
    wait(&mut lan, 1);
    assert_eq!(std::iter::from_fn(|| lan.pop_frame()).count(), 5);
}

#[test]
fn without_link_frames_are_lost_and_loopback_needs_none() {
    let mut lan = running();
    lan.set_link(false);
    send(&mut lan, &commanded(&frame([0xFF; 6], 60)));
    assert_eq!((lan.pop_frame(), lan.counters.no_link), (None, 1));
    write(&mut lan, MAC_CR, 1 << 21 | 0xC);
    send(&mut lan, &commanded(&frame([0xFF; 6], 60)));
    assert_eq!(fetch(&mut lan).map(|got| got.len()), Some(68));
}
