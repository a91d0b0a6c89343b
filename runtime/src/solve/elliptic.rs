//! Elliptic problems on boxes: which equation, and what holds at the walls.

use std::fmt;

/// What holds at a wall of the box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wall {
    /// The solution has a value there: 0, or what [`Multigrid::add_walls`](super::Multigrid::add_walls) brings.
    Dirichlet,
    /// The flux c ∂u/∂n through it has a value: 0, or what `add_walls` brings.
    Neumann,
    /// The opposite wall is the same place; both of an axis are periodic or none.
    Periodic,
}

/// σ u − ∇·(c ∇u) = f on a box, by finite volumes on equal cells along each axis; unknowns are at the cells' centres.
///
/// The flux between two cells is the harmonic mean of their c times the difference of u over the distance; a Dirichlet wall is
/// half a cell away, and c there is the cell's. Of order 2 where c is smooth; across a jump of c that lies between cells the flux
/// is right too (Patankar, "Numerical heat transfer and fluid flow", 1980, section 4.2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Elliptic<const D: usize> {
    pub(super) lengths: [f64; D],
    pub(super) walls: [[Wall; 2]; D],
    pub(super) shift: f64,
}

impl<const D: usize> Elliptic<D> {
    /// −∇·(c ∇u) = f on a box of these lengths, with Dirichlet walls.
    ///
    /// # Panics
    /// If a length is not a positive number.
    pub fn new(lengths: [f64; D]) -> Elliptic<D> {
        assert!(lengths.iter().all(|l| l.is_normal() && *l > 0.0), "a box of lengths {lengths:?}");
        Elliptic { lengths, walls: [[Wall::Dirichlet; 2]; D], shift: 0.0 }
    }

    /// With these walls at the lower and the upper end of each axis, `[x, y, z]`.
    ///
    /// # Panics
    /// If an axis is periodic at one end only.
    pub fn walls(mut self, walls: [[Wall; 2]; D]) -> Elliptic<D> {
        let both = |[a, b]: [Wall; 2]| (a == Wall::Periodic) == (b == Wall::Periodic);
        assert!(walls.into_iter().all(both), "an axis that is periodic at one end: {walls:?}");
        self.walls = walls;
        self
    }

    /// With this σ.
    ///
    /// # Panics
    /// If it is negative or no number.
    pub fn shift(mut self, sigma: f64) -> Elliptic<D> {
        assert!(sigma.is_finite() && sigma >= 0.0, "a shift of {sigma}");
        self.shift = sigma;
        self
    }

    /// Whether the solution is fixed only up to a constant: no Dirichlet wall, and σ is 0.
    pub fn singular(&self) -> bool {
        self.shift == 0.0 && !self.walls.as_flattened().contains(&Wall::Dirichlet)
    }

    pub(super) fn periodic(&self) -> [bool; D] {
        self.walls.map(|[lower, _]| lower == Wall::Periodic)
    }
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Wall::Dirichlet => "dirichlet",
            Wall::Neumann => "neumann",
            Wall::Periodic => "periodic",
        })
    }
}
