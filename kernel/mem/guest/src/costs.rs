//! The calls whose instructions are counted.

use crate::memory::{FROM, Routine, TO, get, put};
use crate::uart::say;

/// Of the network's datagrams and of long copies.
const LENGTHS: [usize; 9] = [0, 4, 8, 14, 16, 40, 64, 100, 1024];

pub fn run() {
    let count = |name: &str, routine: Routine, a: usize, b: usize, c: usize| {
        let (to, from) = (a % 32, b % 32);
        match name {
            "memset" | "__aeabi_memclr" => say!("cost {name} {} {to}", if b == 0 { c } else { b }),
            "ones_sum" => say!("cost {name} {b} {to}"),
            _ => say!("cost {name} {c} {to} {from}"),
        }
        routine.count(a, b, c)
    };
    for n in LENGTHS {
        for (to, from) in [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (3, 2)] {
            count("memcpy", Routine::memcpy(), TO + to, FROM + from, n);
        }
    }
    for n in [14, 100, 1024] {
        // `to` above and below `from`, within the bytes.
        for (to, from) in [(8, 4), (5, 4), (4, 8), (4, 5)] {
            count("memmove", Routine::memmove(), TO + to, TO + from, n);
        }
        count("memmove", Routine::memmove(), TO, FROM, n);
    }
    for n in LENGTHS {
        for to in [0, 1] {
            count("memset", Routine::memset(), TO + to, 0, n);
        }
        if n > 0 {
            count("__aeabi_memclr", Routine::aeabi_memclr(), TO, n, 0);
        }
    }
    for i in 0..1100 {
        put(TO + i, get(FROM + i));
    }
    for n in [4, 6, 16, 32, 100, 1024] {
        count("memcmp", Routine::memcmp(), TO, FROM, n);
    }
    // Equal bytes, each at another place in its word.
    for i in 0..1100 {
        put(TO + 1 + i, get(FROM + i));
    }
    for n in [6, 32, 1024] {
        count("memcmp", Routine::memcmp(), TO + 1, FROM, n);
    }
    for n in [0, 8, 20, 40, 100, 512, 1024, 1472] {
        for from in [0, 1, 2] {
            count("ones_sum", Routine::ones_sum(), FROM + from, n, 0);
        }
    }
}
