//! What a field can hold.

use crate::stencil::lanes::Lanes;
use physalia_collectives::Plain;

/// Numbers that a field can hold: any bits are a value, and travel as they are.
pub trait Cell: Plain + bytemuck::Pod + PartialEq + Default + Lanes {
    /// The value's bits.
    fn bits(self) -> u64;
    /// The value as `f64`; exact for floats and for integers up to 53 bits.
    fn as_f64(self) -> f64;
}

macro_rules! cell {
    ($($t:ty => $bits:expr),*) => { $(impl Cell for $t {
        fn bits(self) -> u64 {
            $bits(self)
        }
        fn as_f64(self) -> f64 {
            self as f64
        }
    })* };
}
cell!(
    f32 => |x: f32| u64::from(x.to_bits()),
    f64 => f64::to_bits,
    u8 => u64::from,
    u16 => u64::from,
    u32 => u64::from,
    u64 => |x| x,
    i8 => |x: i8| x as u64,
    i16 => |x: i16| x as u64,
    i32 => |x: i32| x as u64,
    i64 => |x: i64| x as u64
);
