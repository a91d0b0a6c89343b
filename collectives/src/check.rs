//! Fingerprints: what identifies a collective call. They are compared before anything that was received is believed.
//!
//! All parts must agree, the call site too: two ranks that reduce different quantities of one type would else get a wrong
//! number in silence. So `if root { broadcast } else { broadcast }` on two lines is refused; put the call in one helper.
//!
//! Each communicator also keeps a *rolling* hash of all its calls so far. It travels with every message, so ranks whose
//! histories differ anywhere are found out at the next message between them, whatever that message is for.

use crate::algo::model::Order;
use std::any::{TypeId, type_name};
use std::cell::Cell;
use std::hash::{Hash, Hasher};
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
    /// Of type and shape alone.
    kind: u64,
}

/// Kinds of calls whose hash is known: a call site in a loop is hashed once. By place, then overwritten by the next that
/// falls into the same entry.
const KNOWN: usize = 256;

/// What a kind of call is known by: addresses and lengths of its texts, and its operation's type.
type Kind = [usize; 6];

thread_local!(static BASES: [Cell<(Kind, [u64; 2])>; KNOWN] = const { [const { Cell::new(([0; 6], [0; 2])) }; KNOWN] });

impl Print {
    /// The fingerprint of a call of `op` on elements `T`; `shape` holds what must be equal on all ranks.
    pub fn new<T: ?Sized>(op: &'static str, shape: [u64; 2], at: &'static Location<'static>) -> Print {
        Print::made(op, type_name::<T>(), 0, shape, at)
    }

    /// As `new`, for a call of `op` with the operation `O`. Closures of one function share a name, so the type itself counts
    /// too. (Two function pointers of one type cannot be told apart: their addresses differ from process to process.) So does the order
    /// that it allows, which may be a matter of its value: the schedule depends on it.
    pub(crate) fn of_op<T: 'static, O: 'static>(
        op: &'static str,
        order: Order,
        shape: [u64; 2],
        at: &'static Location<'static>,
    ) -> Print {
        let mut id = Words(order as u64);
        TypeId::of::<O>().hash(&mut id);
        Print::made(op, type_name::<(T, O)>(), id.0, shape, at)
    }

    fn made(op: &'static str, ty: &'static str, id: u64, shape: [u64; 2], at: &'static Location<'static>) -> Print {
        let place = std::ptr::from_ref(at).addr();
        let [op_at, ty_at] = [op, ty].map(|text| text.as_ptr().addr());
        let kind = [place, op_at, op.len(), ty_at, ty.len(), id as usize];
        let [base, of_type] = BASES.with(|known| {
            let entry = &known[(place >> 3 ^ op_at ^ ty_at) % KNOWN];
            if entry.get().0 != kind {
                entry.set((kind, [base(op, ty, id, at), xxhash_rust::xxh3::xxh3_64(ty.as_bytes())]));
            }
            entry.get().1
        });
        let [a, b] = shape;
        let with_shape = |base: u64| fold(fold(base ^ a, 0x9e37_79b9_7f4a_7c15) ^ b, 0xd6e8_feb8_6659_fd93);
        Print { op, ty, shape, at, hash: with_shape(base), kind: with_shape(of_type) }
    }

    /// 64 bits that differ when the calls do.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// 64 bits that differ when the types or the shapes of the calls do: what the memory of a message rests on.
    pub(crate) fn kind(&self) -> u64 {
        self.kind
    }

    /// For people: what, of what, how much, where.
    pub(crate) fn text(&self) -> String {
        let [a, b] = self.shape;
        format!("{} of {} [{a}, {b}] at {}", self.op, short(self.ty), self.at)
    }
}

fn base(op: &str, ty: &str, id: u64, at: &Location) -> u64 {
    let mut hasher = Xxh3::new();
    for text in [op, ty, at.file()] {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    for number in [id, at.line().into(), at.column().into()] {
        hasher.update(&number.to_le_bytes());
    }
    hasher.digest()
}

/// The two halves of a product, folded: every bit of the result depends on every bit of `x`.
fn fold(x: u64, by: u64) -> u64 {
    let product = u128::from(x) * u128::from(by);
    (product as u64 ^ (product >> 64) as u64).wrapping_add(x.rotate_left(32))
}

/// Takes the words that a value hashes, as they are.
struct Words(u64);

impl Hasher for Words {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&b| self.write_u64(b.into()));
    }
    fn write_u64(&mut self, word: u64) {
        self.0 = fold(self.0 ^ word, 0x9e37_79b9_7f4a_7c15);
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
    fn type_and_shape_are_the_kind() {
        let kinds = [print::<u32>("a", [0, 1]), print::<u64>("a", [0, 1]), print::<u32>("a", [0, 2])].map(|p| p.kind());
        assert!(kinds[0] != kinds[1] && kinds[0] != kinds[2]);
        assert_eq!(kinds[0], print::<u32>("b", [0, 1]).kind());
    }

    #[test]
    fn closures_of_one_function_differ() {
        fn of<O: 'static>(_: O) -> Print {
            Print::of_op::<u32, O>("a", Order::Ranks, [0; 2], Location::caller())
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
