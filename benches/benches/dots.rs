//! What the same bits cost: sums, dot products and norms beside `.fast()` and beside plain loops, in cache and from memory, on
//! one thread and two. Each line is the median of the ratios of pairs, which are timed in turn, and the quartiles around it:
//! on a shared machine a single time means little.
//!
//! ```text
//! cargo bench -p physalia-benches --bench dots
//! cargo bench -p physalia-benches --bench dots -- 32768        one of both lengths
//! ```
#![forbid(unsafe_code)]

use physalia::prelude::*;
use rayon::prelude::*;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

const PAIRS: usize = 31;
/// 256 KiB, which lie in a core's L2 cache, and 512 MiB, which lie in none.
const LENGTHS: [u64; 2] = [1 << 15, 1 << 26];

fn main() -> ExitCode {
    println!("ratios of times, this way to the other: median (quartiles); ns an element of both");
    let one: Option<u64> = std::env::args().skip(1).find_map(|word| word.parse().ok());
    let job = |(ranks, threads)| {
        let ended = Launch::from_env().ranks(ranks).threads(threads).run(|world| {
            world.on_root(|| println!("\n{ranks} ranks of {threads} threads"));
            LENGTHS.into_iter().filter(|len| one.is_none_or(|one| one == *len)).try_for_each(|len| all(world, len))
        });
        physalia::conclude(ended.map(drop))
    };
    [(1, 1), (1, 2), (2, 1)].map(job).into_iter().find(|code| *code != ExitCode::SUCCESS).unwrap_or(ExitCode::SUCCESS)
}

type Way<'a> = &'a mut dyn FnMut(&mut World) -> Result<f64, Abort>;

/// Two ways in turn, on all ranks.
fn pair(world: &mut World, name: &str, len: u64, this: Way<'_>, other: Way<'_>) -> Outcome<()> {
    let calls = (1 << 22) / len + 1;
    let time = |world: &mut World, way: &mut dyn FnMut(&mut World) -> Result<f64, Abort>| -> Outcome<f64> {
        world.barrier()?;
        let start = Instant::now();
        for _ in 0..calls {
            black_box(way(world)?);
        }
        world.barrier()?;
        Ok(start.elapsed().as_secs_f64() / (calls * len) as f64 * 1e9)
    };
    let mut times: Vec<[f64; 2]> = Vec::new();
    for _ in 0..PAIRS + 1 {
        times.push([time(world, this)?, time(world, other)?]);
    }
    times.remove(0);
    let sorted = |f: &dyn Fn(&[f64; 2]) -> f64| {
        let mut values: Vec<f64> = times.iter().map(f).collect();
        values.sort_by(f64::total_cmp);
        [values[PAIRS / 4], values[PAIRS / 2], values[3 * PAIRS / 4]]
    };
    let [low, middle, high] = sorted(&|[a, b]| a / b);
    let (this, other) = (sorted(&|t| t[0])[1], sorted(&|t| t[1])[1]);
    world.on_root(|| println!("{len:9} {name:34} {middle:.3} ({low:.3} to {high:.3})   {this:.3}, {other:.3} ns"));
    Ok(())
}

fn all(world: &mut World, len: u64) -> Outcome<()> {
    let (me, ranks) = (u64::from(world.rank()), u64::from(world.size()));
    let random = Random::new(1);
    let (from, to) = (len * me / ranks, len * (me + 1) / ranks);
    let a: Vec<f64> = (from..to).map(|i| random.unit(i) - 0.5).collect();
    let b: Vec<f64> = a.iter().map(|v| v + 0.25).collect();
    let (a, b) = (a.as_slice(), b.as_slice());
    let mut u = Field::<f64, 2>::new(world, Grid::new([512, len / 512]))?;
    u.fill(|[x, y]| random.unit(x + 512 * y) - 0.5);
    let mut v = u.like();
    v.fill(|[x, y]| random.unit(x + 512 * y));
    let (u, v) = (&u, &v);

    pair(world, "par sum, to fast", len, &mut |w| w.par(0..len).map(|i| a[(i - from) as usize]).sum(), &mut |w| {
        w.par(0..len).map(|i| a[(i - from) as usize]).fast().sum()
    })?;
    pair(world, "Field::sum, to fast", len, &mut |w| u.sum(w), &mut |w| u.fast().sum(w))?;
    pair(world, "Field::dot, to fast", len, &mut |w| u.dot(w, v), &mut |w| u.fast().dot(w, v))?;
    pair(world, "Field::norm, to fast", len, &mut |w| u.norm(w), &mut |w| u.fast().norm(w))?;
    pair(world, "World::sum, to fast", len, &mut |w| w.sum(a), &mut |w| w.fast().sum(a))?;
    pair(world, "World::dot, to fast", len, &mut |w| w.dot(a, b), &mut |w| w.fast().dot(a, b))?;
    pair(world, "World::norm, to fast", len, &mut |w| w.norm(a), &mut |w| w.fast().norm(a))?;
    if ranks == 1 {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
        if world.threads() == 1 {
            pair(world, "World::sum, to a loop", len, &mut |w| w.sum(a), &mut |_| Ok(black_box(a).iter().sum()))?;
            pair(world, "World::dot, to a loop", len, &mut |w| w.dot(a, b), &mut |_| Ok(dot(black_box(a), b)))?;
        } else {
            pair(world, "World::sum, to rayon", len, &mut |w| w.sum(a), &mut |w| {
                Ok(w.local(|| black_box(a).par_iter().sum()))
            })?;
            pair(world, "World::dot, to rayon", len, &mut |w| w.dot(a, b), &mut |w| {
                Ok(w.local(|| a.par_chunks(4096).zip(b.par_chunks(4096)).map(|(a, b)| dot(a, b)).sum()))
            })?;
        }
    }
    Ok(())
}
