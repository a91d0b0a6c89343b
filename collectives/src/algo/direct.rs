//! Everything straight to where it belongs, in one step: no byte travels twice. Peers are taken in rotated order, so that
//! not all ranks turn to the same one first.
//!
//! Buffer 0 is what a rank sends from, buffer 1 what it receives into; cuts are in bytes.

use super::{Local, Move, Part, Piece, Step, slices};
use std::ops::Range;

/// The buffer that is sent from.
pub(crate) const FROM: usize = 0;
/// The buffer that is received into.
pub(crate) const INTO: usize = 1;

/// Sends `out(q)` of the first buffer to each rank q that has a place for it, and receives into `into(q)` of the second.
/// `None`: no message between the two. The own part is the caller's.
pub(crate) fn exchange(
    me: usize,
    size: usize,
    out: impl Fn(usize) -> Option<Range<usize>>,
    into: impl Fn(usize) -> Option<Range<usize>>,
) -> Vec<Step> {
    let span = Piece::span;
    let below = (1..size).map(|d| (me + size - d) % size);
    let above = (1..size).map(|d| (me + d) % size);
    vec![Step {
        sends: above.filter_map(|q| Some(Move::new(q, span(FROM, out(q)?)))).collect(),
        recvs: below.filter_map(|q| Some(Move::new(q, span(INTO, into(q)?)))).collect(),
        then: vec![],
    }]
}

/// As [`exchange`] of one block a rank with every rank, one peer after the other: in round d with the ranks d above and below,
/// so that no rank ever receives from two at once (pairwise exchange: Thakur, Rabenseifner, Gropp 2005).
pub(crate) fn pairwise(me: usize, size: usize, block: usize) -> Vec<Step> {
    let of = |memory, q: usize| Piece::span(memory, q * block..(q + 1) * block);
    let round = |d: usize| {
        let (to, from) = ((me + d) % size, (me + size - d) % size);
        Step::send(to, of(FROM, to)).and_recv(from, of(INTO, from))
    };
    (1..size).map(round).collect()
}

/// Every rank's part of buffer 0 to every other's.
pub(crate) fn all_gather(me: usize, size: usize, place: impl Fn(usize) -> Range<usize>) -> Vec<Step> {
    vec![(1..size).fold(Step::default(), |step, d| {
        let (to, from) = ((me + d) % size, (me + size - d) % size);
        step.and_send(to, Piece::span(0, place(me))).and_recv(from, Piece::span(0, place(from)))
    })]
}

/// Buffer 0 of all ranks combined in their order, with its brackets, slice r by rank r: its parts come into buffer 1, one
/// behind the other, where the first becomes the sum.
pub(crate) fn reduce_slices(me: usize, size: usize, len: usize) -> Vec<Step> {
    let slice = slices(len, size);
    let own = slice(me);
    let part = |q: usize| Part { memory: INTO, start: q * own.len(), len: own.len() };
    let mut step = Step::default();
    for d in 1..size {
        let (to, from) = ((me + d) % size, (me + size - d) % size);
        step = step.and_send(to, Piece::span(FROM, slice(to))).and_recv(from, Piece::Span(part(from)));
    }
    step = step.and_then(Local::Copy { from: Part::of(FROM, own.clone()), into: part(me) });
    vec![(1..size).fold(step, |step, q| step.and_then(Local::Fold { from: part(q), into: part(0), left: false }))]
}

/// As [`reduce_slices`], and then every slice of the sum to everyone's buffer 0: about twice the vector sent by each rank, the
/// two halves of Rabenseifner's all-reduce (2004) with direct messages.
pub(crate) fn all_reduce(me: usize, size: usize, len: usize) -> Vec<Step> {
    let slice = slices(len, size);
    let mut steps = reduce_slices(me, size, len);
    let sum = Part { memory: INTO, start: 0, len: slice(me).len() };
    steps[0] = std::mem::take(&mut steps[0]).and_then(Local::Copy { from: sum, into: Part::of(FROM, slice(me)) });
    steps.extend(all_gather(me, size, slice));
    steps
}

/// As [`reduce_slices`], and then every slice of the sum to the root's buffer 0.
pub(crate) fn reduce(me: usize, root: usize, size: usize, len: usize) -> Vec<Step> {
    let slice = slices(len, size);
    let mut steps = reduce_slices(me, size, len);
    let sum = Part { memory: INTO, start: 0, len: slice(me).len() };
    if me != root {
        steps.push(Step::send(root, Piece::Span(sum)));
        return steps;
    }
    steps[0] = std::mem::take(&mut steps[0]).and_then(Local::Copy { from: sum, into: Part::of(FROM, slice(me)) });
    let others = (1..size).map(|d| (me + d) % size);
    steps.push(others.fold(Step::default(), |step, q| step.and_recv(q, Piece::span(FROM, slice(q)))));
    steps
}

/// Blob q of the root to each rank q, or blob q of each rank q to the root: one message a rank, whatever its length.
pub(crate) fn with_root(me: usize, root: usize, size: usize, to_root: bool) -> Vec<Step> {
    let others = || (1..size).map(|d| (root + d) % size);
    let blob = |q: usize| Move::new(q, Piece::Blob(q));
    let step = match (me == root, to_root) {
        (true, true) => Step { recvs: others().map(blob).collect(), ..Step::default() },
        (true, false) => Step { sends: others().map(blob).collect(), ..Step::default() },
        (false, true) => Step::send(root, Piece::Blob(me)),
        (false, false) => Step::recv(root, Piece::Blob(me)),
    };
    vec![step]
}
