//! The sieve of Eratosthenes: how many primes there are up to a number, which is
//! its argument (or 100000), and the largest.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use payload_sdk::{Error, Kernel, entry};

entry!(run);

fn run(k: &Kernel) -> Result<(), Error> {
    let limit: u32 = k.args().next().map_or(Ok(100_000), str::parse)?;
    let limit = limit as usize;
    let mut composite = alloc::vec![false; limit + 1];
    let (mut count, mut largest) = (0, 0);
    for n in 2..=limit {
        if composite[n] {
            continue;
        }
        count += 1;
        largest = n;
        let first = n.saturating_mul(n);
        composite.iter_mut().skip(first).step_by(n).for_each(|c| *c = true);
    }
    writeln!(k.output(), "{count} primes up to {limit}, the largest {largest}")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::run;
    use payload_sdk::fake::Fake;

    #[test]
    fn counted() {
        for (args, text) in [
            (None, "9592 primes up to 100000, the largest 99991\n"),
            (Some("10"), "4 primes up to 10, the largest 7\n"),
            (Some("0"), "0 primes up to 0, the largest 0\n"),
        ] {
            assert_eq!(Fake::new().args(args).run(run).text(), text);
        }
    }
}
