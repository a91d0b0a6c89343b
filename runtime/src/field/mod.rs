//! Fields: values on the cells of a grid, spread over ranks as boxes.
//!
//! A [`Grid`] of 1 to 3 axes is cut into boxes (`boxes`), each owned by one rank. A rank stores its boxes with a *halo*: a
//! ring of ghost cells around each. Invariant: ghost cells inside the grid are valid only between the end of a halo exchange
//! ([`HaloPlan`](crate::halo::HaloPlan)) and the next write to the field; ghost cells outside the grid are zero and stay so
//! (zero Dirichlet boundaries).
//!
//! Axes are `[x, y, z]`, x is contiguous. A *row* is a line of cells along x. Methods are local, unless they take the world.
//!
//! ```
//! use physalia::prelude::*;
//! let mut world = World::alone();
//! let mut u = Field::<f64, 2>::new(&mut world, Grid::new([6, 4]))?;
//! u.fill(|[x, y]| (x + 10 * y) as f64);
//! assert_eq!((u.len(), u.get([5, 3])), (24, Some(35.0)));
//! assert_eq!(u.sum(&mut world)?, 420.0);
//! # Ok::<(), Abort>(())
//! ```

mod arithmetic;
mod array;
pub mod boxes;
mod cell;
mod extremes;
mod global;
mod grid;
mod map;
mod moves;
mod parts;
mod reduce;
mod snapshot;
pub(crate) mod storage;
mod sums;
mod sweep;
mod transfer;

pub use boxes::{Boxes, Region};
pub use cell::Cell;
pub use extremes::Extreme;
pub use grid::Grid;
pub(crate) use grid::lift;
pub(crate) use snapshot::copy;
pub use sweep::{Part, Rows, sweep};
pub use transfer::Transfer;

use crate::World;
use crate::memory::Locality;
use crate::pool::Pool;
use physalia_collectives::Abort;
use physalia_collectives::check::Print;
use std::io;
use std::panic::Location;
use std::sync::Arc;
use storage::Block;

/// Values on the cells of a grid of D axes; this rank has those of its boxes.
pub struct Field<T, const D: usize> {
    pub(crate) grid: Grid<D>,
    pub(crate) boxes: Arc<Boxes>,
    pub(crate) blocks: Vec<Block<T>>,
    pool: Arc<Pool>,
}

impl<T, const D: usize> std::fmt::Debug for Field<T, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Field({:?}, {} boxes here)", self.grid, self.blocks.len())
    }
}

impl<T: Cell, const D: usize> Field<T, D> {
    /// A field of zeros, cut so that ranks have equal shares and small borders, those between hosts first. If the grid has fewer parts than there are
    /// ranks, some ranks have none. Each domain of a rank's workers has a part of each box as its home, and touches it first; with one
    /// domain, memory is touched when it is first written. Collective: all ranks ask for the same grid.
    ///
    /// # Errors
    /// An agreed abort if a rank has no memory for its part; or the job's abort.
    #[track_caller]
    pub fn new(world: &mut World, grid: Grid<D>) -> Result<Field<T, D>, Abort> {
        let boxes = Boxes::on_hosts(grid.extent(), &world.hosts_of_ranks());
        Field::with_boxes(world, grid, boxes)
    }

    /// As `new`, cut and dealt out as `boxes` says.
    ///
    /// # Errors
    /// As `new`.
    ///
    /// # Panics
    /// If the boxes are of another grid, or have owners that are not there.
    #[track_caller]
    pub fn with_boxes(world: &mut World, grid: Grid<D>, boxes: Boxes) -> Result<Field<T, D>, Abort> {
        assert_eq!(boxes.extent(), grid.extent(), "the cells of the boxes and of the grid");
        assert!(boxes.owners().iter().all(|&o| o < world.size()), "boxes of ranks that are not there");
        let print =
            Print::new::<Field<T, D>>("Field::new", [grid.fingerprint(), boxes.fingerprint()], Location::caller());
        world.merge_parts(print, vec![], |_, _| (), |_| vec![])?;
        let (mine, pool) = (boxes.of_rank(world.rank()), world.pool().clone());
        let blocks: Result<Vec<Block<T>>, String> =
            mine.into_iter().map(|id| Block::new(id, boxes.region(id), grid.ghosts(), &pool)).collect();
        let blocks = world.agree(blocks)?;
        Ok(Field { grid, boxes: Arc::new(boxes), blocks, pool })
    }

    /// A field of zeros on the same boxes, at home as they are. Local, so all ranks must do it alike.
    ///
    /// # Panics
    /// If there is no memory for it.
    pub fn like(&self) -> Field<T, D> {
        let blocks = self.blocks.iter().map(|block| block.like(&self.pool)).collect();
        Field { grid: self.grid, boxes: self.boxes.clone(), blocks, pool: self.pool.clone() }
    }

    /// The grid.
    pub fn grid(&self) -> &Grid<D> {
        &self.grid
    }

    /// How the grid is cut, and who owns which box.
    pub fn boxes(&self) -> &Boxes {
        &self.boxes
    }

    /// The number of cells of this rank, without ghosts; 0 if it has no box.
    pub fn len(&self) -> u64 {
        self.blocks.iter().map(|b| b.region.cells()).sum()
    }

    /// Whether this rank has no cells.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The value of one of this rank's cells; `None` if the cell is another rank's.
    pub fn get(&self, cell: [u64; D]) -> Option<T> {
        let at = grid::lift(cell, 0);
        self.blocks.iter().find(|b| b.region.contains(at)).map(|b| b.value(at))
    }

    /// Changes the value of one of this rank's cells; `false` if the cell is another rank's.
    pub fn set(&mut self, cell: [u64; D], value: T) -> bool {
        let at = grid::lift(cell, 0);
        let block = self.blocks.iter_mut().find(|b| b.region.contains(at));
        block.map(|b| *b.value_mut(at) = value).is_some()
    }

    /// Every cell from its position, in parallel.
    ///
    /// # Panics
    /// As `f` does, or on a thread that is neither the rank's nor one of its workers.
    pub fn fill(&mut self, f: impl Fn([u64; D]) -> T + Sync) {
        self.each_row_mut(|_, [x0, y, z], row| {
            for (x, cell) in (x0..).zip(row) {
                *cell = f(grid::lower([x, y, z]));
            }
        });
    }

    /// Where the pages of this rank's cells lie now, ghosts and the ends of rows among them, and how many of them are on a node
    /// of their home domain; see [`NumaVec::locality`](crate::memory::NumaVec::locality).
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn locality(&self) -> io::Result<Locality> {
        self.blocks.iter().map(Block::locality).sum()
    }

    /// Its rows, as pointers.
    pub(crate) fn raws(&mut self) -> Vec<storage::Raw<T>> {
        self.blocks.iter_mut().map(Block::raw).collect()
    }

    /// Cells before a row's first own one, from row to row, and before all rows; the same in all boxes unless they divide x.
    pub(crate) fn row_shape(&self) -> [usize; 3] {
        storage::row_shape::<T>(self.boxes.region(0).len(0), self.grid.ghosts()[0])
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Whether `other` lies on the same boxes.
    pub(crate) fn aligned(&self, other: &Field<T, D>) -> bool {
        Arc::ptr_eq(&self.boxes, &other.boxes) || (self.boxes == other.boxes && self.grid == other.grid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::halo::HaloPlan;
    use crate::pool::Idle;
    use crate::world::Room;
    use physalia_collectives::Comm;
    use physalia_topology::{Core, CpuSet, Domain, Machine, Source, Wish};

    /// One rank on a machine of so many nodes, of two cores each.
    fn world(nodes: u32) -> World {
        let core = |cpu| Core::of(CpuSet::from_iter([cpu]));
        let domain = |node| Domain {
            node,
            cores: vec![core(2 * node), core(2 * node + 1)],
            memory_bytes: None,
            memory_kind: None,
        };
        let machine = Machine::of(Source::Sysfs, (0..nodes).map(domain).collect());
        let (mask, wish) = (machine.mask(), Wish::default());
        let room = Room { machine: &machine, mask: &mask, wish: &wish, idle: Idle::Auto };
        let layout = World::alone().layout().clone();
        World::in_process(Comm::alone(), &room, &layout).unwrap()
    }

    /// Two boxes, one of which has huge pages and one that is too small.
    fn boxes() -> (Grid<3>, Boxes) {
        let grid = Grid::new([4100, 40, 30]).halo(2);
        (grid, Boxes::with([vec![0, 4096, 4100], vec![0, 40], vec![0, 30]], vec![0, 0]))
    }

    fn results(world: &mut World) -> Vec<u64> {
        let (grid, boxes) = boxes();
        let mut u = Field::<f64, 3>::with_boxes(world, grid, boxes).unwrap();
        u.fill(|[x, y, z]| ((x * 31 + y * 17 + z * 7) % 1013) as f64 - 506.3);
        let mut next = u.like();
        let mean = |rows: Rows<'_, f64>, out: &mut [f64]| {
            for (i, cell) in out.iter_mut().enumerate() {
                *cell = 0.3 * (rows.at(-2, 0)[i + 2] + rows.at(0, 1)[i + 4]) + rows.at(0, 0)[i];
            }
        };
        let mut plan = HaloPlan::new(world, &u).unwrap();
        let flight = plan.start(world, &u).unwrap();
        sweep(&u, &mut next, Part::Interior, mean);
        flight.finish(&mut u).unwrap();
        sweep(&u, &mut next, Part::Edge, mean);
        let floats = [
            next.sum(world).unwrap(),
            next.norm(world).unwrap(),
            next.dot(world, &u).unwrap(),
            next.max_of(world, |[x, y, z], value| value * (1.0 + (x + y + z) as f64)).unwrap(),
        ];
        let mut bits: Vec<u64> = floats.iter().map(|x| x.to_bits()).collect();
        bits.push(next.hash(world).unwrap());
        bits.extend(next.gather(world).unwrap().unwrap().iter().map(|x| x.to_bits()));
        bits
    }

    #[test]
    fn domains_do_not_show_in_results() {
        let alone = results(&mut world(1));
        for nodes in [2, 3] {
            let mut several = world(nodes);
            assert_eq!(several.pool().domains(), nodes as usize);
            assert!(results(&mut several) == alone, "{nodes} domains");
        }
    }

    #[test]
    fn several_domains_have_touched_their_parts() {
        let (grid, boxes) = boxes();
        let mut several = world(2);
        let u = Field::<f64, 3>::with_boxes(&mut several, grid, boxes.clone()).unwrap();
        let locality = match u.locality() {
            Err(e) => return println!("skipped: {e}"),
            Ok(locality) => locality,
        };
        assert_eq!(locality.present, locality.pages);
        let here = u.like().locality().unwrap();
        assert_eq!((here.pages, here.present), (locality.pages, locality.present));
        let one = Field::<f64, 3>::with_boxes(&mut world(1), grid, boxes).unwrap();
        assert_eq!(one.locality().unwrap(), Locality { present: 0, at_home: 0, ..locality });
    }
}
