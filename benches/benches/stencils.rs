//! Stencils in G cells/s beside the copy bandwidth of the same process: `cargo bench -p physalia-benches --bench stencils`, or
//! with the names of cases and `key=value`: `-- heat5 wave t=1,8 n=4096 threads=2 tile=1024,2048,1 set=avx2 rounds=5`.
//!
//! Each line has the rate by wall clock and by processor time (what it would be if nobody else used the cores), and the share
//! of the copy bandwidth that a sweep's reads and writes of memory would need without fusing steps.

use physalia::prelude::*;
use physalia::stencil::{Point, Set, Stencil, Stepper, Wall, Walls};
use physalia::topology::sys::usage;
use physalia_benches::stencils::{Heat5, Wave};
use std::time::Instant;

struct Args {
    names: Vec<String>,
    t: Vec<usize>,
    n: Option<u64>,
    threads: usize,
    tile: Option<[usize; 3]>,
    set: Option<Set>,
    rounds: usize,
}

fn args() -> Args {
    let mut args = Args { names: vec![], t: vec![], n: None, threads: 2, tile: None, set: None, rounds: 5 };
    for arg in std::env::args().skip(1).filter(|arg| arg != "--bench") {
        let numbers = |text: &str| text.split(',').map(|n| n.parse().expect("a number")).collect::<Vec<usize>>();
        match arg.split_once('=') {
            None => args.names.push(arg),
            Some(("t", list)) => args.t = numbers(list),
            Some(("n", n)) => args.n = n.parse().ok(),
            Some(("threads", n)) => args.threads = numbers(n)[0],
            Some(("rounds", n)) => args.rounds = numbers(n)[0],
            Some(("tile", list)) => args.tile = numbers(list).try_into().ok(),
            Some(("set", name)) => args.set = Set::available().into_iter().find(|set| set.name() == name),
            Some((key, _)) => panic!("{key} is no option"),
        }
    }
    args
}

/// Copy bandwidth of so many threads, in GB/s read and written.
fn copy(threads: usize) -> f64 {
    let len = 32 << 20;
    let run = |world: &mut World| {
        let from = physalia::memory::NumaVec::<f64>::new(world.pool(), len)?;
        let mut into = physalia::memory::NumaVec::<f64>::new(world.pool(), len)?;
        let mut best = f64::INFINITY;
        for _ in 0..6 {
            let start = Instant::now();
            let pairs = from.chunks(1 << 17).zip(into.chunks_mut(1 << 17)).collect();
            world.each(pairs, |_, (from, into): (&[f64], &mut [f64])| into.copy_from_slice(from));
            best = best.min(start.elapsed().as_secs_f64());
        }
        Ok((16 * len) as f64 / best / 1e9)
    };
    Launch::from_env().ranks(1).threads(threads).run(run).expect("copies")[0]
}

/// Runs a stencil over cubes of n cells; gives G cells/s by wall clock and by processor time, and the steps fused.
fn case<T, S, const D: usize, const R: usize>(
    args: &Args,
    n: u64,
    t: usize,
    leapfrog: bool,
    stencil: impl Fn() -> S + Sync,
) -> (f64, f64, usize)
where
    T: physalia::field::Cell + From<u8>,
    S: Stencil<T, R, 1>,
{
    let run = |world: &mut World| {
        let grid = Grid::new([n; D]).halo(R);
        let mut fields = Vec::new();
        for _ in 0..1 + usize::from(leapfrog) {
            let mut u = Field::<T, D>::new(world, grid)?;
            u.fill(|at| T::from(u8::from(at.iter().sum::<u64>() % 3 == 0)));
            fields.push(u);
        }
        let new = if leapfrog { Stepper::leapfrog } else { Stepper::new };
        let mut stepper: Stepper<T, D, S, R, 1> =
            new(stencil()).walls(Walls::all(Wall::fixed(T::default()))).time_block(t);
        if let Some(tile) = args.tile {
            stepper = stepper.tile(tile);
        }
        if let Some(set) = args.set {
            stepper = stepper.instructions(set);
        }
        let mut all: Vec<&mut Field<T, D>> = fields.iter_mut().collect();
        stepper.advance(world, &mut all, 2 * t as u64)?;
        let fused = stepper.fused().unwrap_or(1) as u64;
        // About a fifth of a second.
        let cells = (n as f64).powi(D as i32);
        let steps = ((4e8 / cells) as u64).max(1).next_multiple_of(fused);
        let mut rates = Vec::new();
        let cpu = usage().cpu_s;
        for _ in 0..args.rounds {
            let start = Instant::now();
            stepper.advance(world, &mut all, steps)?;
            rates.push(cells * steps as f64 / start.elapsed().as_secs_f64() / 1e9);
        }
        let cpu = (usage().cpu_s - cpu) / world.threads() as f64;
        rates.sort_by(f64::total_cmp);
        let by_cpu = cells * (steps * args.rounds as u64) as f64 / cpu / 1e9;
        Ok((rates[rates.len() / 2], by_cpu, fused as usize))
    };
    Launch::from_env().ranks(1).threads(args.threads).run(run).expect("a simulation")[0]
}

fn main() {
    let args = args();
    let bandwidth = copy(args.threads);
    println!("copy, {} threads: {bandwidth:.1} GB/s", args.threads);
    println!("{:8} {:>6} {:>3} {:>8} {:>8} {:>8}", "case", "n", "T", "G/s", "by cpu", "of copy");
    let names = ["heat5", "heat5f", "heat7", "heat7s", "wave", "small"];
    for name in names.into_iter().filter(|name| args.names.is_empty() || args.names.iter().any(|n| n == name)) {
        let (n, bytes, blocks): (u64, f64, &[usize]) = match name {
            "heat5" | "heat5f" => (8192, 16.0, &[1, 4, 8, 16]),
            "heat7" => (512, 16.0, &[1, 2, 4]),
            "heat7s" => (512, 8.0, &[1, 2, 4]),
            "wave" => (512, 12.0, &[1, 2]),
            _ => (256, 16.0, &[1, 4, 8, 16]),
        };
        let n = args.n.unwrap_or(n);
        for &t in if args.t.is_empty() { blocks } else { &args.t } {
            let heat5 = |p: Point<f64, 1>| {
                let sum = (p.at(-1, 0, 0) + p.at(1, 0, 0)) + (p.at(0, -1, 0) + p.at(0, 1, 0));
                0.5 * p.at(0, 0, 0) + 0.125 * sum
            };
            let (rate, by_cpu, fused) = match name {
                "heat5" | "small" => case::<f64, _, 2, 1>(&args, n, t, false, || heat5),
                "heat5f" => case::<f64, _, 2, 1>(&args, n, t, false, || Heat5 { half: 0.5, eighth: 0.125 }),
                "heat7" => case::<f64, _, 3, 1>(&args, n, t, false, || {
                    |p: Point<f64, 1>| {
                        let sum = (p.at(-1, 0, 0) + p.at(1, 0, 0)) + (p.at(0, -1, 0) + p.at(0, 1, 0));
                        0.25 * p.at(0, 0, 0) + 0.125 * (sum + (p.at(0, 0, -1) + p.at(0, 0, 1)))
                    }
                }),
                "heat7s" => case::<f32, _, 3, 1>(&args, n, t, false, || {
                    |p: Point<f32, 1>| {
                        let sum = (p.at(-1, 0, 0) + p.at(1, 0, 0)) + (p.at(0, -1, 0) + p.at(0, 1, 0));
                        0.25 * p.at(0, 0, 0) + 0.125 * (sum + (p.at(0, 0, -1) + p.at(0, 0, 1)))
                    }
                }),
                _ => {
                    let near = [0.8, 0.1, -0.01, 0.001, -0.0001];
                    case::<f32, _, 3, 4>(&args, n, t, true, || Wave { near })
                }
            };
            println!("{name:8} {n:>6} {fused:>3} {rate:>8.2} {by_cpu:>8.2} {:>8.2}", rate * bytes / bandwidth);
        }
    }
}
