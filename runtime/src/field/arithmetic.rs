//! Fields as vectors: what iterative methods do between two applications of an operator. Local and in parallel; each cell is one
//! rounded product and one rounded sum, never fused, so its bits do not depend on the machine.

use super::Field;
use super::cell::Cell;
use std::ops::{Add, Mul};

impl<T: Cell + Add<Output = T> + Mul<Output = T>, const D: usize> Field<T, D> {
    /// u ← u + a x.
    ///
    /// ```
    /// use physalia::prelude::*;
    /// let mut world = World::alone();
    /// let mut u = Field::<f64, 1>::new(&mut world, Grid::new([5]))?;
    /// let mut x = u.like();
    /// x.fill(|[i]| i as f64);
    /// u.axpy(2.0, &x);
    /// u.xpby(&x, 0.5); // x + u / 2
    /// assert_eq!(u.get([4]), Some(8.0));
    /// # Ok::<(), Abort>(())
    /// ```
    ///
    /// # Panics
    /// If the fields lie on different boxes; as [`map`](Field::map).
    pub fn axpy(&mut self, a: T, x: &Field<T, D>) {
        self.update_with(x, |u, x| u + a * x);
    }

    /// u ← x + b u.
    ///
    /// # Panics
    /// As [`axpy`](Field::axpy).
    pub fn xpby(&mut self, x: &Field<T, D>, b: T) {
        self.update_with(x, |u, x| x + b * u);
    }

    /// u ← a u.
    ///
    /// # Panics
    /// As [`map`](Field::map).
    pub fn scale(&mut self, a: T) {
        self.map(|_, u| a * u);
    }
}

impl<T: Cell, const D: usize> Field<T, D> {
    /// u ← x, without ghosts. Local; both fields must lie on the same boxes.
    ///
    /// # Panics
    /// If the fields lie on different boxes; as [`map`](Field::map).
    pub fn assign(&mut self, x: &Field<T, D>) {
        self.must_lie_as(x.boxes_of());
        self.each_row_mut(|b, at, row| row.copy_from_slice(x.blocks[b].part(at, row.len())));
    }
}
