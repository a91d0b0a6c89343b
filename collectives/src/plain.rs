//! Values that travel as their bytes, and what comes back from many ranks.

use bytemuck::{CheckedBitPattern, NoUninit};
use std::ops::Index;

/// Types that travel as their bytes: no padding to send, a checked bit pattern to receive. Numbers, `bool`, `char`, arrays
/// of them, and structs that derive bytemuck's `NoUninit` and `CheckedBitPattern` (or `Pod`).
///
/// All ranks of a job have one byte order; a job over machines of different byte orders is not supported.
///
/// A type without bytes has nothing to tell, and does not compile:
///
/// ```compile_fail,E0080
/// physalia_collectives::Comm::alone().broadcast(0, ()).ok();
/// ```
pub trait Plain: NoUninit + CheckedBitPattern + Send + Sync + 'static {
    /// The size of a value, in bytes.
    #[doc(hidden)]
    const BYTES: usize = {
        assert!(size_of::<Self>() > 0, "a type without bytes cannot travel");
        size_of::<Self>()
    };
}

impl<T: NoUninit + CheckedBitPattern + Send + Sync + 'static> Plain for T {}

/// One slice of values for each rank, or for each source of a graph, in one vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts<T> {
    values: Vec<T>,
    ends: Vec<usize>,
}

impl<T> Parts<T> {
    /// One part for each rank, in their order.
    pub fn of(parts: Vec<Vec<T>>) -> Parts<T> {
        let mut end = 0;
        let ends = parts.iter().map(|part| (end += part.len(), end).1).collect();
        Parts::new(parts.into_iter().flatten().collect(), ends)
    }

    /// Rank r's part ends at `ends[r]`; the last end is the length.
    pub(crate) fn new(values: Vec<T>, ends: Vec<usize>) -> Parts<T> {
        debug_assert_eq!(ends.last().copied().unwrap_or(0), values.len());
        Parts { values, ends }
    }

    /// The number of parts.
    #[allow(clippy::len_without_is_empty)] // there is one for each rank or source
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Each rank's part, in the order of ranks.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[T]> {
        (0..self.ends.len()).map(|rank| &self[rank])
    }

    /// All values, in the order of ranks.
    pub fn as_slice(&self) -> &[T] {
        &self.values
    }

    /// All values, in the order of ranks.
    pub fn into_vec(self) -> Vec<T> {
        self.values
    }
}

impl<T> Index<usize> for Parts<T> {
    type Output = [T];

    /// The part of one rank.
    ///
    /// # Panics
    /// If there is no such rank.
    fn index(&self, rank: usize) -> &[T] {
        let start = if rank == 0 { 0 } else { self.ends[rank - 1] };
        &self.values[start..self.ends[rank]]
    }
}
