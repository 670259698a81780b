//! `sk scan`: who is there?

use std::time::Duration;

use serde_json::json;
use sk_client::{Board, Patience, Reason, Selector, Sighting, State, to_hex};

use crate::failure::Failure;
use crate::{board, stop, terminal, units};

/// How long a board has to tell its facts, us.
const FACTS: u64 = 1_000_000;

/// Lists the boards that answer on the network, and emulated ones
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  sk scan\n  sk scan --address 192.168.1.40 --json\n\n\
                        TRUST is 'known' for a board whose key is in $SK_HOME; others are listed and never used.")]
pub(crate) struct Args {
    /// How long to listen
    #[arg(long, default_value = "1500ms", value_parser = units::duration, value_name = "TIME")]
    timeout: Duration,
    /// Ask this address too (may be repeated)
    #[arg(long, short, value_name = "ADDRESS")]
    address: Vec<String>,
    /// Print an array of objects
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let mut client = board::client()?;
        stop::on_signal(&client.stop_flag())?;
        for text in &self.address {
            match Selector::parse(text) {
                Ok(Selector::Address(address)) => client.targets.push(address),
                Ok(_) => terminal::warning(&format!("'{text}' is no address")),
                Err(error) => terminal::warning(&error.to_string()),
            }
        }
        for damaged in client.store().boards()?.damaged {
            terminal::warning(&damaged.to_string());
        }
        let heard = client.scan(self.timeout)?;
        let rows = describe(&mut client, heard);
        if self.json {
            let list: Vec<_> = rows.iter().map(Row::json).collect();
            return terminal::data(&format!("{:#}\n", serde_json::Value::from(list)));
        }
        if rows.is_empty() {
            terminal::say(
                "no board answered; `sk scan --address IP` asks one directly, `sk emu` starts an emulated one",
            );
        }
        terminal::data(&table(&rows))
    }
}

struct Row {
    sighting: Sighting,
    memory_kib: Option<u32>,
    mhz: Option<u16>,
}

/// Beacons say how much memory there is, but come every five seconds only;
/// boards that we know are asked.
fn describe(client: &mut sk_client::Client, heard: Vec<Sighting>) -> Vec<Row> {
    client.patience = Patience { connect: FACTS, busy: 0, silence: FACTS };
    let client = &*client;
    std::thread::scope(|scope| {
        let asked: Vec<_> = heard
            .into_iter()
            .map(|sighting| {
                let board = dialled(&sighting);
                (sighting, board.map(|board| scope.spawn(move || client.ping(&board))))
            })
            .collect();
        let rows = asked.into_iter().map(|(sighting, answer)| {
            let mut row =
                Row { memory_kib: sighting.found.free_kib, mhz: sighting.found.mhz, sighting };
            match answer.map(std::thread::ScopedJoinHandle::join) {
                Some(Ok(Ok(pong))) => {
                    (row.memory_kib, row.mhz) = (Some(pong.memory_kib), Some(pong.mhz));
                }
                Some(Ok(Err(error))) => terminal::warning(&error.to_string()),
                // No answer was wanted, or the thread is gone.
                _ => {}
            }
            row
        });
        rows.collect()
    })
}

/// The board behind a sighting, if it is ours, free, and has not said all.
fn dialled(sighting: &Sighting) -> Option<Board> {
    let found = &sighting.found;
    let known = sighting.known.clone()?;
    (found.state == State::Idle && found.free_kib.is_none()).then_some(Board {
        known,
        address: found.address,
        state: found.state,
    })
}

impl Row {
    fn reason(&self) -> Option<&'static str> {
        (self.sighting.found.reason != Reason::None).then_some(self.sighting.found.reason.text())
    }

    const fn trust(&self) -> &'static str {
        if self.sighting.known.is_some() { "known" } else { "unknown" }
    }

    fn json(&self) -> serde_json::Value {
        let found = &self.sighting.found;
        json!({
            "name": self.sighting.name(),
            "id": to_hex(&found.fingerprint),
            "address": found.address.to_string(),
            "state": found.state.text(),
            "reason": self.reason(),
            "uptime_s": found.uptime_s,
            "memory_kib": self.memory_kib,
            "mhz": self.mhz,
            "trust": self.trust(),
        })
    }

    fn cells(&self) -> [String; 7] {
        let found = &self.sighting.found;
        let state = match self.reason() {
            Some(reason) => format!("{} ({reason})", found.state.text()),
            None => found.state.text().into(),
        };
        [
            self.sighting.name().unwrap_or("-").into(),
            to_hex(&found.fingerprint),
            found.address.to_string(),
            state,
            units::show_uptime(found.uptime_s),
            self.memory_kib.map_or_else(|| "-".into(), |kib| format!("{} MiB", kib / 1024)),
            self.trust().into(),
        ]
    }
}

const TITLES: [&str; 7] = ["NAME", "ID", "ADDRESS", "STATE", "UPTIME", "MEMORY", "TRUST"];

/// Columns as wide as their widest cell.
fn table(rows: &[Row]) -> String {
    let mut lines = vec![TITLES.map(String::from)];
    lines.extend(rows.iter().map(Row::cells));
    let width =
        |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> =
            line.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use sk_client::Found;

    fn row(state: State, reason: Reason) -> Row {
        let found = Found {
            address: "192.0.2.7:24139".parse().unwrap(),
            fingerprint: [0xAB; 8],
            state,
            reason,
            uptime_s: 192,
            label: None,
            free_kib: None,
            mhz: None,
        };
        Row { sighting: Sighting { found, known: None }, memory_kib: Some(446_464), mhz: Some(700) }
    }

    #[test]
    fn columns_are_aligned_and_a_fault_says_why() {
        let rows = [row(State::Idle, Reason::None), row(State::Fault, Reason::NoClients)];
        let text = table(&rows);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        let column = lines[0].find("UPTIME").unwrap();
        assert!(lines[1][column..].starts_with("3m12s   436 MiB  unknown"), "{text}");
        assert!(lines[2].contains("fault (the configuration lists no client)  3m12s"), "{text}");
    }

    #[test]
    fn json_has_every_field() {
        let value = row(State::Fault, Reason::Rng).json();
        let expected = json!({
            "name": null, "id": "abababababababab", "address": "192.0.2.7:24139", "state": "fault",
            "reason": "the hardware random number generator failed its health test",
            "uptime_s": 192, "memory_kib": 446_464, "mhz": 700, "trust": "unknown",
        });
        assert_eq!(value, expected);
    }
}
