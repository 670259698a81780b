//! Which devices are taken, and how they are set up.

use super::rig::{CONFIGURED, MAC, MS, QUICK, Rig, SECOND, quick, variants};
use sk_hal::net::FrameDevice;
use sk_hal::usb::{Setup, Speed};
use sk_models::lan9512::{LAN9512, Lan9512, offset};
use sk_usb::{Driver, UsbEvent};

const PRODUCTS: [u16; 18] = [
    0xEC00, 0x9500, 0x9505, 0x9E00, 0x9E01, 0x9E08, 0x9530, 0x9730, 0x9900, 0x9901, 0x9902, 0x9903,
    0x9904, 0x9905, 0x9906, 0x9907, 0x9908, 0x9909,
];

#[test]
fn comes_up_by_deadlines_alone() {
    for (chip, speed) in
        [(Lan9512::new(LAN9512), Speed::High), (Lan9512::new(LAN9512).full_speed(), Speed::Full)]
    {
        let mut rig = Rig::new(chip);
        rig.run_by_deadlines(400 * MS);
        assert_eq!(
            rig.events,
            [UsbEvent::Attached { vendor: 0x0424, product: LAN9512, speed }, CONFIGURED]
        );
        assert!(!rig.net.link_up() && !rig.net.can_transmit());
        // Autonegotiation of the model takes 1.8 s; the interrupt endpoint tells
        // at once, so to say.
        rig.run_by_deadlines(2 * SECOND);
        assert_eq!(rig.events.get(2), Some(&UsbEvent::Link { up: true }));
        assert_eq!(rig.events.len(), 3);
        assert!(rig.net.link_up() && rig.net.can_transmit());
        assert!(rig.polls < 1_500, "{} polls", rig.polls);
        let adapter = rig.net.adapter().expect("an adapter");
        assert_eq!((adapter.driver, adapter.max_frame), (Driver::Smsc95xx, 1514));
        rig.echo(60, 1);
        rig.assert_clean();
    }
}

#[test]
fn every_product_is_taken() {
    for product in PRODUCTS {
        let mut chip = Lan9512::new(product);
        chip.set_autoneg_time(QUICK);
        let mut rig = Rig::running(chip);
        assert_eq!(rig.net.adapter().map(|a| (a.vendor, a.product)), Some((0x0424, product)));
        rig.echo(99, 1);
    }
}

#[test]
fn others_are_named_and_left_alone() {
    // A hub of the same maker, and another maker's device of the same number.
    for (vendor, product) in [(0x0424, 0x9514), (0x0425, LAN9512)] {
        let mut chip = quick();
        let ([v, w], [p, q]) = (u16::to_le_bytes(vendor), u16::to_le_bytes(product));
        chip.faults.replace.push((
            1,
            0,
            vec![18, 1, 0, 2, 0xFF, 0, 1, 64, v, w, p, q, 0, 2, 0, 0, 0, 1],
        ));
        let mut rig = Rig::new(chip);
        rig.run(SECOND);
        assert_eq!(rig.events.last(), Some(&UsbEvent::Unsupported { vendor, product }));
        assert_eq!(rig.host().open_pipes(), 0);
    }
}

#[test]
fn registers_hold_what_they_should() {
    for (chip, cap) in variants().into_iter().zip([8, 64]) {
        let mut rig = Rig::running(chip);
        let chip = rig.chip();
        assert_eq!(chip.mac(), MAC);
        for (register, value) in [
            // BIR, MEF, BCE; no offset, no stall on errors.
            (offset::HW_CFG, 0x1022),
            (offset::BURST_CAP, cap),
            (offset::BULK_IN_DLY, 0x100),
            (offset::LED_GPIO_CFG, 0x0111_0000),
            (offset::VLAN1, 0x8100),
            (offset::COE_CR, 0),
            (offset::INT_EP_CTL, 0xC000),
            (offset::INT_STS, 0),
            (offset::TX_CFG, 4),
            (offset::HASHH, 0),
            (offset::HASHL, 0),
        ] {
            assert_eq!(chip.register(register), value, "{register:#x}");
        }
        assert_eq!(chip.counters.refused, 0);
        rig.assert_clean();
    }
}

/// Registers written, in order, those of the MII left out.
fn written(requests: &[Setup]) -> Vec<u16> {
    let writes = requests.iter().filter(|s| (s.request_type, s.request) == (0x40, 0xA0));
    writes.map(|s| s.index).filter(|r| ![offset::MII_ADDR, offset::MII_DATA].contains(r)).collect()
}

#[test]
fn in_this_order() {
    use offset::*;
    let mut rig = Rig::running(quick());
    assert_eq!(
        written(&rig.chip().requests),
        [
            HW_CFG,
            PM_CTRL,
            ADDRL,
            ADDRH,
            HW_CFG,
            BURST_CAP,
            BULK_IN_DLY,
            HW_CFG,
            INT_STS,
            LED_GPIO_CFG,
            FLOW,
            AFC_CFG,
            VLAN1,
            COE_CR,
            HASHH,
            HASHL,
            MAC_CR,
            INT_EP_CTL,
            MAC_CR,
            TX_CFG,
            MAC_CR,
            // The link: interrupt acknowledged, duplex, flow control.
            INT_STS,
            MAC_CR,
            FLOW,
            AFC_CFG
        ]
    );
    // Every register request is a read or a write of four bytes.
    for setup in rig.chip().requests.iter().filter(|s| s.request_type & 0x60 == 0x40) {
        assert!(matches!((setup.request_type, setup.request), (0xC0, 0xA1) | (0x40, 0xA0)));
        assert_eq!((setup.value, setup.length), (0, 4));
    }
    // Nothing but a look at the reset until it has ended: 1.5 ms here.
    let vendor: Vec<_> =
        rig.chip().requests.iter().filter(|s| s.request_type & 0x60 == 0x40).copied().collect();
    assert_eq!(vendor[0].index, HW_CFG);
    assert!(vendor[1].is_in() && vendor[1].index == HW_CFG);
}

#[test]
fn the_link_settles_duplex_and_flow_control() {
    // What the partner can do; duplex, obey pause, ask for pause.
    for (partner, full, obey, ask) in [
        (0x01E1, true, false, false),
        (0x05E1, true, true, true),
        (0x0DE1, true, true, true),
        (0x09E1, true, true, false),
        (0x0441, true, true, true),
        (0x0081, false, false, true),
        (0x0481, false, false, true),
        (0x0021, false, false, true),
    ] {
        let mut chip = quick();
        chip.set_partner(partner);
        let mut rig = Rig::running(chip);
        let mac = rig.chip().register(offset::MAC_CR);
        // TXEN, RXEN, MCPAS, and FDPX or RCVOWN; no promiscuity, no filter on
        // broadcasts.
        let duplex = if full { 1 << 20 } else { 1 << 23 };
        assert_eq!(mac, 1 << 19 | 0xC | duplex, "{partner:#x}");
        let flow = if obey { 0xFFFF_0002 } else { 0 };
        assert_eq!(rig.chip().register(offset::FLOW), flow, "{partner:#x}");
        let afc = 0x00F8_30A0 | if ask { 0xF } else { 0 };
        assert_eq!(rig.chip().register(offset::AFC_CFG), afc, "{partner:#x}");
        rig.echo(64, 1);
        rig.assert_clean();
    }
}

#[test]
fn a_group_is_no_station() {
    for (given, used) in [
        ([0; 6], [2, 0, 0, 0, 0, 0]),
        ([0xFF; 6], [0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
        ([1, 2, 3, 4, 5, 6], [2, 2, 3, 4, 5, 6]),
        ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 1]),
    ] {
        let mut rig = Rig::with_mac(quick(), given);
        assert!(rig.until(SECOND, |rig| rig.net.link_up()));
        assert_eq!((rig.chip().mac(), rig.net.mac()), (used, Some(used)));
    }
}

#[test]
fn the_filter_lets_in_what_is_ours() {
    let mut rig = Rig::running(quick());
    for (to, ours) in [
        (MAC, true),
        ([0xFF; 6], true),
        ([0x01, 0x00, 0x5E, 0, 0, 0xFB], true),
        ([0x33, 0x33, 0, 0, 0, 1], true),
        ([0xb8, 0x27, 0xeb, 1, 2, 4], false),
        ([2, 2, 1, 0xeb, 0x27, 0xb8], false),
    ] {
        let mut bytes = vec![0; 60];
        bytes[..6].copy_from_slice(&to);
        assert_eq!(rig.chip().push_frame(bytes.clone()), ours, "{to:x?}");
        assert_eq!(rig.receive_all().len(), usize::from(ours), "{to:x?}");
    }
}
