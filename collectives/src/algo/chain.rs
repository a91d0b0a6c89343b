//! Pipelines: a vector goes in segments along a chain of ranks, or down a binary tree, so that all links work at once. With
//! enough segments the time is that of sending the vector once (chain, up or down) or twice (tree), plus a segment a rank on
//! the way (see Chan, Heimlich, Purkayastha, van de Geijn, "Collective communication: theory, practice, and experience", 2007).

use super::{Part, Piece, Step, slices};

/// The root's buffer 0 to everyone, in segments along the ranks from the root on.
pub(crate) fn broadcast(me: usize, root: usize, size: usize, len: usize, segments: usize) -> Vec<Step> {
    let v = (me + size - root) % size;
    let above = (v > 0).then(|| (me + size - 1) % size);
    let below = if v + 1 < size { vec![(me + 1) % size] } else { vec![] };
    passed_on(above, &below, len, segments)
}

/// The root's buffer 0 to everyone, in segments down a binary tree.
pub(crate) fn tree(me: usize, root: usize, size: usize, len: usize, segments: usize) -> Vec<Step> {
    let real = |v: usize| (v + root) % size;
    let v = (me + size - root) % size;
    let below: Vec<usize> = [2 * v + 1, 2 * v + 2].into_iter().filter(|&c| c < size).map(real).collect();
    passed_on((v > 0).then(|| real((v - 1) / 2)), &below, len, segments)
}

/// While a segment comes from above, the one before goes down.
fn passed_on(above: Option<usize>, below: &[usize], len: usize, segments: usize) -> Vec<Step> {
    let slice = slices(len, segments);
    let piece = |s: usize| Piece::span(0, slice(s));
    let step = |s: usize| {
        let mut step = Step::default();
        if s > 0 {
            step = below.iter().fold(step, |step, &child| step.and_send(child, piece(s - 1)));
        }
        match above {
            Some(parent) if s < segments => step.and_recv(parent, piece(s)),
            _ => step,
        }
    };
    (0..=segments).map(step).collect()
}

/// Buffer 0 of all ranks combined from rank 0 upwards, one after the other, and the result passed down again, both at the same
/// time: in the order of ranks, with its brackets. Buffer 1 is room for a segment.
pub(crate) fn all_reduce(me: usize, size: usize, len: usize, segments: usize) -> Vec<Step> {
    let slice = slices(len, segments);
    let last = size - 1;
    // The beat at which segment 0 is complete here on its way up, and on its way down; the others follow one by one.
    let (up, down) = (me, 2 * last - me);
    let mut steps = Vec::new();
    for beat in 0..=2 * last + segments {
        let segment = |from: usize| beat.checked_sub(from).filter(|&s| s < segments).map(&slice);
        let mut step = Step::default();
        if let (Some(done), true) = (segment(up + 1), me < last) {
            step = step.and_send(me + 1, Piece::span(0, done));
        }
        if let (Some(done), true) = (segment(down + 1), me > 0) {
            step = step.and_send(me - 1, Piece::span(0, done));
        }
        if let (Some(result), true) = (segment(down), me < last) {
            step = step.and_recv(me + 1, Piece::span(0, result));
        }
        if let (Some(part), true) = (segment(up), me > 0) {
            step = step.and_fold(me - 1, 1, Part::of(0, part), true);
        }
        if step != Step::default() {
            steps.push(step);
        }
    }
    steps
}
