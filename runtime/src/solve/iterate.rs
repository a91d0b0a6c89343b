//! A loop that goes on until a residual is small.

use crate::World;
use physalia_collectives::Outcome;

/// When a residual is small enough: below `absolute`, or below `relative` times the first one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// In the residual's own unit; 0 for never.
    pub absolute: f64,
    /// As a share of the residual before the first iteration; 0 for never.
    pub relative: f64,
}

impl Tolerance {
    /// This share of the residual before the first iteration.
    pub fn relative(relative: f64) -> Tolerance {
        Tolerance { absolute: 0.0, relative }
    }

    /// This residual.
    pub fn absolute(absolute: f64) -> Tolerance {
        Tolerance { absolute, relative: 0.0 }
    }

    /// The largest residual that is small enough.
    fn limit(&self, first: f64) -> f64 {
        self.absolute.max(self.relative * first)
    }
}

/// What a loop has come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Steps that were made.
    pub iterations: u64,
    /// The residual before the first step and after each.
    pub residuals: Vec<f64>,
    /// Whether the last residual is small enough.
    pub converged: bool,
}

impl Report {
    /// The residual before the first iteration.
    pub fn first(&self) -> f64 {
        self.residuals[0]
    }

    /// The last residual.
    pub fn last(&self) -> f64 {
        self.residuals[self.residuals.len() - 1]
    }

    /// By what an iteration has multiplied the residual, the geometric mean; 1 if there was none.
    pub fn rate(&self) -> f64 {
        if self.iterations == 0 { 1.0 } else { (self.last() / self.first()).powf(1.0 / self.iterations as f64) }
    }
}

/// Calls `step(world, k)` for k = 0, 1, 2, … until the residual that it gives is small enough, at most `most` times after the
/// first. Step 0 only tells the residual at the start; each other one improves the solution and tells its residual. A residual
/// must be the same on all ranks, as norms of fields and vectors are. Collective as far as `step` is.
///
/// ```
/// use physalia::prelude::*;
/// use physalia::solve::{Tolerance, iterate};
/// let mut x = 1.0f64; // Newton's method for the root of 2
/// let report = iterate(&mut World::alone(), Tolerance::absolute(1e-12), 20, |_, k| {
///     if k > 0 {
///         x -= (x * x - 2.0) / (2.0 * x);
///     }
///     Ok((x * x - 2.0).abs())
/// })?;
/// assert!(report.converged && report.iterations == 5);
/// # Ok::<(), Failure>(())
/// ```
///
/// # Errors
/// An agreed abort that names the iteration if a residual is NaN or infinite; else the failure of `step`. That the residual is
/// not small after `most` steps is no error: the report tells.
pub fn iterate(
    world: &mut World,
    until: Tolerance,
    most: u64,
    mut step: impl FnMut(&mut World, u64) -> Outcome<f64>,
) -> Outcome<Report> {
    let mut residuals = Vec::new();
    for k in 0..=most {
        let residual = step(world, k)?;
        if !residual.is_finite() {
            let last = residuals.last().map_or_else(String::new, |last: &f64| format!("; before it was {last:e}"));
            world.agree(Err::<(), _>(format!("the residual of iteration {k} is {residual}{last}")))?;
        }
        residuals.push(residual);
        if residual <= until.limit(residuals[0]) {
            return Ok(Report { iterations: k, residuals, converged: true });
        }
    }
    Ok(Report { iterations: most, residuals, converged: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Launch;

    fn run(until: Tolerance, most: u64, residuals: &[f64]) -> Report {
        iterate(&mut World::alone(), until, most, |_, k| Ok(residuals[k as usize])).unwrap()
    }

    #[test]
    fn it_ends_where_the_residual_is_small() {
        let falling = [8.0, 4.0, 2.0, 1.0, 0.5];
        for (until, most, iterations, converged) in [
            (Tolerance::relative(0.25), 9, 2, true),
            (Tolerance::absolute(1.0), 9, 3, true),
            (Tolerance { absolute: 3.0, relative: 0.125 }, 9, 2, true), // whichever comes first
            (Tolerance::absolute(10.0), 9, 0, true),
            (Tolerance::relative(0.01), 4, 4, false),
            (Tolerance::relative(0.01), 0, 0, false),
        ] {
            let report = run(until, most, &falling);
            assert_eq!((report.iterations, report.converged), (iterations, converged), "{until:?}");
            assert_eq!(report.residuals, falling[..=iterations as usize]);
        }
        assert_eq!(run(Tolerance::relative(0.2), 4, &falling).rate(), 0.5);
        assert!(run(Tolerance::absolute(0.0), 3, &[0.0]).converged); // nothing to do
    }

    #[test]
    fn what_is_no_number_ends_it_on_all_ranks() {
        for bad in [f64::NAN, f64::INFINITY] {
            let job = Launch::from_env().ranks(3).run(move |world| {
                let why = iterate(world, Tolerance::absolute(0.0), 9, |_, k| Ok(if k == 2 { bad } else { 0.5 }));
                let why = why.unwrap_err().to_string();
                assert!(why.contains(&format!("the residual of iteration 2 is {bad}; before it was 5e-1")), "{why}");
                Ok(world.size()) // all can go on
            });
            assert_eq!(job.unwrap(), [3; 3]);
        }
    }
}
