//! Hashes and extrema of all cells, and all cells in one place: the same on any number of ranks, workers and boxes.

use super::cell::Cell;
use super::{Field, grid};
use crate::World;
use crate::memory::each_at_home;
use physalia_collectives::{Abort, By, Max};

impl<T: Cell, const D: usize> Field<T, D> {
    /// A hash of all (global index, bits): the sum, modulo 2^64, of a mix of both for every cell. It tells fields apart that
    /// differ in a single bit, and does not depend on how the field is cut. Collective; one all-reduce of 8 bytes.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    pub fn hash(&self, world: &mut World) -> Result<u64, Abort> {
        let [nx, ny, _] = self.grid.extent();
        let mine = self.fold_rows(
            || 0u64,
            |sum, [x, y, z], row| {
                let first = (z * ny + y) * nx + x;
                (first..).zip(row).fold(sum, |sum, (index, cell)| sum.wrapping_add(mix(mix(index) ^ cell.bits())))
            },
            u64::wrapping_add,
        );
        world.all_reduce(mine, By(u64::wrapping_add))
    }

    /// The largest of `f(position, value)` over all cells; NaN if any is NaN. Collective; one all-reduce of 8 bytes.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    pub fn max_of(&self, world: &mut World, f: impl Fn([u64; D], T) -> f64 + Sync) -> Result<f64, Abort> {
        let larger = |a: f64, b: f64| if b > a || b.is_nan() { b } else { a };
        let mine =
            self.fold_rows(
                || f64::NEG_INFINITY,
                |max, [x, y, z], row| {
                    (x..).zip(row).fold(max, |max, (x, &cell)| {
                        if max.is_nan() { max } else { larger(max, f(grid::lower([x, y, z]), cell)) }
                    })
                },
                |a, b| if a.is_nan() { a } else { larger(a, b) },
            );
        world.all_reduce(mine, Max)
    }

    /// The whole field on rank 0, x fastest, then y; `None` elsewhere. For small fields. Collective; every rank sends its
    /// cells to rank 0.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    pub fn gather(&self, world: &mut World) -> Result<Option<Vec<T>>, Abort> {
        let own = self.blocks.iter().flat_map(|b| {
            let len = b.region.len(0) as usize;
            b.region.rows().flat_map(move |at| b.part(at, len).iter().copied())
        });
        let own: Vec<T> = own.collect();
        let Some(parts) = world.gather_v(0, &own)? else { return Ok(None) };
        let [nx, ny, nz] = self.grid.extent();
        let mut whole = vec![T::default(); (nx * ny * nz) as usize];
        for rank in 0..world.size() {
            let mut rest = &parts[rank as usize];
            for id in self.boxes.of_rank(rank) {
                let region = self.boxes.region(id);
                let len = region.len(0) as usize;
                for [x, y, z] in region.rows() {
                    let (row, after) = rest.split_at(len);
                    let start = ((z * ny + y) * nx + x) as usize;
                    whole[start..start + len].copy_from_slice(row);
                    rest = after;
                }
            }
        }
        Ok(Some(whole))
    }

    /// Folds this rank's rows (position of the first cell, cells) on its workers; long rows come in parts. `merge` must be
    /// associative; it goes in the order of rows.
    pub(super) fn fold_rows<A: Send>(
        &self,
        init: impl Fn() -> A + Sync,
        fold: impl Fn(A, [u64; 3], &[T]) -> A + Sync,
        merge: impl Fn(A, A) -> A,
    ) -> A {
        let pieces = self.blocks.iter().flat_map(|block| block.pieces().map(move |piece| (block, piece)));
        let pieces: Vec<_> = pieces.collect();
        let mut parts: Vec<Option<A>> = pieces.iter().map(|_| None).collect();
        let items = pieces.into_iter().zip(&mut parts).collect();
        each_at_home(
            self.pool(),
            items,
            |((_, piece), _)| piece.home,
            |((block, piece), part)| {
                *part = Some(piece.rows().fold(init(), |acc, at| fold(acc, at, block.part(at, piece.len))));
            },
        );
        // What is missing at the end of a job is not seen any more.
        parts.into_iter().flatten().fold(init(), merge)
    }
}

/// A bijection of 64 bits in which every bit of the input moves about half of the output's (the finalizer of splitmix64:
/// Steele, Lea, Flood 2014).
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}
