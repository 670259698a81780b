//! `sk info`: the facts of one board, over a session.

use std::time::Duration;

use sk_client::{LastEnd, Phase, Selector};

use crate::failure::Failure;
use crate::{board, stop, terminal, units};

/// Asks a board how it is, after proof that it is the one on record
#[derive(clap::Args)]
#[command(after_help = "Example:\n  sk info --board attic-1")]
pub(crate) struct Args {
    #[command(flatten)]
    choice: board::Choice,
}

impl Args {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let client = board::client()?;
        stop::on_signal(&client.stop_flag())?;
        let board = self.choice.find(&client, Selector::Known)?;
        let pong = client.ping(&board)?;
        let mut lines = vec![
            ("name", board.name().to_owned()),
            ("id", sk_client::to_hex(&board.known.fingerprint())),
            ("address", board.address.to_string()),
            ("doing", format!("{:?}", pong.phase).to_lowercase()),
            (
                "uptime",
                units::show_uptime(u32::try_from(pong.uptime_ms / 1000).unwrap_or(u32::MAX)),
            ),
            ("memory", format!("{} MiB for a task", pong.memory_kib / 1024)),
            ("clock", format!("{} MHz", pong.mhz)),
            ("tasks", format!("{} since its boot", pong.tasks)),
            ("dropped", format!("{} datagrams since its boot", pong.drops)),
        ];
        if pong.temperature_mc != 0 {
            lines
                .push(("temperature", format!("{:.1} C", f64::from(pong.temperature_mc) / 1000.0)));
        }
        if pong.throttle != 0 {
            lines.push(("throttled", format!("{:#x}", pong.throttle)));
        }
        if let Some(end) = LastEnd::from_byte(pong.last_end).filter(|&end| end != LastEnd::Unknown)
        {
            lines.push(("last boot", end.text().to_owned()));
        }
        // Only its owner and operators are told.
        if pong.phase == Phase::Running
            && let Ok(task) = client.status(&board)
        {
            lines.push(("running for", units::show_time(Duration::from_micros(task.wall_us))));
        }
        let text: String =
            lines.iter().map(|(name, value)| format!("{name:<12}{value}\n")).collect();
        terminal::data(&text)
    }
}
