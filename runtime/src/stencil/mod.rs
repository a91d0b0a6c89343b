//! Stencils: simulations whose cells are computed from their neighbours, at each step anew.
//!
//! The update of one cell is a closure from a [`Point`] to a value. A [`Stepper`] runs it over fields, many steps at a time: it
//! evaluates whole lines with the widest instructions of the processor, fuses steps so that memory is passed once for several
//! of them (`tile`), exchanges halos of that depth between ranks while inner tiles are computed, and gives tiles to the workers
//! near whose memory they are. None of that shows in the result: it has the same bits for any number of ranks and workers, any
//! tiles, and any set of instructions, because every cell is computed by the same operations from the same numbers.
//!
//! ```
//! use physalia::prelude::*;
//! use physalia::stencil::{Point, Stepper, Wall, Walls};
//! let mut world = World::alone();
//! let mut u = Field::<f64, 2>::new(&mut world, Grid::new([64, 48]))?;
//! u.fill(|[x, y]| if x == 32 && y == 24 { 1.0 } else { 0.0 });
//! let mut heat = Stepper::new(|p: Point<f64, 1>| {
//!     let sum = (p.at(-1, 0, 0) + p.at(1, 0, 0)) + (p.at(0, -1, 0) + p.at(0, 1, 0));
//!     0.5 * p.at(0, 0, 0) + 0.125 * sum
//! })
//! .walls(Walls::all(Wall::fixed(0.0)));
//! heat.advance(&mut world, &mut [&mut u], 100)?;
//! assert!(u.get([32, 24]).unwrap() < 0.01);
//! # Ok::<(), Abort>(())
//! ```
//!
//! # Writing a stencil
//!
//! - `p.at(dx, dy, dz)` reads a neighbour; how far is bounded by the radius `R` of the `Point<T, R>`. Fields of fewer axes use
//!   zeros for the others. `p.near::<-1, 0, 0>()` reads the same, and the compiler checks the radius.
//! - Several fields: `Point<T, R, K>` reads `K` fields by `p.of(k, dx, dy, dz)`; the closure gives `[T; N]`, the new values of
//!   the first N of them. The others are only read ([`Stepper::reads`]): coefficients, masks.
//! - `p.old()` is the cell's value one step earlier, in a stepper made by [`Stepper::leapfrog`].
//! - `p.cell()` is where the cell is, `p.step()` how many steps were done.
//! - A stencil is evaluated for some cells whose values are not used, made of numbers that mean nothing: it must not panic
//!   on them, as an integer division by a neighbour or a look-up in a table might.
//! - Closures of more than a dozen points are not inlined by the compiler, which makes them many times slower. Write them by
//!   [`formula!`](crate::formula), which also is evaluated on registers.

mod ends;
mod exchange;
mod formula;
mod isa;
mod kernel;
pub(crate) mod lanes;
mod places;
mod point;
mod prepare;
mod ready;
mod ring;
mod shape;
mod stepper;
mod surroundings;
mod tables;
mod taps;
mod tile;
mod tune;
mod walls;
mod work;

pub use formula::{Near, Value};
pub use isa::Set;
pub use point::{MAX_INPUTS, MAX_OUTPUTS, MAX_RADIUS, Point, Values};
pub use shape::MAX_TIME_BLOCK;
pub use stepper::Stepper;
pub use tune::Tune;
pub use walls::{About, Image, Moving, Wall, Walls};

/// The update of one cell: from its neighbours up to `R` away in `K` fields, the new values of the first of them. Every closure
/// `Fn(Point<T, R, K>) -> T`, or `-> [T; N]`, is one; [`formula!`](crate::formula) makes others.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no stencil on numbers of type `{T}` with radius {R} and {K} fields",
    label = "not a stencil",
    note = "a stencil is a closure `|p: Point<{T}, {R}, {K}>| …` that gives a number of type `{T}`, or an array of them"
)]
pub trait Stencil<T: Copy, const R: usize, const K: usize>: Sync {
    /// One value, or an array of one for each field that is stepped.
    type Out: Values<T>;

    /// The new values of a cell.
    fn eval(&self, p: Point<'_, T, R, K>) -> Self::Out;

    /// Whether `lines` is there.
    #[doc(hidden)]
    const LINES: bool = false;

    /// The same on lines.
    #[doc(hidden)]
    fn lines<V: Value<T>, P: Near<V>>(&self, _: P, _: &mut [V]) {
        unreachable!("only called where LINES says so")
    }
}

impl<T: Copy, O: Values<T>, F: Fn(Point<'_, T, R, K>) -> O + Sync, const R: usize, const K: usize> Stencil<T, R, K>
    for F
{
    type Out = O;
    #[inline(always)]
    fn eval(&self, p: Point<'_, T, R, K>) -> O {
        self(p)
    }
}
