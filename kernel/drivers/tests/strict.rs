//! The models themselves: each rule a driver is tested against does bite.

use sk_hal::{Bus32, CacheOps, Direction};
use sk_models::gpio::GpioModel;
use sk_models::irq::IrqModel;
use sk_models::mbox::MboxModel;
use sk_models::memory::Memory;
use sk_models::pl011::Pl011Model;
use sk_models::pm::PmModel;
use sk_models::rng::RngModel;
use sk_models::systimer::{SimClock, SysTimerModel};

#[test]
#[should_panic(expected = "before the DSB")]
fn mailbox_doorbell_before_the_barrier() {
    let memory = Memory::new();
    let buffer = memory.buffer(64);
    memory.clean(buffer.bus(), buffer.bytes());
    MboxModel::new(&memory, &SimClock::new()).write(0x20, buffer.bus().0 | 8);
}

#[test]
#[should_panic(expected = "bus alias")]
fn mailbox_address_without_alias() {
    let memory = Memory::new();
    let buffer = memory.buffer(64).give(&memory, Direction::Both);
    MboxModel::new(&memory, &SimClock::new()).write(0x20, buffer.bus().0 & 0x3FFF_FFFF | 8);
}

#[test]
#[should_panic(expected = "read while empty")]
fn mailbox_read_without_a_look() {
    let _ = MboxModel::new(&Memory::new(), &SimClock::new()).read(0);
}

#[test]
#[should_panic(expected = "LCRH must follow")]
fn uart_divisors_never_latched() {
    let model = Pl011Model::new(&SimClock::new(), 48_000_000);
    for (off, value) in [(0x30, 0), (0x2C, 0x70), (0x24, 26), (0x28, 3), (0x30, 0x301)] {
        model.write(off, value);
    }
}

#[test]
#[should_panic(expected = "while on")]
fn uart_line_control_while_on() {
    Pl011Model::new(&SimClock::new(), 48_000_000).write(0x2C, 0x70);
}

#[test]
#[should_panic(expected = "overrun")]
fn uart_written_when_full() {
    Pl011Model::new(&SimClock::new(), 48_000_000).preload(&[0; 18]);
}

#[test]
#[should_panic(expected = "set-up time")]
fn pull_clocked_too_early() {
    let model = GpioModel::zero_w(&SimClock::new());
    model.write(0x94, 2);
    model.write(0x98, 1 << 15);
}

#[test]
#[should_panic(expected = "hold time")]
fn pull_released_too_early() {
    let clock = SimClock::new();
    let model = GpioModel::zero_w(&clock);
    model.write(0x94, 2);
    clock.advance(10);
    model.write(0x98, 1 << 15);
    model.write(0x94, 0);
}

#[test]
#[should_panic(expected = "keeps the board alive")]
fn function_bits_written_without_reading() {
    GpioModel::zero_w(&SimClock::new()).write(0x00, 0);
}

#[test]
#[should_panic(expected = "two sets of pins")]
fn uart_on_two_sets_of_pins() {
    GpioModel::zero_w(&SimClock::new()).write(0x04, 4 << 12);
}

#[test]
#[should_panic(expected = "without password")]
fn watchdog_without_password() {
    PmModel::new(&SimClock::new(), 0).write(0x24, 100);
}

#[test]
#[should_panic(expected = "not the ARM's")]
fn timer_channel_of_the_videocore() {
    SysTimerModel::new(&SimClock::new()).write(0x0C, 1);
}

#[test]
#[should_panic(expected = "IRQ and FIQ")]
fn one_source_as_irq_and_fiq() {
    IrqModel::left_on().write(0x0C, 0x80 | 9);
}

#[test]
#[should_panic(expected = "no word there")]
fn random_word_that_is_not_there() {
    let _ = RngModel::new(&SimClock::new(), 0).read(0x08);
}
