//! What a stepper prepares before its first step: it checks what it was given, chooses the shape of sweeps, and makes room.

use super::isa::Set;
use super::places::Geometry;
use super::point::Values;
use super::ready::{Ready, Task};
use super::shape::{Facts, MAX_TIME_BLOCK, Shape, largest};
use super::tables::Raws;
use super::taps::At;
use super::tune::{self, Tune};
use super::walls::Walls;
use super::{Stencil, Stepper};
use crate::World;
use crate::field::{Boxes, Cell, Field, Grid};
use physalia_collectives::{Abort, Max};
use std::time::Instant;

impl<T: Cell, const D: usize, S: Stencil<T, R, K>, const R: usize, const K: usize> Stepper<T, D, S, R, K> {
    /// Prepares the boxes of these fields, unless that is done. Collective if it is not, so on all ranks or none.
    #[track_caller]
    pub(super) fn prepare(&mut self, world: &mut World, fields: &mut [&mut Field<T, D>]) -> Result<(), Abort> {
        let outputs = S::Out::N;
        let count = if self.leapfrog { 2 * outputs } else { outputs };
        assert_eq!(fields.len(), count, "fields to step");
        assert_eq!(self.reads.len(), K - outputs, "fields that are only read");
        let first = &fields[0];
        assert!(fields.iter().all(|f| f.aligned(first)), "fields on different boxes");
        assert!(self.reads.iter().all(|f| f.aligned(first)), "fields that are read on different boxes");
        let mine = first.boxes.of_rank(world.rank());
        let here = |f: &Field<T, D>| f.blocks.iter().map(|block| block.id).eq(mine.iter().copied());
        let all_here = fields.iter().all(|f| here(f)) && self.reads.iter().all(here);
        assert!(all_here, "fields that were made by another rank, or on another communicator");
        if self.ready.as_ref().is_some_and(|ready| ready.fits(first, world.threads())) {
            return Ok(());
        }
        // What follows may end early; then nothing is prepared.
        self.ready = None;
        let grid = *first.grid();
        let uneven =
            (0..D).find(|&a| self.walls.iter().any(|w| w.0[a][0].is_periodic() != self.walls[0].0[a][0].is_periodic()));
        let fault = self.walls.iter().find_map(|walls| walls.fault(grid.cells(), R));
        let fault =
            fault.or(uneven.map(|a| format!("{} is periodic for some fields and not for others", ["x", "y", "z"][a])));
        world.agree(fault.map_or(Ok(()), Err))?;
        let outside = |at: &At| (0..D).any(|a| at.cell[a] >= grid.cells()[a]);
        let points = self.points.sources.iter().map(|(at, _)| at).chain(&self.points.receivers);
        if let Some(at) = points.into_iter().find(|at| outside(at)) {
            panic!("a source or receiver at {:?} in a grid of {:?} cells", at.cell, grid.cells());
        }
        let ghosts = grid.ghosts()[0];
        assert!(ghosts >= R, "a stencil of radius {R} on a grid with a halo of {ghosts}: Grid::halo({R})");
        let boxes = first.boxes.clone();
        let mut geometry = Geometry {
            dims: D,
            extent: grid.extent(),
            radius: R,
            depth: R,
            walls: self.walls.iter().map(Walls::lifted).collect(),
        };
        let set = self.set.map_or_else(Set::choose, Ok);
        let set = world.agree(set)?;
        let kernel = (self.kernel)(set);
        let mut most = self.limit.unwrap_or(MAX_TIME_BLOCK).min(MAX_TIME_BLOCK);
        if geometry.makes_rows() {
            most = 1;
        }
        let cuts_x = geometry.cuts_x(&boxes);
        if (geometry.is_periodic(0) || cuts_x) && R > 0 {
            most = most.min(ghosts / R);
        }
        if cuts_x && R > 0 {
            // What lies beyond a wall of x is known to the box at that wall alone, so none may look past that.
            let shortest = (0..boxes.len()).map(|id| boxes.region(id).len(0) as usize).min().unwrap_or(0);
            let fault = format!("a box of {shortest} cells along x, where a stencil of radius {R} needs {}", R + 1);
            world.agree(if shortest > R { Ok(()) } else { Err(fault) })?;
            most = most.min((shortest - 1) / R);
        }
        let facts = Facts {
            dims: D,
            radius: R,
            inputs: K,
            outputs,
            leapfrog: self.leapfrog,
            rows: kernel.rows,
            along_stream: kernel.along_stream(D),
            bytes: size_of::<T>(),
            cells: largest(&geometry, &boxes),
            workers: world.threads(),
            cache_bytes: physalia_topology::sysfs::cache_bytes(2).unwrap_or(1 << 20),
        };
        let depth_of = |shape: &Shape| R * shape.steps;
        let shape = match self.remembered(world, &facts, most, set)? {
            Some(shape) => shape,
            None => {
                let tries = tune::candidates(&facts, most, self.tune);
                // The depth of halos must be the same everywhere.
                let tries: Vec<[u64; 4]> = world.from_root(|| Ok::<_, String>(tries.iter().map(numbers).collect()))?;
                let tries: Vec<Shape> = tries.into_iter().map(shape).collect();
                geometry.depth = tries.iter().map(depth_of).max().unwrap_or(0);
                self.room(world, &boxes, grid, count)?;
                let mut ready =
                    Ready::new(world, geometry.clone(), tries[0], kernel, fields[0], &mut self.reads, &self.points)?;
                let best = self.try_out(world, &mut ready, fields, &tries)?;
                let kind = self.kind(&facts, most, set, world.size());
                let file = self.tune_file.clone();
                let kept = world.on_root(|| match file {
                    Some(path) => tune::remember(&path, &kind, &best)
                        .map_err(|e| format!("cannot write {}, where shapes are remembered: {e}", path.display())),
                    None => Ok(()),
                });
                world.agree(kept.unwrap_or(Ok(())))?;
                best
            }
        };
        geometry.depth = depth_of(&shape);
        let copies = if self.leapfrog && shape.steps == 1 { 0 } else { count };
        self.room(world, &boxes, grid, copies)?;
        self.ready = Some(Ready::new(world, geometry, shape, kernel, fields[0], &mut self.reads, &self.points)?);
        Ok(())
    }

    /// Sees to it that there are so many more fields on these boxes. Collective.
    #[track_caller]
    fn room(&mut self, world: &mut World, boxes: &Boxes, grid: Grid<D>, copies: usize) -> Result<(), Abort> {
        if self.scratch.iter().any(|field| *field.boxes != *boxes || *field.grid() != grid) {
            self.scratch.clear();
        }
        self.scratch.truncate(copies);
        while self.scratch.len() < copies {
            let mut field = Field::with_boxes(world, grid, boxes.clone())?;
            // Where pages are laid at their first use, that is now, by the workers at home, not in the midst of the first steps.
            field.fill(|_| T::default());
            self.scratch.push(field);
        }
        Ok(())
    }

    fn kind(&self, facts: &Facts, most: usize, set: Set, ranks: u32) -> String {
        tune::kind(facts, set.name(), std::any::type_name::<S>(), most, ranks)
    }

    /// The shape that needs no tries: what was asked for, what the model says, or what was found before. Collective.
    #[track_caller]
    fn remembered(&self, world: &mut World, facts: &Facts, most: usize, set: Set) -> Result<Option<Shape>, Abort> {
        let modelled = if self.limit.is_some() { facts.shape(most) } else { facts.best(most) };
        let kind = self.kind(facts, most, set, world.size());
        let (tile, tune, file) = (self.tile, self.tune, self.tune_file.clone());
        let found = world.from_root(|| {
            if let Some([x, y, z]) = tile {
                let tile = if D == 2 { [x, 1, y] } else { [x, y, z] };
                return Ok(Some(numbers(&Shape { steps: modelled.steps, tile })));
            }
            if tune == Tune::Off {
                return Ok(Some(numbers(&modelled)));
            }
            let Some(path) = file else { return Ok(None) };
            let recalled = tune::recall(&path, &kind)
                .map_err(|e| format!("cannot read {}, where shapes are remembered: {e}", path.display()))?;
            Ok::<_, String>(recalled.filter(|shape| shape.steps <= most).map(|shape| numbers(&shape)))
        })?;
        Ok(found.map(shape))
    }

    /// Times sweeps of these shapes into memory where nothing stands yet, and gives the fastest. Collective.
    #[track_caller]
    fn try_out(
        &mut self,
        world: &mut World,
        ready: &mut Ready<T>,
        fields: &mut [&mut Field<T, D>],
        tries: &[Shape],
    ) -> Result<Shape, Abort> {
        let most_s = if self.tune == Tune::Full { 60.0 } else { 1.0 };
        let now: Vec<Raws<T>> = fields.iter_mut().map(|field| field.raws()).collect();
        let next: Vec<Raws<T>> = self.scratch.iter_mut().map(Field::raws).collect();
        let (began, mut best) = (Instant::now(), (f64::INFINITY, tries[0]));
        for shape in tries {
            ready.reshape(*shape, fields[0]);
            let (stencil, mut a_step) = (std::ptr::from_ref(&self.stencil).cast(), f64::INFINITY);
            for _ in 0..2 {
                let start = Instant::now();
                let task = Task {
                    stencil,
                    now: &now,
                    next: &next,
                    steps: shape.steps,
                    step: self.step,
                    more: false,
                    trial: true,
                };
                // SAFETY: as in `advance`; halos have old values, and the results are not used.
                unsafe { ready.sweep(world, &task, &mut self.points)? };
                a_step = a_step.min(start.elapsed().as_secs_f64() / shape.steps as f64);
            }
            let [a_step, so_far] = world.all_reduce([a_step, began.elapsed().as_secs_f64()], Max)?;
            if a_step < best.0 {
                best = (a_step, *shape);
            }
            if so_far > most_s {
                break;
            }
        }
        Ok(best.1)
    }
}

/// A shape as it travels: steps, tile.
fn numbers(shape: &Shape) -> [u64; 4] {
    let [x, m, s] = shape.tile.map(|n| n as u64);
    [shape.steps as u64, x, m, s]
}

fn shape([steps, x, m, s]: [u64; 4]) -> Shape {
    Shape { steps: steps as usize, tile: [x, m, s].map(|n| n as usize) }
}
