//! Conway's Game of Life: a cell lives in the next generation if three of its eight neighbours live, or if it lives and two do.
//!
//! On a torus, or with dead cells all around. Of the patterns that everyone knows, the number of living cells after so many
//! generations is known; see `patterns`.

use super::engine::{Engine, How, Simulation, Verified, generations};
use super::patterns::Pattern;
use physalia::prelude::*;
use physalia::stencil::{Point, Stencil, Wall, Walls};

/// The rule: with the cell itself, three live, or four and it is one of them.
#[derive(Clone, Copy, Debug)]
pub struct Rule;

impl Stencil<u8, 1, 1> for Rule {
    type Out = u8;
    #[inline(always)]
    fn eval(&self, p: Point<'_, u8, 1>) -> u8 {
        // Without closures, which are not always inlined into code for wide instructions.
        let above = p.at(-1, 1, 0).wrapping_add(p.at(0, 1, 0)).wrapping_add(p.at(1, 1, 0));
        let below = p.at(-1, -1, 0).wrapping_add(p.at(0, -1, 0)).wrapping_add(p.at(1, -1, 0));
        let around = above.wrapping_add(below).wrapping_add(p.at(-1, 0, 0)).wrapping_add(p.at(1, 0, 0));
        u8::from(around | p.at(0, 0, 0) == 3)
    }
}

/// A game: cells along x and y, what lies beyond them, and who lives at the start.
#[derive(Clone, Debug)]
pub struct Life {
    cells: [u64; 2],
    torus: bool,
    start: Start,
}

/// Who lives at the start.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// A pattern, in the middle.
    Pattern(Pattern),
    /// Each cell with this probability, by a seed and its place.
    Random(f64, u64),
}

impl Life {
    /// A game on a torus, or with dead cells all around.
    ///
    /// # Errors
    /// In words, if the pattern is larger than the grid, or there are too few or too many cells, or the density is none.
    pub fn new(cells: [u64; 2], torus: bool, start: Start) -> Result<Life, String> {
        super::axis::sizes(cells, [1.0; 2])?;
        match &start {
            Start::Random(density, _) if !(0.0..=1.0).contains(density) => {
                Err(format!("a density of {density}: a number from 0 to 1 is wanted"))
            }
            Start::Pattern(pattern) if (0..2).any(|a| pattern.size()[a] > cells[a]) => {
                let ([w, h], [x, y]) = (pattern.size(), cells);
                Err(format!("a pattern of {w} x {h} cells does not fit on {x} x {y}"))
            }
            _ => Ok(Life { cells, torus, start }),
        }
    }
}

impl Simulation<u8, 2> for Life {
    fn what(&self) -> String {
        let ([x, y], around) = (self.cells, if self.torus { "torus" } else { "dead" });
        let start = match &self.start {
            Start::Pattern(pattern) => format!("{:016x}", pattern.hash()),
            Start::Random(density, seed) => format!("random {density:?} {seed}"),
        };
        format!("life {x}x{y}, {around}, start {start}")
    }

    fn cells(&self) -> [u64; 2] {
        self.cells
    }

    fn dt(&self) -> f64 {
        1.0
    }

    fn is_periodic(&self) -> bool {
        self.torus
    }

    fn names(&self) -> &'static [&'static str] {
        &["alive"]
    }

    fn fill(&self, fields: &mut [Field<u8, 2>]) {
        match &self.start {
            Start::Random(density, seed) => {
                let (random, [width, _]) = (Random::new(*seed), self.cells);
                fields[0].fill(|[x, y]| u8::from(random.unit(y * width + x) < *density));
            }
            Start::Pattern(pattern) => {
                let [w, h] = pattern.size();
                // Rows of a pattern are told from above, and y points up.
                let (left, top) = ((self.cells[0] - w) / 2, (self.cells[1] - h) / 2 + h);
                fields[0].fill(|[x, y]| match (x.checked_sub(left), (top - 1).checked_sub(y)) {
                    (Some(x), Some(row)) => u8::from(pattern.lives(x, row)),
                    _ => 0,
                });
            }
        }
    }

    fn engine(&self, _: &mut World, _: &[Field<u8, 2>], how: &How, step: u64) -> Outcome<Engine<u8, 2>> {
        let wall = if self.torus { Wall::Periodic } else { Wall::fixed(0) };
        Ok(generations(Walls::all(wall), how, step))
    }

    fn check(&self, _: &mut World, _: &[Field<u8, 2>], _: u64) -> Result<Verified, Abort> {
        Ok(Verified::Not("of a game nothing is known but its rule"))
    }

    fn figures(&self, world: &mut World, fields: &[Field<u8, 2>]) -> Result<Vec<(&'static str, f64)>, Abort> {
        Ok(vec![("alive", fields[0].sum(world)?)])
    }
}
