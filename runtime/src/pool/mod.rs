//! The workers of one rank: pools of threads that the plan pins, one pool for each NUMA domain, and the scheduler over them.
//!
//! Work is given out as *chunks* that have a *home*: the domain in whose memory their data lie, or, without data, the domain of
//! their place in the whole. Workers take the chunks of their own domain first and then help others that are behind
//! (`steal`); chunks are given out some at a time, so many as take some 20 µs (`feed`). The rank's own thread is worker 0
//! and works too; between its chunks it lets communication progress. Workers never communicate.
//!
//! All workers wait for the next loop together, as a *team* (`team`), so short loops are cheap: about a microsecond. Who
//! waits for long sleeps ([`Idle`], `PHYSALIA_IDLE`).
//!
//! A chunk's code may use rayon: `join`, `scope` and parallel iterators stay in the worker's domain, and workers of it that have
//! nothing to do help. A loop within a chunk goes the same way. Two limits are rayon's: what `rayon::spawn` begins may run on the
//! rank's own thread and keeps it as long as it runs, so it must not wait for what the rank does later; and a thread belongs to
//! the first pool it had, so if a program makes worlds of several shapes on one thread, rayon's calls in chunks on that thread
//! go to the first one's workers.
//!
//! Invariants: no lock is held across a rayon call; nothing installs from one pool into another; a panic on a worker goes on
//! in the rank's thread.

mod crew;
mod feed;
mod idle;
#[cfg(all(test, loom))]
#[allow(unsafe_code)]
mod models;
mod queue;
mod steal;
mod sync;
#[allow(unsafe_code)]
mod team;
#[cfg(all(test, not(loom)))]
mod tests;

use crew::Crew;
use feed::Loop;
use parallel::*;
use physalia_collectives::job::AbortFlag;
use physalia_collectives::local::local;
use physalia_collectives::poll_here;
use physalia_topology::Plan;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

pub(crate) use crossbeam::utils::CachePadded;
pub(crate) use feed::Feed;
pub use idle::Idle;
pub(crate) use rayon::prelude as parallel;
pub use steal::Rule;

/// The workers of one rank.
pub struct Pool {
    crew: Arc<Crew>,
    abort: AbortFlag,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Pool({} workers in {} domains)", self.threads(), self.domains())
    }
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

impl Pool {
    /// The pool of the rank on this thread, as the plan says. Workers that are not pinned make one domain.
    ///
    /// # Errors
    /// If the system gives no more threads.
    pub(crate) fn new(plan: &Plan, idle: Idle, abort: AbortFlag) -> Result<Pool, rayon::ThreadPoolBuildError> {
        Ok(Pool { crew: Crew::of(plan, idle::Manner::new(idle, plan.pinned))?, abort })
    }

    /// The workers whose threads the system has not put on the cores of the plan, with those cores. Local.
    pub(crate) fn misplaced(&self) -> Vec<(usize, u32)> {
        self.crew.misplaced()
    }

    /// Sends workers to sleep that spin, until there is work again. Local.
    pub(crate) fn rest(&self) {
        self.crew.rest();
    }

    /// The number of workers.
    pub fn threads(&self) -> usize {
        self.crew.layout.threads()
    }

    /// The number of NUMA domains on which this rank has workers.
    pub fn domains(&self) -> usize {
        self.crew.layout.domains()
    }

    /// The NUMA nodes of a domain.
    ///
    /// # Panics
    /// If there is no such domain.
    pub fn nodes(&self, domain: usize) -> &[u32] {
        self.crew.nodes(domain)
    }

    /// The workers of a domain.
    ///
    /// # Panics
    /// If there is no such domain.
    pub fn workers_of(&self, domain: usize) -> Range<usize> {
        self.crew.layout.workers_of(domain)
    }

    /// Where the parts of `n` things begin and end that domains have in proportion to their workers.
    pub fn even_cuts(&self, n: usize) -> Vec<usize> {
        self.crew.layout.even_cuts(n)
    }

    /// Runs `f` with rayon at work: `join`, `scope` and parallel iterators inside it work on all of this rank's workers. On
    /// a rank of several domains rayon does not know which memory is near, and `f` runs on another thread than the
    /// rank's, which waits and does not communicate. Local.
    ///
    /// # Panics
    /// As `f` does. On a thread that is neither the rank's nor one of its workers: the rank's own thread is one of the
    /// workers, and it may be waiting for just that thread.
    pub fn local<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        match self.role() {
            Role::Leader => self.crew.in_rayon(|| local(f)),
            Role::Worker => local(f),
        }
    }

    /// Gives each item to a worker: first the n-th part of them to the n-th worker, then what is left to those who are
    /// through with their part. The rank's own thread works too and lets communication progress between its items. Once
    /// the job is ending, items that have not begun are left out: what they would have made is never seen, since the next
    /// collective returns the abort. Likewise once `f` has panicked. Local. Begins and ends within about a microsecond if
    /// workers have not gone to sleep; giving out an item costs some tens of nanoseconds.
    ///
    /// # Panics
    /// As `f` does; where [`local`](Pool::local) does; from 2^32 items.
    pub fn each<I: Send>(&self, items: Vec<I>, f: impl Fn(usize, I) + Sync) {
        let cuts = self.even_cuts(items.len());
        self.each_at(items, &cuts, Rule::HomeFirst, f);
    }

    /// As [`each`](Pool::each), for items that have a home: items `cuts[d]..cuts[d + 1]` are at home in domain d. Within a chunk
    /// of another loop the home is not looked at. Local.
    ///
    /// # Panics
    /// As `each` does; if `cuts` does not begin with 0, ascend and end with the number of items.
    pub fn each_at<I: Send>(&self, items: Vec<I>, cuts: &[usize], rule: Rule, f: impl Fn(usize, I) + Sync) {
        let failed = Failed::default();
        let ending = || self.abort.raised() || failed.raised();
        if let Role::Worker = self.role() {
            items.into_par_iter().enumerate().with_max_len(1).for_each(|(i, item)| {
                if !ending() {
                    failed.watch(|| f(i, item));
                }
            });
            return;
        }
        assert_eq!(cuts.last(), Some(&items.len()), "the last cut is the number of items");
        let items: Vec<Mutex<Option<I>>> = items.into_iter().map(|item| Mutex::new(Some(item))).collect();
        self.feed(cuts, rule, &ending, |feed| {
            while let Some(chunks) = feed.next() {
                for i in chunks {
                    if ending() {
                        return;
                    }
                    let item = items[i as usize].lock().unwrap_or_else(PoisonError::into_inner).take();
                    failed.watch(|| f(i as usize, item.expect("a chunk is given out once")));
                    poll_here();
                }
            }
        });
    }

    /// Runs `work` on every worker that comes, with the chunks that it gets. `cuts[d]..cuts[d + 1]` are at home in domain d.
    /// When `ending` says so, nobody gets more. Local.
    ///
    /// # Panics
    /// As `work` does; within a chunk.
    pub(crate) fn feed(
        &self,
        cuts: &[usize],
        rule: Rule,
        ending: &(dyn Fn() -> bool + Sync),
        work: impl Fn(&mut Feed<'_, '_>) + Sync,
    ) {
        let crew = &*self.crew;
        assert!(matches!(self.role(), Role::Leader), "a loop over all workers within a chunk of another");
        assert!(
            cuts.len() == self.domains() + 1 && cuts[0] == 0 && cuts.is_sorted(),
            "cuts of {} domains",
            self.domains()
        );
        let cut = |&cut: &usize| u32::try_from(cut).expect("fewer than 2^32 chunks");
        let cuts: Vec<u32> = cuts.iter().map(cut).collect();
        let (layout, team, left) = (&crew.layout, &*crew.team, &*crew.left);
        let job = Loop { layout, team, left, cuts: &cuts, rule, manner: crew.manner(), ending, began: Instant::now() };
        job.deal();
        let body = |worker: usize| local(|| work(&mut job.feed(worker, if worker == 0 { &poll_here } else { &|| () })));
        let must_come = |worker| rule == Rule::HomeOnly && left.any(layout.domain_of(worker)) && !ending();
        let mut wait = crew.manner().wait();
        let pause = || {
            poll_here();
            wait.naps(help_rayon);
        };
        crew.as_leader(|| team.run(&body, |seats| crew.call(seats), must_come, pause));
    }

    fn role(&self) -> Role {
        match crew::here() {
            Some(here) if here.owner == self.crew.owner() => Role::Worker, // also of another pool of this rank
            None if std::thread::current().id() == self.crew.owner() => Role::Leader,
            _ => panic!(
                "a rank's workers are used on a thread that is not the rank's, nor one of its workers: do it on the rank's own \
                 thread, or in its World::local or World::each"
            ),
        }
    }
}

/// What this thread is to a pool.
enum Role {
    /// The rank's own, outside of loops.
    Leader,
    /// One of its workers, in a chunk or in rayon's work.
    Worker,
}

/// The number of the worker that this code runs on, among its rank's; `None` on the rank's own thread outside of loops (also in
/// rayon's work there), and on threads that are no worker's.
pub fn worker_here() -> Option<usize> {
    crew::here().map(|here| here.worker)
}

/// The domain of the worker that this code runs on; `None` where [`worker_here`] is.
pub fn domain_here() -> Option<usize> {
    crew::here().map(|here| here.domain)
}

/// The workers of the pool that this code runs in.
pub(crate) fn workers_here() -> usize {
    rayon::current_num_threads()
}

/// Does a piece of work that rayon has on this thread's pool, if there is one.
fn help_rayon() -> bool {
    rayon::yield_now() == Some(rayon::Yield::Executed)
}
