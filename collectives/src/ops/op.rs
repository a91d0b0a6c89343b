//! Reductions: how two values become one.

/// A reduction, applied in the order of ranks on every rank, so it need neither commute nor associate: same bits for the
/// same number of ranks, on every transport and algorithm.
pub trait Op<T>: 'static {
    /// `left` is of lower ranks than `right`.
    fn combine(&self, left: T, right: T) -> T;
}

/// The sum.
///
/// # Panics
/// If a sum of integers overflows.
#[derive(Clone, Copy, Debug)]
pub struct Sum;
/// The smallest value; NaN if any is NaN.
#[derive(Clone, Copy, Debug)]
pub struct Min;
/// The largest value; NaN if any is NaN.
#[derive(Clone, Copy, Debug)]
pub struct Max;
/// A function of two values. Its type, so which closure of the program it is, is part of the fingerprint; of function
/// pointers of one type it cannot be told whether they are the same.
#[derive(Clone, Copy, Debug)]
pub struct By<F>(pub F);

/// Numbers with a sum that cannot go wrong in silence.
pub trait Addable: Copy {
    /// The sum; integers panic where it overflows.
    fn plus(self, other: Self) -> Self;
}

macro_rules! addable {
    (int $($t:ty)*) => { $(impl Addable for $t {
        fn plus(self, other: $t) -> $t {
            self.checked_add(other).unwrap_or_else(|| panic!("{self} + {other} exceeds {}", stringify!($t)))
        }
    })* };
    (float $($t:ty)*) => { $(impl Addable for $t {
        fn plus(self, other: $t) -> $t {
            self + other
        }
    })* };
}
addable!(int u8 i8 u16 i16 u32 i32 u64 i64 u128 i128 usize isize);
addable!(float f32 f64);

impl<T: Addable> Op<T> for Sum {
    fn combine(&self, left: T, right: T) -> T {
        left.plus(right)
    }
}

impl<T: PartialOrd> Op<T> for Min {
    fn combine(&self, left: T, right: T) -> T {
        if right < left || unordered(&right) { right } else { left }
    }
}

impl<T: PartialOrd> Op<T> for Max {
    fn combine(&self, left: T, right: T) -> T {
        if right > left || unordered(&right) { right } else { left }
    }
}

/// Not even comparable with itself: NaN. (A NaN on the left stays, since nothing is smaller or larger.)
fn unordered<T: PartialOrd>(x: &T) -> bool {
    x.partial_cmp(x).is_none()
}

impl<T, F: Fn(T, T) -> T + 'static> Op<T> for By<F> {
    fn combine(&self, left: T, right: T) -> T {
        (self.0)(left, right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_stays_on_either_side() {
        for (a, b) in [(f64::NAN, 1.0), (1.0, f64::NAN)] {
            assert!(Min.combine(a, b).is_nan() && Max.combine(a, b).is_nan());
        }
        assert_eq!((Min.combine(2, 1), Max.combine(2, 1), Max.combine(-0.5, 3.0)), (1, 2, 3.0));
    }

    #[test]
    #[should_panic(expected = "255 + 1 exceeds u8")]
    fn a_sum_does_not_wrap() {
        Sum.combine(255u8, 1);
    }
}
