//! Jobs of thousands of ranks in one process, under virtual time: for tests of programs, and to see what they would cost.
//!
//! The bodies, the collectives and all that is checked are the real ones; only the network is a model, and no time of the
//! world enters. Each rank has a thread, of which one runs at a time, so a run is a function of program, ranks and seed: the
//! same seed gives the same messages at the same times, another one another schedule among those that can be. Messages
//! cost what [`LogGp`] says, and what is computed costs nothing but what [`charge_ps`] says. Ranks can be made to die.
//!
//! What a program reads from the clock or the system, and how its own threads run, is not simulated. A rank that computes for
//! ever and neither communicates nor calls [`poll_here`](crate::poll_here) keeps its turn for ever.
//!
//! ```
//! use physalia_collectives::simulator::{LogGp, Simulation, charge_ps, now_ps};
//! use physalia_collectives::Sum;
//!
//! let report = Simulation::new(100).seed(7).run(|comm| {
//!     charge_ps(1_000_000 * u64::from(comm.rank())); // the last one is late by 99 µs
//!     let sum = comm.all_reduce(comm.rank(), Sum)?;
//!     Ok((sum, now_ps()))
//! });
//! assert!(report.stats.makespan_ps() > 99_000_000);
//! for result in report.results {
//!     let (sum, ended) = result?;
//!     assert_eq!(sum, 4950);
//!     assert!(ended >= Some(99_000_000 + LogGp::default().latency_ps));
//! }
//! # Ok::<(), physalia_collectives::Abort>(())
//! ```

pub use crate::transport::simulator::{Death, LogGp, RankStats, Stats};

use crate::algo::model::Schedules;
use crate::exit::Alive;
use crate::failure::{Abort, Cause, Outcome, host, install_panic_hook, seat_here};
use crate::job::Keeper;
use crate::transport::Transport;
use crate::transport::simulator::{Job, Settings};
use crate::{Comm, rank};
use std::panic::Location;
use std::sync::Arc;

/// A job to be simulated.
#[derive(Clone, Debug)]
#[must_use = "a simulation is run"]
pub struct Simulation {
    settings: Settings,
    stack_bytes: usize,
}

/// How a simulated job went.
#[derive(Debug)]
pub struct Report<T> {
    /// What each rank's body gave, in their order. A rank that has died has the abort that says so.
    pub results: Vec<Result<T, Abort>>,
    /// What it has cost.
    pub stats: Stats,
}

impl<T> Report<T> {
    /// The values of the ranks, if all have ended well.
    ///
    /// # Errors
    /// Why the lowest rank that did not, did not.
    pub fn values(self) -> Result<Vec<T>, Abort> {
        self.results.into_iter().collect()
    }
}

impl Simulation {
    /// A job of so many ranks, with seed 0, [`LogGp::default`], no delays and no deaths.
    ///
    /// # Panics
    /// If there is no rank.
    pub fn new(ranks: u32) -> Simulation {
        assert!(ranks > 0, "0 ranks: at least one is wanted");
        let settings = Settings {
            ranks,
            seed: 0,
            model: LogGp::default(),
            delay_ps: 0,
            eager_bytes: 4096,
            detection_ps: 1_000_000_000,
            deaths: Vec::new(),
            drawn_death: None,
            schedules: None,
        };
        Simulation { settings, stack_bytes: 1 << 20 }
    }

    /// Decides which of the ranks that could go on at one time goes first, and all that is drawn.
    pub fn seed(mut self, seed: u64) -> Simulation {
        self.settings.seed = seed;
        self
    }

    /// What messages cost.
    pub fn model(mut self, model: LogGp) -> Simulation {
        self.settings.model = model;
        self
    }

    /// Delays each message by something up to `most_ps`, drawn by the seed. Messages may then overtake each other, also between
    /// the same two ranks.
    pub fn delays(mut self, most_ps: u64) -> Simulation {
        self.settings.delay_ps = most_ps;
        self
    }

    /// Up to how many bytes of lent memory are copied when they are sent (4,096). Longer messages are read by the receiver, and
    /// the memory is its sender's again L after that.
    pub fn eager(mut self, bytes: usize) -> Simulation {
        self.settings.eager_bytes = bytes;
        self
    }

    /// Rank `rank` dies, as by SIGKILL: what it has sent arrives, nothing else is heard of it. A later plan for the same rank
    /// replaces an earlier one.
    ///
    /// # Panics
    /// If there is no such rank.
    pub fn death(mut self, rank: u32, death: Death) -> Simulation {
        assert!(rank < self.settings.ranks, "rank {rank} of {}", self.settings.ranks);
        self.settings.deaths.push((rank, death));
        self
    }

    /// One rank dies at a time up to `within_ps`; which one and when, is drawn by the seed.
    pub fn death_by_seed(mut self, within_ps: u64) -> Simulation {
        self.settings.drawn_death = Some(within_ps);
        self
    }

    /// How long after a death all others are told (1 ms), unless the job has ended meanwhile.
    pub fn detection(mut self, ps: u64) -> Simulation {
        self.settings.detection_ps = ps;
        self
    }

    /// The algorithms that collectives take, where these give the right result; else those that the environment asks for, or the
    /// cheapest.
    pub fn schedules(mut self, schedules: Schedules) -> Simulation {
        self.settings.schedules = Some(schedules);
        self
    }

    /// The size of each rank's stack (1 MiB). Only what is used takes memory.
    pub fn stack(mut self, bytes: usize) -> Simulation {
        self.stack_bytes = bytes;
        self
    }

    /// The number of ranks.
    pub fn ranks(&self) -> u32 {
        self.settings.ranks
    }

    /// Runs `body` on every rank. It ends if each body computes for a finite time only.
    ///
    /// # Panics
    /// Inside a rank.
    #[track_caller]
    pub fn run<T: Send>(self, body: impl Fn(&mut Comm) -> Outcome<T> + Sync) -> Report<T> {
        self.lead(|mut comm| body(&mut comm), Location::caller())
    }

    /// As [`run`](Simulation::run), with the communicator given away; for the runtime. `at` is the place of the call.
    ///
    /// # Panics
    /// Inside a rank.
    pub fn lead<T: Send>(self, body: impl Fn(Comm) -> Outcome<T> + Sync, at: &'static Location<'static>) -> Report<T> {
        assert!(seat_here().is_none(), "a simulation inside a rank");
        install_panic_hook();
        let (size, stack_bytes) = (self.settings.ranks, self.stack_bytes);
        let job = Job::new(self.settings);
        let results = std::thread::scope(|scope| {
            let start = |rank| {
                let (mine, body) = (job.clone(), &body);
                let main = move || one_rank(mine, rank, body, at);
                let thread = std::thread::Builder::new().name(format!("rank {rank}")).stack_size(stack_bytes);
                // A rank that cannot start is a rank that failed: the others must not wait for it.
                thread.spawn_scoped(scope, main).map_err(|error| {
                    let message = format!("cannot start: {error}");
                    job.rank_failed(rank, Abort::new(Cause::Failed { rank, host: host().into(), message }))
                })
            };
            let ranks: Vec<_> = (0..size).map(start).collect();
            job.begin();
            ranks.into_iter().map(|rank| rank?.join().expect("a keeper catches")).collect()
        });
        Report { results, stats: job.stats() }
    }
}

fn one_rank<T>(
    job: Arc<Job>,
    rank: u32,
    body: &impl Fn(Comm) -> Outcome<T>,
    at: &'static Location<'static>,
) -> Result<T, Abort> {
    job.rank_begins(rank);
    let value = {
        let _alive = Alive::new(rank);
        let keeper = Keeper::new(Transport::Simulator(job.clone()), rank, job.size());
        keeper.lead(body, at)
    };
    job.rank_ended(rank);
    value
}

/// The simulated rank on this thread.
fn here<R>(f: impl FnOnce(&Job, u32) -> R) -> Option<R> {
    let rank = rank::here()?;
    match &rank.transport {
        Transport::Simulator(job) => Some(f(job, rank.me)),
        _ => None,
    }
}

/// Lets this rank compute for so long, in virtual time; ranks that can go on earlier do so first. Nothing outside of a
/// simulation. Local.
pub fn charge_ps(ps: u64) {
    here(|job, me| job.compute(me, ps));
}

/// This rank's virtual time; `None` outside of a simulation. Local.
pub fn now_ps() -> Option<u64> {
    here(Job::now)
}
