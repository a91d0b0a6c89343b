//! A team of plain threads: bodies live and end as they must, whoever is late, leaves or panics.

use super::*;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// A team whose members are plain threads, which sleep until they are called.
struct Threads {
    team: Team<()>,
    calls: Vec<Mutex<Sender<()>>>,
}

fn with(members: usize, looks: usize, f: impl FnOnce(&Threads)) {
    let (calls, bells): (Vec<_>, Vec<Receiver<()>>) = (0..=members).map(|_| channel()).unzip();
    let calls = calls.into_iter().map(Mutex::new).collect();
    let threads = Threads { team: Team::new(members, || ()), calls };
    thread::scope(|scope| {
        let team = &threads.team;
        for (seat, bell) in bells.into_iter().enumerate() {
            scope.spawn(move || {
                for () in bell {
                    team.serve(seat, || {
                        let mut left = looks;
                        move || {
                            thread::yield_now();
                            left -= 1;
                            left > 0
                        }
                    });
                }
            });
        }
        let ended = catch_unwind(AssertUnwindSafe(|| f(&threads)));
        team.rest();
        threads.calls.iter().for_each(|call| *call.lock().unwrap() = channel().0); // no bell rings any more
        ended.unwrap_or_else(|panic| resume_unwind(panic));
    });
}

impl Threads {
    fn run(&self, body: impl Fn(usize) + Sync, must_come: bool) {
        let call = |seats: &[usize]| seats.iter().for_each(|&s| self.calls[s].lock().unwrap().send(()).unwrap());
        self.team.run(&body, call, |_| must_come, thread::yield_now);
    }
}

#[test]
fn bodies_on_the_leaders_stack() {
    let runs = if cfg!(miri) { 10 } else { 2_000 };
    for (members, looks) in [(0, 1), (1, 1), (3, 2), (3, 1_000), (20, 50)] {
        with(members, looks, |threads| {
            for run in 0..runs {
                let must_come = run % 3 == 0;
                let came: Vec<AtomicUsize> = (0..=members).map(|_| AtomicUsize::new(0)).collect();
                let come = |seat: usize| {
                    came[seat].fetch_add(1, Ordering::Relaxed);
                };
                threads.run(come, must_come);
                let came: Vec<usize> = came.into_iter().map(AtomicUsize::into_inner).collect();
                assert!(came[0] == 1 && came.iter().all(|&times| times <= 1), "{came:?}");
                assert!(!must_come || came.iter().all(|&times| times == 1), "{came:?}");
                if run % 50 == 0 {
                    threads.team.rest();
                }
            }
        });
    }
}

#[test]
fn panics_wait_for_the_others() {
    with(2, 100, |threads| {
        for culprit in [0, 1, 2, 0, 2] {
            let done = AtomicUsize::new(0);
            let ended = catch_unwind(AssertUnwindSafe(|| {
                threads.run(
                    |seat| {
                        assert!(seat != culprit, "seat {seat}");
                        thread::yield_now();
                        done.fetch_add(1, Ordering::Relaxed);
                    },
                    true,
                );
            }));
            assert_eq!(ended.unwrap_err().downcast_ref::<String>(), Some(&format!("seat {culprit}")));
            assert_eq!(done.into_inner(), 2);
        }
    });
}

/// What a panic carries may panic when it is dropped: only one is carried on, and the others are not dropped.
#[test]
fn panics_that_panic_again() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !thread::panicking() {
                panic!("dropped");
            }
        }
    }
    with(3, 100, |threads| {
        for _ in 0..5 {
            let ended = catch_unwind(AssertUnwindSafe(|| threads.run(|_| std::panic::panic_any(Bomb), true)));
            std::mem::forget(ended.unwrap_err());
            let done = AtomicUsize::new(0);
            threads.run(
                |_| {
                    done.fetch_add(1, Ordering::Relaxed);
                },
                true,
            );
            assert_eq!(done.into_inner(), 4);
        }
    });
}

#[test]
fn a_panic_of_the_wait_waits_too() {
    with(1, 100, |threads| {
        let (waited, done) = (AtomicBool::new(false), AtomicUsize::new(0));
        let body = |seat: usize| {
            while seat == 1 && !waited.load(Ordering::Relaxed) {
                thread::yield_now();
            }
            done.fetch_add(seat, Ordering::Relaxed);
        };
        let pause = || {
            waited.store(true, Ordering::Relaxed);
            panic!("while waiting");
        };
        let call = |seats: &[usize]| seats.iter().for_each(|&s| threads.calls[s].lock().unwrap().send(()).unwrap());
        let run = || threads.team.run(&body, call, |_| true, pause);
        assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
        assert_eq!(done.load(Ordering::Relaxed), 1);
    });
}

#[test]
#[should_panic(expected = "run within itself")]
fn runs_do_not_nest() {
    with(0, 1, |threads| threads.run(|_| threads.run(|_| (), false), false));
}
