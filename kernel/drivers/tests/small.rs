//! Timer, interrupts, pins, reset and board codes against strict models.

use sk_drivers::board::{Board, Led, Model};
use sk_drivers::gpio::{Function, Gpio, GpioError, Pull};
use sk_drivers::irq::{Irq, Source};
use sk_drivers::pm::{Pm, ResetReason, WATCHDOG_MAX};
use sk_drivers::systimer::{Armed, Channel, SysTimer};
use sk_hal::{Bus32, Clock};
use sk_models::gpio::GpioModel;
use sk_models::irq::IrqModel;
use sk_models::pm::PmModel;
use sk_models::systimer::{SimClock, SysTimerModel};

#[test]
fn time_is_right_at_every_step_across_the_wrap() {
    for start in (1u64 << 32) - 12..(1 << 32) + 3 {
        for step in 1..4 {
            let clock = SimClock::new();
            clock.set(start);
            clock.set_step(step);
            let model = SysTimerModel::new(&clock);
            let now = SysTimer::new(&model).now();
            let true_now = start..=clock.peek();
            assert!(true_now.contains(&now), "{now:#x} is not in {true_now:x?}");
        }
    }
}

#[test]
fn a_compare_matches_once_and_is_acknowledged_alone() {
    let clock = SimClock::new();
    clock.set(5_000);
    let model = SysTimerModel::new(&clock);
    let timer = SysTimer::new(&model);
    assert_eq!(timer.arm(Channel::C1, 6_000), Armed::Set);
    assert_eq!(timer.arm(Channel::C3, 6_000), Armed::Set);
    clock.set(5_999);
    assert!(!model.line(1));
    clock.set(6_000);
    assert!(model.line(1) && model.line(3));
    assert!(timer.matched(Channel::C1));
    timer.ack(Channel::C1);
    assert!(!model.line(1) && model.line(3));
}

#[test]
fn a_compare_in_the_past_is_reported_and_not_awaited() {
    let clock = SimClock::new();
    clock.set(1_000_000);
    let model = SysTimerModel::new(&clock);
    let timer = SysTimer::new(&model);
    assert_eq!(timer.arm(Channel::C1, 999_999), Armed::AlreadyPassed);
    assert_eq!(timer.arm(Channel::C1, 0), Armed::AlreadyPassed);
    // In the future when asked, in the past when the register was written.
    model.late.set(500);
    assert_eq!(timer.arm(Channel::C1, clock.peek() + 300), Armed::AlreadyPassed);
    assert_eq!(timer.arm(Channel::C1, clock.peek() + 3_000), Armed::Set);
}

#[test]
fn no_deadline_is_ever_lost_whatever_the_distance() {
    for distance in 0..40 {
        for late in 0..12 {
            let clock = SimClock::new();
            clock.set(0xFFFF_FFF0);
            let model = SysTimerModel::new(&clock);
            model.late.set(late);
            let deadline = clock.peek() + distance;
            let armed = SysTimer::new(&model).arm(Channel::C3, deadline);
            if armed == Armed::Set {
                clock.set(deadline.max(clock.peek()));
                assert!(model.line(3), "lost: distance {distance}, late {late}");
            } else {
                assert!(clock.peek() >= deadline);
            }
        }
    }
}

#[test]
fn a_far_deadline_comes_early_and_an_old_match_is_not_taken_for_it() {
    let clock = SimClock::new();
    let model = SysTimerModel::new(&clock);
    let timer = SysTimer::new(&model);
    assert_eq!(timer.arm(Channel::C1, 50), Armed::Set);
    clock.set(100);
    assert!(model.line(1));
    assert_eq!(timer.arm(Channel::C1, 1 << 40), Armed::Set);
    assert!(!model.line(1));
    clock.advance(1 << 31);
    assert!(model.line(1));
}

#[test]
fn a_takeover_turns_everything_off() {
    let model = IrqModel::left_on();
    for source in [3, 9, 57, 64] {
        model.set_line(source, true);
    }
    assert!(model.irq() && model.fiq());
    let irq = Irq::new(&model);
    assert!(!model.irq() && !model.fiq());
    assert_eq!(model.enabled(), [0; 3]);
    assert!(irq.pending().is_empty());
}

#[test]
fn every_source_is_seen_shortcut_or_not_and_no_other() {
    for number in 0..72 {
        let model = IrqModel::left_on();
        let mut irq = Irq::new(&model);
        let source = Source::new(number).unwrap();
        // The GPU's timer channels are up all the time.
        model.set_line(0, true);
        model.set_line(2, true);
        irq.enable(source);
        assert!(irq.is_enabled(source));
        model.set_line(number, true);
        assert!(model.irq());
        let pending = irq.pending();
        assert!(pending.contains(source));
        assert_eq!(pending.collect::<Vec<_>>(), [source]);
        irq.disable(source);
        assert!(irq.pending().is_empty() && !model.irq());
    }
    assert_eq!(Source::new(72), None);
}

#[test]
fn several_sources_come_in_order() {
    let model = IrqModel::left_on();
    let mut irq = Irq::new(&model);
    for source in [Source::MAILBOX, Source::UART, Source::USB, Source::TIMER_1] {
        irq.enable(source);
        model.set_line(source.number(), true);
    }
    let order: Vec<_> = irq.pending().map(Source::number).collect();
    assert_eq!(order, [1, 9, 57, 65]);
}

#[test]
fn the_fiq_source_is_never_an_irq_too() {
    let model = IrqModel::left_on();
    let mut irq = Irq::new(&model);
    irq.enable(Source::TIMER_3);
    irq.select_fiq(Source::TIMER_3);
    model.set_line(3, true);
    assert!(model.fiq() && !model.irq());
    assert_eq!(irq.fiq(), Some(Source::TIMER_3));
    assert!(irq.pending().is_empty());
    irq.enable(Source::TIMER_3);
    assert!(!model.fiq() && model.irq());
    irq.select_fiq(Source::ARM_TIMER);
    assert_eq!(model.fiq_control(), 0x80 | 64);
    irq.clear_fiq();
    assert_eq!(irq.fiq(), None);
}

#[test]
fn the_uart_moves_to_the_header_pins() {
    let clock = SimClock::new();
    let model = GpioModel::zero_w(&clock);
    let mut gpio = Gpio::new(&model);
    gpio.route_uart(&clock).unwrap();
    for (pin, function) in [(14, 4), (15, 4), (32, 0), (33, 0), (48, 7), (6, 1)] {
        assert_eq!(model.function(pin), function, "pin {pin}");
    }
    assert_eq!((model.pull(14), model.pull(15), model.pull(16)), (0, 2, 0));
    // Pins somebody else uses for something else stay.
    model.preset(32, 1);
    gpio.route_uart(&clock).unwrap();
    assert_eq!(model.function(32), 1);
}

#[test]
fn a_stopped_clock_leaves_no_pull_control_on() {
    let clock = SimClock::new();
    let model = GpioModel::zero_w(&clock);
    clock.set_step(0);
    let mut gpio = Gpio::new(&model);
    assert_eq!(gpio.set_pull(15, Pull::Up, &clock), Err(GpioError::ClockStopped));
    assert_eq!(model.pull(15), 0);
}

#[test]
fn pins_that_keep_the_board_alive_are_refused() {
    let clock = SimClock::new();
    let model = GpioModel::zero_w(&clock);
    let mut gpio = Gpio::new(&model);
    for pin in [6, 31, 38, 44, 48, 53, 54, 255] {
        let refused = Err(GpioError::NotOurs(pin));
        assert_eq!(gpio.set_function(pin, Function::Input), refused);
        assert_eq!(gpio.write(pin, true), refused);
        assert_eq!(gpio.set_pull(pin, Pull::Off, &clock), refused);
    }
    assert_eq!(gpio.function(54), None);
    assert_eq!(gpio.function(48), Some(Function::Alt3));
}

#[test]
fn the_led_of_each_board() {
    let clock = SimClock::new();
    for (led, lit) in [
        (Led { pin: 16, active_low: true }, false),
        (Led { pin: 47, active_low: false }, true),
        (Led { pin: 47, active_low: true }, false),
    ] {
        let model = GpioModel::zero_w(&clock);
        let mut gpio = Gpio::new(&model);
        gpio.init_led(led).unwrap();
        assert_eq!(model.function(led.pin), 1);
        assert_eq!(model.level(led.pin), !lit);
        gpio.set_led(led, true).unwrap();
        assert_eq!(gpio.read(led.pin), lit);
    }
}

#[test]
fn revision_codes() {
    for (code, model, memory, remux) in [
        (0x0092_0092, Model::Zero, 512, false),
        (0x0090_0092, Model::Zero, 512, false),
        (0x0090_00C1, Model::ZeroW, 512, true),
        (0x0090_0021, Model::APlus, 512, false),
        (0x0090_0032, Model::BPlus, 512, false),
        (0x0002, Model::B, 256, false),
        (0x0100_0005, Model::B, 256, false),
        (0x000E, Model::B, 512, false),
        (0x0010, Model::BPlus, 512, false),
        (0x00A0_2082, Model::Unknown, 1024, false),
        (0x0090_2120, Model::Unknown, 512, false),
        (0, Model::Unknown, 0, false),
        (u32::MAX, Model::Unknown, 32768, false),
    ] {
        let board = Board::from_revision(code);
        assert_eq!(
            (board.model, board.memory_mib, board.uart_remux),
            (model, memory, remux),
            "{code:#x}"
        );
        assert_eq!(board.led.is_none(), model == Model::Unknown);
        assert_eq!(board.lan, matches!(model, Model::B | Model::BPlus));
    }
    assert_eq!(Board::from_revision(0x0002).led, Some(Led { pin: 16, active_low: true }));
}

#[test]
fn a_reboot_clears_the_partition_and_comes_at_once() {
    let clock = SimClock::new();
    // 0x555 would halt the firmware.
    let model = PmModel::new(&clock, 0x1555);
    Pm::new(&model).reboot();
    assert_eq!(model.reset(), None);
    clock.advance(200);
    assert_eq!(model.reset(), Some(0));
    assert_eq!(model.read(0x20), 0x1000, "the other bits stay");
}

#[test]
fn a_fed_watchdog_waits_and_a_starved_one_bites() {
    let clock = SimClock::new();
    let model = PmModel::new(&clock, 0x1000);
    let mut pm = Pm::new(&model);
    for _ in 0..10 {
        pm.feed_watchdog(2_000_000);
        clock.advance(1_900_000);
        assert_eq!(model.reset(), None);
    }
    pm.stop_watchdog();
    clock.advance(60_000_000);
    assert_eq!(model.reset(), None);
    pm.feed_watchdog(u64::MAX);
    clock.advance(WATCHDOG_MAX - 1);
    assert_eq!(model.reset(), None);
    clock.advance(2_000);
    assert!(model.reset().is_some());
}

#[test]
fn where_there_is_no_counter_arming_resets() {
    let clock = SimClock::new();
    let model = PmModel::new(&clock, 0x1000);
    model.immediate.set(true);
    Pm::new(&model).feed_watchdog(10_000_000);
    assert!(model.reset().is_some());
}

#[test]
fn reset_reasons() {
    let reason = ResetReason::from_rsts(0x1000);
    assert!(reason.power_on && !reason.watchdog && !reason.software);
    let reason = ResetReason::from_rsts(0x1020);
    assert!(reason.power_on && reason.watchdog && !reason.debug);
}
