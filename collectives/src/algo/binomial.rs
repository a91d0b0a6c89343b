//! Binomial trees: ⌈log₂ p⌉ levels, p − 1 messages (see Thakur, Rabenseifner, Gropp, "Optimization of collective
//! communication operations in MPICH", 2005). Ranks are counted from the root: rank v's parent is v without its lowest
//! set bit, and its subtree are the ranks from v below v + that bit.

use super::{Move, Piece, Step};

struct Place {
    parent: Option<usize>,
    /// Children with the sizes of their subtrees, the largest subtree first. All counted from the root.
    children: Vec<(usize, usize)>,
    virtual_rank: usize,
    root: usize,
    size: usize,
}

impl Place {
    fn new(me: usize, root: usize, size: usize) -> Place {
        let v = (me + size - root) % size;
        let low = if v == 0 { size.next_power_of_two() } else { v & v.wrapping_neg() };
        let mut children = Vec::new();
        let mut bit = low / 2;
        while bit > 0 {
            if v + bit < size {
                children.push((v + bit, bit.min(size - v - bit)));
            }
            bit /= 2;
        }
        Place { parent: (v > 0).then(|| v - low), children, virtual_rank: v, root, size }
    }

    fn real(&self, v: usize) -> usize {
        (v + self.root) % self.size
    }

    fn subtree(&self, v: usize, count: usize) -> Piece {
        Piece::Blobs((v..v + count).map(|b| self.real(b)).collect())
    }
}

/// The root's piece to everyone.
pub(crate) fn broadcast(me: usize, root: usize, size: usize, piece: Piece) -> Vec<Step> {
    let place = Place::new(me, root, size);
    let mut steps: Vec<Step> = place.parent.map(|p| Step::recv(place.real(p), piece.clone())).into_iter().collect();
    let sends: Vec<_> = place.children.iter().map(|&(c, _)| Move::new(place.real(c), piece.clone())).collect();
    if !sends.is_empty() {
        steps.push(Step { sends, ..Step::default() });
    }
    steps
}

/// Blob r of every rank r to the root.
pub(crate) fn gather(me: usize, root: usize, size: usize) -> Vec<Step> {
    let place = Place::new(me, root, size);
    let recvs = place.children.iter().map(|&(c, n)| Move::new(place.real(c), place.subtree(c, n))).collect();
    let mut steps = vec![Step { recvs, ..Step::default() }];
    if let Some(parent) = place.parent {
        let count = 1 + place.children.iter().map(|c| c.1).sum::<usize>();
        steps.push(Step::send(place.real(parent), place.subtree(place.virtual_rank, count)));
    }
    steps
}

/// The blob with a rank's own part, later merged with those of its subtree.
pub(crate) const PART: usize = 0;
/// The blob with the result.
pub(crate) const RESULT: usize = 1;
/// The first of the blobs that come from children.
pub(crate) const FIRST_CHILD: usize = 2;

/// Parts are merged towards rank 0, in an order that depends on the tree, and the result goes back to everyone. The
/// combining step (the first) merges the children's blobs into `PART`; on rank 0 it also makes `RESULT`.
pub(crate) fn merge(me: usize, size: usize) -> Vec<Step> {
    let place = Place::new(me, 0, size);
    let child = |(i, &(c, _)): (usize, &(usize, usize))| Move::new(place.real(c), Piece::Blob(FIRST_CHILD + i));
    let mut steps =
        vec![Step { recvs: place.children.iter().enumerate().map(child).collect(), combine: true, ..Step::default() }];
    if let Some(parent) = place.parent {
        steps.push(Step::send(place.real(parent), Piece::Blob(PART)));
    }
    steps.extend(broadcast(me, 0, size, Piece::Blob(RESULT)));
    steps
}

/// How many blobs the flow of `merge` has.
pub(crate) fn merge_blobs(me: usize, size: usize) -> usize {
    FIRST_CHILD + Place::new(me, 0, size).children.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algo::tests::{Blobs, play};

    fn levels(size: usize) -> usize {
        size.next_power_of_two().trailing_zeros() as usize
    }

    #[test]
    fn broadcast_reaches_everyone_once_from_any_root() {
        for size in 1..=33 {
            for root in [0, size / 2, size - 1] {
                let schedules = (0..size).map(|me| broadcast(me, root, size, Piece::Blob(0))).collect();
                let blobs = (0..size).map(|me| vec![(me == root).then(|| vec![7, 8])]).collect();
                let (blobs, messages) = play(schedules, blobs, |_, _| ());
                assert_eq!(messages, size - 1);
                assert!(blobs.iter().all(|b| b[0] == Some(vec![7, 8])), "{size} ranks from {root}");
                let most = (0..size).map(|me| Place::new(me, root, size).children.len()).max().unwrap();
                assert!(most <= levels(size), "{most} children among {size}");
            }
        }
    }

    #[test]
    fn gather_brings_everything_to_the_root() {
        for size in 1..=33 {
            for root in [0, size / 2, size - 1] {
                let schedules = (0..size).map(|me| gather(me, root, size)).collect();
                let own = |me: usize| -> Blobs { (0..size).map(|b| (b == me).then(|| vec![b as u8; b])).collect() };
                let (blobs, messages) = play(schedules, (0..size).map(own).collect(), |_, _| ());
                assert_eq!(messages, size - 1);
                let all: Blobs = (0..size).map(|b| Some(vec![b as u8; b])).collect();
                assert_eq!(blobs[root], all, "{size} ranks to {root}");
            }
        }
    }

    #[test]
    fn merge_adds_every_part_once_and_tells_everyone() {
        for size in 1..=33usize {
            let schedules = (0..size).map(|me| merge(me, size)).collect();
            let own = |me: usize| {
                let mut blobs: Blobs = vec![None; merge_blobs(me, size)];
                blobs[PART] = Some(vec![me as u8]);
                blobs
            };
            let (blobs, messages) = play(schedules, (0..size).map(own).collect(), |me, blobs| {
                let mut all: Vec<u8> = blobs.iter().flatten().flatten().copied().collect();
                all.sort_unstable();
                if me == 0 {
                    blobs[RESULT] = Some(all.clone());
                }
                blobs[PART] = Some(all);
            });
            assert_eq!(messages, 2 * (size - 1));
            let all: Vec<u8> = (0..size as u8).collect();
            assert!(blobs.iter().all(|b| b[RESULT].as_ref() == Some(&all)), "{size} ranks");
        }
    }
}
