//! From the name of an algorithm to its schedule. Spans are in elements; `len` is the length of a rank's vector.

use super::model::{Algorithm, Case, between, long_between, segments};
use super::{Native, Part, Step, binomial, chain, direct, dissemination, doubling, halving, ring};
use std::ops::Range;

fn not_for(what: &str, how: Algorithm) -> ! {
    unreachable!("{how} is no way to do a {what}")
}

pub(crate) fn barrier(how: Algorithm, case: &Case, me: usize) -> Vec<Step> {
    match how {
        Algorithm::Dissemination => dissemination::barrier(me, case.size),
        Algorithm::Hosts => case.hosts.barrier(me),
        _ => not_for("barrier", how),
    }
}

/// The root's buffer 0 to everyone's.
pub(crate) fn broadcast(how: Algorithm, case: &Case, me: usize, root: usize, len: usize) -> Vec<Step> {
    let size = case.size;
    match how {
        Algorithm::Binomial => binomial::broadcast(me, root, size, super::Piece::span(0, 0..len)),
        Algorithm::ScatterGather => binomial::scatter_gather(me, root, size, len),
        Algorithm::Tree => chain::tree(me, root, size, len, segments(case)),
        Algorithm::Chain => chain::broadcast(me, root, size, len, segments(case)),
        Algorithm::Hosts => case.hosts.broadcast(me, root, len, between(case)),
        Algorithm::Native => Native::Broadcast { root }.schedule(me, size, None, Part::of(0, 0..len)),
        _ => not_for("broadcast", how),
    }
}

/// Blob r of each rank r to the root.
pub(crate) fn gather(how: Algorithm, case: &Case, me: usize, root: usize) -> Vec<Step> {
    match how {
        Algorithm::Direct => direct::with_root(me, root, case.size, true),
        Algorithm::Binomial => binomial::gather(me, root, case.size),
        _ => not_for("gather", how),
    }
}

/// Blob r of the root to each rank r.
pub(crate) fn scatter(how: Algorithm, case: &Case, me: usize, root: usize) -> Vec<Step> {
    match how {
        Algorithm::Direct => direct::with_root(me, root, case.size, false),
        Algorithm::Binomial => binomial::scatter(me, root, case.size),
        _ => not_for("scatter", how),
    }
}

/// Everyone's part of buffer 0 to everyone; `place(q)` is rank q's, one behind the other.
pub(crate) fn all_gather(
    how: Algorithm,
    case: &Case,
    me: usize,
    place: impl Fn(usize) -> Range<usize> + Copy,
) -> Vec<Step> {
    let size = case.size;
    match how {
        Algorithm::Direct => direct::all_gather(me, size, place),
        Algorithm::Dissemination => dissemination::all_gather_parts(me, size, 0, place),
        Algorithm::Doubling => doubling::all_gather(me, size, 0, place),
        Algorithm::Ring => ring::all_gather(me, size, 0, place),
        Algorithm::Hosts => case.hosts.all_gather(me, 0, place),
        _ => not_for("all_gather", how),
    }
}

/// Everyone's buffer 0 combined in everyone's. Gives the length of buffer 1, too.
pub(crate) fn all_reduce(how: Algorithm, case: &Case, me: usize, len: usize) -> (Vec<Step>, usize) {
    let size = case.size;
    match how {
        Algorithm::Slices => (direct::all_reduce(me, size, len), super::slices(len, size)(me).len() * size),
        Algorithm::Chain => (chain::all_reduce(me, size, len, segments(case)), len),
        Algorithm::Doubling => (doubling::all_reduce(me, size, len), len),
        Algorithm::Halving => (halving::all_reduce(me, size, len), len),
        Algorithm::Ring => (ring::all_reduce(me, size, len), len.div_ceil(size)),
        Algorithm::Hosts => (case.hosts.all_reduce(me, len, long_between(case)), len),
        _ => not_for("all_reduce", how),
    }
}

/// Everyone's buffer 0 combined in the root's. Gives the length of buffer 1, too.
pub(crate) fn reduce(how: Algorithm, case: &Case, me: usize, root: usize, len: usize) -> (Vec<Step>, usize) {
    let size = case.size;
    match how {
        Algorithm::Slices => (direct::reduce(me, root, size, len), super::slices(len, size)(me).len() * size),
        Algorithm::Binomial => (binomial::reduce(me, root, size, len), len),
        _ => not_for("reduce", how),
    }
}
