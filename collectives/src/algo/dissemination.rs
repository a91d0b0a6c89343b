//! All ranks tell all ranks in ⌈log₂ p⌉ rounds, for any p: Bruck, Ho, Kipnis, Upfal, Weathersby, "Efficient algorithms for
//! all-to-all communications in multiport message-passing systems" (1997). Without content it is the dissemination barrier
//! of Hensgen, Finkel, Manber (1988).
//!
//! In round j each rank sends what it has to the rank 2^j below and receives as much from the rank 2^j above.

use super::{Piece, Step};
use std::ops::Range;

/// Blob r is rank r's; afterwards every rank has all.
pub(crate) fn all_gather(me: usize, size: usize) -> Vec<Step> {
    rounds(me, size, |first, count| vec![Piece::Run { first: first % size, count, of: size }])
}

/// As [`all_gather`], of parts of a buffer: `place(q)` is rank q's, one behind the other.
pub(crate) fn all_gather_parts(
    me: usize,
    size: usize,
    memory: usize,
    place: impl Fn(usize) -> Range<usize>,
) -> Vec<Step> {
    rounds(me, size, |first, count| {
        let first = first % size;
        let run = |from: usize, to: usize| Piece::span(memory, place(from).start..place(to - 1).end);
        if first + count <= size {
            vec![run(first, first + count)]
        } else {
            vec![run(first, size), run(0, first + count - size)] // around the end
        }
    })
}

/// Nobody is done before everybody has begun.
pub(crate) fn barrier(me: usize, size: usize) -> Vec<Step> {
    rounds(me, size, |_, _| vec![Piece::Empty])
}

fn rounds(me: usize, size: usize, pieces: impl Fn(usize, usize) -> Vec<Piece>) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut have = 1;
    while have < size {
        let count = have.min(size - have);
        let (below, above) = ((me + size - have) % size, (me + have) % size);
        let mut step = Step::default();
        step = pieces(me, count).into_iter().fold(step, |step, piece| step.and_send(below, piece));
        steps.push(pieces(me + have, count).into_iter().fold(step, |step, piece| step.and_recv(above, piece)));
        have += count;
    }
    steps
}
