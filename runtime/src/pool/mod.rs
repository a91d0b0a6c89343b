//! The workers of one rank: a rayon pool whose worker 0 is the rank's own thread, pinned by the plan.
//!
//! Because the rank's thread belongs to the pool, entering it costs nothing, and that thread works too. Between the pieces
//! of work that it does itself it lets communication progress. Workers never communicate.
//!
//! Invariants: no lock is held across a rayon call; nothing installs from one pool into another; a panic on a worker goes on
//! in the rank's thread.

use parallel::*;
use physalia_collectives::failure::{Seat, seat_here, set_seat_here};
use physalia_collectives::job::AbortFlag;
use physalia_collectives::local::local;
use physalia_collectives::poll_here;
use physalia_topology::{CpuSet, Plan, sys};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) use crossbeam::utils::CachePadded;
pub(crate) use rayon::prelude as parallel;

/// The workers of one rank.
pub struct Pool {
    rayon: Arc<rayon::ThreadPool>,
    threads: usize,
    /// Of each domain, the NUMA nodes.
    nodes: Vec<Vec<u32>>,
    /// The rank's own thread is worker 0, so only the pool's threads can hand it work.
    with_this: bool,
    abort: AbortFlag,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Pool({} workers)", self.threads)
    }
}

/// Who may take work that has its home in another domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Workers take the work of their own domain first, then help others.
    HomeFirst,
    /// Only workers of the home take it: for the first touch of memory.
    HomeOnly,
}

/// Which pool a thread is worker 0 of. A thread can belong to one pool for good, so a later world of the same shape on the
/// same thread takes the same pool again.
struct Home {
    seat_cores: (Option<Seat>, Vec<Option<u32>>),
    rayon: Arc<rayon::ThreadPool>,
}

/// Set when a closure on one worker has panicked, so that the others need not do work of which nobody sees the result.
#[derive(Default)]
pub(crate) struct Failed(AtomicBool);

impl Failed {
    pub(crate) fn raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Runs `f`, and notes it if that panics.
    pub(crate) fn watch<R>(&self, f: impl FnOnce() -> R) -> R {
        struct Guard<'a>(&'a Failed);
        impl Drop for Guard<'_> {
            fn drop(&mut self) {
                self.0.0.store(true, Ordering::Relaxed);
            }
        }
        let guard = Guard(self);
        let value = f();
        std::mem::forget(guard);
        value
    }
}

thread_local!(static HOME: RefCell<Option<Home>> = const { RefCell::new(None) });

impl Pool {
    /// The pool of the rank on this thread, as the plan says.
    ///
    /// # Errors
    /// If the system gives no more threads.
    pub(crate) fn new(plan: &Plan, abort: AbortFlag) -> Result<Pool, rayon::ThreadPoolBuildError> {
        let cores: Vec<Option<u32>> = plan.workers.iter().map(|w| w.core).collect();
        let (seat, threads) = (seat_here(), cores.len());
        let known = HOME.with_borrow(|home| {
            home.as_ref().filter(|h| h.seat_cores == (seat, cores.clone())).map(|h| h.rayon.clone())
        });
        let (rayon, with_this) = match known {
            Some(rayon) => (rayon, true),
            None => build(seat, &cores)?,
        };
        let nodes = plan.domains.iter().map(|d| vec![d.node]).collect();
        Ok(Pool { rayon, threads, nodes, with_this, abort })
    }

    /// The number of NUMA domains on which this rank has workers.
    pub fn domains(&self) -> usize {
        self.nodes.len()
    }

    /// The NUMA nodes of a domain.
    ///
    /// # Panics
    /// If there is no such domain.
    pub fn nodes(&self, domain: usize) -> &[u32] {
        &self.nodes[domain]
    }

    /// As `each`, for items that have a home: items `cuts[d]..cuts[d + 1]` are at home in domain d. Local.
    ///
    /// # Panics
    /// As `f` does.
    pub fn each_at<I: Send>(&self, items: Vec<I>, cuts: &[usize], rule: Rule, f: impl Fn(usize, I) + Sync) {
        let _ = (cuts, rule);
        self.each(items, f);
    }

    /// The number of workers.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Runs `f` in the pool: rayon's `join`, `scope` and parallel iterators inside it work on this rank's workers. Local.
    ///
    /// # Panics
    /// As `f` does. On a thread that is neither the rank's nor one of its workers: the rank's own thread is one of the
    /// workers, and it may be waiting for just that thread.
    pub fn local<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        assert!(
            !self.with_this || self.rayon.current_thread_index().is_some(),
            "a rank's workers are used on a thread that is not the rank's: do it on the rank's thread, or in World::local"
        );
        self.rayon.install(|| local(f))
    }

    /// Gives each item to a worker, in no order, as workers become free. The rank's own thread works too and lets
    /// communication progress between its items. Once the job is ending, items that have not begun are left out: what
    /// they would have made is never seen, since the next collective returns the abort. Likewise once `f` has panicked. Local.
    ///
    /// # Panics
    /// As `f` does.
    pub fn each<I: Send>(&self, items: Vec<I>, f: impl Fn(usize, I) + Sync) {
        let failed = Failed::default();
        self.local(|| {
            items.into_par_iter().enumerate().with_max_len(1).for_each(|(i, item)| {
                if !self.abort.raised() && !failed.raised() {
                    failed.watch(|| f(i, item));
                    poll_here();
                }
            });
        });
    }

    /// Runs `work` once on each worker, with its number, and gives the results in that order. Local.
    pub(crate) fn on_workers<A: Send>(&self, work: impl Fn(usize) -> A + Sync) -> Vec<A> {
        let mut results: Vec<Option<A>> = (0..self.threads).map(|_| None).collect();
        self.local(|| {
            rayon::in_place_scope(|scope| {
                let (mine, others) = results.split_first_mut().expect("at least one worker");
                for (i, slot) in others.iter_mut().enumerate() {
                    let work = &work;
                    scope.spawn(move |_| *slot = Some(local(|| work(i + 1))));
                }
                *mine = Some(work(0));
            });
        });
        results.into_iter().map(|r| r.expect("every worker's result")).collect()
    }
}

/// The workers of the pool that this code runs in.
pub(crate) fn workers_here() -> usize {
    rayon::current_num_threads()
}

/// A new pool, and whether this thread is its worker 0.
fn build(
    seat: Option<Seat>,
    cores: &[Option<u32>],
) -> Result<(Arc<rayon::ThreadPool>, bool), rayon::ThreadPoolBuildError> {
    let free = HOME.with_borrow(Option::is_none) && rayon::current_thread_index().is_none();
    let places = cores.to_vec();
    let mut builder = rayon::ThreadPoolBuilder::new().num_threads(cores.len()).start_handler(move |i| {
        set_seat_here(seat);
        pin(places[i]);
    });
    if free {
        builder = builder.use_current_thread();
    }
    let name = seat.map_or(String::new(), |s| format!("rank {} ", s.rank()));
    let rayon = Arc::new(builder.thread_name(move |i| format!("{name}worker {i}")).build()?);
    if free {
        pin(cores[0]);
        let home = Home { seat_cores: (seat, cores.to_vec()), rayon: rayon.clone() };
        HOME.set(Some(home));
    }
    Ok((rayon, free))
}

/// Pins this thread. A core that the system refuses (it was taken away meanwhile) leaves the thread where it may run.
fn pin(core: Option<u32>) {
    if let Some(core) = core {
        sys::set_affinity(&CpuSet::from_iter([core])).ok();
    }
}
