//! Models of what ranks of one process share without a lock: the real code of loans, of the board and of `threads`, run by
//! loom, which tries the orders in which a few threads can go, and the old values that weak memory lets them see.
//! `tests/models` runs them, and also runs them with one line of the real code changed, when each must fail.

use super::board::{Board, Heap, LINES, Stamp};
use super::loan::Loan;
use super::memory::span_of;
use super::sync::yield_now;
use super::threads::Job;
use super::{Call, Key, Payload, Pulled, Want};
use crate::check::Print;
use crate::failure::{Abort, Cause};
use crate::job::Threads;
use crate::level::Level;
use crate::ops::Sum;
use crate::stall::Stall;
use loom::cell::UnsafeCell;
use loom::thread;
use std::panic::Location;
use std::sync::Arc;

/// So many times at most a thread is stopped where it could go on. (The mutants all fail with one or two.)
const PREEMPTIONS: usize = 4;

fn check(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 100_000;
    builder.check(model);
}

#[track_caller]
fn print(what: &'static str) -> Print {
    Print::new::<u8>(what, [0; 2], Location::caller())
}

/// A member that another thread will be. `Board` is `!Send` because one thread at a time has it.
struct Member(Board);

// SAFETY: it is moved before it is used.
unsafe impl Send for Member {}

fn members(of: usize) -> Vec<Member> {
    let heap = Arc::new(Heap::new(of));
    (0..of).map(|me| Member(Board::new(Box::new(heap.clone()), of, me))).collect()
}

fn stamp(step: u64) -> Stamp {
    Stamp { step, print: 7, rolling: step << 40 }
}

fn ended() -> Abort {
    Abort::new(Cause::Failed { rank: 0, host: "here".into(), message: "enough".into() })
}

/// Lent memory, and a cell that stands for it: reads and writes of it that nothing orders are found.
struct Lent {
    loan: Loan,
    memory: UnsafeCell<u64>,
}

// SAFETY: loom looks after the cell.
unsafe impl Sync for Lent {}

impl Lent {
    fn new() -> Arc<Lent> {
        Arc::new(Lent { loan: Loan::new(span_of(&[])), memory: UnsafeCell::new(1) })
    }

    /// The receiver: whether it has the value.
    fn copy(&self) -> bool {
        let Some(claim) = self.loan.claim() else { return false };
        // SAFETY: claimed.
        let value = self.memory.with(|memory| unsafe { *memory });
        assert_eq!(value, 1, "a copy of freed memory");
        drop(claim);
        true
    }

    /// The owner has it back.
    fn free(&self) {
        // SAFETY: returned or withdrawn.
        self.memory.with_mut(|memory| unsafe { *memory = 2 });
    }
}

/// Either the receiver misses the loan and the sender knows of it, or it has a whole copy, which the sender waits for.
#[test]
fn a_loan_is_copied_or_withdrawn() {
    check(None, || {
        let lent = Lent::new();
        let receiver = thread::spawn({
            let lent = lent.clone();
            move || lent.copy()
        });
        let missed = lent.loan.withdraw();
        lent.free();
        assert_eq!(receiver.join().unwrap(), !missed);
    });
}

#[test]
fn a_returned_loan_is_the_owners() {
    check(None, || {
        let lent = Lent::new();
        let receiver = thread::spawn({
            let lent = lent.clone();
            move || lent.copy()
        });
        while !lent.loan.returned() {
            yield_now();
        }
        lent.free();
        assert!(receiver.join().unwrap());
    });
}

/// What is posted is whole where its stamp is seen, and is not overwritten before its readers are through: in lines and, as
/// the longer content is, in slots.
fn posts_and_reads<const LEN: usize>(steps: u64) {
    check(Some(PREEMPTIONS), move || {
        let mut members = members(2);
        let (reader, poster) = (members.pop().unwrap(), members.pop().unwrap());
        let posting = thread::spawn(move || {
            let Member(board) = { poster };
            for step in 1..=steps {
                while !board.free(Board::needed(step, LEN)) {
                    yield_now();
                }
                board.post(stamp(step), step * 3, &[&[step as u8; LEN]]);
            }
        });
        let Member(board) = reader;
        for step in 1..=steps {
            while !board.posted(0, stamp(step)).is_ok_and(|there| there) {
                yield_now();
            }
            let mut into = [0u8; LEN];
            board.load((0, step, LEN, 0), &mut into, LEN);
            assert_eq!((into, board.total(0, step)), ([step as u8; LEN], step * 3));
            board.done(step);
        }
        posting.join().unwrap();
    });
}

#[test]
fn lines_are_whole_and_used_again() {
    posts_and_reads::<8>(LINES + 1);
}

#[test]
fn slots_are_whole_and_used_again() {
    posts_and_reads::<64>(2);
}

/// Who naps is rung by what it naps for: a lost wakeup is a deadlock, or the proof that all wait.
#[test]
fn no_wakeup_is_lost() {
    check(Some(PREEMPTIONS), || {
        let job = Job::new(2, false, Stall::default());
        let [poster, sleeper] = [0, 1].map(|me| Member(job.board(me).unwrap()));
        let posting = thread::spawn({
            let job = job.clone();
            move || {
                let Member(board) = { poster };
                board.post(stamp(1), 0, &[&[1; 8]]);
                job.posted(&board);
            }
        });
        let Member(board) = sleeper;
        let call = Call { comm: 1, seq: 0, print: print("nap"), rolling: 0 };
        loop {
            let seen = job.epoch(1);
            let _nap = board.nap(0);
            if board.posted(0, stamp(1)).is_ok_and(|there| there) {
                break;
            }
            job.wait(1, seen, &call).unwrap();
        }
        posting.join().unwrap();
    });
}

/// The same the other way around: the poster naps until its reader is through.
#[test]
fn who_waits_for_a_place_is_woken() {
    check(Some(PREEMPTIONS), || {
        let job = Job::new(2, false, Stall::default());
        let [poster, reader] = [0, 1].map(|me| Member(job.board(me).unwrap()));
        let reading = thread::spawn({
            let job = job.clone();
            move || {
                let Member(board) = { reader };
                board.done(1);
                job.posted(&board);
            }
        });
        let Member(board) = poster;
        let call = Call { comm: 1, seq: 0, print: print("place"), rolling: 0 };
        loop {
            let seen = job.epoch(0);
            let _nap = board.nap(1);
            if board.free(1) {
                break;
            }
            job.wait(0, seen, &call).unwrap();
        }
        reading.join().unwrap();
    });
}

/// A message, short or lent, wakes its receiver, and its return the sender.
#[test]
fn messages_wake_and_return() {
    check(Some(PREEMPTIONS), || {
        let job = Job::new(2, false, Stall::default());
        let call = Call { comm: 1, seq: 0, print: print("message"), rolling: 0 };
        let sender = thread::spawn({
            let job = job.clone();
            move || {
                let bytes = [5u8; 5000];
                job.post(0, 1, 0, &call, Payload::Owned(vec![3]));
                let ticket = job.post(0, 1, 2, &call, Payload::Lent(span_of(&bytes))).unwrap();
                #[allow(irrefutable_let_patterns)] // with MPI there are others
                let super::Ticket::Thread(loan) = &ticket else { unreachable!() };
                loop {
                    let seen = job.epoch(0);
                    if loan.returned() {
                        break;
                    }
                    job.wait(0, seen, &call).unwrap();
                }
            }
        });
        for (tag, len, byte) in [(0, 1, 3), (2, 5000, 5)] {
            let key = Key { comm: 1, seq: 0, tag, from: 0 };
            loop {
                let seen = job.epoch(1);
                if let Pulled::Bytes(bytes) = job.pull(1, &key, Want::Any, &call) {
                    assert_eq!((bytes.len(), bytes[0]), (len, byte));
                    break;
                }
                job.wait(1, seen, &call).unwrap();
            }
        }
        sender.join().unwrap();
    });
}

/// Who waits when the job ends is woken; and nobody takes a result that was posted after the flag went up.
#[test]
fn an_abort_wakes_and_goes_before() {
    check(Some(PREEMPTIONS), || {
        let job = Job::new(2, false, Stall::default());
        let [failing, other] = [0, 1].map(|me| Member(job.board(me).unwrap()));
        let call = Call { comm: 1, seq: 0, print: print("abort"), rolling: 0 };
        let failed = thread::spawn({
            let job = job.clone();
            move || {
                let Member(board) = { failing };
                job.abort(ended());
                board.post(stamp(1), 0, &[]);
            }
        });
        let Member(board) = other;
        if board.posted(0, stamp(1)).is_ok_and(|there| there) {
            assert!(job.enter_posting(&call).is_err());
        }
        let woken = loop {
            let seen = job.epoch(1);
            if let Err(abort) = job.wait(1, seen, &call) {
                break abort;
            }
        };
        assert!(woken.to_string().contains("enough"), "{woken}");
        failed.join().unwrap();
    });
}

/// A text is read whole or not at all, though its place is written again meanwhile, at last with the same.
#[test]
fn texts_of_calls_are_whole() {
    check(Some(2), || {
        let mut members = members(2);
        let (reader, writer) = (members.pop().unwrap(), members.pop().unwrap());
        let (one, two) = (print("aaaaaaaaaaaaaaaaaaaaaaaa"), print("bbbbbbbbbbbbbbbbbbbbbbbb"));
        let writing = thread::spawn(move || {
            let Member(board) = { writer };
            [one, two, one].iter().for_each(|print| board.begin(print));
        });
        let Member(board) = reader;
        for (print, letter) in [(one, "a"), (two, "b")] {
            if let Some(text) = board.told(0, print.hash()) {
                assert_eq!(text, letter.repeat(16));
            }
        }
        writing.join().unwrap();
    });
}

/// All of it, from the handle of the communicator down, on so many ranks.
fn collectives(ranks: u32, preemptions: usize, body: impl Fn(&mut crate::Comm) + Copy + Send + Sync + 'static) {
    check(Some(preemptions), move || {
        let job = Threads::new(ranks, false, Stall::default(), Level::Light);
        let rank = |rank: u32| {
            let job = job.clone();
            move || body(&mut job.keeper(rank).comm())
        };
        let others: Vec<_> = (1..ranks).map(|r| thread::spawn(rank(r))).collect();
        rank(0)();
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}

#[test]
fn two_ranks_meet_and_reduce() {
    collectives(2, 2, |comm| {
        comm.barrier().unwrap();
        assert_eq!(comm.all_reduce(u64::from(comm.rank()) + 1, Sum).unwrap(), 3);
    });
}

#[test]
fn three_ranks_meet() {
    collectives(3, 2, |comm| comm.barrier().unwrap());
}

/// A root that is ahead waits for two readers, of which one may be through before it naps.
#[test]
fn a_root_waits_for_both_readers() {
    collectives(3, 1, |comm| {
        for round in 0..=LINES {
            let mine = if comm.rank() == 0 { round } else { 99 };
            assert_eq!(comm.broadcast(0, mine).unwrap(), round);
        }
    });
}
