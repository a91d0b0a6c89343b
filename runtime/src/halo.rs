//! Halo exchange: the ghost cells of every box from the boxes that own them.
//!
//! A [`HaloPlan`] is made once and run often. `start` copies border cells to the mailboxes of the neighbours (or into messages,
//! between hosts); from then on the field may be read *and written*. `finish` waits for the neighbours and fills the ghosts. In
//! between, compute what needs no ghosts:
//!
//! ```
//! use physalia::prelude::*;
//! # let mut world = World::alone();
//! let mut u = Field::<f64, 2>::new(&mut world, Grid::new([64, 64]))?;
//! let mut next = u.like();
//! let mut plan = HaloPlan::new(&mut world, &u)?;
//! let mean = |rows: Rows<f64>, out: &mut [f64]| {
//!     let (above, here, below) = (rows.at(-1, 0), rows.at(0, 0), rows.at(1, 0));
//!     for (i, cell) in out.iter_mut().enumerate() {
//!         *cell = 0.25 * (above[i + 1] + below[i + 1] + here[i] + here[i + 2]);
//!     }
//! };
//! let flight = plan.start(&mut world, &u)?;
//! sweep(&u, &mut next, Part::Interior, mean);
//! flight.finish(&mut u)?;
//! sweep(&u, &mut next, Part::Edge, mean);
//! # Ok::<(), Abort>(())
//! ```

use crate::World;
use crate::field::{Boxes, Cell, Field, Grid, Region};
use physalia_collectives::{Abort, Link, Mailboxes};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A region that travels from one box to another.
#[derive(Clone, Debug)]
struct Strip {
    /// The box whose ghosts are filled, then the box that owns the cells.
    boxes: (usize, usize),
    region: Region,
}

impl Strip {
    fn cells(&self) -> usize {
        self.region.cells() as usize
    }
}

/// An exchange prepared once and run often: bound to one communicator, one grid and one epoch of its boxes.
#[derive(Debug)]
pub struct HaloPlan<T: Cell, const D: usize> {
    grid: Grid<D>,
    boxes: Arc<Boxes>,
    mailboxes: Mailboxes<T>,
    /// What each message holds, by the order of the plan's links.
    sends: Vec<Vec<Strip>>,
    recvs: Vec<Vec<Strip>>,
}

/// An exchange under way. It borrows only the plan.
#[must_use = "the ghosts come with finish"]
#[derive(Debug)]
pub struct Flight<'p, T: Cell, const D: usize> {
    plan: &'p mut HaloPlan<T, D>,
}

impl<T: Cell, const D: usize> HaloPlan<T, D> {
    /// Prepares the exchange of faces, edges and corners, as wide as the grid's halo. Collective. A run costs two copies of the
    /// border cells within a host, and one message to each rank of another one that owns a neighbouring box.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    pub fn new(world: &mut World, field: &Field<T, D>) -> Result<HaloPlan<T, D>, Abort> {
        let (boxes, ghosts) = (field.boxes.clone(), field.grid.ghosts());
        let extent = field.grid.extent();
        let grown = |id: usize| boxes.region(id).grown(ghosts, extent);
        let (mut sends, mut recvs) = (BTreeMap::<u32, Vec<Strip>>::new(), BTreeMap::<u32, Vec<Strip>>::new());
        for block in &field.blocks {
            for other in boxes.touching(&grown(block.id)).into_iter().filter(|&id| id != block.id) {
                let owner = boxes.owners()[other];
                let strip = |list: &mut BTreeMap<u32, Vec<Strip>>, ghost: usize, source: usize| {
                    if let Some(region) = grown(ghost).and(&boxes.region(source)) {
                        list.entry(owner).or_default().push(Strip { boxes: (ghost, source), region });
                    }
                };
                strip(&mut recvs, block.id, other);
                strip(&mut sends, other, block.id);
            }
        }
        let links = |list: &mut BTreeMap<u32, Vec<Strip>>| -> Vec<Link> {
            // Both ends of a message pack in the same order.
            list.values_mut().for_each(|strips| strips.sort_by_key(|s| s.boxes));
            let len = |strips: &Vec<Strip>| strips.iter().map(Strip::cells).sum();
            list.iter().map(|(&rank, strips)| Link { rank, len: len(strips) }).collect()
        };
        let mailboxes = world.mailboxes(&links(&mut sends), &links(&mut recvs))?;
        let strips = |list: BTreeMap<u32, Vec<Strip>>| list.into_values().collect();
        Ok(HaloPlan { grid: field.grid, mailboxes, sends: strips(sends), recvs: strips(recvs), boxes })
    }

    fn check(&self, field: &Field<T, D>) {
        let same = Arc::ptr_eq(&self.boxes, &field.boxes) || *self.boxes == *field.boxes;
        assert!(
            same && self.grid == field.grid,
            "a plan for {:?} (epoch {}) and a field on {:?} (epoch {})",
            self.grid,
            self.boxes.epoch(),
            field.grid,
            field.boxes.epoch()
        );
    }

    /// Copies border cells and sends them. A flight that was forgotten is finished first. Collective over neighbours.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If the field lies on another grid, on other boxes or an older epoch than the plan was made for, or `world` is not the
    /// one that it was made with.
    #[track_caller]
    pub fn start(&mut self, world: &mut World, field: &Field<T, D>) -> Result<Flight<'_, T, D>, Abort> {
        self.check(field);
        let mut fill = self.mailboxes.open(world)?;
        for (i, strips) in self.sends.iter().enumerate() {
            let mut place = 0;
            for strip in strips {
                let block = field.blocks.iter().find(|b| b.id == strip.boxes.1).expect("an own box is sent from");
                let len = strip.region.len(0) as usize;
                for at in strip.region.rows() {
                    fill.write_alone(i, place, block.part(at, len));
                    place += len;
                }
            }
        }
        fill.send()?;
        Ok(Flight { plan: self })
    }
}

impl<T: Cell, const D: usize> Flight<'_, T, D> {
    /// Waits for the neighbours and fills the ghosts. Local: it waits only for neighbours.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If the field lies on another grid, on other boxes or an older epoch than the plan was made for.
    pub fn finish(self, field: &mut Field<T, D>) -> Result<(), Abort> {
        let plan = self.plan;
        plan.check(field);
        plan.mailboxes.finish()?;
        for (i, strips) in plan.recvs.iter().enumerate() {
            let mut place = 0;
            for strip in strips {
                let block =
                    field.blocks.iter_mut().find(|b| b.id == strip.boxes.0).expect("an own box is received for");
                let len = strip.region.len(0) as usize;
                for at in strip.region.rows() {
                    plan.mailboxes.read(i, place, block.part_mut(at, len));
                    place += len;
                }
            }
        }
        Ok(())
    }
}
