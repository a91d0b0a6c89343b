//! A simulation, run by the engine in many ways and by the plain loop, on the same start.

use super::{Plain, Seen};
use physalia::field::{Boxes, Cell};
use physalia::prelude::*;
use physalia::stencil::{Set, Stencil};

/// Values at the start of field `k`, now or one step earlier.
pub fn start(seed: u64, [x, y, z]: [u64; 3]) -> f64 {
    Random::new(seed).unit(x + 1009 * (y + 1013 * z)) - 0.25
}

pub fn lift<T: Copy, const D: usize>(at: [T; D], rest: T) -> [T; 3] {
    std::array::from_fn(|a| at.get(a).copied().unwrap_or(rest))
}

/// How a case is run.
#[derive(Clone, Debug)]
pub struct How {
    pub ranks: u32,
    pub threads: usize,
    pub block: usize,
    pub tile: Option<[usize; 3]>,
    pub set: Option<Set>,
    pub boxes: Option<fn(u32) -> Boxes>,
}

/// A simulation of N fields out of K.
pub struct Case<'c, T: Cell, const D: usize, const N: usize, const K: usize> {
    pub name: &'c str,
    pub cells: [u64; D],
    pub halo: usize,
    pub walls: Vec<Walls<T, D>>,
    pub leapfrog: bool,
    pub from: fn(f64) -> T,
    pub steps: &'c [u64],
}

impl<T: Cell, const D: usize, const N: usize, const K: usize> Case<'_, T, D, N, K> {
    /// The fields after each stretch of steps, by the plain loop.
    pub fn plain(&self, f: impl Fn(Seen<'_, T, D>) -> [T; N]) -> Vec<Vec<T>> {
        let cells = lift(self.cells, 1);
        let fill = |seed: u64| -> Vec<T> {
            let [nx, ny, nz] = cells;
            let all = (0..nz).flat_map(|z| (0..ny).flat_map(move |y| (0..nx).map(move |x| [x, y, z])));
            all.map(|at| (self.from)(start(seed, at))).collect()
        };
        let mut plain = Plain {
            cells: cells.map(|n| n as usize),
            now: (0..K as u64).map(fill).collect(),
            old: (0..N as u64).map(|n| fill(100 + n)).collect(),
            walls: self.walls.clone(),
            step: 5,
            sources: vec![],
        };
        let mut results = Vec::new();
        for &steps in self.steps {
            (0..steps).for_each(|_| plain.advance(&f));
            results.extend(plain.now[..N].iter().cloned());
            if self.leapfrog {
                results.extend(plain.old.iter().cloned());
            }
        }
        results
    }

    /// The same by the engine, on rank 0.
    pub fn engine<S: Stencil<T, R, K> + Clone + Send, const R: usize>(&self, stencil: &S, how: &How) -> Vec<Vec<T>> {
        let body = |world: &mut World| -> Outcome<Option<Vec<Vec<T>>>> {
            let grid = Grid::new(self.cells).halo(self.halo);
            let field = |world: &mut World, seed: u64| -> Result<Field<T, D>, Abort> {
                let mut u = match how.boxes {
                    Some(boxes) => Field::with_boxes(world, grid, boxes(world.size()))?,
                    None => Field::new(world, grid)?,
                };
                u.fill(|at| (self.from)(start(seed, lift(at, 0))));
                Ok(u)
            };
            let mut fields = Vec::new();
            for n in 0..N as u64 {
                fields.push(field(world, n)?);
            }
            for n in 0..N as u64 {
                if self.leapfrog {
                    fields.push(field(world, 100 + n)?);
                }
            }
            let mut reads = Vec::new();
            for k in N as u64..K as u64 {
                reads.push(field(world, k)?);
            }
            let new = if self.leapfrog { Stepper::leapfrog } else { Stepper::new };
            let mut stepper: Stepper<T, D, S, R, K> =
                new(stencil.clone()).reads(reads).time_block(how.block).at_step(5);
            for (k, walls) in self.walls.iter().enumerate() {
                stepper = stepper.walls_of(k, walls.clone());
            }
            if let Some(tile) = how.tile {
                stepper = stepper.tile(tile);
            }
            if let Some(set) = how.set {
                stepper = stepper.instructions(set);
            }
            let mut results = Vec::new();
            for &steps in self.steps {
                stepper.advance(world, &mut fields.iter_mut().collect::<Vec<_>>(), steps)?;
                for field in &fields {
                    results.extend(field.gather(world)?);
                }
            }
            assert_eq!(stepper.step(), 5 + self.steps.iter().sum::<u64>());
            Ok(world.on_root(|| results))
        };
        let ran = Launch::from_env().ranks(how.ranks).threads(how.threads).run(body);
        ran.unwrap().swap_remove(0).expect("rank 0 has the fields")
    }

    /// Compares the engine with the plain loop in many ways.
    pub fn check<S: Stencil<T, R, K> + Clone + Send, const R: usize>(
        &self,
        f: impl Fn(Seen<'_, T, D>) -> [T; N],
        stencil: &S,
        boxes: Option<fn(u32) -> Boxes>,
    ) {
        self.check_on(f, stencil, boxes, &[1, 2, 3, 4, 6, 8], &[1, 2, 3, 4, 8, 16]);
    }

    pub fn check_on<S: Stencil<T, R, K> + Clone + Send, const R: usize>(
        &self,
        f: impl Fn(Seen<'_, T, D>) -> [T; N],
        stencil: &S,
        boxes: Option<fn(u32) -> Boxes>,
        ranks: &[u32],
        blocks: &[usize],
    ) {
        let want = self.plain(f);
        let bits = |all: &[Vec<T>]| -> Vec<Vec<u64>> {
            all.iter().map(|field| field.iter().map(|v| v.bits()).collect()).collect()
        };
        let want = bits(&want);
        let sets = Set::available();
        let tiles = [None, Some([16, 5, 7]), Some([24, 1000, 4]), Some([1000, 8, 9])];
        let mut number = 0;
        for &ranks in ranks {
            for &block in blocks {
                number += 1;
                let (threads, tile) = ([1, 2, 4][number % 3], tiles[(number / 2) % tiles.len()]);
                let set = sets[number % sets.len()];
                let how = How { ranks, threads, block, tile, set: Some(set), boxes };
                let got = bits(&self.engine(stencil, &how));
                if got != want {
                    let (field, at) = got
                        .iter()
                        .zip(&want)
                        .enumerate()
                        .find_map(|(i, (got, want))| Some((i, got.iter().zip(want).position(|(a, b)| a != b)?)))
                        .expect("as many fields");
                    let wrong = got[field].iter().zip(&want[field]).filter(|(a, b)| a != b).count();
                    panic!("{}: {how:?}: field {field} differs at cell {at} and {wrong} in all", self.name);
                }
            }
        }
    }
}
