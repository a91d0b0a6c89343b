//! What else there is for a parallel region in one process.

use crate::openmp::OpenMp;
use crate::{BEFORE, Body, REGIONS, batch};
use physalia::prelude::*;
use physalia::topology::{CpuSet, sys};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// Where threads belong.
#[derive(Clone, Debug)]
pub struct Cores {
    /// Where a thread may run that nobody has pinned. A new thread has its maker's place, and a rank's thread is pinned.
    all: Option<CpuSet>,
    /// By worker.
    workers: Vec<Option<u32>>,
}

impl Cores {
    /// Asked before the first rank is there.
    pub fn new() -> Cores {
        Cores { all: sys::affinity().ok(), workers: Vec::new() }
    }

    /// The cores of this world's workers.
    pub fn of(&self, world: &World) -> Cores {
        Cores { all: self.all.clone(), workers: world.plan().workers.iter().map(|w| w.core).collect() }
    }

    /// By worker: the core that it is pinned to.
    pub fn workers(&self) -> &[Option<u32>] {
        &self.workers
    }

    /// This thread is this worker now.
    fn take(&self, worker: usize) {
        let place = self.workers[worker].map(|core| CpuSet::from_iter([core])).or_else(|| self.all.clone());
        place.map(|cpus| sys::set_affinity(&cpus).ok());
    }

    /// Runs `f` on a thread that nobody has pinned.
    pub fn outside<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        std::thread::scope(|scope| {
            let free = scope.spawn(|| {
                self.all.as_ref().map(|cpus| sys::set_affinity(cpus).ok());
                f()
            });
            free.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

/// Another way to a parallel region.
pub struct Peer<'a> {
    /// As it is printed.
    pub name: &'static str,
    run: Box<dyn FnMut(Body) -> Outcome<f64> + 'a>,
}

impl<'a> Peer<'a> {
    fn new(name: &'static str, mut run: impl FnMut(Body) -> f64 + 'a) -> Peer<'a> {
        Peer { name, run: Box::new(move |body| Ok(run(body))) }
    }

    /// Microseconds a region of a batch.
    pub fn batch(&mut self, body: Body) -> Outcome<f64> {
        (self.run)(body)
    }
}

/// All of them.
pub fn all<'a>(cores: &'a Cores, openmp: Option<&'a OpenMp>) -> Outcome<Vec<Peer<'a>>> {
    let n = cores.workers.len();
    let pool = || {
        let places = cores.clone();
        rayon::ThreadPoolBuilder::new().num_threads(n).start_handler(move |worker| places.take(worker)).build()
    };
    let (from_outside, inside) = (pool()?, pool()?);
    let another = pool()?;
    let mut peers = vec![
        Peer::new("rayon, install and join from outside", move |body| {
            cores.outside(|| batch(|| from_outside.install(|| joined(n, body))))
        }),
        Peer::new("rayon inside its pool, join", move |body| inside.install(|| batch(|| joined(n, body)))),
        Peer::new("rayon inside its pool, broadcast", move |body| {
            another.install(|| batch(|| drop(rayon::broadcast(|_| body.run()))))
        }),
        Peer::new("a team that spins", move |body| spinning(cores, body)),
        Peer::new("std::thread::scope", move |body| batch(|| scoped(cores, body))),
    ];
    for (name, policy) in [("gcc OpenMP, active", "active"), ("gcc OpenMP, passive", "passive")] {
        if let Some(openmp) = openmp {
            let run = move |body: Body| cores.outside(|| openmp.batch(cores, policy, body));
            peers.push(Peer { name, run: Box::new(run) });
        }
    }
    Ok(peers)
}

/// The body `n` times, by halves.
fn joined(n: usize, body: Body) {
    if n == 1 {
        body.run();
    } else {
        rayon::join(|| joined(n / 2, body), || joined(n - n / 2, body));
    }
}

/// As many threads as workers, this one among them; made and ended for each region.
fn scoped(cores: &Cores, body: Body) {
    std::thread::scope(|scope| {
        for worker in 1..cores.workers.len() {
            scope.spawn(move || {
                cores.take(worker);
                body.run();
            });
        }
        body.run();
    });
}

/// A team for one batch: the others look at the number of the region until it grows, the first one at the number of those
/// that are done.
fn spinning(cores: &Cores, body: Body) -> f64 {
    #[repr(align(128))]
    struct Line(AtomicU32);
    let others = cores.workers.len() as u32 - 1;
    let (begun, done) = (Line(AtomicU32::new(0)), Line(AtomicU32::new(0)));
    let until = |line: &Line, least: u32| {
        let mut looks = 0u32;
        while line.0.load(Ordering::Acquire) < least {
            looks += 1;
            // Where a core is shared, nothing happens before it is given away.
            if looks.is_multiple_of(10_000) { std::thread::yield_now() } else { std::hint::spin_loop() }
        }
    };
    std::thread::scope(|scope| {
        for worker in 1..cores.workers.len() {
            let (begun, done, until) = (&begun, &done, &until);
            scope.spawn(move || {
                cores.take(worker);
                for region in 1..=BEFORE + REGIONS {
                    until(begun, region);
                    body.run();
                    done.0.fetch_add(1, Ordering::Release);
                }
            });
        }
        let mut start = Instant::now();
        for region in 1..=BEFORE + REGIONS {
            if region == BEFORE + 1 {
                start = Instant::now();
            }
            begun.0.store(region, Ordering::Release);
            body.run();
            until(&done, region * others);
        }
        start.elapsed().as_secs_f64() * 1e6 / f64::from(REGIONS)
    })
}
