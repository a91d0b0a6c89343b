//! Ranks as processes of an MPI job.
//!
//! Every message of ours is one MPI message with a [`Head`], which carries the fingerprint and the rolling hash of its
//! call. A short payload rides along; a long one follows by itself under a tag of its own, straight from the sender's
//! memory to the receiver's once the receiver knows where it belongs.
//!
//! - A head is checked when it comes, or, if it is early, when this rank begins that call. So ranks that call different
//!   things find out at the first message between them. The *text* of a call travels only the first time that a rank
//!   shows it to another.
//! - A rank that waits for long tells those that it waits for where it is (a head without a message): ranks that all wait,
//!   in different calls, find out too.
//! - Aborting prints, and ends all processes by `MPI_Abort`; nothing is unwound over a transfer that MPI works on.
//! - Waiting is asking again: spinning where every rank has a core, then yielding, then with growing pauses.
//!
//! MPI is called only from the thread that started the job (`MPI_THREAD_FUNNELED`); `Job` is `!Send`.

use super::memory::{span_of, span_of_mut};
use super::mpi_calls::{Request, Wire, start};
pub(crate) use super::mpi_calls::{abort_job, finalize, version};
use super::{Call, Key, Payload, Pulled, Ticket, Want};
use crate::failure::{Abort, Cause, host};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::thread::ThreadId;
use std::time::{Duration, Instant};

/// Up to this many bytes a payload rides with its head.
const SHORT: usize = 8 << 10;
/// The tag of heads. Payloads have the tags above it, in turn; MPI promises at least 32,767.
const HEAD: i32 = 1;
const PAYLOADS: u32 = 16 << 10;
/// So many calls of a communicator are remembered, to compare late heads with.
const REMEMBERED: usize = 256;
/// After this long a waiting rank tells its peers where it is.
const TELL: Duration = Duration::from_secs(1);
/// After this long it says so on stderr.
const STALL: Duration = Duration::from_secs(60);

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
    spare: u64,
}

/// What a head announces.
const ALONG: u32 = 0;
const FOLLOWS: u32 = 1;
const NOTHING: u32 = 2;

enum Arrived {
    Along { message: Vec<u8>, start: usize },
    Follows { tag: i32, bytes: usize },
}

/// What a head says of its call.
#[derive(Clone, Copy)]
struct Shown {
    from: u32,
    print: u64,
    rolling: u64,
}

struct Begun {
    seq: u64,
    print: u64,
    rolling: u64,
    text: String,
}

pub(crate) struct Job {
    wire: Wire,
    thread: ThreadId,
    inbox: RefCell<HashMap<Key, Arrived>>,
    /// Calls that this rank has begun, by communicator; the latest last.
    begun: RefCell<HashMap<u64, VecDeque<Begun>>>,
    /// Heads of calls that this rank has not begun yet.
    early: RefCell<HashMap<(u64, u64), Vec<Shown>>>,
    /// Texts of calls, by fingerprint, as peers have told them.
    texts: RefCell<HashMap<u64, String>>,
    /// To whom this rank has told which text.
    told: RefCell<HashSet<(u32, u64)>>,
    /// Sends whose memory is ours: kept until MPI is through.
    kept: RefCell<Vec<(Request, Vec<u8>)>>,
    under_way: RefCell<HashMap<u64, Request>>,
    next_id: Cell<u64>,
    next_tag: RefCell<HashMap<u32, u32>>,
    moved: Cell<u64>,
    wait: Cell<Wait>,
    roomy: bool,
}

/// The current wait: how often in vain, since when, and what has been said about it.
#[derive(Clone, Copy)]
struct Wait {
    moved: u64,
    idle: u32,
    since: Instant,
    told: bool,
    printed: bool,
}

impl Job {
    /// Starts MPI, if need be, and joins its job. Collective over all processes.
    ///
    /// # Errors
    /// What is wrong with the launch, in words.
    pub(crate) fn begin() -> Result<Rc<Job>, String> {
        start()?;
        let wire = Wire::new();
        let on_host = wire.size_of_host() as usize;
        Ok(Rc::new(Job {
            roomy: on_host <= physalia_topology::sys::online_cpus(),
            wire,
            thread: std::thread::current().id(),
            inbox: RefCell::default(),
            begun: RefCell::default(),
            early: RefCell::default(),
            texts: RefCell::default(),
            told: RefCell::default(),
            kept: RefCell::default(),
            under_way: RefCell::default(),
            next_id: Cell::new(0),
            next_tag: RefCell::default(),
            moved: Cell::new(0),
            wait: Cell::new(Wait { moved: 0, idle: 0, since: Instant::now(), told: false, printed: false }),
        }))
    }

    pub(crate) fn rank(&self) -> u32 {
        self.wire.rank
    }

    pub(crate) fn size(&self) -> u32 {
        self.wire.size
    }

    pub(crate) fn aborted(&self) -> bool {
        false // nobody lives to ask
    }

    pub(crate) fn abort(&self, abort: Abort) -> Abort {
        crate::exit::leave(abort.exit_code().into(), &abort.to_string())
    }

    pub(crate) fn enter(&self, me: u32, call: &Call, _members: &[u32]) -> Result<(), Abort> {
        assert_eq!(self.thread, std::thread::current().id(), "MPI is used by the thread that started the job");
        let (print, rolling) = (call.print.hash(), call.rolling);
        let mut begun = self.begun.borrow_mut();
        let calls = begun.entry(call.comm).or_default();
        if calls.len() == REMEMBERED {
            calls.pop_front();
        }
        calls.push_back(Begun { seq: call.seq, print, rolling, text: call.print.text() });
        drop(begun);
        for shown in self.early.borrow_mut().remove(&(call.comm, call.seq)).unwrap_or_default() {
            if (shown.print, shown.rolling) != (print, rolling) {
                self.mismatch(me, call.print.text(), shown, print);
            }
        }
        Ok(())
    }

    fn mismatch(&self, me: u32, mine: String, theirs: Shown, print: u64) -> ! {
        let text = match self.texts.borrow().get(&theirs.print) {
            _ if theirs.print == print => format!("{mine} too, but an earlier call of it differed"),
            Some(text) => text.clone(),
            None => "another call".into(),
        };
        let cause = Cause::Mismatch { host: host().into(), calls: [(me, mine), (theirs.from, text)] };
        crate::exit::leave(1, &Abort::new(cause).to_string())
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
                self.kept.borrow_mut().push((request, bytes));
                None
            }
            Payload::Lent(_) => Some(Ticket::Mpi(self.track(request))),
        }
    }

    #[allow(clippy::too_many_arguments)] // the parts of one message
    fn send_head(&self, to: u32, tag: u32, call: &Call, kind: u32, payload_tag: i32, along: &[u8], bytes: usize) {
        let print = call.print.hash();
        let text = if self.told.borrow_mut().insert((to, print)) { call.print.text() } else { String::new() };
        let head = Head {
            comm: call.comm,
            seq: call.seq,
            print,
            rolling: call.rolling,
            bytes: bytes as u64,
            tag,
            text: text.len() as u32,
            kind,
            payload_tag,
            spare: 0,
        };
        let message = [bytemuck::bytes_of(&head), text.as_bytes(), along].concat();
        // SAFETY: the message's heap block is kept below until MPI is through, and does not move.
        let mut request = unsafe { self.wire.send(span_of(&message), to, HEAD) };
        if !request.done() {
            self.kept.borrow_mut().push((request, message));
        }
    }

    fn track(&self, request: Request) -> u64 {
        let id = self.next_id.replace(self.next_id.get() + 1);
        self.under_way.borrow_mut().insert(id, request);
        id
    }

    pub(crate) fn sent(&self, id: u64) -> bool {
        let mut under_way = self.under_way.borrow_mut();
        let done = under_way.get_mut(&id).expect("a ticket is asked until it is done").done();
        if done {
            under_way.remove(&id);
            self.moved.set(self.moved.get() + 1);
        }
        done
    }

    pub(crate) fn landed(&self, id: u64) -> bool {
        self.sent(id)
    }

    pub(crate) fn pull(&self, _me: u32, key: &Key, want: Want) -> Pulled {
        let arrived = self.inbox.borrow_mut().remove(key);
        match (arrived, want) {
            (None, _) => Pulled::NotYet,
            (Some(Arrived::Along { mut message, start }), Want::Any) => {
                message.drain(..start);
                Pulled::Bytes(message)
            }
            (Some(Arrived::Along { message, start }), Want::Into(span)) => {
                // SAFETY: a wanted span is exclusive memory of this rank's flow, which is waiting for it.
                unsafe { span.fill(span_of(&message[start..])) };
                Pulled::Landed
            }
            (Some(Arrived::Follows { tag, bytes }), Want::Into(span)) => {
                assert_eq!(span.len(), bytes, "bytes to receive and bytes sent");
                // SAFETY: the flow keeps its memory until the receive is done, or ends the job.
                Pulled::Coming(self.track(unsafe { self.wire.receive(span, key.from, tag) }))
            }
            (Some(Arrived::Follows { tag, bytes }), Want::Any) => {
                let mut buffer = vec![0u8; bytes];
                // SAFETY: the buffer is ours, and we do not leave before the receive is done.
                let mut request = unsafe { self.wire.receive(span_of_mut(&mut buffer), key.from, tag) };
                while !request.done() {
                    std::thread::yield_now(); // its head is here, so it is being sent
                }
                Pulled::Bytes(buffer)
            }
        }
    }

    /// Takes in what has come, and frees what has gone.
    pub(crate) fn poll(&self) {
        while let Some((from, message)) = self.wire.take(HEAD) {
            self.arrive(from, message);
        }
        self.kept.borrow_mut().retain_mut(|(request, _)| !request.done());
    }

    fn arrive(&self, from: u32, message: Vec<u8>) {
        let (head, rest) = message.split_at_checked(size_of::<Head>()).expect("a message begins with its head");
        let head: Head = bytemuck::pod_read_unaligned(head);
        let text = &rest[..head.text as usize];
        if !text.is_empty() {
            self.texts.borrow_mut().insert(head.print, String::from_utf8_lossy(text).into_owned());
        }
        let shown = Shown { from, print: head.print, rolling: head.rolling };
        self.compare(&head, shown);
        let start = size_of::<Head>() + text.len();
        let arrived = match head.kind {
            ALONG => Arrived::Along { message, start },
            FOLLOWS => Arrived::Follows { tag: head.payload_tag, bytes: head.bytes as usize },
            _ => return,
        };
        self.moved.set(self.moved.get() + 1);
        let key = Key { comm: head.comm, seq: head.seq, tag: head.tag, from };
        let before = self.inbox.borrow_mut().insert(key, arrived);
        assert!(before.is_none(), "two messages with one key: {key:?}");
    }

    /// Compares a head with our own call of that number, now or when it comes to that.
    fn compare(&self, head: &Head, shown: Shown) {
        let begun = self.begun.borrow();
        let calls = begun.get(&head.comm);
        let (first, last) = (calls.and_then(|c| c.front()), calls.and_then(|c| c.back()));
        if last.is_none_or(|last| last.seq < head.seq) {
            self.early.borrow_mut().entry((head.comm, head.seq)).or_default().push(shown);
        } else if let (Some(calls), Some(first)) = (calls, first)
            && let Some(mine) = head.seq.checked_sub(first.seq).and_then(|i| calls.get(i as usize))
            && (mine.print, mine.rolling) != (shown.print, shown.rolling)
        {
            self.mismatch(self.wire.rank, mine.text.clone(), shown, mine.print);
        }
    }

    pub(crate) fn epoch(&self, _me: u32) -> u64 {
        self.moved.get()
    }

    pub(crate) fn wait(&self, _me: u32, _seen: u64, call: &Call, on: &[u32]) -> Result<(), Abort> {
        let mut wait = self.wait.get();
        if wait.moved != self.moved.get() {
            wait = Wait { moved: self.moved.get(), idle: 0, since: Instant::now(), told: false, printed: false };
        }
        wait.idle = wait.idle.saturating_add(1);
        match wait.idle {
            n if n < 2000 && self.roomy => std::hint::spin_loop(),
            n if n < 4000 => std::thread::yield_now(),
            n => {
                let pause = Duration::from_micros(u64::from(n - 3999).saturating_mul(2).min(1000));
                std::thread::sleep(pause);
                self.long_wait(&mut wait, call, on);
            }
        }
        self.wait.set(wait);
        Ok(())
    }

    fn long_wait(&self, wait: &mut Wait, call: &Call, on: &[u32]) {
        let waited = wait.since.elapsed();
        if waited > TELL && !wait.told {
            wait.told = true;
            let others: HashSet<u32> = on.iter().copied().collect();
            others.into_iter().for_each(|to| self.send_head(to, 0, call, NOTHING, 0, &[], 0));
        }
        if waited > STALL && !wait.printed {
            wait.printed = true;
            let (me, host, text) = (self.wire.rank, host(), call.print.text());
            eprintln!("physalia: rank {me} on {host}: a long wait ({waited:.0?}) for ranks {on:?} in {text}");
        }
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
        self.begun.borrow_mut().remove(&comm);
        self.early.borrow_mut().retain(|key, _| key.0 != comm);
    }
}
