//! Loops under virtual time: the makespan against the best there is, and how many chunks left their home against the fewest
//! that had to.

use super::*;
use crate::random::Random;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What taking and stealing cost a worker, and how long it waits before it looks again.
const TAKE_NS: u64 = 30;
const STEAL_NS: u64 = 500;
const LOOK_NS: u64 = 1_000;

struct Loop {
    layout: Layout,
    cuts: Vec<u32>,
    /// By chunk.
    costs: Vec<u64>,
    rule: Rule,
    /// By worker: when it comes to the loop.
    comes: Vec<u64>,
}

#[derive(Debug, Default)]
struct Outcome {
    makespan: u64,
    /// By home: chunks that other domains' workers did.
    remote: Vec<u64>,
    /// By worker: the cost of what it did.
    loads: Vec<u64>,
    moves: u64,
    steals: u64,
}

struct State {
    queues: Vec<Range<u32>>,
    present: Vec<bool>,
    taken: Vec<u64>,
}

impl Queues for State {
    fn waiting(&self, worker: usize) -> Range<u32> {
        self.queues[worker].clone()
    }
    fn present(&self, worker: usize) -> bool {
        self.present[worker]
    }
    fn taken(&self, worker: usize) -> u64 {
        self.taken[worker]
    }
}

impl Loop {
    /// `per_worker` chunks for each worker of `domains` domains of `workers`; chunks of domain 0 cost `skew` times as much. Costs are
    /// uneven by up to five per cent.
    fn skewed(domains: usize, workers: usize, skew: u64, per_worker: u32, chunk_ns: u64, seed: u64) -> Loop {
        let layout = Layout::new(&vec![workers; domains], |a, b| if a / 2 == b / 2 { 12 } else { 21 });
        let n = (domains * workers) as u32 * per_worker;
        let cuts: Vec<u32> = layout.even_cuts(n as usize).into_iter().map(|cut| cut as u32).collect();
        let random = Random::new(seed);
        let cost = |chunk: u32| {
            let base = if chunk < cuts[1] { skew * chunk_ns } else { chunk_ns } as f64;
            (base * (0.95 + 0.1 * random.unit(chunk.into()))) as u64
        };
        let costs = (0..n).map(cost).collect();
        let comes = (0..layout.threads() as u64).map(|w| (random.unit(1 << 40 | w) * 2000.0) as u64).collect();
        Loop { layout, cuts, costs, rule: Rule::HomeFirst, comes }
    }

    fn run(&self) -> Outcome {
        let threads = self.layout.threads();
        let mut state = State {
            queues: (0..threads).map(|w| self.layout.share(w, &self.cuts)).collect(),
            present: vec![false; threads],
            taken: vec![0; threads],
        };
        let mut outcome =
            Outcome { remote: vec![0; self.cuts.len() - 1], loads: vec![0; threads], ..Outcome::default() };
        let mut done = vec![false; self.costs.len()];
        // By worker: its next bite; since when it has found nothing.
        let (mut bites, mut idle) = (vec![1u32; threads], vec![None; threads]);
        let mut events: BinaryHeap<Reverse<(u64, usize)>> =
            self.comes.iter().enumerate().map(|(worker, &at)| Reverse((at, worker))).collect();
        while let Some(Reverse((now, me))) = events.pop() {
            outcome.moves += 1;
            assert!(outcome.moves < 100_000_000, "it does not end");
            state.present[me] = true;
            let mut start = now + TAKE_NS;
            if state.queues[me].is_empty() {
                let since = *idle[me].get_or_insert(now);
                let times = Times { loop_ns: now, idle_ns: now - since };
                match next(&self.layout, &self.cuts, self.rule, &state, me, times) {
                    Next::Steal { from, most } => {
                        let victim = &mut state.queues[from];
                        let taken = most.min(victim.len() as u32);
                        assert!(taken > 0, "a steal of nothing");
                        victim.end -= taken;
                        state.queues[me] = victim.end..victim.end + taken;
                        start += STEAL_NS;
                        outcome.steals += 1;
                    }
                    Next::Wait => {
                        events.push(Reverse((now + LOOK_NS, me)));
                        continue;
                    }
                    Next::End => continue,
                }
            }
            // Who has stolen begins at once, so nobody can steal it all again before something is done.
            let queue = &mut state.queues[me];
            let bite = bites[me].min(queue.len() as u32);
            let chunks = queue.start..queue.start + bite;
            queue.start += bite;
            state.taken[me] += u64::from(bite);
            let mut cost = 0;
            for chunk in chunks {
                assert!(!std::mem::replace(&mut done[chunk as usize], true), "chunk {chunk} is done twice");
                cost += self.costs[chunk as usize];
                let home = self.cuts.partition_point(|&cut| cut <= chunk) - 1;
                outcome.remote[home] += u64::from(home != self.layout.domain_of(me));
            }
            outcome.loads[me] += cost;
            outcome.makespan = outcome.makespan.max(start + cost);
            bites[me] = next_bite(bite, cost, queue.len() as u32);
            idle[me] = None;
            events.push(Reverse((start + cost, me)));
        }
        assert!(done.iter().all(|&d| d), "chunks that nobody did");
        outcome
    }

    /// The fewest chunks that must leave their home for the loop to take no longer than `makespan`: of each domain the
    /// dearest, until what is left can be done in time at home.
    fn fewest(&self, makespan: u64) -> u64 {
        let of = |d: usize| {
            let mut costs = self.costs[self.cuts[d] as usize..self.cuts[d + 1] as usize].to_vec();
            costs.sort_unstable_by_key(|&cost| Reverse(cost));
            let mut over =
                costs.iter().sum::<u64>() as i128 - i128::from(makespan) * self.layout.workers_of(d).len() as i128;
            let leaves = |cost: &&u64| {
                let leaves = over > 0;
                over -= i128::from(**cost);
                leaves
            };
            costs.iter().take_while(leaves).count() as u64
        };
        (0..self.layout.domains()).map(of).sum()
    }
}

fn mean(job: &Loop) -> f64 {
    job.costs.iter().sum::<u64>() as f64 / job.layout.threads() as f64
}

#[test]
fn skewed_loops_are_balanced_and_stay_at_home_as_far_as_they_can() {
    let chunks = [(128, 100_000), (400, 20_000), (2_000, 3_000), (20_000, 300)];
    for (domains, workers) in [2, 4, 8].into_iter().flat_map(|d| [1, 2, 4, 16].map(|w| (d, w))) {
        for (skew, (per_worker, chunk_ns)) in [1, 3, 10].into_iter().flat_map(|s| chunks.map(|c| (s, c))) {
            for seed in 1..=3 {
                let job = Loop::skewed(domains, workers, skew, per_worker, chunk_ns, seed);
                if job.costs.iter().max().is_some_and(|&cost| cost as f64 > 0.01 * mean(&job)) {
                    continue; // too large to be balanced
                }
                let outcome = job.run();
                let (remote, fewest) = (outcome.remote.iter().sum::<u64>(), job.fewest(outcome.makespan));
                let what =
                    format!("{domains} domains of {workers}, skew {skew}, {per_worker} chunks each of {chunk_ns} ns");
                let over = outcome.makespan as f64 / mean(&job);
                assert!(over <= 1.05, "{what}: {over:.3} of the optimum");
                assert!(remote as f64 <= 1.2 * fewest as f64, "{what}: {remote} remote, {fewest} must be");
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || Loop::skewed(4, 4, 3, 400, 20_000, 11).run();
    assert_eq!(format!("{:?}", run()), format!("{:?}", run()));
}

#[test]
fn a_pace_that_was_wrong_is_noticed() {
    // The last 2 % of domain 0's chunks cost as much as 500 others each: by their number, nobody would help.
    let mut job = Loop::skewed(4, 4, 1, 1_000, 2_000, 5);
    job.costs[3_920..4_000].iter_mut().for_each(|cost| *cost = 1_000_000);
    let (outcome, dear) = (job.run(), 1_000_000.0);
    // Besides, a bite that was right for cheap chunks may have some dear ones.
    assert!(outcome.makespan as f64 <= 1.05 * mean(&job) + 3.0 * dear, "{} of {}", outcome.makespan, mean(&job));
}

#[test]
fn who_sleeps_is_stood_in_for() {
    for sleeper in 0..8 {
        let mut job = Loop::skewed(2, 4, 1, 400, 20_000, sleeper as u64);
        job.comes[sleeper] = 1 << 40;
        let outcome = job.run();
        let seven = job.costs.iter().sum::<u64>() as f64 / 7.0;
        assert!(outcome.makespan as f64 <= 1.05 * seven, "{} of {seven}", outcome.makespan);
        assert_eq!(outcome.loads[sleeper], 0);
    }
}

#[test]
fn whole_domains_that_sleep_are_stood_in_for_unless_only_they_may() {
    let mut job = Loop::skewed(4, 2, 1, 100, 20_000, 3);
    job.comes[2..].iter_mut().for_each(|at| *at = 1 << 40);
    assert!(job.run().makespan < 1 << 40);
    job.rule = Rule::HomeOnly;
    let outcome = job.run();
    assert!(outcome.makespan > 1 << 40 && outcome.remote.iter().all(|&r| r == 0), "{:?}", outcome.remote);
}

#[test]
fn the_nearest_domain_is_helped() {
    // Domains 0 and 1 are near to each other, and so are 2 and 3; 0 and 3 are behind, 1 and 2 help.
    let mut job = Loop::skewed(4, 4, 1, 400, 20_000, 9);
    let cuts = job.cuts.clone();
    for d in [0, 3] {
        job.costs[cuts[d] as usize..cuts[d + 1] as usize].iter_mut().for_each(|cost| *cost *= 3);
    }
    let (mut near, layout) = ([0u64; 2], job.layout.clone());
    struct Only<'a>(&'a Loop, Range<u32>);
    impl Queues for Only<'_> {
        fn waiting(&self, worker: usize) -> Range<u32> {
            if self.1.contains(&(worker as u32)) { self.0.layout.share(worker, &self.0.cuts) } else { 0..0 }
        }
        fn present(&self, _: usize) -> bool {
            true
        }
        fn taken(&self, _: usize) -> u64 {
            1
        }
    }
    for (helper, behind) in [(5, 0), (9, 3)] {
        let times = Times { loop_ns: 1000, idle_ns: 0 };
        let queues = Only(&job, 0..16);
        let all_but_own = |next| match next {
            Next::Steal { from, .. } => layout.domain_of(from),
            other => panic!("{other:?}"),
        };
        // With its own domain empty, it goes to the near one, not to the one with the lower number.
        let own = layout.workers_of(layout.domain_of(helper));
        struct Without<'a>(&'a Only<'a>, Range<usize>);
        impl Queues for Without<'_> {
            fn waiting(&self, worker: usize) -> Range<u32> {
                if self.1.contains(&worker) { 0..0 } else { self.0.waiting(worker) }
            }
            fn present(&self, worker: usize) -> bool {
                self.0.present(worker)
            }
            fn taken(&self, worker: usize) -> u64 {
                self.0.taken(worker)
            }
        }
        let from = all_but_own(next(&layout, &cuts, Rule::HomeFirst, &Without(&queues, own), helper, times));
        assert_eq!(from, behind);
        near[usize::from(behind == 3)] += 1;
    }
    assert_eq!(near, [1, 1]);
    let over = job.run().makespan as f64 / mean(&job);
    assert!(over <= 1.05, "{over}");
}

mod any {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever the workers, the chunks, their costs and who is late: every chunk is done once (`run` looks), and the loop
        /// is at most a 25th and a few of the dearest chunks longer than the work divided by all, once all have come.
        #[test]
        fn every_chunk_once_and_soon(
            counts in proptest::collection::vec(1usize..6, 1..6),
            costs in proptest::collection::vec(1u64..200_000, 0..600),
            late in proptest::collection::vec(0u64..100_000, 30),
            at in proptest::collection::vec(0usize..600, 6),
            only in any::<bool>(),
        ) {
            let layout = Layout::new(&counts, |a, b| 10 + a.abs_diff(b) as u32);
            let mut cuts: Vec<u32> = at[..counts.len() - 1].iter().map(|&cut| cut.min(costs.len()) as u32).collect();
            cuts.extend([0, costs.len() as u32]);
            cuts.sort_unstable();
            let comes = late[..layout.threads()].to_vec();
            let rule = if only { Rule::HomeOnly } else { Rule::HomeFirst };
            let job = Loop { layout, cuts, costs, rule, comes };
            let outcome = job.run();
            if only {
                prop_assert!(outcome.remote.iter().all(|&r| r == 0));
            } else {
                let (last, dearest) = (job.comes.iter().max().unwrap(), job.costs.iter().max().copied().unwrap_or(0));
                let steals = outcome.steals * STEAL_NS;
                let bound = mean(&job) * 1.05 + (last + 4 * dearest + steals + 10 * LOOK_NS) as f64;
                prop_assert!(outcome.makespan as f64 <= bound, "{} of {bound}", outcome.makespan);
            }
        }
    }
}
