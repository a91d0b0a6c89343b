//! Blocks that the parts of several ranks share. A rank adds the blocks that lie inside its part by itself. Of a block that it
//! begins and does not end it gives the *lanes* so far; of one that it does not begin, the *terms*, since the order of
//! additions says what must come before them. Pieces that meet are joined on the way to rank 0, wherever that happens, and a
//! block that is whole goes into the exact total. So the parts commute, and no bit tells how the vector was cut.

use crate::blocks::BLOCK;
use crate::exact::Exact;
use crate::lanes::{LANES, Lanes};

/// The sum of some of the vector.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// Of whole blocks.
    total: Exact,
    /// Of blocks that are not whole yet.
    pieces: Vec<Piece>,
}

/// Terms `from..to` of the vector, inside one block.
#[derive(Clone, Debug)]
struct Piece {
    from: u64,
    to: u64,
    have: Have,
}

#[derive(Clone, Debug)]
enum Have {
    /// From the block's beginning on: they are added already.
    Lanes([f64; LANES]),
    /// From further on.
    Terms(Vec<f64>),
}

impl Part {
    /// The sum of whole blocks.
    pub(crate) fn new(total: Exact) -> Part {
        Part { total, pieces: Vec::new() }
    }

    /// Terms from here on, the first of their block.
    pub(crate) fn begin_block(&mut self, from: u64, count: u64, lanes: Lanes) {
        debug_assert!(from.is_multiple_of(BLOCK) && count < BLOCK);
        self.pieces.push(Piece { from, to: from + count, have: Have::Lanes(lanes.sums) });
    }

    /// Terms from here on, not the first of their block.
    pub(crate) fn go_on(&mut self, from: u64, terms: Vec<f64>) {
        debug_assert!(!from.is_multiple_of(BLOCK));
        self.pieces.push(Piece { from, to: from + terms.len() as u64, have: Have::Terms(terms) });
    }

    /// Another part of the same vector.
    pub(crate) fn merge(&mut self, other: Part) {
        self.total.merge(&other.total);
        let mut pieces = std::mem::take(&mut self.pieces);
        pieces.extend(other.pieces);
        pieces.sort_by_key(|piece| piece.from);
        for piece in pieces {
            match self.pieces.last_mut() {
                Some(last) if last.to == piece.from && !piece.from.is_multiple_of(BLOCK) => last.join(piece),
                _ => self.pieces.push(piece),
            }
        }
        let total = &mut self.total;
        self.pieces.retain(|piece| match piece.have {
            Have::Lanes(sums) if piece.to.is_multiple_of(BLOCK) => {
                total.add(Lanes { sums, next: 0 }.total());
                false
            }
            _ => true,
        });
    }

    /// The sum, once all parts are here: the last block ends where the vector does.
    pub(crate) fn value(mut self) -> f64 {
        for piece in self.pieces {
            let Have::Lanes(sums) = piece.have else { panic!("a block without its beginning: {piece:?}") };
            self.total.add(Lanes { sums, next: 0 }.total());
        }
        self.total.round()
    }

    /// At most two pieces, of at most 4,095 terms and of eight lanes, if the ranks of the part are neighbours; then the total.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = (self.pieces.len() as u64).to_le_bytes().to_vec();
        for piece in &self.pieces {
            let values = match &piece.have {
                Have::Lanes(sums) => sums.as_slice(),
                Have::Terms(terms) => terms,
            };
            bytes.extend([piece.from, piece.to].map(u64::to_le_bytes).as_flattened());
            values.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
        }
        bytes.extend(self.total.encode());
        bytes
    }

    /// The part that `encode` wrote; `None` if it did not.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Part> {
        let mut rest = bytes;
        let mut word = || rest.split_off(..8).map(|word| u64::from_le_bytes(word.try_into().expect("8 bytes")));
        let mut pieces = Vec::new();
        for _ in 0..word()? {
            let (from, to) = (word()?, word()?);
            let have = if from.is_multiple_of(BLOCK) {
                let mut sums = [0.0; LANES];
                for sum in &mut sums {
                    *sum = f64::from_bits(word()?);
                }
                Have::Lanes(sums)
            } else {
                Have::Terms((from..to).map(|_| word().map(f64::from_bits)).collect::<Option<_>>()?)
            };
            pieces.push(Piece { from, to, have });
        }
        Some(Part { total: Exact::decode(rest).ok()?, pieces })
    }
}

impl Piece {
    /// The piece that begins where this one ends, in the same block.
    fn join(&mut self, after: Piece) {
        let Have::Terms(terms) = after.have else { unreachable!("inside a block") };
        match &mut self.have {
            Have::Lanes(sums) => {
                // Blocks begin at multiples of the lanes, so the place in the vector says which lane is next.
                let mut lanes = Lanes { sums: *sums, next: (self.to % LANES as u64) as usize };
                lanes.add(&terms, |term| term);
                *sums = lanes.sums;
            }
            Have::Terms(mine) => mine.extend(terms),
        }
        self.to = after.to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes;
    use proptest::prelude::*;

    fn term(i: u64) -> f64 {
        ((i * 37 % 101) as f64 - 50.3) * 2f64.powi((i * 11 % 61) as i32 - 30)
    }

    /// One piece a range, as a rank makes them.
    fn part(from: u64, to: u64) -> Part {
        let mut part = Part::default();
        let mut at = from;
        while at < to {
            let end = to.min((at / BLOCK + 1) * BLOCK);
            if !at.is_multiple_of(BLOCK) {
                part.go_on(at, (at..end).map(term).collect());
            } else if end - at == BLOCK {
                part.total.add(lanes::sum(at..end, term));
            } else {
                let mut lanes = Lanes::default();
                lanes.add(&(at..end).collect::<Vec<_>>(), term);
                part.begin_block(at, end - at, lanes);
            }
            at = end;
        }
        part
    }

    proptest! {
        /// However the vector is cut, and in whatever order the parts meet.
        #[test]
        fn no_cut_shows(mut cuts in proptest::collection::vec(0..20_000u64, 0..12), seed in any::<u64>()) {
            cuts.extend([0, 20_000]);
            cuts.sort_unstable();
            let mut parts: Vec<(u64, Part)> = cuts.windows(2).map(|w| (w[0], part(w[0], w[1]))).collect();
            parts.sort_by_key(|(from, _)| (from + 1).wrapping_mul(seed | 1));
            let mut all = Part::default();
            for (_, part) in parts {
                let part = Part::decode(&part.encode()).expect("what was encoded");
                all.merge(part);
            }
            let mut whole = Exact::default();
            (0..5u64).for_each(|b| whole.add(lanes::sum(b * BLOCK..20_000.min((b + 1) * BLOCK), term)));
            prop_assert_eq!(all.value().to_bits(), whole.round().to_bits());
        }
    }

    #[test]
    fn what_is_no_part_is_refused() {
        let bytes = part(5, 9000).encode();
        assert!(Part::decode(&bytes).is_some());
        for cut in [0, 7, 20, 4000, bytes.len() - 1] {
            assert!(Part::decode(&bytes[..cut]).is_none(), "{cut}");
        }
    }
}
