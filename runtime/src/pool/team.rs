//! A team: the rank's own thread, its *leader*, and members that wait for it on threads of the pools, so that a loop begins and
//! ends within a microsecond.
//!
//! Every call of [`Team::run`] has a number. The leader writes what is to be run, and then the number, into the lines that
//! members look at. A member *comes* by changing the word of its seat from *n − 1 done* to *n begun*, runs the body, and
//! writes *n done*. The leader runs the body too; then it *bars* every seat whose member has not come, by writing *n done*
//! itself, and waits for the others. So a member that sleeps, or whose core others use, holds nobody up, and one that wakes
//! late finds its seat barred and never sees the body, which lives on the leader's stack.
//!
//! A member that waits too long *leaves*: it goes back to its pool, which lets it sleep, or work for rayon. Before the leader
//! relies on it again it *calls* it. Leaving and calling cross: the member says that it is away and then looks for a new number,
//! the leader writes the number and then looks for who is away, with a fence between in both, so that one of them sees the other.

use super::CachePadded;
use super::sync::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, UnsafeCell, fence};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};

/// Seats that look at one line. More would ask one cache line of too many cores at once, fewer would cost the leader more lines.
const GROUP: usize = 16;

/// Presence of a member: it looks at its line; it has left; it has left and is called.
const HERE: u32 = 0;
const AWAY: u32 = 1;
const CALLED: u32 = 2;

/// What is run: the seat goes in.
type Body<'b> = dyn Fn(usize) + Sync + 'b;

/// The members' view of a body, without its lifetime.
#[derive(Clone, Copy)]
struct Job(*const Body<'static>);

/// A number, times two, and a bit: of a line, that members shall leave; of a seat, that its member has begun.
const BIT: u64 = 1;

/// Where members of a group see what to do.
struct Line {
    call: AtomicU64,
    job: UnsafeCell<Option<Job>>,
}

// SAFETY: `job` is written by the leader while no member has begun, and read only by members that have; see `run`.
unsafe impl Sync for Line {}
// SAFETY: the pointer is only used as said above; the body behind it is `Sync`.
unsafe impl Send for Line {}

/// A member's place, and what its user keeps there, in one cache line.
struct Seat<S> {
    word: AtomicU64,
    presence: AtomicU32,
    own: S,
}

/// Ends the process if it is dropped: a frame in which members may be must not be left.
struct Stay;

impl Drop for Stay {
    fn drop(&mut self) {
        std::process::abort();
    }
}

/// The first of several panics.
#[derive(Default)]
struct Panics(Mutex<Option<Box<dyn Any + Send>>>);

impl Panics {
    fn catch(&self, f: impl FnOnce()) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
            let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match *first {
                None => *first = Some(payload),
                Some(_) => std::mem::forget(payload), // its destructor could panic, too
            }
        }
    }

    fn go_on(self) {
        if let Some(payload) = self.0.into_inner().unwrap_or_else(PoisonError::into_inner) {
            resume_unwind(payload);
        }
    }
}

/// A leader and its members; see the module.
pub(super) struct Team<S> {
    lines: Box<[CachePadded<Line>]>,
    /// The leader's is seat 0; of that one only `own` is used.
    seats: Box<[CachePadded<Seat<S>>]>,
    /// How many members are not here.
    away: CachePadded<AtomicUsize>,
    /// The number of the last run.
    number: AtomicU64,
    running: AtomicBool,
}

impl<S: Sync> Team<S> {
    /// A team of a leader and `members`, all away. `own`: what its user keeps at every seat, the leader's first.
    pub(super) fn new(members: usize, own: impl Fn() -> S) -> Team<S> {
        let line = || CachePadded::new(Line { call: AtomicU64::new(0), job: UnsafeCell::new(None) });
        let seat = || CachePadded::new(Seat { word: AtomicU64::new(0), presence: AtomicU32::new(AWAY), own: own() });
        Team {
            lines: (0..=members / GROUP).map(|_| line()).collect(),
            seats: (0..=members).map(|_| seat()).collect(),
            away: CachePadded::new(AtomicUsize::new(members)),
            number: AtomicU64::new(0),
            running: AtomicBool::new(false),
        }
    }

    /// What the user keeps at a seat.
    pub(super) fn own(&self, seat: usize) -> &S {
        &self.seats[seat].own
    }

    /// Whether the member of this seat has come to the present run. The leader always has.
    pub(super) fn has_come(&self, seat: usize) -> bool {
        seat == 0 || self.seats[seat].word.load(Ordering::Relaxed) >= self.number.load(Ordering::Relaxed) << 1
    }

    /// Runs `body` once on this thread, with 0, and once on each member that comes in time, with its seat. Afterwards none of
    /// them is in it.
    ///
    /// `call` is given the seats of members that have left, to have `serve` run for them. When this thread is through,
    /// `wait_for` says of each seat whose member has not come whether it must; `pause` passes the time of waiting.
    ///
    /// # Panics
    /// As `body` does, on whichever thread; the others still end it. If it is run within itself.
    pub(super) fn run(
        &self,
        body: &(dyn Fn(usize) + Sync),
        call: impl FnOnce(&[usize]),
        mut wait_for: impl FnMut(usize) -> bool,
        mut pause: impl FnMut(),
    ) {
        assert!(!self.running.swap(true, Ordering::Acquire), "a team is run within itself");
        // Nothing that is called may unwind through here: members may be in the body.
        let (panics, stay) = (Panics::default(), Stay);
        let guarded = |seat: usize| panics.catch(|| body(seat));
        let number = self.number.load(Ordering::Relaxed) + 1;
        self.open(number, &guarded);
        panics.catch(|| self.call_who_is_away(call));
        guarded(0);
        for (seat, place) in self.seats.iter().enumerate().skip(1) {
            // Acquire: what the member has written is seen from here on.
            while place.word.load(Ordering::Acquire) != number << 1 {
                let absent = (number - 1) << 1;
                let mut bar = place.word.load(Ordering::Relaxed) == absent;
                panics.catch(|| bar = bar && !wait_for(seat));
                if !(bar
                    && place.word.compare_exchange(absent, number << 1, Ordering::Acquire, Ordering::Relaxed).is_ok())
                {
                    panics.catch(&mut pause);
                }
            }
        }
        std::mem::forget(stay);
        self.running.store(false, Ordering::Release);
        panics.go_on();
    }

    /// Shows members what to run. The caller must not return before every seat's word is *`number` done*.
    fn open<'b>(&self, number: u64, body: &'b (dyn Fn(usize) + Sync + 'b)) {
        let body: *const Body<'b> = body;
        // SAFETY: only the lifetime changes. Members use the pointer between *begun* and *done*, and `run` does not return
        // before all have written *done* or are barred.
        let job = Job(unsafe { std::mem::transmute::<*const Body<'b>, *const Body<'static>>(body) });
        self.number.store(number, Ordering::Relaxed);
        for line in &self.lines {
            // SAFETY: every seat's word is *done*, and only a member that has changed it to *begun* reads the job, which it
            // can only after it has seen the new number.
            line.job.with_mut(|place| unsafe { *place = Some(job) });
            line.call.store(number << 1, Ordering::Release);
        }
    }

    fn call_who_is_away(&self, call: impl FnOnce(&[usize])) {
        fence(Ordering::SeqCst); // pairs with the one in `leave`
        if self.away.load(Ordering::Relaxed) == 0 {
            return;
        }
        let left = |seat: &usize| {
            let presence = &self.seats[*seat].presence;
            presence.compare_exchange(AWAY, CALLED, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        let called: Vec<usize> = (1..self.seats.len()).filter(left).collect();
        if !called.is_empty() {
            call(&called);
        }
    }

    /// Sends members away, once they have done what they do. They come back when they are called.
    pub(super) fn rest(&self) {
        for line in &self.lines {
            line.call.fetch_or(BIT, Ordering::Release);
        }
    }

    /// The life of a member from a call until it leaves. At once over if its seat is not called.
    ///
    /// `wait` begins a wait for the next number; what it gives passes a moment each time, and says `false` when it is time
    /// to leave.
    pub(super) fn serve<W: FnMut() -> bool>(&self, seat: usize, mut wait: impl FnMut() -> W) {
        let (place, line) = (&self.seats[seat], &self.lines[seat / GROUP]);
        if place.presence.compare_exchange(CALLED, HERE, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return;
        }
        self.away.fetch_sub(1, Ordering::Relaxed);
        let mut seen = place.word.load(Ordering::Relaxed) >> 1;
        let mut waits = wait();
        loop {
            let call = line.call.load(Ordering::Acquire);
            if call >> 1 != seen {
                seen = call >> 1;
                self.take_part(seat, seen);
                waits = wait();
            } else if call & BIT != 0 || !waits() {
                if self.leave(seat, seen) {
                    return;
                }
                waits = wait();
            }
        }
    }

    /// Comes to run `number` and goes through it, unless the seat is barred.
    fn take_part(&self, seat: usize, number: u64) {
        let (place, line) = (&self.seats[seat], &self.lines[seat / GROUP]);
        let (absent, begun) = ((number - 1) << 1, number << 1 | BIT);
        if place.word.compare_exchange(absent, begun, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return;
        }
        // SAFETY: the word is *begun*, so the leader neither writes the job nor leaves the frame in which the body lives. The
        // number was written after the job and has been read (acquire) before.
        line.job.with(|job| unsafe {
            if let Some(Job(body)) = *job {
                (*body)(seat);
            }
        });
        place.word.store(number << 1, Ordering::Release);
    }

    /// Whether the member is away now; not if it has been given something to do meanwhile.
    fn leave(&self, seat: usize, seen: u64) -> bool {
        let (place, line) = (&self.seats[seat], &self.lines[seat / GROUP]);
        self.away.fetch_add(1, Ordering::Relaxed);
        place.presence.store(AWAY, Ordering::Release);
        fence(Ordering::SeqCst); // pairs with the one in `call_who_is_away`
        let call = line.call.load(Ordering::Relaxed);
        if call >> 1 == seen {
            return true;
        }
        // If it is called already, whoever does that begins its next life.
        let back = place.presence.compare_exchange(AWAY, HERE, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if back {
            self.away.fetch_sub(1, Ordering::Relaxed);
        }
        !back
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
