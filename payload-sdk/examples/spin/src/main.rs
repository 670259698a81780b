//! The smallest payload: one instruction. The kernel ends it at its deadline.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use payload_sdk::{Kernel, entry};

entry!(run);

fn run(_: &Kernel) {
    #[allow(clippy::empty_loop)] // that is the point
    loop {}
}
