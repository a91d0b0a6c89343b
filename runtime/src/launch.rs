//! How a job starts and ends. Each in-process rank builds its [`World`] on a thread of its own while the caller's thread
//! watches; under MPI the caller's thread is the rank.
//!
//! Which of the two, is decided from the environment: a launcher's variables mean MPI, if the program was built with it.

use crate::pool::Idle;
use crate::world::{Room, World, clash};
use physalia_collectives::exit::{Alive, leave, say};
use physalia_collectives::failure::{host, install_panic_hook, seat_here};
#[cfg(feature = "mpi")]
use physalia_collectives::job::Keeper;
use physalia_collectives::job::Threads;
use physalia_collectives::level::Level;
use physalia_collectives::stall::Stall;
use physalia_collectives::{Abort, Cause, Outcome, Schedules};
use physalia_slurm::Launcher;
use physalia_topology::agree::{Placed, check};
use physalia_topology::{Domains, Layout, Wish, sys};
use std::panic::Location;
use std::process::ExitCode;
use std::time::Duration;

/// Runs `body` on every rank that the environment asks for; prints why it failed, if it did.
///
/// Under a launcher (mpirun, srun) every process is a rank. Otherwise `PHYSALIA_RANKS` ranks (1) run in this process.
/// `PHYSALIA_THREADS` is the number of workers of each rank (all cores that a rank may use), `PHYSALIA_PIN=off` leaves them
/// unpinned. A worker has a core, or with `PHYSALIA_SMT=on` a hardware thread. Workers take work from others of their domain
/// first: a NUMA node, or with `PHYSALIA_DOMAINS=l3` the cores that share a cache; `PHYSALIA_DOMAINS=one` makes no difference
/// between near and far. Workers that have nothing to do spin for 200 µs and then sleep; `PHYSALIA_IDLE=50` makes that 50 µs, `spin`
/// for ever, `sleep` nothing. A wait of 60 s is told on stderr, with who waits where; `PHYSALIA_STALL=10` does so after 10 s, and
/// `PHYSALIA_STALL=600:kill` ends the job then. (What is proved never to end is ended without being asked.)
/// Between processes it is told, and the death of one is noticed, over connections of the runtime's own, which do not need MPI
/// to make progress: Unix sockets on a host, and one TCP port of rank 0 between hosts, on the address that
/// `PHYSALIA_INTERFACE` (a name, an address or a subnet), MPI's own settings or the launcher name. `PHYSALIA_WATCH=off` does
/// without them.
/// `PHYSALIA_CHECK` says how much is compared while the job runs: `light` (all calls of all ranks), `off` (only types, shapes and
/// lengths of messages) or `full` (besides, with memory poisoned before something is received there, and with random delays, to
/// find what goes wrong seldom; `full:42` repeats the delays of a seed); see
/// [`Level`](physalia_collectives::level::Level).
/// `PHYSALIA_BOARD=off` lets ranks that share a host communicate by messages alone, as between hosts, and
/// `PHYSALIA_SCHEDULE=all_reduce:ring,broadcast:chain` by the algorithms named (see [`Schedules`]), where they give the right
/// result.
///
/// The exit code is 0, or 1 if a rank failed, 2 if the job was asked for in a way that cannot be, 70 if a rank left by
/// `exit`.
///
/// # Panics
/// Inside a rank: a job within a job has no meaning under MPI.
#[track_caller]
pub fn run(body: impl Fn(&mut World) -> Outcome<()> + Send + Sync) -> ExitCode {
    conclude(Launch::from_env().run(body).map(drop))
}

/// Prints why a job failed, if it did, in one voice: under a launcher only its first rank speaks of what all ranks know.
/// Gives the exit code.
pub fn conclude(result: Result<(), Abort>) -> ExitCode {
    let Err(abort) = result else { return ExitCode::SUCCESS };
    if first_process() {
        say(&abort);
    }
    ExitCode::from(abort.exit_code())
}

/// Whether this process is the one that speaks of what all processes of the job know, as wrong arguments: the launcher's
/// first, or the only one. Asks the environment; for use before [`run`] and after.
pub fn first_process() -> bool {
    !launcher().is_ok_and(|l| l.is_some_and(|l| l.rank > 0))
}

fn usage(what: impl Into<String>) -> Abort {
    Abort::new(Cause::Usage(what.into()))
}

fn launcher() -> Result<Option<Launcher>, Abort> {
    physalia_slurm::launcher(|name| std::env::var(name).ok()).map_err(|e| usage(e.to_string()))
}

/// The explicit form of [`run`].
#[derive(Clone, Debug)]
pub struct Launch {
    ranks: Result<Option<u32>, String>, // a bad environment is reported by `run`, unless `ranks` overrides it
    wish: Result<Wish, String>,
    idle: Result<Idle, String>,
    stall: Result<Stall, String>,
    check: Result<Level, String>,
    grace: Duration,
}

impl Launch {
    /// As the environment asks.
    pub fn from_env() -> Launch {
        Launch::from_vars(|name| std::env::var(name).ok())
    }

    fn from_vars(var: impl Fn(&str) -> Option<String>) -> Launch {
        let number = |name: &str| match var(name) {
            None => Ok(None),
            Some(text) => match text.trim().parse::<u32>() {
                Ok(n) if n > 0 => Ok(Some(n)),
                _ => Err(format!("{name}={text}: a number from 1 is wanted")),
            },
        };
        let pin = match var("PHYSALIA_PIN").as_deref() {
            None => Ok(None),
            Some("on") => Ok(Some(true)),
            Some("off") => Ok(Some(false)),
            Some(other) => Err(format!("PHYSALIA_PIN={other}: `on` or `off` is wanted")),
        };
        let board = match var("PHYSALIA_BOARD").as_deref() {
            None | Some("on" | "off") => Ok(()),
            Some(other) => Err(format!("PHYSALIA_BOARD={other}: `on` or `off` is wanted")),
        };
        let watch = match var("PHYSALIA_WATCH").as_deref() {
            None | Some("on" | "off") => Ok(()),
            Some(other) => Err(format!("PHYSALIA_WATCH={other}: `on` or `off` is wanted")),
        };
        let smt = match var("PHYSALIA_SMT").as_deref() {
            None | Some("off") => Ok(false),
            Some("on") => Ok(true),
            Some(other) => Err(format!("PHYSALIA_SMT={other}: `on` or `off` is wanted")),
        };
        let domains = match var("PHYSALIA_DOMAINS").as_deref() {
            None | Some("numa") => Ok(Domains::Numa),
            Some("l3") => Ok(Domains::L3),
            Some("one") => Ok(Domains::One),
            Some(other) => Err(format!("PHYSALIA_DOMAINS={other}: `numa`, `l3` or `one` is wanted")),
        };
        let wish = number("PHYSALIA_THREADS").and_then(|threads| {
            Ok(Wish { threads: threads.map(|n| n as usize), pin: pin?, smt: smt?, domains: domains? })
        });
        let stall = var("PHYSALIA_STALL")
            .map_or(Ok(Stall::default()), |text| Stall::parse(&text).map_err(|why| format!("PHYSALIA_STALL={why}")));
        let schedules = var("PHYSALIA_SCHEDULE").map_or(Ok(()), |text| {
            Schedules::parse(&text).map(drop).map_err(|why| format!("PHYSALIA_SCHEDULE={text}: {why}"))
        });
        // Board, side channel and schedules are asked for where they are made; a typo is refused here.
        let stall = board.and(watch).and(schedules).and(stall);
        let check = var("PHYSALIA_CHECK")
            .map_or(Ok(Level::default()), |text| Level::parse(&text).map_err(|why| format!("PHYSALIA_CHECK={why}")));
        let idle = var("PHYSALIA_IDLE")
            .map_or(Ok(Idle::Auto), |text| Idle::parse(&text).map_err(|why| format!("PHYSALIA_IDLE={why}")));
        Launch { ranks: number("PHYSALIA_RANKS"), wish, idle, stall, check, grace: Duration::from_secs(5) }
    }

    /// The number of ranks. Under a launcher it must be the number that was started.
    pub fn ranks(mut self, ranks: u32) -> Launch {
        self.ranks = if ranks > 0 { Ok(Some(ranks)) } else { Err("0 ranks: at least one is wanted".into()) };
        self
    }

    /// The number of workers of each rank, at least 1.
    pub fn threads(mut self, threads: usize) -> Launch {
        self.wish = self.wish.map(|wish| Wish { threads: Some(threads.max(1)), ..wish });
        self
    }

    /// How long an in-process rank that computes may go on after the job has failed, before the process leaves it behind.
    pub fn grace(mut self, grace: Duration) -> Launch {
        self.grace = grace;
        self
    }

    /// The values of the ranks in this process, in order (all of them with threads, one under MPI).
    ///
    /// # Errors
    /// Why the job failed; it has not been printed. Under MPI only what all ranks know is returned: a failure of one rank
    /// is printed and ends all processes.
    ///
    /// # Panics
    /// Inside a rank: a job within a job has no meaning under MPI.
    #[track_caller]
    pub fn run<T: Send>(self, body: impl Fn(&mut World) -> Outcome<T> + Send + Sync) -> Result<Vec<T>, Abort> {
        assert!(seat_here().is_none(), "run inside a rank");
        let at = Location::caller();
        let wanted = self.ranks.clone().map_err(usage)?;
        let (wish, idle) = (self.wish.clone().map_err(usage)?, self.idle.clone().map_err(usage)?);
        let stall = self.stall.clone().map_err(usage)?;
        let level = self.check.clone().map_err(usage)?;
        install_panic_hook();
        let machine = physalia_topology::probe();
        let mask = sys::affinity().unwrap_or_else(|_| machine.mask());
        let room = Room { machine: &machine, mask: &mask, wish: &wish, idle };
        match launcher()? {
            #[cfg(feature = "mpi")]
            Some(launcher) => {
                by_launcher(&launcher, wanted, (stall, level), &body, |comm| World::of_process(comm, &room), at)
            }
            #[cfg(not(feature = "mpi"))]
            Some(launcher) if launcher.size > 1 => Err(usage(format!(
                "started as one of {} ranks by {}, but this program was built without MPI, so each would run alone: \
                 build with `--features mpi`, or start it by itself with PHYSALIA_RANKS={}",
                launcher.size, launcher.kind, launcher.size
            ))),
            _ => in_process(wanted.unwrap_or(1), (self.grace, stall, level), &room, &body, at),
        }
    }
}

fn in_process<T: Send>(
    size: u32,
    (grace, stall, level): (Duration, Stall, Level),
    room: &Room<'_>,
    body: &(impl Fn(&mut World) -> Outcome<T> + Sync),
    at: &'static Location<'static>,
) -> Result<Vec<T>, Abort> {
    let (layout, roomy) = lay_out(room, size)?;
    let job = Threads::new(size, roomy, stall, level);
    let values = std::thread::scope(|scope| {
        let start = |rank| {
            let (mine, layout) = (job.clone(), &layout);
            let main = move || {
                let value = {
                    let _alive = Alive::new(rank);
                    let keeper = mine.keeper(rank);
                    keeper.lead(|comm| body(&mut World::in_process(comm, room, layout)?), at)
                };
                mine.rank_ended(rank);
                value
            };
            let thread = std::thread::Builder::new().name(format!("rank {rank}")).spawn_scoped(scope, main);
            // A rank that cannot start is a rank that failed: the others must not wait for it.
            thread.map_err(|error| {
                let message = format!("cannot start: {error}");
                let abort = job.abort(Abort::new(Cause::Failed { rank, host: host().into(), message }));
                job.rank_ended(rank);
                abort
            })
        };
        let ranks: Vec<_> = (0..size).map(start).collect();
        // A thread cannot be ended from outside and the scope cannot be left without it: only the process can go.
        job.wait_ended(grace).unwrap_or_else(|why| leave(1, &format!("{why}\n  gave up waiting after {grace:?}")));
        ranks.into_iter().map(|r| r?.join().expect("a keeper catches")).collect::<Vec<_>>()
    });
    // All ranks end for the job's cause, so one is as good as another.
    values.into_iter().collect()
}

/// What the plans of a process's ranks are together, and whether ranks and their workers have cores of their own.
fn lay_out(room: &Room<'_>, size: u32) -> Result<(Layout, bool), Abort> {
    let plan = |rank| physalia_topology::plan(room.machine, room.mask, size, rank, room.wish);
    let placed = |rank| Placed::of(host(), &plan(rank));
    // More ranks than processors have nothing pinned, and are all alike.
    let placed: Vec<Placed> = match size as usize > room.mask.len() {
        true => vec![placed(0); size as usize],
        false => (0..size).map(placed).collect(),
    };
    Ok((check(&placed).map_err(clash)?, plan(0).pinned))
}

/// The one job that a process has at a time under MPI: messages of two would meet.
#[cfg(feature = "mpi")]
struct OneJob;

#[cfg(feature = "mpi")]
static BUSY: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

#[cfg(feature = "mpi")]
impl OneJob {
    fn enter() -> Option<OneJob> {
        (!BUSY.swap(true, std::sync::atomic::Ordering::SeqCst)).then_some(OneJob)
    }
}

#[cfg(feature = "mpi")]
impl Drop for OneJob {
    fn drop(&mut self) {
        BUSY.store(false, std::sync::atomic::Ordering::SeqCst);
    }
}

#[cfg(feature = "mpi")]
fn by_launcher<T>(
    launcher: &Launcher,
    wanted: Option<u32>,
    (stall, level): (Stall, Level),
    body: &impl Fn(&mut World) -> Outcome<T>,
    world: impl FnOnce(physalia_collectives::Comm) -> Outcome<World>,
    at: &'static Location<'static>,
) -> Result<Vec<T>, Abort> {
    let Launcher { rank, size, kind, .. } = *launcher;
    if let Some(wanted) = wanted.filter(|&w| w != size) {
        return Err(usage(format!("{wanted} ranks are asked for, but {kind} has started {size}")));
    }
    let _alone =
        OneJob::enter().ok_or_else(|| usage("two jobs at once in one MPI process: run them one after the other"))?;
    let keeper = Keeper::mpi(stall, level).map_err(usage)?;
    let comm = keeper.comm();
    if comm.size() != size {
        let mpi = physalia_collectives::job::mpi_version().unwrap_or_default();
        return Err(usage(format!(
            "started as one of {size} ranks by {kind}, but this program's MPI ({mpi}) sees {}: it was built for another MPI \
             than the launcher's. Use that MPI's own mpirun (under Slurm: the --mpi type that it supports, see \
             `srun --mpi=list`), or build against the launcher's MPI",
            comm.size()
        )));
    }
    debug_assert_eq!(comm.rank(), rank);
    drop(comm);
    let mask = sys::affinity();
    let _alive = Alive::new(rank);
    let value = keeper.lead(|comm| body(&mut world(comm)?), at);
    if let Ok(mask) = mask {
        sys::set_affinity(&mask).ok(); // the thread goes back to its program as it came
    }
    value.map(|v| vec![v])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(vars: &[(&str, &str)]) -> Launch {
        Launch::from_vars(|name| vars.iter().find(|v| v.0 == name).map(|v| v.1.to_string()))
    }

    #[test]
    fn the_environment_is_read_and_refused_by_name() {
        let good = launch(&[("PHYSALIA_RANKS", "3"), ("PHYSALIA_THREADS", "2"), ("PHYSALIA_PIN", "off")]);
        assert_eq!(good.ranks, Ok(Some(3)));
        let wish = good.wish.unwrap();
        assert_eq!((wish.threads, wish.pin), (Some(2), Some(false)));
        assert_eq!((wish.smt, wish.domains), (false, Domains::Numa));
        for (text, domains) in [("numa", Domains::Numa), ("l3", Domains::L3), ("one", Domains::One)] {
            let wish = launch(&[("PHYSALIA_DOMAINS", text), ("PHYSALIA_SMT", "on")]).wish.unwrap();
            assert_eq!((wish.domains, wish.smt), (domains, true));
        }
        assert!(!launch(&[("PHYSALIA_SMT", "off")]).wish.unwrap().smt);
        for (name, value) in [
            ("PHYSALIA_RANKS", "0"),
            ("PHYSALIA_RANKS", "x"),
            ("PHYSALIA_THREADS", "-1"),
            ("PHYSALIA_PIN", "1"),
            ("PHYSALIA_SMT", "2"),
            ("PHYSALIA_DOMAINS", "node"),
            ("PHYSALIA_STALL", "soon"),
            ("PHYSALIA_SCHEDULE", "all_reduce:round"),
            ("PHYSALIA_CHECK", "full:x"),
            ("PHYSALIA_WATCH", "no"),
            ("PHYSALIA_IDLE", "never"),
        ] {
            let bad = launch(&[(name, value)]);
            let why = bad
                .ranks
                .err()
                .or(bad.wish.err())
                .or(bad.idle.err())
                .or(bad.stall.err())
                .or(bad.check.err())
                .expect("refused");
            assert!(why.contains(&format!("{name}={value}")), "{why}");
        }
        assert_eq!(launch(&[("PHYSALIA_RANKS", "0")]).ranks(2).ranks, Ok(Some(2)));
    }
}
