//! Rings: each rank talks to its two neighbours only, so that on any network no link carries more than one message at a time;
//! every rank sends (p − 1)/p of the whole, in p − 1 steps (Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for
//! clusters of workstations", 2009).

use super::{Part, Piece, Step, slices};
use std::ops::Range;

/// Every rank has its part of buffer `memory`; afterwards all have all parts. `place(q)`: rank q's.
pub(crate) fn all_gather(me: usize, size: usize, memory: usize, place: impl Fn(usize) -> Range<usize>) -> Vec<Step> {
    let part = |back: usize| Piece::span(memory, place((me + 2 * size - back) % size));
    let step = |k| Step::send((me + 1) % size, part(k)).and_recv((me + size - 1) % size, part(k + 1));
    (0..size - 1).map(step).collect()
}

/// Slices of buffer 0 are combined, each along the ring, so in no order of ranks. Afterwards rank r has slice r of the
/// result; the others are half done. Buffer 1 is room for a slice.
pub(crate) fn reduce_scatter(me: usize, size: usize, len: usize) -> Vec<Step> {
    let slice = slices(len, size);
    let part = |back: usize| Part::of(0, slice((me + 2 * size - back) % size));
    let step = |k| {
        Step::send((me + 1) % size, Piece::Span(part(k + 1))).and_fold((me + size - 1) % size, 1, part(k + 2), false)
    };
    (0..size - 1).map(step).collect()
}

/// Buffer 0 of all ranks combined, in no order of ranks, on all. Buffer 1 is room for a slice.
pub(crate) fn all_reduce(me: usize, size: usize, len: usize) -> Vec<Step> {
    let mut steps = reduce_scatter(me, size, len);
    steps.extend(all_gather(me, size, 0, slices(len, size)));
    steps
}
