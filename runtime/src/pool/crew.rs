//! The threads of a rank: a rayon pool for each domain, with pinned workers, and the team that they form.
//!
//! The rank's own thread is worker 0 of the first domain's pool, so that rayon's calls on it need not go to another thread. It
//! belongs to that pool for good, so a crew is kept, and a later world of the same shape on this thread has the same one.

use super::CachePadded;
use super::feed::{Left, Place};
use super::idle::Manner;
use super::steal::Layout;
use super::team::Team;
use physalia_collectives::failure::{Seat, seat_here, set_seat_here};
use physalia_topology::{CpuSet, Plan, sys};
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use std::cell::{Cell, RefCell};
use std::sync::{Arc, OnceLock};
use std::thread::ThreadId;

/// A worker's place, known on its thread.
#[derive(Clone, Copy)]
pub(super) struct Here {
    /// The thread of the rank that it works for.
    pub owner: ThreadId,
    pub worker: usize,
    pub domain: usize,
}

thread_local! {
    static HOME: RefCell<Option<Arc<Crew>>> = const { RefCell::new(None) };
    static HERE: Cell<Option<Here>> = const { Cell::new(None) };
}

/// Where this thread works, if it is a worker.
pub(super) fn here() -> Option<Here> {
    HERE.get()
}

/// What makes one crew like another.
#[derive(Clone, PartialEq)]
struct Shape {
    seat: Option<Seat>,
    cores: Vec<Option<u32>>,
    counts: Vec<usize>,
    nodes: Vec<Vec<u32>>,
    manner: Manner,
}

/// The threads of a rank and what they share.
pub(super) struct Crew {
    shape: Shape,
    pub layout: Layout,
    pub team: Arc<Team<Place>>,
    pub left: CachePadded<Left>,
    /// By domain.
    pools: Vec<ThreadPool>,
    /// All workers, where there are several domains, for rayon's calls on all of them.
    wide: OnceLock<ThreadPool>,
    /// Whether the rank's own thread is worker 0 of the first pool. If not, that pool's thread 0 has no part in the team.
    leads: bool,
    owner: ThreadId,
}

impl Crew {
    /// The crew of the rank on this thread.
    pub(super) fn of(plan: &Plan, manner: Manner) -> Result<Arc<Crew>, ThreadPoolBuildError> {
        let shape = Shape::new(plan, manner);
        let known = HOME.with_borrow(|home| home.clone().filter(|crew| crew.shape == shape));
        let crew = match known {
            Some(known) => known,
            None => Crew::new(shape, |a, b| plan.distance(a, b))?,
        };
        pin(crew.shape.cores[0]); // each time: the thread may have been elsewhere since
        Ok(crew)
    }

    /// The workers whose threads the system has not put on the cores of the plan, with those cores. All threads look.
    pub(super) fn misplaced(&self) -> Vec<(usize, u32)> {
        let cores = &self.shape.cores;
        if cores.iter().all(Option::is_none) {
            return Vec::new();
        }
        let wrong = |worker: usize| {
            let core = cores[worker]?;
            let there = sys::affinity().is_ok_and(|cpus| cpus == CpuSet::from_iter([core]));
            (!there).then_some((worker, core))
        };
        let mut found: Vec<(usize, u32)> = wrong(0).into_iter().collect();
        for (domain, pool) in self.pools.iter().enumerate() {
            let first = self.layout.workers_of(domain).start;
            let all = |thread: rayon::BroadcastContext<'_>| {
                let worker = first + thread.index();
                if worker > 0 { wrong(worker) } else { None }
            };
            found.extend(pool.broadcast(all).into_iter().flatten());
        }
        found
    }

    fn new(shape: Shape, distance: impl Fn(usize, usize) -> u32) -> Result<Arc<Crew>, ThreadPoolBuildError> {
        let owner = std::thread::current().id();
        let layout = Layout::new(&shape.counts, distance);
        let leads = HOME.with_borrow(Option::is_none) && rayon::current_thread_index().is_none();
        let pool = |domain: usize| {
            let workers = layout.workers_of(domain);
            let builder = shape.builder(workers.map(|worker| Here { owner, worker, domain }).collect());
            if leads && domain == 0 { builder.use_current_thread().build() } else { builder.build() }
        };
        let pools = (0..layout.domains()).map(pool).collect::<Result<_, _>>()?;
        let crew = Arc::new(Crew {
            team: Arc::new(Team::new(layout.threads() - 1, Place::new)),
            left: CachePadded::new(Left::new(layout.domains())),
            layout,
            pools,
            wide: OnceLock::new(),
            leads,
            owner,
            shape,
        });
        if leads {
            HOME.set(Some(crew.clone()));
        }
        Ok(crew)
    }

    /// The thread of the rank whose crew this is.
    pub(super) fn owner(&self) -> ThreadId {
        self.owner
    }

    pub(super) fn nodes(&self, domain: usize) -> &[u32] {
        &self.shape.nodes[domain]
    }

    pub(super) fn manner(&self) -> Manner {
        self.shape.manner
    }

    /// The rank's thread has this place while it leads a loop.
    pub(super) fn as_leader<R>(&self, f: impl FnOnce() -> R) -> R {
        let _restore = Restore(HERE.replace(Some(Here { owner: self.owner, worker: 0, domain: 0 })));
        f()
    }

    /// Lets the threads of these seats serve in the team.
    pub(super) fn call(&self, seats: &[usize]) {
        let mut domains: Vec<usize> = seats.iter().map(|&seat| self.layout.domain_of(seat)).collect();
        domains.dedup();
        for domain in domains {
            let (team, manner, first) = (self.team.clone(), self.manner(), self.layout.workers_of(domain).start);
            self.pools[domain].spawn_broadcast(move |thread| {
                let seat = first + thread.index();
                if seat > 0 {
                    team.serve(seat, || {
                        let mut wait = manner.wait();
                        move || wait.spins(super::help_rayon)
                    });
                }
            });
        }
        self.pools[0].yield_local(); // the broadcast reaches this thread too, which has nothing to do for it
    }

    /// Sends workers to sleep that spin.
    pub(super) fn rest(&self) {
        self.team.rest();
    }

    /// Runs `f` where rayon's calls have all workers at work.
    pub(super) fn in_rayon<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        let pool = match &self.pools[..] {
            [only] if self.leads || only.current_thread_index().is_some() => return only.install(f),
            [only] => only,
            _ => self.wide.get_or_init(|| {
                let here = |worker| Here { owner: self.owner, worker, domain: self.layout.domain_of(worker) };
                let builder = self.shape.builder((0..self.layout.threads()).map(here).collect());
                builder.build().unwrap_or_else(|error| panic!("no threads for a rank's workers: {error}"))
            }),
        };
        self.rest(); // members that spin would be in the way
        let mut result = None;
        pool.in_place_scope(|scope| scope.spawn(|_| result = Some(f())));
        result.expect("a scope ends after what it has spawned")
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.rest(); // threads end when they are back in their pools
    }
}

struct Restore(Option<Here>);

impl Drop for Restore {
    fn drop(&mut self) {
        HERE.set(self.0);
    }
}

impl Shape {
    /// Workers that are not pinned are of no domain, so they make one.
    fn new(plan: &Plan, manner: Manner) -> Shape {
        let threads = plan.threads();
        let nodes_of = |d: usize| plan.domains[d].nodes.clone();
        let used: Vec<usize> =
            (0..plan.domains.len()).filter(|&d| plan.workers.iter().any(|w| w.domain == d)).collect();
        let (counts, nodes) = if plan.pinned {
            let count = |&d: &usize| plan.workers.iter().filter(|w| w.domain == d).count();
            (used.iter().map(count).collect(), used.iter().map(|&d| nodes_of(d)).collect())
        } else {
            (vec![threads], vec![used.iter().flat_map(|&d| nodes_of(d)).collect()])
        };
        Shape { seat: seat_here(), cores: plan.workers.iter().map(|w| w.core).collect(), counts, nodes, manner }
    }

    /// A pool with a thread for each of these places.
    fn builder(&self, places: Vec<Here>) -> ThreadPoolBuilder {
        let (seat, cores) = (self.seat, self.cores.clone());
        let name = seat.map_or(String::new(), |s| format!("rank {} ", s.rank()));
        let first = places[0].worker;
        ThreadPoolBuilder::new()
            .num_threads(places.len())
            .thread_name(move |i| format!("{name}worker {}", first + i))
            .start_handler(move |i| {
                set_seat_here(seat);
                pin(cores[places[i].worker]);
                HERE.set(Some(places[i]));
            })
    }
}

/// Pins this thread. A core that the system refuses (it was taken away meanwhile) leaves the thread where it may run.
fn pin(core: Option<u32>) {
    if let Some(core) = core {
        sys::set_affinity(&CpuSet::from_iter([core])).ok();
    }
}
