//! Ghost cells at the ends of a row: beyond a wall, or, where x is periodic, those of the other end.

use super::walls::Wall;
use crate::field::Cell;

/// What lies beyond the ends of the rows of a box.
#[derive(Clone, Debug)]
pub(super) struct Ends<T: Cell> {
    /// The walls of x at the low and high end of this box; none where the row goes on in another box.
    pub walls: [Option<Wall<T>>; 2],
    /// Where x is periodic and this box has whole rows: ghosts on each side.
    pub wrap: Option<usize>,
    /// Cells of a row.
    pub cells: isize,
}

impl<T: Cell> Ends<T> {
    /// Sets the ghosts beyond walls that the cells `x.0..x.1` of a row touch. `place` is where x = 0 is, after `step` steps.
    ///
    /// # Safety
    /// The row can be read and written there, and `radius` cells beyond; the cells that ghosts are the images of are among them.
    #[inline]
    pub(super) unsafe fn apply(
        &self,
        row: *mut T,
        x: (isize, isize),
        &(lo, hi): &(isize, isize),
        radius: usize,
        place: [i64; 3],
        step: u64,
    ) {
        for side in 0..2 {
            let touches = if side == 0 { x.0 <= lo } else { x.1 >= hi };
            let Some(wall) = self.walls[side].as_ref().filter(|_| touches) else { continue };
            let (first, out) = if side == 0 { (lo, -1) } else { (hi - 1, 1) };
            for k in 0..radius {
                let ghost = first + out * (k as isize + 1);
                let inner = |source: usize| first - out * source as isize;
                // SAFETY: as the caller says.
                unsafe {
                    let value = match wall {
                        Wall::Periodic => continue,
                        Wall::Fixed(value) => *value,
                        Wall::Mirror(about) => about.source(k).map_or(T::default(), |i| *row.offset(inner(i))),
                        Wall::Image(about, f) => {
                            about.source(k).map_or(T::default(), |i| f(*row.offset(inner(i)), k + 1))
                        }
                        Wall::Moving(f) => f([place[0] + ghost as i64, place[1], place[2]], step),
                    };
                    *row.offset(ghost) = value;
                }
            }
        }
    }

    /// Of the cells `x.0..x.1`, those that are ghosts at the other end are copied there.
    ///
    /// # Safety
    /// The row can be read and written there, and at its ghosts.
    #[inline]
    pub(super) unsafe fn wrap(&self, row: *mut T, x: (isize, isize)) {
        let Some(ghosts) = self.wrap.map(|ghosts| ghosts as isize) else { return };
        if x.0 >= ghosts && x.1 <= self.cells - ghosts {
            return;
        }
        for ghost in (-ghosts..0).chain(self.cells..self.cells + ghosts) {
            let source = ghost.rem_euclid(self.cells);
            if (x.0..x.1).contains(&source) {
                // SAFETY: as the caller says.
                unsafe { *row.offset(ghost) = *row.offset(source) };
            }
        }
    }
}
