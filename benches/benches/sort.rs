//! `world.sort` of random numbers over two ranks of one thread, beside rayon's `par_sort_unstable` on two threads; alternating.
//!
//! ```text
//! cargo bench -p physalia-benches --bench sort                                     100,000,000 numbers, ranks as threads
//! cargo bench -p physalia-benches --bench sort -- 1000000                          fewer
//! mpirun -n 2 target/release/deps/sort-…                                           ranks as processes (built with mpi)
//! ```
#![forbid(unsafe_code)]

use physalia::prelude::*;
use rayon::prelude::*;
use std::process::ExitCode;
use std::time::Instant;

const ROUNDS: usize = 5;

fn main() -> ExitCode {
    let count: u64 = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(100_000_000);
    physalia::conclude(Launch::from_env().ranks(2).threads(1).run(|world| one(world, count)).map(drop))
}

fn one(world: &mut World, count: u64) -> Outcome<()> {
    let (me, ranks) = (u64::from(world.rank()), u64::from(world.size()));
    let random = Random::new(1);
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let mine: Vec<u64> = (count * me / ranks..count * (me + 1) / ranks).map(|i| random.u64(i)).collect();
        world.barrier()?;
        let start = Instant::now();
        let sorted = world.sort(mine)?;
        world.barrier()?;
        let ours = start.elapsed().as_secs_f64();
        assert!(sorted.is_sorted());
        drop(sorted);
        let theirs = world.from_root(|| {
            let mut all: Vec<u64> = (0..count).map(|i| random.u64(i)).collect();
            let pool = rayon::ThreadPoolBuilder::new().num_threads(ranks as usize).build()?;
            let start = Instant::now();
            pool.install(|| all.par_sort_unstable());
            let seconds = start.elapsed().as_secs_f64();
            assert!(all.is_sorted());
            Ok::<f64, rayon::ThreadPoolBuildError>(seconds)
        })?;
        ratios.push(theirs / ours);
        world.on_root(|| println!("ours {ours:.3} s, rayon {theirs:.3} s, speed {:.3} of rayon's", theirs / ours));
    }
    ratios.sort_by(f64::total_cmp);
    world.on_root(|| println!("{count} numbers over {ranks} ranks: median {:.3}", ratios[ROUNDS / 2]));
    Ok(())
}
