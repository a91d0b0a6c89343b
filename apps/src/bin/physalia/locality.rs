//! `physalia bench locality`: how much of its memory each worker finds on its own node, loop by loop, beside plain rayon.
//!
//! A vector lies at home, in one part a domain. Each loop computes on all of its chunks; then the system is asked where their
//! pages lie, and a page counts as local if it lies on a node of the worker that has just computed on it. The same with
//! rayon's `par_chunks_mut` on a vector of its own, whose first loop is its first touch, by as many threads on the same cores.
//!
//! Chunks at home in domain 0 cost `--skew` times as much as others, and those of the first half of every domain
//! `--skew-within` times as much. What a worker has done is counted in units of cost, of which the cheapest chunks have one.

use crate::args;
use crate::job::{self, layout, wrong_use};
use crate::outputs::Outputs;
use crate::report::{self, Watch};
use physalia::memory::NumaVec;
use physalia::pool::{Pool, Rule, domain_here, worker_here};
use physalia::prelude::*;
use physalia::topology::{CpuSet, sys};
use rayon::prelude::*;
use serde::Serialize;
use std::io;
use std::process::ExitCode;

/// Values of a chunk: 64 KiB, many of which make a part of 2 MiB.
const CHUNK: usize = 1 << 13;
/// Times that a chunk of cost 1 is gone over.
const PASSES: u64 = 4;
/// Of how many pages the place is asked for at most.
const ASKED: usize = 1 << 20;

#[derive(Serialize)]
struct Own {
    domains: usize,
    mib: usize,
    skew: u64,
    skew_within: u64,
    local: Vec<f64>,
    rayon_local: Vec<f64>,
    busiest_over_mean: f64,
    rayon_busiest_over_mean: f64,
}

/// Who computed on a chunk last.
#[derive(Clone, Copy, Default)]
struct Visit {
    worker: usize,
    domain: usize,
}

/// What is asked for, on one rank.
struct Task<'a> {
    pool: &'a Pool,
    loops: usize,
    /// By chunk.
    cost: Vec<u64>,
}

/// What one way of giving out chunks has come to on one rank.
struct Found {
    /// By loop: pages that lay with their worker, and all.
    pages: Vec<[u64; 2]>,
    /// By worker: units of cost, of all loops but the first.
    done: Vec<u64>,
}

/// Runs the command.
pub fn main(args: &args::Locality) -> ExitCode {
    report::begin();
    match Outputs::of(&[("--json", &args.job.json)], &[]) {
        Ok(outputs) => job::run(&args.job, &outputs, |world| one(world, args, &outputs)),
        Err(why) => wrong_use(&why),
    }
}

/// The job, on one rank.
fn one(world: &mut World, args: &args::Locality, outputs: &Outputs<'_>) -> Outcome<()> {
    let json = outputs.begin(world, "--json")?;
    let watch = Watch::start(world)?;
    let pool = world.pool().clone();
    let len = (args.mib << 20) / size_of::<u64>();
    let mut numbers = NumaVec::<u64>::new(&pool, len)?;
    let cuts = numbers.cuts(CHUNK);
    let cost = |domain: usize, i: usize| {
        let first_half = i < usize::midpoint(cuts[domain], cuts[domain + 1]);
        (if domain == 0 { args.skew } else { 1 }) * if first_half { args.skew_within } else { 1 }
    };
    let cost = (0..pool.domains())
        .flat_map(|d| (cuts[d]..cuts[d + 1]).map(move |i| (d, i)))
        .map(|(d, i)| cost(d, i))
        .collect();
    let task = Task { pool: &pool, loops: args.loops, cost };

    let ours = task.measure(&mut numbers, |numbers, visits| {
        let chunks: Vec<_> = numbers.chunks_mut(CHUNK).zip(visits).collect();
        pool.each_at(chunks, &cuts, Rule::HomeFirst, |i, (chunk, visit)| {
            let here = worker_here().zip(domain_here()).expect("a worker's");
            *visit = task.compute(i, chunk, Visit { worker: here.0, domain: here.1 });
        });
    })?;
    drop(numbers);
    let theirs = by_rayon(world, &task, vec![0; len])?;

    let domains = world.all_reduce(pool.domains() as u64, Max)? as usize;
    let own = Own {
        domains,
        mib: args.mib,
        skew: args.skew,
        skew_within: args.skew_within,
        local: ours.local(world)?,
        rayon_local: theirs.local(world)?,
        busiest_over_mean: ours.busiest_over_mean(world)?,
        rayon_busiest_over_mean: theirs.busiest_over_mean(world)?,
    };
    let seconds = watch.stop(world)?;
    let reported = report::write(world, json, "bench locality", seconds, &own);
    let text = format!("{}\n{}", layout(world), table(&own));
    world.on_root(|| outputs.text(&text));
    Ok(reported?)
}

/// Plain rayon with as many threads as the rank has workers, on the same cores.
fn by_rayon(world: &World, task: &Task<'_>, mut numbers: Vec<u64>) -> Outcome<Found> {
    let workers = world.plan().workers.clone();
    let domain = |worker: usize| if task.pool.domains() > 1 { workers[worker].domain } else { 0 };
    let cores: Vec<Option<u32>> = workers.iter().map(|worker| worker.core).collect();
    let pinned = move |worker: usize| drop(cores[worker].map(|core| sys::set_affinity(&CpuSet::from_iter([core]))));
    let rayon = rayon::ThreadPoolBuilder::new().num_threads(workers.len()).start_handler(pinned).build()?;
    task.measure(&mut numbers, |numbers, visits| {
        rayon.install(|| {
            numbers.par_chunks_mut(CHUNK).zip(visits).enumerate().for_each(|(i, (chunk, visit))| {
                let worker = rayon::current_thread_index().expect("a thread of the pool");
                *visit = task.compute(i, chunk, Visit { worker, domain: domain(worker) });
            });
        });
    })
}

impl Task<'_> {
    /// Computes on a chunk as long as it costs.
    fn compute(&self, chunk: usize, numbers: &mut [u64], visit: Visit) -> Visit {
        for _ in 0..PASSES * self.cost[chunk] {
            numbers.iter_mut().for_each(|x| *x = step(*x));
        }
        visit
    }

    /// Runs all loops on zeros.
    ///
    /// # Panics
    /// If the numbers are wrong in the end.
    fn measure(&self, numbers: &mut [u64], mut each: impl FnMut(&mut [u64], &mut [Visit])) -> Outcome<Found> {
        let mut visits = vec![Visit::default(); self.cost.len()];
        let mut found = Found { pages: Vec::new(), done: vec![0; self.pool.threads()] };
        for i in 0..self.loops {
            each(numbers, &mut visits);
            found.pages.push(self.pages(numbers, &visits)?);
            if i > 0 {
                visits.iter().zip(&self.cost).for_each(|(visit, cost)| found.done[visit.worker] += cost);
            }
        }
        for (chunk, &cost) in numbers.chunks(CHUNK).zip(&self.cost) {
            let right = (0..PASSES * cost * self.loops as u64).fold(0, |x, _| step(x));
            assert!(chunk.iter().all(|&x| x == right), "a chunk was computed on too often, or not often enough");
        }
        Ok(found)
    }

    /// The pages that lie with the workers of their chunks, and all that lie anywhere.
    fn pages(&self, numbers: &[u64], visits: &[Visit]) -> Outcome<[u64; 2]> {
        let page = sys::page_bytes();
        let step = (size_of_val(numbers) / page).div_ceil(ASKED).max(1);
        let nodes = sys::nodes_of(bytemuck::cast_slice(numbers), step)
            .map_err(|e| io::Error::new(e.kind(), format!("the system does not tell where pages lie: {e}")))?;
        let mut pages = [0, 0];
        for (i, node) in nodes.into_iter().enumerate() {
            let chunk = (i * step * page / (CHUNK * size_of::<u64>())).min(visits.len() - 1);
            if let Some(node) = node {
                pages[0] += u64::from(self.pool.nodes(visits[chunk].domain).contains(&node));
                pages[1] += 1;
            }
        }
        Ok(pages)
    }
}

impl Found {
    /// By loop, the share of pages that lay with their worker, of all ranks. Collective.
    fn local(&self, world: &mut World) -> Result<Vec<f64>, Abort> {
        let mut pages = self.pages.concat();
        world.all_reduce_into(&mut pages, Sum)?;
        Ok(pages.chunks(2).map(|pages| pages[0] as f64 / pages[1].max(1) as f64).collect())
    }

    /// What the busiest worker has done to what one does in the mean; of the rank where that is most. Collective.
    fn busiest_over_mean(&self, world: &mut World) -> Result<f64, Abort> {
        let (busiest, all) = (self.done.iter().max().copied().unwrap_or(0), self.done.iter().sum::<u64>());
        let mean = all as f64 / self.done.len() as f64;
        world.all_reduce(if all == 0 { 1.0 } else { busiest as f64 / mean }, Max)
    }
}

/// From one number to the next (Knuth's MMIX generator): real computing, that can be checked.
fn step(x: u64) -> u64 {
    x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
}

fn table(own: &Own) -> String {
    let times =
        |skew: u64, part: &str| if skew == 1 { String::new() } else { format!(", {part} {skew} times as costly") };
    let cost = times(own.skew, "domain 0's part") + &times(own.skew_within, "the first half of each domain's part");
    let domains = if own.domains == 1 { "domain" } else { "domains" };
    let mut text = format!("{} MiB in {} {domains}{cost}\n\n% of pages local   ours  rayon\n", own.mib, own.domains);
    for (i, (ours, rayon)) in own.local.iter().zip(&own.rayon_local).enumerate() {
        text += &format!("loop {:<12} {:>5.1}  {:>5.1}\n", i + 1, ours * 100.0, rayon * 100.0);
    }
    text + &format!("busiest / mean    {:>5.2}  {:>5.2}\n", own.busiest_over_mean, own.rayon_busiest_over_mean)
}
