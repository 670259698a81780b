//! Where a task's output goes, and the progress of sending it.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use sk_client::{Events, Step};

use crate::failure::Failure;

/// Shorter uploads get no bar.
const LASTS: Duration = Duration::from_millis(500);

/// The user's end of a task.
pub(super) struct Screen {
    output: Box<dyn Write>,
    /// Does a person want to see progress?
    watched: bool,
    since: Option<Instant>,
    bar: Option<ProgressBar>,
}

impl Screen {
    /// Opens the output now: what cannot be written need not be run.
    pub(super) fn new(path: Option<&Path>, quiet: bool) -> Result<Self, Failure> {
        let output: Box<dyn Write> = match path {
            Some(path) if path.as_os_str() != "-" => {
                Box::new(File::create(path).map_err(|error| Failure::file(path, &error))?)
            }
            _ => Box::new(io::stdout()),
        };
        let watched = !quiet && io::stderr().is_terminal();
        Ok(Self { output, watched, since: None, bar: None })
    }

    /// Takes the bar away.
    pub(super) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn progress(&mut self, bytes: u32, total: u32) {
        let since = *self.since.get_or_insert_with(Instant::now);
        if self.bar.is_none() && self.watched && since.elapsed() >= LASTS {
            let style = ProgressStyle::with_template("sending {bar:30} {bytes}/{total_bytes}");
            let bar = ProgressBar::new(total.into());
            // The template is a constant; without it the default will do.
            self.bar = Some(match style {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            });
        }
        if let Some(bar) = &self.bar {
            bar.set_position(bytes.into());
        }
    }
}

impl Events for Screen {
    fn step(&mut self, step: Step) {
        match step {
            Step::Sent { bytes, total } => self.progress(bytes, total),
            Step::Accepted => self.since = Some(Instant::now()),
            Step::Connected => {}
            Step::Started => self.finish(),
        }
    }

    fn stdout(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.finish();
        // Whoever reads it should not wait for more.
        self.output.write_all(bytes)?;
        self.output.flush()
    }

    fn stderr(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.finish();
        io::stderr().write_all(bytes)
    }
}
