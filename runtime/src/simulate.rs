//! Bodies of a [`World`] on simulated ranks.

use crate::world::World;
use physalia_collectives::Outcome;
use physalia_collectives::simulator::{Report, Simulation};
use std::panic::Location;

/// Runs `body` on every rank of a simulated job, for tests of programs on more ranks than there are; see
/// [`simulator`](physalia_collectives::simulator). Each rank has one worker, its own thread, and is not pinned.
///
/// ```
/// use physalia::collectives::simulator::Simulation;
///
/// let report = physalia::simulate(Simulation::new(50), |world| Ok(world.par(0..1_000_000).map(|i| i).sum()?));
/// println!("{} messages, {} ns", report.stats.messages(), report.stats.makespan_ps() / 1000);
/// assert_eq!(report.values()?, [499_999_500_000u64; 50]);
/// # Ok::<(), physalia::Abort>(())
/// ```
///
/// # Panics
/// Inside a rank.
#[track_caller]
pub fn simulate<T: Send>(simulation: Simulation, body: impl Fn(&mut World) -> Outcome<T> + Sync) -> Report<T> {
    simulation.lead(|comm| body(&mut World::of_this_thread(comm)?), Location::caller())
}
