//! Extrema with their places, the largest magnitude, integrals, and whether all is finite: the same bits on any number of ranks,
//! workers and boxes.
//!
//! Cells are compared as `f64`, so integers beyond 53 bits as what they round to. Of equal cells the first counts: x runs
//! fastest, then y, then z.

use super::cell::Cell;
use super::{Field, grid};
use crate::World;
use physalia_collectives::{Abort, By};

/// A value and where it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extreme<const D: usize> {
    /// The cell's value.
    pub value: f64,
    /// The cell.
    pub cell: [u64; D],
}

/// Bits of a value, and the index of its cell; of no cell, `NOWHERE`.
type Found = [u64; 2];

const NOWHERE: u64 = u64::MAX;

/// The smaller one; a NaN is smaller than all else; of equals the first.
fn smaller(a: Found, b: Found) -> Found {
    let before = |a: Found, b: Found| {
        if a[1] == NOWHERE || b[1] == NOWHERE {
            return b[1] == NOWHERE;
        }
        let [x, y] = [a, b].map(|found| f64::from_bits(found[0]));
        match (x.is_nan(), y.is_nan()) {
            (false, false) if x < y => true,
            (false, false) if y < x => false,
            (x, y) if x != y => x,
            _ => a[1] < b[1],
        }
    };
    if before(a, b) { a } else { b }
}

impl<T: Cell, const D: usize> Field<T, D> {
    /// The smallest cell and where it is; if any is NaN, the first NaN. Collective; one all-reduce of 16 bytes.
    ///
    /// ```
    /// use physalia::prelude::*;
    /// let mut world = World::alone();
    /// let mut u = Field::<f64, 2>::new(&mut world, Grid::new([6, 4]))?;
    /// u.fill(|[x, y]| (x as f64 - 2.0) * (y as f64 - 2.0));
    /// let min = u.min(&mut world)?;
    /// assert_eq!((min.value, min.cell), (-6.0, [5, 0]));
    /// # Ok::<(), Abort>(())
    /// ```
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    pub fn min(&self, world: &mut World) -> Result<Extreme<D>, Abort> {
        let [value, index] = world.all_reduce(self.least(|x| x), By(smaller))?;
        Ok(self.at_index(f64::from_bits(value), index))
    }

    /// The largest cell and where it is; if any is NaN, the first NaN. Collective; one all-reduce of 16 bytes.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    pub fn max(&self, world: &mut World) -> Result<Extreme<D>, Abort> {
        let [value, index] = world.all_reduce(self.least(|x| -x), By(smaller))?;
        Ok(self.at_index(-f64::from_bits(value), index))
    }

    /// The largest magnitude of a cell, the maximum norm; NaN if any cell is NaN. Collective; one all-reduce of 16 bytes.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    pub fn max_norm(&self, world: &mut World) -> Result<f64, Abort> {
        let [value, _] = world.all_reduce(self.least(|x| -x.abs()), By(smaller))?;
        Ok(f64::from_bits(value).abs())
    }

    /// The sum of all cells times the size of one (length, area or volume): the midpoint rule. As [`Field::sum`], at the same
    /// cost; the product is rounded once more.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    pub fn integral(&self, world: &mut World, cell_size: f64) -> Result<f64, Abort> {
        Ok(self.sum(world)? * cell_size)
    }

    /// The first cell that is NaN or infinite, and its value; `None` if all are finite. Collective; one all-reduce of 16 bytes.
    /// Reads the field once.
    ///
    /// ```
    /// use physalia::prelude::*;
    /// let mut world = World::alone();
    /// let mut u = Field::<f32, 2>::new(&mut world, Grid::new([6, 4]))?;
    /// assert_eq!(u.not_finite(&mut world)?, None);
    /// u.set([3, 2], f32::INFINITY);
    /// u.set([1, 3], f32::NAN);
    /// assert_eq!(u.not_finite(&mut world)?.map(|found| found.cell), Some([3, 2]));
    /// # Ok::<(), Abort>(())
    /// ```
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    #[doc(alias = "all_finite")]
    pub fn not_finite(&self, world: &mut World) -> Result<Option<Extreme<D>>, Abort> {
        let first = |a: Found, b: Found| if b[1] < a[1] { b } else { a };
        let mine = self.fold_rows(
            || [0, NOWHERE],
            |found, at, row| {
                // Most rows are finite, and a sum of products with zero finds that out by vectors.
                if found[1] != NOWHERE || row.iter().map(|cell| cell.as_f64() * 0.0).sum::<f64>() == 0.0 {
                    return found;
                }
                let bad = row.iter().position(|cell| !cell.as_f64().is_finite());
                bad.map_or(found, |i| first(found, [row[i].as_f64().to_bits(), self.index(at) + i as u64]))
            },
            first,
        );
        let [value, index] = world.all_reduce(mine, By(first))?;
        Ok((index != NOWHERE).then(|| self.at_index(f64::from_bits(value), index)))
    }

    /// The least of `key(value)` of this rank's cells.
    fn least(&self, key: impl Fn(f64) -> f64 + Sync) -> Found {
        self.fold_rows(
            || [0, NOWHERE],
            |least, at, row| {
                let first = self.index(at);
                (first..)
                    .zip(row)
                    .fold(least, |least, (index, cell)| smaller(least, [key(cell.as_f64()).to_bits(), index]))
            },
            smaller,
        )
    }

    fn index(&self, [x, y, z]: [u64; 3]) -> u64 {
        let [nx, ny, _] = self.grid.extent();
        (z * ny + y) * nx + x
    }

    fn at_index(&self, value: f64, index: u64) -> Extreme<D> {
        let [nx, ny, _] = self.grid.extent();
        Extreme { value, cell: grid::lower([index % nx, index / nx % ny, index / nx / ny]) }
    }
}
