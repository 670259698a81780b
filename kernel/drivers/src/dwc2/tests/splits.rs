//! Full- and low-speed devices behind a high-speed hub. The model panics on a
//! split a transaction translator would choke on.

use super::*;
use sk_models::dwc2::Fault;
use sk_models::hub::Hub;
use sk_models::lowspeed::Mouse;

const HUB: u8 = 3;
const PORT: u8 = 2;

/// A rig with a hub, and `function` addressed and configured on its port 2.
fn behind_hub(function: Box<dyn UsbFunction>) -> (Rig, Hub) {
    let speed = function.speed();
    let mut rig = Rig::bare(SILICON, Speed::High);
    let hub = Hub::high_speed(3);
    rig.model.attach(Box::new(hub.clone()));
    assert!(rig.until(2_000_000, |r| r.host.port() == Port::Ready(Speed::High)));
    rig.request(0, setup(0x00, 5, HUB.into(), 0)).expect("SET_ADDRESS");
    rig.request(HUB, setup(0x00, 9, 1, 0)).expect("SET_CONFIGURATION");
    rig.behind = Some((HUB, PORT));
    hub_request(&mut rig, 8);
    hub.plug(PORT, function);
    rig.run(150_000);
    hub_request(&mut rig, 4);
    rig.run(40_000);
    assert!(hub.enabled(PORT));
    rig.speed = speed;
    rig.request(0, setup(0x00, 5, 7, 0)).expect("SET_ADDRESS");
    rig.run(2_000);
    rig.request(7, setup(0x00, 9, 1, 0)).expect("SET_CONFIGURATION");
    (rig, hub)
}

fn hub_request(rig: &mut Rig, feature: u16) {
    let request = Setup { index: PORT.into(), ..setup(0x23, 3, feature, 0) };
    rig.request(HUB, request).expect("SET_FEATURE");
}

fn full_speed() -> (Rig, Hub) {
    let rig = Rig::bare(SILICON, Speed::Full);
    let device = rig.device;
    let (mut rig, hub) = behind_hub(Box::new(TestDevice(device.clone(), Speed::Full)));
    rig.device = device;
    (rig, hub)
}

/// Faults a split can meet and get over, in small numbers.
const PASSING: [Fault; 5] =
    [Fault::Nyet, Fault::Lost, Fault::EmptyHalt, Fault::DoubleHalt(200), Fault::LostInterrupt];

#[test]
fn control_at_full_speed() {
    for latency in [1, 2, 9] {
        let (mut rig, hub) = full_speed();
        hub.set_latency(latency);
        for (i, len) in [0, 1, 63, 64, 65, 128, 130, 255].into_iter().enumerate() {
            let (request, reply) = (0x40 + i as u8, pattern(len, len));
            rig.device.borrow_mut().replies.push((request, reply.clone()));
            assert_eq!(rig.request(7, setup(0xC0, request, 0, 255)), Ok(reply), "{len}");
        }
        for len in [0, 1, 64, 100, 128, 1000] {
            let out = pattern(len, 3);
            let s = setup(0x40, 0x20, 9, len as u16);
            assert_eq!(rig.control(7, s, &out), Ok(Vec::new()));
            assert_eq!(rig.device.borrow().requests.last(), Some(&(s, out)));
        }
        assert_eq!(rig.request(7, setup(0x80, 0x33, 0, 8)), Err(TransferError::Stall));
        assert_eq!(rig.descriptor().expect("goes on").len(), 18);
        assert_eq!(rig.host.stats().split_nyets > 0, latency > 1);
        assert_eq!(hub.held(), 0);
        rig.assert_no_leak();
    }
}

#[test]
fn a_low_speed_device() {
    let mouse = Rc::new(RefCell::new(Mouse::default()));
    let (mut rig, hub) = behind_hub(Box::new(mouse.clone()));
    // Several packets of 8 bytes each.
    let configuration = rig.request(7, setup(0x80, 6, 0x200, 255)).expect("read");
    assert_eq!(configuration.len(), 34);
    assert_eq!(configuration[..4], [9, 2, 34, 0]);
    let kind = PipeKind::InterruptIn { every: 10_000 };
    let config = PipeConfig { target: rig.target(7), endpoint: 1, max_packet: 4, kind };
    let pipe = rig.host.open(rig.now(), config, 4).expect("opens");
    rig.run(100_000);
    assert_eq!(rig.receive(pipe), None);
    for n in 0..20_u8 {
        mouse.borrow_mut().reports.push_back([n; 4]);
        assert_eq!(rig.wait_receive(pipe), Ok(std::vec![n; 4]));
        // At every microframe of a frame.
        rig.run(10_000 + u64::from(n) * 125);
    }
    assert_eq!(rig.host.stats().split_late, 0);
    let now = rig.now();
    rig.host.close(now, pipe);
    rig.run(100_000);
    assert_eq!(hub.held(), 0);
    rig.assert_no_leak();
}

#[test]
fn bulk_both_ways() {
    for latency in [1, 3] {
        let (mut rig, hub) = full_speed();
        hub.set_latency(latency);
        let (rx, tx) = (rig.open(PipeKind::BulkIn), rig.open(PipeKind::BulkOut));
        for len in [1, 63, 64, 65, 128, 700, 1514] {
            let bytes = pattern(len, len);
            rig.send(tx, &bytes).expect("room");
            rig.device.borrow_mut().to_send.push_back(bytes.clone());
            assert_eq!(rig.wait_receive(rx), Ok(bytes.clone()));
            assert!(rig.until(500_000, |r| r.device.borrow().frames.last() == Some(&bytes)));
        }
        let now = rig.now();
        rig.host.close(now, rx);
        rig.host.close(now, tx);
        rig.run(100_000);
        assert_eq!(rig.host.stats().disables, 0, "splits halt by themselves");
        rig.assert_no_leak();
    }
}

#[test]
fn an_idle_bulk_in_is_asked_ever_more_slowly() {
    let (mut rig, _) = full_speed();
    let rx = rig.open(PipeKind::BulkIn);
    rig.run(1_000_000);
    let before = rig.model.seen().start_splits;
    rig.run(1_000_000);
    let rounds = rig.model.seen().start_splits - before;
    assert!((150..=210).contains(&rounds), "{rounds}");
    rig.device.borrow_mut().to_send.push_back(pattern(200, 1));
    let asked = rig.now();
    assert_eq!(rig.wait_receive(rx), Ok(pattern(200, 1)));
    assert!(rig.now() - asked < 8_000);
}

#[test]
fn interrupt_packets_keep_to_their_microframes() {
    for latency in [1, 2, 3] {
        let (mut rig, hub) = full_speed();
        hub.set_latency(latency);
        let pipe = rig.open(PipeKind::InterruptIn { every: 5_000 });
        for n in 0..40_usize {
            rig.device.borrow_mut().events.push_back(pattern(8, n));
            assert_eq!(rig.wait_receive(pipe), Ok(pattern(8, n)), "{latency} {n}");
            rig.run(n as u64 * 130);
        }
        assert_eq!(rig.host.stats().split_late, 0);
        assert_eq!(rig.host.stats().toggle_errors, 0);
    }
}

/// A payload has the processor and the driver its turn once a millisecond.
#[test]
fn polled_once_a_millisecond() {
    let mut late = 0;
    for phase in 0..8 {
        let (mut rig, _) = full_speed();
        let (rx, tx) = (rig.open(PipeKind::BulkIn), rig.open(PipeKind::BulkOut));
        let pipe = rig.open(PipeKind::InterruptIn { every: 5_000 });
        rig.run(1_000 + phase * 125);
        (rig.polled, rig.next_poll) = (Some(1_000), rig.now());
        let bytes = pattern(300, 1);
        rig.send(tx, &bytes).expect("room");
        rig.device.borrow_mut().to_send.push_back(bytes.clone());
        assert_eq!(rig.wait_receive(rx), Ok(bytes.clone()));
        assert!(rig.until(500_000, |r| r.device.borrow().frames.last() == Some(&bytes)));
        rig.run(50_000);
        // An interrupt packet's result does not wait so long: it is not fetched,
        // or not even asked for, and is when there is time.
        late += rig.host.stats().split_late;
        rig.polled = None;
        rig.run(20_000);
        rig.device.borrow_mut().events.push_back(pattern(3, 3));
        assert_eq!(rig.wait_receive(pipe), Ok(pattern(3, 3)));
    }
    assert!(late > 0);
}

#[test]
fn passing_faults_are_got_over() {
    for fault in PASSING {
        for (endpoint, times) in [(0, 1), (0x80, 1), (0x81, 1), (2, 1), (0x81, 2), (2, 2)] {
            for at in 0..6 {
                let (mut rig, _) = full_speed();
                let (rx, tx) = (rig.open(PipeKind::BulkIn), rig.open(PipeKind::BulkOut));
                rig.run(3_000);
                rig.model.faults(|f| {
                    if at > 0 {
                        f.inject(endpoint, Fault::None, at);
                    }
                    f.inject(endpoint, fault, times);
                });
                assert_eq!(rig.descriptor().expect("read").len(), 18, "{fault:?}");
                let bytes = pattern(150, 7);
                rig.send(tx, &bytes).expect("room");
                rig.device.borrow_mut().to_send.push_back(bytes.clone());
                assert_eq!(rig.wait_receive(rx), Ok(bytes.clone()), "{fault:?} {endpoint} {at}");
                let sent = rig.until(500_000, |r| r.device.borrow().frames.len() == 1);
                assert!(sent, "{fault:?} {endpoint} {at}");
                assert_eq!(rig.device.borrow().frames[0], bytes);
            }
        }
    }
}

#[test]
fn lost_acknowledgements() {
    for endpoint in [0x81, 2] {
        for at in [1, 3, 5, 7] {
            let (mut rig, _) = full_speed();
            let (rx, tx) = (rig.open(PipeKind::BulkIn), rig.open(PipeKind::BulkOut));
            let bytes = pattern(200, 7);
            rig.device.borrow_mut().to_send.push_back(bytes.clone());
            rig.model.faults(|f| {
                f.inject(endpoint, Fault::None, at);
                f.inject(endpoint, Fault::AckLost, 1);
            });
            rig.send(tx, &bytes).expect("room");
            assert_eq!(rig.wait_receive(rx), Ok(bytes.clone()));
            assert!(rig.until(500_000, |r| r.device.borrow().frames.len() == 1));
            assert_eq!(rig.device.borrow().frames[0], bytes);
        }
    }
}

#[test]
fn lasting_faults_end_in_an_error_and_a_stale_buffer() {
    for (fault, error) in [
        (Fault::Lost, TransferError::Transaction),
        (Fault::Nyet, TransferError::Transaction),
        (Fault::EmptyHalt, TransferError::Transaction),
        (Fault::Babble, TransferError::Babble),
        (Fault::AhbError, TransferError::Bus),
    ] {
        let (mut rig, _) = full_speed();
        let tx = rig.open(PipeKind::BulkOut);
        rig.model.faults(|f| f.inject(2, fault, 1_000));
        rig.send(tx, &pattern(150, 7)).expect("room");
        let mut told = None;
        rig.until(2_000_000, |r| {
            told = r.host.send_error(tx);
            told.is_some()
        });
        let expected = if error == TransferError::Bus { TransferError::Gone } else { error };
        assert_eq!(told, Some(expected), "{fault:?}");
        if error == TransferError::Bus {
            continue;
        }
        let stale = rig.host.stale_split().expect("noted");
        assert_eq!((stale.hub, stale.port, stale.address, stale.endpoint), (HUB, PORT, 7, 2));
        assert!(stale.bulk && !stale.input);
        assert_eq!(rig.host.stale_split(), None, "noted once");
    }
}

#[test]
fn a_nak_that_never_ends_times_out() {
    let (mut rig, _) = full_speed();
    rig.model.faults(|f| f.inject(0x80, Fault::Nak, 1_000_000));
    assert_eq!(rig.descriptor(), Err(TransferError::Timeout));
    rig.model.faults(|f| f.clear());
    assert_eq!(rig.descriptor().expect("read").len(), 18);
    rig.run(100_000);
    rig.assert_no_leak();
}

#[test]
fn pipes_close_at_any_point_of_a_split() {
    for at in 0..24 {
        let (mut rig, hub) = full_speed();
        let (rx, tx) = (rig.open(PipeKind::BulkIn), rig.open(PipeKind::BulkOut));
        let int = rig.open(PipeKind::InterruptIn { every: 1_000 });
        rig.send(tx, &pattern(1000, 1)).expect("room");
        rig.run(125 * at);
        let now = rig.now();
        for pipe in [rx, tx, int] {
            rig.host.close(now, pipe);
        }
        rig.run(100_000);
        rig.assert_no_leak();
        assert_eq!(rig.host.stats().retirements, 0);
        // What the translator was left with is known.
        let mut known = 0;
        while rig.host.stale_split().is_some() {
            known += 1;
        }
        assert!(known >= hub.held(), "{known} known, {} held", hub.held());
    }
}

#[test]
fn a_toggle_can_be_reset_at_any_point_of_a_split() {
    for at in 0..12 {
        let (mut rig, _) = full_speed();
        let rx = rig.open(PipeKind::BulkIn);
        rig.device.borrow_mut().to_send.push_back(pattern(10, 1));
        assert_eq!(rig.wait_receive(rx), Ok(pattern(10, 1)));
        rig.run(125 * at);
        let clear = Setup { index: 0x81, ..setup(0x02, 1, 0, 0) };
        rig.request(7, clear).expect("CLEAR_FEATURE");
        let now = rig.now();
        rig.host.reset_toggle(now, rx);
        rig.run(2_000);
        rig.device.borrow_mut().to_send.push_back(pattern(70, 2));
        assert_eq!(rig.wait_receive(rx), Ok(pattern(70, 2)));
    }
}

#[test]
fn a_device_that_is_pulled_gives_errors_and_the_hub_goes_on() {
    let (mut rig, hub) = full_speed();
    let rx = rig.open(PipeKind::BulkIn);
    rig.run(10_000);
    hub.unplug(PORT);
    assert_eq!(rig.wait_receive(rx), Err(TransferError::Transaction));
    let status = Setup { index: PORT.into(), ..setup(0xA3, 0, 0, 4) };
    assert_eq!(rig.request(HUB, status), Ok(std::vec![0, 1, 0x11, 0]));
    let now = rig.now();
    rig.host.close(now, rx);
    rig.run(100_000);
    rig.assert_no_leak();
    assert_eq!(rig.host.stats().disconnects, 0);
}

#[test]
fn routes_are_checked() {
    let (mut rig, _) = full_speed();
    let now = rig.now();
    let good = rig.target(7);
    for behind in [None, Some((0, 1)), Some((3, 0)), Some((128, 1))] {
        let target = DeviceTarget { behind, ..good };
        let got = rig.host.control(now, target, setup(0x80, 6, 0x100, 18), &[]);
        assert_eq!(got, Err(StartError::BadPipe), "{behind:?}");
    }
    let config = PipeConfig { target: good, endpoint: 1, max_packet: 512, kind: PipeKind::BulkIn };
    assert_eq!(rig.host.open(now, config, 2048), Err(StartError::BadPipe));
    // A slow root has no translators behind it.
    let mut rig = Rig::new(SILICON, Speed::Full);
    let target = DeviceTarget { behind: Some((3, 1)), ..rig.target(7) };
    let now = rig.now();
    let got = rig.host.control(now, target, setup(0x80, 6, 0x100, 18), &[]);
    assert_eq!(got, Err(StartError::BadPipe));
}
