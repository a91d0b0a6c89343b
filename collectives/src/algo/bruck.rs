//! All-to-all in ⌈log₂ p⌉ rounds for short blocks, each of which travels up to ⌈log₂ p⌉ times: Bruck, Ho, Kipnis, Upfal,
//! Weathersby, "Efficient algorithms for all-to-all communications in multiport message-passing systems" (1997).

use super::{Piece, Step};

/// Blob d is for the rank d above this one; afterwards it is from the rank d below. The own one, 0, stays.
pub(crate) fn all_to_all(me: usize, size: usize) -> Vec<Step> {
    let (mut steps, mut bit) = (Vec::new(), 1);
    while bit < size {
        let piece = Piece::WithBit { bit, of: size };
        steps.push(Step::send((me + bit) % size, piece.clone()).and_recv((me + size - bit) % size, piece));
        bit *= 2;
    }
    steps
}
