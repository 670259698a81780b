//! The transport against strict firmware, and everything it can do wrong.

use rpi_mbox::cpufreq::{self, CpuFreq, Demand};
use rpi_mbox::tags::*;
use rpi_mbox::{Error, Mailbox, MessageError, Tag, TagError};
use sk_models::mbox::{Fault, MboxModel};
use sk_models::memory::Memory;
use sk_models::systimer::SimClock;
use std::task::Poll;

struct Bench {
    memory: Memory,
    clock: SimClock,
    model: MboxModel,
}

impl Bench {
    fn new() -> Self {
        Self::on(Memory::new())
    }

    fn on(memory: Memory) -> Self {
        let clock = SimClock::new();
        let model = MboxModel::new(&memory, &clock);
        Self { memory, clock, model }
    }

    fn with(fault: Fault) -> Self {
        let bench = Self::new();
        bench.model.fault.set(fault);
        bench
    }

    fn mailbox(&self) -> Mailbox<&MboxModel, &Memory> {
        Mailbox::new(&self.model, &self.memory, self.memory.buffer(256))
    }
}

#[test]
fn every_tag_reads_what_the_firmware_knows() {
    let b = Bench::new();
    let (mut m, c) = (b.mailbox(), &b.clock);
    assert_eq!(m.get(c, &FirmwareRevision), Ok(1_661_000_000));
    assert_eq!(m.get(c, &BoardModel), Ok(0));
    assert_eq!(m.get(c, &BoardRevision), Ok(0x0090_0092));
    assert_eq!(m.get(c, &MacAddress), Ok([0xB8, 0x27, 0xEB, 0x34, 0x56, 0x78]));
    assert_eq!(m.get(c, &BoardSerial), Ok(0x1234_5678));
    assert_eq!(m.get(c, &ArmMemory), Ok(Memory_(0, 0x1C00_0000)));
    assert_eq!(m.get(c, &VcMemory), Ok(Memory_(0x1C00_0000, 0x0400_0000)));
    assert_eq!(m.get(c, &ClockRate(ClockId::Uart)), Ok(48_000_000));
    assert_eq!(m.get(c, &MaxClockRate(ClockId::Arm)), Ok(1_000_000_000));
    assert_eq!(m.get(c, &MinClockRate(ClockId::Arm)), Ok(700_000_000));
    assert_eq!(m.get(c, &MeasuredClockRate(ClockId::Core)), Ok(250_000_000));
    let off = PowerState { on: false, missing: false };
    assert_eq!(m.get(c, &GetPower(PowerDevice::Usb)), Ok(off));
    let usb = m.get(c, &SetPower { device: PowerDevice::Usb, on: true }).unwrap();
    assert!(usb.is_on());
    assert_eq!(m.get(c, &Temperature), Ok(42_000));
    assert_eq!(m.get(c, &GetTurbo), Ok(0));
    assert_eq!(m.get(c, &SetTurbo(true)), Ok(1));
    assert_eq!(m.get(c, &CommandLine { room: 100 }), Ok(&b"console=serial0"[..]));
    b.model.facts.borrow_mut().throttled = 0x5_0001;
    let throttled = m.get(c, &GetThrottled).unwrap();
    assert!(throttled.under_voltage() && throttled.any_now() && !throttled.throttled());
    assert!(throttled.since_boot().throttled() && !throttled.since_boot().hot());
}

/// Questions and answers in one buffer, one after the other: each is read by
/// the one it is for, whatever is written back or read in meanwhile.
#[test]
fn messages_pass_caches_that_do_as_they_like() {
    for seed in 0..40 {
        let b = Bench::on(Memory::seeded(seed));
        let (mut m, c) = (b.mailbox(), &b.clock);
        for round in 0..6 {
            b.model.facts.borrow_mut().revision = 0x0090_0000 + round;
            assert_eq!(m.get(c, &BoardRevision), Ok(0x0090_0000 + round), "seed {seed}");
            assert_eq!(m.get(c, &ClockRate(ClockId::Uart)), Ok(48_000_000), "seed {seed}");
            assert_eq!(m.get(c, &MacAddress).unwrap()[3..], [0x34, 0x56, 0x78], "seed {seed}");
        }
    }
}

#[allow(non_snake_case)]
fn Memory_(base: u32, size: u32) -> rpi_mbox::tags::Memory {
    rpi_mbox::tags::Memory { base, size }
}

#[test]
fn a_device_that_does_not_exist_is_not_on() {
    let b = Bench::new();
    b.model.facts.borrow_mut().devices = 0;
    let state =
        b.mailbox().get(&b.clock, &SetPower { device: PowerDevice::Usb, on: true }).unwrap();
    assert!(state.missing && !state.is_on());
}

#[test]
fn an_unknown_tag_among_known_ones_fails_alone() {
    let b = Bench::with(Fault::Unknown(GetThrottled::ID));
    let mut m = b.mailbox();
    let (slots, reply) = m
        .call(&b.clock, |r| {
            Ok((r.add(&BoardRevision)?, r.add(&GetThrottled)?, r.add(&MacAddress)?))
        })
        .unwrap();
    assert_eq!(reply.get(slots.0), Ok(0x0090_0092));
    assert_eq!(reply.get(slots.1), Err(TagError::Unknown(0x0003_0046)));
    assert_eq!(reply.get(slots.2).unwrap()[5], 0x78);
    assert_eq!(b.model.messages(), 1);
    assert_eq!(cpufreq::throttled(&mut m, &b.clock), Ok(None));
}

#[test]
fn answers_of_the_wrong_length_are_named() {
    let b = Bench::with(Fault::Empty(BoardRevision::ID));
    let short = TagError::Short { id: BoardRevision::ID, got: 0 };
    assert_eq!(b.mailbox().get(&b.clock, &BoardRevision), Err(short.into()));
    let b = Bench::with(Fault::TooLong(BoardRevision::ID));
    let long = TagError::Truncated { id: BoardRevision::ID, needs: 8 };
    assert_eq!(b.mailbox().get(&b.clock, &BoardRevision), Err(long.into()));
    let b = Bench::new();
    let cut = TagError::Truncated { id: CommandLine::ID, needs: 15 };
    assert_eq!(b.mailbox().get(&b.clock, &CommandLine { room: 8 }), Err(cut.into()));
}

#[test]
fn words_that_are_not_ours_are_passed_over() {
    for fault in [Fault::OtherChannel, Fault::OtherAddress, Fault::PlainAddress] {
        let b = Bench::with(fault);
        for word in 0..8 {
            b.model.leave(0x1000_0000 + word);
        }
        assert_eq!(b.mailbox().get(&b.clock, &BoardRevision), Ok(0x0090_0092), "{fault:?}");
    }
}

#[test]
fn failures_of_the_message_are_named() {
    let message = |fault| Bench::with(fault).mailbox_error();
    assert_eq!(message(Fault::ParseError), Error::Message(MessageError::Refused));
    assert_eq!(message(Fault::Untouched), Error::Message(MessageError::BadCode(0)));
    assert_eq!(message(Fault::Flood), Error::Flooded);
    assert_eq!(message(Fault::Full), Error::Full);
    assert_eq!(message(Fault::Silent), Error::NoReply);
}

impl Bench {
    fn mailbox_error(&self) -> Error {
        let before = self.clock.peek();
        let error = self.mailbox().get(&self.clock, &BoardRevision).unwrap_err();
        assert!(self.clock.peek() - before <= rpi_mbox::TIMEOUT + 10, "waited too long");
        error
    }
}

#[test]
fn a_late_answer_gives_the_buffer_back_and_not_its_contents() {
    let b = Bench::new();
    b.model.delay.set(rpi_mbox::TIMEOUT + 500_000);
    let mut m = b.mailbox();
    assert_eq!(m.get(&b.clock, &BoardRevision), Err(Error::NoReply));
    // Still with the firmware: nothing new may be written there.
    b.model.delay.set(10);
    assert_eq!(m.get(&b.clock, &BoardSerial), Err(Error::StillWaiting));
    b.clock.advance(600_000);
    assert_eq!(m.get(&b.clock, &BoardSerial), Ok(0x1234_5678));
}

#[test]
fn a_clock_that_stands_still_does_not_hang_it() {
    let b = Bench::with(Fault::Silent);
    b.clock.set_step(0);
    assert_eq!(b.mailbox().get(&b.clock, &BoardRevision), Err(Error::NoReply));
}

#[test]
fn polled_use_never_waits() {
    let b = Bench::new();
    let mut m = b.mailbox();
    assert_eq!(m.poll(), Poll::Ready(Err(Error::Idle)));
    let slot = m.send(&b.clock, |r| r.add(&BoardRevision)).unwrap();
    b.clock.set_step(0);
    assert_eq!(m.poll(), Poll::Pending);
    assert!(matches!(m.response(), Err(Error::StillWaiting)));
    b.clock.advance(60);
    assert_eq!(m.poll(), Poll::Ready(Ok(())));
    assert_eq!(m.response().unwrap().get(slot), Ok(0x0090_0092));
}

#[test]
fn a_message_that_does_not_fit_is_not_sent() {
    let b = Bench::new();
    let mut m = b.mailbox();
    let error = Error::Message(MessageError::NoRoom);
    assert_eq!(m.get(&b.clock, &CommandLine { room: 233 }), Err(error));
    assert_eq!(b.model.messages(), 0);
    assert!(m.get(&b.clock, &CommandLine { room: 232 }).is_ok());
    assert_eq!(m.get(&b.clock, &CommandLine { room: usize::MAX }), Err(error));
}

#[test]
fn the_arm_clock_follows_demand() {
    let b = Bench::new();
    let mut m = b.mailbox();
    let mut f = CpuFreq::new(&mut m, &b.clock).unwrap();
    assert_eq!((f.min, f.max, f.now), (700_000_000, 1_000_000_000, 700_000_000));
    assert_eq!(f.set(&mut m, &b.clock, Demand::Work), Ok(1_000_000_000));
    assert!(f.granted());
    let asked = b.model.messages();
    assert_eq!(f.set(&mut m, &b.clock, Demand::Work), Ok(1_000_000_000));
    assert_eq!(b.model.messages(), asked, "nothing to change, nothing to ask");
    assert_eq!(f.set(&mut m, &b.clock, Demand::Idle), Ok(700_000_000));
    // Short of volts: less than asked for, and it shows.
    b.model.facts.borrow_mut().arm_cap = 600_000_000;
    assert_eq!(f.set(&mut m, &b.clock, Demand::Work), Ok(600_000_000));
    assert!(!f.granted());
}

#[test]
fn a_failed_change_is_tried_again() {
    let b = Bench::new();
    let mut m = b.mailbox();
    let mut f = CpuFreq::new(&mut m, &b.clock).unwrap();
    b.model.fault.set(Fault::ParseError);
    assert!(f.set(&mut m, &b.clock, Demand::Work).is_err());
    b.model.fault.set(Fault::None);
    assert_eq!(f.set(&mut m, &b.clock, Demand::Work), Ok(1_000_000_000));
}

#[test]
fn the_arm_clock_changes_without_waiting() {
    let b = Bench::new();
    let mut m = b.mailbox();
    let mut f = CpuFreq::new(&mut m, &b.clock).unwrap();
    b.clock.set_step(0);
    assert_eq!(f.poll(&mut m), Poll::Ready(Err(Error::Idle)));
    assert_eq!(f.begin(&mut m, &b.clock, Demand::Work), Ok(true));
    assert_eq!(f.poll(&mut m), Poll::Pending);
    assert_eq!(f.begin(&mut m, &b.clock, Demand::Idle), Err(Error::StillWaiting));
    b.clock.advance(60);
    assert_eq!(f.poll(&mut m), Poll::Ready(Ok(1_000_000_000)));
    assert_eq!(f.begin(&mut m, &b.clock, Demand::Work), Ok(false));
    assert!(f.granted());
}

#[test]
fn a_call_gives_up_an_answer_nobody_polled_for() {
    let b = Bench::new();
    let mut m = b.mailbox();
    let slot = m.send(&b.clock, |r| r.add(&Temperature)).unwrap();
    assert_eq!(m.get(&b.clock, &BoardRevision), Ok(0x0090_0092));
    // The receipt of the message given up opens nothing in the new one.
    let stale = m.response().unwrap().get(slot);
    assert_eq!(stale, Err(TagError::Overwritten { id: 0x0003_0006 }));
}
