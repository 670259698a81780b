//! Fuzzing without libFuzzer, on the pinned toolchain: the seeds of the targets
//! named, bent and spliced for so many seconds each, two targets at a time.
//!
//! `cargo run -p sk-fuzz --example mutate -- SECONDS TARGET..`. The inputs are
//! the same in each run, as far as it gets. It has no eyes for coverage: what
//! it is good for is that a change breaks nothing plain. What fails, or takes
//! longer than [`SLOW`], is written to the system's folder for temporary files.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use sk_fuzz::{TARGETS, Target};

/// No input may take longer: there are no waits in what is fuzzed.
const SLOW: Duration = Duration::from_secs(10);
const LONGEST: usize = 4096;

/// splitmix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
    let mut paths: Vec<_> =
        fs::read_dir(folder).expect("seeds").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a file")).collect()
}

/// One change.
fn bend(input: &mut Vec<u8>, seeds: &[Vec<u8>], dice: &mut Dice) {
    const EDGES: [u8; 8] = [0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF, 0x40];
    let at = dice.below(input.len() + 1);
    let some = 1 + dice.below(8);
    match dice.below(8) {
        0 if at < input.len() => input[at] ^= 1 << dice.below(8),
        1 if at < input.len() => input[at] = EDGES[dice.below(EDGES.len())],
        2 if at < input.len() => input[at] = input[at].wrapping_add(some as u8).wrapping_sub(4),
        3 => input.truncate(at),
        4 => drop(input.drain(at..(at + some).min(input.len()))),
        5 => {
            let new: Vec<u8> = (0..some).map(|_| dice.next() as u8).collect();
            input.splice(at..at, new);
        }
        // A piece of itself, or of another.
        n => {
            let from = if n == 6 { input.clone() } else { seeds[dice.below(seeds.len())].clone() };
            let start = dice.below(from.len() + 1);
            let end = (start + dice.below(64)).min(from.len());
            input.splice(at..at, from[start..end].iter().copied());
        }
    }
    input.truncate(LONGEST);
}

/// Runs one; `false` = something was found.
fn fuzz((name, target): Target, time: Duration) -> bool {
    let seeds = seeds(name);
    let mut dice = Dice(name.bytes().fold(1, |all, byte| all * 31 + u64::from(byte)));
    // Seeds first, then what grew out of them.
    let mut pool = seeds.clone();
    let (start, mut runs) = (Instant::now(), 0_u64);
    while start.elapsed() < time {
        let mut input = pool[dice.below(pool.len())].clone();
        for _ in 0..=dice.below(6) {
            bend(&mut input, &seeds, &mut dice);
        }
        let began = Instant::now();
        let held = catch_unwind(AssertUnwindSafe(|| target(&input))).is_ok();
        let took = began.elapsed();
        if !held || took > SLOW {
            let file = std::env::temp_dir().join(format!("sk-fuzz-{name}-{runs}"));
            let _ = fs::write(&file, &input);
            println!("{name}: run {runs}, {took:?}: {}", file.display());
            return false;
        }
        runs += 1;
        if runs.is_multiple_of(64) {
            let place = dice.below(256);
            if place < pool.len() && place >= seeds.len() {
                pool[place] = input;
            } else if pool.len() < 256 {
                pool.push(input);
            }
        }
    }
    println!("{name}: {runs} inputs in {} s", time.as_secs());
    true
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().and_then(|text| text.parse().ok());
    let Some(time) = seconds.map(Duration::from_secs) else {
        eprintln!("mutate SECONDS TARGET..");
        return ExitCode::FAILURE;
    };
    let mut targets = vec![];
    for name in arguments {
        let Some(target) = TARGETS.into_iter().find(|(known, _)| *known == name) else {
            eprintln!("no target {name}");
            return ExitCode::FAILURE;
        };
        targets.push(target);
    }
    let (queue, found) = (Mutex::new(targets), Mutex::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("no panic").pop();
                    let Some(target) = next else { return };
                    if !fuzz(target, time) {
                        *found.lock().expect("no panic") += 1;
                    }
                }
            });
        }
    });
    let found = *found.lock().expect("no panic");
    if found == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
