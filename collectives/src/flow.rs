//! One collective under way on one rank: a schedule, the memory it moves, and how far it has come.
//!
//! A flow is advanced by whoever waits or polls on its rank; it never blocks. Invariant: from its start until it is `done`
//! or withdrawn, a transport may use its memory, so a flow with lent memory is only ever made where a frame makes sure of
//! one or the other (`borrow.rs`). Flows with owned memory may be forgotten: the rank's table keeps them until they land.

use crate::algo::{Counter, Local, Move, Part, Piece, Step};
use crate::failure::Abort;
use crate::rank::Rank;
#[cfg(feature = "mpi")]
use crate::transport::Landed;
use crate::transport::memory::{self, Memory, Span};
use crate::transport::{Call, Key, Payload, Pulled, Ticket, Want};
use serde::{Deserialize, Serialize};
use std::rc::Rc;

pub(crate) type Blobs = Vec<Option<Vec<u8>>>;
/// The flow's own code between two steps.
pub(crate) type Combine = Box<dyn FnMut(&mut Blobs)>;
/// Combines elements (the first) with others, on whose left they are or on whose right, in the place of the others.
pub(crate) type Fold = Box<dyn FnMut(Span, Span, bool)>;

pub(crate) struct Flow {
    pub call: Call,
    members: Rc<[u32]>,
    steps: Vec<Step>,
    at: usize,
    begun: bool,
    broken: bool,
    pub memory: Vec<Memory>,
    pub blobs: Blobs,
    combine: Option<Combine>,
    fold: Option<Fold>,
    waiting: Vec<Awaited>,
    sending: Vec<Sending>,
    counters: [Counter; 2],
}

/// The transport's own collective, which waits for no one rank.
const NATIVE: u32 = u32::MAX;

struct Sending {
    ticket: Ticket,
    to: u32,
    tag: u32,
    part: Option<Part>,
}

/// What a flow waits for, of one other rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Due {
    /// That it sends us its message of this number.
    Send(u32),
    /// That it receives ours of this number.
    Receive(u32),
    /// That it takes part in the call and answers.
    Answer,
    /// On a board: that it posts this step.
    Post(u64),
    /// On a board: that it is through with this step.
    Read(u64),
    /// In mailboxes of this number: that it has sent this round.
    Mail(u64, u64),
}

struct Awaited {
    key: Key,
    piece: Piece,
    #[cfg(feature = "mpi")]
    coming: Option<u64>,
}

impl Awaited {
    /// It is on its way into its place.
    fn coming(&self) -> bool {
        #[cfg(feature = "mpi")]
        return self.coming.is_some();
        #[cfg(not(feature = "mpi"))]
        false
    }
}

/// More messages than this are not asked for one by one: those that are there are looked at.
const FEW: usize = 8;

/// What a flow is made of, besides its call.
#[derive(Default)]
pub(crate) struct Cargo {
    pub steps: Vec<Step>,
    pub memory: Vec<Memory>,
    pub blobs: Blobs,
    pub combine: Option<Combine>,
    pub fold: Option<Fold>,
}

impl Flow {
    pub(crate) fn new(call: Call, members: Rc<[u32]>, cargo: Cargo) -> Flow {
        let Cargo { steps, memory, blobs, combine, fold } = cargo;
        Flow {
            call,
            members,
            steps,
            at: 0,
            begun: false,
            broken: false,
            memory,
            blobs,
            combine,
            fold,
            waiting: Vec::new(),
            sending: Vec::new(),
            counters: Default::default(),
        }
    }

    /// Everything has been received, and nobody needs our memory any more.
    pub(crate) fn done(&self) -> bool {
        self.at == self.steps.len() && self.sending.is_empty()
    }

    /// What the flow's end waits for, and of which rank of the job: the messages of its step, and the receivers of its own.
    pub(crate) fn dues(&self) -> impl Iterator<Item = (u32, Due)> {
        let messages = self.waiting.iter().map(|w| (w.key.from, Due::Send(w.key.tag)));
        messages.chain(self.sending.iter().filter(|s| s.tag != NATIVE).map(|s| (s.to, Due::Receive(s.tag))))
    }

    /// What its next step waits for: the messages of this one; if they are there, the receivers of what is to be written.
    pub(crate) fn step_dues(&self) -> Vec<(u32, Due)> {
        if !self.waiting.is_empty() {
            return self.waiting.iter().map(|w| (w.key.from, Due::Send(w.key.tag))).collect();
        }
        let Some(step) = self.steps.get(self.at) else { return vec![] };
        let written: Vec<Part> = if self.begun { step.works().collect() } else { step.receives().collect() };
        let blocks = |s: &&Sending| s.part.is_some_and(|sent| written.iter().any(|part| part.overlaps(&sent)));
        self.sending.iter().filter(blocks).map(|s| (s.to, Due::Receive(s.tag))).collect()
    }

    /// Whether this rank has done its part in what `rank` of the job waits for in this call.
    pub(crate) fn has_done(&self, rank: u32, due: Due) -> bool {
        let place = self.members.iter().position(|&m| m == rank).expect("a member of the call");
        match due {
            Due::Send(n) => self.counters[0].count(place) > n,
            Due::Receive(n) => self.counters[1].count(place) > n,
            Due::Answer | Due::Post(_) | Due::Read(_) | Due::Mail(..) => unreachable!("a flow sends and receives"),
        }
    }

    /// Goes as far as it can without waiting.
    pub(crate) fn advance(&mut self, rank: &Rank) {
        self.sending.retain(|sending| !rank.transport.sent(&sending.ticket));
        while self.at < self.steps.len() && !self.broken {
            if !self.begun {
                if self.in_use(self.steps[self.at].receives()) {
                    break;
                }
                self.begin_step(rank);
            }
            self.receive(rank);
            if !self.waiting.is_empty() || self.in_use(self.steps[self.at].works()) {
                break;
            }
            // An operation of the program's that panics here leaves the flow half done, in whatever call the rank is.
            let guard = Broken(rank);
            self.broken = true;
            self.work(rank);
            self.broken = false;
            std::mem::forget(guard);
            self.at += 1;
            self.begun = false;
        }
        self.sending.retain(|sending| !rank.transport.sent(&sending.ticket));
    }

    /// Whether a message of ours still reads one of these.
    fn in_use(&self, mut parts: impl Iterator<Item = Part>) -> bool {
        !self.sending.is_empty()
            && parts.any(|part| self.sending.iter().any(|s| s.part.is_some_and(|sent| sent.overlaps(&part))))
    }

    /// The work of this step.
    fn work(&mut self, rank: &Rank) {
        for work in std::mem::take(&mut self.steps[self.at].then) {
            match work {
                Local::Combine => self.combine.as_mut().expect("code for what has come")(&mut self.blobs),
                Local::Fold { from, into, left } => {
                    let [from, into] = [from, into].map(|part| self.span(part));
                    self.fold.as_mut().expect("an operation")(from, into, left);
                }
                Local::Copy { from, into } => {
                    let [from, into] = [from, into].map(|part| self.span(part));
                    memory::copy(from, into);
                }
                Local::Native { call, from, into } => {
                    let (span, from) = (self.span(into), from.map(|part| self.span(part)));
                    let ticket = rank.transport.native(call, from, span);
                    self.sending.push(Sending { ticket, to: rank.me, tag: NATIVE, part: Some(into) });
                }
            }
        }
    }

    fn span(&mut self, part: Part) -> Span {
        self.memory[part.memory].span().part(part.start, part.len)
    }

    fn begin_step(&mut self, rank: &Rank) {
        self.begun = true;
        let step = &mut self.steps[self.at];
        let (sends, recvs) = (std::mem::take(&mut step.sends), std::mem::take(&mut step.recvs));
        for Move { peer, piece } in sends {
            rank.delays.now();
            let payload = self.pack(&piece);
            let (to, tag) = (self.members[peer], self.counters[0].next(peer));
            rank.count_sent(match &payload {
                Payload::Owned(bytes) => bytes.len(),
                Payload::Lent(span) => span.len(),
            });
            let ticket = rank.transport.post(rank.me, to, tag, &self.call, payload);
            let part = if let Piece::Span(part) = piece { Some(part) } else { None };
            self.sending.extend(ticket.map(|ticket| Sending { ticket, to, tag, part }));
        }
        for Move { peer, piece } in recvs {
            if let (Piece::Span(part), true) = (&piece, rank.level.is_full()) {
                self.memory[part.memory].poison(part.start..part.start + part.len);
            }
            let (comm, seq) = (self.call.comm, self.call.seq);
            let key = Key { comm, seq, tag: self.counters[1].next(peer), from: self.members[peer] };
            self.waiting.push(Awaited {
                key,
                piece,
                #[cfg(feature = "mpi")]
                coming: None,
            });
        }
    }

    fn receive(&mut self, rank: &Rank) {
        if self.waiting.len() > FEW {
            for key in rank.transport.arrived(rank.me, self.call.comm, self.call.seq) {
                if let Some(i) = self.waiting.iter().position(|w| w.key == key)
                    && self.receive_one(rank, i)
                {
                    self.waiting.swap_remove(i);
                }
            }
            return self.receive_those(rank, Awaited::coming);
        }
        self.receive_those(rank, |_| true);
    }

    fn receive_those(&mut self, rank: &Rank, which: impl Fn(&Awaited) -> bool) {
        let mut i = 0;
        while i < self.waiting.len() {
            if which(&self.waiting[i]) && self.receive_one(rank, i) {
                self.waiting.swap_remove(i);
            } else {
                i += 1;
            }
        }
    }

    fn receive_one(&mut self, rank: &Rank, i: usize) -> bool {
        rank.delays.seldom();
        #[cfg(feature = "mpi")]
        if let Some(id) = self.waiting[i].coming {
            match rank.transport.landed(id) {
                Landed::NotYet => return false,
                Landed::InPlace => {}
                Landed::Bytes(bytes) => self.unpack(i, bytes),
            }
            return true;
        }
        let Awaited { key, piece, .. } = &self.waiting[i];
        let want = match *piece {
            Piece::Span(part) => Want::Into(self.memory[part.memory].span().part(part.start, part.len)),
            _ => Want::Any,
        };
        match rank.transport.pull(rank.me, key, want, &self.call) {
            Pulled::NotYet => false,
            Pulled::Landed => true,
            Pulled::Bytes(bytes) => {
                self.unpack(i, bytes);
                true
            }
            #[cfg(feature = "mpi")]
            Pulled::Coming(id) => {
                self.waiting[i].coming = Some(id);
                false
            }
        }
    }

    fn unpack(&mut self, i: usize, bytes: Vec<u8>) {
        match &self.waiting[i].piece {
            Piece::Empty => assert!(bytes.is_empty(), "{} bytes where none were due", bytes.len()),
            Piece::Blob(b) => self.blobs[*b] = Some(bytes),
            piece @ (Piece::Run { .. } | Piece::WithBit { .. }) => unframe(&bytes, &piece.blobs(), &mut self.blobs),
            Piece::Span(_) => unreachable!("spans are received in place"),
        }
    }

    fn pack(&mut self, piece: &Piece) -> Payload {
        let blob = |b: usize| self.blobs[b].as_deref().expect("a schedule sends blobs that are there");
        match piece {
            Piece::Empty => Payload::Owned(Vec::new()),
            Piece::Blob(b) => Payload::Owned(blob(*b).to_vec()),
            Piece::Run { .. } | Piece::WithBit { .. } => Payload::Owned(frame(piece.blobs().iter().map(|&b| blob(b)))),
            Piece::Span(part) => Payload::Lent(self.span(*part)),
        }
    }

    /// Ends all use of the flow's memory by others, landed or not. If a peer will miss something, the job ends too.
    pub(crate) fn withdraw(&mut self, rank: &Rank, why: impl Fn() -> Abort) {
        for sending in std::mem::take(&mut self.sending) {
            rank.transport.withdraw(&sending.ticket, &why);
        }
        #[cfg(feature = "mpi")]
        if self.waiting.iter().any(|w| w.coming.is_some()) {
            rank.transport.abort(why()); // a receive that MPI has begun cannot be taken back
        }
        if !self.done() && !rank.transport.aborted() {
            rank.transport.abort(why()); // peers may count on what this rank has not sent yet
        }
        self.waiting.clear();
        self.at = self.steps.len();
    }
}

/// Ends the job: a flow has been left in the middle of its work.
struct Broken<'r>(&'r Rank);

impl Drop for Broken<'_> {
    fn drop(&mut self) {
        self.0.transport.abort(self.0.own_abort("left a collective under way"));
    }
}

/// Several blobs in one message: each length (8 bytes), then all bytes.
fn frame<'b>(blobs: impl Iterator<Item = &'b [u8]> + Clone) -> Vec<u8> {
    let mut bytes: Vec<u8> = blobs.clone().flat_map(|b| (b.len() as u64).to_le_bytes()).collect();
    blobs.for_each(|b| bytes.extend_from_slice(b));
    bytes
}

fn unframe(bytes: &[u8], list: &[usize], blobs: &mut Blobs) {
    let (lengths, mut rest) = bytes.split_at_checked(8 * list.len()).expect("a frame begins with its lengths");
    for (length, &b) in lengths.as_chunks::<8>().0.iter().zip(list) {
        let length = usize::try_from(u64::from_le_bytes(*length)).expect("a length in memory");
        let (blob, after) = rest.split_at_checked(length).expect("a frame has all its bytes");
        blobs[b] = Some(blob.to_vec());
        rest = after;
    }
    assert!(rest.is_empty(), "{} bytes behind a frame", rest.len());
}
