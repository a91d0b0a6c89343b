//! `all_reduce` and `barrier` among threads of one process: latency of a number, throughput of a megabyte.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use physalia::prelude::*;
use physalia_benches::in_job;

fn small(c: &mut Criterion) {
    let mut group = c.benchmark_group("all_reduce of one f64");
    for ranks in [1, 2, 4, 8] {
        group.bench_function(BenchmarkId::from_parameter(ranks), |b| {
            let reduce = |world: &mut World, x: &mut f64| {
                *x = world.all_reduce(*x, Max)?;
                Ok(())
            };
            b.iter_custom(|n| in_job(ranks, 1, n, |_| Ok(1.0), reduce));
        });
    }
    group.finish();
    let mut group = c.benchmark_group("barrier");
    for ranks in [2, 4, 8] {
        group.bench_function(BenchmarkId::from_parameter(ranks), |b| {
            b.iter_custom(|n| in_job(ranks, 1, n, |_| Ok(()), |world, ()| Ok(world.barrier()?)));
        });
    }
    group.finish();
}

fn large(c: &mut Criterion) {
    const LEN: usize = 1 << 17;
    let mut group = c.benchmark_group("all_reduce of 1 MiB");
    group.sample_size(20).throughput(Throughput::Bytes(LEN as u64 * 8));
    for ranks in [2, 4] {
        group.bench_function(BenchmarkId::from_parameter(ranks), |b| {
            let make = |_: &mut World| Ok(vec![1.0f64; LEN]);
            b.iter_custom(|n| in_job(ranks, 1, n, make, |world, buf| Ok(world.all_reduce_into(buf, Max)?)));
        });
    }
    group.finish();
}

criterion_group!(benches, small, large);
criterion_main!(benches);
