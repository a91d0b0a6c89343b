//! Schedules: which rank sends what to whom, in which order. Pure functions of (rank, size, sizes), without I/O, so that
//! threads, MPI and a simulator run the very same ones.
//!
//! A schedule is a list of [`Step`]s. A step's messages are all started at once; when everything that it receives is there, its
//! local work is done, and the next step begins. Nothing is written that a message still reads: what a step would write, by a
//! receive or by its work, waits until the sends of that memory have been taken. Peers are places in the communicator.
//!
//! Which schedule a call takes is decided by [`model`], from size and placement. Spans are counted in elements until `scaled`
//! makes them bytes.

pub(crate) mod binomial;
pub(crate) mod bruck;
pub(crate) mod chain;
pub(crate) mod direct;
pub(crate) mod dissemination;
pub(crate) mod doubling;
pub(crate) mod halving;
pub(crate) mod hosts;
pub(crate) mod model;
#[cfg(test)]
mod player;
pub(crate) mod ring;
#[cfg(test)]
mod tests;
pub(crate) mod ways;

use std::collections::HashMap;
use std::ops::Range;

/// A part of one of the flow's buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub memory: usize,
    pub start: usize,
    pub len: usize,
}

impl Part {
    pub(crate) fn of(memory: usize, range: Range<usize>) -> Part {
        Part { memory, start: range.start, len: range.len() }
    }

    pub(crate) fn overlaps(&self, other: &Part) -> bool {
        self.memory == other.memory && self.start < other.start + other.len && other.start < self.start + self.len
    }
}

/// What one message carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Nothing: the arrival is the message.
    Empty,
    /// Bytes of one of the flow's buffers.
    Span(Part),
    /// One blob, of a length that the receiver learns from the message.
    Blob(usize),
    /// Several blobs in one message: `count` of them from `first` on, counted modulo `of`.
    Run { first: usize, count: usize, of: usize },
    /// The blobs, of so many, whose numbers have this bit, in one message.
    WithBit { bit: usize, of: usize },
}

impl Piece {
    pub(crate) fn span(memory: usize, range: Range<usize>) -> Piece {
        Piece::Span(Part::of(memory, range))
    }

    /// The blobs that it carries.
    pub(crate) fn blobs(&self) -> Vec<usize> {
        match *self {
            Piece::Empty | Piece::Span(_) => vec![],
            Piece::Blob(b) => vec![b],
            Piece::Run { first, count, of } => (first..first + count).map(|b| b % of).collect(),
            Piece::WithBit { bit, of } => (0..of).filter(|b| b & bit != 0).collect(),
        }
    }
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

/// Work of one rank between messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Local {
    /// The flow's own code runs on the blobs.
    Combine,
    /// Elements of `from` are combined with those of `into`, on whose left they are, or on whose right.
    Fold {
        from: Part,
        into: Part,
        left: bool,
    },
    Copy {
        from: Part,
        into: Part,
    },
    /// The transport's own collective, of bytes, begins; the flow ends when it has. All ranks have met before.
    Native {
        call: Native,
        from: Option<Part>,
        into: Part,
    },
}

/// Collectives that a transport has itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Native {
    Broadcast { root: usize },
    AllToAll,
}

impl Native {
    /// All meet in the call, and then leave it to the transport.
    pub(crate) fn schedule(self, me: usize, size: usize, from: Option<Part>, into: Part) -> Vec<Step> {
        let mut steps = dissemination::barrier(me, size);
        steps.push(Step { then: vec![Local::Native { call: self, from, into }], ..Step::default() });
        steps
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    pub sends: Vec<Move>,
    pub recvs: Vec<Move>,
    /// When all is received.
    pub then: Vec<Local>,
}

impl Step {
    pub(crate) fn send(peer: usize, piece: Piece) -> Step {
        Step::default().and_send(peer, piece)
    }

    pub(crate) fn recv(peer: usize, piece: Piece) -> Step {
        Step::default().and_recv(peer, piece)
    }

    /// Adds a send, unless it is of no elements: then there is no message, and its receiver knows.
    pub(crate) fn and_send(mut self, peer: usize, piece: Piece) -> Step {
        if !matches!(piece, Piece::Span(Part { len: 0, .. })) {
            self.sends.push(Move::new(peer, piece));
        }
        self
    }

    /// Adds a receive, unless it is of no elements.
    pub(crate) fn and_recv(mut self, peer: usize, piece: Piece) -> Step {
        if !matches!(piece, Piece::Span(Part { len: 0, .. })) {
            self.recvs.push(Move::new(peer, piece));
        }
        self
    }

    /// Adds work, unless it is on no elements.
    pub(crate) fn and_then(mut self, work: Local) -> Step {
        if !matches!(work, Local::Fold { into, .. } | Local::Copy { into, .. } if into.len == 0) {
            self.then.push(work);
        }
        self
    }

    /// What it writes by receiving.
    pub(crate) fn receives(&self) -> impl Iterator<Item = Part> {
        self.recvs.iter().filter_map(|m| if let Piece::Span(part) = m.piece { Some(part) } else { None })
    }

    /// What it writes by its work.
    pub(crate) fn works(&self) -> impl Iterator<Item = Part> {
        self.then.iter().filter_map(|work| match work {
            Local::Combine => None,
            Local::Fold { into, .. } | Local::Copy { into, .. } | Local::Native { into, .. } => Some(*into),
        })
    }

    /// Receives elements into `room` and combines them with those of `into`.
    pub(crate) fn and_fold(self, peer: usize, room: usize, into: Part, left: bool) -> Step {
        let from = Part { memory: room, start: 0, len: into.len };
        self.and_recv(peer, Piece::Span(from)).and_then(Local::Fold { from, into, left })
    }
}

/// The schedule of a few members of a communicator as one of the communicator: `group` has their places.
pub(crate) fn within(group: &[usize], mut steps: Vec<Step>) -> Vec<Step> {
    for step in &mut steps {
        step.sends.iter_mut().chain(&mut step.recvs).for_each(|m| m.peer = group[m.peer]);
    }
    steps
}

/// The schedule with spans in bytes, for elements of `width` bytes.
pub(crate) fn scaled(mut steps: Vec<Step>, width: usize) -> Vec<Step> {
    let scale = |part: &mut Part| {
        part.start *= width;
        part.len *= width;
    };
    for step in &mut steps {
        for m in step.sends.iter_mut().chain(&mut step.recvs) {
            if let Piece::Span(part) = &mut m.piece {
                scale(part);
            }
        }
        for work in &mut step.then {
            match work {
                Local::Combine => {}
                Local::Fold { from, into, .. } | Local::Copy { from, into } => [from, into].into_iter().for_each(scale),
                Local::Native { from, into, .. } => from.iter_mut().chain([into]).for_each(scale),
            }
        }
    }
    steps
}

/// Slice r of `len` elements among `size` ranks: contiguous, equal but for one element.
pub(crate) fn slices(len: usize, size: usize) -> impl Fn(usize) -> Range<usize> + Clone {
    let cut = move |r: usize| (len as u128 * r as u128 / size as u128) as usize;
    move |r| cut(r)..cut(r + 1)
}

/// ⌈log₂ n⌉.
pub(crate) fn levels(n: usize) -> usize {
    n.next_power_of_two().trailing_zeros() as usize
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
