//! `world.par(range).map(f).sum()`: an index range over ranks × workers, with the same bits on any number of either.
//!
//! The range is cut into *blocks* at multiples of 4,096 of the index, never of ranks or workers. Inside a block, values are
//! added in the order of the index; the blocks' sums go into an exact accumulator, which commutes, so who takes which block
//! cannot be seen. In full, the sum of floats is: for every block that the range meets, add its values (as `f64`) from left
//! to right, starting from 0.0; add these block sums exactly; round once to the nearest `f64`, ties to even (and
//! a sum of `f32` from there to the nearest `f32`).
//!
//! Reductions by a closure, which need not commute, go along a fixed binary tree over the blocks (see `tree`).
//!
//! Closures of a `par` cannot see the world: they run on workers. Copy what they need before, for example `rank()`.

use crate::exact::Exact;
use crate::pool::{CachePadded, Failed};
use crate::tree::{Node, Nodes};
use crate::world::World;
use physalia_collectives::check::Print;
use physalia_collectives::{Abort, poll_here};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ops::Range;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};

/// Indices in a block.
pub const BLOCK: u64 = 4096;

/// Blocks that are reduced together by one worker: a node of the tree, so at most this many partial results wait.
const GROUP: u64 = 256;

/// What `sum` can add: in order inside a block, and exactly across blocks.
pub trait Summable: Copy + 'static {
    /// A running sum of a block.
    type Running: Copy;
    /// An exact sum of blocks; commutes.
    type Total: Default + Send;
    /// The empty block.
    const ZERO: Self::Running;
    /// One more value of a block.
    fn plus(running: Self::Running, value: Self) -> Self::Running;
    /// One more block.
    fn gather(total: &mut Self::Total, block: Self::Running);
    /// Two totals together.
    fn merge(total: &mut Self::Total, other: &Self::Total);
    /// The bytes that travel.
    fn encode(total: &Self::Total) -> Vec<u8>;
    /// The total that `encode` wrote.
    fn decode(bytes: &[u8]) -> Self::Total;
    /// The sum, rounded once.
    fn value(total: &Self::Total) -> Self;
}

macro_rules! float {
    ($($t:ty)*) => { $(impl Summable for $t {
        type Running = f64;
        type Total = Exact;
        const ZERO: f64 = 0.0;
        fn plus(running: f64, value: $t) -> f64 {
            running + f64::from(value)
        }
        fn gather(total: &mut Exact, block: f64) {
            total.add(block);
        }
        fn merge(total: &mut Exact, other: &Exact) {
            total.merge(other);
        }
        fn encode(total: &Exact) -> Vec<u8> {
            total.encode()
        }
        fn decode(bytes: &[u8]) -> Exact {
            Exact::decode(bytes).expect("what a sum wrote, it reads")
        }
        fn value(total: &Exact) -> $t {
            total.round() as $t
        }
    })* };
}
float!(f32 f64);

macro_rules! integer {
    ($wide:ty: $($t:ty)*) => { $(impl Summable for $t {
        type Running = $wide;
        type Total = $wide; // 2^64 values of 64 bits fit, so an overflow does not depend on the order either
        const ZERO: $wide = 0;
        fn plus(running: $wide, value: $t) -> $wide {
            running + <$wide>::from(value)
        }
        fn gather(total: &mut $wide, block: $wide) {
            *total += block;
        }
        fn merge(total: &mut $wide, other: &$wide) {
            *total += other;
        }
        fn encode(total: &$wide) -> Vec<u8> {
            total.to_le_bytes().to_vec()
        }
        fn decode(bytes: &[u8]) -> $wide {
            <$wide>::from_le_bytes(bytes.try_into().expect("what a sum wrote, it reads"))
        }
        fn value(total: &$wide) -> $t {
            <$t>::try_from(*total).unwrap_or_else(|_| panic!("the sum {total} exceeds {}", stringify!($t)))
        }
    })* };
}
integer!(u128: u8 u16 u32 u64);
integer!(i128: i8 i16 i32 i64);

/// An index range over ranks × workers; see the module.
#[must_use = "nothing runs before its last step, such as sum"]
#[derive(Debug)]
pub struct Par<'w> {
    world: &'w mut World,
    range: Range<u64>,
}

/// A [`Par`] with the function of its elements.
#[must_use = "nothing runs before its last step, such as sum"]
pub struct Map<'w, F> {
    par: Par<'w>,
    f: F,
}

impl<F> std::fmt::Debug for Map<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Map({:?})", self.par.range)
    }
}

impl<'w> Par<'w> {
    pub(crate) fn new(world: &'w mut World, range: Range<u64>) -> Par<'w> {
        Par { world, range }
    }

    /// `Sync` keeps every world and communicator out of `f`: workers compute, they never wait for another rank.
    pub fn map<V, F: Fn(u64) -> V + Sync>(self, f: F) -> Map<'w, F> {
        Map { par: self, f }
    }

    /// Runs `f` for every index, each once, in no order. Collective; ends with a barrier.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// As `f` does.
    #[track_caller]
    pub fn for_each(self, f: impl Fn(u64) + Sync) -> Result<(), Abort> {
        let print = self.print::<()>("par for_each", Location::caller());
        self.over_blocks(|| (), |(), _, indices| indices.for_each(&f));
        self.world.merge_parts(print, vec![], |_, _| (), |_| vec![]).map(drop)
    }

    fn print<V>(&self, op: &'static str, at: &'static Location<'static>) -> Print {
        Print::new::<V>(op, [self.range.start, self.range.end], at)
    }

    /// Calls `block` for each of this rank's blocks, with its number and its indices, on the workers; each worker has a
    /// state of its own. Gives the states.
    fn over_blocks<S: Send>(
        &self,
        state: impl Fn() -> S + Sync,
        block: impl Fn(&mut S, u64, Range<u64>) + Sync,
    ) -> Vec<S> {
        let Range { start, end } = self.range;
        let first = start / BLOCK;
        let blocks = first..end.div_ceil(BLOCK).max(first);
        let mine = share(blocks, self.world.rank().into(), self.world.size().into());
        let next = CachePadded::new(AtomicU64::new(mine.start));
        let workers = self.world.threads() as u64;
        let (abort, failed) = (self.world.abort_flag(), Failed::default());
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
                    block(&mut state, b, start.max(b * BLOCK)..end.min((b + 1).saturating_mul(BLOCK)));
                    poll_here();
                }
            }
            state
        };
        self.world.pool().on_workers(|_| failed.watch(work))
    }
}

impl<V: Summable, F: Fn(u64) -> V + Sync> Map<'_, F> {
    /// The sum of all values, the same bits on any number of ranks and workers; +0.0 if it is zero, NaN if a value is NaN
    /// or infinities of both signs occur. Collective; the range is part of the fingerprint. Each rank sends its
    /// accumulator, at most 273 bytes, to one other, and the total, as long at most, to ⌈log₂ p⌉ at most.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// As the function does, or if the sum of integers exceeds their type.
    #[track_caller]
    pub fn sum(self) -> Result<V, Abort> {
        let print = self.par.print::<V>("par sum", Location::caller());
        let f = &self.f;
        let totals = self.par.over_blocks(V::Total::default, |total, _, indices| {
            V::gather(total, indices.fold(V::ZERO, |running, i| V::plus(running, f(i))));
        });
        let mine = totals.iter().fold(V::Total::default(), |mut sum, t| {
            V::merge(&mut sum, t);
            sum
        });
        let absorb = |mine: &mut Vec<u8>, theirs: &[u8]| {
            let mut total = V::decode(mine);
            V::merge(&mut total, &V::decode(theirs));
            *mine = V::encode(&total);
        };
        // The total travels back, not the value: what rounds, or panics, does so on every rank alike.
        let all = self.par.world.merge_parts(print, V::encode(&mine), absorb, <[u8]>::to_vec)?;
        Ok(V::value(&V::decode(&all)))
    }
}

impl<V, F> Map<'_, F>
where
    V: Serialize + DeserializeOwned + Clone + Send + Sync,
    F: Fn(u64) -> V + Sync,
{
    /// All values combined by `op`, which need not commute: in order inside a block, and along a fixed binary tree over the
    /// blocks, so that the bits do not depend on ranks and workers. `identity` is the value of an empty range. Collective;
    /// each rank sends about 2 log₂(blocks) values, ⌈log₂ p⌉ messages.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// As the functions do.
    #[track_caller]
    pub fn reduce(self, identity: V, op: impl Fn(V, V) -> V + Sync) -> Result<V, Abort> {
        let at = Location::caller();
        let (f, op) = (&self.f, &op);
        let parts = self.par.over_blocks(Vec::new, |done: &mut Vec<Nodes<V>>, block, indices| {
            let Some(value) = indices.map(f).reduce(op) else { return };
            let node = Node { level: 0, index: block, value };
            match done.last_mut().filter(|nodes| nodes.end() == block) {
                Some(nodes) => nodes.push(node, op),
                None => done.push(Nodes::new(node)),
            }
        });
        let mut runs: Vec<Nodes<V>> = parts.into_iter().flatten().collect();
        runs.sort_by_key(Nodes::begin);
        let mine = Nodes::joined(runs, op);
        let bytes = postcard::to_stdvec(&mine).unwrap_or_else(|e| panic!("a value of reduce cannot be sent: {e}"));
        let range = [self.par.range.start, self.par.range.end];
        let all = self.par.world.all_blobs(Print::new::<V>("par reduce", range, at), bytes)?;
        let all =
            all.iter().map(|blob| -> Nodes<V> { postcard::from_bytes(blob).expect("what reduce wrote, it reads") });
        Ok(Nodes::joined(all.collect(), op).root(op).unwrap_or(identity))
    }
}

/// The blocks of one rank: contiguous, and equal but for one.
fn share(blocks: Range<u64>, rank: u64, ranks: u64) -> Range<u64> {
    let count = u128::from(blocks.end - blocks.start);
    let cut = |r: u64| blocks.start + (count * u128::from(r) / u128::from(ranks)) as u64;
    cut(rank)..cut(rank + 1)
}
