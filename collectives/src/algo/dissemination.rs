//! All ranks tell all ranks in ⌈log₂ p⌉ rounds, for any p: Bruck, Ho, Kipnis, Upfal, Weathersby, "Efficient algorithms for
//! all-to-all communications in multiport message-passing systems" (1997). Without content it is the dissemination barrier
//! of Hensgen, Finkel, Manber (1988).
//!
//! In round j each rank sends what it has to the rank 2^j below and receives as much from the rank 2^j above.

use super::{Piece, Step};

/// Blob r is rank r's; afterwards every rank has all.
pub(crate) fn all_gather(me: usize, size: usize) -> Vec<Step> {
    rounds(me, size, |from, count| Piece::Blobs((from..from + count).map(|b| b % size).collect()))
}

/// Nobody is done before everybody has begun.
pub(crate) fn barrier(me: usize, size: usize) -> Vec<Step> {
    rounds(me, size, |_, _| Piece::Empty)
}

fn rounds(me: usize, size: usize, piece: impl Fn(usize, usize) -> Piece) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut have = 1;
    while have < size {
        let count = have.min(size - have);
        let mut step = Step::send((me + size - have) % size, piece(me, count));
        step.recvs = Step::recv((me + have) % size, piece(me + have, count)).recvs;
        steps.push(step);
        have += count;
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algo::tests::play;

    #[test]
    fn everyone_has_all_after_log_rounds() {
        for size in 1..=33usize {
            let schedules: Vec<_> = (0..size).map(|me| all_gather(me, size)).collect();
            let rounds = size.next_power_of_two().trailing_zeros() as usize;
            assert!(schedules.iter().all(|s| s.len() == rounds), "{size} ranks");
            let own = |me: usize| (0..size).map(|b| (b == me).then(|| vec![b as u8; b % 3])).collect();
            let (blobs, messages) = play(schedules, (0..size).map(own).collect(), |_, _| ());
            assert_eq!(messages, size * rounds);
            let all: Vec<_> = (0..size).map(|b| Some(vec![b as u8; b % 3])).collect();
            assert!(blobs.iter().all(|b| *b == all), "{size} ranks");
        }
    }

    #[test]
    fn a_barrier_reaches_everyone() {
        for size in 1..=33usize {
            // Who has heard, directly or not, of whom: blobs stand in for the empty messages.
            let (heard, _) =
                play((0..size).map(|me| barrier(me, size)).collect(), (0..size).map(|_| vec![]).collect(), |_, _| ());
            assert_eq!(heard.len(), size);
            let mut knows: Vec<u64> = (0..size).map(|r| 1 << r).collect();
            for round in 0..barrier(0, size).len() {
                let from: Vec<_> = (0..size).map(|me| barrier(me, size)[round].recvs[0].peer).collect();
                knows = (0..size).map(|me| knows[me] | knows[from[me]]).collect();
            }
            assert!(knows.iter().all(|&k| k == (1 << size) - 1), "{size} ranks");
        }
    }
}
