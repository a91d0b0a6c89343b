//! The global shape of a field.

/// Cells along each axis, `[x, y, z]` (x is contiguous), and how wide the halo of a box is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid<const D: usize> {
    cells: [u64; D],
    halo: usize,
}

impl<const D: usize> Grid<D> {
    /// A grid with a halo of one cell.
    ///
    /// # Panics
    /// If an axis has no cells, or there are not 1 to 3 axes.
    pub fn new(cells: [u64; D]) -> Grid<D> {
        assert!((1..=3).contains(&D), "{D} axes; 1 to 3 are supported");
        assert!(cells.iter().all(|&n| n > 0), "an empty grid: {cells:?}");
        Grid { cells, halo: 1 }
    }

    /// The width of the halo: the radius of the widest stencil that will read the field.
    pub fn halo(mut self, width: usize) -> Grid<D> {
        self.halo = width;
        self
    }

    /// Cells along each axis.
    pub fn cells(&self) -> [u64; D] {
        self.cells
    }

    /// The width of the halo.
    pub fn halo_width(&self) -> usize {
        self.halo
    }

    /// Cells along x, y, z; missing axes have one.
    pub(crate) fn extent(&self) -> [u64; 3] {
        lift(self.cells, 1)
    }

    /// Ghost cells on both sides of x, y, z; missing axes have none.
    pub(crate) fn ghosts(&self) -> [usize; 3] {
        lift([self.halo; D], 0)
    }

    pub(crate) fn fingerprint(&self) -> u64 {
        self.extent()
            .into_iter()
            .fold(self.halo as u64, |h, n| (h ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29))
    }
}

/// Three axes from D, with `rest` for those that are missing.
pub(crate) fn lift<T: Copy, const D: usize>(axes: [T; D], rest: T) -> [T; 3] {
    std::array::from_fn(|a| axes.get(a).copied().unwrap_or(rest))
}

/// The first D axes.
pub(crate) fn lower<const D: usize>(axes: [u64; 3]) -> [u64; D] {
    std::array::from_fn(|a| axes[a])
}
