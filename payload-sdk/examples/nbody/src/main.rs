//! Sun, Jupiter, Saturn, Uranus and Neptune in double precision: the energy of
//! the system before and after 1000 steps of 3.65 days. It should stay.
//! Units: AU, days, masses of the sun.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use payload_sdk::{Error, Kernel, entry};

entry!(run);

const G: f64 = 0.01720209895 * 0.01720209895; // Gauss

/// Position, velocity, mass: 1 January 2000, from the sun.
type Body = ([f64; 3], [f64; 3], f64);
#[rustfmt::skip]
const BODIES: [Body; 5] = [
    ([0.0; 3], [0.0; 3], 1.0),
    ([4.84143144, -1.16032004, -0.10362204], [0.001660076643, 0.007699011184, -0.000069046002], 0.0009547919),
    ([8.34336672, 4.12479856, -0.40352342], [-0.002767425107, 0.004998528012, 0.000023041730], 0.0002858860),
    ([12.89436956, -15.11115140, -0.22330758], [0.002964601376, 0.002378471740, -0.000029658957], 0.0000436624),
    ([15.37969711, -25.91931461, 0.17925877], [0.002680677725, 0.001628241700, -0.000095159225], 0.0000515139),
];

/// The energy; then everything moves on by a time, which may be 0.
fn step(bodies: &mut [Body], dt: f64) -> f64 {
    let dot = |a: [f64; 3], b: [f64; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    let mut sum = 0.0;
    for i in 0..bodies.len() {
        let (before, [(x, v, m), ..]) = bodies.split_at_mut(i) else { break };
        sum += 0.5 * *m * dot(*v, *v);
        for (y, w, n) in before {
            let d = [x[0] - y[0], x[1] - y[1], x[2] - y[2]];
            let r2 = dot(d, d);
            let r = libm::sqrt(r2);
            let f = G * dt / (r2 * r);
            sum -= G * *m * *n / r;
            for k in 0..3 {
                v[k] -= d[k] * *n * f;
                w[k] += d[k] * *m * f;
            }
        }
    }
    for (x, v, _) in bodies {
        x.iter_mut().zip(v).for_each(|(x, v)| *x += dt * *v);
    }
    sum
}

fn run(k: &Kernel) -> Result<(), Error> {
    let mut bodies = BODIES;
    write!(k.output(), "{:.15}", step(&mut bodies, 0.0))?;
    for _ in 0..1000 {
        step(&mut bodies, 3.65);
    }
    writeln!(k.output(), " {:.15}", step(&mut bodies, 0.0))
}

#[cfg(test)]
#[test]
fn the_energy_stays() {
    let report = payload_sdk::fake::Fake::new().run(run);
    assert_eq!(report.text(), "-0.000000032138891 -0.000000032141015\n");
}
