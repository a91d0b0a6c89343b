//! Fields as global arrays: cells by their global positions, wherever they lie. Any rank gives cells to their owners
//! ([`Field::put`]), and a rank asks for any cuboid of them ([`Field::gather_region`]); after Nieplocha, Harrison, Littlefield,
//! "Global Arrays" (1994), but collective, so that no rank's memory changes behind its back.

use super::boxes::Region;
use super::cell::Cell;
use super::{Field, grid};
use crate::World;
use ndarray::{ArrayD, ArrayViewD, ArrayViewMut3, IxDyn};
use physalia_collectives::Abort;
use physalia_collectives::check::Print;
use std::ops::Range;
use std::panic::Location;

impl<T: Cell, const D: usize> Field<T, D> {
    /// This rank's boxes to be written: where each lies, and its cells without ghosts, axes `[z, y, x]`. Fewer axes than three
    /// have length 1. Local; nothing is copied.
    ///
    /// ```
    /// use physalia::prelude::*;
    /// let mut u = Field::<f64, 2>::new(&mut World::alone(), Grid::new([6, 4]))?;
    /// for (region, mut cells) in u.views_mut() {
    ///     cells.fill(region.cells() as f64);
    /// }
    /// assert_eq!(u.get([5, 3]), Some(24.0));
    /// # Ok::<(), Abort>(())
    /// ```
    pub fn views_mut(&mut self) -> Vec<(Region, ArrayViewMut3<'_, T>)> {
        self.blocks.iter_mut().map(|block| (block.region.clone(), block.view_mut())).collect()
    }

    /// The value at a place that may be a ghost of one of this rank's boxes, or lie beyond the grid by less than the halo is
    /// wide; `None` if it is no cell and no ghost of this rank's. An own cell is always right. A ghost is what its owner's cell
    /// was at the last exchange ([`HaloPlan`](crate::halo::HaloPlan)), and zero before; beyond the grid it is what the program's
    /// boundary has put there, else zero. Local.
    pub fn value_near(&self, place: [i64; D]) -> Option<T> {
        let at = grid::lift(place, 0);
        let own =
            self.blocks.iter().find(|b| at.iter().all(|&c| c >= 0) && b.region.contains(at.map(i64::cast_unsigned)));
        let near = || self.blocks.iter().find_map(|block| block.value_near(at));
        own.map(|b| b.value(at.map(i64::cast_unsigned))).or_else(near)
    }

    /// So many cells along x from a place on, all of one of this rank's boxes or of its ghosts; `None` if no box has them so. What
    /// ghosts are worth is as [`value_near`](Field::value_near) says. Local.
    pub fn near(&self, place: [i64; D], cells: usize) -> Option<&[T]> {
        let (first, mut last) = (grid::lift(place, 0), grid::lift(place, 0));
        last[0] += cells.max(1) as i64 - 1;
        let block = self.blocks.iter().find(|block| block.is_near(first) && block.is_near(last))?;
        Some(block.part(first.map(i64::cast_unsigned), cells))
    }

    /// Gives cells to their owners: arrays, C-ordered (`[z, y, x]`) with as many axes as the grid, each with the position
    /// `[x, y, z]` of its first cell. Every rank gives what it has, or nothing. Where parts overlap, that of the highest rank
    /// stays, and of one rank the last. Ghosts are invalid until the next exchange. Collective; a message from each rank
    /// to each whose cells it gives, as long as the cells, and the few of a sparse exchange.
    ///
    /// ```
    /// use physalia::prelude::*;
    /// let mut world = World::alone();
    /// let mut u = Field::<f64, 2>::new(&mut world, Grid::new([6, 4]))?;
    /// let line = ndarray::arr2(&[[1.0, 2.0, 3.0]]).into_dyn();
    /// u.put(&mut world, &[([2, 1], line.view())])?;
    /// assert_eq!((u.get([2, 1]), u.get([4, 1]), u.get([4, 2])), (Some(1.0), Some(3.0), Some(0.0)));
    /// # Ok::<(), Abort>(())
    /// ```
    ///
    /// # Errors
    /// An agreed abort if a part has another number of axes or does not lie in the grid: no cell is changed, and all go on. Or
    /// the job's abort.
    #[track_caller]
    pub fn put(&mut self, world: &mut World, parts: &[([u64; D], ArrayViewD<'_, T>)]) -> Result<(), Abort> {
        let regions: Result<Vec<Region>, String> = parts.iter().map(|(begin, part)| self.place(*begin, part)).collect();
        let regions = world.agree(regions)?;
        let mut messages: Vec<(u32, Vec<u8>)> = Vec::new();
        for (region, (_, part)) in regions.iter().zip(parts) {
            if region.cells() == 0 {
                continue;
            }
            for id in self.boxes.touching(region) {
                let Some(common) = self.boxes.region(id).and(region) else { continue };
                let mut bytes: Vec<u8> = Vec::with_capacity(48 + common.cells() as usize * size_of::<T>());
                bytes.extend([common.begin, common.end].as_flattened().iter().flat_map(|n| n.to_le_bytes()));
                let cells = cells_of(part, region, &common);
                bytes.extend_from_slice(bytemuck::cast_slice(&cells));
                messages.push((self.boxes.owners()[id], bytes));
            }
        }
        for (_, bytes) in world.sparse_exchange(messages)? {
            let (head, cells) = bytes.split_at(48);
            let number = |i: usize| u64::from_le_bytes(head[8 * i..8 * i + 8].try_into().expect("8 bytes"));
            let region = Region { begin: [0, 1, 2].map(number), end: [3, 4, 5].map(number) };
            let block = self.blocks.iter_mut().find(|b| b.region.contains(region.begin)).expect("a part of an own box");
            let len = region.len(0) as usize;
            for (at, row) in region.rows().zip(cells.chunks_exact(len * size_of::<T>())) {
                bytemuck::cast_slice_mut(block.part_mut(at, len)).copy_from_slice(row);
            }
        }
        Ok(())
    }

    /// The whole field from an array on rank 0, C-ordered (`[z, y, x]`), of the grid's shape; what other ranks give is not
    /// looked at. Collective; rank 0 sends every other rank its cells. The inverse of [`Field::gather_array`].
    ///
    /// # Errors
    /// An agreed abort if rank 0 has no array or one of another shape; or the job's abort.
    #[track_caller]
    pub fn scatter_array(&mut self, world: &mut World, array: Option<&ArrayD<T>>) -> Result<(), Abort> {
        let shape: Vec<usize> = self.grid.cells().iter().rev().map(|&n| n as usize).collect();
        let right = world.on_root(|| match array {
            None => Err("no array to scatter".to_owned()),
            Some(array) if array.shape() != shape => {
                Err(format!("an array of shape {:?} for a field of shape {shape:?}", array.shape()))
            }
            Some(_) => Ok(()),
        });
        world.agree(right.unwrap_or(Ok(())))?;
        let parts: Vec<_> =
            array.filter(|_| world.rank() == 0).map(|array| ([0; D], array.view())).into_iter().collect();
        self.put(world, &parts)
    }

    /// The cells of a cuboid on one rank, as an array of as many axes as the grid, C-ordered (`[z, y, x]`); `None` elsewhere.
    /// A slice is a cuboid of one cell along an axis. Collective; ranks that have cells of it send them to that one.
    ///
    /// ```
    /// use physalia::prelude::*;
    /// let mut world = World::alone();
    /// let mut u = Field::<f64, 2>::new(&mut world, Grid::new([6, 4]))?;
    /// u.fill(|[x, y]| (x + 10 * y) as f64);
    /// let row = u.gather_region(&mut world, 0, [0..6, 2..3])?.expect("this is rank 0");
    /// assert_eq!((row.shape(), row[[0, 5]]), (&[1, 6][..], 25.0));
    /// # Ok::<(), Abort>(())
    /// ```
    ///
    /// # Errors
    /// The job's abort; also if ranks ask for different cuboids, or name different ranks.
    ///
    /// # Panics
    /// If the cuboid does not lie in the grid, or there is no such rank.
    #[track_caller]
    pub fn gather_region(
        &self,
        world: &mut World,
        rank: u32,
        region: [Range<u64>; D],
    ) -> Result<Option<ArrayD<T>>, Abort> {
        let cells = self.grid.cells();
        let fits = (0..D).all(|a| region[a].start <= region[a].end && region[a].end <= cells[a]);
        assert!(fits, "the cuboid {region:?} in a grid of {cells:?} cells");
        assert!(rank < world.size(), "a gather to rank {rank} of {}", world.size());
        let wanted = Region {
            begin: grid::lift(region.each_ref().map(|r| r.start), 0),
            end: grid::lift(region.each_ref().map(|r| r.end), 1),
        };
        let numbers = [wanted.begin, wanted.end]
            .as_flattened()
            .iter()
            .fold(u64::from(rank), |h, &n| (h ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29));
        let at = Location::caller();
        let print = Print::new::<Field<T, D>>("Field::gather_region", [self.grid.fingerprint(), numbers], at);
        world.merge_parts(print, vec![], |_, _| (), |_| vec![])?;
        let mut own: Vec<T> = Vec::new();
        for block in &self.blocks {
            let Some(common) = block.region.and(&wanted) else { continue };
            common.rows().for_each(|at| own.extend_from_slice(block.part(at, common.len(0) as usize)));
        }
        let Some(parts) = world.gather_v(rank, &own)? else { return Ok(None) };
        let [nx, ny, nz] = [0, 1, 2].map(|a| wanted.len(a) as usize);
        let mut all = vec![T::default(); nx * ny * nz];
        for sender in 0..world.size() {
            let mut rest = &parts[sender as usize];
            for id in self.boxes.of_rank(sender) {
                let Some(common) = self.boxes.region(id).and(&wanted) else { continue };
                for at in common.rows() {
                    let [x, y, z] = [0, 1, 2].map(|a| (at[a] - wanted.begin[a]) as usize);
                    let (start, len) = ((z * ny + y) * nx + x, common.len(0) as usize);
                    let (row, after) = rest.split_at(len);
                    all[start..start + len].copy_from_slice(row);
                    rest = after;
                }
            }
        }
        let shape: Vec<usize> = [nx, ny, nz][..D].iter().rev().copied().collect();
        Ok(Some(ArrayD::from_shape_vec(IxDyn(&shape), all).expect("as many cells as the cuboid has")))
    }

    /// Where a part lies.
    fn place(&self, begin: [u64; D], part: &ArrayViewD<'_, T>) -> Result<Region, String> {
        let (cells, shape) = (self.grid.cells(), part.shape());
        let end = |a: usize| begin[a].checked_add(shape[D - 1 - a] as u64).filter(|&end| end <= cells[a]);
        if shape.len() != D || (0..D).any(|a| end(a).is_none()) {
            return Err(format!("an array of shape {shape:?} at {begin:?} does not lie in a grid of {cells:?} cells"));
        }
        let end = std::array::from_fn::<u64, D, _>(|a| end(a).expect("looked at just now"));
        Ok(Region { begin: grid::lift(begin, 0), end: grid::lift(end, 1) })
    }
}

/// The cells of `common` from a part that lies at `region`, x fastest.
fn cells_of<T: Cell>(part: &ArrayViewD<'_, T>, region: &Region, common: &Region) -> Vec<T> {
    let axes = part.ndim();
    let mut part = part.view();
    for axis in 0..axes {
        let of = axes - 1 - axis;
        let (from, to) = (common.begin[axis] - region.begin[axis], common.end[axis] - region.begin[axis]);
        part.slice_axis_inplace(ndarray::Axis(of), (from as isize..to as isize).into());
    }
    part.iter().copied().collect()
}
