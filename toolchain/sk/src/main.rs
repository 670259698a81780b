//! `sk`: makes boards, finds them, builds payloads, runs them, brings back the
//! result.
//!
//! Standard output is data and nothing else; what is said to people goes to
//! standard error. Exit codes are those of `docs/cli.md`: `sk run` passes the
//! payload's through, every other verb ends with 0, 1, or 2 for a command line
//! it does not understand.

mod board;
mod card;
mod clients;
mod failure;
mod kernel;
mod lines;
mod payload;
mod sdk;
mod stop;
mod terminal;
mod units;
mod verbs;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sk_client::exit;

#[derive(Parser)]
#[command(
    name = "sk",
    version,
    about = "Finds serverkernel boards, builds payloads, runs them",
    after_help = "Examples:\n  sk emu --name attic-1 &\n  sk scan\n  echo -n hello | sk run md5.skp\n\n\
                  Keys are kept in $SK_HOME, or in the data folder of the XDG specification."
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    New(verbs::new::Args),
    Build(verbs::build::Args),
    Pack(verbs::pack::Args),
    Inspect(verbs::inspect::Args),
    Image(verbs::image::Args),
    Emu(verbs::emu::Args),
    Scan(verbs::scan::Args),
    Info(verbs::info::Args),
    Ping(verbs::ping::Args),
    Run(Box<verbs::run::Args>),
    Kill(verbs::kill::Args),
    Key(verbs::key::Args),
    Accept(verbs::accept::Args),
    Version(verbs::version::Args),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let result = match &cli.verb {
        Verb::New(args) => args.run().map(|()| 0),
        Verb::Build(args) => args.run().map(|()| 0),
        Verb::Pack(args) => args.run().map(|()| 0),
        Verb::Inspect(args) => args.run().map(|()| 0),
        Verb::Image(args) => args.run().map(|()| 0),
        Verb::Emu(args) => args.run().map(|()| 0),
        Verb::Scan(args) => args.run().map(|()| 0),
        Verb::Info(args) => args.run().map(|()| 0),
        Verb::Ping(args) => args.run().map(|()| 0),
        Verb::Run(args) => args.run(),
        Verb::Kill(args) => args.run().map(|()| 0),
        Verb::Key(args) => args.run().map(|()| 0),
        Verb::Accept(args) => args.run().map(|()| 0),
        Verb::Version(args) => args.run().map(|()| 0),
    };
    let code = match result {
        Ok(code) => code,
        Err(failure) => {
            terminal::error(&failure);
            if matches!(cli.verb, Verb::Run(_)) { failure.code } else { failure.code_of_a_tool() }
        }
    };
    ExitCode::from(code)
}

/// Help and version go to standard output and are no failure. A command line
/// that is not understood is 2, but 2 may be a payload's own code.
fn usage(error: &clap::Error) -> ExitCode {
    // Nothing can be done if it cannot be shown.
    let _ = error.print();
    let is_run = std::env::args_os().nth(1).is_some_and(|verb| verb == "run");
    ExitCode::from(match (error.use_stderr(), is_run) {
        (false, _) => 0,
        (true, true) => exit::BOARD,
        (true, false) => 2,
    })
}
