//! Calls itself until its stack is used up: the kernel names the reason.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use core::hint::black_box;
use payload_sdk::{Kernel, entry};

entry!(run, stack = 4096);

fn run(k: &Kernel) -> i32 {
    // The input cannot be that long, so this never ends by itself.
    deeper(k.input().len() as u32) as i32
}

#[inline(never)]
fn deeper(n: u32) -> u32 {
    let frame = black_box([n; 16]);
    if n == u32::MAX { 0 } else { deeper(n + 1) ^ frame[n as usize % 16] }
}
