//! `sk ping`: how long the way to a board and back takes.

use std::time::{Duration, Instant};

use sk_client::{Echo, PING_PAUSE, Selector};

use crate::failure::Failure;
use crate::{board, stop, terminal, units};

/// Times round trips to a board, each encrypted and authenticated both ways
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  sk ping --board attic-1\n  sk ping --count 100 --interval 20ms\n\n\
                        One session for all of them; its handshake is timed on its own. A question that had to be sent\n\
                        again has no time. Ctrl-C ends it early."
)]
pub(crate) struct Args {
    #[command(flatten)]
    choice: board::Choice,
    /// How many
    #[arg(long, short, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// From an answer to the next question: 1ms to 2s
    #[arg(long, short, default_value = "1s", value_parser = interval)]
    interval: Duration,
}

fn interval(text: &str) -> Result<Duration, String> {
    let time = units::duration(text)?;
    if time <= PING_PAUSE { Ok(time) } else { Err(format!("{text} is more than 2s")) }
}

impl Args {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let client = board::client()?;
        stop::on_signal(&client.stop_flag())?;
        let board = self.choice.find(&client, Selector::Known)?;
        let (name, address) = (board.name().to_owned(), board.address);
        let start = Instant::now();
        let mut tally = Tally::default();
        let mut unsaid = None;
        let result = client.pings(&board, self.count, self.interval, &mut |echo| {
            if tally.answers == 0 {
                tally.session = start.elapsed().saturating_sub(echo.time.unwrap_or_default());
            }
            tally.add(&echo);
            let time = echo.time.map_or_else(|| "unknown".into(), units::show_time);
            let line = format!("{name} ({address}): seq={} time={time}\n", echo.seq);
            // Who closed the pipe has read enough, but not of the board's fault.
            if let Err(failure) = terminal::data(&line) {
                unsaid.get_or_insert(failure);
            }
        });
        if let Some(failure) = unsaid {
            return Err(failure);
        }
        if tally.answers > 0 {
            terminal::data(&tally.show(&name))?;
        }
        Ok(result?)
    }
}

/// The times so far.
#[derive(Default)]
struct Tally {
    answers: u32,
    session: Duration,
    times: Vec<Duration>,
}

impl Tally {
    fn add(&mut self, echo: &Echo) {
        self.answers += 1;
        self.times.extend(echo.time);
    }

    fn show(&self, name: &str) -> String {
        let mut text = format!("{name}: {} answers", self.answers);
        let again = self.answers as usize - self.times.len();
        if again > 0 {
            text += &format!(", {again} to questions sent again");
        }
        text += &format!("; session in {}", units::show_time(self.session));
        if let (Some(least), Some(most)) = (self.times.iter().min(), self.times.iter().max()) {
            let sum: Duration = self.times.iter().sum();
            let mean = sum / u32::try_from(self.times.len()).unwrap_or(u32::MAX);
            let [least, mean, most] = [*least, mean, *most].map(units::show_time);
            text += &format!("; min {least}, mean {mean}, max {most}");
        }
        text + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_what_has_no_time() {
        let times = [1, 3].map(Duration::from_millis).to_vec();
        let session = Duration::from_millis(20);
        let tally = Tally { answers: 3, session, times };
        assert_eq!(
            tally.show("attic-1"),
            "attic-1: 3 answers, 1 to questions sent again; session in 20.0 ms; \
             min 1.0 ms, mean 2.0 ms, max 3.0 ms\n"
        );
    }

    #[test]
    fn intervals() {
        assert_eq!(interval("20ms"), Ok(Duration::from_millis(20)));
        assert!(interval("3s").is_err() && interval("1").is_err());
    }
}
