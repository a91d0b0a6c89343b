//! Recursive doubling: in round k, rank r and the rank whose number differs in bit k exchange what they have; ⌈log₂ p⌉ rounds
//! of whole vectors (Thakur, Rabenseifner, Gropp, "Optimization of collective communication operations in MPICH", 2005;
//! prefix sums: Hillis and Steele, "Data parallel algorithms", 1986).
//!
//! What is combined is always of neighbouring runs of ranks, the lower on the left: so the order of ranks is kept, although not
//! the brackets. Where p is no power of two, the first ranks meet in pairs before and after.

use super::{Local, Part, Piece, Step};
use std::ops::Range;

/// The largest power of two among `size` ranks, and the places of those that stand for themselves or for a pair.
pub(crate) struct Folded {
    pub power: usize,
    extra: usize,
}

impl Folded {
    pub(crate) fn new(size: usize) -> Folded {
        let power = 1 << size.ilog2();
        Folded { power, extra: size - power }
    }

    /// The place of `me` among a power of two; `None` for one that another stands for.
    pub(crate) fn place(&self, me: usize) -> Option<usize> {
        if me >= 2 * self.extra { Some(me - self.extra) } else { me.is_multiple_of(2).then_some(me / 2) }
    }

    pub(crate) fn rank(&self, place: usize) -> usize {
        if place < self.extra { 2 * place } else { place + self.extra }
    }

    /// The pairs meet before: the second gives its vector (buffer 0) to the first. Buffer 1 is room for one.
    pub(crate) fn before(&self, me: usize, len: usize) -> Vec<Step> {
        let whole = Part::of(0, 0..len);
        if me >= 2 * self.extra {
            vec![]
        } else if me.is_multiple_of(2) {
            vec![Step::default().and_fold(me + 1, 1, whole, false)]
        } else {
            vec![Step::send(me - 1, Piece::Span(whole))]
        }
    }

    /// And after: the first gives the result back.
    pub(crate) fn after(&self, me: usize, len: usize) -> Vec<Step> {
        let whole = Piece::span(0, 0..len);
        if me >= 2 * self.extra {
            vec![]
        } else if me.is_multiple_of(2) {
            vec![Step::send(me + 1, whole)]
        } else {
            vec![Step::recv(me - 1, whole)]
        }
    }
}

/// Buffer 0 of all ranks combined, on all. Buffer 1 is room for one.
pub(crate) fn all_reduce(me: usize, size: usize, len: usize) -> Vec<Step> {
    let folded = Folded::new(size);
    let whole = Part::of(0, 0..len);
    let mut steps = folded.before(me, len);
    if let Some(place) = folded.place(me) {
        let mut bit = 1;
        while bit < folded.power {
            let peer = folded.rank(place ^ bit);
            steps.push(Step::send(peer, Piece::Span(whole)).and_fold(peer, 1, whole, place & bit != 0));
            bit *= 2;
        }
    }
    steps.extend(folded.after(me, len));
    steps
}

/// Every rank has its part of a buffer; afterwards all have all. `place(q)`: rank q's, one behind the other. For powers of two.
pub(crate) fn all_gather(me: usize, size: usize, memory: usize, place: impl Fn(usize) -> Range<usize>) -> Vec<Step> {
    assert!(size.is_power_of_two(), "{size} ranks");
    let run = |first: usize, count: usize| Piece::span(memory, place(first).start..place(first + count - 1).end);
    let bits = (0..size.trailing_zeros()).map(|b| 1 << b);
    bits.map(|bit| {
        let (peer, own) = (me ^ bit, me & !(bit - 1));
        Step::send(peer, run(own, bit)).and_recv(peer, run(own ^ bit, bit))
    })
    .collect()
}

/// Buffer 0 becomes the combination of those of ranks 0 to this one; buffer 1 is room for two. With `exclusive`, its second
/// half becomes that of the ranks below (on rank 0 it stays).
pub(crate) fn scan(me: usize, size: usize, len: usize, exclusive: bool) -> Vec<Step> {
    let (whole, room, below) = (Part::of(0, 0..len), Part::of(1, 0..len), Part::of(1, len..2 * len));
    let (mut steps, mut bit) = (Vec::new(), 1);
    while bit < size {
        let mut step = Step::default();
        if me + bit < size {
            step = step.and_send(me + bit, Piece::Span(whole));
        }
        if me >= bit {
            step = step.and_fold(me - bit, 1, whole, true);
            if exclusive {
                let first = Local::Copy { from: room, into: below };
                let more = Local::Fold { from: room, into: below, left: true };
                step = step.and_then(if bit == 1 { first } else { more });
            }
        }
        steps.push(step);
        bit *= 2;
    }
    steps
}
