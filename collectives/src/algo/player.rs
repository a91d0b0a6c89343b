//! Plays a schedule of all ranks under virtual time, for tests: what comes out, how many messages and bytes, and how long the
//! longest chain of messages takes in the LogGP model (Alexandrov, Ionescu, Schauser, Scheiman 1995).
//!
//! A rank goes on as a flow does (`flow.rs`). By seed, messages are late, and overtake each other; and they are copied when
//! they are sent, or only when they are taken.

use super::{Counter, Local, Part, Piece, Step};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// Times in ns.
#[derive(Clone, Copy)]
pub(crate) struct LogGp {
    pub latency: u64,
    pub overhead: u64,
    pub gap: u64,
    pub ns_a_byte: u64,
    /// A message is late by less than this, by seed.
    pub late: u64,
}

/// A rank sends one message a unit of time, whatever it carries: the time is then the number of rounds.
pub(crate) const ROUNDS: LogGp = LogGp { latency: 0, overhead: 0, gap: 1, ns_a_byte: 0, late: 0 };

/// One rank: its schedule, and what it works on.
#[derive(Default)]
pub(crate) struct Player {
    pub steps: Vec<Step>,
    pub memory: Vec<Vec<u64>>,
    pub blobs: Vec<Option<Vec<u8>>>,
    at: usize,
    begun: bool,
    clock: u64,
    waiting: Vec<(usize, u32, Piece)>,
    sending: Vec<(usize, u32, Part)>,
    counters: [Counter; 2],
    inbox: HashMap<(usize, u32), (u64, Content)>,
}

enum Content {
    Lent(Part),
    Copied(Vec<u64>),
    Blobs(Vec<Vec<u8>>),
}

impl Player {
    pub(crate) fn new(steps: Vec<Step>, memory: Vec<Vec<u64>>) -> Player {
        Player { steps, memory, ..Player::default() }
    }

    pub(crate) fn of_blobs(steps: Vec<Step>, blobs: Vec<Option<Vec<u8>>>) -> Player {
        Player { steps, blobs, ..Player::default() }
    }

    /// It begins at this time.
    pub(crate) fn from(mut self, time: u64) -> Player {
        self.clock = time;
        self
    }

    /// When it was done.
    pub(crate) fn ends(&self) -> u64 {
        self.clock
    }

    fn in_use(&self, parts: impl Iterator<Item = Part>) -> bool {
        parts.into_iter().any(|part| self.sending.iter().any(|(_, _, sent)| sent.overlaps(&part)))
    }
}

/// How a play has gone.
pub(crate) struct Played {
    pub ranks: Vec<Player>,
    pub messages: usize,
    pub bytes: usize,
    /// When the last rank was done.
    pub time: u64,
}

/// A flow's own code on one rank's blobs.
type Combine = dyn Fn(usize, &mut Vec<Option<Vec<u8>>>);

struct Play<'p> {
    ranks: Vec<Player>,
    model: LogGp,
    seed: u64,
    events: BinaryHeap<Reverse<(u64, u64, usize)>>,
    fold: &'p dyn Fn(u64, u64) -> u64,
    combine: &'p Combine,
    messages: usize,
    bytes: usize,
}

/// Plays to the end.
///
/// # Panics
/// If nobody can go on, or messages are left over.
pub(crate) fn play(
    ranks: Vec<Player>,
    model: LogGp,
    seed: u64,
    fold: &dyn Fn(u64, u64) -> u64,
    combine: &Combine,
) -> Played {
    let events = ranks.iter().enumerate().map(|(me, rank)| Reverse((rank.clock, 0, me))).collect();
    let mut play = Play { ranks, model, seed, events, fold, combine, messages: 0, bytes: 0 };
    while let Some(Reverse((time, _, me))) = play.events.pop() {
        let clock = &mut play.ranks[me].clock;
        *clock = time.max(*clock);
        play.advance(me);
    }
    for (me, rank) in play.ranks.iter().enumerate() {
        let (at, of) = (rank.at, rank.steps.len());
        assert!(at == of && rank.sending.is_empty(), "rank {me} cannot go on in step {at} of {of}: {:?}", rank.waiting);
        assert!(rank.inbox.is_empty(), "messages that rank {me} did not expect: {:?}", rank.inbox.keys());
    }
    let time = play.ranks.iter().map(|r| r.clock).max().unwrap_or(0);
    Played { messages: play.messages, bytes: play.bytes, time, ranks: play.ranks }
}

impl Play<'_> {
    fn dice(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.seed ^ self.seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x ^ x >> 29
    }

    fn wake(&mut self, time: u64, rank: usize) {
        let tie = if self.model.late > 0 { self.dice() } else { 0 };
        self.events.push(Reverse((time, tie, rank)));
    }

    fn advance(&mut self, me: usize) {
        while let Some(step) = self.ranks[me].steps.get(self.ranks[me].at).cloned() {
            if !self.ranks[me].begun {
                if self.ranks[me].in_use(step.receives()) {
                    return;
                }
                self.begin(me, &step);
            }
            self.take(me);
            let rank = &mut self.ranks[me];
            if !rank.waiting.is_empty() || rank.in_use(step.works()) {
                return;
            }
            for work in &step.then {
                match *work {
                    Local::Combine => (self.combine)(me, &mut rank.blobs),
                    Local::Native { .. } => unreachable!("nothing here has collectives of its own"),
                    Local::Copy { from, into } => {
                        let values = rank.memory[from.memory][from.start..from.start + from.len].to_vec();
                        rank.memory[into.memory][into.start..into.start + into.len].copy_from_slice(&values);
                    }
                    Local::Fold { from, into, left } => {
                        for i in 0..into.len {
                            let theirs = rank.memory[from.memory][from.start + i];
                            let mine = &mut rank.memory[into.memory][into.start + i];
                            *mine = if left { (self.fold)(theirs, *mine) } else { (self.fold)(*mine, theirs) };
                        }
                    }
                }
            }
            rank.at += 1;
            rank.begun = false;
        }
    }

    fn begin(&mut self, me: usize, step: &Step) {
        self.ranks[me].begun = true;
        for send in &step.sends {
            let copies = self.dice().is_multiple_of(2);
            let late = if self.model.late > 0 { self.dice() % self.model.late } else { 0 };
            let rank = &mut self.ranks[me];
            let number = rank.counters[0].next(send.peer);
            let (content, bytes) = match &send.piece {
                Piece::Span(part) => {
                    let bytes = 8 * part.len;
                    if copies {
                        let values = rank.memory[part.memory][part.start..part.start + part.len].to_vec();
                        (Content::Copied(values), bytes)
                    } else {
                        rank.sending.push((send.peer, number, *part));
                        (Content::Lent(*part), bytes)
                    }
                }
                piece => {
                    let blob = |b: usize| rank.blobs[b].clone().expect("a blob to send");
                    let blobs: Vec<Vec<u8>> = piece.blobs().into_iter().map(blob).collect();
                    let bytes = blobs.iter().map(Vec::len).sum();
                    (Content::Blobs(blobs), bytes)
                }
            };
            let LogGp { latency, overhead, gap, ns_a_byte, .. } = self.model;
            rank.clock += overhead.max(gap);
            let arrival = rank.clock + latency + overhead + (bytes as u64).saturating_sub(1) * ns_a_byte + late;
            let before = self.ranks[send.peer].inbox.insert((me, number), (arrival, content));
            assert!(before.is_none(), "two messages with one key");
            self.messages += 1;
            self.bytes += bytes;
            self.wake(arrival, send.peer);
        }
        let rank = &mut self.ranks[me];
        for recv in &step.recvs {
            let number = rank.counters[1].next(recv.peer);
            rank.waiting.push((recv.peer, number, recv.piece.clone()));
        }
    }

    /// Takes what has come.
    fn take(&mut self, me: usize) {
        let clock = self.ranks[me].clock;
        let mut i = 0;
        while let Some((peer, number, piece)) = self.ranks[me].waiting.get(i).cloned() {
            let key = (peer, number);
            if self.ranks[me].inbox.get(&key).is_none_or(|message| message.0 > clock) {
                i += 1;
                continue;
            }
            let (_, content) = self.ranks[me].inbox.remove(&key).expect("it is there");
            match (content, &piece) {
                (Content::Blobs(blobs), piece) => {
                    let list = piece.blobs();
                    assert_eq!(list.len(), blobs.len(), "what is sent and what is expected");
                    list.into_iter().zip(blobs).for_each(|(b, blob)| self.ranks[me].blobs[b] = Some(blob));
                }
                (Content::Copied(values), Piece::Span(into)) => self.land(me, into, &values),
                (Content::Lent(from), Piece::Span(into)) => {
                    let values = self.ranks[peer].memory[from.memory][from.start..from.start + from.len].to_vec();
                    self.land(me, into, &values);
                    self.ranks[peer].sending.retain(|(to, n, _)| (*to, *n) != (me, number));
                    self.wake(clock, peer);
                }
                _ => panic!("a span that is no span"),
            }
            self.ranks[me].waiting.remove(i);
        }
    }

    fn land(&mut self, me: usize, into: &Part, values: &[u64]) {
        self.ranks[me].memory[into.memory][into.start..into.start + into.len].copy_from_slice(values);
    }
}
