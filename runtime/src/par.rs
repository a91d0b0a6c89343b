//! `world.par(range).map(f).sum()`: an index range over ranks × workers, with the same bits on any number of either.
//!
//! The range is cut into *blocks* at multiples of 4,096 of the index, never of ranks or workers. Inside a block, values are
//! added in an order that the index fixes; the blocks' sums go into an exact accumulator, which commutes, so who takes which
//! block cannot be seen. In full, the sum of floats is: for every block that the range meets, add its values (as `f64`) in
//! eight lanes, each starting from +0.0, the i-th of the range's values in this block to lane i mod 8; add the lanes as
//! ((0 + 4) + (2 + 6)) + ((1 + 5) + (3 + 7)); add these block sums exactly; round once to the nearest `f64`, ties to even (and
//! a sum of `f32` from there to the nearest `f32`).
//!
//! This costs next to nothing: the lanes are what a processor does best, and an exact addition comes once in 4,096. Where
//! even that is too much, `par(..).map(..).fast().sum()` promises no order; see [`fast`](crate::fast).
//!
//! Reductions by a closure, which need not commute, go along a fixed binary tree over the blocks (see `tree`).
//!
//! Closures of a `par` cannot see the world: they run on workers. Copy what they need before, for example `rank()`.

use crate::blocks;
pub use crate::blocks::BLOCK;
use crate::dear;
use crate::exact::Exact;
use crate::lanes::Lanes;
use crate::tree::{Node, Nodes};
use crate::world::World;
use physalia_collectives::Abort;
use physalia_collectives::check::Print;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ops::Range;
use std::panic::Location;

/// What `sum` can add: in a fixed order inside a block, and exactly across blocks.
pub trait Summable: Copy + Send + 'static {
    /// An exact sum of blocks; commutes.
    type Total: Default + Send;
    /// The sum of a block on the way.
    type Block: Default;
    /// The values of these indices, after those that came before.
    fn add(block: &mut Self::Block, indices: Range<u64>, value: impl Fn(u64) -> Self);
    /// One more block.
    fn gather(total: &mut Self::Total, block: Self::Block);
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
        type Total = Exact;
        type Block = Lanes;
        #[inline(always)]
        fn add(block: &mut Lanes, indices: Range<u64>, value: impl Fn(u64) -> $t) {
            block.add_indices(indices, |i| f64::from(value(i)));
        }
        fn gather(total: &mut Exact, block: Lanes) {
            total.add(block.total());
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
        type Total = $wide; // 2^64 values of 64 bits fit, so an overflow does not depend on the order either
        type Block = $wide;
        #[inline(always)]
        fn add(block: &mut $wide, indices: Range<u64>, value: impl Fn(u64) -> $t) {
            *block = indices.fold(*block, |sum: $wide, i| sum + <$wide>::from(value(i)));
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
    pub(crate) world: &'w mut World,
    range: Range<u64>,
}

/// A [`Par`] with the function of its elements.
#[must_use = "nothing runs before its last step, such as sum"]
pub struct Map<'w, F> {
    pub(crate) par: Par<'w>,
    pub(crate) f: F,
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
        let few = self.few();
        self.over_blocks(
            || (),
            |(), _, indices| {
                let serially = |(): &mut (), piece: Range<u64>| piece.for_each(&f);
                dear::in_pieces(&mut (), indices, few, serially, |(), rest, worth| drop(dear::values(rest, worth, &f)));
            },
        );
        self.world.merge_parts(print, vec![], |_, _| (), |_| vec![]).map(drop)
    }

    pub(crate) fn print<V>(&self, op: &'static str, at: &'static Location<'static>) -> Print {
        Print::new::<V>(op, [self.range.start, self.range.end], at)
    }

    /// This rank's blocks.
    fn my_blocks(&self) -> Range<u64> {
        let first = self.range.start / BLOCK;
        let blocks = first..self.range.end.div_ceil(BLOCK).max(first);
        blocks::share(blocks, self.world.rank().into(), self.world.size().into())
    }

    /// Whether this rank has few blocks, so that one of dear values may hold up all; see [`dear`].
    pub(crate) fn few(&self) -> bool {
        let mine = self.my_blocks();
        dear::few(mine.end - mine.start, self.world.threads())
    }

    /// Calls `block` for each of this rank's blocks, with its number and its indices, on the workers; each worker has a
    /// state of its own. Gives the states.
    pub(crate) fn over_blocks<S: Send>(
        &self,
        state: impl Fn() -> S + Sync,
        block: impl Fn(&mut S, u64, Range<u64>) + Sync,
    ) -> Vec<S> {
        let Range { start, end } = self.range;
        blocks::over(self.world, self.my_blocks(), state, |state, b| {
            block(state, b, start.max(b * BLOCK)..end.min((b + 1).saturating_mul(BLOCK)));
        })
    }
}

/// A block's values, added in their order.
pub(crate) fn block_of<V: Summable>(indices: Range<u64>, few: bool, f: &(impl Fn(u64) -> V + Sync)) -> V::Block {
    let mut block = V::Block::default();
    let serially = |block: &mut V::Block, piece: Range<u64>| V::add(block, piece, f);
    dear::in_pieces(&mut block, indices, few, serially, |block, rest, worth| {
        let values = dear::values(rest, worth, f);
        V::add(block, 0..values.len() as u64, |i| values[i as usize]);
    });
    block
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
        let (f, few) = (&self.f, self.par.few());
        let totals = self.par.over_blocks(V::Total::default, |total, _, indices| {
            V::gather(total, block_of(indices, few, f));
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
        let (f, op, few) = (&self.f, &op, self.par.few());
        let parts = self.par.over_blocks(Vec::new, |done: &mut Vec<Nodes<V>>, block, indices| {
            let mut value = None;
            let fold = |value: &mut Option<V>, more: &mut dyn Iterator<Item = V>| {
                *value = value.take().into_iter().chain(more).reduce(op);
            };
            let serially = |value: &mut Option<V>, piece: Range<u64>| fold(value, &mut piece.map(f));
            dear::in_pieces(&mut value, indices, few, serially, |value, rest, worth| {
                fold(value, &mut dear::values(rest, worth, f).into_iter());
            });
            let Some(value) = value else { return };
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
