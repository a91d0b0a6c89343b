//! Steps of a stencil over fields.

use super::Stencil;
use super::isa::Set;
use super::kernel::Kernel;
use super::point::{MAX_INPUTS, MAX_OUTPUTS, MAX_RADIUS, Values};
use super::ready::{Ready, Task};
use super::tables::Raws;
use super::taps::{At, Points};
use super::tune::Tune;
use super::walls::{Wall, Walls};
use crate::World;
use crate::field::{Cell, Field, lift};
use physalia_collectives::Abort;
use std::marker::PhantomData;
use std::ops::Add;
use std::path::PathBuf;

/// Steps of a stencil: the update of a cell, what lies beyond the grid's walls, and how it is computed. It keeps the memory that
/// steps need beside the fields: one more copy of each that is stepped (none for a leapfrog that fuses no steps).
pub struct Stepper<T: Cell, const D: usize, S, const R: usize, const K: usize> {
    pub(super) stencil: S,
    pub(super) kernel: fn(Set) -> Kernel<T>,
    pub(super) leapfrog: bool,
    pub(super) walls: Vec<Walls<T, D>>,
    pub(super) reads: Vec<Field<T, D>>,
    pub(super) limit: Option<usize>,
    pub(super) tune: Tune,
    pub(super) tune_file: Option<PathBuf>,
    pub(super) tile: Option<[usize; 3]>,
    pub(super) set: Option<Set>,
    pub(super) step: u64,
    pub(super) points: Points<T>,
    pub(super) scratch: Vec<Field<T, D>>,
    pub(super) ready: Option<Ready<T>>,
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
    /// A mask is such a field: here heat spreads in a disc alone, whose rim keeps no heat in.
    ///
    /// ```
    /// use physalia::prelude::*;
    ///
    /// let mut world = World::alone();
    /// let grid = Grid::new([64, 64]).halo(1);
    /// let mut u = Field::<f64, 2>::new(&mut world, grid)?;
    /// u.fill(|_| 1.0);
    /// let mut inside = u.like();
    /// inside.fill(|[x, y]| f64::from(u8::from((x as f64 - 32.0).hypot(y as f64 - 32.0) < 30.0)));
    /// let mut heat = Stepper::new(|p: Point<f64, 1, 2>| {
    ///     let sum = (p.at(-1, 0, 0) + p.at(1, 0, 0)) + (p.at(0, -1, 0) + p.at(0, 1, 0));
    ///     p.of(1, 0, 0, 0) * (0.5 * p.at(0, 0, 0) + 0.125 * sum)
    /// })
    /// .reads(vec![inside]);
    /// heat.advance(&mut world, &mut [&mut u], 10)?;
    /// assert!(u.get([32, 32]) == Some(1.0) && u.get([0, 0]) == Some(0.0));
    /// # Ok::<(), Abort>(())
    /// ```
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
    /// [`MAX_TIME_BLOCK`](super::MAX_TIME_BLOCK), or as the halo of fields allows that are periodic or divided along x, and one where walls are made anew at each
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
    /// If it ends early, by an abort or a panic, the fields are as after the last pass over memory that was done whole,
    /// and [`step`](Stepper::step) says which that was (in a leapfrog that fuses no steps, the earlier level may be lost).
    ///
    /// # Errors
    /// An agreed abort if walls do not fit the grid or its boxes, if there is no memory for another copy of the fields, if
    /// `PHYSALIA_ISA` names instructions that are not there, or if shapes cannot be remembered; or the job's abort.
    ///
    /// # Panics
    /// As the stencil does; if the number of fields is not the stencil's, or they lie on different boxes, or have too small a
    /// halo; if a source or receiver lies outside the grid.
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
        let order: Vec<usize> = (0..arrays.len() / outputs).collect();
        let mut held = Held { fields, scratch: &mut self.scratch, order, outputs };
        let of = |roles: &[usize]| -> Vec<Raws<T>> {
            roles.iter().flat_map(|role| arrays[role * outputs..(role + 1) * outputs].iter().cloned()).collect()
        };
        let levels = if self.leapfrog { 2 } else { 1 };
        // SAFETY: the arrays are this stepper's scratch and fields that it borrows exclusively.
        unsafe { ready.begin(world, &of(&held.order[..levels]), self.step)? };
        while left > 0 {
            let n = left.min(most);
            left -= n;
            let now = of(&held.order[..levels]);
            // Of one step of a leapfrog the result takes the place of the earlier level.
            let single = self.leapfrog && n == 1;
            let next = if single { of(&[held.order[1], held.order[0]]) } else { of(&held.order[levels..2 * levels]) };
            // SAFETY: the arrays are this stepper's scratch and fields that it borrows exclusively.
            unsafe {
                let stencil = std::ptr::from_ref(&self.stencil).cast();
                ready.sweep(
                    world,
                    &Task {
                        stencil,
                        now: &now,
                        next: &next,
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
                held.order.swap(0, 1);
            } else {
                held.order.rotate_left(levels);
            }
        }
        drop(held);
        // SAFETY: as above.
        unsafe { ready.clear(world.pool(), &fields.iter_mut().map(|field| field.raws()).collect::<Vec<_>>()) };
        Ok(())
    }
}

/// Fields and scratch while it changes which of them is what. However steps end, what is now goes to the fields that were given.
struct Held<'a, 'f, T: Cell, const D: usize> {
    fields: &'a mut [&'f mut Field<T, D>],
    scratch: &'a mut [Field<T, D>],
    /// Which array is now, which one step earlier, and so on.
    order: Vec<usize>,
    outputs: usize,
}

impl<T: Cell, const D: usize> Drop for Held<'_, '_, T, D> {
    fn drop(&mut self) {
        let mut all: Vec<&mut Field<T, D>> = self.fields.iter_mut().map(|field| &mut **field).collect();
        all.extend(self.scratch.iter_mut());
        settle(&mut all, std::mem::take(&mut self.order), self.outputs);
    }
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
