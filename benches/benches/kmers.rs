//! Counting the 31-mers of the demonstration's reads, beside one hash map of texts.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use physalia_apps::demo;
use physalia_apps::genomics::count::{Options, count};
use physalia_benches::in_job;

fn kmers(c: &mut Criterion) {
    let text = demo::reads(1);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("reads.fq");
    std::fs::write(&path, &text).expect("a file");
    let options = Options::new(31, vec![path]);
    let mut group = c.benchmark_group("31-mers of 1.8 M bases");
    group.sample_size(10).throughput(Throughput::Elements(1_800_000));
    group.bench_function("one hash map of texts", |b| b.iter(|| demo::plain_histogram(&text, 31)));
    for (name, ranks, threads) in [("ours, one thread", 1, 1), ("ours, two threads", 1, 2), ("ours, two ranks", 2, 1)] {
        group.bench_function(name, |b| {
            b.iter_custom(|n| in_job(ranks, threads, n, |_| Ok(()), |world, ()| count(world, &options).map(drop)));
        });
    }
    group.finish();
}

criterion_group!(benches, kmers);
criterion_main!(benches);
