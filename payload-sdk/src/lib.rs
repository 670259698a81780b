//! What a payload links.
//!
//! ```no_run
//! #![cfg_attr(target_os = "none", no_std, no_main)]
//! use payload_sdk::{Error, Kernel, entry};
//!
//! entry!(run);
//!
//! fn run(k: &Kernel) -> Result<(), Error> {
//!     let n = k.input().iter().filter(|&&b| b == b'\n').count();
//!     writeln!(k.output(), "{n} lines")?;
//!     Ok(())
//! }
//! ```
//!
//! `sk run` builds it for the board and runs it there; `cargo test` builds it
//! for the host, where [`fake`] stands in for the kernel. Authors need no
//! `unsafe`: all of it is in one module (`veneer`), which is also the only
//! code that knows how a service is found and called.
//!
//! Nothing is linked that is not used: a payload that only loops is 4 bytes of
//! code. Services are looked up when they are first called; the ones without
//! which a call makes no sense are listed in the image, so that a board that
//! does not offer them refuses it before it runs.
#![cfg_attr(target_os = "none", no_std)]

// Its symbols take the place of the compiler's.
#[cfg(feature = "mem")]
use sk_mem as _;

mod error;
mod kernel;
mod net;

#[cfg(target_os = "none")]
#[path = "veneer.rs"]
mod sys;

#[cfg(not(target_os = "none"))]
pub mod fake;
#[cfg(not(target_os = "none"))]
mod host;
#[cfg(not(target_os = "none"))]
use fake as sys;

pub use error::{Error, IntoCode};
pub use kernel::{Board, Input, Kernel, Writer};
pub use net::{Net, Received};
pub use sk_abi as abi;
pub use sk_abi::net::{Addresses, Neighbour, NetError, UdpPeer};

/// What [`entry!`] expands to; no part of the interface.
#[doc(hidden)]
pub mod macros {
    #[cfg(not(target_os = "none"))]
    pub use crate::host::main;
    #[cfg(target_os = "none")]
    pub use crate::sys::start;
    pub use core::arch::global_asm;
}

/// Makes a function the payload's entry: `entry!(run)`, or with a stack other
/// than 16 KiB `entry!(run, stack = 64 * 1024)` (bytes, a multiple of 256).
///
/// The function takes a `&Kernel` and returns `()`, an exit code (`i32`), or a
/// `Result` of one of them with [`Error`]. On the host the macro makes a `main` that
/// hands the payload to `sk run`, so it must not be called `main` itself.
#[macro_export]
macro_rules! entry {
    ($run:path) => {
        #[cfg(target_os = "none")]
        #[unsafe(no_mangle)]
        #[unsafe(link_section = ".text.sk_entry")]
        extern "C" fn _start(
            resolve: $crate::abi::Resolve,
            info: *const $crate::abi::TaskInfo,
        ) -> i32 {
            // SAFETY: this is the entry point; the kernel passes these two.
            unsafe { $crate::macros::start(resolve, info, $run) }
        }

        #[cfg(not(target_os = "none"))]
        #[allow(dead_code)]
        fn main() -> ::std::process::ExitCode {
            $crate::macros::main(env!("CARGO_MANIFEST_DIR"), env!("CARGO_PKG_NAME"), $run)
        }
    };
    ($run:path, stack = $stack:expr) => {
        $crate::entry!($run);
        #[cfg(target_os = "none")]
        $crate::macros::global_asm!(
            ".pushsection .sk.stack,\"\",%progbits",
            ".4byte {}",
            ".popsection",
            const {
                let bytes: u32 = $stack;
                assert!(
                    bytes % $crate::abi::image::STACK_UNIT == 0
                        && bytes > 0
                        && bytes <= $crate::abi::image::STACK_MAX,
                    "a stack is a multiple of 256 bytes, at most 16 MiB"
                );
                bytes
            }
        );
    };
}
