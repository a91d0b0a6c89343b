//! All cells of a rank, in parallel: changed in place, from other fields on the same boxes, or read.
//!
//! Workers take the cells that are at home with them first. A cell's new value must depend on what its closure is given alone;
//! then it does not show how the field is cut.

use super::cell::Cell;
use super::grid::lower;
use super::storage::Band;
use super::{Boxes, Field, Part};
use crate::memory::each_at_home;
use std::sync::Arc;

/// The number of a box here, the first cell of a row of it, and its cells.
type EachRow<'f, T> = dyn Fn(usize, [u64; 3], &mut [T]) + Sync + 'f;

impl<T: Cell, const D: usize> Field<T, D> {
    /// Every cell's new value from its position and its value, in place, in parallel. Local. Ghosts are as they were.
    ///
    /// ```
    /// use physalia::prelude::*;
    /// let mut world = World::alone();
    /// let mut u = Field::<f64, 2>::new(&mut world, Grid::new([6, 4]))?;
    /// u.fill(|[x, _]| x as f64);
    /// u.map(|[_, y], value| value + 10.0 * y as f64);
    /// assert_eq!(u.get([5, 3]), Some(35.0));
    /// # Ok::<(), Abort>(())
    /// ```
    ///
    /// # Panics
    /// As `f` does, or on a thread that is neither the rank's nor one of its workers.
    pub fn map(&mut self, f: impl Fn([u64; D], T) -> T + Sync) {
        self.each_row_mut(|_, [x0, y, z], row| {
            for (x, cell) in (x0..).zip(row) {
                *cell = f(lower([x, y, z]), *cell);
            }
        });
    }

    /// Every cell's new value from its own and another field's of the same place, in parallel. The other field may hold
    /// another type and have another halo. Local.
    ///
    /// ```
    /// use physalia::prelude::*;
    /// let mut world = World::alone();
    /// let mut u = Field::<f64, 2>::new(&mut world, Grid::new([6, 4]))?;
    /// u.fill(|[x, y]| (x + 10 * y) as f64);
    /// let mut alive = Field::<u8, 2>::new(&mut world, Grid::new([6, 4]))?;
    /// alive.update_with(&u, |_, u| u8::from(u > 11.0));
    /// assert_eq!(alive.sum(&mut world)?, 16.0);
    /// # Ok::<(), Abort>(())
    /// ```
    ///
    /// # Panics
    /// If the fields lie on different boxes; as [`map`](Field::map).
    #[doc(alias = "zip")]
    pub fn update_with<A: Cell>(&mut self, a: &Field<A, D>, f: impl Fn(T, A) -> T + Sync) {
        self.must_lie_as(a.boxes_of());
        self.each_row_mut(|b, at, row| {
            let a = a.blocks[b].part(at, row.len());
            for (cell, &a) in row.iter_mut().zip(a) {
                *cell = f(*cell, a);
            }
        });
    }

    /// As [`update_with`](Field::update_with), from two other fields.
    ///
    /// # Panics
    /// As `update_with`.
    #[doc(alias = "zip")]
    pub fn update_with_two<A: Cell, B: Cell>(
        &mut self,
        a: &Field<A, D>,
        b: &Field<B, D>,
        f: impl Fn(T, A, B) -> T + Sync,
    ) {
        self.must_lie_as(a.boxes_of());
        self.must_lie_as(b.boxes_of());
        self.each_row_mut(|box_here, at, row| {
            let a = a.blocks[box_here].part(at, row.len());
            let b = &b.blocks[box_here].part(at, row.len())[..a.len()];
            for ((cell, &a), &b) in row.iter_mut().zip(a).zip(b) {
                *cell = f(*cell, a, b);
            }
        });
    }

    /// Shows every cell of this rank to `f`, with its position, in parallel and in no order. Local.
    ///
    /// # Panics
    /// As [`map`](Field::map).
    pub fn for_each_cell(&self, f: impl Fn([u64; D], T) + Sync) {
        let show =
            |(), [x0, y, z]: [u64; 3], row: &[T]| (x0..).zip(row).for_each(|(x, &cell)| f(lower([x, y, z]), cell));
        self.fold_rows(|| (), show, |(), ()| ());
    }

    /// Gives this rank's cells to its workers, row by row: the position of the first cell, and the cells, to be written. Long
    /// rows come in parts. For kernels that read several fields, also of other grids, by [`near`](Field::near). Local.
    ///
    /// ```
    /// use physalia::prelude::*;
    /// let mut world = World::alone();
    /// let mut u = Field::<f64, 2>::new(&mut world, Grid::new([6, 4]))?;
    /// u.fill(|[x, y]| (x + 10 * y) as f64);
    /// let mut wide = Field::<f64, 2>::new(&mut world, Grid::new([12, 4]))?;
    /// wide.rows_mut(|[x, y], row| {
    ///     let from = u.near([x as i64 / 2, y as i64], row.len() / 2).expect("all cells are here");
    ///     row.iter_mut().enumerate().for_each(|(i, cell)| *cell = from[i / 2]);
    /// });
    /// assert_eq!(wide.get([11, 3]), Some(35.0));
    /// # Ok::<(), Abort>(())
    /// ```
    ///
    /// # Panics
    /// As [`map`](Field::map).
    pub fn rows_mut(&mut self, f: impl Fn([u64; D], &mut [T]) + Sync) {
        self.each_row_mut(|_, at, row| f(lower(at), row));
    }

    /// Gives this rank's rows to its workers: the number of the box here, the first cell, and the cells. Long rows come in
    /// parts.
    pub(crate) fn each_row_mut(&mut self, f: impl Fn(usize, [u64; 3], &mut [T]) + Sync) {
        self.rows_to_workers(Part::All, [false; D], &f);
    }

    /// As `each_row_mut`, of the rows that read no ghost of another box, or of the others; around a periodic axis the first and
    /// the last box are neighbours.
    pub(crate) fn each_row_of(
        &mut self,
        part: Part,
        periodic: [bool; D],
        f: impl Fn(usize, [u64; 3], &mut [T]) + Sync,
    ) {
        self.rows_to_workers(part, periodic, &f);
    }

    /// One function for all closures, since each would have the pool's code anew; a call a row is not dear.
    fn rows_to_workers(&mut self, part: Part, periodic: [bool; D], f: &EachRow<'_, T>) {
        let (ghosts, extent, pool) = (self.grid.ghosts(), self.grid.extent(), self.pool().clone());
        let around = super::grid::lift(periodic, false);
        let mut items: Vec<(usize, Band<'_, T>)> = Vec::new();
        for (b, block) in self.blocks.iter_mut().enumerate() {
            let region = block.region.clone();
            let open = |a: usize| [region.begin[a] > 0 || around[a], region.end[a] < extent[a] || around[a]];
            let near = |a: usize, at: u64| {
                let (h, [before, behind]) = (ghosts[a] as u64, open(a));
                (before && at < region.begin[a] + h) || (behind && at + h >= region.end[a])
            };
            let across_x = open(0).contains(&true) && ghosts[0] > 0;
            let edge = |[y, z]: [u64; 2]| across_x || near(1, y) || near(2, z);
            let bands = match part {
                Part::All => block.pieces_mut(ghosts),
                Part::Edge => block.bands(ghosts, edge),
                Part::Interior => block.bands(ghosts, |at| !edge(at)),
            };
            items.extend(bands.into_iter().map(|band| (b, band)));
        }
        each_at_home(&pool, items, |(_, band)| band.home, |(b, band)| band.each_row(|at, row| f(b, at, row)));
    }

    pub(crate) fn boxes_of(&self) -> (&Arc<Boxes>, [u64; D]) {
        (&self.boxes, self.grid.cells())
    }

    /// # Panics
    /// If a field on those boxes does not lie as this one.
    pub(crate) fn must_lie_as(&self, (boxes, cells): (&Arc<Boxes>, [u64; D])) {
        let same = Arc::ptr_eq(&self.boxes, boxes) || (self.boxes == *boxes && self.grid.cells() == cells);
        assert!(
            same,
            "fields of {:?} cells (epoch {}) and of {cells:?} cells (epoch {}) lie on different boxes",
            self.grid.cells(),
            self.boxes.epoch(),
            boxes.epoch()
        );
    }
}
