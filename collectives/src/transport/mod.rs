//! Messages between ranks, over one of a few transports: threads of this process, MPI, or a simulator.
//!
//! A transport moves *messages* from one rank to another, in no promised order, each found by its [`Key`]. It knows nothing
//! of collectives: those are schedules of messages (`algo`) driven by `flow`. What it does promise:
//!
//! - a message is copied once, from the sender's memory to the receiver's, where it is long enough to matter;
//! - fingerprints are compared before a message is believed, and a mismatch names both calls; type, shape and length of a
//!   message at every level of checking;
//! - every wait ends: something moved, or the job's sticky abort flag is up. Under MPI an abort ends the processes at once,
//!   because a started transfer cannot be unwound over.

pub(crate) mod board;
mod loan;
pub(crate) mod mailbox;
mod meetings;
pub(crate) mod memory;
#[cfg(all(test, loom))]
mod models;
#[cfg(feature = "mpi")]
pub(crate) mod mpi;
#[cfg(feature = "mpi")]
mod mpi_board;
#[cfg(feature = "mpi")]
mod mpi_calls;
#[cfg(feature = "mpi")]
mod mpi_ledger;
#[cfg(feature = "mpi")]
mod mpi_native;
#[cfg(feature = "mpi")]
pub(crate) mod mpi_raw;
#[cfg(feature = "mpi")]
mod mpi_watch;
mod roll_call;
#[cfg(feature = "mpi")]
mod shared;
pub(crate) mod simulator;
mod sync;
pub(crate) mod threads;

use crate::algo::Native;
use crate::algo::model::Schedules;
use crate::check::Print;
use crate::failure::{Abort, Cause, host};
use crate::level::Level;
use board::{Board, Nap};
use mailbox::{Offer, Region};
use memory::Span;
use std::sync::Arc;
use std::time::Duration;

/// What a message is for: the communicator, its call, the place in that call's schedule, and the sender (a rank of the
/// job). No two messages to one rank have the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub comm: u64,
    pub seq: u64,
    pub tag: u32,
    pub from: u32,
}

impl Key {
    fn is_of(&self, comm: u64, seq: u64) -> bool {
        (self.comm, self.seq) == (comm, seq)
    }

    /// Whether it is a message of this call that nobody was told to expect.
    fn is_unasked(&self, comm: u64, seq: u64) -> bool {
        self.is_of(comm, seq) && self.tag.is_multiple_of(2)
    }
}

/// One collective call of this rank: which communicator, its how manieth call, and what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub comm: u64,
    pub seq: u64,
    pub print: Print,
    /// All calls of the communicator up to and including this one.
    pub rolling: u64,
}

/// What is sent.
pub(crate) enum Payload {
    /// Given away.
    Owned(Vec<u8>),
    /// Memory that stays as it is until the ticket says that it was read.
    Lent(Span),
}

/// A send under way. Its memory is in use until `Transport::sent` says otherwise.
pub(crate) enum Ticket {
    Thread(Arc<loan::Loan>),
    Simulated(Arc<simulator::Lent>),
    #[cfg(feature = "mpi")]
    Mpi(u64),
}

/// Where a message goes.
pub(crate) enum Want {
    /// Exactly this many bytes, here.
    Into(Span),
    /// Any number of bytes.
    Any,
}

/// What asking for a message gave.
pub(crate) enum Pulled {
    NotYet,
    Landed,
    Bytes(Vec<u8>),
    /// On its way; ask `landed` with this number.
    #[cfg(feature = "mpi")]
    Coming(u64),
}

/// What became of a receive that was `Coming`.
#[cfg(feature = "mpi")]
pub(crate) enum Landed {
    NotYet,
    InPlace,
    Bytes(Vec<u8>),
}

/// A few bytes about a call, outside of its schedule.
pub(crate) struct Notice {
    pub from: u32,
    pub comm: u64,
    pub seq: u64,
    pub bytes: Vec<u8>,
}

/// How a wait went that was not ended by the job's end. Only processes have more to say than `Shortly`: among threads the
/// transport sees who waits for whom, and tells it by itself. So without MPI the others are never made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// Look again.
    Shortly,
    /// Long enough that others should see it.
    #[cfg_attr(not(feature = "mpi"), allow(dead_code))]
    Known(Duration),
    /// For long now: ask what the others wait for.
    #[cfg_attr(not(feature = "mpi"), allow(dead_code))]
    Long(Duration),
    /// As long as is to be told, or ended.
    #[cfg_attr(not(feature = "mpi"), allow(dead_code))]
    Stalled { kill: bool, time: Duration },
}

/// Two ranks in one call that disagree on the length of a message between them.
fn wrong_length(me: u32, key: &Key, call: &Call, due: usize, sent: usize) -> Abort {
    let side = |what: &str, bytes: usize| format!("{} ({what} {bytes} bytes)", call.print.text());
    let calls = [(me, side("to receive", due)), (key.from, side("has sent", sent))];
    Abort::new(Cause::Mismatch { host: host().into(), calls })
}

/// A message between two ranks is of another type or shape than its receiver wants.
fn wrong_kind(me: u32, key: &Key, call: &Call, sent: String) -> Abort {
    Abort::new(Cause::Mismatch { host: host().into(), calls: [(me, call.print.text()), (key.from, sent)] })
}

#[derive(Clone)]
pub(crate) enum Transport {
    Threads(Arc<threads::Job>),
    Simulator(Arc<simulator::Job>),
    #[cfg(feature = "mpi")]
    Mpi(std::rc::Rc<mpi::Job>),
}

macro_rules! each {
    ($self:expr, $job:ident => $body:expr) => {
        match $self {
            Transport::Threads($job) => $body,
            Transport::Simulator($job) => $body,
            #[cfg(feature = "mpi")]
            Transport::Mpi($job) => $body,
        }
    };
}

impl Transport {
    /// Begins `call` on rank `me`: its fingerprint is compared with what peers have shown of theirs.
    pub(crate) fn enter(&self, me: u32, call: &Call, members: &[u32]) -> Result<(), Abort> {
        each!(self, job => job.enter(me, call, members))
    }

    /// The number of ranks of the job.
    pub(crate) fn size(&self) -> u32 {
        each!(self, job => job.size())
    }

    /// The schedules that were asked for.
    pub(crate) fn schedules(&self) -> Schedules {
        match self {
            Transport::Threads(_) => Schedules::from_env(),
            Transport::Simulator(job) => job.schedules(),
            #[cfg(feature = "mpi")]
            Transport::Mpi(job) => job.schedules(),
        }
    }

    /// By rank: a number of its host. Empty if all are on one.
    pub(crate) fn hosts(&self) -> Vec<u32> {
        match self {
            Transport::Threads(_) | Transport::Simulator(_) => vec![],
            #[cfg(feature = "mpi")]
            Transport::Mpi(job) => job.hosts(),
        }
    }

    /// How much is checked.
    pub(crate) fn level(&self) -> Level {
        each!(self, job => job.level())
    }

    /// Whether it has collectives of its own.
    pub(crate) fn has_collectives(&self) -> bool {
        !matches!(self, Transport::Threads(_) | Transport::Simulator(_))
    }

    /// Starts one of its own collectives. The memory is in use until `sent` says otherwise.
    pub(crate) fn native(&self, call: Native, from: Option<Span>, into: Span) -> Ticket {
        match self {
            Transport::Threads(_) | Transport::Simulator(_) => {
                unreachable!("there is none: {call:?} of {} and {from:?}", into.len())
            }
            #[cfg(feature = "mpi")]
            Transport::Mpi(job) => job.native(call, from, into),
        }
    }

    /// The board that all ranks share, if they have one. Once for each rank.
    pub(crate) fn board(&self, me: u32) -> Option<Board> {
        each!(self, job => job.board(me))
    }

    /// Begins `call` on a board, where its fingerprint will be compared.
    ///
    /// # Errors
    /// The job's abort.
    pub(crate) fn enter_posting(&self, call: &Call) -> Result<(), Abort> {
        each!(self, job => job.enter_posting(call))
    }

    /// A call on a board takes long: a peer may be in another one, elsewhere.
    pub(crate) fn enter_late(&self, me: u32, call: &Call) -> Result<Option<threads::Late<'_>>, Abort> {
        match self {
            Transport::Threads(job) => job.enter_late(me, call),
            Transport::Simulator(_) => Ok(None),
            #[cfg(feature = "mpi")]
            Transport::Mpi(_) => Ok(None), // it has begun as any other
        }
    }

    /// Whether a long message is copied from memory to memory, without a stop.
    pub(crate) fn copies_once(&self) -> bool {
        matches!(self, Transport::Threads(_))
    }

    /// How often to look before waiting in earnest.
    pub(crate) fn spins(&self) -> u32 {
        each!(self, job => job.spins())
    }

    /// Something was posted: wakes who sleeps for it. Processes look for themselves.
    pub(crate) fn posted(&self, board: &Board) {
        match self {
            Transport::Threads(job) => job.posted(board),
            Transport::Simulator(_) => {}
            #[cfg(feature = "mpi")]
            Transport::Mpi(_) => {}
        }
    }

    /// Announces a sleep until member `on` of the board has posted something.
    pub(crate) fn nap<'b>(&self, board: &'b Board, on: usize) -> Option<Nap<'b>> {
        match self {
            Transport::Threads(_) => Some(board.nap(on)),
            Transport::Simulator(_) => None,
            #[cfg(feature = "mpi")]
            Transport::Mpi(_) => None,
        }
    }

    /// Whether ranks that are on one host can have mailboxes in memory that they share.
    pub(crate) fn shares(&self) -> bool {
        !matches!(self, Transport::Simulator(_)) && board::wanted()
    }

    /// Memory that other ranks of the host can open, zeroed and first touched here; `None` if there is none.
    pub(crate) fn offer(&self, len: usize) -> Option<(Arc<Region>, Offer)> {
        match self {
            Transport::Threads(job) => Some(job.offer(len)),
            Transport::Simulator(_) => None,
            #[cfg(feature = "mpi")]
            Transport::Mpi(_) => mpi_board::offer(len),
        }
    }

    /// Memory that another rank of the host has offered by these words; `None` if it cannot be had.
    pub(crate) fn open(&self, words: [u64; 3], len: usize) -> Option<Arc<Region>> {
        match self {
            Transport::Threads(job) => job.offered(words),
            Transport::Simulator(_) => None,
            #[cfg(feature = "mpi")]
            Transport::Mpi(_) => mpi_board::open(words, len),
        }
        .filter(|region| region.len() == len)
    }

    /// Whether who sleeps must be rung. Processes look for themselves.
    pub(crate) fn rings(&self) -> bool {
        matches!(self, Transport::Threads(_))
    }

    /// Wakes a rank that sleeps.
    pub(crate) fn ring(&self, rank: u32) {
        if let Transport::Threads(job) = self {
            job.wake(rank);
        }
    }

    /// A wait of which the transport does not know the end is over.
    pub(crate) fn stir(&self) {
        match self {
            Transport::Threads(_) | Transport::Simulator(_) => {}
            #[cfg(feature = "mpi")]
            Transport::Mpi(job) => job.stir(),
        }
    }

    /// Sends a message. `None` if the payload is no longer needed.
    pub(crate) fn post(&self, me: u32, to: u32, tag: u32, call: &Call, payload: Payload) -> Option<Ticket> {
        each!(self, job => job.post(me, to, tag, call, payload))
    }

    /// A computing rank looks up. False where the clock tells how often that is worth it; in a simulation each time counts.
    pub(crate) fn pause(&self, me: u32) -> bool {
        let Transport::Simulator(job) = self else { return false };
        job.pause(me);
        true
    }

    /// Takes in what has come by itself; nothing to do among threads, where senders deliver.
    pub(crate) fn poll(&self) {
        match self {
            Transport::Threads(_) | Transport::Simulator(_) => {}
            #[cfg(feature = "mpi")]
            Transport::Mpi(job) => job.poll(),
        }
    }

    /// Whether the memory of a send is free again.
    pub(crate) fn sent(&self, ticket: &Ticket) -> bool {
        match (self, ticket) {
            (_, Ticket::Thread(loan)) => loan.returned(),
            (Transport::Simulator(job), Ticket::Simulated(lent)) => job.sent(lent),
            #[cfg(feature = "mpi")]
            (Transport::Mpi(job), Ticket::Mpi(id)) => !matches!(job.landed(*id), Landed::NotYet),
            _ => unreachable!("tickets stay with their transport"),
        }
    }

    /// Takes the message `key` for rank `me`, if it has come.
    pub(crate) fn pull(&self, me: u32, key: &Key, want: Want, call: &Call) -> Pulled {
        each!(self, job => job.pull(me, key, want, call))
    }

    /// A message of this call with an even tag that has come to rank `me`, whoever sent it.
    pub(crate) fn unasked(&self, me: u32, comm: u64, seq: u64) -> Option<Key> {
        each!(self, job => job.unasked(me, comm, seq))
    }

    /// The messages of this call that have come to rank `me`.
    pub(crate) fn arrived(&self, me: u32, comm: u64, seq: u64) -> Vec<Key> {
        each!(self, job => job.arrived(me, comm, seq))
    }

    /// Whether a transfer that was `Coming` has landed.
    #[cfg(feature = "mpi")]
    pub(crate) fn landed(&self, id: u64) -> Landed {
        let Transport::Mpi(job) = self else { unreachable!("nothing is coming among threads") };
        job.landed(id)
    }

    /// Ends the use of a send's memory without the send. On return nobody reads it any more.
    pub(crate) fn withdraw(&self, ticket: &Ticket, abort: impl FnOnce() -> Abort) {
        match ticket {
            Ticket::Thread(loan) => {
                if loan.withdraw() {
                    self.abort(abort());
                }
            }
            Ticket::Simulated(lent) => {
                if lent.withdraw() {
                    self.abort(abort());
                }
            }
            #[cfg(feature = "mpi")]
            Ticket::Mpi(_) => {
                self.abort(abort());
            }
        }
    }

    /// A number that changes whenever something may have moved for rank `me`.
    pub(crate) fn epoch(&self, me: u32) -> u64 {
        each!(self, job => job.epoch(me))
    }

    /// Waits until the epoch is no longer `seen`, a while has passed, or the job ends (`Err`). `call` is where the rank
    /// waits.
    pub(crate) fn wait(&self, me: u32, seen: u64, call: &Call) -> Result<Waited, Abort> {
        each!(self, job => job.wait(me, seen, call))
    }

    // In one process who waits for whom is plain to see, and senders deliver by themselves: there are no notices, nothing is
    // left to be sent, and nobody asks for calls that have begun.

    /// Sends a notice. Notices may be lost, and are not counted.
    pub(crate) fn notify(&self, to: u32, call: &Call, bytes: &[u8]) {
        match (self, to, call, bytes) {
            (Transport::Threads(_) | Transport::Simulator(_), ..) => {}
            #[cfg(feature = "mpi")]
            (Transport::Mpi(job), to, call, bytes) => job.notify(to, call, bytes),
        }
    }

    /// The next notice that has come.
    pub(crate) fn notice(&self) -> Option<Notice> {
        match self {
            Transport::Threads(_) | Transport::Simulator(_) => None,
            #[cfg(feature = "mpi")]
            Transport::Mpi(job) => job.notice(),
        }
    }

    /// Whether this rank has begun a call, and perhaps ended it.
    pub(crate) fn has_begun(&self, comm: u64, seq: u64) -> bool {
        match (self, comm, seq) {
            (Transport::Threads(_) | Transport::Simulator(_), ..) => true,
            #[cfg(feature = "mpi")]
            (Transport::Mpi(job), comm, seq) => job.has_begun(comm, seq),
        }
    }

    /// Notes that this rank has waited so long in a call, for those that ask by a way of their own. Among threads there is
    /// none: the transport sees all.
    pub(crate) fn waits(&self, print: &Print, time: Duration) {
        match (self, print, time) {
            (Transport::Threads(_) | Transport::Simulator(_), ..) => {}
            #[cfg(feature = "mpi")]
            (Transport::Mpi(job), print, time) => job.watch().into_iter().for_each(|watch| watch.waits(print, time)),
        }
    }

    /// The wait is over.
    pub(crate) fn waits_no_more(&self) {
        match self {
            Transport::Threads(_) | Transport::Simulator(_) => {}
            #[cfg(feature = "mpi")]
            Transport::Mpi(job) => job.watch().into_iter().for_each(crate::watch::Watch::waits_no_more),
        }
    }

    /// This rank is in a phase of this name; in none if it is empty.
    pub(crate) fn phase(&self, name: &str) {
        match (self, name) {
            (Transport::Threads(_) | Transport::Simulator(_), _) => {}
            #[cfg(feature = "mpi")]
            (Transport::Mpi(job), name) => job.watch().into_iter().for_each(|watch| watch.phase(name)),
        }
    }

    /// Has a roll-call told for the job, or, with `kill`, the job ended with one. `false`: this rank speaks for itself.
    pub(crate) fn roll_call(&self, kill: bool) -> bool {
        match (self, kill) {
            (Transport::Threads(_) | Transport::Simulator(_), _) => false,
            #[cfg(feature = "mpi")]
            (Transport::Mpi(job), kill) => job.watch().is_some_and(|watch| watch.ask(kill)),
        }
    }

    /// Whether messages that this rank has given away need its help to leave.
    pub(crate) fn sending(&self) -> bool {
        match self {
            Transport::Threads(_) | Transport::Simulator(_) => false,
            #[cfg(feature = "mpi")]
            Transport::Mpi(job) => job.sending(),
        }
    }

    /// Sees all messages off, when the job has ended in order.
    pub(crate) fn drain(&self) {
        match self {
            Transport::Threads(_) | Transport::Simulator(_) => {}
            #[cfg(feature = "mpi")]
            Transport::Mpi(job) => job.drain(),
        }
    }

    /// Raises the job's abort flag and gives the abort that stands (the first). Under MPI it does not return.
    pub(crate) fn abort(&self, abort: Abort) -> Abort {
        each!(self, job => job.abort(abort))
    }

    /// Whether the flag is up; cheap, for computing loops.
    pub(crate) fn aborted(&self) -> bool {
        each!(self, job => job.aborted())
    }

    /// Forgets a communicator that has ended.
    pub(crate) fn forget(&self, me: u32, comm: u64) {
        each!(self, job => job.forget(me, comm));
    }
}
