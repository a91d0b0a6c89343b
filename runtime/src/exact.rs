//! Exact sums of `f64`: R. M. Neal, "Fast exact summation using small and large superaccumulators" (2015), the small one.
//!
//! 67 signed limbs, 32 bits apart; limb 0 begins at 2^-1074. A number touches two limbs and adds less than 2^53 to each, so
//! about a thousand fit between two carries. Integers commute: any order, any grouping, any transport gives the same limbs.

use std::fmt;

const LIMBS: usize = 67;
const ADDS_BETWEEN_CARRIES: u32 = 1000; // 1000 × 2^53 + what a merge left stays below 2^63

/// An exact sum. Adding costs a few nanoseconds; it is meant for the sums of blocks, not for every number.
#[derive(Clone, Debug)]
pub struct Exact {
    limbs: [i64; LIMBS],
    room: u32,
    nan: bool,
    plus_inf: bool,
    minus_inf: bool,
}

impl Default for Exact {
    fn default() -> Exact {
        Exact { limbs: [0; LIMBS], room: ADDS_BETWEEN_CARRIES, nan: false, plus_inf: false, minus_inf: false }
    }
}

impl Exact {
    /// Adds a number. NaN and infinities are remembered apart.
    pub fn add(&mut self, x: f64) {
        let (bits, negative) = (x.to_bits(), x.is_sign_negative());
        let (exponent, fraction) = ((bits >> 52 & 0x7ff) as usize, bits & ((1 << 52) - 1));
        let (mantissa, shift) = match exponent {
            0x7ff if fraction != 0 => return self.nan = true,
            0x7ff if negative => return self.minus_inf = true,
            0x7ff => return self.plus_inf = true,
            0 => (fraction, 0), // subnormal: same unit as the least normal numbers
            e => (fraction | 1 << 52, e - 1),
        };
        let wide = u128::from(mantissa) << (shift % 32); // at most 84 bits
        let (low, high) = (i64::from(wide as u32), (wide >> 32) as i64);
        let sign = if negative { -1 } else { 1 };
        self.limbs[shift / 32] += sign * low;
        self.limbs[shift / 32 + 1] += sign * high;
        self.room -= 1;
        if self.room == 0 {
            self.carry();
        }
    }

    /// Leaves every limb but the last in `0..2^32`; the last has the sign.
    fn carry(&mut self) {
        for i in 0..LIMBS - 1 {
            let over = self.limbs[i] >> 32;
            self.limbs[i] -= over << 32;
            self.limbs[i + 1] += over;
        }
        self.room = ADDS_BETWEEN_CARRIES;
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Exact) {
        let mut other = other.clone();
        other.carry();
        self.carry();
        for (mine, theirs) in self.limbs.iter_mut().zip(other.limbs) {
            *mine += theirs;
        }
        self.carry();
        self.nan |= other.nan;
        self.plus_inf |= other.plus_inf;
        self.minus_inf |= other.minus_inf;
    }

    /// The `f64` nearest to the exact sum, ties to even. An empty or cancelled sum is `+0.0`.
    pub fn round(&self) -> f64 {
        match (self.nan, self.plus_inf, self.minus_inf) {
            (true, ..) | (_, true, true) => return f64::NAN,
            (_, true, _) => return f64::INFINITY,
            (_, _, true) => return f64::NEG_INFINITY,
            _ => {}
        }
        let mut m = self.clone();
        m.carry();
        let negative = m.limbs[LIMBS - 1] < 0;
        if negative {
            m.limbs = m.limbs.map(|l| -l);
            m.carry();
        }
        let Some(top) = m.limbs.iter().rposition(|&l| l != 0) else { return 0.0 };
        // The highest three limbs have at least 65 bits unless they are all: enough for 53 and a half, below is sticky.
        let base = top.saturating_sub(2);
        let head = (base..=top).rev().fold(0u128, |v, i| v << 32 | m.limbs[i] as u128);
        let sticky = m.limbs[..base].iter().any(|&l| l != 0);
        let length = (128 - head.leading_zeros()) as usize;
        let bits = match length.checked_sub(53) {
            None | Some(0) => head as u64, // at most 53 bits above 2^-1074: they are the pattern of the number itself
            Some(drop) => {
                let (kept, rest, half) = ((head >> drop) as u64, head & ((1 << drop) - 1), 1u128 << (drop - 1));
                let up = rest > half || rest == half && (sticky || kept % 2 == 1);
                // `kept` has its hidden bit, which adds the missing one to the exponent; so does a carry out of rounding.
                ((32 * base + drop) as u64).min(0x7ff).wrapping_shl(52).saturating_add(kept + u64::from(up))
            }
        };
        let size = f64::from_bits(bits.min(f64::INFINITY.to_bits()));
        if negative { -size } else { size }
    }

    /// The sum in at most 273 bytes: flags, then the limbs without the zeros at both ends. Equal sums give equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut m = self.clone();
        m.carry();
        let (low, sign) = (&m.limbs[..LIMBS - 1], m.limbs[LIMBS - 1]);
        let first = low.iter().position(|&l| l != 0).unwrap_or(0);
        let end = low.iter().rposition(|&l| l != 0).map_or(0, |last| last + 1);
        let flags = u8::from(self.nan) | u8::from(self.plus_inf) << 1 | u8::from(self.minus_inf) << 2;
        let mut bytes = vec![flags, first as u8];
        bytes.extend(sign.to_le_bytes());
        // After a carry these are in 0..2^32.
        low[first.min(end)..end].iter().for_each(|&l| bytes.extend((l as u32).to_le_bytes()));
        bytes
    }

    /// The sum that `encode` wrote.
    ///
    /// # Errors
    /// If the bytes are none that `encode` writes.
    pub fn decode(bytes: &[u8]) -> Result<Exact, BadSum> {
        let (head, low) = bytes.split_at_checked(10).ok_or(BadSum)?;
        let (flags, first) = (head[0], usize::from(head[1]));
        let (limbs, rest) = low.as_chunks::<4>();
        if flags > 7 || !rest.is_empty() || first + limbs.len() > LIMBS - 1 {
            return Err(BadSum);
        }
        let mut sum =
            Exact { nan: flags & 1 > 0, plus_inf: flags & 2 > 0, minus_inf: flags & 4 > 0, ..Exact::default() };
        sum.limbs[LIMBS - 1] = i64::from_le_bytes(head[2..].try_into().expect("8 bytes"));
        let into = sum.limbs[first..].iter_mut();
        into.zip(limbs).for_each(|(limb, bytes)| *limb = i64::from(u32::from_le_bytes(*bytes)));
        Ok(sum)
    }
}

/// Bytes that are no encoded sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSum;

impl fmt::Display for BadSum {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("these bytes are no encoded sum")
    }
}

impl std::error::Error for BadSum {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn total(terms: &[f64]) -> Exact {
        let (mut a, mut b) = (Exact::default(), Exact::default());
        terms.iter().enumerate().for_each(|(i, &x)| if i % 3 == 0 { a.add(x) } else { b.add(x) });
        a.merge(&b);
        a
    }

    fn sum(terms: &[f64]) -> f64 {
        let total = total(terms);
        let again = Exact::decode(&total.encode()).unwrap();
        assert_eq!(again.encode(), total.encode());
        assert_eq!(again.round().to_bits(), total.round().to_bits());
        total.round()
    }

    #[test]
    fn exact_sums_are_exact() {
        assert_eq!(sum(&[1e308, 1e308, -1e308, 1.5, -1e308]), 1.5);
        assert_eq!(sum(&[f64::MAX, f64::MAX]), f64::INFINITY);
        assert_eq!(sum(&[f64::MAX, -f64::MAX, -f64::MIN_POSITIVE]), -f64::MIN_POSITIVE);
        assert_eq!(sum(&[5e-324, 5e-324, 5e-324]), 15e-324);
        assert_eq!(sum(&[1.0, 2f64.powi(-53)]), 1.0); // a tie goes to even,
        assert_eq!(sum(&[1.0, 2f64.powi(-53), 5e-324]), 1.0 + f64::EPSILON); // and is none with anything below it
        assert_eq!(sum(&[1.0 + f64::EPSILON, 2f64.powi(-53)]), 1.0 + 2.0 * f64::EPSILON);
        assert_eq!(sum(&[f64::INFINITY, 1.0]), f64::INFINITY);
        assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan() && sum(&[f64::NAN]).is_nan());
        assert!(sum(&[-0.0]).is_sign_positive() && sum(&[]) == 0.0);
        for e in 0..2047u64 {
            let x = f64::from_bits(e << 52 | (e * 0x9_1234_5678_9abc) & ((1 << 52) - 1));
            assert_eq!(sum(&[x]), x);
            assert_eq!(sum(&[-x, -x, x]), -x);
        }
    }

    #[test]
    fn many_carries_agree_with_integers() {
        let term = |i: u64| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).cast_signed() >> 11;
        let exact: i128 = (0..20_000).map(|i| i128::from(term(i))).sum();
        assert_eq!(sum(&(0..20_000).map(|i| term(i) as f64).collect::<Vec<_>>()), exact as f64);
    }

    #[test]
    fn bytes_that_are_no_sum_are_refused() {
        for bad in [vec![], vec![0; 9], vec![8; 10], vec![0; 11], [vec![0, 60], vec![0; 8 + 4 * 7]].concat()] {
            assert!(Exact::decode(&bad).is_err(), "{bad:?}");
        }
        assert!(total(&[-5e-324, f64::MAX]).encode().len() <= 274);
    }

    proptest! {
        #[test]
        fn the_order_does_not_matter(mut terms in proptest::collection::vec(any::<f64>(), 0..200), seed in any::<u64>()) {
            let before = sum(&terms);
            terms.sort_by_key(|x| x.to_bits().wrapping_mul(seed | 1));
            prop_assert_eq!(sum(&terms).to_bits(), before.to_bits());
        }
    }
}
