extern crate std;

use super::*;
use core::net::SocketAddrV4;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::vec;
use std::vec::Vec;

const KERNEL: u16 = 24_140;
const HOME: Address = Address {
    ip: Ipv4Addr::new(192, 168, 7, 2),
    prefix: 24,
    gateway: Some(Ipv4Addr::new(192, 168, 7, 1)),
};
const NEAR: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 9);
const FAR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);

fn sockets(memory: &mut [u8]) -> Sockets<'_> {
    let mut sockets = Sockets::new(memory, KERNEL, 0);
    sockets.begin(Policy::OwnSubnet, 1_000);
    sockets
}

fn meta(src: Ipv4Addr, to_port: u16) -> UdpMeta {
    UdpMeta {
        src: SocketAddrV4::new(src, 40_000),
        dst: SocketAddrV4::new(HOME.ip, to_port),
        broadcast: false,
    }
}

#[test]
fn the_kernels_ports_are_refused() {
    let mut memory = [];
    let mut sockets = sockets(&mut memory);
    for port in [24_139, 68, 5_353, KERNEL] {
        assert_eq!(sockets.bind(port), Err(BindError::Reserved));
    }
    sockets.bind_any();
    for port in [0, 24_139, 68, 5_353, KERNEL] {
        assert!(!sockets.wants(port), "{port}");
        if port != 0 {
            let sent = sockets.may_send(0, port, NEAR, 9, &HOME);
            assert_eq!(sent, Err(Refused::NotBound), "{port}");
        }
    }
    assert!(sockets.wants(1) && sockets.wants(65_535));
}

#[test]
fn ports_are_bound_once_and_eight_at_most() {
    let mut memory = [];
    let mut sockets = sockets(&mut memory);
    assert!(!sockets.is_bound() && !sockets.wants(7));
    assert_eq!(sockets.bind(7), Ok(7));
    assert_eq!(sockets.bind(7), Err(BindError::InUse));
    for port in 100..107 {
        assert_eq!(sockets.bind(port), Ok(port));
    }
    assert_eq!(sockets.bind(107), Err(BindError::NoRoom));
    assert_eq!(sockets.bind(0), Err(BindError::NoRoom));
    assert!(sockets.close(103) && !sockets.close(103));
    assert!(!sockets.wants(103) && sockets.wants(106));
    assert_eq!(sockets.bind(107), Ok(107));
    assert!(sockets.close(0) && !sockets.close(0));
    assert!(!sockets.is_bound());
}

#[test]
fn free_ports_are_ephemeral_and_go_on_with_the_next_task() {
    let mut memory = [];
    let mut sockets = Sockets::new(&mut memory, 65_535, 0xFFFE);
    assert_eq!(sockets.bind(0), Ok(65_534));
    // 65535 is the kernel's here.
    assert_eq!(sockets.bind(0), Ok(49_152));
    sockets.begin(Policy::OwnSubnet, 1);
    assert_eq!(sockets.bind(0), Ok(49_153));
}

#[test]
fn own_subnet_and_whoever_came_by() {
    let mut memory = [];
    let mut sockets = sockets(&mut memory);
    assert_eq!(sockets.may_send(0, 0, NEAR, 9, &HOME), Err(Refused::NotBound));
    sockets.bind(7).unwrap();
    assert_eq!(sockets.may_send(0, 0, NEAR, 9, &HOME), Ok(7));
    assert_eq!(sockets.may_send(0, 8, NEAR, 9, &HOME), Err(Refused::NotBound));
    assert_eq!(sockets.may_send(0, 7, Ipv4Addr::BROADCAST, 9, &HOME), Ok(7));
    assert_eq!(
        sockets.may_send(0, 7, Ipv4Addr::new(224, 0, 0, 251), 9, &HOME),
        Err(Refused::Denied)
    );
    assert_eq!(sockets.may_send(0, 7, FAR, 9, &HOME), Err(Refused::Denied));
    sockets.heard(&meta(FAR, 7), Some(HOME));
    assert_eq!(sockets.may_send(0, 7, FAR, 9, &HOME), Ok(7));
    // Eight others came by: it is forgotten.
    for n in 1..=8 {
        sockets.heard(&meta(Ipv4Addr::new(203, 0, 113, n), 7), Some(HOME));
    }
    assert_eq!(sockets.may_send(0, 7, FAR, 9, &HOME), Err(Refused::Denied));
}

#[test]
fn a_list_is_all_there_is() {
    let mut memory = [];
    let mut sockets = sockets(&mut memory);
    let to = Destination { ip: [198, 51, 100, 0], prefix: 24, port_min: 9, port_max: 10 };
    sockets.begin(Policy::Listed([to].into_iter().collect()), 1_000);
    sockets.bind(7).unwrap();
    sockets.heard(&meta(Ipv4Addr::new(203, 0, 113, 1), 7), Some(HOME));
    assert_eq!(sockets.may_send(0, 7, FAR, 9, &HOME), Ok(7));
    assert_eq!(sockets.may_send(0, 7, FAR, 11, &HOME), Err(Refused::Denied));
    for ip in [NEAR, Ipv4Addr::new(203, 0, 113, 1)] {
        assert_eq!(sockets.may_send(0, 7, ip, 9, &HOME), Err(Refused::Denied));
    }
    sockets.begin(Policy::Listed(heapless::Vec::new()), 1_000);
    sockets.bind(7).unwrap();
    assert_eq!(sockets.may_send(0, 7, NEAR, 9, &HOME), Err(Refused::Denied));
    let any = Destination { ip: [0; 4], prefix: 0, port_min: 0, port_max: 65_535 };
    assert!(any.covers(u32::from(FAR), 1));
}

#[test]
fn never_more_than_the_rate_over_time() {
    for rate in [1, 3, 1_000, 300_000, 2_000_000_000] {
        let mut pace = Pace::new(rate);
        let window = 4_000_000u64;
        let step = (window / 40_000).max(1);
        let granted = (0..window)
            .step_by(step as usize)
            .map(|t| (0..40).filter(|_| pace.take(t).is_ok()).count() as u64)
            .sum::<u64>();
        let most = u64::from(rate) * window / 1_000_000 + (u64::from(rate) / 10).max(16);
        assert!(granted <= most, "{rate}: {granted}");
        assert!(rate > 1_000 || granted + 2 >= most, "{rate}: {granted} of {most}");
    }
}

#[test]
fn a_time_is_told_at_which_it_works() {
    let mut pace = Pace::new(1_000);
    let mut now = 5_000_000;
    while pace.take(now).is_ok() {}
    for _ in 0..100 {
        let Err(Some(at)) = pace.take(now) else { panic!("too fast") };
        assert!(at > now && at <= now + 1_000);
        assert!(pace.take(at - 1).is_err());
        now = at;
        assert_eq!(pace.take(now), Ok(()));
    }
    pace.give_back();
    assert_eq!(pace.take(now), Ok(()));
    assert_eq!(Pace::new(0).take(now), Err(None));
}

#[test]
fn nothing_stays_of_a_task() {
    let mut memory = vec![0u8; 4_096];
    {
        let mut sockets = sockets(&mut memory);
        sockets.bind(7).unwrap();
        sockets.bind_any();
        sockets.heard(&meta(FAR, 7), Some(HOME));
        for _ in 0..10 {
            sockets.keep(&meta(FAR, 7), &[0xAB; 500]);
        }
        assert!(sockets.lost() > 0);
        assert!(sockets.take(&mut [0; 10]).is_some());
        sockets.end();
        assert!(!sockets.is_bound() && sockets.lost() == 0);
        assert_eq!(sockets.take(&mut [0; 10]), None);
        sockets.begin(Policy::OwnSubnet, 1_000);
        sockets.bind(7).unwrap();
        assert_eq!(sockets.may_send(0, 7, FAR, 9, &HOME), Err(Refused::Denied));
    }
    assert!(memory.iter().all(|b| *b == 0));
}

#[test]
fn a_short_buffer_gets_the_start() {
    let mut memory = vec![0u8; 100];
    let mut sockets = sockets(&mut memory);
    sockets.keep(&UdpMeta { broadcast: true, ..meta(NEAR, 7) }, b"datagram");
    let mut buf = [0; 4];
    let got = sockets.take(&mut buf).unwrap();
    assert_eq!(&buf, b"data");
    assert_eq!((got.len, got.port, got.broadcast), (8, 7, true));
    assert_eq!(got.src, SocketAddrV4::new(NEAR, 40_000));
}

proptest! {
    /// The ring against a queue without limits: everything kept comes out in
    /// order and whole; something is lost only if there is no room.
    #[test]
    fn the_ring_is_a_queue(
        size in 0usize..6_000,
        steps in prop::collection::vec((any::<bool>(), 0usize..1_500, any::<u16>()), 1..200),
    ) {
        let mut memory = vec![0u8; size];
        let mut queue = Queue::new(&mut memory);
        let mut model: VecDeque<(u16, Vec<u8>)> = VecDeque::new();
        let mut lost = 0;
        for (push, len, tag) in steps {
            if push {
                let payload: Vec<u8> = (0..len).map(|i| (i as u16 ^ tag) as u8).collect();
                queue.push(&meta(NEAR, tag), &payload);
                if queue.lost() == lost {
                    model.push_back((tag, payload));
                } else {
                    lost += 1;
                    let used: usize =
                        model.iter().map(|(_, p)| HEAD_LEN + p.len().next_multiple_of(4)).sum();
                    let need = HEAD_LEN + len.next_multiple_of(4);
                    // At worst the gap at the end is as long as the longest record.
                    prop_assert!(len > 1_472 || used + 1_484.max(need) + need > size);
                }
            } else {
                let mut buf = vec![0; 1_500];
                match (queue.pop(&mut buf), model.pop_front()) {
                    (None, None) => {}
                    (Some(got), Some((tag, payload))) => {
                        prop_assert_eq!((got.port, got.len), (tag, payload.len()));
                        prop_assert_eq!(&buf[..got.len], &payload[..]);
                    }
                    (got, expected) => prop_assert!(false, "{got:?} but {expected:?}"),
                }
            }
        }
    }
}

const HEAD_LEN: usize = 12;
