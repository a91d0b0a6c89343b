//! `par(..).sum()` over 2^27 numbers in memory, beside plain sums: `iter().sum()` on one thread, rayon's `sum` on two. The
//! plain ones add from left to right, bound by the chain of additions; ours in eight lanes, bound by memory.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use physalia::prelude::*;
use physalia_benches::in_job;
use rayon::prelude::*;
use std::hint::black_box;

const LEN: u64 = 1 << 27;

fn sums(c: &mut Criterion) {
    let random = Random::new(1);
    let numbers: Vec<f64> = (0..LEN).map(|i| random.unit(i) - 0.5).collect();
    let numbers = numbers.as_slice();
    let mut group = c.benchmark_group("sum of 2^27 f64 from memory");
    group.sample_size(10).throughput(Throughput::Bytes(LEN * 8));
    group.bench_function("plain, one thread", |b| b.iter(|| black_box(numbers).iter().sum::<f64>()));
    let ours = |world: &mut World, (): &mut ()| {
        black_box(world.par(0..LEN).map(|i| numbers[i as usize]).sum()?);
        Ok(())
    };
    group.bench_function("ours, one thread", |b| b.iter_custom(|n| in_job(1, 1, n, |_| Ok(()), ours)));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("a pool");
    group.bench_function("rayon, two threads", |b| {
        b.iter(|| pool.install(|| black_box(numbers).par_iter().sum::<f64>()));
    });
    group.bench_function("ours, two threads", |b| b.iter_custom(|n| in_job(1, 2, n, |_| Ok(()), ours)));
    group.bench_function("ours, two ranks", |b| b.iter_custom(|n| in_job(2, 1, n, |_| Ok(()), ours)));
    group.finish();
}

criterion_group!(benches, sums);
criterion_main!(benches);
