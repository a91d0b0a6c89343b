//! A loop over chunks: every worker of the team has a feed, which gives it one bite of chunks after the other, first its own, then
//! what it steals (see `steal`), until nothing is left that it may take.

use super::CachePadded;
use super::idle::Manner;
use super::queue::Queue;
use super::steal::{Layout, Next, Queues, Rule, Times, next, next_bite};
use super::sync::{AtomicU32, AtomicU64, Ordering};
use super::team::Team;
use std::ops::Range;
use std::time::Instant;

/// What a worker has at its seat.
pub(super) struct Place {
    queue: Queue,
    /// Chunks that it has taken from its queue in this loop.
    taken: AtomicU64,
}

impl Place {
    pub(super) fn new() -> Place {
        Place { queue: Queue::empty(), taken: AtomicU64::new(0) }
    }
}

/// How many queues of each domain's workers have something: the answer to "is anything left?" without looking at all of them.
/// It may be too high for a moment, when a queue has just become empty, and too low while stolen chunks are on their way.
pub(super) struct Left(Box<[CachePadded<AtomicU32>]>);

impl Left {
    pub(super) fn new(domains: usize) -> Left {
        Left((0..domains).map(|_| CachePadded::new(AtomicU32::new(0))).collect())
    }

    fn more(&self, domain: usize) {
        self.0[domain].fetch_add(1, Ordering::Relaxed);
    }

    fn fewer(&self, domain: usize) {
        self.0[domain].fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn any(&self, domain: usize) -> bool {
        self.0[domain].load(Ordering::Relaxed) > 0
    }

    fn any_at_all(&self) -> bool {
        (0..self.0.len()).any(|domain| self.any(domain))
    }
}

/// A loop under way.
pub(super) struct Loop<'l> {
    pub layout: &'l Layout,
    pub team: &'l Team<Place>,
    pub left: &'l Left,
    /// `cuts[d]..cuts[d + 1]` are at home in domain d.
    pub cuts: &'l [u32],
    pub rule: Rule,
    pub manner: Manner,
    /// Whether what is left is to be left out.
    pub ending: &'l (dyn Fn() -> bool + Sync),
    pub began: Instant,
}

impl<'l> Loop<'l> {
    /// Fills the queues; to be done before the team runs.
    pub(super) fn deal(&self) {
        for domain in 0..self.layout.domains() {
            let mut full = 0;
            for worker in self.layout.workers_of(domain) {
                let (place, share) = (self.team.own(worker), self.layout.share(worker, self.cuts));
                // A loop that ended before its time may have left something.
                while place.queue.take_back(u32::MAX).is_some() {}
                full += u32::from(!share.is_empty());
                place.queue.put(share);
                place.taken.store(0, Ordering::Relaxed);
            }
            self.left.0[domain].store(full, Ordering::Relaxed);
        }
    }

    /// The feed of a worker.
    pub(super) fn feed<'f>(&'f self, worker: usize, between: &'f dyn Fn()) -> Feed<'f, 'l> {
        Feed { job: self, me: worker, bite: 1, since: None, between }
    }
}

impl Queues for Loop<'_> {
    fn waiting(&self, worker: usize) -> Range<u32> {
        self.team.own(worker).queue.waiting()
    }

    fn present(&self, worker: usize) -> bool {
        self.team.has_come(worker)
    }

    fn taken(&self, worker: usize) -> u64 {
        self.team.own(worker).taken.load(Ordering::Relaxed)
    }
}

/// One worker's chunks, bite by bite.
pub(crate) struct Feed<'f, 'l> {
    job: &'f Loop<'l>,
    me: usize,
    /// The last bite, and when it began if it is timed.
    bite: u32,
    since: Option<Instant>,
    /// What is done between two bites.
    between: &'f dyn Fn(),
}

impl Feed<'_, '_> {
    /// Chunks to be done next, all of one home; `None` when nothing is left for this worker.
    pub(crate) fn next(&mut self) -> Option<Range<u32>> {
        let job = self.job;
        (self.between)();
        if (job.ending)() {
            return None;
        }
        let queue = &job.team.own(self.me).queue;
        let waiting = queue.waiting().len() as u32;
        if waiting > 0 {
            if let Some(since) = self.since {
                let now = Instant::now();
                self.bite = next_bite(self.bite, (now - since).as_nanos() as u64, waiting);
                self.since = Some(now);
            }
            if let Some((chunks, rest)) = queue.take_front(self.bite) {
                if rest == 0 {
                    job.left.fewer(job.layout.domain_of(self.me));
                }
                self.took(&chunks, rest > 0);
                return Some(chunks);
            }
        }
        self.steal()
    }

    /// Notes a bite; if more is waiting, the next one's size depends on how long this takes.
    fn took(&mut self, chunks: &Range<u32>, more: bool) {
        let taken = &self.job.team.own(self.me).taken;
        taken.store(taken.load(Ordering::Relaxed) + chunks.len() as u64, Ordering::Relaxed);
        self.bite = chunks.len() as u32;
        self.since = if more { self.since.or_else(|| Some(Instant::now())) } else { None };
    }

    fn steal(&mut self) -> Option<Range<u32>> {
        let job = self.job;
        let domain = job.layout.domain_of(self.me);
        let mut began: Option<Instant> = None;
        let mut wait = job.manner.wait();
        loop {
            // Mostly it ends here: nobody has anything, and nobody's queue need be looked at.
            let anything = if job.rule == Rule::HomeOnly { job.left.any(domain) } else { job.left.any_at_all() };
            if !anything || (job.ending)() {
                return None;
            }
            let now = Instant::now();
            let idle_since = *began.get_or_insert(now);
            let ns = |since: Instant| (now - since).as_nanos() as u64;
            let times = Times { loop_ns: ns(job.began), idle_ns: ns(idle_since) };
            match next(job.layout, job.cuts, job.rule, job, self.me, times) {
                Next::Steal { from, most } => {
                    if let Some(chunks) = self.steal_from(from, most) {
                        return Some(chunks);
                    }
                }
                Next::Wait => {}
                Next::End => return None,
            }
            (self.between)();
            wait.naps(super::help_rayon);
        }
    }

    /// Takes from the back of another's queue. What is not done at once can be stolen again; something is done at once, so a
    /// chunk cannot go round for ever.
    fn steal_from(&mut self, from: usize, most: u32) -> Option<Range<u32>> {
        let job = self.job;
        let (chunks, rest) = job.team.own(from).queue.take_back(most)?;
        let here = job.layout.domain_of(self.me);
        let bite = self.bite.clamp(1, (chunks.len() as u32).div_ceil(4));
        let (now, later) = (chunks.start..chunks.start + bite, chunks.start + bite..chunks.end);
        let keeps = !later.is_empty();
        if keeps {
            job.left.more(here); // before the other's is taken off, so that nobody thinks that all is done
            job.team.own(self.me).queue.put(later);
        }
        if rest == 0 {
            job.left.fewer(job.layout.domain_of(from));
        }
        self.since = None;
        self.took(&now, keeps);
        Some(now)
    }
}
