//! The line engine: a stencil is evaluated a line of 64 bytes at a time, for up to four rows side by side.
//!
//! A counted loop over the cells of a line, with the rows inside it, becomes clean vector code from any closure that the
//! compiler inlines. The leading row or plane is asked for a line at a time while another line is stored past the caches: only
//! both together double the speed of a sweep from memory.
//!
//! Code here is compiled once for each stencil, set of instructions and number of rows, so it does no more than that; where rows
//! lie is told by a [`Call`], which is the same for all stencils.

#![allow(clippy::needless_range_loop)] // counted loops over rows and lines are what becomes vector code

use super::Stencil;
use super::formula::lines;
use super::isa::{Isa, Set};
use super::lanes::{Reg, Register};
use super::point::{Around, MAX_INPUTS, MAX_OUTPUTS, MAX_ROWS, Place, Point, Reach, Side, Values, reach};
use crate::field::Cell;

/// Rows that may be fetched ahead in one call.
pub(super) const MAX_AHEAD: usize = 12;

/// What one call computes: some rows side by side, from `x0` (a multiple of a line) to `x1`.
pub(super) struct Call<T> {
    /// What is read, by field.
    pub around: [Around<T>; MAX_INPUTS],
    /// One step earlier, by field and row.
    pub old: [[*const T; MAX_ROWS]; MAX_OUTPUTS],
    pub out: [[*mut T; MAX_ROWS]; MAX_OUTPUTS],
    /// Rows to fetch meanwhile.
    pub ahead: [*const T; MAX_AHEAD],
    pub aheads: usize,
    pub x0: isize,
    pub x1: isize,
    /// Store past the caches: rows of `out` begin lines then.
    pub stream: bool,
    pub place: Place,
}

impl<T> Call<T> {
    #[inline(always)]
    pub(super) fn prefetch<I: Isa>(&self, x: isize) {
        for row in &self.ahead[..self.aheads] {
            I::prefetch(row.wrapping_offset(x).cast());
        }
    }
}

/// Computes rows of the stencil that is behind the first pointer.
pub(super) type RowsFn<T> = unsafe fn(*const (), &Call<T>);

/// Forgets of which stencil some code is.
fn erased<T, S>(code: unsafe fn(&S, &Call<T>)) -> RowsFn<T> {
    // The code takes a reference, so that the compiler knows that no store changes the stencil.
    // SAFETY: references to sized types are passed as pointers are; the caller of the code gives a pointer to the stencil.
    unsafe { std::mem::transmute(code) }
}

/// A stencil, compiled for one set of instructions.
#[derive(Clone, Copy)]
pub(super) struct Kernel<T> {
    /// One row.
    pub one: RowsFn<T>,
    /// `rows` rows.
    pub many: RowsFn<T>,
    pub rows: usize,
    /// They lie side by side along z, else along y.
    pub along_z: bool,
    pub radius: usize,
    pub inputs: usize,
    pub outputs: usize,
    pub leapfrog: bool,
}

/// Evaluates some rows.
///
/// # Safety
/// - The processor has the set of instructions.
/// - The tables have the rows around B rows of K fields of D axes. Those of the first field can be read from a line before
///   `x0` to the end of the line of `x1` and a line more, all others from R before `x0` to R behind that end; `old` from `x0`
///   to the end of the line of `x1` if OLD.
/// - `out` can be written from `x0` to `x1`, nobody else uses it meanwhile, and it overlaps nothing that is read but `old`.
#[inline(always)]
unsafe fn rows<
    I,
    T,
    S,
    const R: usize,
    const K: usize,
    const D: usize,
    const B: usize,
    const Z: bool,
    const OLD: bool,
>(
    stencil: &S,
    call: &Call<T>,
) where
    I: Isa,
    T: Cell,
    S: Stencil<T, R, K>,
{
    // SAFETY: as the caller says.
    let reach = &unsafe { if Z { reach::<T, R, K, D, B>(&call.around) } else { reach::<T, R, K, D, 1>(&call.around) } };
    let line = T::LINE as isize;
    let whole = call.x0 + (call.x1 - call.x0) / line * line;
    let mut x = call.x0;
    if I::LINES && S::LINES && <Reg<T> as Register<T>>::HERE {
        // SAFETY: as the caller says.
        unsafe { lines::<I, T, S, R, K, D, B, Z, OLD>(stencil, call, reach, whole) };
        x = whole;
    }
    while x < whole {
        let lines = eval::<T, S, R, K, D, B, Z, OLD>(stencil, call, reach, x);
        for n in 0..S::Out::N {
            for j in 0..B {
                let from = std::ptr::from_ref(&lines[n][j]).cast::<u8>();
                // SAFETY: a whole line of a row that is written.
                unsafe {
                    let to = call.out[n][j].offset(x).cast::<u8>();
                    if call.stream {
                        I::stream(to, from);
                    } else {
                        to.cast::<[u8; 64]>().write_unaligned(from.cast::<[u8; 64]>().read_unaligned());
                    }
                }
            }
        }
        call.prefetch::<I>(x);
        x += line;
    }
    if x < call.x1 {
        // The rest of the line may be others': all is computed, and what belongs to the range is stored.
        let lines = eval::<T, S, R, K, D, B, Z, OLD>(stencil, call, reach, x);
        for n in 0..S::Out::N {
            for j in 0..B {
                for i in 0..call.x1 - x {
                    // SAFETY: a cell of the range.
                    unsafe { *call.out[n][j].offset(x + i) = lines[n][j][i as usize] };
                }
            }
        }
        call.prefetch::<I>(x);
    }
}

/// A line of each row, side by side in one counted loop.
#[inline(always)]
fn eval<T, S, const R: usize, const K: usize, const D: usize, const B: usize, const Z: bool, const OLD: bool>(
    stencil: &S,
    call: &Call<T>,
    reach: &Reach<T>,
    x: isize,
) -> [[T::Line; B]; MAX_OUTPUTS]
where
    T: Cell,
    S: Stencil<T, R, K>,
{
    let mut lines = [[T::ZEROS; B]; MAX_OUTPUTS];
    for i in 0..T::LINE {
        for j in 0..B {
            let olds = if OLD { S::Out::N } else { 0 };
            let point = Point {
                reach,
                old: &call.old,
                place: &call.place,
                x: x + i as isize,
                side: Side::new(j, Z),
                dims: D,
                olds,
            };
            let values = stencil.eval(point);
            for n in 0..S::Out::N {
                lines[n][j][i] = values.value(n);
            }
        }
    }
    lines
}

macro_rules! entry {
    ($name:ident, $isa:ty $(, $features:literal)?) => {
        /// # Safety
        /// As for `rows`.
        $(#[target_feature(enable = $features)])?
        unsafe fn $name<T, S, const R: usize, const K: usize, const D: usize, const B: usize, const Z: bool, const OLD: bool>(
            stencil: &S,
            call: &Call<T>,
        ) where
            T: Cell,
            S: Stencil<T, R, K>,
        {
            // SAFETY: as the caller says.
            unsafe { rows::<$isa, T, S, R, K, D, B, Z, OLD>(stencil, call) }
        }
    };
}

#[cfg(target_arch = "x86_64")]
entry!(on_avx512, super::isa::Avx512, "avx512f,avx512vl,avx512bw,avx512dq,avx2");
#[cfg(target_arch = "x86_64")]
entry!(on_avx2, super::isa::Avx2, "avx2");
entry!(on_base, super::isa::Base);

impl<T> Kernel<T> {
    /// Whether rows are computed together along the streamed axis, which is y in two axes, not across it.
    #[inline(always)]
    pub(super) fn along_stream(&self, dims: usize) -> bool {
        dims == 2 || self.along_z
    }
}

/// Rows that are best computed together: how many, and whether they lie along z. More rows share loads. Along z they also share
/// planes, most of which are no longer in the nearest cache when the next plane is computed.
const fn side_by_side(radius: usize, outputs: usize, dims: usize, lines: bool) -> (usize, bool) {
    match (dims, outputs, radius) {
        (2, 1, 0..=1) => (4, false),
        (2, 2, 0..=1) => (2, false),
        // Cell by cell a wide stencil has more addresses than there are registers.
        (3, 1, 0..=1) => (2, true),
        (3, 1, _) if lines => (2, true),
        _ => (1, false),
    }
}

impl<T: Cell> Kernel<T> {
    /// The code of a stencil for a set of instructions.
    pub(super) fn of<S, const R: usize, const K: usize, const D: usize, const OLD: bool>(set: Set) -> Kernel<T>
    where
        S: Stencil<T, R, K>,
    {
        match const { side_by_side(R, S::Out::N, D, S::LINES) } {
            (4, _) => Kernel::with_rows::<S, R, K, D, OLD, 4, false>(set),
            (2, false) => Kernel::with_rows::<S, R, K, D, OLD, 2, false>(set),
            (2, true) => Kernel::with_rows::<S, R, K, D, OLD, 2, true>(set),
            _ => Kernel::with_rows::<S, R, K, D, OLD, 1, false>(set),
        }
    }

    fn with_rows<S, const R: usize, const K: usize, const D: usize, const OLD: bool, const B: usize, const Z: bool>(
        set: Set,
    ) -> Kernel<T>
    where
        S: Stencil<T, R, K>,
    {
        let (one, many, rows) = match set {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => {
                (erased(on_avx512::<T, S, R, K, D, 1, false, OLD>), erased(on_avx512::<T, S, R, K, D, B, Z, OLD>), B)
            }
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => {
                // Without registers of a line there are few of any kind.
                let one = erased(on_avx2::<T, S, R, K, D, 1, false, OLD>);
                if R > 1 { (one, one, 1) } else { (one, erased(on_avx2::<T, S, R, K, D, B, Z, OLD>), B) }
            }
            _ => {
                let one = erased(on_base::<T, S, R, K, D, 1, false, OLD>);
                (one, one, 1)
            }
        };
        let along_z = Z && rows > 1;
        Kernel { one, many, rows, along_z, radius: R, inputs: K, outputs: S::Out::N, leapfrog: OLD }
    }
}
