//! A rank's view of its job: the communicator of all ranks, this rank's workers, and where both are.

use crate::log::log_line;
use crate::par::Par;
use crate::phase::{Phase, Phases};
use crate::pool::{Idle, Pool};
use crate::progress::Progress;
use physalia_collectives::{Abort, Cause};
use physalia_collectives::{Comm, Outcome, Overlap, overlap_on};
use physalia_topology::agree::{Claim, Clash, Placed, agree, check};
use physalia_topology::{CpuSet, Layout, Machine, Plan, Wish, plan_share};
use serde::{Serialize, de::DeserializeOwned};
use std::ops::{Deref, DerefMut, Range};
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

/// This rank's view of the whole job. Derefs to its [`Comm`]. `!Send` and `!Sync`: a permission, not a place.
pub struct World {
    comm: Comm,
    pool: Arc<Pool>,
    seat: Rc<Place>,
    phases: Phases,
}

/// What a rank's workers may have, and what was asked for them.
#[derive(Clone, Copy)]
pub(crate) struct Room<'r> {
    pub machine: &'r Machine,
    pub mask: &'r CpuSet,
    pub wish: &'r Wish,
    pub idle: Idle,
}

/// Where a rank and its workers are.
pub(crate) struct Place {
    plan: Plan,
    host: String,
    layout: Layout,
    notes: Vec<String>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "World(rank {} of {}, {} workers)", self.rank(), self.size(), self.threads())
    }
}

impl World {
    /// One rank, one worker, no launcher: for libraries, examples and tests.
    ///
    /// # Panics
    /// If the system gives no thread.
    pub fn alone() -> World {
        World::of_this_thread(Comm::alone()).expect("a pool of this thread alone")
    }

    /// A rank whose only worker is its own thread, and which is not pinned.
    pub(crate) fn of_this_thread(comm: Comm) -> Outcome<World> {
        let machine = Machine::flat(1);
        let plan =
            physalia_topology::plan(&machine, &machine.mask(), 1, 0, &Wish { threads: Some(1), ..Wish::default() });
        let ranks = comm.size();
        let one = [1, 1];
        let layout = Layout { ranks, hosts: 1, domains: one, workers: one, all_workers: ranks.into() };
        World::new(comm, plan, Idle::Auto, layout, Vec::new())
    }

    fn new(comm: Comm, plan: Plan, idle: Idle, layout: Layout, notes: Vec<String>) -> Outcome<World> {
        let pool = Arc::new(Pool::new(&plan, idle, comm.abort_flag())?);
        if let Some((worker, core)) = pool.misplaced().first() {
            log_line(
                comm.rank(),
                format_args!(
                    "worker {worker} is not on processor {core}, to which it was to be pinned, but runs where the system lets it: \
                     another may have taken that processor away; `physalia topo` shows what may be used"
                ),
            );
        }
        let host = physalia_collectives::failure::host().into();
        Ok(World { comm, pool, seat: Rc::new(Place { plan, host, layout, notes }), phases: Phases::default() })
    }

    /// The world of one of the ranks of this process, which divide what the process may use.
    pub(crate) fn in_process(comm: Comm, room: &Room<'_>, layout: &Layout) -> Outcome<World> {
        let plan = physalia_topology::plan(room.machine, room.mask, comm.size(), comm.rank(), room.wish);
        World::new(comm, plan, room.idle, layout.clone(), Vec::new())
    }

    /// The world of a process that is a rank: ranks on one host with one mask divide it, disjoint masks are kept as they
    /// are. What is a domain, and how many workers a core has, is as rank 0 is asked, so that all divide alike. Collective:
    /// each rank tells all what it may use, and then what it has planned.
    #[cfg_attr(not(feature = "mpi"), allow(dead_code))] // only ranks that are processes agree; it is compiled and checked always
    pub(crate) fn of_process(mut comm: Comm, room: &Room<'_>) -> Outcome<World> {
        let Room { machine, mask, wish, idle } = *room;
        let host = physalia_collectives::failure::host();
        let claims = all_tell(&mut comm, &Claim::here(host, machine, mask, wish))?;
        let agreed = agree(&claims);
        comm.on_root(|| agreed.warnings.iter().for_each(|warning| log_line(0, warning)));
        let Wish { smt, domains, .. } = claims[0].wish;
        let wish = Wish { smt, domains, ..wish.clone() };
        let plan = plan_share(machine, mask, agreed.shares[comm.rank() as usize], &wish);
        let placed = all_tell(&mut comm, &Placed::of(host, &plan))?;
        let layout = check(&placed).map_err(clash)?;
        World::new(comm, plan, idle, layout, agreed.warnings.into_iter().chain(agreed.notes).collect())
    }

    /// The number of this rank's workers, this thread among them. Local.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// This rank's workers. Local.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Which cores this rank's workers have. Local.
    pub fn plan(&self) -> &Plan {
        &self.seat.plan
    }

    /// The name of this rank's host. Local.
    pub fn host(&self) -> &str {
        &self.seat.host
    }

    /// The number of hosts of the job. Local.
    pub fn hosts(&self) -> u32 {
        self.seat.layout.hosts
    }

    /// How many ranks, domains and workers the whole job has. Local.
    pub fn layout(&self) -> &Layout {
        &self.seat.layout
    }

    /// What the ranks found when they agreed on their cores, with its cure; the same on all ranks. What concerns one rank is
    /// in its [`plan`](World::plan). Local.
    pub fn notes(&self) -> &[String] {
        &self.seat.notes
    }

    /// The MPI library, if this program was built with one. Local.
    pub fn mpi_version(&self) -> Option<String> {
        physalia_collectives::job::mpi_version()
    }

    /// Runs `f` with rayon at work on this rank's workers; see [`Pool::local`]. Local.
    pub fn local<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        self.pool.local(f)
    }

    /// Gives items to this rank's workers as they become free; see [`Pool::each`]. Local.
    pub fn each<I: Send>(&self, items: Vec<I>, f: impl Fn(usize, I) + Sync) {
        self.pool.each(items, f);
    }

    /// An index range over ranks × workers; see [`par`](crate::par). It holds the world: no second collective can begin
    /// meanwhile.
    pub fn par(&mut self, range: Range<u64>) -> Par<'_> {
        Par::new(self, range)
    }

    /// As [`Comm::with_split`], with the workers at hand inside.
    ///
    /// # Errors
    /// The failure of `f`, or the job's abort.
    #[track_caller]
    pub fn with_split<R>(&mut self, color: u32, f: impl FnOnce(&mut World) -> Outcome<R>) -> Outcome<R> {
        let (pool, seat, phases) = (self.pool.clone(), self.seat.clone(), self.phases.clone());
        self.comm.with_split(color, |sub| {
            let comm = std::mem::replace(sub, Comm::alone()); // the split keeps its core, not this handle
            f(&mut World { comm, pool, seat, phases })
        })
    }

    /// As [`Comm::with_split_by_host`], with the workers at hand inside.
    ///
    /// # Errors
    /// The failure of `f`, or the job's abort.
    #[track_caller]
    pub fn with_split_by_host<R>(&mut self, f: impl FnOnce(&mut World) -> Outcome<R>) -> Outcome<R> {
        let color = self.comm.host_color(Location::caller())?;
        self.with_split(color, f)
    }

    /// As [`Comm::overlap`], with the workers at hand inside: `o.par(…)` computes while the transfers run.
    ///
    /// # Errors
    /// The failure of `f`, or the job's abort.
    pub fn overlap<'env, R>(
        &mut self,
        f: impl for<'s> FnOnce(&mut Overlap<'s, 'env, World>) -> Outcome<R>,
    ) -> Outcome<R> {
        overlap_on(self, |world| &world.comm, f)
    }

    /// Starts a named timer; dropping what it gives stops it. Times of one name add up. Local.
    pub fn phase(&self, name: &str) -> Phase {
        self.phases.start(name)
    }

    /// The timers of this rank. Local.
    pub fn phases(&self) -> &Phases {
        &self.phases
    }

    /// A progress bar for `total` steps, visible on rank 0 if stderr is a terminal. Local.
    pub fn progress(&self, name: &str, total: u64) -> Progress {
        Progress::new(self.rank(), name, total)
    }

    /// Writes a line to stderr, with this rank's number before it, in one piece. Local.
    pub fn log(&self, message: impl std::fmt::Display) {
        log_line(self.rank(), message);
    }
}

/// What each rank has to tell, on all ranks. Collective.
#[cfg_attr(not(feature = "mpi"), allow(dead_code))] // as `of_process`, which is all that calls it
fn all_tell<T: Serialize + DeserializeOwned>(comm: &mut Comm, mine: &T) -> Outcome<Vec<T>> {
    let all = comm.all_gather_v(&postcard::to_stdvec(mine)?)?;
    Ok(all.iter().map(postcard::from_bytes).collect::<Result<_, _>>()?)
}

/// All ranks find it, so all end with it.
pub(crate) fn clash(clash: Clash) -> Abort {
    let (rank, host, message) = (clash.ranks[1], clash.host.clone(), clash.to_string());
    Abort::new(Cause::Agreed { rank, host, message, by_all: true })
}

impl Drop for World {
    fn drop(&mut self) {
        self.pool.rest(); // whatever `Idle` says: nobody is there to give them work
    }
}

impl Deref for World {
    type Target = Comm;
    fn deref(&self) -> &Comm {
        &self.comm
    }
}

impl DerefMut for World {
    fn deref_mut(&mut self) -> &mut Comm {
        &mut self.comm
    }
}
