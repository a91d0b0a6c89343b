//! One pass of a stencil over a field: every row of the result from rows of the source, in parallel.

use super::Field;
use super::cell::Cell;
use super::storage::{Band, Block};
use crate::memory::each_at_home;

/// Which rows a sweep computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Those that read no ghost cell of another box: they can be computed while a halo exchange is under way.
    Interior,
    /// The others.
    Edge,
    /// All.
    All,
}

/// The source of one row of a sweep.
pub struct Rows<'f, T> {
    block: &'f Block<T>,
    start: [u64; 3],
    halo: usize,
}

impl<T> std::fmt::Debug for Rows<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Rows({:?})", self.start)
    }
}

impl<'f, T: Cell> Rows<'f, T> {
    /// The source row at this distance in y and z, with its ghosts: cell i of the result lies at `[i + halo]`.
    ///
    /// # Panics
    /// If the distance is larger than the halo.
    #[inline]
    pub fn at(&self, dy: i64, dz: i64) -> &'f [T] {
        assert!(
            dy.unsigned_abs().max(dz.unsigned_abs()) <= self.halo as u64,
            "rows {dy}, {dz} away in a halo of {}",
            self.halo
        );
        self.block.row(self.start[1].cast_signed() + dy, self.start[2].cast_signed() + dz)
    }

    /// The position of the row's first cell.
    pub fn start(&self) -> [u64; 3] {
        self.start
    }

    /// The width of the halo.
    pub fn halo(&self) -> usize {
        self.halo
    }
}

/// Computes rows of `dst` from `src` by `kernel(rows, result)`, on this rank's workers; between rows communication
/// progresses. Rows go to workers of the domain that has their memory first. Local. Each cell's value must depend on the source alone, not on where rows or boxes are cut.
///
/// # Panics
/// If the fields lie on different boxes, as `kernel` does, or on a thread that is neither the rank's nor one of its workers.
pub fn sweep<T: Cell, const D: usize>(
    src: &Field<T, D>,
    dst: &mut Field<T, D>,
    part: Part,
    kernel: impl Fn(Rows<'_, T>, &mut [T]) + Sync,
) {
    assert!(src.aligned(dst), "a sweep between fields on different boxes");
    let (ghosts, extent, halo) = (src.grid.ghosts(), src.grid.extent(), src.grid.halo_width());
    let pool = dst.pool().clone();
    let mut items: Vec<(&Block<T>, Band<'_, T>)> = Vec::new();
    for (from, into) in src.blocks.iter().zip(&mut dst.blocks) {
        let region = from.region.clone();
        // Along an axis, cells that are nearer than the halo to a border with another box read its ghosts.
        let near = move |axis: usize, at: u64| {
            let h = ghosts[axis] as u64;
            (region.begin[axis] > 0 && at < region.begin[axis] + h)
                || (region.end[axis] < extent[axis] && at + h >= region.end[axis])
        };
        let x_is_cut = from.region.begin[0] > 0 || from.region.end[0] < extent[0];
        let edge = move |[y, z]: [u64; 2]| (x_is_cut && ghosts[0] > 0) || near(1, y) || near(2, z);
        let bands = into.bands(ghosts, |at| match part {
            Part::All => true,
            Part::Edge => edge(at),
            Part::Interior => !edge(at),
        });
        items.extend(bands.into_iter().map(|band| (from, band)));
    }
    each_at_home(
        &pool,
        items,
        |(_, band)| band.home,
        |(block, band)| {
            band.each_row(|start, row| kernel(Rows { block, start, halo }, row));
        },
    );
}
