//! The pool on threads. Workers are pinned to no core, so that there may be more of them than the machine has.

use super::*;
use crate::World;
use physalia_topology::{PlanDomain, Worker};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

/// A plan of domains with so many workers each.
fn plan(workers: &[usize]) -> Plan {
    let mut plan = World::alone().plan().clone();
    let domain = |node: usize| PlanDomain { nodes: vec![node as u32], ..plan.domains[0].clone() };
    let worker = |domain| Worker { domain, ..plan.workers[0].clone() };
    let domains = (0..workers.len()).map(domain).collect();
    plan.workers = workers.iter().enumerate().flat_map(|(d, &n)| (0..n).map(move |_| worker(d))).collect();
    plan.domains = domains;
    plan.pinned = true; // as if every worker had a core
    plan
}

/// Runs `f` with a pool, on a thread of its own, which is worker 0.
fn with<R: Send>(workers: &[usize], idle: Idle, f: impl FnOnce(&Pool) -> R + Send) -> R {
    // A world makes the thread that it is on a worker of its own, so it is made here.
    let (plan, abort) = (plan(workers), World::alone().abort_flag());
    std::thread::scope(|scope| {
        let run = || f(&Pool::new(&plan, idle, abort).unwrap());
        scope.spawn(run).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

const SHAPES: [&[usize]; 6] = [&[1], &[2], &[4], &[1, 1], &[2, 3], &[1, 2, 1, 3]];
const IDLES: [Idle; 3] = [Idle::Auto, Idle::Spin, Idle::For(Duration::ZERO)];

#[test]
fn every_item_once() {
    for (shape, idle) in SHAPES.into_iter().flat_map(|shape| IDLES.map(|idle| (shape, idle))) {
        with(shape, idle, |pool| {
            for n in [0, 1, 2, 3, 7, 100, 5000] {
                let times: Vec<AtomicUsize> = (0..n).map(|_| AtomicUsize::new(0)).collect();
                pool.each((0..n).collect(), |i, item: usize| {
                    assert_eq!(i, item);
                    times[i].fetch_add(1, Ordering::Relaxed);
                });
                assert!(times.iter().all(|t| t.load(Ordering::Relaxed) == 1), "{shape:?} {idle:?} {n}");
            }
        });
    }
}

#[test]
fn many_short_loops() {
    for idle in IDLES {
        with(&[2, 2], idle, |pool| {
            let sum = AtomicUsize::new(0);
            let loops = if idle == Idle::Auto { 20_000 } else { 2_000 };
            for i in 0..loops {
                pool.each(vec![i; 4], |_, i| {
                    sum.fetch_add(i, Ordering::Relaxed);
                });
            }
            assert_eq!(sum.into_inner(), 4 * loops * (loops - 1) / 2);
        });
    }
}

#[test]
fn only_the_home_where_only_it_may() {
    with(&[2, 1, 2], Idle::Auto, |pool| {
        for round in 0..20 {
            // Also when a domain's workers are asleep, and when one domain has all or nothing.
            for cuts in [[0, 40, 60, 100], [0, 0, 0, 100], [0, 0, 100, 100], [0, 100, 100, 100]] {
                pool.each_at(vec![(); 100], &cuts, Rule::HomeOnly, |i, ()| {
                    let domain = domain_here().unwrap();
                    assert!((cuts[domain]..cuts[domain + 1]).contains(&i), "item {i} in domain {domain}: {cuts:?}");
                    assert!(pool.workers_of(domain).contains(&worker_here().unwrap()));
                });
            }
            if round % 5 == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    });
}

#[test]
fn help_comes_to_who_is_behind() {
    with(&[1, 1], Idle::Auto, |pool| {
        let by: Vec<AtomicUsize> = (0..2).map(|_| AtomicUsize::new(0)).collect();
        pool.each_at(vec![(); 200], &[0, 200, 200], Rule::HomeFirst, |_, ()| {
            by[domain_here().unwrap()].fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_micros(200));
        });
        let by: Vec<usize> = by.into_iter().map(AtomicUsize::into_inner).collect();
        assert!(by[0] + by[1] == 200 && by[1] > 20, "{by:?}");
    });
}

#[test]
fn a_panic_travels_and_the_pool_goes_on() {
    struct Counted<'c>(&'c AtomicUsize);
    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    for (shape, culprit) in [(&[1usize][..], 0), (&[3], 0), (&[3], 99), (&[1, 2], 50)] {
        with(shape, Idle::Auto, |pool| {
            for _ in 0..20 {
                let (begun, dropped) = (AtomicUsize::new(0), AtomicUsize::new(0));
                let items = (0..100).map(|_| Counted(&dropped)).collect();
                let panic = catch_unwind(AssertUnwindSafe(|| {
                    pool.each(items, |i, _item| {
                        begun.fetch_add(1, Ordering::Relaxed);
                        assert!(i != culprit, "item {i} is bad");
                        std::thread::sleep(Duration::from_micros(50));
                    });
                }));
                let message = panic.unwrap_err();
                assert_eq!(message.downcast_ref::<String>(), Some(&format!("item {culprit} is bad")));
                assert_eq!(dropped.into_inner(), 100, "items that were lost");
                let done = AtomicUsize::new(0);
                pool.each(vec![(); 50], |_, ()| {
                    done.fetch_add(1, Ordering::Relaxed);
                });
                assert_eq!(done.into_inner(), 50);
            }
        });
    }
}

#[test]
fn rayon_within_a_chunk_stays_in_the_domain() {
    with(&[2, 3], Idle::Auto, |pool| {
        pool.each(vec![(); 40], |_, ()| {
            let domain = domain_here().unwrap();
            assert_eq!(workers_here(), pool.workers_of(domain).len());
            let homes: HashSet<Option<usize>> = (0..64).into_par_iter().map(|_| domain_here()).collect();
            assert_eq!(homes, HashSet::from([Some(domain)]));
            let (a, b) = rayon::join(domain_here, domain_here);
            assert_eq!((a, b), (Some(domain), Some(domain)));
        });
    });
}

#[test]
fn idle_mates_help_with_rayon_within_a_chunk() {
    for idle in IDLES {
        with(&[4], idle, |pool| {
            // The only chunk waits until another worker has come to its second half.
            let helper = AtomicUsize::new(usize::MAX);
            pool.each(vec![()], |_, ()| {
                let me = worker_here().unwrap();
                let wait = || {
                    while helper.load(Ordering::Acquire) == usize::MAX {
                        std::thread::yield_now();
                    }
                };
                let help = || helper.store(worker_here().unwrap(), Ordering::Release);
                rayon::join(wait, help);
                assert_ne!(helper.load(Ordering::Acquire), me);
            });
        });
    }
}

#[test]
fn a_loop_within_a_chunk_goes_the_same_way() {
    for shape in SHAPES {
        with(shape, Idle::Auto, |pool| {
            let times = AtomicUsize::new(0);
            pool.each(vec![(); 10], |_, ()| {
                pool.each((0..20).collect(), |i, item: usize| {
                    assert_eq!(i, item);
                    times.fetch_add(1, Ordering::Relaxed);
                });
                assert_eq!(pool.local(|| 7), 7);
            });
            assert_eq!(times.into_inner(), 200, "{shape:?}");
        });
    }
}

#[test]
fn rayon_has_all_workers() {
    for shape in SHAPES {
        with(shape, Idle::Auto, |pool| {
            for _ in 0..3 {
                assert_eq!(pool.local(workers_here), pool.threads());
                assert_eq!(pool.local(|| (0..1000u64).into_par_iter().sum::<u64>()), 499_500);
                pool.each(vec![(); 9], |_, ()| ()); // and back
            }
            let panic = catch_unwind(AssertUnwindSafe(|| pool.local(|| panic!("within rayon"))));
            assert_eq!(panic.unwrap_err().downcast_ref::<&str>(), Some(&"within rayon"));
        });
    }
}

#[test]
fn strangers_are_refused() {
    with(&[2], Idle::Auto, |pool| {
        std::thread::scope(|scope| {
            let stranger = scope.spawn(|| pool.each(vec![1, 2], |_, _| ()));
            let why = stranger.join().unwrap_err();
            assert!(why.downcast_ref::<&str>().is_some_and(|why| why.contains("not the rank's")));
        });
    });
}

#[test]
fn a_thread_has_one_crew_of_a_shape() {
    with(&[2, 2], Idle::Auto, |pool| {
        let again = Pool::new(&plan(&[2, 2]), Idle::Auto, pool.abort.clone()).unwrap();
        assert!(Arc::ptr_eq(&pool.crew, &again.crew));
        // Another shape has other threads, of which this one cannot be a part: it leads them all the same.
        let other = Pool::new(&plan(&[1, 2]), Idle::Auto, pool.abort.clone()).unwrap();
        assert!(!Arc::ptr_eq(&pool.crew, &other.crew));
        let done = AtomicUsize::new(0);
        other.each(vec![(); 100], |_, ()| {
            done.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!((done.into_inner(), other.local(workers_here)), (100, 3));
    });
}

#[test]
#[cfg(target_os = "linux")]
fn workers_that_spin_end_with_their_rank() {
    let tasks = |ids: &[i32]| {
        let there = |id: &&i32| std::path::Path::new(&format!("/proc/self/task/{id}")).exists();
        ids.iter().filter(there).count()
    };
    let ids = with(&[2, 2], Idle::Spin, |pool| {
        let ids = Mutex::new(HashSet::new());
        let note = || {
            ids.lock().unwrap().insert(std::fs::read_link("/proc/thread-self").unwrap());
        };
        while ids.lock().unwrap().len() < 4 {
            pool.each(vec![(); 100], |_, ()| note());
        }
        pool.local(|| rayon::broadcast(|_| note()));
        ids.into_inner().unwrap()
    });
    let ids: Vec<i32> = ids.iter().map(|task| task.file_name().unwrap().to_str().unwrap().parse().unwrap()).collect();
    assert_eq!(ids.len(), 8);
    while tasks(&ids) > 0 {
        std::thread::sleep(Duration::from_millis(1)); // a worker that outlives its rank would be waited for without end
    }
}
