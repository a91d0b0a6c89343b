//! The order of additions inside a block: eight lanes.
//!
//! Value i of a block is added to lane i mod 8; each lane starts from +0.0. At the end lanes that are four apart are added,
//! then those two apart, then the last two. That is an order as fixed as from left to right, but one that a processor need not
//! wait for: from left to right every addition waits for the one before it, about 0.5 ns on the machines of today. Eight
//! lanes are four to seven times as fast in cache and twice as fast from memory; sixteen gain no more.

use std::ops::Range;

pub(crate) const LANES: usize = 8;

/// A block's sum on the way: its lanes, and which of them is next.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lanes {
    pub(crate) sums: [f64; LANES],
    pub(crate) next: usize,
}

impl Lanes {
    /// The terms of these values, after those that came before.
    #[inline(always)]
    pub(crate) fn add<T: Copy>(&mut self, values: &[T], term: impl Fn(T) -> f64) {
        let (before, values) = values.split_at(self.before_lane_0().min(values.len()));
        before.iter().for_each(|&v| self.add_one(term(v)));
        let (eights, rest) = values.as_chunks::<LANES>();
        let mut sums = self.sums;
        for eight in eights {
            for (sum, &v) in sums.iter_mut().zip(eight) {
                *sum += term(v);
            }
        }
        self.sums = sums;
        rest.iter().for_each(|&v| self.add_one(term(v)));
    }

    /// As `add`, of pairs.
    #[inline(always)]
    pub(crate) fn add_pairs<T: Copy>(&mut self, a: &[T], b: &[T], term: impl Fn(T, T) -> f64) {
        debug_assert_eq!(a.len(), b.len());
        let before = self.before_lane_0().min(a.len());
        let ((a0, a), (b0, b)) = (a.split_at(before), b.split_at(before));
        a0.iter().zip(b0).for_each(|(&a, &b)| self.add_one(term(a, b)));
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
        let mut sums = self.sums;
        for (a, b) in a.iter().zip(b) {
            for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
                *sum += term(a, b);
            }
        }
        self.sums = sums;
        a_rest.iter().zip(b_rest).for_each(|(&a, &b)| self.add_one(term(a, b)));
    }

    /// Terms that are computed from their index, after those that came before.
    #[inline(always)]
    pub(crate) fn add_indices(&mut self, indices: Range<u64>, term: impl Fn(u64) -> f64) {
        let Range { start: mut i, end } = indices;
        while self.next != 0 && i < end {
            self.add_one(term(i));
            i += 1;
        }
        let mut sums = self.sums; // by itself: in registers, whatever becomes of `self`
        while i < end.saturating_sub(LANES as u64 - 1) {
            for (lane, k) in sums.iter_mut().zip(0..) {
                *lane += term(i + k);
            }
            i += LANES as u64;
        }
        self.sums = sums;
        (i..end).for_each(|i| self.add_one(term(i)));
    }

    fn before_lane_0(&self) -> usize {
        (LANES - self.next) % LANES
    }

    #[inline(always)]
    fn add_one(&mut self, term: f64) {
        self.sums[self.next] += term;
        self.next = (self.next + 1) % LANES;
    }

    /// The block's sum.
    pub(crate) fn total(self) -> f64 {
        let [a, b, c, d, e, f, g, h] = self.sums;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }
}

/// The sum of one block of terms that are computed from their index.
#[cfg(test)]
pub(crate) fn sum(indices: Range<u64>, term: impl Fn(u64) -> f64) -> f64 {
    let mut lanes = Lanes::default();
    lanes.add_indices(indices, term);
    lanes.total()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However the values come, in pieces of any length, the order is the same.
    #[test]
    fn pieces_do_not_matter() {
        let value = |i: u64| (i as f64 + 0.3).sin() * 10f64.powi((i * 7 % 31) as i32 - 15);
        for count in 0..40u64 {
            let values: Vec<f64> = (0..count).map(value).collect();
            let mut plain = [0.0; 8];
            values.iter().enumerate().for_each(|(i, v)| plain[i % 8] += v);
            for step in [4, 2, 1] {
                (0..step).for_each(|k| plain[k] += plain[k + step]);
            }
            assert_eq!(sum(5..5 + count, |i| value(i - 5)).to_bits(), plain[0].to_bits());
            for cut in 0..values.len() {
                let ((left, right), mut one) = (values.split_at(cut), Lanes::default());
                let mut two = one;
                one.add(left, |v| v);
                one.add(right, |v| v);
                two.add_pairs(left, left, |v, _| v);
                two.add_pairs(right, right, |_, v| v);
                assert_eq!((one.total().to_bits(), one), (plain[0].to_bits(), two));
                let mut indices = Lanes::default();
                indices.add_indices(0..cut as u64, value);
                indices.add_indices(cut as u64..count, value);
                assert_eq!(indices, one);
            }
        }
    }
}
