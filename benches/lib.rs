//! Timing inside a job, for all benchmarks: `cargo bench -p physalia-benches`, or one of them with `--bench par`.
//!
//! Ours stands beside a plain program in the same group, so that what counts is their ratio: absolute times on a shared
//! machine mean little.
#![forbid(unsafe_code)]

pub mod stencils;

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

/// Times of two ways that have taken turns: for each, and for their ratio, the lower quartile, the median and the upper one.
#[derive(Clone, Copy, Debug)]
pub struct InTurn {
    /// Of this way.
    pub this: [f64; 3],
    /// Of the other.
    pub other: [f64; 3],
    /// Of this way to the other, by pairs of neighbours.
    pub ratio: [f64; 3],
}

impl InTurn {
    /// Calls `this` and `other` in turn, `rounds` times and once before; both give what they have measured.
    ///
    /// # Errors
    /// The first error of either.
    ///
    /// # Panics
    /// Without rounds.
    pub fn of<E>(
        rounds: usize,
        mut this: impl FnMut() -> Result<f64, E>,
        mut other: impl FnMut() -> Result<f64, E>,
    ) -> Result<InTurn, E> {
        this()?;
        other()?;
        let pairs = (0..rounds).map(|_| Ok((this()?, other()?))).collect::<Result<Vec<(f64, f64)>, E>>()?;
        let quartiles = |value: fn(&(f64, f64)) -> f64| {
            let mut values: Vec<f64> = pairs.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            [values[rounds / 4], values[rounds / 2], values[3 * rounds / 4]]
        };
        Ok(InTurn { this: quartiles(|p| p.0), other: quartiles(|p| p.1), ratio: quartiles(|p| p.0 / p.1) })
    }
}

/// `1.20 (1.11 to 1.30)`: a median and its quartiles.
pub fn shown([low, middle, high]: [f64; 3]) -> String {
    format!("{middle:.2} ({low:.2} to {high:.2})")
}
