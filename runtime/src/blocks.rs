//! Blocks: the pieces of an index range in which sums have their order. They are cut at multiples of 4,096 of the index,
//! never of ranks or workers; whoever takes a block takes it whole.

use crate::pool::{Failed, Rule};
use crate::world::World;
use physalia_collectives::poll_here;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Indices in a block.
pub const BLOCK: u64 = 4096;

/// Calls `block` for each of this rank's blocks `mine`, with its number, on the workers; each worker has a state of its own.
/// Gives the states, in no order. A worker's first blocks are neighbours, so that a tree's nodes are mostly made by one worker.
/// The rank's own thread looks after messages between two blocks. Local.
pub(crate) fn over<S: Send>(
    world: &World,
    mine: Range<u64>,
    state: impl Fn() -> S + Sync,
    block: impl Fn(&mut S, u64) + Sync,
) -> Vec<S> {
    let pool = world.pool();
    feed(world, mine, |chunks, _| pool.even_cuts(chunks), state, block)
}

/// As `over`, of blocks that have a home: `cuts[d]..cuts[d + 1]` are at home in domain d.
pub(crate) fn over_at<S: Send>(
    world: &World,
    cuts: &[u64],
    state: impl Fn() -> S + Sync,
    block: impl Fn(&mut S, u64) + Sync,
) -> Vec<S> {
    let (first, end) = (cuts[0], cuts[cuts.len() - 1]);
    let in_units = |unit: u64| cuts.iter().map(|cut| (cut - first).div_ceil(unit) as usize).collect();
    feed(world, first..end, |_, unit| in_units(unit), state, block)
}

/// `cuts(chunks, unit)` tells where each domain's chunks of `unit` blocks begin.
fn feed<S: Send>(
    world: &World,
    mine: Range<u64>,
    cuts: impl FnOnce(usize, u64) -> Vec<usize>,
    state: impl Fn() -> S + Sync,
    block: impl Fn(&mut S, u64) + Sync,
) -> Vec<S> {
    let (pool, abort, failed) = (world.pool(), world.abort_flag(), Failed::default());
    let ending = || abort.raised() || failed.raised();
    let states = Mutex::new(Vec::with_capacity(pool.threads()));
    // Chunks are counted in 32 bits.
    let count = mine.end.saturating_sub(mine.start);
    let unit = count.div_ceil(1 << 31).max(1);
    let cuts = cuts(count.div_ceil(unit) as usize, unit);
    pool.feed(&cuts, Rule::HomeFirst, &ending, |feed| {
        let mine = failed.watch(|| {
            let mut state = state();
            while let Some(chunks) = feed.next() {
                let first = mine.start + u64::from(chunks.start) * unit;
                for b in first..mine.end.min(mine.start + u64::from(chunks.end) * unit) {
                    if ending() {
                        break;
                    }
                    block(&mut state, b);
                    poll_here();
                }
            }
            state
        });
        states.lock().unwrap_or_else(PoisonError::into_inner).push(mine);
    });
    states.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The blocks of one rank: contiguous, and equal but for one.
pub(crate) fn share(blocks: Range<u64>, rank: u64, ranks: u64) -> Range<u64> {
    let count = u128::from(blocks.end - blocks.start);
    let cut = |r: u64| blocks.start + (count * u128::from(r) / u128::from(ranks)) as u64;
    cut(rank)..cut(rank + 1)
}
