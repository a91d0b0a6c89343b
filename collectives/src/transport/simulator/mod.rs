//! Ranks of a simulated job: real bodies, each on a thread of its own, under virtual time.
//!
//! - One rank runs at a time: who has the turn (`turns`). The others' threads sleep, each on a bell of its own. A rank gives
//!   its turn up when it waits, when it computes (as far as that is told) or looks up from it, and when it ends; so what it
//!   does in between is a function of what came before, and a run is a function of program, ranks and seed. No clock of the
//!   world, no order of a hash map and no scheduler of a system enters.
//! - Messages cost what the model says (`model`), and a rank sees those that have come by its own clock. In one turn it is
//!   ahead of the others by the overheads of its own messages at most; what they send it meanwhile it finds in its next.
//! - Memory is lent as among threads (`loan`), and free again when the news of that has come.
//! - *Stuck* is proved: nobody can go on, and nothing is under way.
//! - A rank that dies (`fate`) is unwound without a word: from then on nothing that it does is heard. Loans are taken back as
//!   its frames go. After a while all others are told.

mod fate;
mod model;
mod stats;
mod turns;

pub use fate::Death;
pub use model::LogGp;
pub use stats::{RankStats, Stats};

use super::board::Board;
use super::loan::{Loan, Message};
use super::meetings::Meetings;
use super::roll_call::{Standing, roll_call};
use super::{Call, Key, Payload, Pulled, Ticket, Waited, Want};
use crate::algo::model::Schedules;
use crate::check::Print;
use crate::failure::{Abort, Cause, host, seat_here};
use crate::level::Level;
use model::{Dice, Port};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use turns::Turns;

/// What a simulation is like, besides its program.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub ranks: u32,
    pub seed: u64,
    pub model: LogGp,
    /// The most that a message is delayed.
    pub delay_ps: u64,
    /// Up to this many bytes of lent memory are copied by the sender.
    pub eager_bytes: usize,
    /// How long after a death the others know.
    pub detection_ps: u64,
    pub deaths: Vec<(u32, Death)>,
    /// A death by seed: up to which time.
    pub drawn_death: Option<u64>,
    /// Those of the environment, if there are none.
    pub schedules: Option<Schedules>,
}

/// A message under way, or there.
struct Parcel {
    arrives: u64,
    message: Message,
    lent: Option<Arc<Lent>>,
}

/// Memory that one rank lends to another, and when it has the news that it was read.
pub(crate) struct Lent {
    by: u32,
    loan: Arc<Loan>,
    back: OnceLock<u64>,
}

impl Lent {
    /// As [`Loan::withdraw`].
    pub(super) fn withdraw(&self) -> bool {
        self.loan.withdraw()
    }
}

enum Stands {
    Computes,
    Waits { print: Print, since: u64 },
    Ended,
}

struct Member {
    stands: Stands,
    // A map that is never gone through in its own order.
    inbox: HashMap<Key, Parcel>,
    port: Port,
    death: Option<Death>,
    /// What is said of it, once it has died.
    gone: Option<Abort>,
    stats: RankStats,
}

struct State {
    turns: Turns,
    members: Vec<Member>,
    live: usize,
    meetings: Meetings,
    abort: Option<Abort>,
    /// An abort that is to come.
    doom: Option<(u64, Abort)>,
    delays: Dice,
}

/// What the ranks of a simulated job share.
pub(crate) struct Job {
    settings: Settings,
    state: Mutex<State>,
    bells: Vec<Condvar>,
    aborted: AtomicBool,
}

/// What a dying rank is unwound with.
struct Died;

impl Job {
    pub(crate) fn new(settings: Settings) -> Arc<Job> {
        let Settings { ranks, seed, .. } = settings;
        let drawn = settings.drawn_death.map(|within| fate::draw(seed, ranks, within));
        let mut deaths = settings.deaths.iter().copied().chain(drawn).collect::<HashMap<u32, Death>>();
        let member = |rank| Member {
            stands: Stands::Computes,
            inbox: HashMap::new(),
            port: Port::default(),
            death: deaths.remove(&rank),
            gone: None,
            stats: RankStats::default(),
        };
        let state = State {
            turns: Turns::new(ranks, Dice::new(seed, 0)),
            members: (0..ranks).map(member).collect(),
            live: ranks as usize,
            meetings: Meetings::default(),
            abort: None,
            doom: None,
            delays: Dice::new(seed, 1),
        };
        Arc::new(Job {
            settings,
            state: Mutex::new(state),
            bells: (0..ranks).map(|_| Condvar::new()).collect(),
            aborted: AtomicBool::new(false),
        })
    }

    /// All is compared, and nothing delayed but by the simulation itself.
    pub(crate) fn level(&self) -> Level {
        Level::Light
    }

    pub(crate) fn schedules(&self) -> Schedules {
        self.settings.schedules.clone().unwrap_or_else(Schedules::from_env)
    }

    pub(crate) fn size(&self) -> u32 {
        self.bells.len() as u32
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // Turns.

    /// All ranks that have a thread may begin.
    pub(crate) fn begin(&self) {
        let mut state = self.lock();
        for rank in 0..self.size() {
            if !matches!(state.member(rank).stands, Stands::Ended) {
                state.turns.ready(rank, 0);
            }
        }
        self.pass(&mut state);
    }

    /// This thread is rank `me`: waits for its first turn.
    pub(crate) fn rank_begins(&self, me: u32) {
        drop(self.till_turn(self.lock(), me));
    }

    /// Rank `me` is back from its body.
    pub(crate) fn rank_ended(&self, me: u32) {
        let mut state = self.lock();
        let now = state.turns.now(me);
        state.member(me).stands = Stands::Ended;
        state.member(me).stats.ended_ps = now;
        state.live -= 1;
        self.pass(&mut state);
    }

    /// Rank `rank` never got a thread.
    pub(crate) fn rank_failed(&self, rank: u32, why: Abort) -> Abort {
        let mut state = self.lock();
        state.member(rank).stands = Stands::Ended;
        state.live -= 1;
        self.raise(&mut state, why, 0)
    }

    /// Gives the turn to who can go on first. If nobody can, the job ends.
    fn pass(&self, state: &mut State) {
        while state.live > 0 {
            let next = state.turns.next_time();
            if let Some((time, abort)) = state.doom.take_if(|(time, _)| next.is_none_or(|next| *time <= next)) {
                self.raise(state, abort, time);
            } else if let Some(rank) = state.turns.pass() {
                return self.bells[rank as usize].notify_one();
            } else {
                let (cause, now) = (Cause::Stuck { roll_call: state.roll_call() }, state.turns.latest());
                self.raise(state, Abort::new(cause), now);
            }
        }
    }

    fn till_turn<'s>(&'s self, mut state: MutexGuard<'s, State>, me: u32) -> MutexGuard<'s, State> {
        while state.turns.turn() != Some(me) {
            state = self.bells[me as usize].wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state
    }

    /// Rank `me` computes for so long. Whoever can go on earlier comes first.
    pub(crate) fn compute(&self, me: u32, ps: u64) {
        let mut state = self.lock();
        let until = state.turns.now(me).saturating_add(ps);
        state.turns.ready(me, until);
        self.pass(&mut state);
        drop(self.till_turn(state, me));
    }

    /// Rank `me` looks up from computing, which costs an overhead; time goes on even where that is nothing.
    pub(crate) fn pause(&self, me: u32) {
        self.compute(me, self.settings.model.overhead_ps.max(1));
    }

    pub(crate) fn now(&self, me: u32) -> u64 {
        self.lock().turns.now(me)
    }

    pub(crate) fn stats(&self) -> Stats {
        let state = self.lock();
        let (turns, order) = state.turns.history();
        Stats { ranks: state.members.iter().map(|member| member.stats).collect(), turns, order }
    }

    // Ends.

    /// From `now` on, every wait ends.
    fn raise(&self, state: &mut State, abort: Abort, now: u64) -> Abort {
        let abort = state.abort.get_or_insert(abort).clone();
        self.aborted.store(true, Ordering::Relaxed);
        state.doom = None;
        state.turns.rouse(now);
        abort
    }

    pub(crate) fn abort(&self, abort: Abort) -> Abort {
        let mut state = self.lock();
        // A rank that has ended has no seat; what its thread still destroys is no affair of the others.
        let Some(me) = seat_here().map(|seat| seat.rank()) else { return state.abort.clone().unwrap_or(abort) };
        if let Some(gone) = &state.member(me).gone {
            return gone.clone();
        }
        let now = state.turns.now(me);
        self.raise(&mut state, abort, now)
    }

    pub(crate) fn aborted(&self) -> bool {
        self.aborted.load(Ordering::Relaxed)
    }

    /// Unwinds the rank that has the turn. The hook for panics is not called: nobody is to hear of it.
    fn die(&self, mut state: MutexGuard<'_, State>, me: u32) -> ! {
        let gone = Abort::new(Cause::Gone { rank: me, host: host().into() });
        let known = state.turns.now(me).saturating_add(self.settings.detection_ps);
        state.member(me).gone = Some(gone.clone());
        if state.abort.is_none() && state.doom.as_ref().is_none_or(|(time, _)| known < *time) {
            state.doom = Some((known, gone));
        }
        drop(state);
        std::panic::resume_unwind(Box::new(Died))
    }

    // Messages.

    pub(crate) fn enter(&self, me: u32, call: &Call, members: &[u32]) -> Result<(), Abort> {
        let mut state = self.lock();
        state.may_go_on(me)?;
        let now = state.turns.now(me);
        let met = state.meetings.meet(me, call, members.len(), false);
        met.map_err(|abort| self.raise(&mut state, abort, now))
    }

    pub(crate) fn post(&self, me: u32, to: u32, tag: u32, call: &Call, payload: Payload) -> Option<Ticket> {
        let (message, loan) = Message::of(payload, self.settings.eager_bytes);
        let bytes = message.len();
        let mut state = self.lock();
        let (now, delay) = (state.turns.now(me), state.delays.up_to(self.settings.delay_ps));
        let member = state.member(me);
        if member.gone.is_some() {
            return None; // with the loan
        }
        let (busy, arrives) = member.port.send(&self.settings.model, now, bytes);
        member.stats.messages += 1;
        member.stats.bytes += bytes as u64;
        state.turns.busy_until(me, busy);
        let arrives = arrives.saturating_add(delay);
        let lent = loan.map(|loan| Arc::new(Lent { by: me, loan, back: OnceLock::new() }));
        let ticket = lent.clone().map(Ticket::Simulated);
        let key = Key { comm: call.comm, seq: call.seq, tag, from: me };
        state.member(to).inbox.insert(key, Parcel { arrives, message, lent });
        state.turns.due(to, arrives);
        ticket
    }

    pub(crate) fn sent(&self, lent: &Lent) -> bool {
        lent.back.get().is_some_and(|&back| back <= self.now(lent.by))
    }

    pub(crate) fn pull(&self, me: u32, key: &Key, want: Want, call: &Call) -> Pulled {
        let mut state = self.lock();
        let now = state.turns.now(me);
        let member = state.member(me);
        if member.gone.is_some() || member.inbox.get(key).is_none_or(|parcel| parcel.arrives > now) {
            return Pulled::NotYet;
        }
        let Some(Parcel { message, lent, .. }) = member.inbox.remove(key) else { return Pulled::NotYet };
        if let Want::Into(span) = &want
            && span.len() != message.len()
        {
            let abort = super::wrong_length(me, key, call, span.len(), message.len());
            self.raise(&mut state, abort, now);
            return Pulled::NotYet; // the next wait gives the abort
        }
        // Withdrawn: its sender is ending the job, or dead.
        let Some(pulled) = message.deliver(want) else { return Pulled::NotYet };
        let read = now.saturating_add(self.settings.model.overhead_ps);
        state.turns.busy_until(me, read);
        if let Some(lent) = lent {
            let back = read.saturating_add(self.settings.model.latency_ps);
            lent.back.get_or_init(|| back);
            state.turns.due(key.from, back);
        }
        pulled
    }

    /// In the order in which they came.
    pub(crate) fn arrived(&self, me: u32, comm: u64, seq: u64) -> Vec<Key> {
        let mut state = self.lock();
        let now = state.turns.now(me);
        let came = state.member(me).inbox.iter().filter(|(key, p)| key.is_of(comm, seq) && p.arrives <= now);
        let mut came: Vec<_> = came.map(|(key, p)| (p.arrives, key.from, key.tag, *key)).collect();
        came.sort_unstable_by_key(|&(arrives, from, tag, _)| (arrives, from, tag));
        came.into_iter().map(|c| c.3).collect()
    }

    pub(crate) fn unasked(&self, me: u32, comm: u64, seq: u64) -> Option<Key> {
        let mut state = self.lock();
        let now = state.turns.now(me);
        let came = state.member(me).inbox.iter().filter(|(key, p)| key.is_unasked(comm, seq) && p.arrives <= now);
        came.min_by_key(|(key, p)| (p.arrives, key.from, key.tag)).map(|(key, _)| *key)
    }

    pub(crate) fn epoch(&self, me: u32) -> u64 {
        self.lock().turns.notice(me)
    }

    pub(crate) fn wait(&self, me: u32, seen: u64, call: &Call) -> Result<Waited, Abort> {
        let mut state = self.lock();
        if let Some(gone) = &state.member(me).gone {
            return Err(gone.clone());
        }
        state.member(me).stats.waits += 1;
        if state.dies(me) {
            self.die(state, me);
        }
        if state.turns.notice(me) == seen && state.abort.is_none() {
            let since = state.turns.now(me);
            let member = state.member(me);
            member.stands = Stands::Waits { print: call.print, since };
            let latest = member.death.and_then(Death::time);
            state.turns.wait(me, latest);
            self.pass(&mut state);
            state = self.till_turn(state, me);
            state.member(me).stands = Stands::Computes;
            if state.dies(me) {
                self.die(state, me);
            }
        }
        state.may_go_on(me).map(|()| Waited::Shortly)
    }

    pub(crate) fn board(&self, _me: u32) -> Option<Board> {
        None
    }

    pub(crate) fn enter_posting(&self, _call: &Call) -> Result<(), Abort> {
        Ok(())
    }

    pub(crate) fn spins(&self) -> u32 {
        0
    }

    pub(crate) fn forget(&self, me: u32, comm: u64) {
        self.lock().member(me).inbox.retain(|key, _| key.comm != comm);
    }
}

impl State {
    fn member(&mut self, rank: u32) -> &mut Member {
        &mut self.members[rank as usize]
    }

    /// Whether this is the wait in which a rank dies. One that is unwinding already ends in its own way.
    fn dies(&mut self, rank: u32) -> bool {
        let now = self.turns.now(rank);
        let member = self.member(rank);
        member.death.is_some_and(|death| death.comes(member.stats.waits, now)) && !std::thread::panicking()
    }

    fn may_go_on(&self, rank: u32) -> Result<(), Abort> {
        let gone = self.members[rank as usize].gone.as_ref();
        gone.or(self.abort.as_ref()).map_or(Ok(()), |abort| Err(abort.clone()))
    }

    fn roll_call(&self) -> String {
        let now = self.turns.latest();
        let standing = |member: &Member| match member.stands {
            Stands::Computes => Standing::Computes,
            Stands::Waits { print, since } => {
                Standing::Waits { print, time: Duration::from_nanos((now - since) / 1000) }
            }
            Stands::Ended => Standing::Ended,
        };
        roll_call(self.members.iter().map(standing))
    }
}
