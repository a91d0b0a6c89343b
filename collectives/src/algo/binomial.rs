//! Binomial trees: ⌈log₂ p⌉ levels, p − 1 messages (see Thakur, Rabenseifner, Gropp, "Optimization of collective
//! communication operations in MPICH", 2005). Ranks are counted from the root: rank v's parent is v without its lowest
//! set bit, and its subtree are the ranks from v below v + that bit.

use super::{Local, Move, Part, Piece, Step, slices};

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
        Piece::Run { first: self.real(v), count, of: self.size }
    }

    /// How many ranks are in the own subtree.
    fn count(&self) -> usize {
        1 + self.children.iter().map(|c| c.1).sum::<usize>()
    }
}

/// The root's piece to everyone.
pub(crate) fn broadcast(me: usize, root: usize, size: usize, piece: Piece) -> Vec<Step> {
    let place = Place::new(me, root, size);
    let mut steps: Vec<Step> = place.parent.map(|p| Step::recv(place.real(p), piece.clone())).into_iter().collect();
    if !place.children.is_empty() {
        let send = |step: Step, &(c, _): &(usize, usize)| step.and_send(place.real(c), piece.clone());
        steps.push(place.children.iter().fold(Step::default(), send));
    }
    steps
}

/// Blob r of every rank r to the root.
pub(crate) fn gather(me: usize, root: usize, size: usize) -> Vec<Step> {
    let place = Place::new(me, root, size);
    let recvs = place.children.iter().map(|&(c, n)| Move::new(place.real(c), place.subtree(c, n))).collect();
    let mut steps = vec![Step { recvs, ..Step::default() }];
    if let Some(parent) = place.parent {
        steps.push(Step::send(place.real(parent), place.subtree(place.virtual_rank, place.count())));
    }
    steps
}

/// Blob r of the root to every rank r.
pub(crate) fn scatter(me: usize, root: usize, size: usize) -> Vec<Step> {
    let place = Place::new(me, root, size);
    let own = place.subtree(place.virtual_rank, place.count());
    let mut steps: Vec<Step> = place.parent.map(|p| Step::recv(place.real(p), own)).into_iter().collect();
    let sends = place.children.iter().map(|&(c, n)| Move::new(place.real(c), place.subtree(c, n))).collect();
    steps.push(Step { sends, ..Step::default() });
    steps
}

/// Buffer 0 of all ranks combined in the root's. Buffer 1 is room for one. Subtrees are neighbouring runs of ranks, counted
/// from the root: from rank 0 the order of ranks is kept, although not the brackets. The others' buffers are half done.
pub(crate) fn reduce(me: usize, root: usize, size: usize, len: usize) -> Vec<Step> {
    let place = Place::new(me, root, size);
    let whole = Part::of(0, 0..len);
    let child = |&(c, _): &(usize, usize)| Step::default().and_fold(place.real(c), 1, whole, false);
    let mut steps: Vec<Step> = place.children.iter().rev().map(child).collect(); // the nearest is the smallest
    steps.extend(place.parent.map(|parent| Step::send(place.real(parent), Piece::Span(whole))));
    steps
}

/// The root's buffer 0 to everyone: slices down the tree, then around the ring (Barnett, Gupta, Payne, Shuler, van de Geijn,
/// Watts, "Interprocessor collective communication library", 1994). Each rank sends about twice its vector at most.
pub(crate) fn scatter_gather(me: usize, root: usize, size: usize, len: usize) -> Vec<Step> {
    let place = Place::new(me, root, size);
    let slice = slices(len, size);
    let run = |v: usize, count: usize| Piece::span(0, slice(v).start..slice(v + count - 1).end);
    let v = place.virtual_rank;
    let mut steps = vec![];
    if let Some(parent) = place.parent {
        steps.push(Step::recv(place.real(parent), run(v, place.count())));
    }
    steps.push(place.children.iter().fold(Step::default(), |step, &(c, n)| step.and_send(place.real(c), run(c, n))));
    let ring: Vec<usize> = (0..size).map(|v| place.real(v)).collect();
    steps.extend(super::within(&ring, super::ring::all_gather(v, size, 0, slice)));
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
    let mut steps = vec![Step {
        recvs: place.children.iter().enumerate().map(child).collect(),
        then: vec![Local::Combine],
        ..Step::default()
    }];
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
