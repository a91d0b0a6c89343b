//! The random numbers of the NAS Parallel Benchmarks, written from their description (Bailey and others, "The NAS parallel
//! benchmarks", RNR-94-007, section 2.3): x ← a x mod 2⁴⁶, a = 5¹³; a number is x / 2⁴⁶. Integers are exact here.

const MASK: u64 = (1 << 46) - 1;

/// The seed of both benchmarks.
pub const SEED: u64 = 314_159_265;
const A: u64 = 1_220_703_125;

/// Where the sequence is.
#[derive(Clone, Copy)]
pub struct Sequence(u64);

impl Sequence {
    /// Behind the first `count` numbers.
    pub fn after(count: u64) -> Sequence {
        let (mut x, mut power, mut left) = (SEED, A, count);
        while left > 0 {
            if left & 1 == 1 {
                x = times(x, power);
            }
            power = times(power, power);
            left >>= 1;
        }
        Sequence(x)
    }

    /// The next number, in (0, 1).
    pub fn draw(&mut self) -> f64 {
        self.0 = times(self.0, A);
        self.0 as f64 / (1u64 << 46) as f64
    }
}

fn times(a: u64, b: u64) -> u64 {
    (u128::from(a) * u128::from(b)) as u64 & MASK
}
