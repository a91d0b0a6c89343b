//! Our part of `stencils.py`: runs one stencil as the peers' programs do, in as many batches of steps as wanted, and prints one
//! JSON object: `stencil-peer --case heat-2d-f64 --cells 8192 --steps 48 --batches 3 [--threads 2] [--ranks 1] [--form
//! closure|formula] [--time-block T] [--tile XxYxZ] [--check FILE]`. Under mpirun each process is a rank.
//! `--slowest N`: cells along the last axis, if not as many as along the others.
//!
//! All programs start from the same cells (exact in f32), with zeros beyond the walls, so that the result is the same but for
//! rounding. With `--check` the cells after `steps` steps go to a file, as f64, x fastest, and nothing is timed.
#![forbid(unsafe_code)]

use physalia::field::Cell;
use physalia::prelude::*;
use physalia::stencil::{Point, Stencil, Stepper, Wall, Walls};
use physalia_benches::stencils::{Heat5, Wave};
use std::collections::HashMap;
use std::fmt::Debug;
use std::hint::black_box;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Instant;

/// Of the second derivative, order 8; the peers have the same.
const SECOND: [f64; 5] = [-205.0 / 72.0, 8.0 / 5.0, -1.0 / 5.0, 8.0 / 315.0, -1.0 / 560.0];
/// (velocity × time step / mesh width)² of the wave.
const COURANT_SQUARED: f64 = 0.1;

physalia::formula! {
    struct Heat3 { quarter: f64, eighth: f64 }
    impl Stencil<f64, 1, 1, 1> for |self, p| {
        let sum = (p.at(-1, 0, 0) + p.at(1, 0, 0)) + (p.at(0, -1, 0) + p.at(0, 1, 0));
        [p.at(0, 0, 0) * self.quarter + (sum + (p.at(0, 0, -1) + p.at(0, 0, 1))) * self.eighth]
    }
}

physalia::formula! {
    struct Heat3Single { quarter: f32, eighth: f32 }
    impl Stencil<f32, 1, 1, 1> for |self, p| {
        let sum = (p.at(-1, 0, 0) + p.at(1, 0, 0)) + (p.at(0, -1, 0) + p.at(0, 1, 0));
        [p.at(0, 0, 0) * self.quarter + (sum + (p.at(0, 0, -1) + p.at(0, 0, 1))) * self.eighth]
    }
}

/// The command line: `--key value`.
struct Args(HashMap<String, String>);

impl Args {
    fn read() -> Args {
        let all: Vec<String> = std::env::args().skip(1).collect();
        let pairs = all.chunks(2).map(|pair| match pair {
            [key, value] if key.starts_with("--") => (key[2..].to_string(), value.clone()),
            _ => panic!("{pair:?}: --key value is wanted"),
        });
        Args(pairs.collect())
    }

    fn get<N: FromStr<Err: Debug>>(&self, key: &str) -> Option<N> {
        self.0.get(key).map(|text| text.parse().unwrap_or_else(|why| panic!("--{key} {text}: {why:?}")))
    }

    fn or<N: FromStr<Err: Debug>>(&self, key: &str, default: N) -> N {
        self.get(key).unwrap_or(default)
    }
}

/// Bytes per second, read and written, of a copy of arrays of `len` numbers, by all workers of all ranks at once. `again` times
/// without a meeting: of small arrays that is a copy within the caches.
fn copy(world: &mut World, len: usize, again: usize) -> Outcome<f64> {
    // Of 1 MiB, as the peers copy.
    let piece = (1 << 17).min(len.div_ceil(world.threads()));
    let from = physalia::memory::NumaVec::<f64>::new(world.pool(), len)?;
    let mut into = physalia::memory::NumaVec::<f64>::new(world.pool(), len)?;
    let mut best = f64::INFINITY;
    for _ in 0..6 {
        world.barrier()?;
        let start = Instant::now();
        let pairs = from.chunks(piece).zip(into.chunks_mut(piece)).collect();
        world.each(pairs, |_, (from, into): (&[f64], &mut [f64])| {
            for _ in 0..again {
                black_box(&mut *into).copy_from_slice(black_box(from));
            }
        });
        world.barrier()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok((16 * len * again) as f64 * f64::from(world.size()) / best)
}

/// What all programs start from: 0 to 63/64.
fn start<T: Cell + From<u8> + std::ops::Div<Output = T>, const D: usize>(at: [u64; D]) -> T {
    let sum: u64 = at.iter().zip([7, 11, 13]).map(|(x, factor)| x * factor).sum();
    T::from((sum % 64) as u8) / T::from(64)
}

fn case<T, S, const D: usize, const R: usize>(args: &Args, levels: usize, stencil: impl Fn() -> S + Sync) -> ExitCode
where
    T: Cell + From<u8> + Into<f64> + std::ops::Div<Output = T>,
    S: Stencil<T, R, 1>,
{
    let (n, steps, batches) = (args.or("cells", 256u64), args.or("steps", 16u64), args.or("batches", 3usize));
    let mut extent = [n; D];
    extent[D - 1] = args.or("slowest", n);
    let body = |world: &mut World| {
        let mut fields = Vec::new();
        for _ in 0..levels {
            let mut u = Field::<T, D>::new(world, Grid::new(extent).halo(R))?;
            u.fill(start);
            fields.push(u);
        }
        let mut stepper: Stepper<T, D, S, R, 1> =
            if levels == 2 { Stepper::leapfrog(stencil()) } else { Stepper::new(stencil()) };
        stepper = stepper.walls(Walls::all(Wall::fixed(T::default())));
        if let Some(most) = args.get("time-block") {
            stepper = stepper.time_block(most);
        }
        let mut all: Vec<&mut Field<T, D>> = fields.iter_mut().collect();
        if let Some(tile) = args.get::<String>("tile") {
            let mut sizes = tile.split('x').map(|n| n.parse().expect("--tile XxYxZ"));
            stepper = stepper.tile(std::array::from_fn(|_| sizes.next().unwrap_or(1)));
        }
        stepper.advance(world, &mut all, steps)?;
        if let Some(path) = args.get::<String>("check") {
            if let Some(cells) = fields[0].gather(world)? {
                let bytes: Vec<u8> = cells.into_iter().flat_map(|cell| cell.into().to_le_bytes()).collect();
                std::fs::write(path, bytes)?;
            }
            return Ok(());
        }
        // Whole sweeps only: what is compared is the rate.
        let fused = stepper.fused().unwrap_or(1);
        let steps = steps.next_multiple_of(fused as u64);
        let cells = extent.iter().product::<u64>() as f64;
        let mut rates = Vec::new();
        for _ in 0..batches {
            world.barrier()?;
            let start = Instant::now();
            stepper.advance(world, &mut all, steps)?;
            world.barrier()?;
            rates.push(cells * steps as f64 / start.elapsed().as_secs_f64());
        }
        // Two arrays of this many numbers, over all ranks: 512 MiB, and the case of 256² in the caches.
        let ranks = world.size() as usize;
        let memory = copy(world, (32 << 20) / ranks, 1)?;
        let caches = copy(world, (1 << 16) / ranks, 400)?;
        let threads = world.threads();
        world.on_root(|| {
            println!(
                "{{\"rates\": {rates:?}, \"copy\": {memory}, \"copy_in_cache\": {caches}, \"time_block\": {fused}, \
                 \"ranks\": {ranks}, \"threads\": {threads}}}"
            )
        });
        Ok(())
    };
    let mut launch = Launch::from_env();
    if let Some(threads) = args.get("threads") {
        launch = launch.threads(threads);
    }
    if let Some(ranks) = args.get("ranks") {
        launch = launch.ranks(ranks);
    }
    physalia::conclude(launch.run(body).map(drop))
}

fn main() -> ExitCode {
    let args = Args::read();
    let (name, form): (String, String) = (args.or("case", "heat-2d-f64".into()), args.or("form", "formula".into()));
    match (&*name, &*form) {
        ("heat-2d-f64", "formula") => case::<f64, _, 2, 1>(&args, 1, || Heat5 { half: 0.5, eighth: 0.125 }),
        ("heat-2d-f64", "closure") => case::<f64, _, 2, 1>(&args, 1, || {
            |p: Point<f64, 1>| {
                let sum = (p.at(-1, 0, 0) + p.at(1, 0, 0)) + (p.at(0, -1, 0) + p.at(0, 1, 0));
                0.5 * p.at(0, 0, 0) + 0.125 * sum
            }
        }),
        ("heat-3d-f64", "formula") => case::<f64, _, 3, 1>(&args, 1, || Heat3 { quarter: 0.25, eighth: 0.125 }),
        ("heat-3d-f64", "closure") => case::<f64, _, 3, 1>(&args, 1, || {
            |p: Point<f64, 1>| {
                let sum = (p.at(-1, 0, 0) + p.at(1, 0, 0)) + (p.at(0, -1, 0) + p.at(0, 1, 0));
                0.25 * p.at(0, 0, 0) + 0.125 * (sum + (p.at(0, 0, -1) + p.at(0, 0, 1)))
            }
        }),
        ("heat-3d-f32", "formula") => case::<f32, _, 3, 1>(&args, 1, || Heat3Single { quarter: 0.25, eighth: 0.125 }),
        ("heat-3d-f32", "closure") => case::<f32, _, 3, 1>(&args, 1, || {
            |p: Point<f32, 1>| {
                let sum = (p.at(-1, 0, 0) + p.at(1, 0, 0)) + (p.at(0, -1, 0) + p.at(0, 1, 0));
                0.25 * p.at(0, 0, 0) + 0.125 * (sum + (p.at(0, 0, -1) + p.at(0, 0, 1)))
            }
        }),
        ("wave-3d-f32", "formula") => {
            let mut near = SECOND.map(|c| COURANT_SQUARED * c);
            near[0] = 2.0 + 3.0 * near[0];
            case::<f32, _, 3, 4>(&args, 2, || Wave { near: near.map(|c| c as f32) })
        }
        _ => panic!("no case {name} as a {form}"),
    }
}
