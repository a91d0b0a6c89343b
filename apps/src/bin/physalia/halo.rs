//! `physalia bench halo`: border rows between neighbouring ranks, by mailboxes, by a plan of messages, and by MPI's own messages,
//! packed and straight, alternating in one process.
//!
//! Ranks lie one above the other. Each has rows to send down and up, and ghost rows on both sides. By mailboxes, rows are written
//! to where the neighbour reads them; in the other ways they end in its ghost rows. With `--read` each rank adds up what came,
//! from where it lies.
//!
//! A *batch* is some exchanges back to back after a barrier, as many as take about 5 ms. Batches of all ways alternate; a row
//! has the best batch of each, and the median of the ratios of neighbouring batches.

use crate::args;
use crate::job::{self, layout, wrong_use};
use crate::outputs::Outputs;
use crate::report::{self, Watch};
use physalia::prelude::*;
use serde::Serialize;
use std::ops::Range;
use std::process::ExitCode;
use std::time::Instant;

const BATCHES: usize = 9;
const BATCH_S: f64 = 0.005;

#[derive(Serialize)]
struct Own {
    width: usize,
    read: bool,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    rows: usize,
    bytes: usize,
    mailboxes_us: f64,
    plan_us: f64,
    mpi_packed_us: Option<f64>,
    mpi_us: Option<f64>,
    packed_over_mailboxes: Option<f64>,
    mpi_over_mailboxes: Option<f64>,
}

/// Runs the command.
pub fn main(args: &args::Halo) -> ExitCode {
    report::begin();
    match Outputs::of(&[("--json", &args.job.json)], &[]) {
        Ok(outputs) => job::run(&args.job, &outputs, |world| one(world, args, &outputs)),
        Err(why) => wrong_use(&why),
    }
}

/// The job, on one rank.
fn one(world: &mut World, args: &args::Halo, outputs: &Outputs<'_>) -> Outcome<()> {
    let json = outputs.begin(world, "--json")?;
    let watch = Watch::start(world)?;
    let title = format!(
        "{}\n{:>6} {:>10} {:>13} {:>9} {:>14} {:>9} {:>9} {:>9}\n",
        layout(world),
        "rows",
        "bytes",
        "mailboxes us",
        "plan us",
        "MPI packed us",
        "MPI us",
        "packed/",
        "MPI/"
    );
    world.on_root(|| outputs.text(&title));
    let mpi = mpi::Mpi::new(world);
    let mut rows = Vec::new();
    for deep in (0..).map(|bits| 1usize << bits).take_while(|&deep| deep <= args.deepest) {
        let row = measure(world, args, deep, &mpi)?;
        let text = |number: Option<f64>| number.map_or("-".into(), |n| format!("{n:.2}"));
        let line = format!(
            "{:>6} {:>10} {:>13.2} {:>9.2} {:>14} {:>9} {:>9} {:>9}\n",
            row.rows,
            row.bytes,
            row.mailboxes_us,
            row.plan_us,
            text(row.mpi_packed_us),
            text(row.mpi_us),
            text(row.packed_over_mailboxes),
            text(row.mpi_over_mailboxes)
        );
        world.on_root(|| outputs.text(&line));
        rows.push(row);
    }
    let seconds = watch.stop(world)?;
    report::write(world, json, "bench halo", seconds, &Own { width: args.width, read: args.read, rows })?;
    Ok(())
}

/// A way to exchange the rows of a block once.
type Way<'w> = Box<dyn FnMut(&mut World, &mut Block) -> Result<(), Abort> + 'w>;

fn measure(world: &mut World, args: &args::Halo, deep: usize, mpi: &mpi::Mpi) -> Result<Row, Abort> {
    let mut block = Block::new(world, args.width, deep, args.read);
    let mut ways: Vec<Way<'_>> = vec![mailboxes(world, &block)?, plan(world, &block)?];
    ways.extend(mpi.ways(&block));
    // How many exchanges a batch has: all ranks must agree.
    let mut calls = 1u64;
    loop {
        let mut took = 0.0f64;
        for way in &mut ways {
            took = took.max(batch(world, &mut block, way, calls)?);
        }
        let long = world.all_reduce(took * calls as f64, Max)?;
        if long > BATCH_S || calls > 1 << 16 {
            break;
        }
        calls *= if long > BATCH_S / 8.0 { 2 } else { 8 };
    }
    let mut times = vec![Vec::new(); ways.len()];
    for _ in 0..BATCHES {
        for (way, times) in ways.iter_mut().zip(&mut times) {
            times.push(batch(world, &mut block, way, calls)?);
        }
    }
    let best = |way: usize| Some(times.get(way)?.iter().copied().fold(f64::INFINITY, f64::min) * 1e6);
    let ratio = |way: usize| {
        let mut ratios: Vec<f64> = times.get(way)?.iter().zip(&times[0]).map(|(theirs, ours)| theirs / ours).collect();
        ratios.sort_by(f64::total_cmp);
        Some(ratios[BATCHES / 2])
    };
    Ok(Row {
        rows: deep,
        bytes: deep * args.width * size_of::<f64>(),
        mailboxes_us: best(0).expect("it was measured"),
        plan_us: best(1).expect("it was measured"),
        mpi_packed_us: best(2),
        mpi_us: best(3),
        packed_over_mailboxes: ratio(2),
        mpi_over_mailboxes: ratio(3),
    })
}

/// Seconds an exchange of a batch.
fn batch(world: &mut World, block: &mut Block, way: &mut Way<'_>, calls: u64) -> Result<f64, Abort> {
    world.barrier()?;
    let start = Instant::now();
    for _ in 0..calls {
        way(world, block)?;
    }
    Ok(start.elapsed().as_secs_f64() / calls as f64)
}

/// The rows of one rank, from below to above: ghosts, those that are sent down, those that are sent up, ghosts.
struct Block {
    cells: Vec<f64>,
    width: usize,
    deep: usize,
    /// Ranks below and above, if there are.
    sides: Vec<Side>,
    read: bool,
    /// What was read, so that it is.
    sum: f64,
}

/// A neighbour: its rank, and the cells for and from it.
#[derive(Clone)]
struct Side {
    rank: u32,
    border: Range<usize>,
    ghosts: Range<usize>,
}

impl Block {
    fn new(world: &World, width: usize, deep: usize, read: bool) -> Block {
        let (me, strip) = (world.rank(), width * deep);
        let part = |k: usize| k * strip..(k + 1) * strip;
        let below = me.checked_sub(1).map(|rank| Side { rank, border: part(1), ghosts: part(0) });
        let above = (me + 1 < world.size()).then(|| Side { rank: me + 1, border: part(2), ghosts: part(3) });
        let cells = (0..4 * strip).map(|i| i as f64).collect();
        Block { cells, width, deep, sides: below.into_iter().chain(above).collect(), read, sum: 0.0 }
    }

    fn links(&self) -> Vec<Link> {
        self.sides.iter().map(|side| Link { rank: side.rank, len: self.width * self.deep }).collect()
    }

    /// Adds up the ghosts, if that is asked for.
    fn read_ghosts(&mut self) {
        if self.read {
            self.sum += self.sides.iter().map(|side| total(&self.cells[side.ghosts.clone()])).sum::<f64>();
        }
    }

    /// Rows that leave, one after the other into a buffer.
    fn pack(&self, side: &Side, into: &mut [f64]) {
        for (row, into) in self.cells[side.border.clone()].chunks(self.width).zip(into.chunks_mut(self.width)) {
            into.copy_from_slice(row);
        }
    }

    fn unpack(&mut self, side: &Side, from: &[f64]) {
        for (row, from) in self.cells[side.ghosts.clone()].chunks_mut(self.width).zip(from.chunks(self.width)) {
            row.copy_from_slice(from);
        }
    }
}

/// The sum of all values, as fast as they can be read.
fn total(values: &[f64]) -> f64 {
    let (lines, rest) = values.as_chunks::<32>();
    let mut lanes = [0.0; 32];
    lines.iter().for_each(|line| lanes.iter_mut().zip(line).for_each(|(lane, value)| *lane += value));
    std::hint::black_box(lanes.iter().chain(rest).sum())
}

fn mailboxes(world: &mut World, block: &Block) -> Result<Way<'static>, Abort> {
    let links = block.links();
    let mut boxes = world.mailboxes::<f64>(&links, &links)?;
    let mut came = vec![0.0; if block.read { block.width } else { 0 }];
    Ok(Box::new(move |world, block| {
        let fill = boxes.open(world)?;
        for (i, side) in block.sides.iter().enumerate() {
            for (k, row) in block.cells[side.border.clone()].chunks(block.width).enumerate() {
                fill.write(i, k * block.width, row);
            }
        }
        fill.send()?;
        boxes.finish()?;
        for (i, k) in (0..links.len()).flat_map(|i| (0..block.deep).map(move |k| (i, k))) {
            if block.read {
                boxes.read(i, k * block.width, &mut came); // a row stays in the nearest cache
                block.sum += total(&came);
            }
        }
        Ok(())
    }))
}

fn plan(world: &mut World, block: &Block) -> Result<Way<'static>, Abort> {
    let links = block.links();
    let mut plan = world.exchange_plan::<f64>(&links, &links)?;
    let sides = block.sides.clone();
    Ok(Box::new(move |world, block| {
        sides.iter().enumerate().for_each(|(i, side)| block.pack(side, plan.outgoing(i)));
        plan.start(world)?;
        plan.finish()?;
        sides.iter().enumerate().for_each(|(i, side)| block.unpack(side, plan.incoming(i)));
        block.read_ghosts();
        Ok(())
    }))
}

#[cfg(feature = "mpi")]
mod mpi {
    use super::{Block, Way};
    use physalia::World;
    use physalia::collectives::raw::Raw;

    /// MPI's own messages, if MPI runs.
    pub struct Mpi(Option<Raw>);

    impl Mpi {
        pub fn new(world: &World) -> Mpi {
            Mpi(if world.transport() == "mpi" { Raw::new() } else { None })
        }

        /// Packed, and straight from rows to ghosts.
        pub fn ways<'w>(&'w self, block: &Block) -> Vec<Way<'w>> {
            let Some(raw) = &self.0 else { return vec![] };
            vec![packed(raw, block), straight(raw, block)]
        }
    }

    fn packed<'w>(raw: &'w Raw, block: &Block) -> Way<'w> {
        let sides = block.sides.clone();
        let buffers = || sides.iter().map(|side| vec![0.0f64; side.border.len()]).collect::<Vec<_>>();
        let (mut out, mut into) = (buffers(), buffers());
        Box::new(move |_, block| {
            sides.iter().zip(&mut out).for_each(|(side, out)| block.pack(side, out));
            let sends: Vec<_> = sides.iter().zip(&out).map(|(side, out)| (side.rank, &out[..])).collect();
            let mut recvs: Vec<_> =
                sides.iter().zip(&mut into).map(|(side, into)| (side.rank, &mut into[..])).collect();
            raw.exchange(&sends, &mut recvs);
            sides.iter().zip(&into).for_each(|(side, into)| block.unpack(side, into));
            block.read_ghosts();
            Ok(())
        })
    }

    fn straight<'w>(raw: &'w Raw, block: &Block) -> Way<'w> {
        let sides = block.sides.clone();
        Box::new(move |_, block| {
            let strip = block.width * block.deep;
            let (below, rest) = block.cells.split_at_mut(strip);
            let (borders, above) = rest.split_at_mut(2 * strip);
            let border = |side: &super::Side| &borders[side.border.start - strip..side.border.end - strip];
            let sends: Vec<_> = sides.iter().map(|side| (side.rank, border(side))).collect();
            let mut ghosts = [Some(below), Some(above)];
            let mut ghost = |side: &super::Side| ghosts[usize::from(side.ghosts.start > 0)].take();
            let mut recvs: Vec<_> =
                sides.iter().map(|side| (side.rank, ghost(side).expect("a side has one neighbour"))).collect();
            raw.exchange(&sends, &mut recvs);
            block.read_ghosts();
            Ok(())
        })
    }
}

#[cfg(not(feature = "mpi"))]
mod mpi {
    use super::{Block, Way};
    use physalia::World;

    /// Nothing: this program has no MPI.
    pub struct Mpi;

    impl Mpi {
        pub fn new(_: &World) -> Mpi {
            Mpi
        }

        pub fn ways(&self, _: &Block) -> Vec<Way<'static>> {
            vec![]
        }
    }
}
