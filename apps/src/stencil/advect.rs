//! Advection u_t + v · ∇u = 0 on a periodic box, by first-order upwind differences.
//!
//! The new value is a mean of the cell and its neighbours upwind: (1 − Σ |Cₐ|) u + Σ |Cₐ| u₋ₐ, Cₐ = vₐ Δt / hₐ. It is stable while
//! Σ |Cₐ| ≤ 1, and if one axis has |C| = 1, a step is a shift by one cell, exactly. Courant numbers are rounded to multiples of the
//! numbers' precision, so that the weights make exactly 1: the sum of all cells drifts by unbiased roundings alone.
//!
//! A step multiplies a wave exp(i Σ θₐ jₐ) by g = 1 − Σ |Cₐ| (1 − exp(∓ i θₐ)), which is what the result is held against.
//!
//! # The bound
//!
//! A mean does not enlarge errors; it rounds by at most (D + 2) ε / 2 of the largest value, which is 1.5. The reference is off by
//! some ε for each step. So n steps are within (2 D + 8) (n + 1) ε; a shift is exact.

use super::axis::{Edge, by_x, index, sizes};
use super::engine::{Compiled, Engine, How, Real, Simulation, Verified, by_lines};
use super::exact::Check;
use crate::output::Geometry;
use physalia::prelude::*;
use physalia::stencil::{Near, Value};
use std::f64::consts::PI;

/// A step: weights of the cell itself, and of both neighbours along each axis, of which one is 0.
#[derive(Clone, Copy, Debug)]
pub struct Upwind<T, const D: usize> {
    stay: T,
    from: [[T; 2]; D],
}

impl<T: Real, const D: usize> Upwind<T, D> {
    #[inline(always)]
    fn formula<V: Value<T>, P: Near<V>>(&self, p: P) -> [V; 1] {
        let x = p.at(-1, 0, 0) * self.from[0][0] + p.at(1, 0, 0) * self.from[0][1];
        let here = p.at(0, 0, 0) * self.stay;
        if D == 1 {
            return [here + x];
        }
        let y = p.at(0, -1, 0) * self.from[D.min(2) - 1][0] + p.at(0, 1, 0) * self.from[D.min(2) - 1][1];
        if D == 2 {
            return [here + (x + y)];
        }
        let z = p.at(0, 0, -1) * self.from[D - 1][0] + p.at(0, 0, 1) * self.from[D - 1][1];
        [here + (x + y + z)]
    }
}
by_lines!({T: Real, const D: usize} Upwind<T, D>: T, 1, 1, 1);

/// What the field is at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// 1 + ½ cos of the sum of the axes' angles; the solution is known.
    Wave,
    /// A round hill in the middle.
    Hill,
    /// Even random numbers in [0, 1), by this seed and the cell's place.
    Random(u64),
}

/// A simulation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Advect<const D: usize> {
    cells: [u64; D],
    lengths: [f64; D],
    velocity: [f64; D],
    dt: f64,
    start: Start,
}

impl<const D: usize> Advect<D> {
    /// A simulation on a box of these lengths. `cfl` is Σ |Cₐ|, from which the time step follows unless it is given.
    ///
    /// # Errors
    /// In words, if the parameters make none, or an unstable one.
    pub fn new(
        cells: [u64; D],
        lengths: [f64; D],
        velocity: [f64; D],
        cfl: f64,
        dt: Option<f64>,
        start: Start,
    ) -> Result<Advect<D>, String> {
        sizes(cells, lengths)?;
        let rate: f64 = (0..D).map(|a| velocity[a].abs() * cells[a] as f64 / lengths[a]).sum();
        if !rate.is_normal() {
            return Err(format!("a velocity of {velocity:?}: numbers are wanted, and not all of them 0"));
        }
        if !(cfl > 0.0 && cfl <= 1.0) {
            return Err(format!("a CFL number of {cfl}: above 0, and at most 1 for stability"));
        }
        let dt = dt.unwrap_or(cfl / rate);
        if !(dt.is_normal() && dt > 0.0) {
            return Err(format!("a time step of {dt}: a positive number is wanted"));
        }
        // The limit itself, as a program computes it, is no more than the limit.
        if dt * rate > 1.0 + 4.0 * f64::EPSILON {
            return Err(format!(
                "a time step of {dt:e} is over the stability limit {:e} (1 / sum of |v|/h)",
                1.0 / rate
            ));
        }
        Ok(Advect { cells, lengths, velocity, dt, start })
    }

    /// Courant numbers, rounded to multiples of half the precision.
    fn courant<T: Real>(&self) -> [f64; D] {
        let unit = 0.5 * T::EPSILON;
        let mut left = 1.0;
        std::array::from_fn(|a| {
            let c = self.velocity[a] * self.dt * self.cells[a] as f64 / self.lengths[a];
            let size = ((c.abs() / unit).round() * unit).min(left);
            left -= size;
            size.copysign(c)
        })
    }

    /// If a step is a shift: along which axis, and whether upwards.
    fn shift<T: Real>(&self) -> Option<(usize, bool)> {
        let courant = self.courant::<T>();
        courant.iter().position(|c| c.abs() == 1.0).map(|axis| (axis, courant[axis] > 0.0))
    }

    /// The value of a cell at the start.
    fn value(&self, at: [u64; D]) -> f64 {
        match self.start {
            Start::Random(seed) => Random::new(seed).unit(index(self.cells, at)),
            Start::Wave => {
                // Whole turns are left out, so that angles are as exact as can be.
                let turns: f64 = (0..D).map(|a| at[a] as f64 / self.cells[a] as f64).sum();
                1.0 + 0.5 * (2.0 * PI * turns.fract()).cos()
            }
            Start::Hill => {
                let shortest = self.cells.iter().copied().min().unwrap_or(1) as f64;
                let from = |a: usize| (at[a] as f64 - 0.5 * (self.cells[a] - 1) as f64) / (0.1 * shortest).max(1.0);
                (-(0..D).map(|a| from(a).powi(2)).sum::<f64>()).exp()
            }
        }
    }

    /// What becomes of a wave's height and phase in a step: ln |g|, and the angle of g.
    fn growth<T: Real>(&self) -> (f64, f64) {
        let courant = self.courant::<T>();
        let (mut lost, mut turned) = (0.0, 0.0); // g = 1 − lost − i turned
        for (courant, cells) in courant.into_iter().zip(self.cells) {
            let angle = 2.0 * PI / cells as f64;
            lost += courant.abs() * 2.0 * (0.5 * angle).sin().powi(2);
            turned += courant * angle.sin();
        }
        let square = (lost - 2.0) * lost + turned * turned; // |g|² − 1
        (0.5 * square.max(-1.0).ln_1p(), (-turned).atan2(1.0 - lost))
    }
}

impl<T: Compiled<D>, const D: usize> Simulation<T, D> for Advect<D> {
    fn what(&self) -> String {
        let (cells, float) = (by_x(&self.cells), std::any::type_name::<T>());
        let (domain, velocity) = (by_x(&self.lengths), self.velocity);
        format!(
            "advect {cells} {float}, domain {domain}, velocity {velocity:?}, dt {:?}, start {:?}",
            self.dt, self.start
        )
    }

    fn cells(&self) -> [u64; D] {
        self.cells
    }

    fn dt(&self) -> f64 {
        self.dt
    }

    fn geometry(&self) -> Geometry {
        super::geometry(self.cells, self.lengths, [Edge::Periodic; D])
    }

    fn is_periodic(&self) -> bool {
        true
    }

    fn names(&self) -> &'static [&'static str] {
        &["u"]
    }

    fn fill(&self, fields: &mut [Field<T, D>]) {
        fields[0].fill(|at| T::from_f64(self.value(at)));
    }

    fn engine(&self, _: &mut World, _: &[Field<T, D>], how: &How, step: u64) -> Outcome<Engine<T, D>> {
        let courant = self.courant::<T>();
        let stay = T::from_f64(courant.iter().fold(1.0, |left, c| left - c.abs()));
        let from = courant.map(|c| [c.max(0.0), (-c).max(0.0)].map(T::from_f64));
        Ok(T::upwind(Upwind { stay, from }, Edge::walls([Edge::Periodic; D], 1), how, step))
    }

    fn check(&self, world: &mut World, fields: &[Field<T, D>], steps: u64) -> Result<Verified, Abort> {
        if let Some((axis, up)) = self.shift::<T>() {
            let n = self.cells[axis];
            let far = if up { n - steps % n } else { steps % n };
            let error = fields[0].max_of(world, |mut at, value| {
                at[axis] = (at[axis] + far) % n;
                (value.as_f64() - T::from_f64(self.value(at)).as_f64()).abs()
            })?;
            return Ok(Verified::By(Check { error, bound: 0.0, peak: 1.0 }));
        }
        if self.start != Start::Wave {
            return Ok(Verified::Not("the solution is known of a wave, and where a step is a shift"));
        }
        let ((log, turn), n) = (self.growth::<T>(), steps as f64);
        let (height, phase) = (0.5 * (n * log).exp(), (n * turn) % (2.0 * PI));
        let error = fields[0].max_of(world, |at, value| {
            let turns: f64 = (0..D).map(|a| at[a] as f64 / self.cells[a] as f64).sum();
            (value.as_f64() - (1.0 + height * (2.0 * PI * turns.fract() + phase).cos())).abs()
        })?;
        let bound = (2 * D + 8) as f64 * (n + 1.0) * T::EPSILON;
        Ok(Verified::By(Check { error, bound, peak: 1.0 }))
    }

    fn figures(&self, world: &mut World, fields: &[Field<T, D>]) -> Result<Vec<(&'static str, f64)>, Abort> {
        Ok(vec![("sum", fields[0].sum(world)?)])
    }
}
