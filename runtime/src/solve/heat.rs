//! Implicit steps of the heat equation u_t = ∇·(c ∇u) + s: backward Euler and Crank–Nicolson, stable for any time step.
//!
//! With θ = 1 or ½ and A u = −∇·(c ∇u), a step solves (σ + A) u' = (σ − (1 − θ)/θ A) u + s/θ, σ = 1/(θ Δt), by multigrid from
//! the old u. (Crank, Nicolson, 1947.)

use super::Number;
use super::elliptic::Elliptic;
use super::iterate::{Report, Tolerance};
use super::multigrid::{Coefficient, Multigrid};
use crate::World;
use crate::field::Field;
use physalia_collectives::Outcome;

/// Implicit steps of one length; walls are those of the problem, with zero there.
#[derive(Debug)]
pub struct ImplicitHeat<T: Number, const D: usize> {
    multigrid: Multigrid<T, D>,
    theta: f64,
    sigma: f64,
    rhs: Field<T, D>,
    tolerance: f64,
}

impl<T: Number, const D: usize> ImplicitHeat<T, D> {
    /// Steps of `dt` by backward Euler, of order 1 in time: rough parts of the field decay at once. The systems are solved until
    /// the residual is below 10⁻¹⁰ of the right-hand side (10⁻⁵ for `f32`). Collective, as [`Multigrid::new`].
    ///
    /// # Errors
    /// As [`Multigrid::new`].
    ///
    /// # Panics
    /// If `dt` is not a positive number, or the problem has a shift of its own.
    pub fn backward_euler(
        world: &mut World,
        like: &Field<T, D>,
        problem: &Elliptic<D>,
        c: Coefficient<'_, T, D>,
        dt: f64,
    ) -> Outcome<ImplicitHeat<T, D>> {
        ImplicitHeat::new(world, like, problem, c, dt, 1.0)
    }

    /// Steps of `dt` by Crank and Nicolson, of order 2 in time. Otherwise as `backward_euler`.
    ///
    /// # Errors
    /// As `backward_euler`.
    ///
    /// # Panics
    /// As `backward_euler`.
    pub fn crank_nicolson(
        world: &mut World,
        like: &Field<T, D>,
        problem: &Elliptic<D>,
        c: Coefficient<'_, T, D>,
        dt: f64,
    ) -> Outcome<ImplicitHeat<T, D>> {
        ImplicitHeat::new(world, like, problem, c, dt, 0.5)
    }

    fn new(
        world: &mut World,
        like: &Field<T, D>,
        problem: &Elliptic<D>,
        c: Coefficient<'_, T, D>,
        dt: f64,
        theta: f64,
    ) -> Outcome<ImplicitHeat<T, D>> {
        assert!(dt.is_normal() && dt > 0.0, "a time step of {dt}");
        assert!(problem.shift == 0.0, "a shift of {}: the time step makes it", problem.shift);
        let sigma = 1.0 / (theta * dt);
        let multigrid = Multigrid::new(world, like, &problem.shift(sigma), c)?;
        let tolerance = if T::nearest(1.0 + 1e-10).wide() > 1.0 { 1e-10 } else { 1e-5 };
        Ok(ImplicitHeat { multigrid, theta, sigma, rhs: like.like(), tolerance })
    }

    /// With systems solved until the residual is below this share of the right-hand side.
    pub fn tolerance(mut self, tolerance: f64) -> ImplicitHeat<T, D> {
        self.tolerance = tolerance;
        self
    }

    /// One step, in place. `source` is s at the end of the step (backward Euler) or in its middle (Crank–Nicolson). Collective;
    /// some V-cycles, and two reductions besides.
    ///
    /// # Errors
    /// An agreed abort if the system is not solved in 50 cycles; as [`Multigrid::solve`].
    ///
    /// # Panics
    /// If the fields lie on other boxes.
    pub fn step(&mut self, world: &mut World, u: &mut Field<T, D>, source: Option<&Field<T, D>>) -> Outcome<Report> {
        let (theta, rhs) = (self.theta, &mut self.rhs);
        if theta == 1.0 {
            let sigma = T::nearest(self.sigma);
            rhs.update_with(u, |_, u| sigma * u);
        } else {
            // (σ + A) u is what the multigrid applies: so σ/θ u − (1 − θ)/θ (σ + A) u.
            self.multigrid.apply(world, u, rhs)?;
            let (whole, part) = (T::nearest(self.sigma / theta), T::nearest((1.0 - theta) / theta));
            rhs.update_with(u, |au, u| whole * u - part * au);
        }
        if let Some(source) = source {
            rhs.axpy(T::nearest(1.0 / theta), source);
        }
        let until = Tolerance::absolute(self.tolerance * rhs.norm(world)?);
        let report = self.multigrid.solve(world, rhs, u, until, 50)?;
        if !report.converged {
            let (last, limit) = (report.last(), until.absolute);
            world.agree(Err::<(), _>(format!("after 50 cycles the residual is {last:e}, not below {limit:e}")))?;
        }
        Ok(report)
    }
}
