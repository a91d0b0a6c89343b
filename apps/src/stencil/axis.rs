//! The ends of an axis: where points lie, what is beyond, and the waves that fit between.

use physalia::field::Cell;
use physalia::stencil::{About, Wall, Walls};
use std::f64::consts::PI;
use std::ops::Neg;

/// What holds at both ends of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// Zero, one width beyond the first and the last point.
    Zero,
    /// Zero, half a width beyond: at the face of the first and the last cell.
    ZeroAtFace,
    /// No flux through the face of the first and the last cell.
    Mirror,
    /// The axis goes on at its other end.
    Periodic,
}

impl Edge {
    /// Points along one unit of length.
    pub fn per_length(self, cells: u64, length: f64) -> f64 {
        let gaps = if self == Edge::Zero { cells as f64 + 1.0 } else { cells as f64 };
        gaps / length
    }

    /// The angle by which the longest wave that fits turns from point to point, but the constant one.
    pub fn angle(self, cells: u64) -> f64 {
        match self {
            Edge::Zero => PI / (cells as f64 + 1.0),
            Edge::ZeroAtFace => PI / cells as f64,
            Edge::Mirror if cells == 1 => 0.0,
            Edge::Mirror => PI / cells as f64,
            Edge::Periodic => 2.0 * PI / cells as f64,
        }
    }

    /// That wave at all points.
    pub fn wave(self, cells: u64) -> Vec<f64> {
        let n = cells as f64;
        let at = |i: u64| match self {
            Edge::Zero => (PI * (i + 1) as f64 / (n + 1.0)).sin(),
            Edge::ZeroAtFace => (PI * (i as f64 + 0.5) / n).sin(),
            Edge::Mirror => (self.angle(cells) * (i as f64 + 0.5)).cos(),
            Edge::Periodic => (2.0 * PI * i as f64 / n).cos(),
        };
        (0..cells).map(at).collect()
    }

    /// What stencils of a radius read beyond.
    pub fn wall<T: Cell + Neg<Output = T>>(self, radius: usize) -> Wall<T> {
        match self {
            Edge::Zero if radius == 1 => Wall::fixed(T::default()),
            Edge::Zero => Wall::odd(About::FirstBeyond),
            Edge::ZeroAtFace => Wall::odd(About::Face),
            Edge::Mirror => Wall::mirror(),
            Edge::Periodic => Wall::Periodic,
        }
    }

    /// The walls of a grid.
    pub fn walls<T: Cell + Neg<Output = T>, const D: usize>(edges: [Self; D], radius: usize) -> Walls<T, D> {
        Walls(edges.map(|edge| [edge.wall(radius), edge.wall(radius)]))
    }

    /// The middle of the first cell is so many widths from the origin.
    pub fn first(self) -> f64 {
        if self == Edge::Zero { 1.0 } else { 0.5 }
    }
}

/// A product of one factor an axis, at a cell.
pub(super) fn product<const D: usize>(factors: &[Vec<f64>; D], at: [u64; D]) -> f64 {
    (0..D).map(|a| factors[a][at[a] as usize]).product()
}

/// The place of a cell among all, x fastest.
pub(super) fn index<const D: usize>(cells: [u64; D], at: [u64; D]) -> u64 {
    (0..D).rev().fold(0, |index, a| index * cells[a] + at[a])
}

/// Cells and lengths that make a grid: at least one cell along each axis, fewer than 2^48 in all, positive lengths.
///
/// # Errors
/// In words, if they do not.
pub(super) fn sizes<const D: usize>(cells: [u64; D], lengths: [f64; D]) -> Result<(), String> {
    let all = cells.iter().try_fold(1u64, |product, &n| product.checked_mul(n));
    if cells.contains(&0) || all.is_none_or(|n| n >= 1 << 48) {
        return Err(format!("{cells:?} cells: each axis needs at least one, and all together fewer than 2^48"));
    }
    match lengths.iter().find(|length| !(length.is_normal() && **length > 0.0)) {
        Some(length) => Err(format!("a domain {length} long: a positive number is wanted")),
        None => Ok(()),
    }
}

/// Numbers along the axes, as `64x48`.
pub(super) fn by_x<N: std::fmt::Debug>(numbers: &[N]) -> String {
    numbers.iter().map(|n| format!("{n:?}")).collect::<Vec<_>>().join("x")
}
