//! Ranks as threads of one process.
//!
//! One lock for the whole job keeps the arguments short; bytes are copied outside it, straight from the sender's memory.
//!
//! - A short message is copied into the receiver's inbox. A long one is a loan of the sender's memory (`loan`).
//! - Only a receiver writes its own memory.
//! - Fingerprints are compared when a rank begins a call, with the first rank that did, before anything is sent.
//! - The abort flag is sticky and every wait looks at it; raising it rings every bell.
//! - *Stuck* is proved: a rank registers its wait under the lock, after it has seen all that came (its epoch), and whoever
//!   moves something for it takes the registration away. If every live rank is registered, nobody can move anything.
//! - No user code runs under the lock.

use super::board::{Board, Heap, boards};
use super::loan::Message;
use super::mailbox::{Held, Offer, Region};
use super::meetings::Meetings;
use super::roll_call::{Standing, roll_call};
use super::sync::{AtomicBool, AtomicU64, Condvar, Mutex, MutexGuard, Ordering};
use super::{Call, Key, Payload, Pulled, Ticket, Waited, Want};
use crate::check::Print;
use crate::exit::say;
use crate::failure::{Abort, Cause};
use crate::level::Level;
use crate::stall::{Due, Patience, Stall};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// Up to this many bytes a message is copied into the inbox, so that its sender need not wait for the receiver.
const SHORT: usize = 4096;

/// A wait without a reason to look up earlier.
const LONG: Duration = Duration::from_secs(60);

/// How often a waiting rank looks before it sleeps, where every rank has a core of its own.
const SPINS: u32 = 2000;

struct Waiting {
    print: Print,
    since: Instant,
}

struct State {
    abort: Option<Abort>,
    meetings: Meetings,
    /// What has come, and of which call.
    inboxes: Vec<HashMap<Key, (Print, Message)>>,
    waits: Vec<Option<Waiting>>,
    live: Vec<bool>,
}

/// What the ranks of one process share.
pub(crate) struct Job {
    state: Mutex<State>,
    bells: Vec<Condvar>,
    epochs: Vec<AtomicU64>,
    /// Rung when a rank ends or the flag goes up, for the thread that watches.
    watch: Condvar,
    aborted: AtomicBool,
    spins: u32,
    stall: Stall,
    level: Level,
    board: Option<Arc<Heap>>,
    /// Memory for mailboxes, while its readers tell its writers of it. (A lock of the standard library's: there is nothing to model.)
    offers: std::sync::Mutex<HashMap<u64, Arc<Region>>>,
}

/// An entry among the offers of a job.
pub(crate) struct Listed {
    job: Arc<Job>,
    number: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.job.offers().remove(&self.number);
    }
}

/// A call on a board that is compared with calls elsewhere, as long as this lives.
pub(crate) struct Late<'j> {
    job: &'j Job,
    key: (u64, u64),
}

impl Drop for Late<'_> {
    fn drop(&mut self) {
        self.job.lock().meetings.leave(self.key);
    }
}

impl Job {
    /// A job that is checked as usual.
    pub(crate) fn new(size: u32, roomy: bool, stall: Stall) -> Arc<Job> {
        Job::checked(size, roomy, stall, Level::default())
    }

    /// A job of `size` ranks. `roomy`: every rank has cores of its own, so a waiting rank may spin for a moment.
    pub(crate) fn checked(size: u32, roomy: bool, stall: Stall, level: Level) -> Arc<Job> {
        let ranks = 0..size as usize;
        let state = State {
            abort: None,
            meetings: Meetings::default(),
            inboxes: ranks.clone().map(|_| HashMap::new()).collect(),
            waits: ranks.clone().map(|_| None).collect(),
            live: ranks.clone().map(|_| true).collect(),
        };
        Arc::new(Job {
            state: Mutex::new(state),
            bells: ranks.clone().map(|_| Condvar::new()).collect(),
            epochs: ranks.map(|_| AtomicU64::new(0)).collect(),
            watch: Condvar::new(),
            aborted: AtomicBool::new(false),
            spins: if roomy && size > 1 { SPINS } else { 0 },
            stall,
            level,
            board: boards(size).then(|| Arc::new(Heap::new(size as usize))),
            offers: std::sync::Mutex::default(),
        })
    }

    pub(crate) fn size(&self) -> u32 {
        self.bells.len() as u32
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something moved for `rank`.
    fn ring(&self, state: &mut State, rank: u32) {
        self.epochs[rank as usize].fetch_add(1, Ordering::Release);
        if state.waits[rank as usize].take().is_some() {
            self.bells[rank as usize].notify_one();
        }
    }

    fn raise(&self, state: &mut State, abort: Abort) -> Abort {
        let abort = state.abort.get_or_insert(abort).clone();
        self.aborted.store(true, Ordering::Relaxed);
        for rank in 0..state.waits.len() {
            self.ring(state, rank as u32);
        }
        self.watch.notify_all();
        abort
    }

    pub(crate) fn abort(&self, abort: Abort) -> Abort {
        self.raise(&mut self.lock(), abort)
    }

    pub(crate) fn aborted(&self) -> bool {
        self.aborted.load(Ordering::Relaxed)
    }

    pub(crate) fn level(&self) -> Level {
        self.level
    }

    pub(crate) fn enter(&self, me: u32, call: &Call, members: &[u32]) -> Result<(), Abort> {
        if self.level == Level::Off {
            return self.enter_posting(call);
        }
        self.meet(me, call, members.len(), false)
    }

    fn meet(&self, me: u32, call: &Call, members: usize, late: bool) -> Result<(), Abort> {
        let mut state = self.lock();
        if let Some(abort) = &state.abort {
            return Err(abort.clone());
        }
        let met = state.meetings.meet(me, call, members, late);
        met.map_err(|abort| self.raise(&mut state, abort))
    }

    pub(crate) fn board(&self, me: u32) -> Option<Board> {
        let heap = self.board.clone()?;
        Some(Board::new(Box::new(heap), self.bells.len(), me as usize))
    }

    /// Among threads a call on a board is compared elsewhere only when it takes long.
    pub(crate) fn enter_posting(&self, _call: &Call) -> Result<(), Abort> {
        // Whoever was told to leave work out must not see a result of it.
        if self.aborted()
            && let Some(abort) = &self.lock().abort
        {
            return Err(abort.clone());
        }
        Ok(())
    }

    pub(crate) fn enter_late(&self, me: u32, call: &Call) -> Result<Option<Late<'_>>, Abort> {
        if self.level == Level::Off {
            return self.enter_posting(call).map(|()| None);
        }
        self.meet(me, call, self.bells.len(), true)?;
        Ok(Some(Late { job: self, key: (call.comm, call.seq) }))
    }

    /// Memory for mailboxes, where other ranks find it as long as the offer is kept.
    pub(crate) fn offer(self: &Arc<Job>, len: usize) -> (Arc<Region>, Offer) {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        let region = Region::heap(len);
        region.touch_pages();
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.offers().insert(number, region.clone());
        (region, Offer { words: [number, 0, 0], held: Held::Listed(Listed { job: self.clone(), number }) })
    }

    /// What another rank has offered.
    pub(crate) fn offered(&self, [number, ..]: [u64; 3]) -> Option<Arc<Region>> {
        self.offers().get(&number).cloned()
    }

    fn offers(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Region>>> {
        self.offers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes a rank that sleeps.
    pub(crate) fn wake(&self, rank: u32) {
        self.ring(&mut self.lock(), rank);
    }

    pub(crate) fn spins(&self) -> u32 {
        self.spins
    }

    /// Wakes those who sleep for what this member has posted.
    pub(crate) fn posted(&self, board: &Board) {
        let mut sleepers = board.to_ring().peekable();
        if sleepers.peek().is_some() {
            let mut state = self.lock();
            sleepers.for_each(|member| self.ring(&mut state, member as u32));
        }
    }

    pub(crate) fn post(&self, me: u32, to: u32, tag: u32, call: &Call, payload: Payload) -> Option<Ticket> {
        let (message, loan) = Message::of(payload, SHORT);
        let mut state = self.lock();
        let key = Key { comm: call.comm, seq: call.seq, tag, from: me };
        state.inboxes[to as usize].insert(key, (call.print, message));
        self.ring(&mut state, to);
        loan.map(Ticket::Thread)
    }

    pub(crate) fn pull(&self, me: u32, key: &Key, want: Want, call: &Call) -> Pulled {
        let Some((print, message)) = self.lock().inboxes[me as usize].remove(key) else { return Pulled::NotYet };
        if print.kind() != call.print.kind() {
            self.abort(super::wrong_kind(me, key, call, print.text()));
            return Pulled::NotYet; // the next wait gives the abort
        }
        if let Want::Into(span) = &want
            && span.len() != message.len()
        {
            self.abort(super::wrong_length(me, key, call, span.len(), message.len()));
            return Pulled::NotYet; // the next wait gives the abort
        }
        let lent = matches!(message, Message::Long(_));
        // Withdrawn: its sender is ending the job.
        let Some(pulled) = message.deliver(want) else { return Pulled::NotYet };
        if lent {
            self.ring(&mut self.lock(), key.from);
        }
        pulled
    }

    pub(crate) fn unasked(&self, me: u32, comm: u64, seq: u64) -> Option<Key> {
        self.lock().inboxes[me as usize].keys().find(|key| key.is_unasked(comm, seq)).copied()
    }

    pub(crate) fn arrived(&self, me: u32, comm: u64, seq: u64) -> Vec<Key> {
        self.lock().inboxes[me as usize].keys().filter(|key| key.is_of(comm, seq)).copied().collect()
    }

    pub(crate) fn epoch(&self, me: u32) -> u64 {
        self.epochs[me as usize].load(Ordering::Acquire)
    }

    pub(crate) fn wait(&self, me: u32, seen: u64, call: &Call) -> Result<Waited, Abort> {
        for _ in 0..self.spins {
            if self.epoch(me) != seen {
                return Ok(Waited::Shortly);
            }
            std::hint::spin_loop();
        }
        let mut state = self.lock();
        let (since, mut patience) = (Instant::now(), Patience::new(self.stall));
        loop {
            // What has landed is good even when the job is ending, so look at it first.
            if self.epoch(me) != seen && state.abort.is_none() {
                return Ok(Waited::Shortly);
            }
            if let Some(abort) = &state.abort {
                return Err(abort.clone());
            }
            state.waits[me as usize] = Some(Waiting { print: call.print, since });
            if state.stuck() {
                let cause = Cause::Stuck { roll_call: state.roll_call() };
                return Err(self.raise(&mut state, Abort::new(cause)));
            }
            let bell = &self.bells[me as usize];
            let (guard, timeout) = bell.wait_timeout(state, patience.nap()).unwrap_or_else(PoisonError::into_inner);
            state = guard;
            if !timeout.timed_out() || state.waits[me as usize].is_none() {
                continue;
            }
            match patience.tick(self.stall) {
                Due::Nothing => {}
                Due::Kill => {
                    let cause = Cause::Stalled { roll_call: state.roll_call() };
                    return Err(self.raise(&mut state, Abort::new(cause)));
                }
                // One speaks for all.
                Due::Say if state.waits[..me as usize].iter().any(Option::is_some) => {}
                Due::Say => {
                    let roll_call = state.roll_call();
                    drop(state); // stderr may be slow
                    say(format_args!("a long wait:{roll_call}"));
                    state = self.lock();
                }
            }
        }
    }

    /// Rank `me` is back from its body.
    pub(crate) fn rank_ended(&self, me: u32) {
        let mut state = self.lock();
        state.live[me as usize] = false;
        if state.abort.is_none() && state.live.contains(&true) && state.stuck() {
            let cause = Cause::Stuck { roll_call: state.roll_call() };
            self.raise(&mut state, Abort::new(cause));
        }
        self.watch.notify_all();
    }

    /// Waits until all ranks are back; once the flag is up, no longer than `grace`. `Err` holds cause and roll-call.
    pub(crate) fn wait_ended(&self, grace: Duration) -> Result<(), String> {
        let mut state = self.lock();
        let mut end = None;
        while state.live.contains(&true) {
            let now = Instant::now();
            let left = match (&state.abort, end) {
                (None, _) => LONG,
                (Some(_), None) => *end.insert(now + grace) - now,
                (Some(_), Some(t)) if now < t => t - now,
                (Some(abort), Some(_)) => return Err(format!("{abort}{}", state.roll_call())),
            };
            state = self.watch.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    pub(crate) fn forget(&self, me: u32, comm: u64) {
        self.lock().inboxes[me as usize].retain(|key, _| key.comm != comm);
    }
}

impl State {
    /// Proof that nobody can go on: every live rank waits for something that has not come.
    fn stuck(&self) -> bool {
        self.live.iter().zip(&self.waits).all(|(&live, wait)| !live || wait.is_some())
    }

    fn roll_call(&self) -> String {
        let standing = |(live, wait): (&bool, &Option<Waiting>)| match wait {
            _ if !live => Standing::Ended,
            Some(w) => Standing::Waits { print: w.print, time: w.since.elapsed() },
            None => Standing::Computes,
        };
        roll_call(self.live.iter().zip(&self.waits).map(standing))
    }
}
