//! Timing inside a job, for all benchmarks: `cargo bench -p physalia-benches`, or one of them with `--bench par`.
//!
//! Ours stands beside a plain program in the same group, so that what counts is their ratio: absolute times on a shared
//! machine mean little.
#![forbid(unsafe_code)]

use physalia::prelude::*;
use std::time::{Duration, Instant};

/// Time that `iterations` calls of `f` take on all ranks together, from barrier to barrier, after one call more. `make` runs
/// once on each rank and is not timed.
///
/// # Panics
/// If the job fails.
pub fn in_job<S>(
    ranks: u32,
    threads: usize,
    iterations: u64,
    make: impl Fn(&mut World) -> Outcome<S> + Send + Sync,
    f: impl Fn(&mut World, &mut S) -> Outcome<()> + Send + Sync,
) -> Duration {
    let job = Launch::from_env().ranks(ranks).threads(threads).run(|world| {
        let mut state = make(world)?;
        f(world, &mut state)?;
        world.barrier()?;
        let start = Instant::now();
        for _ in 0..iterations {
            f(world, &mut state)?;
        }
        world.barrier()?;
        Ok(start.elapsed())
    });
    job.unwrap_or_else(|abort| panic!("{abort}")).into_iter().max().expect("a rank")
}
