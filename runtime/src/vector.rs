//! Sums, dot products and norms of vectors that are spread over ranks as slices: each rank has a part of any length, also none,
//! and the vector is all parts in the order of ranks. It has the same bits however it is cut: those of
//! `world.par(0..n).map(..).sum()` over the whole vector, so with blocks of 4,096 by the place in the whole vector (see
//! [`par`](crate::par)).
//!
//! ```
//! use physalia::prelude::*;
//! let job = Launch::from_env().ranks(3).run(|world| {
//!     let part: &[f64] = [&[1.0, 2.0][..], &[], &[2.0]][world.rank() as usize];
//!     Ok((world.sum(part)?, world.dot(part, part)?, world.norm(part)?))
//! })?;
//! assert_eq!(job, [(5.0, 9.0, 3.0); 3]);
//! # Ok::<(), Abort>(())
//! ```

use crate::blocks::{self, BLOCK};
use crate::exact::Exact;
use crate::lanes::Lanes;
use crate::pieces::Part;
use crate::total::{Loose, Total, across, joined, norm};
use crate::world::World;
use physalia_collectives::check::Print;
use physalia_collectives::{Abort, Sum};
use std::ops::Range;
use std::panic::Location;

/// `f32` and `f64`. Sums of both are made in `f64`; the product of two `f32` is exact there.
pub trait Real: Copy + Send + Sync + 'static {
    /// As `f64`; exact.
    fn wide(self) -> f64;
    /// The nearest to an `f64`.
    fn nearest(x: f64) -> Self;
}

macro_rules! real {
    ($($t:ty)*) => { $(impl Real for $t {
        fn wide(self) -> f64 {
            f64::from(self)
        }
        fn nearest(x: f64) -> $t {
            x as $t
        }
    })* };
}
real!(f32 f64);

impl World {
    /// The sum of a vector of which each rank has a part; the same bits however it is cut, +0.0 if it is zero or empty, NaN if
    /// a value is NaN or infinities of both signs occur. The additions of `f32` are made in `f64`. Collective; one
    /// all-gather of 8 bytes, then one reduction: each rank sends an accumulator of at most 274 bytes, and, of the block that
    /// its part shares with the rank before, at most 4,095 terms (32 KiB) to one other. Local work as `par(..).sum()`.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    pub fn sum<T: Real>(&mut self, part: &[T]) -> Result<f64, Abort> {
        let print = Print::new::<T>("World::sum", [0; 2], Location::caller());
        let before = self.terms_before(part.len())?;
        exact(self, print, before, &One(part, T::wide))
    }

    /// The dot product of two vectors of which each rank has a part: the sum of the products, each rounded to `f64` (those of
    /// `f32` are exact). A product beyond the range of `f64` is infinite or zero, as alone. Otherwise as [`World::sum`], at
    /// the same cost.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If the two parts of a rank differ in length.
    #[track_caller]
    pub fn dot<T: Real>(&mut self, a: &[T], b: &[T]) -> Result<f64, Abort> {
        let print = Print::new::<T>("World::dot", [0; 2], Location::caller());
        same_length(a, b);
        let before = self.terms_before(a.len())?;
        exact(self, print, before, &Two(a, b))
    }

    /// The Euclidean norm of a vector of which each rank has a part: the root of the sum of squares, of every size that `f64`
    /// has. Where squares might overflow or vanish (the sum of squares is infinite, or below 2^-900, so also where it is zero)
    /// it is summed a second time, scaled by a power of two. Otherwise as [`World::sum`], at the same cost.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    pub fn norm<T: Real>(&mut self, part: &[T]) -> Result<f64, Abort> {
        let print = Print::new::<T>("World::norm", [0; 2], Location::caller());
        let before = self.terms_before(part.len())?;
        norm(|scale| exact(self, print, before, &One(part, square(scale))))
    }

    /// The length of the parts of lower ranks.
    #[track_caller]
    fn terms_before(&mut self, mine: usize) -> Result<u64, Abort> {
        Ok(self.exscan(mine as u64, Sum)?.unwrap_or(0))
    }
}

pub(crate) fn same_length<T>(a: &[T], b: &[T]) {
    assert_eq!(a.len(), b.len(), "a dot product of parts of different length");
}

pub(crate) fn square<T: Real>(scale: f64) -> impl Fn(T) -> f64 + Sync {
    move |v: T| {
        let v = v.wide() * scale;
        v * v
    }
}

/// The terms of a sum on one rank.
pub(crate) trait Terms: Sync {
    fn len(&self) -> usize;
    fn term(&self, i: usize) -> f64;
    fn add_to(&self, lanes: &mut Lanes, which: Range<usize>);

    /// By itself, so that its loop is compiled for lanes whatever is around it.
    #[inline(never)]
    fn block(&self, which: Range<usize>) -> Lanes {
        let mut lanes = Lanes::default();
        self.add_to(&mut lanes, which);
        lanes
    }
}

/// Of each value.
pub(crate) struct One<'a, T, F>(pub(crate) &'a [T], pub(crate) F);
/// Products.
pub(crate) struct Two<'a, T>(pub(crate) &'a [T], pub(crate) &'a [T]);

impl<T: Real, F: Fn(T) -> f64 + Sync> Terms for One<'_, T, F> {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn term(&self, i: usize) -> f64 {
        self.1(self.0[i])
    }
    #[inline(always)]
    fn add_to(&self, lanes: &mut Lanes, which: Range<usize>) {
        lanes.add(&self.0[which], &self.1);
    }
}

impl<T: Real> Terms for Two<'_, T> {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn term(&self, i: usize) -> f64 {
        self.0[i].wide() * self.1[i].wide()
    }
    #[inline(always)]
    fn add_to(&self, lanes: &mut Lanes, which: Range<usize>) {
        lanes.add_pairs(&self.0[which.clone()], &self.1[which], |a, b| a.wide() * b.wide());
    }
}

/// The sum by the rule; this rank has the terms from `before` on.
fn exact(world: &mut World, print: Print, before: u64, terms: &impl Terms) -> Result<f64, Abort> {
    let end = before + terms.len() as u64;
    let (first, last) = (before.div_ceil(BLOCK), end / BLOCK); // blocks first..last are all ours
    let local = |from: u64, to: u64| (from - before) as usize..(to - before) as usize;
    let totals = blocks::over(world, first..last.max(first), Exact::default, |total, b| {
        total.add(terms.block(local(b * BLOCK, (b + 1) * BLOCK)).total());
    });
    let mut part = Part::new(joined(totals));
    let begun = end.min(first * BLOCK); // up to here it is a block of a lower rank
    if before < begun {
        part.go_on(before, local(before, begun).map(|i| terms.term(i)).collect());
    }
    let ended = begun.max(last * BLOCK);
    if ended < end {
        part.begin_block(ended, end - ended, terms.block(local(ended, end)));
    }
    let read = |bytes: &[u8]| Part::decode(bytes).expect("what a sum wrote, it reads");
    let absorb = move |mine: &mut Vec<u8>, theirs: &[u8]| {
        let mut part = read(mine);
        part.merge(read(theirs));
        *mine = part.encode();
    };
    let value = move |all: &[u8]| read(all).value().to_le_bytes().to_vec();
    let all = world.merge_parts(print, part.encode(), absorb, value)?;
    Ok(f64::from_le_bytes(all.try_into().expect("8 bytes")))
}

/// The sum in no order that is promised.
pub(crate) fn loose(world: &mut World, print: Print, terms: &impl Terms) -> Result<f64, Abort> {
    let parts = blocks::over(world, 0..(terms.len() as u64).div_ceil(BLOCK), Loose::default, |total, b| {
        let from = (b * BLOCK) as usize;
        total.add(terms.block(from..terms.len().min(from + BLOCK as usize)).total());
    });
    across(world, print, parts)
}
