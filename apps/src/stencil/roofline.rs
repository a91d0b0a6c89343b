//! The copy bandwidth of a job's workers: what a step that computes nothing would be bound by.

use physalia::memory::NumaVec;
use physalia::prelude::*;
use std::time::{Duration, Instant};

/// How long copies are timed.
const TIME: Duration = Duration::from_millis(50);
/// The most bytes that a rank copies from.
const MOST: u64 = 64 << 20;
const LEAST: u64 = 64 << 10;

/// Bytes a second that all ranks together read and write when their workers copy memory as large as a rank's part of `bytes`
/// (at most 64 MiB a rank, so that small grids are held against the caches that they fit). Collective; takes about 50 ms.
///
/// # Errors
/// An agreed failure if there is no memory for it; or the job's abort.
#[track_caller]
pub fn copy_bandwidth(world: &mut World, bytes: u64) -> Result<f64, Abort> {
    let len = (bytes / u64::from(world.size())).clamp(LEAST, MOST) as usize / 8;
    let made = NumaVec::<f64>::new(world.pool(), len).and_then(|a| Ok((a, NumaVec::<f64>::new(world.pool(), len)?)));
    let (from, mut into) = world.agree(made)?;
    // So many parts that each worker gets some, of at most 1 MiB.
    let part = (len / (2 * world.threads())).clamp(1, 1 << 17);
    let mut pass = |world: &World| {
        let pairs = from.chunks(part).zip(into.chunks_mut(part)).collect();
        world.each(pairs, |_, (from, into): (&[f64], &mut [f64])| into.copy_from_slice(from));
    };
    pass(world);
    world.barrier()?;
    let (start, mut passes) = (Instant::now(), 0u32);
    while passes == 0 || start.elapsed() < TIME {
        pass(world);
        passes += 1;
    }
    let mine = (f64::from(passes) * 16.0 * len as f64) / start.elapsed().as_secs_f64();
    std::hint::black_box(&*into);
    world.all_reduce(mine, Sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_measured() {
        for ranks in [1, 3] {
            let job = Launch::from_env().ranks(ranks).threads(1).run(|world| Ok(copy_bandwidth(world, 1 << 20)?));
            let all = job.unwrap();
            assert!(all.iter().all(|rate| *rate == all[0] && *rate > 1e6), "{all:?}");
        }
    }
}
