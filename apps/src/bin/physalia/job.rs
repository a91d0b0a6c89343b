//! From arguments to a job: the launch, its end, and wrong use.

use crate::args::Job;
use crate::outputs::{Outputs, complain};
use physalia::prelude::*;
use std::fmt::Display;
use std::process::ExitCode;
use std::sync::OnceLock;

/// Runs `body` on all ranks, unless the outputs are in each other's way.
pub fn run(job: &Job, outputs: &Outputs<'_>, body: impl Fn(&mut World) -> Outcome<()> + Send + Sync) -> ExitCode {
    let mut launch = Launch::from_env();
    if let Some(ranks) = job.ranks {
        launch = launch.ranks(ranks);
    }
    if let Some(threads) = job.threads {
        launch = launch.threads(threads as usize);
    }
    start(launch, SCENARIO.get().map(|&hash| Ok(hash)), |world| match outputs.clash(world)? {
        Some(clash) => Ok(Err(Abort::new(Cause::Usage(clash)))), // all ranks have it as a value, and end in order
        None => body(world).map(Ok),
    })
}

/// The hash of the scenario that this process has read, if it has.
static SCENARIO: OnceLock<u64> = OnceLock::new();

/// The job that [`run`] starts is one of a scenario with this hash: it goes on only if all processes have read the same.
pub fn of_scenario(hash: u64) {
    SCENARIO.get_or_init(|| hash);
}

/// Says what is wrong with a scenario, once for all processes. Others may have read a good one, or none, where hosts have
/// files of their own; so the job begins, and ends in order when all know.
pub fn refuse(why: &str) -> ExitCode {
    start(Launch::from_env().threads(1), Some(Err(why.into())), |_| Ok(Ok(())))
}

/// The one place where jobs start, so that ranks that refuse meet those that do not.
fn start(
    launch: Launch,
    scenario: Option<Result<u64, String>>,
    body: impl Fn(&mut World) -> Outcome<Result<(), Abort>> + Send + Sync,
) -> ExitCode {
    let ran = launch.run(|world| {
        let why = scenario.as_ref().map_or(Ok(None), |mine| other_scenario(world, mine))?;
        why.map_or_else(|| body(world), |why| Ok(Err(Abort::new(Cause::Usage(why)))))
    });
    conclude(ran.and_then(|ranks| ranks.into_iter().collect()))
}

/// Why a scenario cannot be run, on all ranks: rank 0's reason, or the first rank that has not read the same. Collective.
fn other_scenario(world: &mut World, mine: &Result<u64, String>) -> Result<Option<String>, Abort> {
    let first = match world.from_root(|| Ok::<_, String>(mine.clone()))? {
        Ok(first) => first,
        Err(why) => return Ok(Some(why)),
    };
    let same =
        mine.clone().and_then(|hash| if hash == first { Ok(()) } else { Err("it reads another scenario".into()) });
    match world.agree(same) {
        Err(abort) => match abort.cause() {
            Cause::Agreed { rank, host, message, .. } => Ok(Some(format!("rank {rank} on {host}: {message}"))),
            _ => Err(abort),
        },
        Ok(()) => Ok(None),
    }
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
