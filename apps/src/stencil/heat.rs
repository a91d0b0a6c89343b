//! The heat equation u_t = α Δu on a box, by second-order differences: explicit Euler, the classical Runge–Kutta method, or
//! backward Euler.
//!
//! With zero at its boundary an axis has n interior points at (i + 1) h, h = L / (n + 1); else, and for backward Euler, n cells of
//! width L / n. Euler's step is stable up to Δt = 1 / (2 α Σ 1 / hₐ²), Runge and Kutta's up to 1.39 times that, backward Euler's
//! always. From a product of the longest waves that fit the solution is known: [`exact`](super::exact) has it.

use super::axis::{Edge, by_x, index, product, sizes};
use super::engine::{Compiled, Engine, How, Simulation, Steps, Verified, by_lines};
use crate::output::Geometry;
use physalia::prelude::*;
use physalia::solve::{Coefficient, Elliptic, ImplicitHeat, RungeKutta, Wall};
use physalia::stencil::{Near, Value};
use std::fmt;

pub use super::engine::Real;

/// A step of Euler: α Δt / h² of each axis.
#[derive(Clone, Copy, Debug)]
pub struct Euler<T, const D: usize>([T; D]);

impl<T: Real, const D: usize> Euler<T, D> {
    #[inline(always)]
    fn formula<V: Value<T>, P: Near<V>>(&self, p: P) -> [V; 1] {
        let here = p.at(0, 0, 0);
        let x = bend(p.at(-1, 0, 0), here, p.at(1, 0, 0)) * self.0[0];
        if D == 1 {
            return [here + x];
        }
        let y = bend(p.at(0, -1, 0), here, p.at(0, 1, 0)) * self.0[D.min(2) - 1];
        if D == 2 {
            return [here + (x + y)];
        }
        let z = bend(p.at(0, 0, -1), here, p.at(0, 0, 1)) * self.0[D - 1];
        [here + (x + y + z)]
    }
}
by_lines!({T: Real, const D: usize} Euler<T, D>: T, 1, 1, 1);

/// The second difference.
#[inline(always)]
fn bend<T, V: Value<T>>(left: V, here: V, right: V) -> V {
    (left - here) + (right - here)
}

/// What the field is at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// A product of the longest waves that fit the axes; the solution is known.
    Sines,
    /// Even random numbers in [0, 1), by this seed and the global index of the cell.
    Random(u64),
}

/// How a step is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Explicit Euler, of order 1 in time.
    Euler,
    /// The classical method of Runge and Kutta, of order 4.
    RungeKutta,
    /// Backward Euler, of order 1, by multigrid.
    Implicit,
}

/// A simulation: cells along each axis, lengths and ends of the box, diffusivity, and time step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heat<const D: usize> {
    pub(super) cells: [u64; D],
    pub(super) lengths: [f64; D],
    pub(super) edges: [Edge; D],
    pub(super) method: Method,
    alpha: f64,
    dt: f64,
    start: Start,
}

/// Parameters for which there is no simulation.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum BadHeat {
    /// Too few or too many cells, or lengths that are none.
    Sizes(String),
    /// A diffusivity that is not a positive number.
    Alpha(f64),
    /// A diffusivity so large or small that the stability limit of the time step is no number of full precision.
    ExtremeAlpha {
        /// The diffusivity.
        alpha: f64,
        /// The limit as far as it can be told: zero, infinite, or nearly.
        limit: f64,
    },
    /// A time step that is not a positive number.
    Dt(f64),
    /// A time step over the stability limit.
    Unstable {
        /// The step asked for.
        dt: f64,
        /// The largest stable step.
        limit: f64,
    },
}

impl fmt::Display for BadHeat {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            BadHeat::Sizes(why) => f.write_str(why),
            BadHeat::Alpha(alpha) => write!(f, "a diffusivity of {alpha}: a positive number is wanted"),
            BadHeat::ExtremeAlpha { alpha, limit } => {
                let (size, end) = if *limit < 1.0 { ("large", "small") } else { ("small", "large") };
                write!(
                    f,
                    "a diffusivity of {alpha:e} is too {size} for these cells: the largest stable time step, 1 / (2 alpha sum \
                     of 1/h^2), would be too {end} for a number; measure time in another unit"
                )
            }
            BadHeat::Dt(dt) => write!(f, "a time step of {dt}: a positive number is wanted"),
            BadHeat::Unstable { dt, limit } => {
                write!(f, "a time step of {dt:e} is over the stability limit {limit:e} (1 / (2 alpha sum of 1/h^2))")
            }
        }
    }
}

impl std::error::Error for BadHeat {}

impl<const D: usize> Heat<D> {
    /// A simulation on the unit box, zero at its boundary, by Euler. Without `dt` the step is 0.8 of the limit.
    ///
    /// # Errors
    /// If the parameters make no simulation, or an unstable one.
    pub fn new(cells: [u64; D], alpha: f64, dt: Option<f64>) -> Result<Heat<D>, BadHeat> {
        Heat::on(cells, [1.0; D], [Edge::Zero; D], Method::Euler, alpha, dt)
    }

    /// A simulation. Without `dt` the step is 0.8 of Euler's limit; of backward Euler, ten times as long.
    ///
    /// # Errors
    /// As [`Heat::new`].
    pub fn on(
        cells: [u64; D],
        lengths: [f64; D],
        edges: [Edge; D],
        method: Method,
        alpha: f64,
        dt: Option<f64>,
    ) -> Result<Heat<D>, BadHeat> {
        sizes(cells, lengths).map_err(BadHeat::Sizes)?;
        if !(alpha.is_finite() && alpha > 0.0) {
            return Err(BadHeat::Alpha(alpha));
        }
        // The solver's walls are at the cells' faces.
        let at_face = |edge| if method == Method::Implicit && edge == Edge::Zero { Edge::ZeroAtFace } else { edge };
        let edges = edges.map(at_face);
        let squares = (0..D).map(|a| edges[a].per_length(cells[a], lengths[a]).powi(2));
        let euler = 1.0 / (2.0 * alpha * squares.sum::<f64>());
        if !(euler.is_normal() && (0.8 * euler).is_normal()) {
            return Err(BadHeat::ExtremeAlpha { alpha, limit: euler });
        }
        let (usual, limit) = match method {
            Method::Euler => (0.8 * euler, euler),
            Method::RungeKutta => (0.8 * euler, 1.39 * euler),
            Method::Implicit => (8.0 * euler, f64::MAX),
        };
        let dt = dt.unwrap_or(usual);
        if !(dt.is_finite() && dt > 0.0) {
            return Err(BadHeat::Dt(dt));
        }
        if dt > limit {
            return Err(BadHeat::Unstable { dt, limit });
        }
        Ok(Heat { cells, lengths, edges, method, alpha, dt, start: Start::Sines })
    }

    /// With this start, where it is a [`Simulation`].
    pub fn from(mut self, start: Start) -> Heat<D> {
        self.start = start;
        self
    }

    /// The time step.
    pub fn dt(&self) -> f64 {
        self.dt
    }

    /// The cells along each axis.
    pub fn cells(&self) -> [u64; D] {
        self.cells
    }

    /// α Δt / h² of each axis.
    pub(super) fn ratios(&self) -> [f64; D] {
        std::array::from_fn(|a| self.alpha * self.dt * self.edges[a].per_length(self.cells[a], self.lengths[a]).powi(2))
    }

    /// The field at the start. Collective.
    ///
    /// # Errors
    /// As [`Field::new`].
    #[track_caller]
    pub fn start<T: Compiled<D>>(&self, world: &mut World, start: Start) -> Result<Field<T, D>, Abort> {
        let mut u = [Field::new(world, How::default().grid::<T, D>(self))?];
        self.from(start).fill(&mut u);
        let [u] = u;
        Ok(u)
    }

    /// Goes `steps` steps on, in place. Collective; see [`Stepper::advance`](physalia::stencil::Stepper::advance).
    ///
    /// # Errors
    /// As that, or as the solver of backward Euler.
    pub fn advance<T: Compiled<D>>(&self, world: &mut World, u: &mut Field<T, D>, steps: u64) -> Outcome<()> {
        let mut fields = [u.like()];
        std::mem::swap(&mut fields[0], u);
        let mut engine = self.engine(world, &fields, &How::default(), 0)?;
        let went = engine.advance(world, &mut fields, steps);
        std::mem::swap(&mut fields[0], u);
        went
    }
}

impl<T: Compiled<D>, const D: usize> Simulation<T, D> for Heat<D> {
    fn what(&self) -> String {
        let (cells, domain, float) = (by_x(&self.cells), by_x(&self.lengths), std::any::type_name::<T>());
        let start = match self.start {
            Start::Sines => "sines".into(),
            Start::Random(seed) => format!("random {seed}"),
        };
        let (edges, method) = (self.edges, self.method);
        format!(
            "heat {cells} {float}, domain {domain}, boundary {edges:?}, alpha {:?}, dt {:?}, {method:?}, start {start}",
            self.alpha, self.dt
        )
    }

    fn cells(&self) -> [u64; D] {
        self.cells
    }

    fn dt(&self) -> f64 {
        self.dt
    }

    fn geometry(&self) -> Geometry {
        super::geometry(self.cells, self.lengths, self.edges)
    }

    fn is_periodic(&self) -> bool {
        self.edges[0] == Edge::Periodic
    }

    fn names(&self) -> &'static [&'static str] {
        &["u"]
    }

    fn arrays(&self) -> usize {
        match self.method {
            Method::Euler => 2,
            Method::RungeKutta => 5,
            Method::Implicit => 9,
        }
    }

    fn fill(&self, fields: &mut [Field<T, D>]) {
        match self.start {
            Start::Sines => {
                let waves = self.waves();
                fields[0].fill(|at| T::from_f64(product(&waves, at)));
            }
            Start::Random(seed) => {
                let random = Random::new(seed);
                fields[0].fill(|at| T::from_f64(random.unit(index(self.cells, at))));
            }
        }
    }

    fn engine(&self, world: &mut World, fields: &[Field<T, D>], how: &How, step: u64) -> Outcome<Engine<T, D>> {
        let euler = |how: &How| T::euler(Euler(self.ratios().map(T::from_f64)), Edge::walls(self.edges, 1), how, step);
        Ok(match self.method {
            Method::Euler => euler(how),
            Method::RungeKutta => {
                let one_at_a_time = How { time_block: Some(1), ..how.clone() };
                let state = [fields[0].like()];
                Box::new(Stages { rungs: RungeKutta::new(&state), state, euler: euler(&one_at_a_time) })
            }
            Method::Implicit => {
                let wall = |edge| match edge {
                    Edge::Zero | Edge::ZeroAtFace => Wall::Dirichlet,
                    Edge::Mirror => Wall::Neumann,
                    Edge::Periodic => Wall::Periodic,
                };
                let problem = Elliptic::new(self.lengths).walls(self.edges.map(|edge| [wall(edge); 2]));
                let alpha = Coefficient::Constant(self.alpha);
                Box::new(Solver(ImplicitHeat::backward_euler(world, &fields[0], &problem, alpha, self.dt)?))
            }
        })
    }

    fn check(&self, world: &mut World, fields: &[Field<T, D>], steps: u64) -> Result<Verified, Abort> {
        match self.start {
            Start::Sines => Ok(Verified::By(Heat::check(self, world, &fields[0], steps)?)),
            Start::Random(_) => Ok(Verified::Not("of a random start the solution is not known")),
        }
    }
}

/// Steps of Runge and Kutta, whose unit of time is Δt: the rate of change is what a step of Euler adds.
struct Stages<T: Compiled<D>, const D: usize> {
    rungs: RungeKutta<T, D, 1>,
    state: [Field<T, D>; 1],
    euler: Engine<T, D>,
}

impl<T: Compiled<D>, const D: usize> Steps<T, D> for Stages<T, D> {
    fn advance(&mut self, world: &mut World, fields: &mut [Field<T, D>], steps: u64) -> Outcome<()> {
        let Stages { rungs, state, euler } = self;
        std::mem::swap(&mut state[0], &mut fields[0]);
        let step = |_| {
            rungs.step(world, state, 0.0, 1.0, |world, _, u, du| {
                du[0].assign(&u[0]);
                euler.advance(world, du, 1)?;
                du[0].axpy(T::from_f64(-1.0), &u[0]);
                Ok(())
            })
        };
        let went = (0..steps).try_for_each(step);
        std::mem::swap(&mut state[0], &mut fields[0]);
        went
    }
}

/// Steps of backward Euler.
struct Solver<T: Compiled<D>, const D: usize>(ImplicitHeat<T, D>);

impl<T: Compiled<D>, const D: usize> Steps<T, D> for Solver<T, D> {
    fn advance(&mut self, world: &mut World, fields: &mut [Field<T, D>], steps: u64) -> Outcome<()> {
        (0..steps).try_for_each(|_| self.0.step(world, &mut fields[0], None).map(drop))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_parameters_are_named() {
        assert!(matches!(Heat::new([0, 4], 1.0, None), Err(BadHeat::Sizes(_))));
        assert!(Heat::new([1 << 40, 1 << 40], 1.0, None).is_err());
        assert!(matches!(Heat::new([4], f64::NAN, None), Err(BadHeat::Alpha(_))));
        assert!(matches!(Heat::new([4], -1.0, None), Err(BadHeat::Alpha(_))));
        assert!(matches!(Heat::new([4], 1.0, Some(0.0)), Err(BadHeat::Dt(_))));
        let why = Heat::new([3, 3], 1.0, Some(1.0)).unwrap_err();
        assert!(why.to_string().contains("stability limit 1.5625e-2"), "{why}");
        assert!(Heat::new([3, 3], 1.0, Some(0.015625)).is_ok());
        let on = |lengths, method, dt| Heat::on([3, 3], lengths, [Edge::Mirror; 2], method, 1.0, dt);
        assert!(on([1.0, -2.0], Method::Euler, None).unwrap_err().to_string().contains("a domain -2 long"));
        assert!(
            on([1.0; 2], Method::RungeKutta, Some(0.038)).is_ok() && on([1.0; 2], Method::Euler, Some(0.038)).is_err()
        );
        assert!(on([1.0; 2], Method::Implicit, Some(100.0)).is_ok());
    }

    #[test]
    fn an_extreme_diffusivity_is_blamed_not_a_time_step() {
        for alpha in [1e308, 1e305, 1e-320, 5e-324] {
            for dt in [None, Some(1e-3)] {
                let why = Heat::new([2048, 2048], alpha, dt).unwrap_err().to_string();
                assert!(why.starts_with(&format!("a diffusivity of {alpha:e} is too ")), "{why}");
            }
        }
        for alpha in [1e280, 1e-280] {
            assert!(Heat::new([2048, 2048], alpha, None).is_ok());
        }
    }
}
