//! Any loss, duplication, reordering and delay; clients that vanish or give up
//! at any moment; boards that restart (T1, T7, T9, T11, W1 of the protocol).
//!
//! Whatever happens: the output is whole and right or there is a clean error,
//! a task is entered at most once per boot, and the board is idle again within
//! the time the limits allow.

mod sim;

use std::collections::HashSet;

use proptest::prelude::*;
use sim::*;
use sk_abi::Status;
use sk_session::base::{MS, Micros, SECOND};
use sk_session::client::{ClientError, Job};
use sk_wire::Roles;
use sk_wire::control::{Phase, receipt_flags};

fn weather() -> impl Strategy<Value = Weather> {
    (0..25_u64, 0..20_u64, 100..3000_u64, 0..8000_u64, prop_oneof![Just(0_u64), Just(250_000)])
        .prop_map(|(loss, duplicate, delay, jitter, rate)| Weather {
            loss,
            duplicate,
            delay,
            jitter,
            rate,
        })
}

fn no_task_ran_twice(world: &World<'_>) {
    let names: HashSet<_> = world.machine.entered.iter().collect();
    assert_eq!(names.len(), world.machine.entered.len(), "a task was entered twice");
}

fn idle_again(world: &mut World<'_>, within: Micros) {
    let idle = world.until(within, |world| world.server.phase() == Phase::Idle);
    assert!(idle, "the board stays in {:?}", world.server.phase());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_object_arrives_whole_or_the_error_is_clean(seed: u64, weather in weather(), image in 1..9000_usize, input in 0..40_000_usize) {
        let config = config();
        let mut world = World::new(&config, seed, weather);
        let (image, input) = (world.dice.bytes(image), world.dice.bytes(input));
        let n = world.add(params(0, 1, Roles::SUBMIT), Job::Run(spec(1, &image, &input, "echo")));
        prop_assert!(world.finish(n, 120 * SECOND), "no end while {:?}", world.players[n].client.doing());
        let told = &world.players[n].told;
        match (&told.receipt, &told.error) {
            (Some(receipt), None) => {
                prop_assert_eq!(receipt.status(), Status::OK);
                prop_assert!(told.stdout == input);
                prop_assert_eq!(world.machine.entered.len(), 1);
            }
            (None, Some(error)) => {
                // In such weather nothing else may go wrong.
                let clean = matches!(error, ClientError::NoAnswer { .. } | ClientError::HandshakeRefused { .. } | ClientError::BoardLost { .. }
                    | ClientError::Rejected { status: Status::TIMEOUT | Status::WALL_DEADLINE, .. });
                prop_assert!(clean, "{:?}", error);
            }
            other => prop_assert!(false, "{:?}", other),
        }
        no_task_ran_twice(&world);
        idle_again(&mut world, 200 * SECOND);
    }

    #[test]
    fn a_client_may_vanish_at_any_moment(seed: u64, weather in weather(), after in 0..400_u64, detach: bool) {
        let config = config();
        let mut world = World::new(&config, seed, weather);
        let (image, input) = (vec![1; 3000], vec![2; 20_000]);
        let mut spec = spec(1, &image, &input, "drip 10 10");
        spec.flags = if detach { sk_wire::manifest::flags::DETACH } else { 0 };
        let n = world.add(params(0, 1, Roles::SUBMIT), Job::Run(spec));
        world.pass(after * MS);
        world.players[n].vanished = true;
        // What it had sent may still be on its way.
        world.pass(SECOND);
        idle_again(&mut world, 150 * SECOND);
        no_task_ran_twice(&world);
        // The next client is served as if nothing had been.
        world.weather = FINE;
        let m = world.add(params(1, 1, Roles::SUBMIT), Job::Run(sim::spec(1, &image, b"next", "echo")));
        prop_assert!(world.finish(m, 20 * SECOND));
        prop_assert_eq!(&world.players[m].told.stdout[..], b"next");
    }

    #[test]
    fn giving_up_at_any_moment_has_one_end(seed: u64, weather in weather(), after in 0..300_u64) {
        let config = config();
        let mut world = World::new(&config, seed, weather);
        let (image, input) = (vec![1; 3000], vec![2; 20_000]);
        let n = world.add(params(0, 1, Roles::SUBMIT), Job::Run(spec(1, &image, &input, "drip 5 20")));
        world.pass(after * MS);
        world.players[n].client.abort();
        prop_assert!(world.finish(n, 60 * SECOND), "no end while {:?}", world.players[n].client.doing());
        let told = &world.players[n].told;
        match (&told.receipt, &told.error) {
            (Some(receipt), None) => {
                let fine = matches!(receipt.status(), Status::OK | Status::ABORTED_OWNER | Status::TIMEOUT);
                prop_assert!(fine, "{:?}", receipt.status());
                let entered = receipt.flags & receipt_flags::NOT_STARTED == 0;
                prop_assert_eq!(entered, !world.machine.entered.is_empty());
            }
            (None, Some(error)) => {
                let clean = matches!(error, ClientError::Aborted | ClientError::NoAnswer { .. } | ClientError::BoardLost { .. } | ClientError::HandshakeRefused { .. }
                    | ClientError::Rejected { status: Status::TIMEOUT | Status::WALL_DEADLINE, .. });
                prop_assert!(clean, "{:?}", error);
            }
            other => prop_assert!(false, "{:?}", other),
        }
        no_task_ran_twice(&world);
        idle_again(&mut world, 200 * SECOND);
    }

    #[test]
    fn a_restart_never_runs_a_task_again(seed: u64, weather in weather(), after in 0..300_u64) {
        let (config, mut config2) = (config(), config());
        config2.epoch = 1;
        let mut world = World::new(&config, seed & !0xFF, weather);
        let (image, input) = (vec![1; 3000], vec![2; 20_000]);
        let n = world.add(params(0, 1, Roles::SUBMIT), Job::Run(spec(1, &image, &input, "drip 5 20")));
        world.pass(after * MS);
        world.reboot(&config2, 0xEE);
        prop_assert!(world.finish(n, 60 * SECOND), "no end while {:?}", world.players[n].client.doing());
        no_task_ran_twice(&world);
        if world.players[n].told.accepted.is_some() && world.machine.entered.is_empty() {
            let error = &world.players[n].told.error;
            let clean = matches!(error, Some(ClientError::BootChanged { .. } | ClientError::BoardLost { .. } | ClientError::Rejected { status: Status::TIMEOUT | Status::WALL_DEADLINE, .. }));
            prop_assert!(clean, "{:?}", error);
        }
        idle_again(&mut world, 200 * SECOND);
    }
}
