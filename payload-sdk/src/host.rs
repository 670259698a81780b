//! What a payload's program does when it is started on the host: it hands
//! itself to `sk run`, which builds it for the board.

use crate::{IntoCode, Kernel};
use std::process::{Command, ExitCode};

/// The host's `main` of a payload. `_run` is only there to be compiled.
pub fn main<T: IntoCode>(
    package: &str,
    program: &str,
    _run: impl FnOnce(&Kernel) -> T,
) -> ExitCode {
    let sk = std::env::var_os("SK").unwrap_or_else(|| "sk".into());
    let status =
        Command::new(&sk).arg("run").arg(package).args(std::env::args_os().skip(1)).status();
    match status {
        Ok(status) => {
            // Beyond 8 bits a code of the host cannot say more than failure.
            let code = status.code().unwrap_or(1);
            ExitCode::from(u8::try_from(code).unwrap_or(1))
        }
        Err(e) => {
            eprintln!(
                "{program} is a payload: it runs on a serverkernel board, not here.\n\
                 `{}` could not be started ({e}). With the serverkernel tools installed:\n\n    \
                 sk run {package}\n\n\
                 `cargo test` runs it against a fake kernel on this machine.",
                sk.to_string_lossy()
            );
            ExitCode::from(1)
        }
    }
}
