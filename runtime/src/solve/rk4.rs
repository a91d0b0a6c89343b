//! Explicit steps in time: the classical Runge–Kutta method of order 4.

use super::Number;
use crate::World;
use crate::field::Field;
use physalia_collectives::Outcome;

/// Steps u' = F(t, u) for fields, any number of which make up the state. It owns three fields for each of the state's.
///
/// ```
/// use physalia::prelude::*;
/// use physalia::solve::RungeKutta;
/// let mut world = World::alone();
/// let mut state = [Field::<f64, 1>::new(&mut world, Grid::new([8]))?, Field::new(&mut world, Grid::new([8]))?];
/// state[0].fill(|_| 1.0); // an oscillator in each cell
/// let mut steps = RungeKutta::new(&state);
/// for k in 0..100 {
///     let (t, dt) = (k as f64 * 0.01, 0.01);
///     steps.step(&mut world, &mut state, t, dt, |_, _, [x, v], [dx, dv]| {
///         dx.assign(v);
///         dv.assign(x);
///         dv.scale(-1.0);
///         Ok(())
///     })?;
/// }
/// assert!((state[0].get([3]).unwrap() - 1f64.cos()).abs() < 1e-10);
/// # Ok::<(), Failure>(())
/// ```
#[derive(Debug)]
pub struct RungeKutta<T: Number, const D: usize, const N: usize> {
    start: [Field<T, D>; N],
    slope: [Field<T, D>; N],
    sum: [Field<T, D>; N],
}

impl<T: Number, const D: usize, const N: usize> RungeKutta<T, D, N> {
    /// For states on the boxes of this one. Local.
    ///
    /// # Panics
    /// If there is no memory for three fields for each of the state's.
    pub fn new(state: &[Field<T, D>; N]) -> RungeKutta<T, D, N> {
        let fields = || state.each_ref().map(Field::like);
        RungeKutta { start: fields(), slope: fields(), sum: fields() }
    }

    /// One step of `dt` from time `t`. `rate(world, t, u, du)` makes du = F(t, u) of all cells; it may fill ghosts of u and
    /// must leave its cells. Collective as far as `rate` is, which is called four times; besides, a step reads and writes about
    /// fifteen fields for each of the state's.
    ///
    /// # Errors
    /// What `rate` fails with; the state is then of no use.
    ///
    /// # Panics
    /// If the state lies on other boxes.
    pub fn step(
        &mut self,
        world: &mut World,
        state: &mut [Field<T, D>; N],
        t: f64,
        dt: f64,
        mut rate: impl FnMut(&mut World, f64, &mut [Field<T, D>; N], &mut [Field<T, D>; N]) -> Outcome<()>,
    ) -> Outcome<()> {
        for (start, u) in self.start.iter_mut().zip(&*state) {
            start.assign(u);
        }
        // Time and weight of each stage, and how far the next stage goes from the start.
        let stages = [(0.0, 1.0, 0.5), (0.5, 2.0, 0.5), (0.5, 2.0, 1.0), (1.0, 1.0, 0.0)];
        for (number, (at, weight, next)) in stages.into_iter().enumerate() {
            rate(world, t + at * dt, state, &mut self.slope)?;
            let fields = state.iter_mut().zip(&self.start).zip(&self.slope).zip(&mut self.sum);
            for (((u, start), slope), sum) in fields {
                let weight = T::nearest(weight);
                if number == 0 {
                    sum.assign(slope);
                } else {
                    sum.axpy(weight, slope);
                }
                if number < 3 {
                    let ahead = T::nearest(next * dt);
                    u.update_with_two(start, slope, |_, start, slope| start + ahead * slope);
                } else {
                    let ahead = T::nearest(dt / 6.0);
                    u.update_with_two(start, sum, |_, start, sum| start + ahead * sum);
                }
            }
        }
        Ok(())
    }
}
