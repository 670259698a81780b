//! Large tasks in steady bad weather: 5 % of the datagrams lost, 5 % doubled,
//! neighbours overtaking each other by up to eight, both ways.
//!
//! A hundred of them, in few threads; the seed is printed, and a run is the
//! same every time.

mod sim;

use sim::*;
use sk_session::base::SECOND;
use sk_session::client::Job;
use sk_wire::Roles;
use sk_wire::control::Phase;

const SEED: u64 = 0x5EED_2026;
const RUNS: u64 = 100;
const IMAGE: usize = 64 << 10;
const INPUT: usize = 1 << 20;
/// At 90 Mbit/s a datagram takes 125 us: a jitter of 1 ms lets eight overtake.
const WEATHER: Weather =
    Weather { loss: 5, duplicate: 5, delay: 300, jitter: 1000, rate: 11_250_000 };

fn run(seed: u64) {
    let config = config();
    let mut world = World::new(&config, seed, WEATHER);
    let (image, input) = (world.dice.bytes(IMAGE), world.dice.bytes(INPUT));
    let n = world.add(params(0, 1, Roles::SUBMIT), Job::Run(spec(1, &image, &input, "echo")));
    assert!(world.finish(n, 120 * SECOND), "seed {seed}: no end");
    let told = &world.players[n].told;
    assert!(told.error.is_none(), "seed {seed}: {:?}", told.error);
    assert!(told.stdout == input, "seed {seed}: output differs");
    assert_eq!(world.machine.entered.len(), 1, "seed {seed}");
    let idle = world.until(30 * SECOND, |world| world.server.phase() == Phase::Idle);
    assert!(idle, "seed {seed}: not idle again");
}

#[test]
fn a_hundred_large_tasks_arrive_whole() {
    println!("seeds {SEED:#x} to {:#x}", SEED + RUNS - 1);
    std::thread::scope(|scope| {
        for part in 0..2 {
            scope.spawn(move || (part..RUNS).step_by(2).for_each(|i| run(SEED + i)));
        }
    });
}
