//! Fingerprints: what identifies a collective call. They are compared before anything that was received is believed.
//!
//! All parts must agree, the call site too: two ranks that reduce different quantities of one type would else get a wrong
//! number in silence. So `if root { broadcast } else { broadcast }` on two lines is refused; put the call in one helper.
//!
//! Each communicator also keeps a *rolling* hash of all its calls so far. It travels with every message, so ranks whose
//! histories differ anywhere are found out at the next message between them, whatever that message is for.

use std::any::{TypeId, type_name};
use std::hash::Hash;
use std::panic::Location;
use xxhash_rust::xxh3::Xxh3;

/// Operation, element type, shape (lengths, root, range) and place of a call.
#[derive(Clone, Copy, Debug)]
pub struct Print {
    op: &'static str,
    ty: &'static str,
    shape: [u64; 2],
    at: &'static Location<'static>,
    hash: u64,
}

impl Print {
    /// The fingerprint of a call of `op` on elements `T`; `shape` holds what must be equal on all ranks.
    pub fn new<T: ?Sized>(op: &'static str, shape: [u64; 2], at: &'static Location<'static>) -> Print {
        let ty = type_name::<T>();
        let mut hasher = Xxh3::new();
        for text in [op, ty, at.file()] {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        for number in [shape[0], shape[1], at.line().into(), at.column().into()] {
            hasher.update(&number.to_le_bytes());
        }
        Print { op, ty, shape, at, hash: hasher.digest() }
    }

    /// As `new`, for a call of `op` with the operation `O`. Closures of one function share a name, so the type itself counts
    /// too. (Two function pointers of one type cannot be told apart: their addresses differ from process to process.)
    pub(crate) fn of_op<T: 'static, O: 'static>(
        op: &'static str,
        shape: [u64; 2],
        at: &'static Location<'static>,
    ) -> Print {
        let mut print = Print::new::<(T, O)>(op, shape, at);
        let mut hasher = Xxh3::new();
        hasher.update(&print.hash.to_le_bytes());
        TypeId::of::<O>().hash(&mut hasher);
        print.hash = hasher.digest();
        print
    }

    /// 64 bits that differ when the calls do.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// For people: what, of what, how much, where.
    pub(crate) fn text(&self) -> String {
        let [a, b] = self.shape;
        format!("{} of {} [{a}, {b}] at {}", self.op, short(self.ty), self.at)
    }
}

/// A type's name without the library's own paths.
fn short(ty: &str) -> String {
    ty.replace("physalia_collectives::", "").replace("ops::op::", "").replace("physalia::", "")
}

/// The rolling hash after one more call.
pub(crate) fn roll(rolling: u64, print: &Print) -> u64 {
    let mixed = (rolling ^ print.hash).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 32).wrapping_add(rolling.rotate_left(17))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn print<T>(op: &'static str, shape: [u64; 2]) -> Print {
        Print::new::<T>(op, shape, Location::caller())
    }

    #[test]
    fn every_part_counts() {
        let all = [
            print::<u32>("a", [0, 1]),
            print::<u32>("b", [0, 1]),
            print::<u64>("a", [0, 1]),
            print::<u32>("a", [1, 1]),
            print::<u32>("a", [0, 2]),
            print::<u32>("a", [0, 1]), // another line
        ];
        for (i, x) in all.iter().enumerate() {
            for y in &all[..i] {
                assert_ne!(x.hash(), y.hash(), "{} and {}", x.text(), y.text());
            }
        }
        let same: Vec<u64> = (0..2).map(|_| print::<u8>("same", [3, 4]).hash()).collect();
        assert_eq!(same[0], same[1]);
    }

    #[test]
    fn closures_of_one_function_differ() {
        fn of<O: 'static>(_: O) -> Print {
            Print::of_op::<u32, O>("a", [0; 2], Location::caller())
        }
        let (add, most) = (of(|a: u32, b: u32| a + b), of(|a: u32, b: u32| a.max(b)));
        assert_eq!(add.text(), most.text());
        assert_ne!(add.hash(), most.hash());
    }

    #[test]
    fn the_rolling_hash_knows_the_order() {
        let (a, b) = (print::<u32>("a", [0, 0]), print::<u32>("b", [0, 0]));
        assert_ne!(roll(roll(0, &a), &b), roll(roll(0, &b), &a));
    }
}
