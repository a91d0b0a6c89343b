//! Solvers on fields: loops that a residual controls, conjugate gradients, geometric multigrid, and steps in time.
//!
//! - [`iterate`] runs a step until the residual is small, and refuses one that is no number.
//! - [`conjugate_gradients`] solves with any symmetric positive operator, given as a closure, with or without a
//!   preconditioner; vectors are fields, or slices that ranks have ([`Vector`]).
//! - [`Multigrid`] solves σ u − ∇·(c ∇u) = f on boxes of 1 to 3 axes, with variable coefficients, any number of cells, and
//!   Dirichlet, Neumann or periodic walls ([`Elliptic`]); alone or as a preconditioner of conjugate gradients.
//! - [`ImplicitHeat`] steps u_t = ∇·(c ∇u) + f by it; [`RungeKutta`] is the classical explicit method of order 4.
//!
//! All of it is the same bits on any number of ranks, workers and boxes: cells are computed by fixed formulas from their
//! neighbours, smoothers do not depend on an order, and every dot product and norm is exact across blocks (see
//! [`par`](crate::par)).
//!
//! ```
//! use physalia::prelude::*;
//! use physalia::solve::{Coefficient, Elliptic, Multigrid, Tolerance};
//! let mut world = World::alone();
//! let mut f = Field::<f64, 2>::new(&mut world, Grid::new([40, 33]))?;
//! f.fill(|_| 1.0);
//! let mut u = f.like();
//! let problem = Elliptic::new([1.0, 1.0]); // −Δu = f on the unit square, u = 0 at its walls
//! let mut multigrid = Multigrid::new(&mut world, &f, &problem, Coefficient::Constant(1.0))?;
//! let report = multigrid.solve(&mut world, &f, &mut u, Tolerance::relative(1e-9), 30)?;
//! assert!(report.converged && report.iterations <= 15);
//! assert!((u.max_norm(&mut world)? - 0.0737).abs() < 1e-3); // Timoshenko: 0.07367
//! # Ok::<(), Failure>(())
//! ```

mod axis;
mod cg;
mod elliptic;
mod heat;
mod iterate;
mod levels;
mod multigrid;
mod operator;
mod restrict;
mod rk4;
mod vector;

pub use cg::{Unpreconditioned, conjugate_gradients};
pub use elliptic::{Elliptic, Wall};
pub use heat::ImplicitHeat;
pub use iterate::{Report, Tolerance, iterate};
pub use multigrid::{Coefficient, Multigrid};
pub use rk4::RungeKutta;
pub use vector::Vector;

use crate::field::Cell;
use crate::vector::Real;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// Numbers that fields are solved in: `f32` and `f64`.
pub trait Number:
    Cell + Real + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
}

impl Number for f32 {}
impl Number for f64 {}
