//! A step of the heat equation on 2,048² cells, beside the same arithmetic in two loops on one thread and in rayon's rows on
//! two.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use physalia_apps::stencil::heat::{Heat, Start};
use physalia_benches::in_job;
use rayon::prelude::*;

const N: usize = 2048;
const STEPS: usize = 50;
const ROW: usize = N + 2;

/// The middle row's new values from three rows with a cell of boundary at each end.
fn row([below, here, above]: [&[f64]; 3], r: f64, out: &mut [f64]) {
    let bend = |a: f64, b: f64, c: f64| (a - b) + (c - b);
    for x in 1..=N {
        out[x] = here[x] + (r * bend(here[x - 1], here[x], here[x + 1]) + r * bend(below[x], here[x], above[x]));
    }
}

fn rows(u: &[f64], y: usize) -> [&[f64]; 3] {
    std::array::from_fn(|i| &u[(y + i - 1) * ROW..(y + i) * ROW])
}

fn heat(c: &mut Criterion) {
    let heat = Heat::new([N as u64; 2], 1.0, None).expect("a simulation");
    let r = heat.dt() * (N as f64 + 1.0).powi(2);
    let mut group = c.benchmark_group("heat 2048 x 2048, 50 steps");
    group.sample_size(10).throughput(Throughput::Elements((N * N * STEPS) as u64));

    let (mut u, mut next) = (vec![0.5; ROW * ROW], vec![0.0; ROW * ROW]);
    group.bench_function("plain loops, one thread", |b| {
        b.iter(|| {
            for _ in 0..STEPS {
                for y in 1..=N {
                    row(rows(&u, y), r, &mut next[y * ROW..(y + 1) * ROW]);
                }
                std::mem::swap(&mut u, &mut next);
            }
        });
    });
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("a pool");
    group.bench_function("rayon's rows, two threads", |b| {
        b.iter(|| {
            for _ in 0..STEPS {
                let u = &u;
                pool.install(|| {
                    let lines = next.par_chunks_mut(ROW).enumerate().skip(1).take(N);
                    lines.for_each(|(y, out)| row(rows(u, y), r, out));
                });
            }
        });
    });
    for (name, ranks, threads) in [("ours, one thread", 1, 1), ("ours, two threads", 1, 2), ("ours, two ranks", 2, 1)] {
        group.bench_function(name, |b| {
            b.iter_custom(|n| {
                in_job(
                    ranks,
                    threads,
                    n,
                    |world| Ok(heat.start::<f64>(world, Start::Random(1))?),
                    |world, u| heat.advance(world, u, STEPS as u64),
                )
            });
        });
    }
    group.finish();
}

criterion_group!(benches, heat);
criterion_main!(benches);
