//! What stands between a simulation and the command that runs it: fields that go on in steps, and how the steps are computed.

use super::exact::Check;
use super::wave::{Damped, Leap};
use super::{advect::Upwind, gray_scott::React, heat::Euler, life::Rule};
use crate::output::Geometry;
use physalia::field::Cell;
use physalia::prelude::*;
use physalia::stencil::{Set, Stencil, Stepper, Tune, Value, Walls};
use std::path::PathBuf;

/// Numbers that equations can be solved in.
pub trait Real: Cell + Value<Self> {
    /// The distance from 1 to the next number.
    const EPSILON: f64;
    /// The least positive number of full precision.
    const LEAST: f64;
    /// The nearest number.
    fn from_f64(x: f64) -> Self;
}

impl Real for f32 {
    const EPSILON: f64 = f32::EPSILON as f64;
    const LEAST: f64 = f32::MIN_POSITIVE as f64;
    fn from_f64(x: f64) -> f32 {
        x as f32
    }
}

impl Real for f64 {
    const EPSILON: f64 = f64::EPSILON;
    const LEAST: f64 = f64::MIN_POSITIVE;
    fn from_f64(x: f64) -> f64 {
        x
    }
}

/// A simulation that a command can run: its fields at the start, how they go on, and what is known of the result.
pub trait Simulation<T: Cell, const D: usize>: Send + Sync {
    /// All that the bits of a run depend on, in words; but not how far it goes.
    fn what(&self) -> String;

    /// The cells along each axis.
    fn cells(&self) -> [u64; D];

    /// The time that a step takes.
    fn dt(&self) -> f64;

    /// Where cells lie.
    fn geometry(&self) -> Geometry {
        Geometry::default()
    }

    /// How far the stencil reads.
    fn radius(&self) -> usize {
        1
    }

    /// Whether the fields have no end along x.
    fn is_periodic(&self) -> bool;

    /// The names of the fields from which it goes on, those that are shown first.
    fn names(&self) -> &'static [&'static str];

    /// How many fields are shown.
    fn shown(&self) -> usize {
        self.names().len()
    }

    /// Arrays that are held at once, fields included.
    fn arrays(&self) -> usize {
        2 * self.names().len()
    }

    /// Numbers of a cell that a step must read from memory and write to it if no steps are fused.
    fn traffic(&self) -> usize {
        2 * self.names().len()
    }

    /// The fields at the start. Local.
    fn fill(&self, fields: &mut [Field<T, D>]);

    /// What takes the fields from step `step` on. Collective.
    ///
    /// # Errors
    /// What steps need beside the fields cannot be made; or the job's abort.
    fn engine(&self, world: &mut World, fields: &[Field<T, D>], how: &How, step: u64) -> Outcome<Engine<T, D>>;

    /// Holds the fields after `steps` steps against what is known of them. Collective.
    ///
    /// # Errors
    /// The job's abort.
    fn check(&self, _world: &mut World, _fields: &[Field<T, D>], _steps: u64) -> Result<Verified, Abort> {
        Ok(Verified::Not("no solution is known"))
    }

    /// Numbers of the result that the report has beside all others'. Collective.
    ///
    /// # Errors
    /// The job's abort.
    fn figures(&self, _world: &mut World, _fields: &[Field<T, D>]) -> Result<Vec<(&'static str, f64)>, Abort> {
        Ok(Vec::new())
    }
}

/// What a simulation's result was held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verified {
    /// A solution that is known.
    By(Check),
    /// Nothing, and why.
    Not(&'static str),
}

/// How steps are computed. Nothing of it changes the result.
#[derive(Clone, Debug, Default)]
pub struct How {
    /// Steps that are fused, at most; else the model chooses.
    pub time_block: Option<usize>,
    /// Cells of a tile along x, y, z.
    pub tile: Option<[usize; 3]>,
    /// Instructions; else the widest ones.
    pub instructions: Option<Set>,
    /// Whether shapes of sweeps are tried.
    pub tune: Tune,
    /// Where what was found by trying is remembered.
    pub tune_file: Option<PathBuf>,
}

impl How {
    /// The grid of a simulation. Where sweeps read beyond x, the halo must be as deep as the steps that are fused; it is
    /// made so deep that it costs some per cent of memory.
    pub fn grid<T: Cell, const D: usize>(&self, simulation: &dyn Simulation<T, D>) -> Grid<D> {
        let (cells, radius) = (simulation.cells(), simulation.radius());
        if !(simulation.is_periodic() || D == 1) {
            return Grid::new(cells).halo(radius);
        }
        let ends: f64 = cells.iter().map(|&n| 2.0 * radius as f64 / n as f64).sum();
        let small = (cells.iter().product::<u64>() as f64) * (size_of::<T>() as f64) < f64::from(32 << 20);
        let cheap = if small { 8 } else { (0.04 / ends) as usize };
        let deep = self.time_block.unwrap_or_else(|| cheap.clamp(1, 16)).min(64);
        Grid::new(cells).halo(radius * deep)
    }

    fn of<T: Cell, const D: usize, S: Stencil<T, R, K>, const R: usize, const K: usize>(
        &self,
        mut stepper: Stepper<T, D, S, R, K>,
        step: u64,
    ) -> Stepper<T, D, S, R, K> {
        if let Some(most) = self.time_block {
            stepper = stepper.time_block(most);
        }
        if let Some(cells) = self.tile {
            stepper = stepper.tile(cells);
        }
        if let Some(set) = self.instructions {
            stepper = stepper.instructions(set);
        }
        stepper.tune(self.tune, self.tune_file.clone()).at_step(step)
    }
}

/// Takes fields some steps on.
pub type Engine<T, const D: usize> = Box<dyn Steps<T, D>>;

/// Steps of some stencil, whichever it is.
pub trait Steps<T: Cell, const D: usize> {
    /// Goes some steps on, in place; 0 prepares that. Collective.
    ///
    /// # Errors
    /// As [`Stepper::advance`].
    fn advance(&mut self, world: &mut World, fields: &mut [Field<T, D>], steps: u64) -> Outcome<()>;

    /// How many steps are fused.
    fn fused(&self) -> usize {
        1
    }

    /// What receivers have noted since the last call, on rank 0. Collective.
    ///
    /// # Errors
    /// The job's abort.
    fn traces(&mut self, _world: &mut World) -> Result<Option<Vec<Vec<T>>>, Abort> {
        Ok(None)
    }
}

impl<T: Cell, const D: usize, S: Stencil<T, R, K>, const R: usize, const K: usize> Steps<T, D>
    for Stepper<T, D, S, R, K>
{
    fn advance(&mut self, world: &mut World, fields: &mut [Field<T, D>], steps: u64) -> Outcome<()> {
        Ok(Stepper::advance(self, world, &mut fields.iter_mut().collect::<Vec<_>>(), steps)?)
    }

    fn fused(&self) -> usize {
        Stepper::fused(self).unwrap_or(1)
    }

    fn traces(&mut self, world: &mut World) -> Result<Option<Vec<Vec<T>>>, Abort> {
        Stepper::traces(self, world)
    }
}

/// A cell where something is added at each step, by the number of steps before.
pub type Source<T, const D: usize> = ([u64; D], Box<dyn Fn(u64) -> T + Send>);

/// The steppers of this crate's stencils, for one type of numbers and of axes. They are methods of a trait so that their
/// code, which is made for each set of instructions, is in this library and nowhere else.
pub trait Compiled<const D: usize>: Real + physalia::solve::Number {
    /// The heat equation.
    fn euler(stencil: Euler<Self, D>, walls: Walls<Self, D>, how: &How, step: u64) -> Engine<Self, D>;
    /// Upwind advection.
    fn upwind(stencil: Upwind<Self, D>, walls: Walls<Self, D>, how: &How, step: u64) -> Engine<Self, D>;
    /// Gray–Scott.
    fn react(stencil: React<Self, D>, walls: [Walls<Self, D>; 2], how: &How, step: u64) -> Engine<Self, D>;
    /// The wave equation, with damping where there is a field of that, sources and receivers.
    fn leap(leap: WaveSteps<Self, D>, walls: Walls<Self, D>, how: &How, step: u64) -> Engine<Self, D>;
}

/// What the steps of a wave are made of.
pub struct WaveSteps<T: Cell, const D: usize> {
    /// Half the order in space.
    pub radius: usize,
    /// Weight of the cell itself.
    pub centre: T,
    /// Weights of cells 1 to 4 away, by axis.
    pub near: [[T; 4]; 3],
    /// Damping of each cell.
    pub damping: Option<Field<T, D>>,
    /// Sources.
    pub sources: Vec<Source<T, D>>,
    /// Cells whose values are noted.
    pub receivers: Vec<[u64; D]>,
}

impl<T: Cell, const D: usize> std::fmt::Debug for WaveSteps<T, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "WaveSteps(radius {}, {} sources, {:?})", self.radius, self.sources.len(), self.receivers)
    }
}

fn leaps<T: Real, const D: usize, const R: usize>(
    leap: WaveSteps<T, D>,
    walls: Walls<T, D>,
    how: &How,
    step: u64,
) -> Engine<T, D> {
    let WaveSteps { centre, near, damping, sources, receivers, .. } = leap;
    match damping {
        None => {
            let mut stepper = how.of(Stepper::leapfrog(Leap::<T, R, D> { centre, near }).walls(walls), step);
            for (cell, amount) in sources {
                stepper = stepper.source(0, cell, amount);
            }
            Box::new(receivers.into_iter().fold(stepper, |stepper, cell| stepper.receiver(0, cell)))
        }
        Some(damping) => {
            let stencil = Damped(Leap::<T, R, D> { centre, near });
            let mut stepper = how.of(Stepper::leapfrog(stencil).walls(walls).reads(vec![damping]), step);
            for (cell, amount) in sources {
                stepper = stepper.source(0, cell, amount);
            }
            Box::new(receivers.into_iter().fold(stepper, |stepper, cell| stepper.receiver(0, cell)))
        }
    }
}

macro_rules! compiled {
    ($($t:ty: $($d:literal)*;)*) => { $($(
        impl Compiled<$d> for $t {
            fn euler(stencil: Euler<$t, $d>, walls: Walls<$t, $d>, how: &How, step: u64) -> Engine<$t, $d> {
                Box::new(how.of(Stepper::new(stencil).walls(walls), step))
            }
            fn upwind(stencil: Upwind<$t, $d>, walls: Walls<$t, $d>, how: &How, step: u64) -> Engine<$t, $d> {
                Box::new(how.of(Stepper::new(stencil).walls(walls), step))
            }
            fn react(stencil: React<$t, $d>, walls: [Walls<$t, $d>; 2], how: &How, step: u64) -> Engine<$t, $d> {
                let [first, second] = walls;
                Box::new(how.of(Stepper::new(stencil).walls_of(0, first).walls_of(1, second), step))
            }
            fn leap(leap: WaveSteps<$t, $d>, walls: Walls<$t, $d>, how: &How, step: u64) -> Engine<$t, $d> {
                match leap.radius {
                    1 => leaps::<$t, $d, 1>(leap, walls, how, step),
                    2 => leaps::<$t, $d, 2>(leap, walls, how, step),
                    3 => leaps::<$t, $d, 3>(leap, walls, how, step),
                    _ => leaps::<$t, $d, 4>(leap, walls, how, step),
                }
            }
        }
    )*)* };
}
compiled! { f32: 1 2 3; f64: 1 2 3; }

/// Life's steps.
pub(super) fn generations(walls: Walls<u8, 2>, how: &How, step: u64) -> Engine<u8, 2> {
    Box::new(how.of(Stepper::new(Rule).walls(walls), step))
}

/// A formula of a type with parameters, as [`physalia::formula!`] makes one of a type without: the type's method `formula`, by
/// single cells and by lines.
macro_rules! by_lines {
    ({$($generics:tt)*} $type:ty: $t:ty, $r:tt, $k:tt, $n:tt) => {
        impl<$($generics)*> physalia::stencil::Stencil<$t, $r, $k> for $type {
            type Out = [$t; $n];
            const LINES: bool = true;
            #[inline(always)]
            fn eval(&self, p: physalia::stencil::Point<'_, $t, $r, $k>) -> [$t; $n] {
                self.formula(p)
            }
            #[inline(always)]
            fn lines<V: physalia::stencil::Value<$t>, P: physalia::stencil::Near<V>>(&self, p: P, out: &mut [V]) {
                let values: [V; $n] = self.formula(p);
                out[..$n].copy_from_slice(&values);
            }
        }
    };
}
pub(super) use by_lines;
