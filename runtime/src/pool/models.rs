//! Models of what workers share without a lock: the real code of queues and of the team, run by loom, which tries the orders in
//! which a few threads can go, and the old values that weak memory lets them see. `tests/models` runs them, and also runs
//! them with one line of the real code changed, when each must fail.

use super::queue::Queue;
use super::team::Team;
use loom::cell::UnsafeCell;
use loom::sync::{Condvar, Mutex};
use loom::thread;
use std::sync::Arc;

fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 400;
    builder.check(model);
}

/// Chunks: cells that stand for what is in them, so that reads and writes of them that nothing orders are found.
struct Chunks(Vec<UnsafeCell<u32>>);

// SAFETY: a chunk is touched by who has it; loom looks whether that is so.
unsafe impl Sync for Chunks {}
// SAFETY: as above.
unsafe impl Send for Chunks {}

impl Chunks {
    fn new(n: u32) -> Chunks {
        Chunks((0..n).map(|_| UnsafeCell::new(0)).collect())
    }

    fn take(&self, chunks: std::ops::Range<u32>) {
        for i in chunks {
            // SAFETY: whoever has taken it is alone with it.
            self.0[i as usize].with_mut(|times| unsafe { *times += 1 });
        }
    }

    fn each_was_taken(&self) {
        for chunk in &self.0 {
            // SAFETY: all threads are joined.
            assert_eq!(chunk.with(|times| unsafe { *times }), 1);
        }
    }
}

#[test]
fn every_chunk_is_taken_once() {
    check(3, || {
        let shared = Arc::new((Queue::empty(), Queue::empty(), Chunks::new(4)));
        shared.0.put(0..4);
        let thief = |most: u32| {
            let shared = shared.clone();
            move || {
                let (owners, thiefs, chunks) = &*shared;
                if let Some((stolen, _)) = owners.take_back(most) {
                    // The first is begun at once, the others wait, for whoever comes.
                    chunks.take(stolen.start..stolen.start + 1);
                    if stolen.len() > 1 {
                        thiefs.put(stolen.start + 1..stolen.end);
                    }
                }
                while let Some((mine, _)) = thiefs.take_front(1) {
                    chunks.take(mine);
                }
            }
        };
        let thief = thread::spawn(thief(2));
        let (owners, thiefs, chunks) = &*shared;
        while let Some((mine, _)) = owners.take_front(1).or_else(|| thiefs.take_back(1)) {
            chunks.take(mine);
        }
        thief.join().unwrap();
        while let Some((rest, _)) = thiefs.take_back(9) {
            chunks.take(rest);
        }
        chunks.each_was_taken();
    });
}

/// What a pool does for its team: threads that sleep, and serve when they are called.
struct Threads {
    team: Team<()>,
    /// By seat: whether it is called, or that all is over.
    calls: Vec<(Mutex<Option<bool>>, Condvar)>,
}

impl Threads {
    fn new(members: usize) -> Arc<Threads> {
        let calls = (0..=members).map(|_| (Mutex::new(None), Condvar::new())).collect();
        Arc::new(Threads { team: Team::new(members, || ()), calls })
    }

    /// A member's thread: serves while it is called. It leaves after so many looks.
    fn member(self: &Arc<Threads>, seat: usize, looks: usize) -> thread::JoinHandle<()> {
        let threads = self.clone();
        let called = move |threads: &Threads| {
            let (call, bell) = &threads.calls[seat];
            let mut call = call.lock().unwrap();
            loop {
                match call.take() {
                    Some(called) => return called,
                    None => call = bell.wait(call).unwrap(),
                }
            }
        };
        thread::spawn(move || {
            while called(&threads) {
                threads.team.serve(seat, || {
                    let mut left = looks;
                    move || {
                        left -= 1;
                        if left > 0 {
                            thread::yield_now();
                        }
                        left > 0
                    }
                });
            }
        })
    }

    fn tell(&self, seat: usize, called: bool) {
        let (call, bell) = &self.calls[seat];
        *call.lock().unwrap() = Some(called);
        bell.notify_one();
    }

    fn run(&self, body: &(dyn Fn(usize) + Sync), must_come: bool) {
        let call = |seats: &[usize]| seats.iter().for_each(|&seat| self.tell(seat, true));
        self.team.run(body, call, |_| must_come, thread::yield_now);
    }

    fn end(&self, members: Vec<thread::JoinHandle<()>>) {
        (1..self.calls.len()).for_each(|seat| self.tell(seat, false));
        members.into_iter().for_each(|member| member.join().unwrap());
    }
}

/// Cells in the leader's frame, one for each seat.
struct Frame(Vec<UnsafeCell<u32>>);

// SAFETY: each seat writes its own, the leader reads them when the run is over; loom looks whether that is so.
unsafe impl Sync for Frame {}

impl Frame {
    fn new(seats: usize) -> Frame {
        Frame((0..seats).map(|_| UnsafeCell::new(0)).collect())
    }

    fn write(&self, seat: usize, value: u32) {
        // SAFETY: as said above.
        self.0[seat].with_mut(|cell| unsafe { *cell = value });
    }

    fn read(&self, seat: usize) -> u32 {
        // SAFETY: as said above.
        self.0[seat].with(|cell| unsafe { *cell })
    }
}

/// `runs` runs of a team; each body lives in a frame of its own, which is gone afterwards.
fn runs(members: usize, looks: usize, runs: u32, must_come: bool, preemptions: usize) {
    check(preemptions, move || {
        let threads = Threads::new(members);
        let others: Vec<_> = (1..=members).map(|seat| threads.member(seat, looks)).collect();
        for run in 1..=runs {
            let frame = Frame::new(members + 1);
            threads.run(&|seat| frame.write(seat, run), must_come);
            let came = (0..=members).filter(|&seat| frame.read(seat) == run).count();
            assert!(frame.read(0) == run && (!must_come || came == members + 1), "{came} in run {run}");
        }
        threads.end(others);
    });
}

#[test]
fn a_body_is_only_run_while_it_lives() {
    runs(1, 2, 2, false, 3);
}

#[test]
fn who_must_come_comes() {
    runs(1, 1, 2, true, 3);
}

#[test]
fn two_members() {
    runs(2, 1, 1, true, 2);
}

#[test]
fn who_is_sent_away_comes_back() {
    check(3, || {
        let threads = Threads::new(1);
        let others = vec![threads.member(1, 2)];
        for run in 1..=2 {
            let frame = Frame::new(2);
            threads.run(&|seat| frame.write(seat, run), true);
            assert_eq!((frame.read(0), frame.read(1)), (run, run));
            threads.team.rest();
        }
        threads.end(others);
    });
}
