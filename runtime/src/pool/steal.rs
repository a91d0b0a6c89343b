//! Who takes which chunk: the decisions of home-first stealing. Pure: counts and times go in, a move comes out, so the same code
//! runs on threads and under virtual time (`steal/simulated.rs`).
//!
//! Every worker has a queue: a range of neighbouring chunks. At first a domain's chunks are divided evenly among its workers. A
//! worker takes from the front of its queue, so that in every sweep over the same memory the same core touches the same
//! chunks. When its queue is empty it steals from the back of another's: half of what a worker of its own domain has waiting; and
//! when its domain has nothing left, some of the nearest domain that is so far behind that help is worth a remote access
//! (affinity scheduling: Markatos, LeBlanc 1994; here by domains, and with the queues' halves of work stealing).
//!
//! A domain is *behind* if, at the pace at which its chunks have been done, what waits in it will take longer than a
//! 25th of the time that the loop has taken so far; or if a worker has been idle for that long, so that the pace was wrong. A loop of
//! even cost therefore stays at home, and at worst is longer by a 25th than one in which everyone helped at once.

use std::ops::Range;

/// Help is worth its remote accesses from this part of the loop's time.
const PATIENCE: u64 = 25;

/// Nanoseconds of work that a worker takes from its queue at a time: long beside the cost of taking (some 30 ns), short beside
/// the time after which anyone waits for it.
const BITE_NS: u64 = 20_000;

/// Who may take work that has its home in another domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Workers take the work of their own domain first, then help others.
    HomeFirst,
    /// Only workers of the home take it: for the first touch of memory.
    HomeOnly,
}

/// The workers of a rank and how near their domains are to each other.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// By domain: its workers.
    workers: Vec<Range<usize>>,
    /// By worker: its domain.
    domains: Vec<usize>,
    /// By domain: the others, nearest first; those as near as each other in turn from its own number on, so that domains do
    /// not all help the same one.
    near: Vec<Vec<usize>>,
}

impl Layout {
    /// `counts`: the workers of each domain. `distance`: between two domains.
    pub(crate) fn new(counts: &[usize], distance: impl Fn(usize, usize) -> u32) -> Layout {
        let mut next = 0;
        let range = |&count: &usize| {
            next += count;
            next - count..next
        };
        let workers: Vec<Range<usize>> = counts.iter().map(range).collect();
        let domains = counts.iter().enumerate().flat_map(|(d, &count)| vec![d; count]).collect();
        let near = |from: usize| {
            let mut others: Vec<usize> = (1..counts.len()).map(|by| (from + by) % counts.len()).collect();
            others.sort_by_key(|&to| distance(from, to));
            others
        };
        let near = (0..counts.len()).map(near).collect();
        Layout { workers, domains, near }
    }

    pub(crate) fn threads(&self) -> usize {
        self.domains.len()
    }

    pub(crate) fn domains(&self) -> usize {
        self.workers.len()
    }

    pub(crate) fn domain_of(&self, worker: usize) -> usize {
        self.domains[worker]
    }

    pub(crate) fn workers_of(&self, domain: usize) -> Range<usize> {
        self.workers[domain].clone()
    }

    /// Where the parts of `n` things begin and end that domains have in proportion to their workers.
    pub(crate) fn even_cuts(&self, n: usize) -> Vec<usize> {
        let all = self.threads() as u128;
        (0..=self.domains()).map(|d| (n as u128 * self.before(d) as u128 / all) as usize).collect()
    }

    /// Workers of lower domains.
    fn before(&self, domain: usize) -> usize {
        self.workers.get(domain).map_or(self.threads(), |range| range.start)
    }

    /// The queue with which a worker begins: its share of the chunks `cuts[d]..cuts[d + 1]` of its domain d.
    pub(crate) fn share(&self, worker: usize, cuts: &[u32]) -> Range<u32> {
        let domain = self.domain_of(worker);
        let (mates, first) = (self.workers_of(domain), u64::from(cuts[domain]));
        let (count, of) = (u64::from(cuts[domain + 1]) - first, mates.len() as u64);
        let cut = |w: usize| (first + count * (w - mates.start) as u64 / of) as u32;
        cut(worker)..cut(worker + 1)
    }
}

/// The queues as one worker sees them.
pub(crate) trait Queues {
    /// The chunks that wait in a worker's queue; they all have one home.
    fn waiting(&self, worker: usize) -> Range<u32>;
    /// Whether that worker has come to the loop; a queue whose owner sleeps is anyone's.
    fn present(&self, worker: usize) -> bool;
    /// How many chunks that worker has taken from its queue since the loop began.
    fn taken(&self, worker: usize) -> u64;
}

/// What a worker with an empty queue does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Take up to so many chunks from the back of that worker's queue.
    Steal { from: usize, most: u32 },
    /// Look again soon: those who have work are not so far behind that help is worth it.
    Wait,
    /// Nothing waits that this worker may ever take.
    End,
}

/// The times of a worker with an empty queue, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// Since the loop began.
    pub loop_ns: u64,
    /// Since this worker found nothing to do.
    pub idle_ns: u64,
}

/// The next move of worker `me`, whose queue is empty. `cuts[d]..cuts[d + 1]` are the chunks with their home in domain d.
pub(crate) fn next(layout: &Layout, cuts: &[u32], rule: Rule, queues: &impl Queues, me: usize, times: Times) -> Next {
    let here = layout.domain_of(me);
    let home = |chunks: &Range<u32>| cuts.partition_point(|&cut| cut <= chunks.start) - 1;
    let (mut mates, mut ours_away) = (Best::default(), Best::default());
    let mut others_left = false;
    for worker in 0..layout.threads() {
        let waiting = queues.waiting(worker);
        if waiting.is_empty() {
            continue;
        }
        let (mate, ours) = (layout.domain_of(worker) == here, home(&waiting) == here);
        match (mate, ours) {
            (true, _) => mates.look(worker, &waiting, ours),
            (false, true) => ours_away.look(worker, &waiting, true),
            (false, false) => others_left = true,
        }
    }
    // Our own chunks with a mate, then those that others have taken from us, then what mates have taken from others.
    let near = if mates.ours { mates } else { ours_away.or(mates) };
    if let Some((from, waiting)) = near.found {
        return Next::Steal { from, most: waiting.div_ceil(2) };
    }
    match (rule, others_left) {
        (Rule::HomeOnly, _) | (_, false) => Next::End,
        (Rule::HomeFirst, true) => far(layout, queues, here, times),
    }
}

/// Help for another domain, the nearest that is behind.
fn far(layout: &Layout, queues: &impl Queues, here: usize, times: Times) -> Next {
    let impatient = times.idle_ns > (times.loop_ns - times.idle_ns) / PATIENCE;
    for &domain in &layout.near[here] {
        let (mut fullest, mut orphan, mut left, mut done) = (Best::default(), Best::default(), 0u64, 0u64);
        for worker in layout.workers_of(domain) {
            let waiting = queues.waiting(worker);
            left += waiting.len() as u64;
            done += queues.taken(worker);
            let best = if queues.present(worker) { &mut fullest } else { &mut orphan };
            best.look(worker, &waiting, false);
        }
        let behind = impatient || left * PATIENCE > done;
        if let Some((from, waiting)) = orphan.or(if behind { fullest } else { Best::default() }).found {
            // As much as one worker's part would be if both domains shared what is left.
            let both = layout.workers_of(domain).len() + layout.workers_of(here).len();
            let part = (left / both as u64).max(1) as u32;
            return Next::Steal { from, most: part.min(waiting.div_ceil(2)) };
        }
    }
    Next::Wait
}

/// The fullest queue of several.
#[derive(Clone, Copy, Default)]
struct Best {
    found: Option<(usize, u32)>,
    ours: bool,
}

impl Best {
    /// Chunks that have their home here go before others.
    fn look(&mut self, worker: usize, waiting: &Range<u32>, ours: bool) {
        let len = waiting.len() as u32;
        let better = match self.found {
            None => len > 0,
            Some((_, most)) => (ours, len) > (self.ours, most),
        };
        if better {
            *self = Best { found: Some((worker, len)), ours };
        }
    }

    fn or(self, other: Best) -> Best {
        if self.found.is_some() { self } else { other }
    }
}

/// How many chunks a worker takes next from the front of its queue, in which `waiting` wait, if the last `bite` took `took_ns`: as
/// many as take about 20 µs, and at most a quarter, so that the rest can be stolen.
pub(crate) fn next_bite(bite: u32, took_ns: u64, waiting: u32) -> u32 {
    let fitting = match took_ns {
        ..BITE_NS if took_ns < BITE_NS / 2 => bite.saturating_mul(2),
        ..BITE_NS => bite,
        _ => (u64::from(bite) * BITE_NS / took_ns) as u32,
    };
    fitting.min(waiting.div_ceil(4)).max(1)
}

#[cfg(test)]
mod simulated;
