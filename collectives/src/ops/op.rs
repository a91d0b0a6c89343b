//! Reductions: how two values become one.

use crate::algo::model::Order;
use std::any::TypeId;

/// A reduction, applied in the order of ranks, so it need neither commute nor associate: same bits for the same number of
/// ranks, on every transport and algorithm. One that gives the same bits in another order may say so, which lets long
/// vectors and many ranks take faster ways. One that panics ends the job, as a rule: others need what this rank combines.
pub trait Op<T>: 'static {
    /// `left` is of lower ranks than `right`.
    fn combine(&self, left: T, right: T) -> T;

    /// What may be changed about the order without another result: nothing.
    fn order(&self) -> Order {
        Order::Ranks
    }

    /// Element by element: `values` with `others`, of the same length, which are on the left if `left`. To be overridden
    /// only by what gives the same values faster.
    fn combine_all(&self, values: &mut [T], others: &[T], left: bool)
    where
        T: Copy,
    {
        if left {
            values.iter_mut().zip(others).for_each(|(v, &o)| *v = self.combine(o, *v));
        } else {
            values.iter_mut().zip(others).for_each(|(v, &o)| *v = self.combine(*v, o));
        }
    }
}

/// The sum.
///
/// # Panics
/// If a sum of integers overflows: of all ranks, or of those that are added on the way. Which these are depends on the number of
/// ranks and hosts and on the algorithm, so whatever comes out is right, but sums near the limits want a wider type.
#[derive(Clone, Copy, Debug)]
pub struct Sum;
/// The smallest value; NaN if any is NaN. Of types that are only partly ordered (arrays of floats), combined in the order of
/// ranks: the value so far stays unless another is smaller, or cannot be compared with itself.
#[derive(Clone, Copy, Debug)]
pub struct Min;
/// The largest value; NaN if any is NaN. Of types that are only partly ordered as [`Min`].
#[derive(Clone, Copy, Debug)]
pub struct Max;
/// A function of two values. Its type, so which closure of the program it is, is part of the fingerprint; of function
/// pointers of one type it cannot be told whether they are the same.
#[derive(Clone, Copy, Debug)]
pub struct By<F>(pub F);

/// An operation whose brackets may be moved, for closures that are associative: `Associative(By(…))`. The order of ranks is
/// kept.
#[derive(Clone, Copy, Debug)]
pub struct Associative<O>(pub O);
/// An operation whose order is given up for speed: for closures that are associative and commutative, and for floats whose
/// last bits do not matter: `Fast(Sum)`. Floats then may get other bits with other numbers of ranks, but the same on all.
#[derive(Clone, Copy, Debug)]
pub struct Fast<O>(pub O);

impl Sum {
    /// The sum in any order: other bits for floats, in less time where ranks are many.
    pub fn fast(self) -> Fast<Sum> {
        Fast(self)
    }
}

/// Numbers with a sum that cannot go wrong in silence.
pub trait Addable: Copy {
    /// Whether sums are the same in any order.
    const EXACT: bool = false;

    /// The sum; integers panic where it overflows.
    fn plus(self, other: Self) -> Self;

    /// Adds `others`, element by element; as `plus`. They are on the left if `left`: of two NaN one stays.
    fn plus_all(values: &mut [Self], others: &[Self], left: bool) {
        if left {
            values.iter_mut().zip(others).for_each(|(v, &o)| *v = o.plus(*v));
        } else {
            values.iter_mut().zip(others).for_each(|(v, &o)| *v = v.plus(o));
        }
    }
}

macro_rules! addable {
    (int $($t:ty)*) => { $(impl Addable for $t {
        const EXACT: bool = true;

        fn plus(self, other: $t) -> $t {
            self.checked_add(other).unwrap_or_else(|| panic!("{self} + {other} exceeds {}", stringify!($t)))
        }

        /// Without a branch for each element: overflows are collected, and looked for if there was one.
        fn plus_all(values: &mut [$t], others: &[$t], _left: bool) {
            let mut over = 0;
            for (v, &o) in values.iter_mut().zip(others) {
                let sum = v.wrapping_add(o);
                // In the top bit. Signed: both of one sign, the sum of the other. Unsigned: the carry out.
                over |= if <$t>::MIN == 0 { (*v & o) | ((*v | o) & !sum) } else { (*v ^ sum) & (o ^ sum) };
                *v = sum;
            }
            if over >> (<$t>::BITS - 1) != 0 {
                values.iter().zip(others).for_each(|(v, &o)| {
                    v.wrapping_sub(o).plus(o);
                });
            }
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

    fn order(&self) -> Order {
        if T::EXACT { Order::Any } else { Order::Ranks }
    }

    fn combine_all(&self, values: &mut [T], others: &[T], left: bool) {
        T::plus_all(values, others, left);
    }
}

impl<T: PartialOrd + 'static> Op<T> for Min {
    fn combine(&self, left: T, right: T) -> T {
        if right < left || unordered(&right) { right } else { left }
    }

    fn order(&self) -> Order {
        order_of_least::<T>()
    }
}

impl<T: PartialOrd + 'static> Op<T> for Max {
    fn combine(&self, left: T, right: T) -> T {
        if right > left || unordered(&right) { right } else { left }
    }

    fn order(&self) -> Order {
        order_of_least::<T>()
    }
}

/// Of numbers the least is the last NaN, or the first of equal ones, whatever the brackets. Of other types that are only partly
/// ordered, as arrays with a NaN in them, it may depend on the brackets.
fn order_of_least<T: 'static>() -> Order {
    let numbers = [
        TypeId::of::<u8>(),
        TypeId::of::<i8>(),
        TypeId::of::<u16>(),
        TypeId::of::<i16>(),
        TypeId::of::<u32>(),
        TypeId::of::<i32>(),
        TypeId::of::<u64>(),
        TypeId::of::<i64>(),
        TypeId::of::<u128>(),
        TypeId::of::<i128>(),
        TypeId::of::<usize>(),
        TypeId::of::<isize>(),
        TypeId::of::<f32>(),
        TypeId::of::<f64>(),
    ];
    if numbers.contains(&TypeId::of::<T>()) { Order::Brackets } else { Order::Ranks }
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

macro_rules! freer {
    ($($wrapper:ident: $order:ident;)*) => { $(impl<T, O: Op<T>> Op<T> for $wrapper<O> {
        fn combine(&self, left: T, right: T) -> T {
            self.0.combine(left, right)
        }

        fn order(&self) -> Order {
            self.0.order().max(Order::$order)
        }

        fn combine_all(&self, values: &mut [T], others: &[T], left: bool)
        where
            T: Copy,
        {
            self.0.combine_all(values, others, left);
        }
    })* };
}
freer!(Associative: Brackets; Fast: Any;);

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
    fn many_at_once_are_as_one_by_one() {
        let edge = [i8::MIN, -100, -28, -1, 0, 1, 27, 100, i8::MAX];
        for a in edge {
            for b in edge {
                let together = std::panic::catch_unwind(|| {
                    let mut values = [0, a, 0];
                    Sum.combine_all(&mut values, &[0, b, 0], false);
                    values[1]
                });
                assert_eq!(together.ok(), a.checked_add(b), "{a} + {b}");
            }
        }
        let mut text = ['b', 'd'];
        By(|a: char, _: char| a).combine_all(&mut text, &['x', 'y'], true);
        assert_eq!(text, ['x', 'y']);
    }

    #[test]
    #[should_panic(expected = "255 + 1 exceeds u8")]
    fn a_sum_does_not_wrap() {
        Sum.combine(255u8, 1);
    }
}
