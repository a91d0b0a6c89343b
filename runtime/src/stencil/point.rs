//! What a stencil sees of the grid: one cell and its neighbours.

use crate::field::Cell;

/// The largest radius of a stencil.
pub const MAX_RADIUS: usize = 8;
/// The most fields that a stencil reads.
pub const MAX_INPUTS: usize = 8;
/// The most fields that a stencil writes.
pub const MAX_OUTPUTS: usize = 4;
/// Rows that are computed side by side, at most: what two of them read is then loaded once.
pub(super) const MAX_ROWS: usize = 4;

/// Rows of a plane that some rows side by side can reach.
pub(super) const ALONG: usize = 2 * MAX_RADIUS + MAX_ROWS;
/// Planes that some rows side by side can reach.
pub(super) const ACROSS: usize = 2 * MAX_RADIUS + MAX_ROWS;

/// The rows of one field around some rows side by side: a table of pointers, in which rows of a plane follow one another and
/// planes are `width` entries apart. `ALONG` entries on both sides of those in reach can be read, whatever they say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<T> {
    /// The entry of the first of the rows.
    pub centre: *const *mut T,
    pub width: isize,
}

/// Row pointers of all fields: `[input][dz + R + plane][dy + R + row]`. It is always a local that falls apart into registers, so rows that
/// a stencil does not read cost nothing, and nothing is loaded again after a store.
pub(super) type Reach<T> = [[[*const T; ALONG]; ACROSS]; MAX_INPUTS];

/// Reads what a stencil of radius R, with K fields of D axes, may use on so many planes side by side.
///
/// # Safety
/// The tables have the rows.
#[inline(always)]
pub(super) unsafe fn reach<T, const R: usize, const K: usize, const D: usize, const PLANES: usize>(
    around: &[Around<T>; MAX_INPUTS],
) -> Reach<T> {
    // Written out, for a loop over the table would have to be unrolled before the table can fall apart; and constants decide what is
    // read, so that no code is made for the rest.
    macro_rules! field {
        ($k:literal) => {
            field!($k: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19)
        };
        ($k:literal: $($p:literal)*) => {
            [$(if const { $k < K && $p < 2 * R + PLANES && (D == 3 || $p == R) } {
                let Around { centre, width } = around[$k];
                let from = centre.wrapping_offset(($p - R as isize) * width - R as isize);
                // SAFETY: as the caller says; what lies beside those rows is not followed.
                unsafe { from.cast::<[*const T; ALONG]>().read() }
            } else {
                [std::ptr::null(); ALONG]
            }),*]
        };
    }
    [field!(0), field!(1), field!(2), field!(3), field!(4), field!(5), field!(6), field!(7)]
}

/// One of the rows that are computed side by side: the j-th, which lies so many rows and planes from the first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side {
    pub j: usize,
    pub row: usize,
    pub plane: usize,
}

impl Side {
    /// The j-th, where rows lie side by side along z, or else along y.
    #[inline(always)]
    pub(super) fn new(j: usize, along_z: bool) -> Side {
        if along_z { Side { j, row: 0, plane: j } } else { Side { j, row: j, plane: 0 } }
    }
}

/// Where neighbouring rows lie in the grid, and when: the position of the cell at x = 0 of the first one, and the steps done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub origin: [i64; 3],
    /// Cells along axes that are periodic; 0 for others.
    pub periods: [i64; 3],
    pub step: u64,
}

impl Place {
    /// The position of a cell so far from there, along periodic axes within the grid.
    #[inline(always)]
    pub(super) fn cell(&self, x: isize, side: Side) -> [i64; 3] {
        let at = [self.origin[0] + x as i64, self.origin[1] + side.row as i64, self.origin[2] + side.plane as i64];
        std::array::from_fn(|a| if self.periods[a] > 0 { at[a].rem_euclid(self.periods[a]) } else { at[a] })
    }
}

/// One cell, its neighbours up to `R` away along each axis, in `K` fields.
///
/// Fields are numbered: first those that are stepped, then those that are only read.
pub struct Point<'a, T, const R: usize, const K: usize = 1> {
    pub(super) reach: &'a Reach<T>,
    pub(super) old: &'a [[*const T; MAX_ROWS]; MAX_OUTPUTS],
    pub(super) place: &'a Place,
    pub(super) x: isize,
    pub(super) side: Side,
    pub(super) dims: usize,
    /// Fields of which the level before is at hand.
    pub(super) olds: usize,
}

impl<T, const R: usize, const K: usize> Clone for Point<'_, T, R, K> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, const R: usize, const K: usize> Copy for Point<'_, T, R, K> {}

impl<T: Copy, const R: usize, const K: usize> std::fmt::Debug for Point<'_, T, R, K> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Point({:?})", self.cell())
    }
}

impl<T: Copy, const R: usize, const K: usize> Point<'_, T, R, K> {
    /// The value so far away in the first field. With constant distances this is one load.
    ///
    /// # Panics
    /// If a distance is larger than the radius `R`, or along an axis that the field does not have. [`near`](Point::near) is
    /// checked by the compiler instead.
    #[inline(always)]
    pub fn at(&self, dx: isize, dy: isize, dz: isize) -> T {
        self.of(0, dx, dy, dz)
    }

    /// The value so far away in field `k`.
    ///
    /// # Panics
    /// As [`at`](Point::at), or if `k` is not below `K`.
    #[inline(always)]
    pub fn of(&self, k: usize, dx: isize, dy: isize, dz: isize) -> T {
        let far = dx.unsigned_abs().max(dy.unsigned_abs()).max(dz.unsigned_abs());
        assert!(far <= R, "a stencil reads farther than its radius says");
        assert!(dz == 0 || self.dims > 2, "a stencil reads along z, which the field does not have");
        assert!(dy == 0 || self.dims > 1, "a stencil reads along y, which the field does not have");
        assert!(k < K, "a stencil reads a field that its point does not have");
        let plane = &self.reach[k][(dz + R as isize) as usize + self.side.plane];
        // SAFETY: whoever makes a point has filled the table for radius, rows and K fields with rows that can be read R cells
        // beyond every x of the point; the distances were checked.
        unsafe { *plane[(dy + R as isize) as usize + self.side.row].offset(self.x + dx) }
    }

    /// The value so far away in the first field; that the radius is kept is checked when the program is compiled.
    #[inline(always)]
    pub fn near<const DX: isize, const DY: isize, const DZ: isize>(&self) -> T {
        const {
            assert!(
                DX.unsigned_abs() <= R && DY.unsigned_abs() <= R && DZ.unsigned_abs() <= R,
                "this stencil reads farther than the radius R of its Point<T, R>"
            );
        }
        self.of(0, DX, DY, DZ)
    }

    /// The same cell one step earlier; in steppers made by [`leapfrog`](super::Stepper::leapfrog).
    ///
    /// # Panics
    /// In other steppers.
    #[inline(always)]
    pub fn old(&self) -> T {
        self.old_of(0)
    }

    /// As [`old`](Point::old), of field `k`.
    ///
    /// # Panics
    /// As [`old`](Point::old), or if field `k` is not stepped.
    #[inline(always)]
    pub fn old_of(&self, k: usize) -> T {
        assert!(k < self.olds, "one step earlier is kept of the fields that a leapfrog stepper steps");
        // SAFETY: rows of all such fields are there, and can be read at every x of the point.
        unsafe { *self.old[k][self.side.j].offset(self.x) }
    }

    /// The cell's position in the grid. At the ends of rows it may lie outside: what is computed there is not kept.
    #[inline(always)]
    pub fn cell(&self) -> [i64; 3] {
        self.place.cell(self.x, self.side)
    }

    /// The number of steps that were done before this one, as the stepper counts them.
    #[inline(always)]
    pub fn step(&self) -> u64 {
        self.place.step
    }
}

/// What a stencil gives for a cell: one value, or an array of one value for each field that it steps.
pub trait Values<T>: Copy {
    /// How many.
    const N: usize;
    /// The n-th.
    fn value(&self, n: usize) -> T;
}

impl<T: Cell> Values<T> for T {
    const N: usize = 1;
    #[inline(always)]
    fn value(&self, _: usize) -> T {
        *self
    }
}

impl<T: Cell, const N: usize> Values<T> for [T; N] {
    const N: usize = N;
    #[inline(always)]
    fn value(&self, n: usize) -> T {
        self[n]
    }
}
