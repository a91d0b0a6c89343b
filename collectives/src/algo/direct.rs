//! Everything straight to where it belongs, in one step: no byte travels twice. Peers are taken in rotated order, so that
//! not all ranks turn to the same one first.
//!
//! Buffer 0 is what a rank sends from, buffer 1 what it receives into; cuts are in bytes.

use super::{Move, Piece, Step};
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
    let span = |memory, r: Range<usize>| Piece::Span { memory, start: r.start, len: r.len() };
    let below = (1..size).map(|d| (me + size - d) % size);
    let above = (1..size).map(|d| (me + d) % size);
    vec![Step {
        sends: above.filter_map(|q| Some(Move::new(q, span(FROM, out(q)?)))).collect(),
        recvs: below.filter_map(|q| Some(Move::new(q, span(INTO, into(q)?)))).collect(),
        combine: false,
    }]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algo::tests::{Blobs, play};

    #[test]
    fn every_pair_meets_once() {
        for size in 1..=9 {
            let all: Vec<_> =
                (0..size).map(|me| exchange(me, size, |q| Some(q..q + 1), |q| Some(2 * q..2 * q + 1))).collect();
            for (me, steps) in all.iter().enumerate() {
                for send in &steps[0].sends {
                    let there = &all[send.peer][0].recvs;
                    assert_eq!(there.iter().filter(|r| r.peer == me).count(), 1);
                    assert_eq!(send.piece, Piece::Span { memory: FROM, start: send.peer, len: 1 });
                }
                assert_eq!((steps[0].sends.len(), steps[0].recvs.len()), (size - 1, size - 1));
            }
        }
    }

    #[test]
    fn to_and_from_a_root() {
        for size in 1..=9usize {
            for root in 0..size {
                for to_root in [false, true] {
                    let schedules = (0..size).map(|me| with_root(me, root, size, to_root)).collect();
                    let own = |me: usize| -> Blobs {
                        (0..size).map(|b| ((me == root && !to_root) || b == me).then(|| vec![b as u8])).collect()
                    };
                    let (blobs, messages) = play(schedules, (0..size).map(own).collect(), |_, _| ());
                    assert_eq!(messages, size - 1);
                    assert!(blobs.iter().enumerate().all(|(me, b)| b[me] == Some(vec![me as u8])));
                    assert!(blobs[root].iter().all(Option::is_some));
                }
            }
        }
    }
}
