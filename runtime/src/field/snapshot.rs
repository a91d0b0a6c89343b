//! A rank's cells in memory of their own: what is written to files while the field goes on.

use super::cell::Cell;
use super::{Field, Region};
use ndarray::{ArrayView3, Axis, s};

/// Bytes that a worker copies at a time.
const PIECE: usize = 256 << 10;

impl<T: Cell, const D: usize> Field<T, D> {
    /// A copy of this rank's cells, without ghosts: for each of its boxes, where it lies and its cells, x fastest, then y.
    /// Made by all workers. Local; takes as much memory as the cells.
    ///
    /// ```
    /// use physalia::prelude::*;
    /// let mut u = Field::<u8, 2>::new(&mut World::alone(), Grid::new([3, 2]))?;
    /// u.fill(|[x, y]| (x + 10 * y) as u8);
    /// assert_eq!(u.snapshot()[0].1, [0, 1, 2, 10, 11, 12]);
    /// # Ok::<(), Abort>(())
    /// ```
    ///
    /// # Panics
    /// On a thread that is neither the rank's nor one of its workers; if there is no memory.
    pub fn snapshot(&self) -> Vec<(Region, Vec<T>)> {
        let views = self.views();
        let mut boxes: Vec<(Region, Vec<T>)> = views
            .iter()
            .map(|(region, _)| ((*region).clone(), bytemuck::zeroed_vec(region.cells() as usize)))
            .collect();
        let mut items: Vec<(ArrayView3<'_, T>, &mut [T])> = Vec::new();
        for ((_, view), (region, cells)) in views.iter().zip(&mut boxes) {
            let [nx, ny] = [0, 1].map(|a| region.len(a) as usize);
            let rows = (PIECE / (nx * size_of::<T>())).clamp(1, ny);
            for (z, plane) in cells.chunks_mut(nx * ny).enumerate() {
                for (piece, into) in plane.chunks_mut(nx * rows).enumerate() {
                    let (y, len) = (piece * rows, into.len() / nx);
                    items.push((view.slice_move(s![z..z + 1, y..y + len, ..]), into));
                }
            }
        }
        self.pool().each(items, |_, (from, into)| copy(&from, into));
        boxes
    }

    /// Sets those of this rank's cells that lie in the region; `cells` are the region's, x fastest. Gives how many. Local.
    pub(crate) fn set_own(&mut self, region: &Region, cells: &[T]) -> u64 {
        let [nx, ny] = [0, 1].map(|a| region.len(a));
        let mut count = 0;
        for block in &mut self.blocks {
            let Some(both) = block.region.and(region) else { continue };
            let len = both.len(0) as usize;
            for at in both.rows() {
                let [x, y, z] = std::array::from_fn(|a| at[a] - region.begin[a]);
                let start = ((z * ny + y) * nx + x) as usize;
                block.part_mut(at, len).copy_from_slice(&cells[start..start + len]);
            }
            count += both.cells();
        }
        count
    }
}

/// The cells of a cuboid, `[z, y, x]`, one after another.
pub(crate) fn copy<T: Cell>(from: &ArrayView3<'_, T>, into: &mut [T]) {
    let rows = from.axis_iter(Axis(0)).flat_map(|plane| plane.into_outer_iter());
    for (row, into) in rows.zip(into.chunks_mut(from.len_of(Axis(2)))) {
        match row.to_slice() {
            Some(row) => into.copy_from_slice(row),
            None => into.iter_mut().zip(row).for_each(|(to, from)| *to = *from),
        }
    }
}
