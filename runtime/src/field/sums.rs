//! Sums over the cells of fields: the same bits on any number of ranks, workers and boxes.
//!
//! The blocks of a field are *runs*: up to 4,096 cells of one row that begin at a multiple of 4,096 of x. Inside a run, terms
//! are added in eight lanes (see [`par`](crate::par)), each starting from +0.0; the runs' sums are added exactly; the total is
//! rounded once. Boxes never split a run.

use super::Field;
use super::cell::Cell;
use super::storage::Block;
use crate::World;
use crate::blocks::{self, BLOCK};
use crate::exact::Exact;
use crate::lanes::Lanes;
use crate::total::{Total, across, norm};
use physalia_collectives::Abort;
use physalia_collectives::check::Print;
use std::panic::Location;

impl<T: Cell, const D: usize> Field<T, D> {
    /// The sum of all cells; +0.0 if it is zero, NaN if a cell is NaN or infinities of both signs occur. Collective; each rank
    /// sends one accumulator of at most 274 bytes. Costs as much as a plain sum, and an exact addition (some nanoseconds) a
    /// run: 10 to 20 per cent of rows of 512 cells in cache, nothing that can be seen from memory.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    pub fn sum(&self, world: &mut World) -> Result<f64, Abort> {
        let print = self.print("Field::sum", Location::caller());
        self.sum_in::<Exact>(world, print, Cell::as_f64)
    }

    /// The dot product with another field: the sum of the cells' products, each rounded to `f64` (those of `f32` are exact). A
    /// product beyond the range of `f64` is infinite or zero, as alone. Otherwise as [`Field::sum`], at the same cost.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If the fields lie on different boxes.
    #[track_caller]
    pub fn dot(&self, world: &mut World, other: &Field<T, D>) -> Result<f64, Abort> {
        let print = self.print("Field::dot", Location::caller());
        self.dot_in::<Exact>(world, print, other)
    }

    /// The Euclidean norm: the root of the sum of the cells' squares, of every size that `f64` has (no factor for the size of a
    /// cell). Where squares might overflow or vanish (the sum of squares is infinite, or below 2^-900, so also where it is
    /// zero) it is summed a second time, scaled by a power of two. Otherwise as [`Field::sum`], at the same cost.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    pub fn norm(&self, world: &mut World) -> Result<f64, Abort> {
        let print = self.print("Field::norm", Location::caller());
        self.norm_in::<Exact>(world, print)
    }

    pub(crate) fn print(&self, op: &'static str, at: &'static Location<'static>) -> Print {
        Print::new::<Field<T, D>>(op, [self.grid.fingerprint(), 0], at)
    }

    pub(crate) fn sum_in<A: Total>(
        &self,
        world: &mut World,
        print: Print,
        term: impl Fn(T) -> f64 + Sync,
    ) -> Result<f64, Abort> {
        self.over_runs::<A>(world, print, |_, block, at, len| {
            let mut lanes = Lanes::default();
            lanes.add(block.part(at, len), &term);
            lanes.total()
        })
    }

    pub(crate) fn dot_in<A: Total>(&self, world: &mut World, print: Print, other: &Field<T, D>) -> Result<f64, Abort> {
        assert!(self.aligned(other), "a dot product of fields on different boxes");
        self.over_runs::<A>(world, print, |b, block, at, len| {
            let mut lanes = Lanes::default();
            lanes.add_pairs(block.part(at, len), other.blocks[b].part(at, len), |x, y| x.as_f64() * y.as_f64());
            lanes.total()
        })
    }

    pub(crate) fn norm_in<A: Total>(&self, world: &mut World, print: Print) -> Result<f64, Abort> {
        norm(|scale| {
            self.sum_in::<A>(world, print, |cell| {
                let x = cell.as_f64() * scale;
                x * x
            })
        })
    }

    /// Adds `run(number of the box here, box, first cell, cells)` of all runs.
    fn over_runs<A: Total>(
        &self,
        world: &mut World,
        print: Print,
        run: impl Fn(usize, &Block<T>, [u64; 3], usize) -> f64 + Sync,
    ) -> Result<f64, Abort> {
        // Workers take *batches*: one run of a long row, or short rows that make about a block of cells.
        let batches = |block: &Block<T>| {
            let [nx, ny, nz] = [0, 1, 2].map(|a| block.region.len(a));
            let (runs, rows) = (nx.div_ceil(BLOCK), (BLOCK / nx).max(1));
            (runs, rows, ny, (ny * nz).div_ceil(rows) * runs)
        };
        // A batch's first row, and its cells' place in that.
        let place = |block: &Block<T>, batch: u64| {
            let (runs, rows, ..) = batches(block);
            (batch / runs * rows, batch % runs * BLOCK)
        };
        let cell = |block: &Block<T>, row: u64, x: u64| {
            let ([x0, y0, z0], ny) = (block.region.begin, block.region.len(1));
            [x0 + x, y0 + row % ny, z0 + row / ny]
        };
        // They are counted domain by domain: a *stretch* is those of one box that are at home in one domain.
        let cuts_of = |block: &Block<T>| {
            block.cuts(batches(block).3 as usize, |batch| {
                let (row, x) = place(block, batch as u64);
                cell(block, row, x)
            })
        };
        let cuts_in: Vec<Vec<usize>> = self.blocks.iter().map(cuts_of).collect();
        let (mut stretches, mut cuts, mut count) = (Vec::new(), vec![0], 0);
        for d in 0..world.pool().domains() {
            for (b, cuts) in cuts_in.iter().enumerate() {
                stretches.push((b, count, cuts[d] as u64));
                count += (cuts[d + 1] - cuts[d]) as u64;
            }
            cuts.push(count);
        }
        let parts = blocks::over_at(world, &cuts, A::default, |total, number| {
            let (b, before, batch) = stretches[stretches.partition_point(|s| s.1 <= number) - 1];
            let block = &self.blocks[b];
            let (row, x) = place(block, batch + (number - before));
            let (_, rows, ny, _) = batches(block);
            let len = BLOCK.min(block.region.len(0) - x) as usize;
            for row in row..(ny * block.region.len(2)).min(row + rows) {
                total.add(run(b, block, cell(block, row, x), len));
            }
        });
        across(world, print, parts)
    }
}
