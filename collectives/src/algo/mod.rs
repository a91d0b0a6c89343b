//! Schedules: which rank sends what to whom, in which order. Pure functions of (rank, size, sizes), without I/O, so that
//! threads, MPI and a simulator run the very same ones.
//!
//! A schedule is a list of [`Step`]s. A step's messages are all started at once; the next step begins when everything that
//! the step receives is there. Peers are places in the communicator.

pub(crate) mod binomial;
pub(crate) mod direct;
pub(crate) mod dissemination;

use std::collections::HashMap;

/// What one message carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Nothing: the arrival is the message.
    Empty,
    /// Bytes of one of the flow's buffers.
    Span { memory: usize, start: usize, len: usize },
    /// One blob, of a length that the receiver learns from the message.
    Blob(usize),
    /// Several blobs in one message, in this order.
    Blobs(Vec<usize>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    pub peer: usize,
    pub piece: Piece,
}

impl Move {
    pub(crate) fn new(peer: usize, piece: Piece) -> Move {
        Move { peer, piece }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    pub sends: Vec<Move>,
    pub recvs: Vec<Move>,
    /// When all is received, the flow's own code runs on the blobs.
    pub combine: bool,
}

impl Step {
    pub(crate) fn send(peer: usize, piece: Piece) -> Step {
        Step { sends: vec![Move::new(peer, piece)], ..Step::default() }
    }

    pub(crate) fn recv(peer: usize, piece: Piece) -> Step {
        Step { recvs: vec![Move::new(peer, piece)], ..Step::default() }
    }
}

/// Numbers the messages between two ranks of one call: the how manieth it is from one to the other, counted through the
/// whole schedule. Sender and receiver count alike, although they may do it in different steps.
#[derive(Debug, Default)]
pub(crate) struct Counter(HashMap<usize, u32>);

impl Counter {
    pub(crate) fn next(&mut self, peer: usize) -> u32 {
        let n = self.0.entry(peer).or_insert(0);
        *n += 1;
        *n - 1
    }

    /// How many there have been.
    pub(crate) fn count(&self, peer: usize) -> u32 {
        self.0.get(&peer).copied().unwrap_or(0)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::collections::HashMap;

    pub(crate) type Blobs = Vec<Option<Vec<u8>>>;

    /// Runs a schedule of every rank on blobs, step by step as messages arrive. Gives the blobs of each rank and the number
    /// of messages. Panics where it cannot go on.
    pub(crate) fn play(
        schedules: Vec<Vec<Step>>,
        mut blobs: Vec<Blobs>,
        mut combine: impl FnMut(usize, &mut Blobs),
    ) -> (Vec<Blobs>, usize) {
        let size = schedules.len();
        let mut at = vec![0; size];
        let mut wanted: Vec<Option<Vec<(usize, u32, Piece)>>> = vec![None; size];
        let mut counters: Vec<[Counter; 2]> = (0..size).map(|_| Default::default()).collect();
        let mut wires: HashMap<(usize, usize, u32), Vec<Vec<u8>>> = HashMap::new();
        let mut messages = 0;
        let list = |piece: &Piece| match piece {
            Piece::Blob(b) => vec![*b],
            Piece::Blobs(list) => list.clone(),
            _ => vec![],
        };
        while (0..size).any(|r| at[r] < schedules[r].len()) {
            let mut moved = false;
            for me in 0..size {
                let Some(step) = schedules[me].get(at[me]) else { continue };
                let expected = wanted[me].get_or_insert_with(|| {
                    for send in &step.sends {
                        let content =
                            list(&send.piece).into_iter().map(|b| blobs[me][b].clone().expect("a blob to send"));
                        let key = (me, send.peer, counters[me][0].next(send.peer));
                        assert!(wires.insert(key, content.collect()).is_none(), "two messages with one key");
                        messages += 1;
                    }
                    moved = true;
                    step.recvs.iter().map(|r| (r.peer, counters[me][1].next(r.peer), r.piece.clone())).collect()
                });
                if expected.iter().any(|&(peer, n, _)| !wires.contains_key(&(peer, me, n))) {
                    continue;
                }
                for (peer, n, piece) in wanted[me].take().unwrap() {
                    let content = wires.remove(&(peer, me, n)).unwrap();
                    let into = list(&piece);
                    assert_eq!(into.len(), content.len(), "what is sent and what is expected");
                    into.into_iter().zip(content).for_each(|(b, c)| blobs[me][b] = Some(c));
                }
                if step.combine {
                    combine(me, &mut blobs[me]);
                }
                at[me] += 1;
                moved = true;
            }
            assert!(moved, "no rank can go on: {at:?}");
        }
        assert!(wires.is_empty(), "messages that nobody received: {:?}", wires.keys());
        (blobs, messages)
    }
}
