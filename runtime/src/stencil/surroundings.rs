//! Ghosts at the ends of the rows of a rank's boxes, where kernels do not set them: of fields that others have written, and of
//! rows that were put together.

use super::ends::Ends;
use super::places::Geometry;
use super::tables::Raws;
use crate::field::{Cell, Region};
use crate::pool::Pool;
use std::ops::Range;

/// A box of this rank.
pub(super) struct Mine<T: Cell> {
    pub region: Region,
    /// The ends of rows, by field.
    pub ends: Vec<Ends<T>>,
}

/// Sets the ghosts at the walls of a box's row of a field, of which all cells are there.
pub(super) fn ends_of<T: Cell>(
    geometry: &Geometry<T>,
    boxes: &[Mine<T>],
    input: usize,
    step: u64,
) -> impl Fn(usize, *mut T, [i64; 2]) {
    move |index, row, [y, z]| {
        let region = &boxes[index].region;
        let (columns, clip) = ((0, region.len(0) as isize), geometry.clip(region).0[0]);
        let place = [region.begin[0].cast_signed(), y, z];
        // SAFETY: a row of the tables' own, with ghosts on both sides.
        unsafe { boxes[index].ends[input].apply(row, columns, &clip, geometry.radius, place, step) };
    }
}

/// Sets the ghosts at the ends of all own rows.
///
/// # Safety
/// Nobody else uses the arrays meanwhile; they have halos as wide as the radius.
pub(super) unsafe fn ghosts<T: Cell>(
    pool: &Pool,
    geometry: &Geometry<T>,
    boxes: &[Mine<T>],
    arrays: &[Raws<T>],
    input: impl Fn(usize) -> usize + Sync,
    step: u64,
) {
    let items = rows_of(boxes, arrays.len());
    let arrays = Shared(arrays);
    pool.each(items, |_, (k, index, rows)| {
        let (arrays, mine) = (&arrays, &boxes[index]);
        let (region, ends) = (&mine.region, &mine.ends[input(k)]);
        let columns = (0, region.len(0) as isize);
        let clip = geometry.clip(region).0[0];
        for row in rows {
            let at = [region.begin[1] + row % region.len(1), region.begin[2] + row / region.len(1)];
            let place = [region.begin[0], at[0], at[1]].map(u64::cast_signed);
            let row = arrays.rows(k)[index].row(at);
            // SAFETY: an own row, which one worker has; it has ghosts as wide as the halo.
            unsafe {
                ends.apply(row, columns, &clip, geometry.radius, place, step);
                ends.wrap(row, columns);
            }
        }
    });
}

/// Sets the ghosts at the ends of all own rows to zero.
///
/// # Safety
/// Nobody else uses the arrays meanwhile; rows have so many ghosts on each side.
pub(super) unsafe fn zero_ghosts<T: Cell>(pool: &Pool, boxes: &[Mine<T>], arrays: &[Raws<T>], ghosts: usize) {
    let items = rows_of(boxes, arrays.len());
    let arrays = Shared(arrays);
    pool.each(items, |_, (k, index, rows)| {
        let (arrays, region) = (&arrays, &boxes[index].region);
        for row in rows {
            let at = [region.begin[1] + row % region.len(1), region.begin[2] + row / region.len(1)];
            let row = arrays.rows(k)[index].row(at);
            // SAFETY: ghosts of an own row, which one worker has.
            unsafe {
                std::slice::from_raw_parts_mut(row.wrapping_sub(ghosts), ghosts).fill(T::default());
                let behind = row.wrapping_add(region.len(0) as usize);
                std::slice::from_raw_parts_mut(behind, ghosts).fill(T::default());
            }
        }
    });
}

/// The own rows of so many arrays in portions for workers: array, box, rows.
fn rows_of<T: Cell>(boxes: &[Mine<T>], arrays: usize) -> Vec<(usize, usize, Range<u64>)> {
    const ROWS: u64 = 256;
    let mut items = Vec::new();
    for k in 0..arrays {
        for (index, mine) in boxes.iter().enumerate() {
            let rows = mine.region.len(1) * mine.region.len(2);
            items.extend((0..rows.div_ceil(ROWS)).map(|part| (k, index, part * ROWS..rows.min((part + 1) * ROWS))));
        }
    }
    items
}

/// Arrays that workers share, each of which uses its own rows.
pub(super) struct Shared<'a, T>(pub &'a [Raws<T>]);

impl<T> Shared<'_, T> {
    /// Of array k, the rows of all boxes.
    pub(super) fn rows(&self, k: usize) -> &Raws<T> {
        &self.0[k]
    }
}

// SAFETY: as said.
unsafe impl<T: Send> Sync for Shared<'_, T> {}
