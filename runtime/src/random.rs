//! Random numbers by counter: number i of a seed is a function of both, so it does not matter who draws it, when, or how
//! many have been drawn before. Keyed by a global index, random fields are the same on any number of ranks and workers.
//!
//! Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). It passes BigCrush;
//! it is not for cryptography.

const ROUNDS: u32 = 10;
const MULTIPLIERS: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
const WEYL: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];

/// A family of random numbers; cheap to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Random {
    key: [u32; 2],
    stream: u64,
}

impl Random {
    /// The numbers of this seed.
    pub fn new(seed: u64) -> Random {
        Random { key: [seed as u32, (seed >> 32) as u32], stream: 0 }
    }

    /// Another, independent family of the same seed.
    pub fn stream(self, stream: u64) -> Random {
        Random { stream, ..self }
    }

    /// Number `index`: 64 random bits. About 10 ns.
    pub fn u64(&self, index: u64) -> u64 {
        let [a, b, ..] = self.block(index);
        u64::from(b) << 32 | u64::from(a)
    }

    /// Number `index`, evenly distributed in [0, 1): a multiple of 2^-53.
    pub fn unit(&self, index: u64) -> f64 {
        (self.u64(index) >> 11) as f64 * 2f64.powi(-53)
    }

    /// Number `index`, evenly distributed in 0..n (Lemire's multiplication; the bias is below n / 2^64).
    ///
    /// # Panics
    /// If n is 0.
    pub fn below(&self, index: u64, n: u64) -> u64 {
        assert!(n > 0, "a random number below 0");
        ((u128::from(self.u64(index)) * u128::from(n)) >> 64) as u64
    }

    /// All 128 bits of the counter `index`.
    pub fn block(&self, index: u64) -> [u32; 4] {
        let halves = |x: u64| [x as u32, (x >> 32) as u32];
        let ([a, b], [c, d]) = (halves(index), halves(self.stream));
        philox([a, b, c, d], self.key)
    }
}

fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..ROUNDS {
        if round > 0 {
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        let wide = |m: u32, c: u32| u64::from(m) * u64::from(c);
        let (p, q) = (wide(MULTIPLIERS[0], counter[0]), wide(MULTIPLIERS[1], counter[2]));
        let high = |x: u64| (x >> 32) as u32;
        counter = [high(q) ^ counter[1] ^ key[0], q as u32, high(p) ^ counter[3] ^ key[1], p as u32];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers of the authors' library.
    #[test]
    fn known_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([!0; 4], [!0; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        let pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        assert_eq!(philox(pi, [0xa409_3822, 0x299f_31d0]), [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }

    #[test]
    fn numbers_are_spread_and_streams_differ() {
        let random = Random::new(7);
        let mean = (0..100_000).map(|i| random.unit(i)).sum::<f64>() / 1e5;
        assert!((mean - 0.5).abs() < 0.005, "{mean}");
        let mut counts = [0u32; 7];
        (0..70_000).for_each(|i| counts[random.below(i, 7) as usize] += 1);
        assert!(counts.iter().all(|c| (9_500..10_500).contains(c)), "{counts:?}");
        assert_ne!(random.u64(5), random.stream(1).u64(5));
        assert_ne!(random.u64(5), Random::new(8).u64(5));
    }
}
