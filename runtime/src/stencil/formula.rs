//! Formulas: stencils that are written once and evaluated on single cells or on whole lines in registers.
//!
//! A closure on single cells loads a row again for each distance in x, and nearly every such load crosses two cache lines. A
//! formula is evaluated on lines instead, where the processor has registers of 64 bytes: neighbours in x are shifted out of
//! three lines side by side, and rows that are computed together share what they load. The operations and their order are
//! the same, so are the bits.
//!
//! Another use of [`formula!`](crate::formula): the compiler does not inline a closure of many points (a star of 25 runs
//! eighteen times slower then), and stable Rust has no way to ask for it; `eval` of a type can be marked, and the macro does.

#![allow(clippy::needless_range_loop)] // as in `kernel`

use super::Stencil;
use super::isa::Isa;
use super::kernel::Call;
use super::lanes::{Reg, Register};
use super::point::{MAX_OUTPUTS, Point, Reach, Side};
use crate::field::Cell;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// A number, or a line of them.
pub trait Value<T>:
    Copy
    + Neg<Output = Self>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Add<T, Output = Self>
    + Sub<T, Output = Self>
    + Mul<T, Output = Self>
    + Div<T, Output = Self>
{
    /// The same number everywhere.
    fn all(number: T) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
}

macro_rules! scalar {
    ($($t:ty),*) => { $(impl Value<$t> for $t {
        #[inline(always)]
        fn all(number: $t) -> $t {
            number
        }
        #[inline(always)]
        fn sqrt(self) -> $t {
            self.sqrt()
        }
    })* };
}
scalar!(f32, f64);

/// What a formula reads: as [`Point`], where values may be lines.
pub trait Near<V>: Copy {
    /// As [`Point::at`].
    fn at(&self, dx: isize, dy: isize, dz: isize) -> V;
    /// As [`Point::of`].
    fn of(&self, k: usize, dx: isize, dy: isize, dz: isize) -> V;
    /// As [`Point::old`].
    fn old(&self) -> V;
    /// As [`Point::old_of`].
    fn old_of(&self, k: usize) -> V;
    /// As [`Point::step`].
    fn step(&self) -> u64;
}

impl<T: Copy, const R: usize, const K: usize> Near<T> for Point<'_, T, R, K> {
    #[inline(always)]
    fn at(&self, dx: isize, dy: isize, dz: isize) -> T {
        Point::at(self, dx, dy, dz)
    }
    #[inline(always)]
    fn of(&self, k: usize, dx: isize, dy: isize, dz: isize) -> T {
        Point::of(self, k, dx, dy, dz)
    }
    #[inline(always)]
    fn old(&self) -> T {
        Point::old(self)
    }
    #[inline(always)]
    fn old_of(&self, k: usize) -> T {
        Point::old_of(self, k)
    }
    #[inline(always)]
    fn step(&self) -> u64 {
        Point::step(self)
    }
}

/// Defines a stencil by one formula, as a type with parameters. Where a closure's point has the type
/// [`Point<T, R, K>`](Point), a formula says `Stencil<T, R, K, N>`: the number type, the radius, the number of fields that
/// it reads, and the number of values that it gives. The body gives an array of N of them.
///
/// ```
/// physalia::formula! {
///     /// The heat equation in two dimensions; `r` is α Δt / h².
///     pub struct Heat { r: f64 }
///     impl Stencil<f64, 1, 1, 1> for |self, p| {
///         let sum = (p.at(-1, 0, 0) + p.at(1, 0, 0)) + (p.at(0, -1, 0) + p.at(0, 1, 0));
///         [p.at(0, 0, 0) * (1.0 - 4.0 * self.r) + sum * self.r]
///     }
/// }
/// # let _ = Heat { r: 0.1 };
/// ```
///
/// Values add, subtract, multiply and divide with each other, and with numbers on their right. Functions that a formula calls
/// must be marked `#[inline(always)]`, or they stay calls of code without the processor's wide instructions.
#[macro_export]
macro_rules! formula {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident { $($(#[$fmeta:meta])* $fvis:vis $field:ident : $type:ty),* $(,)? }
        impl Stencil<$t:ty, $r:literal, $k:literal, $n:literal> for |$me:ident, $p:ident| $body:block
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        $vis struct $name { $($(#[$fmeta])* $fvis $field: $type),* }

        impl $name {
            #[inline(always)]
            fn formula<V: $crate::stencil::Value<$t>, P: $crate::stencil::Near<V>>(&$me, $p: P) -> [V; $n] $body
        }

        impl $crate::stencil::Stencil<$t, $r, $k> for $name {
            type Out = [$t; $n];
            const LINES: bool = true;
            #[inline(always)]
            fn eval(&self, p: $crate::stencil::Point<'_, $t, $r, $k>) -> [$t; $n] {
                self.formula(p)
            }
            #[inline(always)]
            fn lines<V: $crate::stencil::Value<$t>, P: $crate::stencil::Near<V>>(&self, p: P, out: &mut [V]) {
                let values: [V; $n] = self.formula(p);
                out[..$n].copy_from_slice(&values);
            }
        }
    };
}

/// The neighbourhood of a line: the rows of the first field that are computed sit in registers, all others are loaded.
struct Window<'a, T, V, const R: usize, const K: usize, const B: usize> {
    reach: &'a Reach<T>,
    call: &'a Call<T>,
    rows: &'a [[V; 3]; B],
    side: Side,
    x: isize,
    dims: usize,
    along_z: bool,
    olds: usize,
}

impl<T, V, const R: usize, const K: usize, const B: usize> Clone for Window<'_, T, V, R, K, B> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, V, const R: usize, const K: usize, const B: usize> Copy for Window<'_, T, V, R, K, B> {}

impl<T: Copy, V: Register<T>, const R: usize, const K: usize, const B: usize> Near<V> for Window<'_, T, V, R, K, B> {
    #[inline(always)]
    fn at(&self, dx: isize, dy: isize, dz: isize) -> V {
        self.of(0, dx, dy, dz)
    }
    #[inline(always)]
    fn of(&self, k: usize, dx: isize, dy: isize, dz: isize) -> V {
        let far = dx.unsigned_abs().max(dy.unsigned_abs()).max(dz.unsigned_abs());
        assert!(far <= R, "a stencil reads farther than its radius says");
        assert!(dz == 0 || self.dims > 2, "a stencil reads along z, which the field does not have");
        assert!(dy == 0 || self.dims > 1, "a stencil reads along y, which the field does not have");
        assert!(k < K, "a stencil reads a field that its point does not have");
        let (row, plane) = (dy + self.side.row as isize, dz + self.side.plane as isize);
        let (j, aside) = if self.along_z { (plane, row) } else { (row, plane) };
        if k == 0 && aside == 0 && j >= 0 && j < B as isize {
            return V::shift(&self.rows[j as usize], dx);
        }
        let plane = &self.reach[k][(plane + R as isize) as usize];
        // SAFETY: as in `Point::of`; a line can be read at every x of the window and R cells beyond.
        unsafe { V::load(plane[(row + R as isize) as usize].offset(self.x + dx)) }
    }
    #[inline(always)]
    fn old(&self) -> V {
        self.old_of(0)
    }
    #[inline(always)]
    fn old_of(&self, k: usize) -> V {
        assert!(k < self.olds, "one step earlier is kept of the fields that a leapfrog stepper steps");
        // SAFETY: as in `Point::old_of`.
        unsafe { V::load(self.call.old[k][self.side.j].offset(self.x)) }
    }
    #[inline(always)]
    fn step(&self) -> u64 {
        self.call.place.step
    }
}

/// The j-th of the rows side by side.
#[inline(always)]
fn own_row<T, const R: usize>(reach: &Reach<T>, j: usize, along_z: bool) -> *const T {
    if along_z { reach[0][R + j][R] } else { reach[0][R][R + j] }
}

/// Evaluates whole lines from `call.x0` to `end`. Registers carry a line to the next step, so the rows are loaded once.
///
/// # Safety
/// As for `kernel::rows`; the processor has registers of a line.
#[inline(always)]
pub(super) unsafe fn lines<
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
    reach: &Reach<T>,
    end: isize,
) where
    I: Isa,
    T: Cell,
    S: Stencil<T, R, K>,
{
    // No closures here: they lack the instruction set, so that intrinsics in them stay calls (a factor of fifty).
    let line = T::LINE as isize;
    let outputs = <S::Out as super::Values<T>>::N;
    let mut x = call.x0;
    // SAFETY: a line before the first one can be read, see `rows`.
    let mut rows = [[unsafe { Reg::<T>::load(own_row::<T, R>(reach, 0, Z).wrapping_offset(x)) }; 3]; B];
    for j in 0..B {
        // SAFETY: as above.
        unsafe {
            rows[j][0] = Reg::<T>::load(own_row::<T, R>(reach, j, Z).wrapping_offset(x - line));
            rows[j][1] = Reg::<T>::load(own_row::<T, R>(reach, j, Z).wrapping_offset(x));
        }
    }
    while x < end {
        for j in 0..B {
            // SAFETY: a line behind the last one can be read.
            rows[j][2] = unsafe { Reg::<T>::load(own_row::<T, R>(reach, j, Z).wrapping_offset(x + line)) };
        }
        let mut out = [[rows[0][0]; MAX_OUTPUTS]; B];
        for j in 0..B {
            let olds = if OLD { outputs } else { 0 };
            let window = Window::<T, Reg<T>, R, K, B> {
                reach,
                call,
                rows: &rows,
                side: Side::new(j, Z),
                x,
                dims: D,
                along_z: Z,
                olds,
            };
            stencil.lines::<Reg<T>, _>(window, &mut out[j][..outputs]);
        }
        for j in 0..B {
            for n in 0..outputs {
                let mut bytes = T::ZEROS;
                // SAFETY: a line of this type; and the caller's promise on `out`.
                unsafe {
                    if call.stream {
                        out[j][n].store(std::ptr::from_mut(&mut bytes).cast());
                        I::stream(call.out[n][j].offset(x).cast(), std::ptr::from_ref(&bytes).cast());
                    } else {
                        out[j][n].store(call.out[n][j].offset(x));
                    }
                }
            }
        }
        call.prefetch::<I>(x);
        for j in 0..B {
            rows[j] = [rows[j][1], rows[j][2], rows[j][2]];
        }
        x += line;
    }
}
