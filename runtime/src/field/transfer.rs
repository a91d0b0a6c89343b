//! Transfers between fields: the cells and ghosts of one field from another's cells, which may lie on other boxes in other
//! hands, and the ghosts of a field from its own cells, also around periodic axes.
//!
//! A [`Transfer`] is prepared once and run often, as a [`HaloPlan`](crate::halo::HaloPlan): one message to each rank that has
//! something to get. What stays on a rank and does not wrap around is copied from field to field by the workers at home.

use super::boxes::Region;
use super::cell::Cell;
use super::{Boxes, Field, Grid};
use crate::World;
use physalia_collectives::{Abort, ExchangePlan, Link};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Cells that travel from a box to another, or to where they are ghosts.
#[derive(Clone, Debug)]
struct Strip {
    /// The box that gets them, then the box that has them.
    boxes: (usize, usize),
    /// How often around each periodic axis.
    around: [i64; 3],
    /// Where they lie in the box that has them.
    region: Region,
}

impl Strip {
    fn cells(&self) -> usize {
        self.region.cells() as usize
    }

    /// Where a cell of the source is in the box that gets it; before the grid that is below zero, wrapped.
    fn there(&self, at: [u64; 3], extent: [u64; 3]) -> [u64; 3] {
        std::array::from_fn(|a| at[a].wrapping_add((self.around[a] * extent[a].cast_signed()).cast_unsigned()))
    }
}

/// A transfer that is prepared: bound to one communicator, the boxes of both fields and their epochs.
#[derive(Debug)]
pub struct Transfer<T: Cell, const D: usize> {
    cells: [u64; D],
    into: Grid<D>,
    boxes: [Arc<Boxes>; 2],
    exchange: ExchangePlan<T>,
    sends: Vec<Vec<Strip>>,
    recvs: Vec<Vec<Strip>>,
    /// What is copied without a message: number of the box that gets it here, the one that has it here, and the cells.
    here: Vec<(usize, usize, Region)>,
    /// Nothing ever travels, on no rank.
    idle: bool,
}

/// A transfer under way. It borrows only the plan.
#[must_use = "the cells come with finish"]
#[derive(Debug)]
pub(crate) struct Passage<'p, T: Cell, const D: usize> {
    plan: &'p mut Transfer<T, D>,
}

impl<T: Cell, const D: usize> Transfer<T, D> {
    /// Prepares the exchange of a field's ghosts: faces, edges and corners, as wide as its halo, and around the axes that are
    /// periodic. Ghosts beyond other walls stay as they are. Collective, as [`HaloPlan::new`](crate::halo::HaloPlan::new), at
    /// the same cost.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If the halo is wider than a periodic axis is long.
    #[track_caller]
    pub fn of_ghosts(world: &mut World, field: &Field<T, D>, periodic: [bool; D]) -> Result<Transfer<T, D>, Abort> {
        Transfer::prepare(world, field, field, periodic, true)
    }

    /// Prepares the way of all cells from one field into another of the same grid on other boxes, with the ghosts that the
    /// other one has. Collective, as `of_ghosts`.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If the grids have different cells, or a halo is wider than a periodic axis is long.
    #[track_caller]
    pub fn between(
        world: &mut World,
        from: &Field<T, D>,
        into: &Field<T, D>,
        periodic: [bool; D],
    ) -> Result<Transfer<T, D>, Abort> {
        Transfer::prepare(world, from, into, periodic, false)
    }

    #[track_caller]
    fn prepare(
        world: &mut World,
        from: &Field<T, D>,
        into: &Field<T, D>,
        periodic: [bool; D],
        ghosts_only: bool,
    ) -> Result<Transfer<T, D>, Abort> {
        let (cells, extent, halo) = (from.grid.cells(), from.grid.extent(), into.grid.ghosts());
        assert_eq!(cells, into.grid.cells(), "a transfer between fields of different cells");
        let fits = (0..D).all(|a| !periodic[a] || halo[a] as u64 <= cells[a]);
        assert!(fits, "a halo of {} around a periodic axis, in a grid of {cells:?} cells", into.grid.halo_width());
        let ways = around(periodic);
        let (source, target) = (from.boxes.clone(), into.boxes.clone());
        // The cells of `source` that a box needs, if they go so often around.
        let needed = |id: usize, way: [i64; 3]| moved(&target.region(id), halo, way, extent);
        let (mut sends, mut recvs) = (BTreeMap::<u32, Vec<Strip>>::new(), BTreeMap::<u32, Vec<Strip>>::new());
        let (me, mut here) = (world.rank(), Vec::new());
        for &way in &ways {
            for (b, block) in into.blocks.iter().enumerate() {
                let Some(need) = needed(block.id, way) else { continue };
                for other in source.touching(&need) {
                    let Some(region) = need.and(&source.region(other)) else { continue };
                    let (owner, straight) = (source.owners()[other], way == [0; 3]);
                    if ghosts_only && straight && other == block.id {
                        continue;
                    }
                    if !ghosts_only && straight && owner == me {
                        let s = from.blocks.iter().position(|s| s.id == other).expect("an own box");
                        here.push((b, s, region));
                    } else {
                        let strip = Strip { boxes: (block.id, other), around: way, region };
                        recvs.entry(owner).or_default().push(strip);
                    }
                }
            }
            let back = way.map(|w| -w);
            for block in &from.blocks {
                let Some(reach) = moved(&block.region, halo, back, extent) else { continue };
                for other in target.touching(&reach) {
                    let (owner, straight) = (target.owners()[other], way == [0; 3]);
                    let own = straight && if ghosts_only { other == block.id } else { owner == me };
                    let region = needed(other, way).and_then(|need| need.and(&block.region));
                    if let Some(region) = region.filter(|_| !own) {
                        let strip = Strip { boxes: (other, block.id), around: way, region };
                        sends.entry(owner).or_default().push(strip);
                    }
                }
            }
        }
        let links = |list: &mut BTreeMap<u32, Vec<Strip>>| -> Vec<Link> {
            // Both ends of a message pack in the same order.
            list.values_mut().for_each(|strips| strips.sort_by_key(|s| (s.boxes, s.around)));
            let len = |strips: &Vec<Strip>| strips.iter().map(Strip::cells).sum();
            list.iter().map(|(&rank, strips)| Link { rank, len: len(strips) }).collect()
        };
        let exchange = world.exchange_plan(&links(&mut sends), &links(&mut recvs))?;
        let idle = world.size() == 1 && recvs.is_empty();
        let strips = |list: BTreeMap<u32, Vec<Strip>>| list.into_values().collect();
        let (sends, recvs) = (strips(sends), strips(recvs));
        Ok(Transfer { cells, into: into.grid, boxes: [source, target], exchange, sends, recvs, here, idle })
    }

    /// Fills `into` from `from`. Collective over ranks that have something for each other.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If a field lies on other boxes or an older epoch than the plan was made for, or `world` is not the one that it was made
    /// with.
    #[track_caller]
    pub fn run(&mut self, world: &mut World, from: &Field<T, D>, into: &mut Field<T, D>) -> Result<(), Abort> {
        let passage = self.start(world, from)?;
        passage.plan.copy_here(from, into);
        passage.finish(into)
    }

    /// Fills the ghosts of a field from its own cells, by a plan `of_ghosts`. Collective over neighbours.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// As [`run`](Transfer::run).
    #[track_caller]
    pub fn ghosts(&mut self, world: &mut World, field: &mut Field<T, D>) -> Result<(), Abort> {
        self.start(world, field)?.finish(field)
    }

    /// Whether nothing ever travels, on no rank.
    pub(crate) fn idle(&self) -> bool {
        self.idle
    }

    /// Copies what travels and sends it; `finish` receives.
    #[track_caller]
    pub(crate) fn start(&mut self, world: &mut World, from: &Field<T, D>) -> Result<Passage<'_, T, D>, Abort> {
        self.check(0, from);
        if self.idle {
            return Ok(Passage { plan: self });
        }
        self.exchange.finish()?;
        for (i, strips) in self.sends.iter().enumerate() {
            let mut rest = self.exchange.outgoing(i);
            for strip in strips {
                let block = from.blocks.iter().find(|b| b.id == strip.boxes.1).expect("an own box is sent from");
                let len = strip.region.len(0) as usize;
                for at in strip.region.rows() {
                    let (row, after) = rest.split_at_mut(len);
                    row.copy_from_slice(block.part(at, len));
                    rest = after;
                }
            }
        }
        self.exchange.start(world)?;
        Ok(Passage { plan: self })
    }

    fn copy_here(&self, from: &Field<T, D>, into: &mut Field<T, D>) {
        self.check(1, into);
        // Own cells by the workers, then ghosts, which are few.
        let here = &self.here;
        into.each_row_mut(|b, at, row| {
            let [x, y, z] = at;
            let piece = Region { begin: at, end: [x + row.len() as u64, y + 1, z + 1] };
            for (_, s, region) in here.iter().filter(|(to, ..)| *to == b) {
                if let Some(common) = region.and(&piece) {
                    let (first, len) = ((common.begin[0] - x) as usize, common.len(0) as usize);
                    row[first..first + len].copy_from_slice(from.blocks[*s].part(common.begin, len));
                }
            }
        });
        for (b, s, region) in &self.here {
            let (block, source) = (&mut into.blocks[*b], &from.blocks[*s]);
            let own = block.region.clone();
            for at in region.rows() {
                let [x, y, z] = at;
                let end = region.end[0];
                let ghosts = if own.contains([own.begin[0], y, z]) {
                    [x..end.min(own.begin[0]), x.max(own.end[0])..end]
                } else {
                    [x..end, end..end]
                };
                for part in ghosts.into_iter().filter(|part| !part.is_empty()) {
                    let (at, len) = ([part.start, y, z], (part.end - part.start) as usize);
                    block.part_mut(at, len).copy_from_slice(source.part(at, len));
                }
            }
        }
    }

    fn check(&self, which: usize, field: &Field<T, D>) {
        let boxes = &self.boxes[which];
        let same = Arc::ptr_eq(boxes, &field.boxes) || **boxes == *field.boxes;
        let fits = self.cells == field.grid.cells() && (which == 0 || self.into == field.grid);
        assert!(
            same && fits,
            "a transfer for {:?} cells (epoch {}) and a field on {:?} (epoch {})",
            self.cells,
            boxes.epoch(),
            field.grid,
            field.boxes.epoch()
        );
    }
}

impl<T: Cell, const D: usize> Passage<'_, T, D> {
    /// Waits for what comes, and puts it in its place.
    pub(crate) fn finish(self, into: &mut Field<T, D>) -> Result<(), Abort> {
        let plan = self.plan;
        plan.check(1, into);
        if plan.idle {
            return Ok(());
        }
        plan.exchange.finish()?;
        let extent = plan.into.extent();
        for (i, strips) in plan.recvs.iter().enumerate() {
            let mut rest = plan.exchange.incoming(i);
            for strip in strips {
                let block = into.blocks.iter_mut().find(|b| b.id == strip.boxes.0).expect("an own box is received for");
                let len = strip.region.len(0) as usize;
                for at in strip.region.rows() {
                    let (row, after) = rest.split_at(len);
                    block.part_mut(strip.there(at, extent), len).copy_from_slice(row);
                    rest = after;
                }
            }
        }
        Ok(())
    }
}

/// No turn, and one in either direction around each periodic axis.
fn around<const D: usize>(periodic: [bool; D]) -> Vec<[i64; 3]> {
    let turns = |a: usize| if a < D && periodic[a] { -1..=1 } else { 0..=0 };
    turns(2).flat_map(|z| turns(1).flat_map(move |y| turns(0).map(move |x| [x, y, z]))).collect()
}

/// The cells of the grid from which a region with its halo is filled by so many turns.
fn moved(region: &Region, halo: [usize; 3], way: [i64; 3], extent: [u64; 3]) -> Option<Region> {
    let bound = |a: usize, at: i64| (at - way[a] * extent[a].cast_signed()).clamp(0, extent[a].cast_signed()) as u64;
    let begin = std::array::from_fn(|a| bound(a, region.begin[a].cast_signed() - halo[a] as i64));
    let end = std::array::from_fn(|a| bound(a, region.end[a].cast_signed() + halo[a] as i64));
    (0..3).all(|a| begin[a] < end[a]).then_some(Region { begin, end })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Launch;
    use crate::random::Random;

    /// The value of a cell, also seen around periodic axes; 7.5 beyond other walls, which nobody may touch.
    fn seen<const D: usize>(at: [i64; 3], cells: [u64; D], periodic: [bool; D]) -> f64 {
        let mut index = 0;
        for a in (0..D).rev() {
            let n = cells[a] as i64;
            let c = if periodic[a] { at[a].rem_euclid(n) } else { at[a] };
            if !(0..n).contains(&c) {
                return 7.5;
            }
            index = index * n + c;
        }
        1.0 + index as f64
    }

    fn jumbled(cuts: &[Vec<u64>; 3], ranks: u32, seed: u64) -> Boxes {
        let count: u64 = cuts.iter().map(|c| c.len() as u64 - 1).product();
        Boxes::with(cuts.clone(), (0..count).map(|i| Random::new(seed).below(i, ranks.into()) as u32).collect())
    }

    fn check<const D: usize>(world: &mut World, cells: [u64; D], halo: usize, cuts: [[Vec<u64>; 3]; 2]) {
        let grid = Grid::new(cells).halo(halo);
        let boxes = [0, 1].map(|i| jumbled(&cuts[i], world.size(), i as u64));
        let lowered = |at: [u64; D]| std::array::from_fn(|a| at.get(a).map_or(0, |&c| c as i64));
        for turn in 0..1 << D {
            let periodic = std::array::from_fn(|a| turn >> a & 1 == 1);
            let fresh = |world: &mut World, which: usize| {
                let mut u = Field::<f64, D>::with_boxes(world, grid, boxes[which].clone()).unwrap();
                for block in &mut u.blocks {
                    let (ghosts, r) = (grid.ghosts().map(|g| g as i64), block.region.clone());
                    let side = |a: usize| r.begin[a] as i64 - ghosts[a]..r.end[a] as i64 + ghosts[a];
                    for (z, y) in side(2).flat_map(|z| side(1).map(move |y| (z, y))) {
                        let (x, len) = (side(0).start as u64, side(0).count());
                        block.part_mut([x, y as u64, z as u64], len).fill(7.5);
                    }
                }
                u
            };
            let whole = |u: &Field<f64, D>| {
                for block in &u.blocks {
                    let (ghosts, r) = (grid.ghosts().map(|g| g as i64), &block.region);
                    let side = |a: usize| r.begin[a] as i64 - ghosts[a]..r.end[a] as i64 + ghosts[a];
                    for at in side(2).flat_map(|z| side(1).flat_map(move |y| side(0).map(move |x| [x, y, z]))) {
                        assert_eq!(block.value_near(at), Some(seen(at, cells, periodic)), "{at:?} {periodic:?}");
                    }
                }
            };
            let mut u = fresh(world, 0);
            u.fill(|at| seen(lowered(at), cells, periodic));
            let mut v = fresh(world, 1);
            let mut ghosts = Transfer::of_ghosts(world, &u, periodic).unwrap();
            let mut over = Transfer::between(world, &u, &v, periodic).unwrap();
            for _ in 0..2 {
                over.run(world, &u, &mut v).unwrap();
                whole(&v);
                ghosts.ghosts(world, &mut u).unwrap();
                whole(&u);
            }
        }
    }

    #[test]
    fn every_cell_and_ghost_is_its_owners() {
        for ranks in [1, 2, 3, 5] {
            let job = Launch::from_env().ranks(ranks).threads(2).run(|world| {
                let one = |n: [u64; 3]| n.map(|n| vec![0, n]);
                check(world, [5, 6, 4], 1, [[vec![0, 5], vec![0, 2, 6], vec![0, 1, 4]], one([5, 6, 4])]);
                check(
                    world,
                    [3, 5],
                    2,
                    [[vec![0, 3], vec![0, 1, 2, 5], vec![0, 1]], [vec![0, 3], vec![0, 4, 5], vec![0, 1]]],
                );
                check(world, [1, 2, 1], 1, [one([1, 2, 1]), [vec![0, 1], vec![0, 1, 2], vec![0, 1]]]);
                let x = [vec![0, 4096, 8195], vec![0, 1], vec![0, 1]];
                check(world, [8195], 2, [x.clone(), one([8195, 1, 1])]);
                check(world, [8195], 2, [one([8195, 1, 1]), x]);
                check(world, [4099, 3], 1, [[vec![0, 4096, 4099], vec![0, 1, 3], vec![0, 1]], one([4099, 3, 1])]);
                Ok(())
            });
            job.unwrap();
        }
    }
}
