//! `world.par` beside plain rayon on as many threads: cheap items, skewed ones, and numbers from memory. They take turns in one
//! run; a line has the quartiles of the ratio of neighbours, and the milliseconds of both. Rayon's pool is one that a program
//! makes for itself: nobody has pinned it.
//!
//! Sums of floats are not the same work: a plain one adds from left to right, bound by the chain of additions; ours in eight
//! lanes, in an order that does not depend on threads.
//!
//! ```text
//! cargo bench -p physalia-benches --bench par
//! ```
#![forbid(unsafe_code)]

use physalia::prelude::*;
use physalia::topology::sys;
use physalia_benches::{InTurn, shown};
use rayon::prelude::*;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

const ROUNDS: usize = 31;
const CHEAP: u64 = 10_000_000;
const SKEWED: u64 = 10_000;
const LEN: u64 = 1 << 27;

fn main() -> ExitCode {
    // A rank's thread is pinned, and so would be all that it makes.
    let everywhere = sys::affinity().ok();
    let job = Launch::from_env().ranks(1).run(|world| {
        let everywhere = everywhere.clone();
        let free = move |_| drop(everywhere.as_ref().map(sys::set_affinity));
        let plain = rayon::ThreadPoolBuilder::new().num_threads(world.threads()).start_handler(free).build()?;
        all(world, &plain)
    });
    physalia::conclude(job.map(drop))
}

/// So much work that it cannot be seen through.
fn rounds(count: u64, seed: u64) -> u64 {
    (0..count).fold(seed | 1, |x, _| {
        let x = x ^ (x << 13);
        let x = x ^ (x >> 7);
        x ^ (x << 17)
    }) >> 40
}

fn all(world: &mut World, plain: &rayon::ThreadPool) -> Outcome<()> {
    println!("{} workers; ours to rayon, median (quartiles) of {ROUNDS} rounds; ms of both", world.threads());
    let integers = |i: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    pair(world, plain, "10^7 integers", CHEAP, integers)?;
    pair(world, plain, "10^7 square roots", CHEAP, |i: u64| (i as f64).sqrt())?;
    pair(world, plain, "10^4 items, cost as the index", SKEWED, |i: u64| rounds(i / 2, i))?;
    pair(world, plain, "10^4 items, the first 100 dear", SKEWED, |i: u64| {
        rounds(if i < 100 { 100_000 } else { 1000 }, i)
    })?;
    pair(world, plain, "10^4 items, each 100th dear", SKEWED, |i: u64| {
        rounds(if i.is_multiple_of(100) { 100_000 } else { 1000 }, i)
    })?;
    let random = Random::new(1);
    let numbers: Vec<f64> = (0..LEN).map(|i| random.unit(i) - 0.5).collect();
    let numbers = numbers.as_slice();
    pair(world, plain, "2^27 numbers from memory", LEN, |i: u64| numbers[i as usize])
}

/// The sum of `f` over a range, ours and rayon's.
fn pair<T>(
    world: &mut World,
    plain: &rayon::ThreadPool,
    name: &str,
    len: u64,
    f: impl Fn(u64) -> T + Sync,
) -> Outcome<()>
where
    T: physalia::par::Summable + std::iter::Sum + Send,
{
    let ms = |start: Instant| start.elapsed().as_secs_f64() * 1e3;
    let ours = || -> Outcome<f64> {
        let start = Instant::now();
        black_box(world.par(0..len).map(&f).sum()?);
        Ok(ms(start))
    };
    let rayons = || {
        let start = Instant::now();
        black_box(plain.install(|| (0..len).into_par_iter().map(&f).sum::<T>()));
        Ok(ms(start))
    };
    let times = InTurn::of(ROUNDS, ours, rayons)?;
    println!("{name:32} {:>22}   {:.2}, {:.2} ms", shown(times.ratio), times.this[1], times.other[1]);
    Ok(())
}
