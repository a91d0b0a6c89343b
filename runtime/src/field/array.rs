//! Fields as `ndarray` arrays, C-ordered as numpy has them: the axes are `[z, y, x]`.

use super::{Cell, Field, Region};
use crate::World;
use ndarray::{ArrayD, ArrayView3, IxDyn};
use physalia_collectives::Abort;

impl<T: Cell, const D: usize> Field<T, D> {
    /// This rank's boxes: where each lies, and its cells without ghosts. Fewer axes than three have length 1. Local; nothing
    /// is copied.
    ///
    /// ```
    /// use physalia::prelude::*;
    /// let mut u = Field::<f64, 2>::new(&mut World::alone(), Grid::new([6, 4]))?;
    /// u.fill(|[x, y]| (x + 10 * y) as f64);
    /// let (_, cells) = &u.views()[0];
    /// assert_eq!((cells.shape(), cells[[0, 3, 5]]), (&[1, 4, 6][..], 35.0));
    /// # Ok::<(), Abort>(())
    /// ```
    pub fn views(&self) -> Vec<(&Region, ArrayView3<'_, T>)> {
        self.blocks.iter().map(|block| (&block.region, block.view())).collect()
    }

    /// The whole field on rank 0, as an array of as many axes as the grid has; `None` elsewhere. For small fields. Collective;
    /// every rank sends its cells to rank 0.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// Never: the shape is the grid's.
    #[track_caller]
    pub fn gather_array(&self, world: &mut World) -> Result<Option<ArrayD<T>>, Abort> {
        let shape: Vec<usize> = self.grid.cells().iter().rev().map(|&n| n as usize).collect();
        let whole = self.gather(world)?;
        Ok(whole.map(|cells| ArrayD::from_shape_vec(IxDyn(&shape), cells).expect("as many cells as the grid has")))
    }
}
