//! The heat equation u_t = α Δu on the unit box, zero at its boundary, by explicit Euler and second-order differences.
//!
//! An axis has n interior points at (i + 1) h, h = 1 / (n + 1). The step is stable up to Δt = 1 / (2 α Σ 1 / hₐ²). From a
//! product of sines the solution is known: [`exact`](super::exact) has it.

use super::exact::product;
use crate::output::Geometry;
use physalia::field::Cell;
use physalia::prelude::*;
use std::fmt;
use std::ops::{Add, Mul, Sub};

/// Numbers that the equation can be solved in.
pub trait Real: Cell + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> {
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

/// What the field is at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// A product of sines; the solution is known.
    Sines,
    /// Even random numbers in [0, 1), by this seed and the global index of the cell.
    Random(u64),
}

/// A simulation: cells along each axis, diffusivity, and time step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heat<const D: usize> {
    cells: [u64; D],
    alpha: f64,
    dt: f64,
}

/// Parameters for which there is no simulation.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum BadHeat {
    /// Too few or too many cells.
    Cells(Vec<u64>),
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
            BadHeat::Cells(cells) => {
                write!(f, "{cells:?} cells: each axis needs at least one, and all together fewer than 2^48")
            }
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
    /// A simulation. Without `dt` the step is 0.8 of the limit.
    ///
    /// # Errors
    /// If the parameters make no simulation, or an unstable one.
    pub fn new(cells: [u64; D], alpha: f64, dt: Option<f64>) -> Result<Heat<D>, BadHeat> {
        let all = cells.iter().try_fold(1u64, |product, &n| product.checked_mul(n));
        if cells.contains(&0) || all.is_none_or(|n| n >= 1 << 48) {
            return Err(BadHeat::Cells(cells.into()));
        }
        if !(alpha.is_finite() && alpha > 0.0) {
            return Err(BadHeat::Alpha(alpha));
        }
        let limit = 1.0 / (2.0 * alpha * cells.iter().map(|&n| points(n).powi(2)).sum::<f64>());
        if !(limit.is_normal() && (0.8 * limit).is_normal()) {
            return Err(BadHeat::ExtremeAlpha { alpha, limit });
        }
        let dt = dt.unwrap_or(0.8 * limit);
        if !(dt.is_finite() && dt > 0.0) {
            return Err(BadHeat::Dt(dt));
        }
        if dt > limit {
            return Err(BadHeat::Unstable { dt, limit });
        }
        Ok(Heat { cells, alpha, dt })
    }

    /// The time step.
    pub fn dt(&self) -> f64 {
        self.dt
    }

    /// The cells along each axis.
    pub fn cells(&self) -> [u64; D] {
        self.cells
    }

    /// The cells of the whole grid, on whichever ranks.
    pub fn all_cells(&self) -> u64 {
        self.cells.iter().product()
    }

    /// Where cells lie: a point is in the middle of its cell.
    pub fn geometry(&self) -> Geometry {
        let h: [f64; 3] = std::array::from_fn(|a| self.cells.get(a).map_or(1.0, |&n| 1.0 / points(n)));
        let axis = |a| a < D;
        Geometry { origin: std::array::from_fn(|a| if axis(a) { 0.5 * h[a] } else { 0.0 }), spacing: h }
    }

    /// α Δt / h² of each axis.
    pub(super) fn ratios(&self) -> [f64; D] {
        self.cells.map(|n| self.alpha * self.dt * points(n).powi(2))
    }

    /// The field at the start. Collective.
    ///
    /// # Errors
    /// As [`Field::new`].
    #[track_caller]
    pub fn start<T: Real>(&self, world: &mut World, start: Start) -> Result<Field<T, D>, Abort> {
        let mut u = Field::new(world, Grid::new(self.cells))?;
        match start {
            Start::Sines => {
                let sines = self.sines();
                u.fill(|at| T::from_f64(product(&sines, at)));
            }
            Start::Random(seed) => {
                let (random, cells) = (Random::new(seed), self.cells);
                u.fill(|at| T::from_f64(random.unit((0..D).rev().fold(0, |index, a| index * cells[a] + at[a]))));
            }
        }
        Ok(u)
    }

    /// Goes `steps` steps on, in place. While halos travel, what needs none is computed. Collective; each step one message to
    /// each neighbouring rank. `done` is called after each step with the number of steps done.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    pub fn advance<T: Real>(
        &self,
        world: &mut World,
        u: &mut Field<T, D>,
        steps: u64,
        mut done: impl FnMut(u64),
    ) -> Result<(), Abort> {
        let mut plan = HaloPlan::new(world, u)?;
        let mut next = u.like();
        let r = self.ratios().map(T::from_f64);
        for step in 1..=steps {
            let flight = plan.start(world, u)?;
            sweep(u, &mut next, Part::Interior, |rows, out| euler(&r, &rows, out));
            flight.finish(u)?;
            sweep(u, &mut next, Part::Edge, |rows, out| euler(&r, &rows, out));
            std::mem::swap(u, &mut next);
            done(step);
        }
        Ok(())
    }
}

/// 1 / h.
pub(super) fn points(n: u64) -> f64 {
    n as f64 + 1.0
}

/// One step of one row. Slices of one length let the compiler drop the bounds checks and use vectors; the order of
/// operations on a cell is fixed, so the bits do not depend on either.
#[inline]
fn euler<T: Real, const D: usize>(r: &[T; D], rows: &Rows<'_, T>, out: &mut [T]) {
    let n = out.len();
    let here = &rows.at(0, 0)[..n + 2];
    let (west, here, east) = (&here[..n], &here[1..n + 1], &here[2..]);
    let inner = |dy, dz| &rows.at(dy, dz)[1..n + 1];
    match D {
        1 => {
            for i in 0..n {
                out[i] = here[i] + r[0] * bend(west[i], here[i], east[i]);
            }
        }
        2 => {
            let (south, north) = (inner(-1, 0), inner(1, 0));
            for i in 0..n {
                let x = r[0] * bend(west[i], here[i], east[i]);
                let y = r[1] * bend(south[i], here[i], north[i]);
                out[i] = here[i] + (x + y);
            }
        }
        _ => {
            let (south, north, below, above) = (inner(-1, 0), inner(1, 0), inner(0, -1), inner(0, 1));
            for i in 0..n {
                let x = r[0] * bend(west[i], here[i], east[i]);
                let y = r[1] * bend(south[i], here[i], north[i]);
                let z = r[2] * bend(below[i], here[i], above[i]);
                out[i] = here[i] + (x + y + z);
            }
        }
    }
}

/// The second difference.
#[inline(always)]
fn bend<T: Real>(left: T, here: T, right: T) -> T {
    (left - here) + (right - here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_parameters_are_named() {
        assert_eq!(Heat::new([0, 4], 1.0, None), Err(BadHeat::Cells(vec![0, 4])));
        assert!(Heat::new([1 << 40, 1 << 40], 1.0, None).is_err());
        assert!(matches!(Heat::new([4], f64::NAN, None), Err(BadHeat::Alpha(_))));
        assert!(matches!(Heat::new([4], -1.0, None), Err(BadHeat::Alpha(_))));
        assert!(matches!(Heat::new([4], 1.0, Some(0.0)), Err(BadHeat::Dt(_))));
        let why = Heat::new([3, 3], 1.0, Some(1.0)).unwrap_err();
        assert!(why.to_string().contains("stability limit 1.5625e-2"), "{why}");
        assert!(Heat::new([3, 3], 1.0, Some(0.015625)).is_ok());
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
