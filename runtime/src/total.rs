//! Where the sums of blocks go: into an exact sum, or, where no order is promised, into a plain one.

use crate::exact::Exact;
use crate::world::World;
use physalia_collectives::Abort;
use physalia_collectives::check::Print;

/// A sum of blocks that workers and ranks add to and merge.
pub(crate) trait Total: Default + Send + 'static {
    /// One more block.
    fn add(&mut self, block: f64);
    /// Another sum.
    fn merge(&mut self, other: &Self);
    /// The bytes that travel.
    fn encode(&self) -> Vec<u8>;
    /// What `encode` wrote.
    fn decode(bytes: &[u8]) -> Self;
    /// The sum, rounded.
    fn value(&self) -> f64;
}

impl Total for Exact {
    fn add(&mut self, block: f64) {
        Exact::add(self, block);
    }
    fn merge(&mut self, other: &Exact) {
        Exact::merge(self, other);
    }
    fn encode(&self) -> Vec<u8> {
        Exact::encode(self)
    }
    fn decode(bytes: &[u8]) -> Exact {
        Exact::decode(bytes).expect("what a sum wrote, it reads")
    }
    fn value(&self) -> f64 {
        self.round()
    }
}

/// A sum whose bits depend on the order.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Loose(f64);

impl Total for Loose {
    fn add(&mut self, block: f64) {
        self.0 += block;
    }
    fn merge(&mut self, other: &Loose) {
        self.0 += other.0;
    }
    fn encode(&self) -> Vec<u8> {
        self.0.to_le_bytes().to_vec()
    }
    fn decode(bytes: &[u8]) -> Loose {
        Loose(f64::from_le_bytes(bytes.try_into().expect("8 bytes")))
    }
    fn value(&self) -> f64 {
        self.0
    }
}

/// The workers' sums as one.
pub(crate) fn joined<A: Total>(parts: Vec<A>) -> A {
    let mut parts = parts.into_iter();
    let first = parts.next().unwrap_or_default();
    parts.fold(first, |mut sum, part| {
        sum.merge(&part);
        sum
    })
}

/// The sum of all ranks' sums, on all; one way of bytes for exact and plain sums, so that both are checked alike.
pub(crate) fn across<A: Total>(world: &mut World, print: Print, parts: Vec<A>) -> Result<f64, Abort> {
    let absorb = |mine: &mut Vec<u8>, theirs: &[u8]| {
        let mut total = A::decode(mine);
        total.merge(&A::decode(theirs));
        *mine = total.encode();
    };
    let value = |bytes: &[u8]| A::decode(bytes).value().to_le_bytes().to_vec();
    let all = world.merge_parts(print, joined(parts).encode(), absorb, value)?;
    Ok(f64::from_le_bytes(all.try_into().expect("8 bytes")))
}

/// The Euclidean norm from `squares(scale)`, the sum of the squares of all values times `scale`. Squares of values beyond
/// about 10^154 overflow and those of values below 10^-154 vanish, so where the plain sum shows that this may count, all is
/// summed once more with a power of two that brings the squares back into range (after Blue, "A portable Fortran program to
/// find the Euclidean norm of a vector", 1978). The choice depends on the sum alone, so as its bits, not on the layout.
pub(crate) fn norm(mut squares: impl FnMut(f64) -> Result<f64, Abort>) -> Result<f64, Abort> {
    let plain = squares(1.0)?;
    // Above 2^-900 what has vanished is less than 2^64 × 2^-1074, far below half a unit of the last place.
    if plain.is_nan() || (plain >= 2f64.powi(-900) && plain < f64::INFINITY) {
        return Ok(plain.sqrt());
    }
    let scale = if plain > 1.0 { 2f64.powi(-600) } else { 2f64.powi(600) };
    Ok(squares(scale)?.sqrt() / scale)
}
