//! Cables: the network's and the adapter's own.

use super::rig::{CONFIGURED, MAC, MS, QUICK, Rig, SECOND, quick, to_us};
use sk_hal::net::FrameDevice;
use sk_models::lan9512::{LAN9512, Lan9512, offset};
use sk_usb::UsbEvent;

fn links(rig: &Rig) -> Vec<bool> {
    let link = |event: &UsbEvent| match *event {
        UsbEvent::Link { up } => Some(up),
        _ => None,
    };
    rig.events.iter().filter_map(link).collect()
}

#[test]
fn a_thousand_flaps_of_the_link() {
    for silent in [false, true] {
        let mut rig = Rig::running(quick());
        rig.chip().faults.silent_interrupt = silent;
        let flaps = if silent { 300 } else { 1_000 };
        for round in 0..flaps {
            rig.chip().set_link(false);
            assert!(rig.soon(1_300 * MS, |rig| !rig.net.link_up()), "round {round}");
            assert!(!rig.transmit(&to_us(60, 1)) && !rig.net.can_transmit());
            rig.chip().set_link(true);
            assert!(rig.soon(1_300 * MS, |rig| rig.net.link_up()), "round {round}");
        }
        rig.echo(60, 1);
        let links = links(&rig);
        assert_eq!(links.len(), 2 * flaps + 1);
        assert!(links.iter().enumerate().all(|(i, up)| *up == i.is_multiple_of(2)));
        assert_eq!(rig.host().open_pipes(), 3);
        assert_eq!(rig.errors(), []);
        assert_eq!(rig.chip().counters.wrong_duplex, 0);
        rig.assert_clean();
    }
}

#[test]
fn a_link_lost_and_back_between_two_looks_is_settled_anew() {
    let mut rig = Rig::running(quick());
    rig.chip().faults.silent_interrupt = true;
    rig.run(2 * SECOND);
    // Another partner, who can do half duplex only.
    rig.chip().set_partner(0x0081);
    rig.chip().set_link(false);
    rig.chip().set_link(true);
    rig.run(1_500 * MS);
    assert_eq!(links(&rig), [true, false, true]);
    assert_eq!(rig.chip().register(offset::MAC_CR) >> 20 & 9, 8);
    rig.echo(60, 1);
    rig.assert_clean();
}

#[test]
fn without_an_interrupt_endpoint_the_link_is_found_by_looking() {
    let mut chip = Lan9512::new(LAN9512);
    chip.faults.silent_interrupt = true;
    let mut rig = Rig::new(chip);
    rig.run_by_deadlines(3 * SECOND);
    assert_eq!(rig.events.get(1..), Some(&[CONFIGURED, UsbEvent::Link { up: true }][..]));
    // And with no channel for it.
    let mut rig = Rig::new(quick());
    rig.host().channels = 2;
    rig.run_by_deadlines(3 * SECOND);
    assert!(rig.net.link_up());
    assert_eq!(rig.host().open_pipes(), 2);
    rig.echo(60, 1);
}

#[test]
fn no_cable_costs_little() {
    for cable in [false, true] {
        let mut rig = Rig::new(quick());
        rig.chip().set_link(cable);
        rig.run_by_deadlines(5 * SECOND);
        assert_eq!(rig.net.link_up(), cable);
        let (polls, requests) = (rig.polls, rig.host().log.len());
        rig.run_by_deadlines(20 * SECOND);
        let (polls, requests) = ((rig.polls - polls) / 20, (rig.host().log.len() - requests) / 20);
        println!("cable {cable}: {polls} polls, {requests} requests a second");
        assert!(requests <= if cable { 5 } else { 18 }, "{requests}");
        assert!(polls <= 60, "{polls}");
    }
}

#[test]
fn a_link_that_never_rests_is_looked_at_no_more_than_is_fit() {
    let mut rig = Rig::running(quick());
    rig.chip().faults.flap = Some(5 * MS);
    let before = rig.host().log.len();
    rig.run(20 * SECOND);
    let requests = (rig.host().log.len() - before) / 20;
    println!("{requests} requests a second");
    assert!(requests <= 250, "{requests}");
    rig.chip().faults.flap = None;
    rig.chip().set_link(true);
    assert!(rig.until(3 * SECOND, |rig| rig.net.link_up()));
    rig.run(2 * SECOND);
    rig.echo(60, 1);
    assert_eq!(rig.errors(), []);
}

#[test]
fn fifty_replugs_leave_nothing_behind() {
    let mut rig = Rig::running(quick());
    for round in 0..50 {
        // At any moment: in the port reset, bring-up, or later.
        rig.run((round * 37 % 400) * MS);
        for seed in 0..4 {
            rig.chip().push_frame(to_us(60, seed));
        }
        rig.poll();
        let _ = rig.receive();
        let _ = rig.transmit(&to_us(512, 1));
        rig.host().detach();
        rig.run(5 * MS);
        assert!(!rig.net.link_up() && rig.net.mac().is_none());
        assert_eq!(rig.host().open_pipes(), 0);
        // Another of its kind: it has forgotten everything.
        let mut chip = quick();
        chip.set_autoneg_time(QUICK + round * MS);
        rig.host().function = chip;
        rig.host().attach();
        if round % 3 == 0 {
            assert!(rig.until(SECOND, |rig| rig.net.link_up()), "round {round}");
            assert_eq!(rig.chip().mac(), MAC);
            rig.echo(200, 1);
        }
    }
    assert!(rig.until(SECOND, |rig| rig.net.link_up()));
    rig.echo(60, 1);
    assert_eq!(rig.host().open_pipes(), 3);
    assert_eq!(rig.errors(), []);
    // Some were pulled before they had been greeted.
    assert!((30..=50).contains(&rig.net.statistics().detaches));
}
