//! Descriptors, requests, and the two hosts the model runs behind.

use super::*;
use crate::dwc2::{Dwc2Model, Personality};
use crate::memory::Memory;
use crate::mockhost::MockHost;
use sk_hal::usb::{DeviceTarget, Port, UsbHost};
use std::cell::RefCell;
use std::rc::Rc;

fn get(lan: &mut Lan9512, kind: u8, length: u16) -> Answer {
    lan.control(request(0x80, 6, u16::from_be_bytes([kind, 0]), 0, length), &[])
}

#[test]
fn golden_descriptors() {
    let mut lan = Lan9512::new(LAN9512);
    let device = [18, 1, 0, 2, 0xFF, 0, 1, 64, 0x24, 0x04, 0x00, 0xEC, 0, 2, 0, 0, 0, 1];
    assert_eq!(get(&mut lan, 1, 18), Answer::Data(device.to_vec()));
    assert_eq!(get(&mut lan, 1, 8), Answer::Data(device[..8].to_vec()));
    let configuration = [
        9, 2, 39, 0, 1, 1, 0, 0xE0, 1, 9, 4, 0, 0, 3, 0xFF, 0, 0xFF, 0, 7, 5, 0x81, 2, 0, 2, 0, 7,
        5, 0x02, 2, 0, 2, 0, 7, 5, 0x83, 3, 16, 0, 4,
    ];
    assert_eq!(get(&mut lan, 2, 255), Answer::Data(configuration.to_vec()));
    assert_eq!(get(&mut lan, 3, 255), Answer::Stall, "no strings");
    let mut slow = Lan9512::new(LAN9500A).full_speed();
    let Answer::Data(bytes) = get(&mut slow, 2, 255) else { panic!("a configuration") };
    assert_eq!((bytes[22], bytes[23], bytes[38]), (64, 0, 1));
    for product in [LAN9512, LAN9500, LAN9500A, LAN9505, LAN9530] {
        let mut lan = Lan9512::new(product);
        lan.control(request(0, 9, 1, 0, 0), &[]);
        assert_eq!(read(&mut lan, ID_REV) >> 16, u32::from(product));
    }
}

#[test]
fn register_requests_are_taken_at_their_word() {
    let good = request(0xC0, 0xA1, 0, ID_REV, 4);
    let mut lan = Lan9512::new(LAN9512);
    assert_eq!(lan.control(good, &[]), Answer::Stall, "not configured");
    let mut lan = configured();
    assert_eq!(lan.control(good, &[]), Answer::Data(vec![2, 0, 0, 0xEC]));
    let wrong = [
        request(0xC0, 0xA1, 0, 2, 4),
        request(0xC0, 0xA1, 0, 0x200, 4),
        request(0xC0, 0xA1, 0, ID_REV, 2),
        request(0xC0, 0xA1, 1, ID_REV, 4),
        request(0xC1, 0xA1, 0, ID_REV, 4),
        request(0xC0, 0xA0, 0, ID_REV, 4),
        request(0x40, 0xA0, 0, ID_REV, 4),
        request(0xC0, 0xA2, 0, 2, 4),
    ];
    for setup in wrong {
        assert_eq!(lan.control(setup, &[]), Answer::Stall, "{setup:x?}");
    }
    assert_eq!(lan.counters.refused, 8);
    let Answer::Data(bytes) = lan.control(request(0xC0, 0xA2, 0, 1, 40), &[]) else {
        panic!("statistics")
    };
    assert_eq!(bytes.len(), 40);
}

#[test]
fn requests_fail_when_told() {
    let mut lan = configured();
    let good = request(0xC0, 0xA1, 0, ID_REV, 4);
    lan.faults.stall_registers = 2;
    lan.faults.silent_registers = 1;
    let answers: Vec<_> = (0..4).map(|_| lan.control(good, &[])).collect();
    assert_eq!(answers[..3], [Answer::Silence, Answer::Stall, Answer::Stall]);
    assert!(matches!(answers[3], Answer::Data(_)));
    lan.faults.replies.push((ID_REV, vec![0xFF; 3]));
    assert_eq!(lan.control(good, &[]), Answer::Data(vec![0xFF; 3]));
    lan.faults.nak_out = true;
    assert_eq!(lan.packet_out(BULK_OUT, &[0]), Answer::Nak);
    lan.faults.broken.push(0x81);
    assert_eq!(lan.packet_in(BULK_IN, 512), Answer::Stall);
    lan.faults.gone = true;
    assert_eq!(lan.control(good, &[]), Answer::Silence);
    assert_eq!(lan.packet_in(INTERRUPT, 16), Answer::Silence);
    assert_eq!(lan.packet_out(BULK_OUT, &[0]), Answer::Silence);
}

#[test]
fn a_bus_reset_forgets() {
    let mut lan = running();
    lan.push_frame(ARP);
    lan.reset();
    assert_eq!((lan.configuration(), lan.pending(), lan.mac()), (0, 0, [0xFF; 6]));
    assert_eq!(lan.packet_in(BULK_IN, 512), Answer::Silence);
}

/// Runs one control transfer on the mock host, from `now` on.
fn transfer(host: &mut MockHost<Lan9512>, now: &mut u64, address: u8, setup: Setup) -> Vec<u8> {
    let target = DeviceTarget { address, speed: Speed::High, max_packet0: 64, behind: None };
    let out = 8_u32.to_le_bytes();
    let out = if setup.is_in() { &[][..] } else { &out[..setup.length.into()] };
    host.control(*now, target, setup, out).expect("started");
    loop {
        *now += 125;
        host.poll(*now);
        if let Some(result) = host.control_result() {
            return result.expect("succeeded").to_vec();
        }
    }
}

#[test]
fn time_passes_behind_the_mock_host() {
    let mut host = MockHost::new(Lan9512::new(LAN9512));
    let mut now = 0;
    while host.port() != Port::Ready(Speed::High) {
        now += 1_000;
        host.poll(now);
    }
    transfer(&mut host, &mut now, 0, request(0, 5, 3, 0, 0));
    now += 2_000;
    transfer(&mut host, &mut now, 3, request(0, 9, 1, 0, 0));
    transfer(&mut host, &mut now, 3, request(0x40, 0xA0, 0, HW_CFG, 4));
    let ask = request(0xC0, 0xA1, 0, HW_CFG, 4);
    assert_eq!(transfer(&mut host, &mut now, 3, ask), [8, 0, 0, 0]);
    host.poll(now + 2_000);
    assert_eq!(transfer(&mut host, &mut now, 3, ask), [0; 4]);
    host.poll(now + 2_000_000);
    assert!(host.function.link().is_some());
}

#[test]
fn time_passes_behind_the_register_model() {
    let lan = Rc::new(RefCell::new(Lan9512::new(LAN9512)));
    let core = Dwc2Model::new(Memory::default(), Personality::Silicon);
    core.attach(Box::new(lan.clone()));
    core.advance(1_000_000);
    assert_eq!(lan.borrow().link(), None);
    core.advance(1_000_000);
    assert!(lan.borrow().link().is_some());
}
