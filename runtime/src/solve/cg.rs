//! Conjugate gradients: A x = b for a symmetric positive definite operator that is known by what it does to a vector.
//!
//! Hestenes, Stiefel, "Methods of conjugate gradients for solving linear systems" (1952); with a preconditioner as in Saad,
//! "Iterative methods for sparse linear systems" (2003), algorithm 9.1.

use super::iterate::{Report, Tolerance, iterate};
use super::vector::Vector;
use crate::World;
use physalia_collectives::Outcome;

/// No preconditioner, for [`conjugate_gradients`].
pub type Unpreconditioned<V> = fn(&mut World, &V, &mut V) -> Outcome<()>;

/// Solves A x = b from the x that is given. `apply(world, p, q)` makes q = A p; it may fill ghosts of p and must leave its cells.
/// `precondition(world, r, z)` makes z = M r with M near the inverse of A, symmetric, positive and the same each time; with
/// `None::<Unpreconditioned<_>>` z is r. The residual is the Euclidean norm of b − A x, as the recurrence has it: rounding makes
/// the true one differ by about 10⁻¹⁶ of the largest on the way. A semi-definite A is right too, if b and x have nothing of
/// what it makes zero.
///
/// Collective. An iteration applies A once, makes two dot products (three with a preconditioner), and reads and writes
/// three vectors; four vectors (five) are held besides x and b.
///
/// ```
/// use physalia::prelude::*;
/// use physalia::solve::{Tolerance, Unpreconditioned, conjugate_gradients};
/// let mut world = World::alone();
/// let (b, mut x) = (vec![1.0, 2.0, 3.0], vec![0.0; 3]);
/// let apply = |_: &mut World, p: &mut Vec<f64>, q: &mut Vec<f64>| {
///     *q = vec![4.0 * p[0] + p[1], p[0] + 3.0 * p[1], 2.0 * p[2]];
///     Ok(())
/// };
/// let none = None::<Unpreconditioned<Vec<f64>>>;
/// let report = conjugate_gradients(&mut world, &b, &mut x, Tolerance::relative(1e-12), 10, apply, none)?;
/// assert!(report.converged && report.iterations <= 4 && (x[2] - 1.5).abs() < 1e-12);
/// # Ok::<(), Failure>(())
/// ```
///
/// # Errors
/// An agreed abort if A or M is found not to be positive definite, with the iteration and the product that says so, or as
/// [`iterate`]; else what the closures fail with.
pub fn conjugate_gradients<V: Vector, P: FnMut(&mut World, &V, &mut V) -> Outcome<()>>(
    world: &mut World,
    b: &V,
    x: &mut V,
    until: Tolerance,
    most: u64,
    mut apply: impl FnMut(&mut World, &mut V, &mut V) -> Outcome<()>,
    mut precondition: Option<P>,
) -> Outcome<Report> {
    let (mut r, mut p, mut q) = (b.like(), b.like(), b.like());
    let mut z = precondition.as_ref().map(|_| b.like());
    let (mut rho, mut square) = (0.0, 0.0);
    iterate(world, until, most, |world, k| {
        if k == 0 {
            p.assign(world, x);
            apply(world, &mut p, &mut q)?;
            r.assign(world, b);
            r.axpy(world, -1.0, &q);
            square = r.dot(world, &r)?;
            return Ok(square.sqrt());
        }
        let before = rho;
        rho = match (&mut precondition, &mut z) {
            (Some(precondition), Some(z)) => {
                precondition(world, &r, z)?;
                let rho = r.dot(world, z)?;
                positive(world, k, "the preconditioner is not positive definite: r·M r", rho)?;
                rho
            }
            _ => square,
        };
        let z = z.as_ref().unwrap_or(&r);
        if k == 1 {
            p.assign(world, z);
        } else {
            p.xpby(world, z, rho / before);
        }
        apply(world, &mut p, &mut q)?;
        let curvature = p.dot(world, &q)?;
        positive(world, k, "the operator is not positive definite: p·A p", curvature)?;
        let alpha = rho / curvature;
        x.axpy(world, alpha, &p);
        r.axpy(world, -alpha, &q);
        square = r.dot(world, &r)?;
        Ok(square.sqrt())
    })
}

/// A failure on all ranks alike, unless the product is positive. What is no number is the residual's to report.
fn positive(world: &mut World, k: u64, what: &str, product: f64) -> Outcome<()> {
    if product <= 0.0 {
        world.agree(Err::<(), _>(format!("{what} is {product:e} in iteration {k}")))?;
    }
    Ok(())
}
