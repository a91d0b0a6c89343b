//! From arguments to a job: the launch, its end, and wrong use.

use crate::args::Job;
use crate::outputs::{Outputs, complain};
use physalia::prelude::*;
use std::fmt::Display;
use std::process::ExitCode;

/// Runs `body` on all ranks, unless the outputs are in each other's way.
pub fn run(job: &Job, outputs: &Outputs<'_>, body: impl Fn(&mut World) -> Outcome<()> + Send + Sync) -> ExitCode {
    let mut launch = Launch::from_env();
    if let Some(ranks) = job.ranks {
        launch = launch.ranks(ranks);
    }
    if let Some(threads) = job.threads {
        launch = launch.threads(threads as usize);
    }
    let ran = launch.run(|world| match outputs.clash(world)? {
        Some(clash) => Ok(Err(Abort::new(Cause::Usage(clash)))), // all ranks have it as a value, and end in order
        None => body(world).map(Ok),
    });
    conclude(ran.and_then(|ranks| ranks.into_iter().collect()))
}

/// Says what is wrong with the arguments, once for all processes.
pub fn wrong_use(what: &dyn Display) -> ExitCode {
    conclude(Err(Abort::new(Cause::Usage(what.to_string()))))
}

/// Says why the job failed, if it did, once for all processes. A closed standard error changes nothing but that.
fn conclude(result: Result<(), Abort>) -> ExitCode {
    let Err(abort) = result else { return ExitCode::SUCCESS };
    if physalia::first_process() {
        complain(&format!("physalia: {abort}\n"));
    }
    ExitCode::from(abort.exit_code())
}

/// `3 ranks × 1 domain × 2 workers on 1 host (threads)`
pub fn layout(world: &World) -> String {
    format!("{} ({})", world.layout(), world.transport())
}

/// A number with its thousands apart.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands() {
        assert_eq!((grouped(0), grouped(999), grouped(1000)), ("0".into(), "999".into(), "1,000".into()));
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
