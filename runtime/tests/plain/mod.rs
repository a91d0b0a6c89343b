//! Stencils the plain way: one cell after the other, one step after the other, in one array, with nothing of the engine but
//! the words for walls.

pub mod case;

use physalia::field::Cell;
use physalia::stencil::{About, Point, Wall, Walls};

/// What a stencil sees, of the engine or of the plain loop.
pub trait See<T> {
    fn of(&self, k: usize, dx: isize, dy: isize, dz: isize) -> T;
    fn old(&self, k: usize) -> T;
    fn cell(&self) -> [i64; 3];
    fn step(&self) -> u64;
    fn at(&self, dx: isize, dy: isize, dz: isize) -> T {
        self.of(0, dx, dy, dz)
    }
}

impl<T: Copy, const R: usize, const K: usize> See<T> for Point<'_, T, R, K> {
    #[inline(always)]
    fn of(&self, k: usize, dx: isize, dy: isize, dz: isize) -> T {
        Point::of(self, k, dx, dy, dz)
    }
    #[inline(always)]
    fn old(&self, k: usize) -> T {
        self.old_of(k)
    }
    #[inline(always)]
    fn cell(&self) -> [i64; 3] {
        Point::cell(self)
    }
    #[inline(always)]
    fn step(&self) -> u64 {
        Point::step(self)
    }
}

/// Adds to a value after so many steps.
pub type Add<T> = fn(T, u64) -> T;

/// A grid in one array for each field: those that are stepped, then those that are read.
#[derive(Clone)]
pub struct Plain<T: Cell, const D: usize> {
    pub cells: [usize; 3],
    pub now: Vec<Vec<T>>,
    pub old: Vec<Vec<T>>,
    pub walls: Vec<Walls<T, D>>,
    pub step: u64,
    /// Field, cell, and what is added to its new value by the step after so many.
    pub sources: Vec<(usize, [i64; 3], Add<T>)>,
}

pub struct Seen<'p, T: Cell, const D: usize>(&'p Plain<T, D>, [i64; 3]);

impl<T: Cell, const D: usize> See<T> for Seen<'_, T, D> {
    fn of(&self, k: usize, dx: isize, dy: isize, dz: isize) -> T {
        let [x, y, z] = self.1;
        self.0.value(k, [x + dx as i64, y + dy as i64, z + dz as i64])
    }
    fn old(&self, k: usize) -> T {
        self.0.old[k][self.0.index(self.1)]
    }
    fn cell(&self) -> [i64; 3] {
        self.1
    }
    fn step(&self) -> u64 {
        self.0.step
    }
}

impl<T: Cell, const D: usize> Plain<T, D> {
    pub fn index(&self, at: [i64; 3]) -> usize {
        let [x, y, z] = at.map(|i| i as usize);
        (z * self.cells[1] + y) * self.cells[0] + x
    }

    /// The value at a place, in the grid or beyond its walls: z's first.
    fn value(&self, k: usize, at: [i64; 3]) -> T {
        for axis in (0..D).rev() {
            let (n, i) = (self.cells[axis] as i64, at[axis]);
            if (0..n).contains(&i) {
                continue;
            }
            let (side, beyond) = if i < 0 { (0, -i) } else { (1, i - n + 1) }; // beyond: from 1
            let moved = |to: i64| {
                let mut at = at;
                at[axis] = if side == 0 { to } else { n - 1 - to };
                self.value(k, at)
            };
            let image = |about: About| match about {
                About::Face => Some(moved(beyond - 1)),
                About::LastCell => Some(moved(beyond)),
                About::FirstBeyond => (beyond > 1).then(|| moved(beyond - 2)),
            };
            return match &self.walls[k].0[axis][side] {
                Wall::Periodic => {
                    let mut at = at;
                    at[axis] = i.rem_euclid(n);
                    self.value(k, at)
                }
                Wall::Fixed(value) => *value,
                Wall::Mirror(about) => image(*about).unwrap_or_default(),
                Wall::Image(about, f) => image(*about).map_or(T::default(), |v| f(v, beyond as usize)),
                Wall::Moving(f) => f(at, self.step),
            };
        }
        self.now[k][self.index(at)]
    }

    /// One step by `f`, which gives the new values of the first N fields.
    pub fn advance<const N: usize>(&mut self, f: impl Fn(Seen<'_, T, D>) -> [T; N]) {
        let [nx, ny, nz] = self.cells;
        let mut next: Vec<Vec<T>> = (0..N).map(|_| Vec::with_capacity(nx * ny * nz)).collect();
        for z in 0..nz {
            for y in 0..ny {
                for x in 0..nx {
                    let values = f(Seen(self, [x, y, z].map(|i| i as i64)));
                    (0..N).for_each(|n| next[n].push(values[n]));
                }
            }
        }
        for &(field, cell, add) in &self.sources {
            let index = self.index(cell);
            next[field][index] = add(next[field][index], self.step);
        }
        for (n, next) in next.into_iter().enumerate() {
            self.old[n] = std::mem::replace(&mut self.now[n], next);
        }
        self.step += 1;
    }
}
