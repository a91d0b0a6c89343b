//! What an iterative method does with vectors: fields, or the slices that ranks have of one vector.

use super::Number;
use crate::World;
use crate::field::Field;
use crate::vector::Real;
use physalia_collectives::Abort;

/// Values from one worker's hand to the next.
const CHUNK: usize = 4096;

/// Vectors that are spread over ranks. All of one computation are cut alike. `dot` is collective and the same bits however they
/// are cut; all else is local.
pub trait Vector: Sized {
    /// Zeros, cut alike.
    fn like(&self) -> Self;
    /// The dot product.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    fn dot(&self, world: &mut World, other: &Self) -> Result<f64, Abort>;
    /// self ← x.
    fn assign(&mut self, world: &World, x: &Self);
    /// self ← self + a x.
    fn axpy(&mut self, world: &World, a: f64, x: &Self);
    /// self ← x + b self.
    fn xpby(&mut self, world: &World, x: &Self, b: f64);
}

impl<T: Number, const D: usize> Vector for Field<T, D> {
    fn like(&self) -> Self {
        Field::like(self)
    }

    #[track_caller]
    fn dot(&self, world: &mut World, other: &Self) -> Result<f64, Abort> {
        Field::dot(self, world, other)
    }

    fn assign(&mut self, _: &World, x: &Self) {
        Field::assign(self, x);
    }

    fn axpy(&mut self, _: &World, a: f64, x: &Self) {
        Field::axpy(self, T::nearest(a), x);
    }

    fn xpby(&mut self, _: &World, x: &Self, b: f64) {
        Field::xpby(self, x, T::nearest(b));
    }
}

/// This rank's part of a vector, of any length; products and sums are made in `f64` and rounded once.
impl<T: Real> Vector for Vec<T> {
    fn like(&self) -> Self {
        vec![T::nearest(0.0); self.len()]
    }

    #[track_caller]
    fn dot(&self, world: &mut World, other: &Self) -> Result<f64, Abort> {
        world.dot(self, other)
    }

    fn assign(&mut self, _: &World, x: &Self) {
        self.copy_from_slice(x);
    }

    fn axpy(&mut self, world: &World, a: f64, x: &Self) {
        each(world, self, x, |y, x| T::nearest(y.wide() + a * x.wide()));
    }

    fn xpby(&mut self, world: &World, x: &Self, b: f64) {
        each(world, self, x, |y, x| T::nearest(x.wide() + b * y.wide()));
    }
}

fn each<T: Real>(world: &World, y: &mut [T], x: &[T], f: impl Fn(T, T) -> T + Sync) {
    assert_eq!(y.len(), x.len(), "parts of vectors of different length");
    let chunks = y.chunks_mut(CHUNK).zip(x.chunks(CHUNK)).collect();
    world.each(chunks, |_, (y, x): (&mut [T], &[T])| y.iter_mut().zip(x).for_each(|(y, &x)| *y = f(*y, x)));
}
