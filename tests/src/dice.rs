//! Numbers for a random case: a function of a seed and the case's number, so that any case can be run again.

use physalia::prelude::Random;

/// Numbers for one case, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Dice(Random, u64);

impl Dice {
    /// The numbers of this case.
    pub fn of(seed: u64, case: u64) -> Dice {
        Dice(Random::new(seed).stream(case), 0)
    }

    /// A number in 0..n.
    pub fn below(&mut self, n: u64) -> u64 {
        self.1 += 1;
        self.0.below(self.1, n)
    }

    /// From 1; mostly small, sometimes up to `most`.
    pub fn size(&mut self, most: u64) -> u64 {
        let bits = u64::from(64 - most.leading_zeros());
        let width = self.below(bits) + 1;
        1 + self.below(most.min(1 << width))
    }

    /// Ranks and threads.
    pub fn layout(&mut self) -> (u32, usize) {
        (self.size(9) as u32, self.size(4) as usize)
    }

    /// One of these.
    pub fn one_of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }
}
