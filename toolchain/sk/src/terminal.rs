//! Words for people, on standard error.

use std::io::{IsTerminal, Write};

use crate::failure::Failure;

/// Colour is for terminals, and not for who does not want it (no-color.org).
fn is_coloured() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stderr().is_terminal() && !unwanted && !dumb
}

fn label(word: &str, colour: u8) -> String {
    if is_coloured() { format!("\x1b[1;{colour}m{word}:\x1b[0m") } else { format!("{word}:") }
}

/// A line that cannot be written is not worth a panic.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Why the program ends.
pub(crate) fn error(failure: &Failure) {
    say(&format!("{} {}", label("error", 31), failure.message));
    for line in &failure.details {
        say(&format!("  {line}"));
    }
    if let Some(help) = &failure.help {
        say(&format!("  {} {help}", label("help", 36)));
    }
}

/// Something to know, no reason to end.
pub(crate) fn warning(message: &str) {
    say(&format!("{} {message}", label("warning", 33)));
}

/// Writes data to standard output. Who closed the pipe has read enough.
pub(crate) fn data(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}
