//! Recursive halving and doubling (Rabenseifner, "Optimization of collective reduction operations", 2004): in each round two
//! ranks share the work on the part of the vector that both still have, half each, and later give the halves back. 2 ⌈log₂ p⌉
//! rounds, in which each rank sends about twice its vector.
//!
//! Neighbouring runs of ranks are combined, the lower on the left, as by recursive doubling: the order of ranks is kept.

use super::doubling::Folded;
use super::{Part, Piece, Step};
use std::ops::Range;

/// Buffer 0 of all ranks combined, on all. Buffer 1 is room for one.
pub(crate) fn all_reduce(me: usize, size: usize, len: usize) -> Vec<Step> {
    let folded = Folded::new(size);
    let mut steps = folded.before(me, len);
    if let Some(place) = folded.place(me) {
        let rounds = rounds(place, folded.power, len);
        for (bit, [own, other]) in &rounds {
            let peer = folded.rank(place ^ bit);
            let step = Step::send(peer, Piece::span(0, other.clone()));
            steps.push(step.and_fold(peer, 1, Part::of(0, own.clone()), place & bit != 0));
        }
        for (bit, [own, other]) in rounds.into_iter().rev() {
            let peer = folded.rank(place ^ bit);
            steps.push(Step::send(peer, Piece::span(0, own)).and_recv(peer, Piece::span(0, other)));
        }
    }
    steps.extend(folded.after(me, len));
    steps
}

/// The rounds of one of `power` ranks: the bit in which the peer's number differs, the own half and the peer's.
fn rounds(place: usize, power: usize, len: usize) -> Vec<(usize, [Range<usize>; 2])> {
    let (mut rounds, mut part, mut bit) = (Vec::new(), 0..len, 1);
    while bit < power {
        let middle = part.start + part.len() / 2;
        let (mut own, mut other) = (part.start..middle, middle..part.end);
        if place & bit != 0 {
            std::mem::swap(&mut own, &mut other);
        }
        rounds.push((bit, [own.clone(), other]));
        part = own;
        bit *= 2;
    }
    rounds
}
