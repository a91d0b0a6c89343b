//! How a test starts ranks as processes. `PHYSALIA_TEST_MPIRUN` is another launcher than `mpirun`, for programs built with
//! another MPI, and `PHYSALIA_TEST_RANKS` the most ranks that make sense with it (`tests/other-mpis` sets both).

use crate::Body;
use crate::clock::{self, Ended};
use std::process::Command;
use std::time::Duration;

/// The most ranks to start: some MPIs wait by spinning, and with more ranks than cores take for ever.
pub fn most_ranks() -> u32 {
    std::env::var("PHYSALIA_TEST_RANKS").ok().and_then(|text| text.parse().ok()).unwrap_or(8)
}

/// The launcher, with nothing said of how many ranks or where.
pub fn bare() -> Command {
    let mut command = Command::new(std::env::var_os("PHYSALIA_TEST_MPIRUN").unwrap_or("mpirun".into()));
    // As root in a container, and with more ranks than cores, Open MPI wants to be told that this is meant: 4 and 5.
    command.envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")]);
    command
}

/// The launcher for ranks that are not bound, without a number of them.
pub fn launcher() -> Command {
    let mut command = bare();
    command.env("OMPI_MCA_rmaps_base_oversubscribe", "1");
    command.env("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe");
    command.args(["--bind-to", "none"]);
    command
}

/// So many ranks of one worker each; program and words are still to be added.
pub fn mpirun(ranks: u32) -> Command {
    let mut command = launcher();
    command.env("PHYSALIA_THREADS", "1").args(["-n", &ranks.to_string()]);
    command
}

/// Many bodies in one launch: the program's words are their names. After one that ends the job, the rest run in another.
///
/// # Panics
/// If one of them did not end well; all of those are named.
pub fn run_all(bodies: &[Body], context: &str, launch: impl Fn() -> Command, limit: Duration) {
    let mut rest: Vec<&str> = bodies.iter().map(|b| b.name).collect();
    let mut wrong = String::new();
    while !rest.is_empty() {
        let ended: Ended = clock::run(launch().args(&rest), limit);
        let good = ended.stdout.lines().filter_map(|line| line.strip_prefix("ok ")).count();
        assert!(good <= rest.len(), "{ended:?}");
        if good == rest.len() && ended.code == Some(0) {
            break;
        }
        let bad = rest.get(good).unwrap_or(&"the end");
        wrong += &format!("{bad} on {context}: {ended:?}\n");
        rest.drain(..(good + 1).min(rest.len()));
    }
    assert!(wrong.is_empty(), "{wrong}");
}
