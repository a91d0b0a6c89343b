//! Steps of a stencil over fields.

use super::Stencil;
use super::isa::Set;
use super::kernel::Kernel;
use super::places::Geometry;
use super::point::{MAX_INPUTS, MAX_OUTPUTS, MAX_RADIUS, Values};
use super::ready::{Ready, Task};
use super::shape::{Facts, MAX_TIME_BLOCK, Shape, largest};
use super::tables::Raws;
use super::taps::{At, Points};
use super::tune::{self, Tune};
use super::walls::{Wall, Walls};
use crate::World;
use crate::field::{Boxes, Cell, Field, Grid, lift};
use physalia_collectives::{Abort, Max};
use std::marker::PhantomData;
use std::ops::Add;
use std::path::PathBuf;
use std::time::Instant;

/// Steps of a stencil: the update of a cell, what lies beyond the grid's walls, and how it is computed. It keeps the memory that
/// steps need beside the fields: one more copy of each that is stepped (none for a leapfrog that fuses no steps).
pub struct Stepper<T: Cell, const D: usize, S, const R: usize, const K: usize> {
    stencil: S,
    kernel: fn(Set) -> Kernel<T>,
    leapfrog: bool,
    walls: Vec<Walls<T, D>>,
    reads: Vec<Field<T, D>>,
    limit: Option<usize>,
    tune: Tune,
    tune_file: Option<PathBuf>,
    tile: Option<[usize; 3]>,
    set: Option<Set>,
    step: u64,
    points: Points<T>,
    scratch: Vec<Field<T, D>>,
    ready: Option<Ready<T>>,
    stencils: PhantomData<[(); R]>,
}

impl<T: Cell, const D: usize, S, const R: usize, const K: usize> std::fmt::Debug for Stepper<T, D, S, R, K> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Stepper(radius {R}, {K} fields, step {})", self.step)
    }
}

impl<T: Cell, const D: usize, S: Stencil<T, R, K>, const R: usize, const K: usize> Stepper<T, D, S, R, K> {
    const FITS: () = assert!(
        R <= MAX_RADIUS && K <= MAX_INPUTS && S::Out::N >= 1 && S::Out::N <= MAX_OUTPUTS && S::Out::N <= K,
        "a stencil has a radius of at most 8, reads at most 8 fields, and gives a value for 1 to 4 of those that it reads"
    );

    /// Steps from one level of time to the next. Beyond walls there are zeros, unless told otherwise.
    pub fn new(stencil: S) -> Stepper<T, D, S, R, K> {
        Stepper::made(stencil, false, Kernel::of::<S, R, K, D, false>)
    }

    /// Steps from two levels of time to the next, as of a wave: [`Point::old`](super::Point::old) is the earlier one.
    pub fn leapfrog(stencil: S) -> Stepper<T, D, S, R, K> {
        Stepper::made(stencil, true, Kernel::of::<S, R, K, D, true>)
    }

    fn made(stencil: S, leapfrog: bool, kernel: fn(Set) -> Kernel<T>) -> Stepper<T, D, S, R, K> {
        let () = Self::FITS;
        Stepper {
            stencil,
            kernel,
            leapfrog,
            walls: vec![Walls::all(Wall::Fixed(T::default())); K],
            reads: vec![],
            limit: None,
            tune: Tune::Off,
            tune_file: None,
            tile: None,
            set: None,
            step: 0,
            points: Points::none(),
            scratch: vec![],
            ready: None,
            stencils: PhantomData,
        }
    }

    /// What lies beyond the ends of the axes, for all fields.
    pub fn walls(mut self, walls: Walls<T, D>) -> Self {
        self.walls = vec![walls; K];
        self.ready = None;
        self
    }

    /// What lies beyond the ends of the axes, for field `k`. Axes are periodic for all fields or for none.
    ///
    /// # Panics
    /// If there is no such field.
    pub fn walls_of(mut self, k: usize, walls: Walls<T, D>) -> Self {
        self.walls[k] = walls;
        self.ready = None;
        self
    }

    /// The fields that are only read, the K-th last ones of the stencil's point. They lie on the same boxes as the others.
    pub fn reads(mut self, fields: Vec<Field<T, D>>) -> Self {
        self.reads = fields;
        self.ready = None;
        self
    }

    /// Adds to a cell of field `k` at each step: what `amount` gives for the number of steps done before, after the stencil's
    /// new value. Sources of one cell add in the order in which they are given. All ranks give the same.
    ///
    /// # Panics
    /// If field `k` is not stepped.
    pub fn source(mut self, k: usize, cell: [u64; D], amount: impl Fn(u64) -> T + Send + 'static) -> Self
    where
        T: Add<Output = T>,
    {
        assert!(k < S::Out::N, "a source in field {k}, which is not stepped");
        self.points.sources.push((At { field: k, cell: lift(cell, 0) }, Box::new(amount)));
        self.points.add = Some(|a, b| a + b);
        self.ready = None;
        self
    }

    /// Notes the value of a cell of field `k` after each step; [`traces`](Stepper::traces) has them.
    ///
    /// # Panics
    /// If field `k` is not stepped.
    pub fn receiver(mut self, k: usize, cell: [u64; D]) -> Self {
        assert!(k < S::Out::N, "a receiver in field {k}, which is not stepped");
        self.points.receivers.push(At { field: k, cell: lift(cell, 0) });
        self.ready = None;
        self
    }

    /// What the receivers have noted since the last call: on rank 0 for each receiver its values in the order of steps, `None`
    /// elsewhere. Collective.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    pub fn traces(&mut self, world: &mut World) -> Result<Option<Vec<Vec<T>>>, Abort> {
        self.points.gather(world)
    }

    /// So many steps are fused in one pass over memory, instead of as many as the model chooses; at most
    /// [`MAX_TIME_BLOCK`], or as the halo of fields allows that are periodic along x, and one where walls are made anew at each
    /// step.
    ///
    /// # Panics
    /// If it is 0.
    pub fn time_block(mut self, most: usize) -> Self {
        assert!(most > 0, "at least one step at a time");
        self.limit = Some(most);
        self.ready = None;
        self
    }

    /// How the shape of sweeps is chosen, and the file where what was found by trying is remembered: a line each, which other
    /// jobs use as well. Tries are made by the first `advance`. Rank 0 reads and writes the file.
    pub fn tune(mut self, tune: Tune, file: Option<PathBuf>) -> Self {
        (self.tune, self.tune_file, self.ready) = (tune, file, None);
        self
    }

    /// Tiles of so many cells along x, y, z, instead of those of the model. For experiments.
    pub fn tile(mut self, cells: [usize; 3]) -> Self {
        self.tile = Some(cells);
        self.ready = None;
        self
    }

    /// This set of instructions instead of the widest one. For experiments.
    ///
    /// # Panics
    /// If this processor does not have it.
    pub fn instructions(mut self, set: Set) -> Self {
        assert!(Set::available().contains(&set), "this processor has no {}", set.name());
        self.set = Some(set);
        self.ready = None;
        self
    }

    /// The steps done so far; what [`Point::step`](super::Point::step) gives at the next one.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Counts steps from here on, as after a restart.
    pub fn at_step(mut self, step: u64) -> Self {
        self.step = step;
        self
    }

    /// How many steps are fused; known after the first `advance`.
    pub fn fused(&self) -> Option<usize> {
        self.ready.as_ref().map(|ready| ready.shape.steps)
    }

    /// Goes some steps on, in place. `fields` are those that are stepped; in a leapfrog these at the present time, then
    /// the same one step earlier. All have a halo (`Grid::halo`) of at least the radius. Collective; every `fused()` steps
    /// one message to each neighbouring rank, while inner tiles are computed.
    ///
    /// # Errors
    /// An agreed abort if walls do not fit the grid, or there is no memory for another copy of the fields; or the job's abort.
    ///
    /// # Panics
    /// As the stencil does; if the number of fields is not the stencil's, or they lie on different boxes, or have too small a
    /// halo.
    #[track_caller]
    pub fn advance(&mut self, world: &mut World, fields: &mut [&mut Field<T, D>], steps: u64) -> Result<(), Abort> {
        self.prepare(world, fields)?;
        let mut left = steps;
        if left == 0 {
            return Ok(());
        }
        let ready = self.ready.as_mut().expect("prepared above");
        let (outputs, most) = (S::Out::N, ready.shape.steps as u64);
        let mut arrays: Vec<Raws<T>> = fields.iter_mut().map(|field| field.raws()).collect();
        arrays.extend(self.scratch.iter_mut().map(Field::raws));
        // Which array is what: now, [one step earlier,] next, [one step before that].
        let mut order: Vec<usize> = (0..arrays.len() / outputs).collect();
        let of = |arrays: &[Raws<T>], role: usize| arrays[role * outputs..(role + 1) * outputs].to_vec();
        let levels = if self.leapfrog { 2 } else { 1 };
        let now: Vec<Raws<T>> = order[..levels].iter().flat_map(|&role| of(&arrays, role)).collect();
        // SAFETY: the arrays are this stepper's scratch and fields that it borrows exclusively.
        unsafe { ready.begin(world, &now, self.step)? };
        while left > 0 {
            let n = left.min(most);
            left -= n;
            let now: Vec<Raws<T>> = order[..levels].iter().flat_map(|&role| of(&arrays, role)).collect();
            // Of one step of a leapfrog the result takes the place of the earlier level.
            let single = self.leapfrog && n == 1;
            let next: Vec<usize> = if single { vec![order[1], order[0]] } else { order[levels..2 * levels].to_vec() };
            let dst: Vec<Raws<T>> = next.iter().flat_map(|&role| of(&arrays, role)).collect();
            // SAFETY: the arrays are this stepper's scratch and fields that it borrows exclusively.
            unsafe {
                let stencil = std::ptr::from_ref(&self.stencil).cast();
                ready.sweep(
                    world,
                    &Task {
                        stencil,
                        now: &now,
                        next: &dst,
                        steps: n as usize,
                        step: self.step,
                        more: left > 0,
                        trial: false,
                    },
                    &mut self.points,
                )?;
            }
            self.step += n;
            if single {
                order.swap(0, 1);
            } else {
                order.rotate_left(levels);
            }
        }
        // What is now goes to the fields that were given.
        let mut all: Vec<&mut Field<T, D>> = fields.iter_mut().map(|field| &mut **field).collect();
        all.extend(self.scratch.iter_mut());
        settle(&mut all, order, outputs);
        Ok(())
    }

    /// Prepares the boxes of these fields, unless that is done. Collective if it is not, so on all ranks or none.
    #[track_caller]
    fn prepare(&mut self, world: &mut World, fields: &mut [&mut Field<T, D>]) -> Result<(), Abort> {
        let outputs = S::Out::N;
        let count = if self.leapfrog { 2 * outputs } else { outputs };
        assert_eq!(fields.len(), count, "fields to step");
        assert_eq!(self.reads.len(), K - outputs, "fields that are only read");
        let first = &fields[0];
        assert!(fields.iter().all(|f| f.aligned(first)), "fields on different boxes");
        assert!(self.reads.iter().all(|f| f.aligned(first)), "fields that are read on different boxes");
        if self.ready.as_ref().is_some_and(|ready| ready.fits(&first.boxes, world.threads())) {
            return Ok(());
        }
        let grid = *first.grid();
        let fault = self.walls.iter().find_map(|walls| walls.fault(grid.cells(), R));
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
        if (geometry.is_periodic(0) || geometry.cuts_x(&boxes)) && R > 0 {
            most = most.min(ghosts / R);
        }
        let facts = Facts {
            dims: D,
            radius: R,
            inputs: K,
            outputs,
            leapfrog: self.leapfrog,
            rows: kernel.rows,
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
            self.scratch.push(Field::with_boxes(world, grid, boxes.clone())?);
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

/// Puts arrays to where they are to be: array `order[i]` to place i, for groups of `outputs` fields.
fn settle<T: Cell, const D: usize>(all: &mut [&mut Field<T, D>], mut order: Vec<usize>, outputs: usize) {
    for place in 0..order.len() {
        let from = order[place];
        if from != place {
            for k in 0..outputs {
                let (low, high) = (place.min(from) * outputs + k, place.max(from) * outputs + k);
                let (a, b) = all.split_at_mut(high);
                std::mem::swap(&mut *a[low], &mut *b[0]);
            }
            // What was here is where this came from.
            let here = order.iter().position(|&at| at == place).expect("a permutation");
            order.swap(place, here);
            order[here] = from;
            order[place] = place;
        }
    }
}
