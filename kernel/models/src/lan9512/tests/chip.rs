//! Registers, resets, PHY and interrupt endpoint.

use super::*;

#[test]
fn reset_clears_itself_and_forgets_the_address() {
    let mut lan = running();
    assert_eq!(lan.mac(), MAC);
    write(&mut lan, HW_CFG, 8);
    assert_eq!(read(&mut lan, HW_CFG), 8);
    assert_eq!(read(&mut lan, ID_REV), 0, "nothing else answers meanwhile");
    write(&mut lan, ADDRL, 1);
    wait(&mut lan, 1_499);
    assert_eq!(read(&mut lan, HW_CFG), 8);
    wait(&mut lan, 1);
    assert_eq!(read(&mut lan, HW_CFG), 0);
    assert_eq!(read(&mut lan, ID_REV), 0xEC00_0002);
    assert_eq!(lan.mac(), [0xFF; 6], "what was written meanwhile is lost");
    assert_eq!(lan.counters.resets, 1);
    assert!(lan.link().is_some(), "the PHY is left alone");

    lan.faults.reset_sticks = true;
    write(&mut lan, HW_CFG, 8);
    wait(&mut lan, 60_000_000);
    assert_eq!(read(&mut lan, HW_CFG), 8);
}

#[test]
fn the_phy_reset_clears_itself() {
    let mut lan = running();
    write(&mut lan, PM_CTRL, 0x10);
    assert_eq!(read(&mut lan, PM_CTRL), 0x90);
    assert_eq!(lan.link(), None);
    wait(&mut lan, 2_000);
    assert_eq!(read(&mut lan, PM_CTRL), 0x80);
    wait(&mut lan, 1_797_999);
    assert_eq!(lan.link(), None);
    wait(&mut lan, 1);
    assert_eq!(lan.link(), Some(Link { fast: true, full: true }));
    lan.faults.phy_reset_sticks = true;
    write(&mut lan, PM_CTRL, 0x10);
    wait(&mut lan, 60_000_000);
    assert_eq!(read(&mut lan, PM_CTRL), 0x90);
}

#[test]
fn the_phy_negotiates_and_tells() {
    let mut lan = configured();
    assert_eq!((mii_read(&mut lan, 2), mii_read(&mut lan, 3)), (0x0007, 0xC0C3));
    assert_eq!(mii_read(&mut lan, 0), 0x3000);
    assert_eq!(mii_read(&mut lan, 1), 0x7809);
    mii_write(&mut lan, 0, 0x8000);
    assert_eq!(mii_read(&mut lan, 0), 0xB000);
    wait(&mut lan, 500);
    assert_eq!(mii_read(&mut lan, 0), 0x3000);
    mii_write(&mut lan, 4, 0x0DE1);
    mii_write(&mut lan, 30, 0x50);
    mii_write(&mut lan, 0, 0x3200);
    assert_eq!(mii_read(&mut lan, 0), 0x3000, "the restart bit clears itself");
    write(&mut lan, INT_EP_CTL, 0x8000);
    assert_eq!(lan.packet_in(INTERRUPT, 16), Answer::Nak);
    wait(&mut lan, 2_000_000);
    assert_eq!(lan.packet_in(INTERRUPT, 16), Answer::Data(vec![0, 0x80, 0, 0]));
    assert_eq!(mii_read(&mut lan, 29), 0x40);
    assert_eq!(mii_read(&mut lan, 29), 0, "reading clears");
    assert_eq!(lan.packet_in(INTERRUPT, 16), Answer::Nak);
    assert_eq!(mii_read(&mut lan, 1), 0x7829, "link status latches low");
    assert_eq!(mii_read(&mut lan, 1), 0x782D);
    assert_eq!(mii_read(&mut lan, 5), 0xCDE1);
    assert_eq!(mii_read(&mut lan, 31), 0x1018);
    assert_eq!(mii_read(&mut lan, 17), 2, "energy");

    lan.set_link(false);
    assert_eq!(read(&mut lan, INT_STS), 0x8000);
    assert_eq!(mii_read(&mut lan, 29), 0x10);
    lan.set_link(true);
    wait(&mut lan, 2_000_000);
    assert_eq!(mii_read(&mut lan, 1) & 4, 0, "the loss is told, though it is up again");
    assert_eq!(mii_read(&mut lan, 1) & 4, 4);
}

#[test]
fn the_slower_end_decides() {
    let cases = [(0x41E1, true, true), (0x40A1, true, false), (0x4061, false, true)];
    for (partner, fast, full) in cases {
        let mut lan = Lan9512::new(LAN9512);
        lan.set_partner(partner);
        lan.set_autoneg_time(10);
        lan.advance(10);
        assert_eq!(lan.link(), Some(Link { fast, full }), "{partner:#x}");
    }
    let mut lan = Lan9512::new(LAN9512);
    lan.set_partner(0x4001);
    lan.advance(10_000_000);
    assert_eq!(lan.link(), None, "nothing in common");
}

#[test]
fn the_mii_has_one_phy_and_takes_its_time() {
    let mut lan = configured();
    write(&mut lan, MII_ADDR, 3 << 11 | 2 << 6 | 1);
    wait(&mut lan, 30);
    assert_eq!(read(&mut lan, MII_DATA), 0xFFFF);
    write(&mut lan, MII_ADDR, 1 << 11 | 2 << 6 | 1);
    write(&mut lan, MII_ADDR, 1 << 11 | 3 << 6 | 1);
    wait(&mut lan, 30);
    assert_eq!(read(&mut lan, MII_DATA), 0x0007, "the first of the two");
    assert_eq!(lan.counters.mii_overlaps, 1);
    lan.faults.mii_sticks = true;
    write(&mut lan, MII_ADDR, 1 << 11 | 3 << 6 | 1);
    wait(&mut lan, 10_000_000);
    assert_eq!(read(&mut lan, MII_ADDR) & 1, 1);
}

#[test]
fn without_an_eeprom_its_commands_time_out() {
    let mut lan = configured();
    write(&mut lan, E2P_CMD, 1 << 31 | 1);
    assert_eq!(read(&mut lan, E2P_CMD) >> 31, 1);
    wait(&mut lan, 30_000);
    assert_eq!(read(&mut lan, E2P_CMD), 1 << 10 | 1);

    let mut lan = Lan9512::new(LAN9500).with_eeprom([&[0xA5][..], &MAC].concat());
    assert_eq!(lan.mac(), MAC);
    lan.control(request(0, 9, 1, 0, 0), &[]);
    write(&mut lan, E2P_CMD, 1 << 31 | 3);
    wait(&mut lan, 100);
    assert_eq!((read(&mut lan, E2P_CMD) & 0x8000_0400, read(&mut lan, E2P_DATA)), (0, 0xEB));
}

#[test]
fn reserved_bits_and_registers_hold_nothing() {
    let mut lan = configured();
    write(&mut lan, BURST_CAP, !0);
    assert_eq!(read(&mut lan, BURST_CAP), 0xFF);
    write(&mut lan, ID_REV, !0);
    assert_eq!(read(&mut lan, ID_REV), 0xEC00_0002);
    write(&mut lan, 0x40, !0);
    assert_eq!((read(&mut lan, 0x40), lan.counters.reserved), (0, 1));
    write(&mut lan, MAC_CR, !(1 << 31));
    assert_eq!(read(&mut lan, MAC_CR), 0x00BF_BDEC);
}

#[test]
fn the_cable_flaps() {
    let mut lan = running();
    lan.set_autoneg_time(100);
    lan.faults.flap = Some(1_000_000);
    let mut changes = 0;
    let mut up = lan.link().is_some();
    for _ in 0..100 {
        wait(&mut lan, 100_000);
        changes += u32::from(up != lan.link().is_some());
        up = lan.link().is_some();
    }
    assert!((9..=12).contains(&changes), "{changes}");
}

#[test]
fn the_interrupt_endpoint_can_be_noisy() {
    let mut lan = running();
    write(&mut lan, INT_EP_CTL, 1 << 31);
    assert_eq!(lan.packet_in(INTERRUPT, 16), Answer::Data(vec![0; 4]));
    lan.faults.interrupt = Some(vec![1, 2]);
    assert_eq!(lan.packet_in(INTERRUPT, 16), Answer::Data(vec![1, 2]));
    lan.faults.silent_interrupt = true;
    assert_eq!(lan.packet_in(INTERRUPT, 16), Answer::Nak);
}
