//! Sums of which no bits are promised: `.fast()` before the last step.
//!
//! ```
//! use physalia::prelude::*;
//! let mut world = World::alone();
//! assert_eq!(world.par(0..1000).map(|i| i as f64).fast().sum()?, 499_500.0);
//! assert_eq!(world.fast().dot(&[1.0, 2.0], &[3.0, 4.0])?, 11.0);
//! let mut u = Field::<f64, 1>::new(&mut world, Grid::new([2]))?;
//! u.fill(|[x]| 3.0 + x as f64);
//! assert_eq!(u.fast().norm(&mut world)?, 5.0);
//! # Ok::<(), Abort>(())
//! ```
//!
//! Each worker adds the blocks that it gets in plain `f64`, then workers and ranks are added: the bits may differ from run to
//! run, and a sum of large terms that cancel may overflow. All ranks get the same value. What is saved is one exact addition a
//! block, some 250 bytes a rank, and for slices the question for their place in the whole: nothing that can be seen from memory,
//! 5 to 25 per cent of a sum over 256 KiB in cache (less of a dot product), and more only for still shorter vectors and for
//! fields of very short rows, each of which is a block of its own. The same checks are made: grid, range and call site are part of the fingerprint.

use crate::World;
use crate::field::{Cell, Field};
use crate::par::{Map, block_of};
use crate::total::{Loose, Total, across, norm};
use crate::vector::{One, Real, Two, loose, same_length, square};
use physalia_collectives::Abort;
use physalia_collectives::check::Print;
use std::panic::Location;

/// What is summed in no order that is promised; see the module.
#[must_use = "nothing runs before its last step, such as sum"]
#[derive(Debug)]
pub struct Fast<T>(T);

impl<F> Map<'_, F> {
    /// Opts out of the fixed order of sums; see [`fast`](crate::fast).
    pub fn fast(self) -> Fast<Self> {
        Fast(self)
    }
}

impl<T: Cell, const D: usize> Field<T, D> {
    /// Opts out of the fixed order of sums; see [`fast`](crate::fast).
    pub fn fast(&self) -> Fast<&Self> {
        Fast(self)
    }
}

impl World {
    /// Opts out of the fixed order of the sums of slices; see [`fast`](crate::fast).
    pub fn fast(&mut self) -> Fast<&mut World> {
        Fast(self)
    }
}

impl<V: Real, F: Fn(u64) -> V + Sync> Fast<Map<'_, F>> {
    /// As [`Map::sum`]; each rank sends 8 bytes.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// As the function does.
    #[track_caller]
    pub fn sum(self) -> Result<V, Abort> {
        let Map { par, f } = self.0;
        let f = |i| f(i).wide();
        let print = par.print::<V>("par sum, fast", Location::caller());
        let few = par.few();
        let parts = par.over_blocks(Loose::default, |total, _, indices| {
            total.add(block_of(indices, few, &f).total());
        });
        Ok(V::nearest(across(par.world, print, parts)?))
    }
}

impl<T: Cell, const D: usize> Fast<&Field<T, D>> {
    /// As [`Field::sum`]; each rank sends 8 bytes.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    pub fn sum(self, world: &mut World) -> Result<f64, Abort> {
        let print = self.0.print("Field::sum, fast", Location::caller());
        self.0.sum_in::<Loose>(world, print, Cell::as_f64)
    }

    /// As [`Field::dot`]; each rank sends 8 bytes.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If the fields lie on different boxes.
    #[track_caller]
    pub fn dot(self, world: &mut World, other: &Field<T, D>) -> Result<f64, Abort> {
        let print = self.0.print("Field::dot, fast", Location::caller());
        self.0.dot_in::<Loose>(world, print, other)
    }

    /// As [`Field::norm`]; each rank sends 8 bytes.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    pub fn norm(self, world: &mut World) -> Result<f64, Abort> {
        let print = self.0.print("Field::norm, fast", Location::caller());
        self.0.norm_in::<Loose>(world, print)
    }
}

impl Fast<&mut World> {
    /// As [`World::sum`]; each rank sends 8 bytes.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    pub fn sum<T: Real>(self, part: &[T]) -> Result<f64, Abort> {
        loose(self.0, print::<T>("World::sum, fast", Location::caller()), &One(part, T::wide))
    }

    /// As [`World::dot`]; each rank sends 8 bytes.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If the two parts of a rank differ in length.
    #[track_caller]
    pub fn dot<T: Real>(self, a: &[T], b: &[T]) -> Result<f64, Abort> {
        same_length(a, b);
        loose(self.0, print::<T>("World::dot, fast", Location::caller()), &Two(a, b))
    }

    /// As [`World::norm`]; each rank sends 8 bytes.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    pub fn norm<T: Real>(self, part: &[T]) -> Result<f64, Abort> {
        let print = print::<T>("World::norm, fast", Location::caller());
        norm(|scale| loose(self.0, print, &One(part, square(scale))))
    }
}

fn print<T>(op: &'static str, at: &'static Location<'static>) -> Print {
    Print::new::<T>(op, [0; 2], at)
}
