//! What the host side owes its guest, and what QEMU does not survive.

mod guest;

use guest::{Ear, ask_in, bulk, control, hello, say, send_out, taken};
use proptest::prelude::*;
use sk_models::ecm::{EcmFunction, HIGH_SPEED_ECM};
use sk_redir::wire::{Interrupt, Message};
use sk_redir::{Device, Violation};

const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x57];
const CANCELLED: u8 = 1;
const STALL: u8 = 4;

/// A device, its function and what was heard from it.
struct Bench {
    device: Device,
    function: EcmFunction,
    ear: Ear,
    now: u64,
}

impl Bench {
    /// Greeted and attached.
    fn attached() -> Self {
        let (device, function) = (Device::new(), EcmFunction::high_speed(MAC));
        let mut bench = Self { device, function, ear: Ear::default(), now: 1_000_000 };
        bench.device.connected("sk");
        assert!(matches!(bench.heard()[..], [(0, Message::Hello { caps: 0x72, .. })]));
        bench.device.poll(bench.now, &mut bench.function);
        assert_eq!(bench.heard(), [], "nothing before the guest's HELLO");
        bench.tell(&hello());
        let heard = bench.heard();
        let [(0, Message::InterfaceInfo(_)), (0, Message::EndpointInfo(_)), connect] = &heard[..]
        else {
            panic!("{heard:?}");
        };
        let (0, Message::DeviceConnect(connect)) = connect else { panic!("{connect:?}") };
        assert_eq!((connect.speed, connect.vendor, connect.product), (2, 0x0bda, 0x8152));
        bench
    }

    /// Reset, configured, its endpoints alive.
    fn ready() -> Self {
        let mut bench = Self::attached();
        bench.tell(&say(0, Message::Reset));
        bench.configure();
        bench
    }

    fn configure(&mut self) {
        self.tell(&say(11, Message::SetConfiguration(HIGH_SPEED_ECM)));
        let heard = self.heard();
        let [
            (11, Message::InterfaceInfo(_)),
            (11, Message::EndpointInfo(_)),
            (11, Message::ConfigurationStatus { status: 0, configuration: HIGH_SPEED_ECM }),
            ..,
        ] = &heard[..]
        else {
            panic!("{heard:?}");
        };
        assert_eq!(self.function.address(), 1, "no function is configured without an address");
        self.tell(&say(12, Message::SetAlternate { interface: 1, alternate: 1 }));
        let heard = self.heard();
        let status = Message::AlternateStatus { status: 0, interface: 1, alternate: 1 };
        assert_eq!(heard.last(), Some(&(12, status)), "{heard:?}");
        assert_eq!(heard.len(), 3);
    }

    fn tell(&mut self, bytes: &[u8]) {
        self.device.receive(self.now, &mut self.function, bytes).unwrap();
        self.device.poll(self.now, &mut self.function);
    }

    fn wait(&mut self, time: u64) {
        self.now += time;
        self.device.poll(self.now, &mut self.function);
    }

    fn heard(&mut self) -> Vec<(u64, Message)> {
        let bytes = std::mem::take(self.device.output());
        self.ear.hear(&bytes)
    }
}

#[test]
fn messages_may_come_in_any_pieces() {
    let mut bench = Bench::ready();
    let mut bytes = say(1, control(0x80, 8, 0, 1, &[]));
    bytes.extend(say(2, control(0x80, 0, 0, 2, &[])));
    for byte in bytes {
        bench.tell(&[byte]);
    }
    let heard = bench.heard();
    assert_eq!(
        heard,
        [(1, control(0x80, 8, 0, 1, &[HIGH_SPEED_ECM])), (2, control(0x80, 0, 0, 2, &[1, 0])),]
    );
}

#[test]
fn control_transfers_and_their_refusal() {
    let mut bench = Bench::ready();
    bench.tell(&say(1, control(0x21, 0x43, 0x0e, 0, &[])));
    assert_eq!(bench.heard(), [(1, control(0x21, 0x43, 0x0e, 0, &[]))]);
    assert_eq!(bench.function.filter, Some(0x0e));
    bench.tell(&say(2, control(0x80, 6, 0x0309, 255, &[])));
    let heard = bench.heard();
    let [(2, Message::Control(answer))] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!((answer.status, usize::from(answer.length)), (0, answer.data.len()));
    bench.tell(&say(3, control(0x80, 6, 0x0363, 255, &[])));
    let heard = bench.heard();
    let [(3, Message::Control(answer))] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!((answer.status, answer.length, answer.data.len()), (STALL, 0, 0));
}

#[test]
fn an_idle_bulk_in_ends_after_20_ms() {
    let mut bench = Bench::ready();
    bench.tell(&say(5, ask_in(0x82, 512)));
    assert_eq!(bench.device.next_deadline(bench.now), Some(bench.now + 20_000));
    bench.wait(19_999);
    assert_eq!(bench.heard(), []);
    bench.wait(1);
    assert_eq!(bench.heard(), [(5, bulk(0x82, 0, &[]))]);
    assert_eq!(bench.device.next_deadline(bench.now), None);
}

#[test]
fn a_frame_of_whole_packets_is_closed_by_an_empty_one() {
    let mut bench = Bench::ready();
    bench.function.push_frame(vec![7; 1024]);
    for (id, length) in [(1, 512), (2, 512), (3, 0)] {
        bench.tell(&say(id, ask_in(0x82, 512)));
        assert_eq!(bench.heard(), [(id, bulk(0x82, 0, &vec![7; length]))]);
    }
    // A large request is answered whole, and open until there is a frame.
    bench.tell(&say(4, ask_in(0x82, 4096)));
    assert_eq!(bench.heard(), []);
    bench.function.push_frame(vec![8; 1100]);
    bench.wait(10);
    assert_eq!(bench.heard(), [(4, bulk(0x82, 0, &[8; 1100]))]);
}

#[test]
fn pieces_of_an_out_transfer_are_its_packets() {
    let mut bench = Bench::ready();
    let frame: Vec<u8> = (0..1200).map(|n| n as u8).collect();
    for piece in frame.chunks(512) {
        // The same buffer, so the same id each time.
        bench.tell(&say(0xc000_9d80, send_out(0x02, piece)));
        let length = piece.len() as u32;
        assert_eq!(bench.heard(), [(0xc000_9d80, taken(0x02, 0, length))]);
    }
    assert_eq!(bench.function.pop_frame(), Some(frame));
    // One request of two packets, and the one that closes it.
    bench.tell(&say(1, send_out(0x02, &[3; 1024])));
    assert_eq!(bench.function.pop_frame(), None);
    bench.tell(&say(2, send_out(0x02, &[])));
    assert_eq!(bench.function.pop_frame(), Some(vec![3; 1024]));
}

#[test]
fn what_is_put_off_is_tried_again() {
    let mut bench = Bench::ready();
    bench.function.faults.nak_out = true;
    bench.tell(&say(1, send_out(0x02, &[1; 100])));
    bench.tell(&say(2, send_out(0x02, &[2; 100])));
    bench.wait(30_000);
    assert_eq!(bench.heard(), []);
    bench.function.faults.nak_out = false;
    bench.wait(1_000);
    assert_eq!(bench.heard(), [(1, taken(0x02, 0, 100)), (2, taken(0x02, 0, 100))]);
    assert_eq!(bench.function.pop_frame(), Some(vec![1; 100]));
    bench.function.halt(0x02);
    bench.tell(&say(3, send_out(0x02, &[1; 100])));
    assert_eq!(bench.heard(), [(3, taken(0x02, STALL, 0))]);
}

#[test]
fn requests_open_at_a_reset_are_answered_when_configured_again() {
    let mut bench = Bench::ready();
    bench.tell(&say(5, ask_in(0x82, 512)));
    bench.tell(&say(0, Message::Reset));
    assert_eq!(bench.function.configuration(), 0);
    bench.wait(100_000);
    assert_eq!(bench.heard(), [], "an answer now ends QEMU");
    bench.tell(&say(6, control(0x80, 8, 0, 1, &[])));
    assert_eq!(bench.heard(), [(6, control(0x80, 8, 0, 1, &[0]))]);
    bench.tell(&say(11, Message::SetConfiguration(HIGH_SPEED_ECM)));
    let heard = bench.heard();
    assert!(matches!(heard[2], (11, Message::ConfigurationStatus { .. })), "{heard:?}");
    assert_eq!(heard[3..], [(5, bulk(0x82, 0, &[]))]);
}

#[test]
fn an_unplug_answers_what_is_open_first() {
    let mut bench = Bench::ready();
    bench.device.set_plugged(bench.now, false);
    // Something may be under way: not yet.
    bench.wait(10_000);
    assert_eq!(bench.heard(), []);
    bench.tell(&say(5, ask_in(0x82, 512)));
    assert_eq!(bench.heard(), []);
    bench.wait(2_000);
    let gone = (0, Message::DeviceDisconnect);
    assert_eq!(bench.heard(), [(5, bulk(0x82, CANCELLED, &[])), gone]);
    assert!(!bench.device.is_attached());
    // What was under way all the same is kept for the next life.
    bench.tell(&say(6, ask_in(0x82, 512)));
    bench.wait(300_000);
    assert_eq!(bench.heard(), []);
    bench.device.set_plugged(bench.now, true);
    bench.wait(1);
    let heard = bench.heard();
    assert!(matches!(heard.last(), Some((0, Message::DeviceConnect(_)))), "{heard:?}");
    bench.tell(&say(11, Message::SetConfiguration(HIGH_SPEED_ECM)));
    assert_eq!(bench.heard().last(), Some(&(6, bulk(0x82, 0, &[]))));
}

#[test]
fn an_unplug_does_not_wait_for_ever() {
    let mut bench = Bench::ready();
    bench.function.faults.nak_out = true;
    bench.tell(&say(5, send_out(0x02, &[1; 10])));
    bench.device.set_plugged(bench.now, false);
    bench.wait(199_999);
    assert_eq!(bench.heard(), []);
    bench.wait(1);
    let gone = (0, Message::DeviceDisconnect);
    assert_eq!(bench.heard(), [(5, taken(0x02, CANCELLED, 0)), gone]);
    // A device that was not there goes without a word.
    bench.device.set_plugged(bench.now, false);
    bench.wait(300_000);
    assert_eq!(bench.heard(), []);
}

#[test]
fn a_request_taken_back_is_answered_at_once() {
    let mut bench = Bench::ready();
    bench.tell(&say(5, ask_in(0x82, 512)));
    bench.tell(&say(5, Message::Cancel));
    bench.tell(&say(6, Message::Cancel));
    assert_eq!(bench.heard(), [(5, bulk(0x82, CANCELLED, &[]))]);
}

#[test]
fn interrupts_are_sent_as_they_come() {
    let mut bench = Bench::ready();
    bench.tell(&say(7, Message::StartInterrupt(0x81)));
    let heard = bench.heard();
    assert_eq!(heard[0], (7, Message::InterruptStatus { status: 0, endpoint: 0x81 }));
    let notice = |id, data: &[u8]| {
        let (length, data) = (data.len() as u16, data.to_vec());
        (id, Message::Interrupt(Interrupt { endpoint: 0x81, status: 0, length, data }))
    };
    assert_eq!(heard[1..], [notice(1, &[0xa1, 0, 1, 0, 0, 0, 0, 0])]);
    // bInterval 8 is 16 ms.
    bench.wait(15_999);
    assert_eq!(bench.heard(), []);
    bench.wait(1);
    assert!(matches!(bench.heard()[..], [(2, Message::Interrupt(_))]));
    bench.wait(16_000);
    assert_eq!(bench.heard(), []);
    bench.tell(&say(8, Message::StopInterrupt(0x81)));
    bench.function.set_link(false);
    bench.wait(16_000);
    assert_eq!(bench.heard(), [(8, Message::InterruptStatus { status: 0, endpoint: 0x81 })]);
    // A bulk endpoint has none.
    bench.tell(&say(9, Message::StartInterrupt(0x82)));
    assert_eq!(bench.heard(), [(9, Message::InterruptStatus { status: 2, endpoint: 0x82 })]);
}

#[test]
fn a_function_without_descriptors_is_not_plugged_in() {
    let (mut device, mut function) = (Device::new(), EcmFunction::high_speed(MAC));
    let mut ear = Ear::default();
    function.faults.silent = true;
    device.connected("sk");
    device.receive(0, &mut function, &hello()).unwrap();
    device.poll(0, &mut function);
    assert_eq!(ear.hear(&std::mem::take(device.output())).len(), 1);
    function.faults.silent = false;
    device.poll(1_000_000, &mut function);
    assert_eq!(ear.hear(device.output()).len(), 3);
}

#[test]
fn who_breaks_the_protocol_is_not_listened_to() {
    let mut function = EcmFunction::high_speed(MAC);
    let mut device = Device::new();
    device.connected("sk");
    let early = device.receive(0, &mut function, &say(1, Message::Reset));
    assert_eq!(early, Err(Violation::Order));
    let mut bench = Bench::ready();
    let again = bench.device.receive(bench.now, &mut bench.function, &hello());
    assert_eq!(again, Err(Violation::Order));
    let mut bench = Bench::ready();
    let flood: Vec<u8> = (0..65).flat_map(|id| say(id, ask_in(0x82, 512))).collect();
    let flooded = bench.device.receive(bench.now, &mut bench.function, &flood);
    assert_eq!(flooded, Err(Violation::TooMany));
}

/// One step of a guest out of its mind.
fn step() -> impl Strategy<Value = (u64, Message, u64)> {
    let endpoint = prop_oneof![Just(0x81_u8), Just(0x82), Just(0x02), any::<u8>()];
    let message = (0..14, endpoint, any::<(u8, u8, u16)>(), 0_u32..5000).prop_map(
        |(kind, endpoint, (a, b, c), length)| match kind {
            0 => Message::Reset,
            1 => Message::SetConfiguration(a % 4),
            2 => Message::SetAlternate { interface: a % 3, alternate: b % 3 },
            3 => Message::GetAlternate(a % 3),
            4 => Message::StartInterrupt(endpoint),
            5 => Message::StopInterrupt(endpoint),
            6 => Message::Cancel,
            7 => control(a, b, c, length as u16, &vec![a; usize::from(b)]),
            8 => Message::Other { kind: u32::from(a) + 18, body: vec![b; 3] },
            9 => Message::GetConfiguration,
            10 | 11 => ask_in(endpoint | 0x80, length),
            _ => send_out(endpoint & 0x7f, &vec![a; length as usize]),
        },
    );
    (0_u64..6, message, 0_u64..30_000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever is asked: no panic, no request forgotten, no deadline that has
    /// passed and stays.
    #[test]
    fn every_request_has_one_answer(steps in prop::collection::vec(step(), 1..40)) {
        let mut bench = Bench::ready();
        let mut open = 0_i64;
        for (id, message, time) in steps {
            let asks = matches!(message, Message::Control(_) | Message::Bulk(_));
            let Ok(()) = bench.device.receive(bench.now, &mut bench.function, &say(id, message))
            else {
                return Ok(());
            };
            open += i64::from(asks);
            bench.wait(time);
            let answers =
                |m: &Message| matches!(m, Message::Control(_) | Message::Bulk(_));
            open -= bench.heard().iter().filter(|(_, m)| answers(m)).count() as i64;
            prop_assert!(open >= 0);
            let due = bench.device.next_deadline(bench.now);
            prop_assert!(due.is_none_or(|due| due > bench.now), "{:?} {}", due, bench.now);
        }
        // A quiet end: all that is open comes back.
        bench.tell(&say(90, Message::SetConfiguration(HIGH_SPEED_ECM)));
        for _ in 0..70 {
            bench.wait(20_000);
        }
        let answers = |m: &Message| matches!(m, Message::Control(_) | Message::Bulk(_));
        open -= bench.heard().iter().filter(|(_, m)| answers(m)).count() as i64;
        prop_assert_eq!(open, 0);
    }
}
