//! The exact discrete solution of the heat equation from a product of waves, and how far rounding may carry a right program
//! from it.
//!
//! A product S of the longest waves that fit the axes is an eigenvector of the discrete Laplacian: each step of Euler multiplies
//! it by G = 1 − λ, λ = Σ 4 rₐ sin²(θₐ / 2), rₐ = α Δt / hₐ², with waves that turn by θₐ from point to point; one of Runge and Kutta by
//! 1 − λ + λ²/2 − λ³/6 + λ⁴/24, one of backward Euler by 1 / (1 + λ) (see Morton and Mayers, "Numerical Solution of Partial Differential Equations",
//! chapter 2). So Gⁿ S is the field after n steps, and an error counts by what is left: a field that has decayed to 10⁻³⁰ must
//! be right to 10⁻⁴⁵.
//!
//! # The bound, for Euler with zero at all ends
//!
//! Let A be one step, and ε the distance from 1 to the next number. Largest values over all cells:
//!
//! - *Errors decay as the field does*: ‖Aᵐ‖ ≤ K Gᵐ, K = (π/2)ᴰ in D axes. A stable A has no negative entry, so ‖Aᵐ‖ is the
//!   peak of f = Aᵐ 1. Second differences along an axis commute with A and vanish at the boundary; those of 1 are not positive,
//!   so those of f are not: f is concave along each axis, symmetric, and not below its peak times a product of tents. Its inner
//!   product with S is Gᵐ ⟨1, S⟩. An axis gives ⟨1, S⟩ / ⟨tent, S⟩ ≤ π/2.
//! - *A step rounds by 4 ε of the peak*: the sum of all Σ rₐ (|left − here| + |right − here|) is at most the peak, and each
//!   term is rounded six times on its way (twice in the second difference, once each in r and the product, twice in the sum of
//!   the axes); adding it to the cell is the seventh. Rounding is at most ε/2.
//! - So the peak after m steps is at most Ĝᵐ, Ĝ = G + 4 ε K, and n steps add up to n · 4 ε K · Ĝⁿ⁻¹.
//! - *The start* is off by rounded angles and sines: a few ε, of which K Gⁿ is left.
//! - *The reference* has its own error: λ is off by 6 ε λ at most, Gⁿ by n · 8 ε λ Gⁿ⁻¹, the exponential's angle included.
//! - *Below the least number of full precision* rounding is absolute: that number for each operation of each step.
//!
//! # For others
//!
//! - *Euler with other ends, Runge and Kutta up to Euler's limit*: A is a mean, of neighbours or of repeated means, so errors do
//!   not grow, but need not decay; n steps add up to κ ε min(n, 1 / (1 − G)) (1 + κ ε)ⁿ, as the field decays. κ = 4 for Euler as
//!   above, and 40 for Runge and Kutta: four stages, each of which rounds as a step and its sums do. Beyond Euler's limit the
//!   Euclidean norm does not grow, which is at most the root of the number of cells times as large.
//! - *Backward Euler*: a system is solved until its residual is 10⁻¹⁰ (`f32`: 10⁻⁵) of the right-hand side, in the Euclidean norm, and
//!   so is the new field, or as well as its own rounding lets be known: 64 ε (1 + 4 Σ rₐ).

use super::axis::{Edge, product};
use super::engine::{Compiled, Real};
use super::heat::{Heat, Method};
use physalia::prelude::*;
use std::f64::consts::FRAC_PI_2;

/// A field held against the exact solution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Check {
    /// The largest distance of a cell from the exact discrete solution.
    pub error: f64,
    /// The largest error that rounding can explain.
    pub bound: f64,
    /// The largest value of the exact solution.
    pub peak: f64,
}

/// What a check has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every cell is as near as rounding allows.
    Right,
    /// A cell is farther off, or no number.
    Wrong,
    /// So little of the field is left that rounding could explain any: an empty field would pass too.
    Nothing,
}

impl Check {
    /// What was found.
    pub fn verdict(&self) -> Verdict {
        if self.error.is_nan() || self.error > self.bound {
            Verdict::Wrong
        } else if self.bound >= self.peak {
            Verdict::Nothing
        } else {
            Verdict::Right
        }
    }
}

impl<const D: usize> Heat<D> {
    /// Holds a field that has gone `steps` steps from waves against the exact solution. Collective.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    pub fn check<T: Compiled<D>>(&self, world: &mut World, u: &Field<T, D>, steps: u64) -> Result<Check, Abort> {
        let (waves, left) = (self.waves(), self.left_after(steps));
        let error = u.max_of(world, |at, value| (value.as_f64() - left * product(&waves, at)).abs())?;
        let top = |wave: &Vec<f64>| wave.iter().copied().map(f64::abs).fold(0.0, f64::max);
        let peak = left.abs() * waves.iter().map(top).product::<f64>();
        Ok(Check { error, bound: self.rounding_bound::<T>(steps), peak })
    }

    /// How far rounding, or a solver that stops, may carry the result from the exact one.
    pub fn rounding_bound<T: Real>(&self, steps: u64) -> f64 {
        let (lost, n) = (self.lost(), steps as f64);
        let all_zero = self.edges.iter().all(|edge| matches!(edge, Edge::Zero));
        let least = 16.0 * n * T::LEAST;
        let reference = 8.0 * lost * n * ((n - 1.0).max(0.0) * (-lost).max(-1.0).ln_1p()).exp() + 16.0;
        let (ratios, cells) = (self.ratios().iter().sum::<f64>(), self.cells.iter().product::<u64>() as f64);
        let summed = |kappa: f64, more: f64| {
            let a_step = kappa * T::EPSILON;
            a_step * n.min(1.0 / lost.abs()) * (n * a_step).exp() * more + T::EPSILON * reference + least
        };
        match self.method {
            Method::Euler if all_zero => {
                let k = FRAC_PI_2.powi(D as i32);
                let grown = ((1.0 - lost).abs() + 4.0 * T::EPSILON * k).ln();
                let after = |n: f64| (n * grown).exp();
                let rounded = (4.0 * k + 8.0 * lost) * n * after((n - 1.0).max(0.0)) + 16.0 * k * after(n);
                T::EPSILON * rounded + least
            }
            Method::Euler => summed(4.0, 1.0),
            Method::RungeKutta => summed(40.0, if 2.0 * ratios <= 1.0 { 1.0 } else { cells.sqrt() }),
            Method::Implicit => {
                let solved = if T::EPSILON < 1e-10 { 1e-10 } else { 1e-5 };
                let stops = (solved * cells.sqrt()).max(64.0 * T::EPSILON * (1.0 + 4.0 * ratios));
                stops * n.min(1.0 / lost) + summed(64.0, 1.0)
            }
        }
    }

    /// The part of the amplitude that a step takes away.
    fn lost(&self) -> f64 {
        let sine = |a: usize| (0.5 * self.edges[a].angle(self.cells[a])).sin();
        let lambda: f64 = self.ratios().iter().enumerate().map(|(a, r)| 4.0 * r * sine(a).powi(2)).sum();
        match self.method {
            Method::Euler => lambda,
            Method::RungeKutta => lambda * (1.0 - lambda / 2.0 * (1.0 - lambda / 3.0 * (1.0 - lambda / 4.0))),
            Method::Implicit => lambda / (1.0 + lambda),
        }
    }

    /// What is left of an amplitude of 1 after so many steps. By logarithms: a power would lose a bit each time that the
    /// number of steps doubles.
    fn left_after(&self, steps: u64) -> f64 {
        let lost = self.lost();
        if lost < 1.0 {
            (steps as f64 * (-lost).ln_1p()).exp()
        } else {
            // One cell and the largest stable step: the factor is 0, or next to it by rounding.
            (1.0 - lost).powi(i32::try_from(steps).unwrap_or(i32::MAX))
        }
    }

    /// The longest wave that fits, at the points of each axis.
    pub(super) fn waves(&self) -> [Vec<f64>; D] {
        std::array::from_fn(|a| self.edges[a].wave(self.cells[a]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    /// 1 / h.
    fn points(n: u64) -> f64 {
        n as f64 + 1.0
    }

    #[test]
    fn the_error_falls_with_the_square_of_h() {
        // Against the differential equation's own solution at one time, the classic check of the order.
        let error = |n: u64| {
            let heat = Heat::new([n, n], 1.0, Some(0.01 / f64::from(1 << 10))).unwrap();
            let steps = 1024;
            let exact = (-2.0 * PI.powi(2) * heat.dt() * steps as f64).exp();
            (heat.left_after(steps) - exact).abs()
        };
        let rate = (error(7) / error(15)).log2();
        assert!((1.8..2.2).contains(&rate), "order {rate}");
    }

    /// The first step of the proof, by computing: the peak of Aᵐ 1, also at the stability limit.
    #[test]
    fn errors_decay_as_the_field_does() {
        fn peaks<const D: usize>(cells: [u64; D])
        where
            f64: Compiled<D>,
        {
            let mut world = World::alone();
            let limit = 1.0 / (2.0 * cells.iter().map(|&n| points(n).powi(2)).sum::<f64>());
            for part in [0.1, 0.5, 0.8, 1.0] {
                let heat = Heat::new(cells, 1.0, Some(part * limit)).unwrap();
                let mut u = Field::<f64, D>::new(&mut world, Grid::new(cells)).unwrap();
                u.fill(|_| 1.0);
                for step in 1..=60 {
                    heat.advance(&mut world, &mut u, 1).unwrap();
                    let peak = u.max_of(&mut world, |_, value| value.abs()).unwrap();
                    let allowed = FRAC_PI_2.powi(D as i32) * heat.left_after(step);
                    assert!(peak <= allowed + 1e-12, "{cells:?}, {part} of the limit, step {step}: {peak} > {allowed}");
                }
            }
        }
        peaks([1]);
        peaks([2]);
        peaks([7]);
        peaks([3, 4]);
        peaks([2, 9]);
        peaks([3, 2, 5]);
    }

    #[test]
    fn what_rounding_explains_is_no_finding() {
        let check = |error, bound, peak| Check { error, bound, peak }.verdict();
        assert_eq!(check(1e-16, 1e-14, 1.0), Verdict::Right);
        assert_eq!(check(1e-13, 1e-14, 1.0), Verdict::Wrong);
        assert_eq!(check(f64::NAN, 1e-14, 1.0), Verdict::Wrong);
        assert_eq!(check(1.0, 1e-14, 1e-15), Verdict::Wrong);
        assert_eq!(check(1e-15, 1e-14, 1e-15), Verdict::Nothing);
    }
}
