//! One box in memory: its cells with ghosts around, row after row.
//!
//! Rows have a pitch of whole cache lines, and not a power of two of them: rows of neighbouring y would else fall into the
//! same cache sets.

use super::boxes::Region;
use super::cell::Cell;
use ndarray::{ArrayView3, ShapeBuilder};

const LINE: usize = 64;
/// Bytes of rows that a worker takes at a time: some of its L2 cache.
const BAND: usize = 128 << 10;

/// The cells of one box. Positions are global; ghost cells may be asked for too.
pub(crate) struct Block<T> {
    pub id: usize,
    pub region: Region,
    ghosts: [usize; 3],
    pitch: usize,
    cells: Vec<T>,
}

impl<T: Cell> Block<T> {
    /// Zeros. Fresh pages come zeroed from the system, so nothing is touched yet.
    ///
    /// # Errors
    /// If the box is larger than memory can be addressed.
    pub(crate) fn new(id: usize, region: Region, ghosts: [usize; 3]) -> Result<Block<T>, String> {
        let side = |a: usize| usize::try_from(region.len(a)).ok()?.checked_add(2 * ghosts[a]);
        let too_large = || {
            let [x, y, z] = [0, 1, 2].map(|a| region.len(a));
            format!("a box of {x} × {y} × {z} cells of {} bytes is larger than memory can be addressed", size_of::<T>())
        };
        let pitch = side(0).and_then(padded::<T>).ok_or_else(too_large)?;
        let count = side(1).zip(side(2)).and_then(|(y, z)| pitch.checked_mul(y)?.checked_mul(z));
        let count = count.filter(|c| c.checked_mul(size_of::<T>()).is_some_and(|b| b <= isize::MAX as usize));
        let cells = bytemuck::allocation::try_zeroed_vec(count.ok_or_else(too_large)?).map_err(|()| {
            format!(
                "no memory for {:.1} GiB of cells",
                (count.unwrap_or(0) * size_of::<T>()) as f64 / (1u64 << 30) as f64
            )
        })?;
        Ok(Block { id, region, ghosts, pitch, cells })
    }

    pub(crate) fn like(&self) -> Block<T> {
        Block::new(self.id, self.region.clone(), self.ghosts).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Where the row of (y, z) begins, with its ghosts. Global positions, ghosts counted from below zero.
    fn row_start(&self, y: i64, z: i64) -> usize {
        let local = |at: i64, axis: usize| {
            let local = at - self.region.begin[axis].cast_signed() + self.ghosts[axis] as i64;
            debug_assert!((0..(self.region.len(axis) as i64 + 2 * self.ghosts[axis] as i64)).contains(&local));
            local as usize
        };
        let rows = self.region.len(1) as usize + 2 * self.ghosts[1];
        (local(z, 2) * rows + local(y, 1)) * self.pitch
    }

    /// The cells of the row, with ghosts at both ends.
    pub(crate) fn row(&self, y: i64, z: i64) -> &[T] {
        let start = self.row_start(y, z);
        &self.cells[start..start + self.region.len(0) as usize + 2 * self.ghosts[0]]
    }

    /// `len` cells from x on, ghosts or not.
    pub(crate) fn part(&self, [x, y, z]: [u64; 3], len: usize) -> &[T] {
        let start = self.cell(x, y, z);
        &self.cells[start..start + len]
    }

    pub(crate) fn part_mut(&mut self, [x, y, z]: [u64; 3], len: usize) -> &mut [T] {
        let start = self.cell(x, y, z);
        &mut self.cells[start..start + len]
    }

    fn cell(&self, x: u64, y: u64, z: u64) -> usize {
        let x = x.cast_signed() - self.region.begin[0].cast_signed() + self.ghosts[0] as i64;
        self.row_start(y.cast_signed(), z.cast_signed()) + usize::try_from(x).expect("a cell of the box or its halo")
    }

    /// The cells without ghosts, axes `[z, y, x]`.
    pub(crate) fn view(&self) -> ArrayView3<'_, T> {
        let [nx, ny, nz] = [0, 1, 2].map(|a| self.region.len(a) as usize);
        let [x, y, z] = self.region.begin;
        let rows = ny + 2 * self.ghosts[1];
        let shape = (nz, ny, nx).strides((rows * self.pitch, self.pitch, 1));
        ArrayView3::from_shape(shape, &self.cells[self.cell(x, y, z)..]).expect("a box lies inside its memory")
    }

    pub(crate) fn value(&self, cell: [u64; 3]) -> T {
        self.part(cell, 1)[0]
    }

    pub(crate) fn value_mut(&mut self, cell: [u64; 3]) -> &mut T {
        &mut self.part_mut(cell, 1)[0]
    }

    /// The box's own rows for which `choose((y, z))`, in bands for workers. Neighbouring chosen rows of one plane share a band.
    pub(crate) fn bands(&mut self, ghosts: [usize; 3], choose: impl Fn([u64; 2]) -> bool) -> Vec<Band<'_, T>> {
        let (region, pitch) = (self.region.clone(), self.pitch);
        let most = (BAND / (pitch * size_of::<T>())).max(1);
        let rows = region.len(1) as usize + 2 * ghosts[1];
        let mut bands: Vec<Band<'_, T>> = Vec::new();
        let planes = self.cells.chunks_mut(rows * pitch).skip(ghosts[2]);
        for (z, mut plane) in (region.begin[2]..region.end[2]).zip(planes) {
            let mut at = 0; // rows of the plane that are split off already
            let mut y = region.begin[1];
            while y < region.end[1] {
                let count = (y..region.end[1]).take(most).take_while(|&y| choose([y, z])).count();
                if count > 0 {
                    let first = (y - region.begin[1]) as usize + ghosts[1];
                    let (_, rest) = plane.split_at_mut((first - at) * pitch);
                    let (mine, rest) = rest.split_at_mut(count * pitch);
                    (plane, at) = (rest, first + count);
                    let start = [region.begin[0], y, z];
                    bands.push(Band { start, len: region.len(0) as usize, ghosts: ghosts[0], pitch, cells: mine });
                }
                y += count.max(1) as u64;
            }
        }
        bands
    }
}

/// Cells of a row with ghosts, so that rows begin on new cache lines and do not lie a power of two apart.
fn padded<T>(cells: usize) -> Option<usize> {
    let line = (LINE / size_of::<T>()).max(1);
    let pitch = cells.checked_next_multiple_of(line)?;
    if (pitch * size_of::<T>()).is_multiple_of(1024) { pitch.checked_add(line) } else { Some(pitch) }
}

/// Some neighbouring rows of one plane of a box, to be written by one worker.
pub(crate) struct Band<'f, T> {
    start: [u64; 3],
    len: usize,
    ghosts: usize,
    pitch: usize,
    cells: &'f mut [T],
}

impl<T> Band<'_, T> {
    /// Each row: its first cell's position, and its cells without ghosts.
    pub(crate) fn each_row(self, mut f: impl FnMut([u64; 3], &mut [T])) {
        let [x, y, z] = self.start;
        for (y, row) in (y..).zip(self.cells.chunks_mut(self.pitch)) {
            f([x, y, z], &mut row[self.ghosts..self.ghosts + self.len]);
        }
    }
}
