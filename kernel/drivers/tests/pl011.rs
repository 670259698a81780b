//! The console against a FIFO that empties at line speed.

use core::fmt::Write;
use sk_drivers::pl011::{Divisor, InitError, Pl011};
use sk_models::pl011::Pl011Model;
use sk_models::systimer::SimClock;

type Uart<'m> = Pl011<&'m Pl011Model, 256>;

fn ready<'m>(clock: &SimClock, model: &'m Pl011Model) -> Uart<'m> {
    let mut uart = Pl011::new(model);
    uart.init(clock, 48_000_000, 115_200).unwrap();
    uart
}

#[test]
fn divisors() {
    let divisor = |hz, baud| Divisor::new(hz, baud).map(|d| (d.integer, d.fraction));
    assert_eq!(divisor(48_000_000, 115_200), Some((26, 3)));
    assert_eq!(divisor(3_000_000, 115_200), Some((1, 40)));
    assert_eq!(divisor(48_000_000, 9_600), Some((312, 32)));
    for (hz, baud) in [(0, 115_200), (48_000_000, 0), (1_000_000, 115_200), (u32::MAX, 1)] {
        assert_eq!(divisor(hz, baud), None, "{hz} {baud}");
    }
}

#[test]
fn init_lets_the_firmware_finish_and_sets_the_rate() {
    for hz in [48_000_000, 3_000_000] {
        let clock = SimClock::new();
        let model = Pl011Model::new(&clock, hz);
        model.preload(b"firmware says");
        let mut uart = Uart::new(&model);
        uart.init(&clock, hz, 115_200).unwrap();
        assert_eq!(model.sent(), b"firmware says");
        assert_eq!(model.cut(), 0);
        assert!(model.baud().abs_diff(115_200) < 1_200, "{}", model.baud());
    }
}

#[test]
fn init_is_bounded_and_refuses_an_impossible_clock() {
    let clock = SimClock::new();
    let model = Pl011Model::new(&clock, 48_000_000);
    model.preload(b"stuck");
    model.stuck.set(true);
    let mut uart = Uart::new(&model);
    let refused = InitError::NoDivisor { clock_hz: 1_000, baud: 115_200 };
    assert_eq!(uart.init(&clock, 1_000, 115_200), Err(refused));
    uart.init(&clock, 48_000_000, 115_200).unwrap();
    assert!(clock.peek() < 20_000);
    clock.set_step(0);
    uart.init(&clock, 48_000_000, 115_200).unwrap();
}

#[test]
fn writing_takes_no_time_and_draining_only_what_fits() {
    let clock = SimClock::new();
    let model = Pl011Model::new(&clock, 48_000_000);
    let mut uart = ready(&clock, &model);
    let text: Vec<u8> = (1..=200).collect();
    let before = clock.peek();
    assert_eq!(uart.write(&text), 200);
    // One on the line, sixteen in the FIFO.
    assert_eq!(uart.drain(1_000), 17);
    assert_eq!(uart.drain(1_000), 0);
    assert_eq!(clock.peek(), before);
    let mut slots = 0;
    while uart.queued() > 0 {
        clock.advance(1_000);
        assert!(uart.drain(8) <= 8);
        slots += 1;
    }
    assert!(slots >= 17, "1 kHz slots at 11.5 bytes each, 8 at most: {slots}");
    clock.advance(10_000);
    assert_eq!(model.sent(), text);
}

#[test]
fn a_gap_is_counted_and_marked() {
    let clock = SimClock::new();
    let model = Pl011Model::new(&clock, 48_000_000);
    let mut uart = ready(&clock, &model);
    assert_eq!(uart.write(&[b'a'; 300]), 256);
    assert_eq!(uart.write(b"lost too"), 0);
    assert!(!uart.write_whole(b"and this"));
    assert_eq!(uart.counters().dropped, 60);
    while uart.queued() > 0 {
        uart.drain(16);
        clock.advance(1_000);
    }
    uart.write_str("after").unwrap();
    while uart.queued() > 0 {
        uart.drain(16);
        clock.advance(1_000);
    }
    clock.advance(10_000);
    let sent = String::from_utf8(model.sent()).unwrap();
    assert_eq!(sent[256..], *"\r\n[60 bytes lost]\r\nafter");
}

#[test]
fn framed_data_goes_whole_or_not_at_all() {
    let clock = SimClock::new();
    let model = Pl011Model::new(&clock, 48_000_000);
    let mut uart = ready(&clock, &model);
    assert!(uart.write_whole(&[1; 200]));
    assert!(!uart.write_whole(&[2; 57]));
    assert_eq!(uart.queued(), 200);
    assert!(uart.write_whole(&[3; 10]), "the mark and ten bytes fit");
    assert!(uart.queued() > 210);
}

#[test]
fn damaged_bytes_are_left_out_and_counted() {
    let clock = SimClock::new();
    let model = Pl011Model::new(&clock, 48_000_000);
    let mut uart = ready(&clock, &model);
    uart.set_receive_interrupt(true);
    assert!(!model.line_up());
    model.arrive(b'x', 0);
    assert!(model.line_up());
    model.arrive(0, 4);
    model.arrive(b'y', 0);
    assert_eq!((uart.read(), uart.read(), uart.read()), (Some(b'x'), Some(b'y'), None));
    assert_eq!(uart.counters().damaged, 1);
    // A storm of breaks costs one FIFO per call.
    for _ in 0..40 {
        model.arrive(0, 6);
    }
    assert_eq!(uart.read(), None);
    assert_eq!(uart.counters().damaged, 17);
    uart.set_receive_interrupt(false);
    assert!(!model.line_up());
}

#[test]
fn the_emergency_writer_gets_through_and_never_hangs() {
    let clock = SimClock::new();
    let model = Pl011Model::new(&clock, 48_000_000);
    let uart = ready(&clock, &model);
    // Nobody moves the clock here but the looks themselves: let a look cost.
    struct Ticking<'m>(&'m Pl011Model, &'m SimClock);
    impl sk_hal::Bus32 for Ticking<'_> {
        fn read(&self, off: u32) -> u32 {
            self.1.advance(1);
            self.0.read(off)
        }
        fn write(&self, off: u32, value: u32) {
            self.0.write(off, value);
        }
    }
    let bus = Ticking(&model, &clock);
    let emergency = sk_drivers::pl011::Emergency::new(&bus);
    emergency.write(&[b'!'; 100]);
    emergency.flush();
    assert_eq!(model.sent().len(), 100);
    model.stuck.set(true);
    let before = clock.peek();
    emergency.write(&[b'?'; 2_000]);
    emergency.flush();
    assert!(clock.peek() - before < 110_000, "one wait, not one per byte");
    write!(uart.emergency(), "{:30}", "nobody hears this").unwrap();
    // The line comes back, and so does the writer.
    model.stuck.set(false);
    clock.advance(10_000);
    emergency.write(b"!!");
    emergency.flush();
    assert!(model.sent().ends_with(b"!!"));
}
