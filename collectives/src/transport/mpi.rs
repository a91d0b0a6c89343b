//! Ranks as processes of an MPI job.
//!
//! Every message of ours is one MPI message with a [`Head`], which carries the fingerprint and the rolling hash of its
//! call. A short payload rides along; a long one follows by itself under a tag of its own, straight from the sender's
//! memory to the receiver's once the receiver knows where it belongs.
//!
//! - Ranks that call different things find out at the first message between them (`mpi_ledger`). The *text* of a call
//!   travels only the first time that a rank shows it to another.
//! - A rank that waits for long sends *notices* to those that it waits for (`stuck`): ranks that wait for each other, in
//!   different calls, find out too.
//! - Aborting prints, and ends all processes by `MPI_Abort`; nothing is unwound over a transfer that MPI works on.
//! - Waiting is asking again: spinning where every rank has a core, then yielding, then with growing pauses.
//!
//! MPI is called only from the thread that started it (`MPI_THREAD_FUNNELED`); `Job` is `!Send`.

use super::board::Board;
use super::memory::{POISON, Span, span_of};
use super::mpi_calls::{Request, Wire, start};
pub(crate) use super::mpi_calls::{abort_job, finalize, version};
use super::mpi_ledger::{Ledger, Shown};
use super::{Call, Key, Landed, Notice, Payload, Pulled, Ticket, Waited, Want};
use crate::algo::Native;
use crate::algo::model::Schedules;
use crate::failure::{Abort, host};
use crate::level::Level;
use crate::stall::{Due, Patience, Stall};
use crate::watch::{Place, Watch};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Up to this many bytes a payload rides with its head.
const SHORT: usize = 8 << 10;
/// The tag of heads. Payloads have the tags above it, in turn; MPI promises at least 32,767.
const HEAD: i32 = 1;
const PAYLOADS: u32 = 16 << 10;
/// So long a waiting rank only yields, before it sleeps.
const YIELDING: Duration = Duration::from_millis(2);
/// A wait is to be known of after this time, and is long, again and again, after that.
const KNOWN: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(1);

/// Begins every message: 64 bytes, then the text of the call if `text` is not 0, then a short payload.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Head {
    comm: u64,
    seq: u64,
    print: u64,
    rolling: u64,
    bytes: u64,
    tag: u32,
    text: u32,
    kind: u32,
    payload_tag: i32,
    /// Type and shape of the call.
    of_kind: u64,
}

/// What a head announces.
const ALONG: u32 = 0;
const FOLLOWS: u32 = 1;
const NOTICE: u32 = 2;

enum Arrived {
    Along { message: Vec<u8>, start: usize },
    Follows { tag: i32, bytes: usize },
}

impl Arrived {
    fn len(&self) -> usize {
        match self {
            Arrived::Along { message, start } => message.len() - start,
            Arrived::Follows { bytes, .. } => *bytes,
        }
    }
}

/// A send whose memory is ours until MPI is through.
struct Kept {
    request: Request,
    /// Not all of them are received: a peer may be gone when a notice comes.
    notice: bool,
    bytes: Vec<u8>,
}

type Transfer = (Request, Option<Vec<u8>>);

pub(crate) struct Job {
    wire: Wire,
    ledger: Ledger,
    /// Until the rank takes it.
    board: RefCell<Option<Board>>,
    /// By rank, the first rank of its host; empty if all are on one.
    hosts: Vec<u32>,
    schedules: Schedules,
    /// What has come, and of which fingerprint and kind.
    inbox: RefCell<HashMap<Key, ([u64; 2], Arrived)>>,
    watch: Option<Watch>,
    notices: RefCell<VecDeque<Notice>>,
    kept: RefCell<Vec<Kept>>,
    /// Transfers that somebody asks about; a receive of unknown length brings its own memory.
    under_way: RefCell<HashMap<u64, Transfer>>,
    next_id: Cell<u64>,
    next_tag: RefCell<HashMap<u32, u32>>,
    moved: Cell<u64>,
    wait: Cell<Wait>,
    stall: Stall,
    level: Level,
    roomy: bool,
}

/// The current wait: how often in vain, since when, how often asleep, for how long, and when it is asked about next.
#[derive(Clone, Copy)]
struct Wait {
    moved: u64,
    idle: u32,
    since: Instant,
    naps: u32,
    patience: Patience,
    long: Duration,
}

impl Wait {
    fn new(moved: u64, stall: Stall) -> Wait {
        Wait { moved, idle: 0, since: Instant::now(), naps: 0, patience: Patience::new(stall), long: KNOWN }
    }
}

impl Job {
    /// Starts MPI, if need be, and joins its job. Collective over all processes.
    ///
    /// # Errors
    /// What is wrong with the launch, in words.
    pub(crate) fn begin(stall: Stall, level: Level) -> Result<Rc<Job>, String> {
        start()?;
        let wire = Wire::new();
        let mut hosts = wire.hosts();
        let on_host = hosts.iter().filter(|&&host| host == hosts[wire.rank as usize]).count();
        let place = Place::new(wire.rank, &hosts);
        if on_host == hosts.len() {
            hosts.clear();
        }
        let mut words = level.words();
        super::mpi_board::broadcast(&wire, &mut words);
        let level = Level::of_words(words);
        let schedules = super::mpi_board::text_of_root(&wire, Schedules::text_of_env());
        let board = super::mpi_board::begin(&wire, on_host);
        let watch = super::mpi_watch::begin(&wire, place, stall);
        Ok(Rc::new(Job {
            roomy: on_host <= physalia_topology::sys::online_cpus(),
            ledger: Ledger::new(wire.rank, level != Level::Off),
            board: RefCell::new(board),
            hosts,
            schedules: Schedules::parse(&schedules).unwrap_or_default(),
            watch,
            wire,
            inbox: RefCell::default(),
            notices: RefCell::default(),
            kept: RefCell::default(),
            under_way: RefCell::default(),
            next_id: Cell::new(0),
            next_tag: RefCell::default(),
            moved: Cell::new(0),
            wait: Cell::new(Wait::new(0, stall)),
            stall,
            level,
        }))
    }

    pub(crate) fn level(&self) -> Level {
        self.level
    }

    pub(crate) fn rank(&self) -> u32 {
        self.wire.rank
    }

    pub(crate) fn size(&self) -> u32 {
        self.wire.size
    }

    pub(crate) fn schedules(&self) -> Schedules {
        self.schedules.clone()
    }

    pub(crate) fn hosts(&self) -> Vec<u32> {
        self.hosts.clone()
    }

    pub(crate) fn aborted(&self) -> bool {
        false // nobody lives to ask
    }

    pub(crate) fn abort(&self, abort: Abort) -> Abort {
        crate::exit::leave(abort.exit_code().into(), &abort.to_string())
    }

    pub(crate) fn enter(&self, _me: u32, call: &Call, _members: &[u32]) -> Result<(), Abort> {
        self.ledger.enter(call);
        Ok(())
    }

    pub(crate) fn board(&self, _me: u32) -> Option<Board> {
        self.board.take()
    }

    pub(crate) fn enter_posting(&self, call: &Call) -> Result<(), Abort> {
        self.ledger.enter(call);
        Ok(())
    }

    pub(crate) fn spins(&self) -> u32 {
        if self.roomy { 4000 } else { 0 }
    }

    pub(crate) fn stir(&self) {
        self.moved.set(self.moved.get() + 1);
    }

    pub(crate) fn has_begun(&self, comm: u64, seq: u64) -> bool {
        self.ledger.has_begun(comm, seq)
    }

    pub(crate) fn post(&self, _me: u32, to: u32, tag: u32, call: &Call, payload: Payload) -> Option<Ticket> {
        let span = match &payload {
            Payload::Owned(bytes) => span_of(bytes),
            Payload::Lent(span) => *span,
        };
        if span.len() <= SHORT {
            // SAFETY: the payload is ours, or lent at least until this call returns.
            self.send_head(to, tag, call, ALONG, 0, unsafe { span.bytes() }, span.len());
            return None;
        }
        let n = *self.next_tag.borrow_mut().entry(to).and_modify(|n| *n = (*n + 1) % PAYLOADS).or_insert(0);
        let payload_tag = HEAD + 1 + n.cast_signed();
        self.send_head(to, tag, call, FOLLOWS, payload_tag, &[], span.len());
        // SAFETY: owned bytes are kept below, lent ones by the ticket's holder, until MPI is through.
        let request = unsafe { self.wire.send(span, to, payload_tag) };
        match payload {
            Payload::Owned(bytes) => {
                self.kept.borrow_mut().push(Kept { request, notice: false, bytes });
                None
            }
            Payload::Lent(_) => Some(Ticket::Mpi(self.track(request, None))),
        }
    }

    /// Starts one of MPI's own collectives.
    pub(crate) fn native(&self, call: Native, from: Option<Span>, into: Span) -> Ticket {
        // SAFETY: the flow keeps its memory until the ticket is through, or ends the job. All ranks have met in this call, all
        // of them take part, and its fingerprint has the lengths.
        Ticket::Mpi(self.track(unsafe { self.wire.native(call, from, into) }, None))
    }

    /// Sends a few bytes that belong to no schedule.
    pub(crate) fn notify(&self, to: u32, call: &Call, bytes: &[u8]) {
        self.send_head(to, 0, call, NOTICE, 0, bytes, bytes.len());
    }

    pub(crate) fn notice(&self) -> Option<Notice> {
        self.notices.borrow_mut().pop_front()
    }

    #[allow(clippy::too_many_arguments)] // the parts of one message
    fn send_head(&self, to: u32, tag: u32, call: &Call, kind: u32, payload_tag: i32, along: &[u8], bytes: usize) {
        let text = self.ledger.text_for(to, call);
        let head = Head {
            comm: call.comm,
            seq: call.seq,
            print: call.print.hash(),
            rolling: call.rolling,
            bytes: bytes as u64,
            tag,
            text: text.len() as u32,
            kind,
            payload_tag,
            of_kind: call.print.kind(),
        };
        let bytes = [bytemuck::bytes_of(&head), text.as_bytes(), along].concat();
        // SAFETY: the message's heap block is kept below until MPI is through, and does not move.
        let mut request = unsafe { self.wire.send_whole(span_of(&bytes), to, HEAD) };
        if !request.done() {
            self.kept.borrow_mut().push(Kept { request, notice: kind == NOTICE, bytes });
        }
    }

    fn track(&self, request: Request, buffer: Option<Vec<u8>>) -> u64 {
        let id = self.next_id.replace(self.next_id.get() + 1);
        self.under_way.borrow_mut().insert(id, (request, buffer));
        id
    }

    /// Whether a transfer is through. Once it has said so, its number is gone.
    pub(crate) fn landed(&self, id: u64) -> Landed {
        let mut under_way = self.under_way.borrow_mut();
        if !under_way.get_mut(&id).expect("a ticket is asked until it is done").0.done() {
            return Landed::NotYet;
        }
        self.moved.set(self.moved.get() + 1);
        match under_way.remove(&id).expect("it was there").1 {
            None => Landed::InPlace,
            Some(bytes) => Landed::Bytes(bytes),
        }
    }

    pub(crate) fn pull(&self, me: u32, key: &Key, want: Want, call: &Call) -> Pulled {
        let Some(([print, kind], arrived)) = self.inbox.borrow_mut().remove(key) else { return Pulled::NotYet };
        if kind != call.print.kind() {
            self.abort(super::wrong_kind(me, key, call, self.ledger.text_of(print)));
        }
        if let Want::Into(span) = &want
            && span.len() != arrived.len()
        {
            self.abort(super::wrong_length(me, key, call, span.len(), arrived.len()));
        }
        match (arrived, want) {
            (Arrived::Along { mut message, start }, Want::Any) => {
                message.drain(..start);
                Pulled::Bytes(message)
            }
            (Arrived::Along { message, start }, Want::Into(span)) => {
                // SAFETY: a wanted span is exclusive memory of this rank's flow, which is waiting for it.
                unsafe { span.fill(span_of(&message[start..])) };
                Pulled::Landed
            }
            (Arrived::Follows { tag, .. }, Want::Into(span)) => {
                // SAFETY: the flow keeps its memory until the receive is done, or ends the job.
                Pulled::Coming(self.track(unsafe { self.wire.receive(span, key.from, tag) }, None))
            }
            (Arrived::Follows { tag, bytes }, Want::Any) => {
                let mut buffer = vec![if self.level.is_full() { POISON } else { 0 }; bytes];
                // SAFETY: the buffer is kept with the request; its heap block does not move.
                let request = unsafe { self.wire.receive(super::memory::span_of_mut(&mut buffer), key.from, tag) };
                Pulled::Coming(self.track(request, Some(buffer)))
            }
        }
    }

    /// Takes in what has come, and frees what has gone.
    pub(crate) fn poll(&self) {
        while let Some((from, message)) = self.wire.take(HEAD) {
            self.arrive(from, message);
        }
        self.kept.borrow_mut().retain_mut(|kept| !kept.request.done());
    }

    /// Whether a send of ours still needs MPI to be called.
    pub(crate) fn sending(&self) -> bool {
        !self.kept.borrow().is_empty()
    }

    fn arrive(&self, from: u32, message: Vec<u8>) {
        let (head, rest) = message.split_at_checked(size_of::<Head>()).expect("a message begins with its head");
        let head: Head = bytemuck::pod_read_unaligned(head);
        let text = &rest[..head.text as usize];
        self.ledger.learn(head.print, text);
        let Head { comm, seq, print, rolling, tag, .. } = head;
        self.ledger.compare(Shown { from, comm, seq, print, rolling });
        let start = size_of::<Head>() + text.len();
        let arrived = match head.kind {
            ALONG => {
                let along = message.len() - start;
                if along as u64 != head.bytes {
                    let what = format!("rank {from} announces {} bytes, and {along} have come", head.bytes);
                    crate::exit::leave(1, &what);
                }
                Arrived::Along { message, start }
            }
            FOLLOWS => Arrived::Follows { tag: head.payload_tag, bytes: head.bytes as usize },
            _ => {
                let bytes = message[start..].to_vec();
                return self.notices.borrow_mut().push_back(Notice { from, comm, seq, bytes });
            }
        };
        self.moved.set(self.moved.get() + 1);
        let before = self.inbox.borrow_mut().insert(Key { comm, seq, tag, from }, ([print, head.of_kind], arrived));
        assert!(before.is_none(), "two messages with one key: {tag} of call {seq} from {from}");
    }

    pub(crate) fn unasked(&self, _me: u32, comm: u64, seq: u64) -> Option<Key> {
        self.inbox.borrow().keys().find(|key| key.is_unasked(comm, seq)).copied()
    }

    pub(crate) fn arrived(&self, _me: u32, comm: u64, seq: u64) -> Vec<Key> {
        self.inbox.borrow().keys().filter(|key| key.is_of(comm, seq)).copied().collect()
    }

    pub(crate) fn epoch(&self, _me: u32) -> u64 {
        self.moved.get()
    }

    pub(crate) fn wait(&self, _me: u32, _seen: u64, _call: &Call) -> Result<Waited, Abort> {
        let mut wait = self.wait.get();
        if wait.moved != self.moved.get() {
            wait = Wait::new(self.moved.get(), self.stall);
        }
        wait.idle = wait.idle.saturating_add(1);
        let mut waited = Waited::Shortly;
        match wait.idle {
            n if n < 2000 && self.roomy => std::hint::spin_loop(),
            _ if wait.naps == 0 && wait.since.elapsed() < YIELDING => std::thread::yield_now(),
            _ => {
                wait.naps += 1;
                let pause = Duration::from_micros(u64::from(wait.naps).saturating_mul(2).min(1000));
                std::thread::sleep(pause);
                let due = wait.patience.tick(self.stall);
                let time = wait.patience.waited();
                if due != Due::Nothing {
                    waited = Waited::Stalled { kill: due == Due::Kill, time };
                } else if time > wait.long {
                    let first = wait.long == KNOWN;
                    wait.long = if first { LONG } else { time + LONG };
                    waited = if first { Waited::Known(time) } else { Waited::Long(time) };
                }
            }
        }
        self.wait.set(wait);
        Ok(waited)
    }

    /// Everything of an ended communicator must have been received: what is left was sent to a call that nobody made.
    pub(crate) fn forget(&self, me: u32, comm: u64) {
        self.poll();
        let left = self.inbox.borrow().keys().find(|key| key.comm == comm).copied();
        if let Some(Key { from, seq, .. }) = left {
            let what = format!(
                "rank {me} on {}: rank {from} sent something in its call {seq} that this rank did not receive",
                host()
            );
            crate::exit::leave(1, &what);
        }
        self.ledger.forget(comm);
    }

    pub(crate) fn watch(&self) -> Option<&Watch> {
        self.watch.as_ref()
    }

    /// Sees all sends through, at the end of the job. All ranks have received all by now, so that it takes no peer's help.
    pub(crate) fn drain(&self) {
        if let Some(watch) = &self.watch {
            watch.goodbye();
        }
        while self.kept.borrow().iter().any(|kept| !kept.notice) {
            self.poll();
            std::thread::yield_now();
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // MPI may still read a notice that its receiver has left behind.
        for kept in self.kept.take() {
            std::mem::forget(kept.bytes);
        }
        for (_, (_, buffer)) in self.under_way.take() {
            std::mem::forget(buffer);
        }
    }
}
