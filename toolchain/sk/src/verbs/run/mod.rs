//! `sk run`: sends a payload to a board, streams what it writes, ends as it ends.

mod output;
mod registers;

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sk_client::{Error, Limits, Report, Selector, Task, flags, receipt_flags};

use crate::failure::Failure;
use crate::{board, payload, stop, terminal, units};

use output::Screen;

/// Longest input that is read: a byte more than can be sent, to say so.
const INPUT_MAX: u64 = (16 << 20) + 1;

/// Runs a payload on a board
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  echo -n hello | sk run md5.skp\n  sk run --board attic-1 --timeout 1m --input data.bin -o result.bin md5.skp\n  \
                        sk run payload-sdk/examples/hello -- Anna\n\n\
                        Exit code: the payload's (0 to 123); 124 time over; 125 the board, the network or this program\n\
                        failed; 126 payload, or --direct, rejected; 127 no such board or payload; 128+n the payload crashed (132\n\
                        undefined instruction, 133 breakpoint, 134 panic, 135 misaligned, 136 arithmetic, 139 any\n\
                        other); 130 Ctrl-C."
)]
pub(crate) struct Args {
    #[command(flatten)]
    choice: board::Choice,
    /// The payload must end within this time
    #[arg(long, short, default_value = "10s", value_parser = units::duration, value_name = "TIME")]
    timeout: Duration,
    /// Of that, so much in the payload's own code: waiting does not count
    #[arg(long, value_parser = units::duration, value_name = "TIME")]
    cpu_time: Option<Duration>,
    /// The payload must give a sign of life (task.beat) at least so often
    #[arg(long, value_parser = units::duration, value_name = "TIME")]
    heartbeat: Option<Duration>,
    /// How long a busy board is waited for
    #[arg(long, default_value = "1s", value_parser = units::duration, value_name = "TIME")]
    wait: Duration,
    /// Heap
    #[arg(long, default_value = "4M", value_parser = units::size, value_name = "SIZE")]
    mem: u32,
    /// Stack, instead of what the payload says (16K)
    #[arg(long, value_parser = units::size, value_name = "SIZE")]
    stack: Option<u32>,
    /// Room for output
    #[arg(long, default_value = "1M", value_parser = units::size, value_name = "SIZE")]
    max_output: u32,
    /// The payload's input; without it standard input, unless that is a terminal
    #[arg(long, short, value_name = "FILE|-")]
    input: Option<PathBuf>,
    /// Where the output goes; without it standard output
    #[arg(long, short, value_name = "FILE|-")]
    output: Option<PathBuf>,
    /// Run without the shield: the payload can do anything to the board
    /// (docs/security.md). The client needs the role direct
    #[arg(long)]
    direct: bool,
    /// When the payload crashes, show all registers
    #[arg(long)]
    registers: bool,
    /// No summary, no progress
    #[arg(long, short)]
    quiet: bool,
    /// A payload image (.skp) or a linked ELF file; the folder of a package or a source file in C, which is built first
    payload: PathBuf,
    /// Arguments for the payload, after --
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<String>,
}

impl Args {
    pub(crate) fn run(&self) -> Result<u8, Failure> {
        let image = payload::image(&self.payload, self.quiet)?;
        let input = self.read_input()?;
        let mut screen = Screen::new(self.output.as_deref(), self.quiet)?;

        let mut client = board::client()?;
        // Only from here on is there something to be ended in good order.
        stop::on_signal(&client.stop_flag())?;
        client.patience.busy = u64::try_from(self.wait.as_micros()).unwrap_or(u64::MAX);
        let board = self.choice.find(&client, Selector::Any)?;

        let mut task = Task::new(&image, &input);
        task.args.clone_from(&self.args);
        task.flags = if self.direct { flags::DIRECT } else { 0 };
        task.limits = Limits {
            wall: Some(self.timeout),
            cpu: self.cpu_time,
            heartbeat: self.heartbeat,
            heap: self.mem,
            stack: self.stack,
            stdout: self.max_output,
            ..Limits::default()
        };
        let result = client.run(&board, &task, &mut screen);
        screen.finish();
        match result {
            Ok(report) => {
                if !self.quiet {
                    terminal::say(&summary(board.name(), &report));
                }
                Ok(report.exit_code())
            }
            Err(error) => Err(self.failure(error)),
        }
    }

    fn failure(&self, error: Error) -> Failure {
        let details = match &error {
            Error::Ended(ended) if self.registers => ended.fault().map(registers::dump),
            _ => None,
        };
        let mut failure = Failure::from(error);
        if let Some(details) = details {
            (failure.details, failure.help) = (details, None);
        }
        failure
    }

    fn read_input(&self) -> Result<Vec<u8>, Failure> {
        match &self.input {
            Some(path) if path.as_os_str() != "-" => {
                let file = File::open(path).map_err(|error| Failure::file(path, &error))?;
                read(file).map_err(|error| Failure::file(path, &error))
            }
            None if io::stdin().is_terminal() => Ok(Vec::new()),
            _ => read(io::stdin().lock())
                .map_err(|error| Failure::file(Path::new("standard input"), &error)),
        }
    }
}

fn read(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(INPUT_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// One line on how it went.
fn summary(board: &str, report: &Report) -> String {
    let receipt = &report.receipt;
    let ran = units::show_time(Duration::from_micros(receipt.usage.wall_us));
    let mut line = format!(
        "{board}: sent {} in {}, ran {ran}, exit {}",
        units::show_size(report.sent),
        units::show_time(report.upload),
        receipt.exit
    );
    if receipt.flags & receipt_flags::UNSHIELDED != 0 {
        line.push_str(", unshielded");
    }
    if i32::from(report.exit_code()) != receipt.exit {
        line.push_str(&format!(" (as {})", report.exit_code()));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use sk_client::Receipt;

    #[test]
    fn the_summary_is_one_line() {
        let mut receipt = Receipt::default();
        receipt.usage.wall_us = 210;
        let mut report = Report {
            receipt,
            sent: 1_258_291,
            upload: Duration::from_millis(3100),
            total: Duration::from_secs(4),
        };
        assert_eq!(
            summary("attic-1", &report),
            "attic-1: sent 1.2 MiB in 3.10 s, ran 210 us, exit 0"
        );
        report.receipt.exit = -1;
        assert!(summary("attic-1", &report).ends_with("exit -1 (as 123)"));
        report.receipt.exit = 0;
        report.receipt.flags = receipt_flags::UNSHIELDED;
        assert!(summary("attic-1", &report).ends_with("exit 0, unshielded"));
    }
}
