//! Lines of numbers: as many as a cache line holds, in memory and in registers.

use super::formula::Value;
use std::marker::PhantomData;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// Who may name registers: code of this crate alone, which uses them where the processor has them. Elsewhere their arithmetic
/// would be instructions that may not be there.
#[doc(hidden)]
pub trait Only {}

/// This crate.
pub(crate) struct Here;
impl Only for Here {}

/// A line of numbers in a register.
pub(crate) type Reg<T> = <T as Lanes>::Register<Here>;

mod sealed {
    pub trait Sealed {}
}

/// Numbers of which lines are made. Kernels rely on what these say, so no other crate can make more of them.
#[doc(hidden)]
pub trait Lanes: Sized + Copy + sealed::Sealed {
    /// Numbers in a line.
    const LINE: usize = 64 / size_of::<Self>();
    /// A line in memory.
    type Line: Copy + std::ops::IndexMut<usize, Output = Self>;
    /// A line of zeros.
    const ZEROS: Self::Line;
    /// A line in a register, where there are such.
    type Register<K: Only>: Register<Self>;
}

macro_rules! lanes {
    ($($t:ty => $register:ty),*) => { $(impl sealed::Sealed for $t {}
    impl Lanes for $t {
        type Line = [$t; 64 / size_of::<$t>()];
        const ZEROS: Self::Line = [0 as $t; 64 / size_of::<$t>()];
        type Register<K: Only> = $register;
    })* };
}
lanes!(u8 => Never<u8>, u16 => Never<u16>, u32 => Never<u32>, u64 => Never<u64>);
lanes!(i8 => Never<i8>, i16 => Never<i16>, i32 => Never<i32>, i64 => Never<i64>);
#[cfg(target_arch = "x86_64")]
lanes!(f32 => F32x16, f64 => F64x8);
#[cfg(not(target_arch = "x86_64"))]
lanes!(f32 => Never<f32>, f64 => Never<f64>);

/// A line in a register, with its loads, stores and shifts.
pub trait Register<T>: Value<T> {
    /// Whether there are such registers at all.
    const HERE: bool = true;
    /// # Safety
    /// A line can be read at `from`, and the processor has the instructions.
    unsafe fn load(from: *const T) -> Self;
    /// # Safety
    /// A line can be written at `to`, and the processor has the instructions.
    unsafe fn store(self, to: *mut T);
    /// The line that begins `dx` cells after the middle one of three.
    fn shift(three: &[Self; 3], dx: isize) -> Self;
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Register, Value};
    use std::arch::x86_64::*;
    use std::ops::{Add, Div, Mul, Neg, Sub};

    macro_rules! register {
        ($v:ident, $reg:ty, $t:ty, $n:literal, $load:ident, $store:ident, $all:ident, $add:ident, $sub:ident, $mul:ident,
         $div:ident, $sqrt:ident, $xor:ident, $align:ident, $to:ident, $from:ident, [$($up:literal),*], [$($down:literal),*]) => {
            /// A line of numbers. Only code for processors that have such registers makes one.
            #[derive(Clone, Copy, Debug)]
            pub struct $v($reg);
            register!(@op $v, $t, Add, add, $add);
            register!(@op $v, $t, Sub, sub, $sub);
            register!(@op $v, $t, Mul, mul, $mul);
            register!(@op $v, $t, Div, div, $div);
            impl Neg for $v {
                type Output = $v;
                #[inline(always)]
                fn neg(self) -> $v {
                    // SAFETY: whoever has a register has its instructions.
                    unsafe { $v($xor(self.0, $all(-0.0))) }
                }
            }
            impl Value<$t> for $v {
                #[inline(always)]
                fn all(number: $t) -> $v {
                    // SAFETY: only code for processors with such registers calls this.
                    unsafe { $v($all(number)) }
                }
                #[inline(always)]
                fn sqrt(self) -> $v {
                    // SAFETY: whoever has a register has its instructions.
                    unsafe { $v($sqrt(self.0)) }
                }
            }
            impl Register<$t> for $v {
                #[inline(always)]
                unsafe fn load(from: *const $t) -> $v {
                    // SAFETY: as the caller says.
                    unsafe { $v($load(from)) }
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut $t) {
                    // SAFETY: as the caller says.
                    unsafe { $store(to, self.0) }
                }
                #[inline(always)]
                fn shift([a, b, c]: &[$v; 3], dx: isize) -> $v {
                    match dx {
                        0 => *b,
                        $n => *c,
                        // SAFETY: whoever has a register has its instructions.
                        $($up => unsafe { $v($from($align::<$up>($to(c.0), $to(b.0)))) },)*
                        // SAFETY: as above.
                        $(_ if dx == -$down => unsafe { $v($from($align::<{ $n - $down }>($to(b.0), $to(a.0)))) },)*
                        _ => *a,
                    }
                }
            }
        };
        (@op $v:ident, $t:ty, $trait:ident, $name:ident, $op:ident) => {
            impl $trait for $v {
                type Output = $v;
                #[inline(always)]
                fn $name(self, other: $v) -> $v {
                    // SAFETY: whoever has a register has its instructions.
                    unsafe { $v($op(self.0, other.0)) }
                }
            }
            impl $trait<$t> for $v {
                type Output = $v;
                #[inline(always)]
                fn $name(self, other: $t) -> $v {
                    $trait::$name(self, <$v as Value<$t>>::all(other))
                }
            }
        };
    }

    register!(
        F64x8,
        __m512d,
        f64,
        8,
        _mm512_loadu_pd,
        _mm512_storeu_pd,
        _mm512_set1_pd,
        _mm512_add_pd,
        _mm512_sub_pd,
        _mm512_mul_pd,
        _mm512_div_pd,
        _mm512_sqrt_pd,
        _mm512_xor_pd,
        _mm512_alignr_epi64,
        _mm512_castpd_si512,
        _mm512_castsi512_pd,
        [1, 2, 3, 4, 5, 6, 7],
        [1, 2, 3, 4, 5, 6, 7]
    );
    register!(
        F32x16,
        __m512,
        f32,
        16,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_set1_ps,
        _mm512_add_ps,
        _mm512_sub_ps,
        _mm512_mul_ps,
        _mm512_div_ps,
        _mm512_sqrt_ps,
        _mm512_xor_ps,
        _mm512_alignr_epi32,
        _mm512_castps_si512,
        _mm512_castsi512_ps,
        [1, 2, 3, 4, 5, 6, 7, 8],
        [1, 2, 3, 4, 5, 6, 7, 8]
    );
}

#[cfg(target_arch = "x86_64")]
pub use x86::{F32x16, F64x8};

/// Numbers that have no registers of a line: nobody makes one.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Never<T>(std::convert::Infallible, PhantomData<T>);

macro_rules! never {
    ($($trait:ident $name:ident),*) => { $(
        impl<T> $trait for Never<T> {
            type Output = Never<T>;
            fn $name(self, _: Never<T>) -> Never<T> {
                match self.0 {}
            }
        }
        impl<T> $trait<T> for Never<T> {
            type Output = Never<T>;
            fn $name(self, _: T) -> Never<T> {
                match self.0 {}
            }
        }
    )* };
}
never!(Add add, Sub sub, Mul mul, Div div);

impl<T> Neg for Never<T> {
    type Output = Never<T>;
    fn neg(self) -> Never<T> {
        match self.0 {}
    }
}

impl<T: Copy> Value<T> for Never<T> {
    fn all(_: T) -> Never<T> {
        unreachable!("numbers without registers are evaluated one by one")
    }
    fn sqrt(self) -> Never<T> {
        match self.0 {}
    }
}

impl<T: Copy> Register<T> for Never<T> {
    const HERE: bool = false;
    unsafe fn load(_: *const T) -> Never<T> {
        unreachable!("numbers without registers are evaluated one by one")
    }
    unsafe fn store(self, _: *mut T) {
        match self.0 {}
    }
    fn shift([a, ..]: &[Never<T>; 3], _: isize) -> Never<T> {
        match a.0 {}
    }
}
