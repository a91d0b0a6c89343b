//! What lies beyond the ends of an axis.

use crate::field::Cell;
use std::fmt;
use std::ops::Neg;
use std::sync::Arc;

/// About which point cells are mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The face between the last cell and the first one beyond: that is as the last one.
    Face,
    /// The last cell: the first one beyond is as the one before the last.
    LastCell,
    /// The first cell beyond: that is zero, the second is as the last one.
    FirstBeyond,
}

impl About {
    /// Which cell from the wall inwards the k-th one outwards is the image of; `None`: it is zero.
    pub(super) fn source(self, k: usize) -> Option<usize> {
        match self {
            About::Face => Some(k),
            About::LastCell => Some(k + 1),
            About::FirstBeyond => k.checked_sub(1),
        }
    }
}

/// One end of an axis: what a stencil reads beyond the last cell.
///
/// With cells at the nodes of a mesh, [`Wall::fixed`] is a Dirichlet boundary one mesh width beyond the last cell. With cells
/// that are little volumes, [`Wall::mirror`] is a Neumann boundary without flux at the last cell's face. At the edges of a box
/// (seen by stencils with corners) z comes first, then y, then x.
#[derive(Clone)]
pub enum Wall<T> {
    /// The axis goes on at its other end. Both ends must say so.
    Periodic,
    /// One number. Dirichlet.
    Fixed(T),
    /// The mirror image: Neumann without flux, or a free end of a wave.
    Mirror(About),
    /// A function of the mirrored value and how many cells beyond the last one (from 1): odd images, given slopes.
    Image(About, Image<T>),
    /// A function of the place of the cell beyond (a coordinate is negative or too large; beyond corners several are) and of the number of steps done.
    /// Dirichlet, changing with place and time.
    Moving(Moving<T>),
}

/// What becomes of a mirrored value.
pub type Image<T> = Arc<dyn Fn(T, usize) -> T + Send + Sync>;
/// The value of a place beyond a wall after so many steps.
pub type Moving<T> = Arc<dyn Fn([i64; 3], u64) -> T + Send + Sync>;

impl<T: Cell> fmt::Debug for Wall<T> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Wall::Periodic => write!(f, "Periodic"),
            Wall::Fixed(value) => write!(f, "Fixed({})", value.as_f64()),
            Wall::Mirror(about) => write!(f, "Mirror({about:?})"),
            Wall::Image(about, _) => write!(f, "Image({about:?}, …)"),
            Wall::Moving(_) => write!(f, "Moving(…)"),
        }
    }
}

impl<T: Cell> Wall<T> {
    /// One number beyond the last cell: Dirichlet.
    pub fn fixed(value: T) -> Wall<T> {
        Wall::Fixed(value)
    }

    /// No flux through the last cell's face: Neumann.
    pub fn mirror() -> Wall<T> {
        Wall::Mirror(About::Face)
    }

    /// Zero at a point, and odd about it: a wave is thrown back turned over, and sines stay sines for stencils of any radius.
    pub fn odd(about: About) -> Wall<T>
    where
        T: Neg<Output = T>,
    {
        Wall::Image(about, Arc::new(|value: T, _| -value))
    }

    /// A function of place and time.
    pub fn moving(f: impl Fn([i64; 3], u64) -> T + Send + Sync + 'static) -> Wall<T> {
        Wall::Moving(Arc::new(f))
    }

    /// Rows beyond such a wall must be made anew for each step.
    pub(super) fn is_made(&self) -> bool {
        matches!(self, Wall::Image(..) | Wall::Moving(_))
    }

    pub(super) fn is_periodic(&self) -> bool {
        matches!(self, Wall::Periodic)
    }
}

/// The walls of a grid: low and high end of each axis.
#[derive(Clone, Debug)]
pub struct Walls<T: Cell, const D: usize>(pub [[Wall<T>; 2]; D]);

impl<T: Cell, const D: usize> Walls<T, D> {
    /// The same at all ends.
    pub fn all(wall: Wall<T>) -> Walls<T, D> {
        Walls(std::array::from_fn(|_| [wall.clone(), wall.clone()]))
    }

    /// The same but for both ends of one axis.
    pub fn with(mut self, axis: usize, wall: Wall<T>) -> Walls<T, D> {
        self.0[axis] = [wall.clone(), wall];
        self
    }

    /// What is wrong with them for a grid of so many cells and a stencil of this radius.
    pub(super) fn fault(&self, cells: [u64; D], radius: usize) -> Option<String> {
        for axis in 0..D {
            let [low, high] = &self.0[axis];
            let name = ["x", "y", "z"][axis];
            if low.is_periodic() != high.is_periodic() {
                return Some(format!("{name} is periodic at one end only: {low:?}, {high:?}"));
            }
            for wall in [low, high] {
                let (Wall::Mirror(about) | Wall::Image(about, _)) = wall else { continue };
                let needed = (0..radius).filter_map(|k| about.source(k)).max().map_or(0, |k| k + 1);
                if (cells[axis] as usize) < needed {
                    return Some(format!(
                        "{name} has {} cells; a stencil of radius {radius} at a wall {wall:?} needs {needed}",
                        cells[axis]
                    ));
                }
            }
        }
        None
    }

    /// Of x, y, z; axes that are not there have walls that nobody looks beyond.
    pub(super) fn lifted(&self) -> [[Wall<T>; 2]; 3] {
        let nothing = || [Wall::Fixed(T::default()), Wall::Fixed(T::default())];
        std::array::from_fn(|a| self.0.get(a).cloned().unwrap_or_else(nothing))
    }
}
