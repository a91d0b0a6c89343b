//! What a parallel region costs: from the call to the return of all, with nothing to do and with 10 µs to do, on each worker
//! once. Ours stands beside rayon, a team that spins, scoped threads and gcc's OpenMP. Ours and each peer take turns in one
//! run, batch by batch; a number is the median of the batches, with their quartiles. Everyone's threads are pinned to the same
//! cores, where the plan pins ours, and wait for the next region in their own way.
//!
//! ```text
//! cargo bench -p physalia-benches --bench regions
//! ```
#![forbid(unsafe_code)]

mod openmp;
mod peers;

use openmp::OpenMp;
use peers::Cores;
use physalia::prelude::*;
use physalia_benches::{InTurn, shown};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const BATCHES: usize = 31;
/// Of a batch, and before it, so that whoever has gone to sleep is awake.
const REGIONS: u32 = 100;
const BEFORE: u32 = 20;

fn main() -> ExitCode {
    let cores = Cores::new();
    let openmp = OpenMp::new();
    let job = Launch::from_env().ranks(1).run(|world| table(world, &cores.of(world), &openmp));
    physalia::conclude(job.map(drop))
}

/// What each worker does in a region: compute for so long, by the clock.
#[derive(Clone, Copy, Debug)]
pub struct Body(Duration);

impl Body {
    /// Does it once.
    pub fn run(self) {
        if !self.0.is_zero() {
            let start = Instant::now();
            while start.elapsed() < self.0 {
                std::hint::spin_loop();
            }
        }
    }

    fn us(self) -> f64 {
        self.0.as_secs_f64() * 1e6
    }
}

/// Microseconds a region, of a batch of them after some that do not count.
pub fn batch(mut region: impl FnMut()) -> f64 {
    (0..BEFORE).for_each(|_| region());
    let start = Instant::now();
    (0..REGIONS).for_each(|_| region());
    start.elapsed().as_secs_f64() * 1e6 / f64::from(REGIONS)
}

fn table(world: &mut World, cores: &Cores, openmp: &Result<OpenMp, String>) -> Outcome<()> {
    let workers = world.threads();
    println!(
        "µs a region beyond its body on {workers} workers: median (quartiles) of {BATCHES} batches, in turn with ours"
    );
    if let Err(why) = openmp {
        println!("no OpenMP: {why}");
    }
    for body in [Body(Duration::ZERO), Body(Duration::from_micros(10))] {
        println!("\nbody of {} µs\n{:38} {:>26} {:>26} {:>10}", body.us(), "", "peer", "ours", "peer/ours");
        for mut peer in peers::all(cores, openmp.as_ref().ok())? {
            let theirs = |us: Outcome<f64>| us.map(|us| us - body.us());
            let times = InTurn::of(BATCHES, || theirs(peer.batch(body)), || Ok(ours(world, body) - body.us()))?;
            let factor = times.this[1] / times.other[1]; // of medians: a difference may be nothing, or less
            println!("{:38} {:>26} {:>26} {factor:>10.2}", peer.name, shown(times.this), shown(times.other));
        }
    }
    Ok(())
}

/// Each worker of the pool has something to do. (With nothing to do, nobody is waited for who has not come: so does rayon's
/// `join`, and neither a broadcast nor OpenMP.)
fn ours(world: &World, body: Body) -> f64 {
    batch(|| world.each(vec![(); world.threads()], |_, ()| body.run()))
}
