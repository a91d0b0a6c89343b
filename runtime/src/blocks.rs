//! Blocks: the pieces of an index range in which sums have their order. They are cut at multiples of 4,096 of the index,
//! never of ranks or workers; whoever takes a block takes it whole.

use crate::pool::{CachePadded, Failed};
use crate::world::World;
use physalia_collectives::poll_here;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// Indices in a block.
pub const BLOCK: u64 = 4096;

/// Blocks that are reduced together by one worker: a node of the tree, so at most this many partial results wait.
const GROUP: u64 = 256;

/// Calls `block` for each of this rank's blocks `mine`, with its number, on the workers; each worker has a state of its own.
/// Gives the states. The rank's own thread looks after messages between two blocks. Local.
pub(crate) fn over<S: Send>(
    world: &World,
    mine: Range<u64>,
    state: impl Fn() -> S + Sync,
    block: impl Fn(&mut S, u64) + Sync,
) -> Vec<S> {
    let next = CachePadded::new(AtomicU64::new(mine.start));
    let workers = world.threads() as u64;
    let (abort, failed) = (world.abort_flag(), Failed::default());
    let ending = || abort.raised() || failed.raised();
    let work = || {
        let mut state = state();
        while !ending() {
            // Large bites first, single blocks last, aligned to groups so that a tree's nodes are made by one worker.
            let at = next.load(Ordering::Relaxed);
            let bite = (mine.end.saturating_sub(at) / (4 * workers)).clamp(1, GROUP);
            let until = if bite == GROUP { (at + 1).next_multiple_of(GROUP) } else { at + bite }.min(mine.end);
            if at >= mine.end {
                break;
            }
            if next.compare_exchange_weak(at, until, Ordering::Relaxed, Ordering::Relaxed).is_err() {
                continue;
            }
            for b in at..until {
                block(&mut state, b);
                poll_here();
            }
        }
        state
    };
    world.pool().on_workers(|_| failed.watch(work))
}

/// The blocks of one rank: contiguous, and equal but for one.
pub(crate) fn share(blocks: Range<u64>, rank: u64, ranks: u64) -> Range<u64> {
    let count = u128::from(blocks.end - blocks.start);
    let cut = |r: u64| blocks.start + (count * u128::from(r) / u128::from(ranks)) as u64;
    cut(rank)..cut(rank + 1)
}
