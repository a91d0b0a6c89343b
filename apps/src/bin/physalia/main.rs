//! The command `physalia`: parses, calls the library, prints.
//!
//! Under a launcher every process parses the same arguments; the first one speaks of what is wrong with them. Standard output
//! carries what was asked for with `-`, and otherwise the summary for people.
#![forbid(unsafe_code)]

mod about;
mod args;
mod bench;
mod choices;
mod demo;
mod halo;
mod job;
mod kmers;
mod locality;
mod outputs;
mod poisson;
mod report;
mod scenario;
mod sims;
mod simulate;
mod simulations;
mod topo;
mod values;

use args::{Bench, Cli, Command, Kmers};
use clap::{CommandFactory, FromArgMatches};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut command = Cli::command().long_version(about::version());
    let cli = match command.try_get_matches_from_mut(std::env::args_os()).and_then(|m| Cli::from_arg_matches(&m)) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    dispatch(cli.command)
}

/// Says what is wrong with the words of a command line, or what was asked of it, once for all processes.
fn refuse(error: &clap::Error) -> ExitCode {
    if physalia::first_process() {
        error.print().ok(); // to a closed terminal
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn dispatch(command: Command) -> ExitCode {
    match command {
        Command::Run(run) => scenario::main(&run).map_or_else(|code| code, |cli| dispatch(cli.command)),
        Command::Heat(args) => simulations::heat(&args),
        Command::Wave(args) => simulations::wave(&args),
        Command::GrayScott(args) => simulations::gray_scott(&args),
        Command::Life(args) => simulations::life(&args),
        Command::Advect(args) => simulations::advect(&args),
        Command::Poisson(args) => poisson::main(&args),
        Command::Kmers(Kmers::Count(args)) => kmers::main(&args),
        Command::Topo(args) => topo::main(&args),
        Command::Demo(args) => demo::main(&args),
        Command::Bench(Bench::Collectives(args)) => bench::main(&args),
        Command::Bench(Bench::Halo(args)) => halo::main(&args),
        Command::Bench(Bench::Locality(args)) => locality::main(&args),
        Command::Completions { shell } => about::completions(shell),
        Command::Man { dir } => about::man(dir.as_deref()),
    }
}
