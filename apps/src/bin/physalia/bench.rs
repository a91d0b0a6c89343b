//! `physalia bench collectives`: ours and MPI's own, alternating in one process, for sizes from 8 bytes up.
//!
//! A *batch* is some calls back to back after a barrier, as many as take about 10 ms. Batches of ours and of MPI's alternate;
//! a row has the best batch of each, and the median of the ratios of neighbouring batches, which a busy machine disturbs
//! least.

use crate::args;
use crate::job::{self, layout, wrong_use};
use crate::outputs::Outputs;
use crate::report::{self, Watch};
use physalia::prelude::*;
use serde::Serialize;
use std::process::ExitCode;
use std::time::Instant;

const BATCHES: usize = 7;
const BATCH_S: f64 = 0.01;

#[derive(Serialize)]
struct Own {
    rows: Vec<Row>,
}

/// Times of one collective at one size, in microseconds a call; null where MPI does not run.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    bytes: usize,
    ours_us: f64,
    mpi_us: Option<f64>,
    ratio: Option<f64>,
}

/// A call of ours.
type Ours = dyn FnMut(&mut World) -> Result<(), Abort>;

/// A collective on buffers of one size: ours, and MPI's.
struct Pair<'p> {
    name: &'static str,
    ours: Box<Ours>,
    mpi: Option<Box<dyn FnMut() + 'p>>,
}

/// Runs the command.
pub fn main(args: &args::Collectives) -> ExitCode {
    report::begin();
    match Outputs::of(&[("--json", &args.job.json)], &[]) {
        Ok(outputs) => job::run(&args.job, &outputs, |world| one(world, args, &outputs)),
        Err(why) => wrong_use(&why),
    }
}

/// The job, on one rank.
fn one(world: &mut World, args: &args::Collectives, outputs: &Outputs<'_>) -> Outcome<()> {
    let json = outputs.begin(world, "--json")?;
    let watch = Watch::start(world)?;
    let title =
        format!("{}\n{:18} {:>10} {:>12} {:>12} {:>7}\n", layout(world), "", "bytes", "ours us", "MPI us", "ratio");
    world.on_root(|| outputs.text(&title));
    let mpi = mpi::Mpi::new(world);
    let mut rows = Vec::new();
    for name in NAMES {
        for bytes in (3..).map(|bits| 1usize << bits).take_while(|&bytes| bytes as u64 <= args.largest) {
            let row = measure(world, pair(world, name, bytes, &mpi), bytes)?;
            let text = |number: Option<f64>, digits: usize| number.map_or("-".into(), |n| format!("{n:.digits$}"));
            let line = format!(
                "{:18} {:>10} {:>12} {:>12} {:>7}\n",
                row.name,
                row.bytes,
                text(Some(row.ours_us), 2),
                text(row.mpi_us, 2),
                text(row.ratio, 3)
            );
            world.on_root(|| outputs.text(&line));
            rows.push(row);
        }
    }
    let seconds = watch.stop(world)?;
    report::write(world, json, "bench collectives", seconds, &Own { rows })?;
    Ok(())
}

fn measure(world: &mut World, mut pair: Pair<'_>, bytes: usize) -> Result<Row, Abort> {
    // How many calls a batch has: all ranks must agree.
    let mut calls = 1u64;
    loop {
        let mut took = ours(world, &mut pair, calls)?;
        if let Some(other) = mpi(world, &mut pair, calls)? {
            took = took.max(other);
        }
        let long = world.all_reduce(took * calls as f64, Max)?;
        if long > BATCH_S || calls > 1 << 16 {
            break;
        }
        calls *= if long > BATCH_S / 8.0 { 2 } else { 8 };
    }
    let (mut best, mut best_mpi, mut ratios) = (f64::INFINITY, f64::INFINITY, Vec::new());
    for _ in 0..BATCHES {
        let mine = ours(world, &mut pair, calls)?;
        best = best.min(mine);
        if let Some(theirs) = mpi(world, &mut pair, calls)? {
            best_mpi = best_mpi.min(theirs);
            ratios.push(mine / theirs);
        }
    }
    ratios.sort_by(f64::total_cmp);
    let there = !ratios.is_empty();
    Ok(Row {
        name: pair.name,
        bytes,
        ours_us: best * 1e6,
        mpi_us: there.then_some(best_mpi * 1e6),
        ratio: ratios.get(ratios.len() / 2).copied(),
    })
}

/// Seconds a call of a batch.
fn ours(world: &mut World, pair: &mut Pair<'_>, calls: u64) -> Result<f64, Abort> {
    world.barrier()?;
    let start = Instant::now();
    for _ in 0..calls {
        (pair.ours)(world)?;
    }
    Ok(start.elapsed().as_secs_f64() / calls as f64)
}

fn mpi(world: &mut World, pair: &mut Pair<'_>, calls: u64) -> Result<Option<f64>, Abort> {
    let Some(call) = &mut pair.mpi else { return Ok(None) };
    world.barrier()?;
    let start = Instant::now();
    for _ in 0..calls {
        call();
    }
    Ok(Some(start.elapsed().as_secs_f64() / calls as f64))
}

const NAMES: [&str; 7] =
    ["all_reduce", "all_reduce_f64", "all_reduce_f64_fast", "broadcast", "all_to_all", "all_gather", "reduce"];

/// The collective of this name on buffers of so many bytes; all_to_all needs at least one element for each rank.
fn pair<'p>(world: &World, name: &'static str, bytes: usize, mpi: &'p mpi::Mpi) -> Pair<'p> {
    let (len, ranks) = (bytes / 8, world.size() as usize);
    let zeros = vec![0i64; len];
    let (mut mine, theirs) = (zeros.clone(), mpi.call(name, len, ranks));
    let ours: Box<Ours> = match name {
        "all_reduce" => Box::new(move |world| world.all_reduce_into(&mut mine, Sum)),
        "all_reduce_f64" => {
            let mut numbers = vec![0.0f64; len];
            Box::new(move |world| world.all_reduce_into(&mut numbers, Sum))
        }
        "all_reduce_f64_fast" => {
            let mut numbers = vec![0.0f64; len];
            Box::new(move |world| world.all_reduce_into(&mut numbers, Sum.fast()))
        }
        "broadcast" => Box::new(move |world| world.broadcast_into(0, &mut mine)),
        "all_to_all" => {
            let send = vec![0i64; len.next_multiple_of(ranks)];
            let mut into = send.clone();
            Box::new(move |world| world.all_to_all_into(&send, &mut into))
        }
        "all_gather" => {
            let mut all = vec![0i64; len * ranks];
            Box::new(move |world| world.all_gather_into(&zeros, &mut all))
        }
        _ => Box::new(move |world| world.reduce_into(0, &mut mine, Sum)),
    };
    Pair { name, ours, mpi: theirs }
}

#[cfg(feature = "mpi")]
mod mpi {
    use physalia::World;
    use physalia::collectives::raw::Raw;

    /// MPI's own collectives, if MPI runs.
    pub struct Mpi(Option<Raw>);

    impl Mpi {
        pub fn new(world: &World) -> Mpi {
            Mpi(if world.transport() == "mpi" { Raw::new() } else { None })
        }

        pub fn call<'p>(&'p self, name: &str, len: usize, ranks: usize) -> Option<Box<dyn FnMut() + 'p>> {
            let raw = self.0.as_ref()?;
            let (send, mut recv) = (vec![0i64; len], vec![0i64; len]);
            Some(match name {
                "all_reduce" => Box::new(move || raw.all_reduce(&send, &mut recv)),
                "all_reduce_f64" | "all_reduce_f64_fast" => {
                    let (send, mut recv) = (vec![0.0f64; len], vec![0.0f64; len]);
                    Box::new(move || raw.all_reduce(&send, &mut recv))
                }
                "broadcast" => Box::new(move || raw.broadcast(&mut recv)),
                "all_to_all" => {
                    let len = len.next_multiple_of(ranks);
                    let (send, mut recv) = (vec![0i64; len], vec![0i64; len]);
                    Box::new(move || raw.all_to_all(&send, &mut recv))
                }
                "all_gather" => {
                    let mut all = vec![0i64; len * ranks];
                    Box::new(move || raw.all_gather(&send, &mut all))
                }
                _ => Box::new(move || raw.reduce(&send, &mut recv)),
            })
        }
    }
}

#[cfg(not(feature = "mpi"))]
mod mpi {
    use physalia::World;

    /// Nothing: this program has no MPI.
    pub struct Mpi;

    impl Mpi {
        pub fn new(_: &World) -> Mpi {
            Mpi
        }

        pub fn call<'p>(&'p self, _: &str, _: usize, _: usize) -> Option<Box<dyn FnMut() + 'p>> {
            None
        }
    }
}
