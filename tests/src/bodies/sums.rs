//! The same bits on any number of ranks and workers. What they must be, is computed by one serial loop here.

use crate::oracle::sums;
use crate::{Body, well};
use physalia::prelude::*;

pub(super) fn bodies() -> Vec<Body> {
    use self as s;
    well![
        s::sums_have_the_bits_of_the_rule,
        s::sums_of_a_million,
        s::reductions_go_along_a_fixed_tree,
        s::every_index_once,
        s::sums_send_little,
        s::fast_sums_are_near,
        s::a_block_on_many_ranks_sums_once
    ]
}

/// Terms of every size that cancel: any change of order shows.
fn term(i: u64) -> f64 {
    let hash = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let hash = (hash ^ hash >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (hash.cast_signed() as f64) * 2f64.powi((hash >> 7 & 0x3f) as i32 - 90)
}

/// The rule of `par(..).sum()`, serially.
fn by_the_rule(start: u64, end: u64) -> f64 {
    sums::by_the_rule(start, &(start..end).map(term).collect::<Vec<_>>())
}

fn sums_have_the_bits_of_the_rule(world: &mut World) -> Outcome<()> {
    for (start, end) in [(0, 0), (5, 6), (1000, 100_003), (4096, 8192), (4095, 4097), (8191, 40_000)] {
        let sum = world.par(start..end).map(term).sum()?;
        assert_eq!(sum.to_bits(), by_the_rule(start, end).to_bits(), "{start}..{end}");
    }
    let plain: f64 = (1000..100_003).map(term).sum();
    assert_ne!(plain.to_bits(), by_the_rule(1000, 100_003).to_bits(), "terms that do not tell orders apart");
    assert_eq!(world.par(10..20_000).map(|i| i).sum()?, (10..20_000).sum::<u64>());
    assert_eq!(world.par(10..20_000).map(|i| -(i as i64)).sum()?, -(10..20_000).sum::<i64>());
    let small = world.par(0..1000).map(|_| 0.1f32).sum()?;
    assert_eq!(small, (0..1000).map(|_| f64::from(0.1f32)).sum::<f64>() as f32);
    assert!(world.par(0..10).map(|i| if i == 7 { f64::NAN } else { 1.0 }).sum()?.is_nan());
    assert!(world.par(0..10_000).map(|_| -0.0f64).sum()?.is_sign_positive());
    Ok(())
}

fn sums_of_a_million(world: &mut World) -> Outcome<()> {
    let sum = world.par(0..1_000_000).map(term).sum()?;
    assert_eq!(sum.to_bits(), by_the_rule(0, 1_000_000).to_bits());
    Ok(())
}

fn sums_send_little(world: &mut World) -> Outcome<()> {
    let before = world.sent_bytes();
    world.par(0..1_000_000).map(term).sum()?;
    let sent = world.sent_bytes() - before;
    assert!(sent <= 1024, "{sent} bytes");
    Ok(())
}

/// No order, but every term once; and all ranks have the same value.
fn fast_sums_are_near(world: &mut World) -> Outcome<()> {
    let n = 100_003u64;
    let near = |is: f64, must: f64| assert!((is - must).abs() <= 1e-12 * must.abs(), "{is} for {must}");
    let value = |i: u64| 1.0 + (i % 7) as f64 / 7.0;
    let sum = world.par(0..n).map(value).fast().sum()?;
    near(sum, (0..n).map(value).sum());
    assert!(world.all_gather(sum)?.iter().all(|s| s.to_bits() == sum.to_bits()));
    assert_eq!(world.par(3..n).map(|i| i as f32).fast().sum()?, (3..n).sum::<u64>() as f32);
    let (me, ranks) = (u64::from(world.rank()), u64::from(world.size()));
    let mine: Vec<f64> = (n * me / ranks..n * (me + 1) / ranks).map(value).collect();
    near(world.fast().sum(&mine)?, sum);
    let squares: f64 = (0..n).map(|i| value(i) * value(i)).sum();
    near(world.fast().dot(&mine, &mine)?, squares);
    near(world.fast().norm(&mine)?, squares.sqrt());
    let large: Vec<f64> = mine.iter().map(|v| v * 1e300).collect();
    near(world.fast().norm(&large)?, squares.sqrt() * 1e300);
    Ok(())
}

/// Parts far shorter than a block: it is put together on the way, from as many ranks as there are.
fn a_block_on_many_ranks_sums_once(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (u64::from(world.rank()), u64::from(world.size()));
    for each in [0u64, 1, 3, 100, 2000] {
        let mine: Vec<f64> = (me * each..(me + 1) * each).map(term).collect();
        let before = world.sent_bytes();
        assert_eq!(world.sum(&mine)?.to_bits(), by_the_rule(0, ranks * each).to_bits(), "{each} terms a rank");
        let sent = world.sent_bytes() - before;
        assert!(sent <= 1024 + 8 * 4095, "{sent} bytes");
    }
    Ok(())
}

fn reductions_go_along_a_fixed_tree(world: &mut World) -> Outcome<()> {
    // A small tree by its definition: in order inside blocks, then neighbours, level by level.
    fn node(level: u32, index: u64, start: u64, end: u64) -> Option<f64> {
        let op = |a: f64, b: f64| a * 0.999 + b;
        if level == 0 {
            let indices = start.max(index * 4096)..end.min((index + 1) * 4096);
            return indices.map(term).reduce(op);
        }
        match (node(level - 1, 2 * index, start, end), node(level - 1, 2 * index + 1, start, end)) {
            (Some(a), Some(b)) => Some(op(a, b)),
            (a, b) => a.or(b),
        }
    }
    for (start, end) in [(0, 1), (3, 50_000), (4096, 200_000), (0, 3_000_000)] {
        let value = world.par(start..end).map(term).reduce(0.0, |a, b| a * 0.999 + b)?;
        let expected = node(10, 0, start, end).expect("a value");
        assert_eq!(value.to_bits(), expected.to_bits(), "{start}..{end}");
    }
    assert_eq!(world.par(9..9).map(term).reduce(-1.5, f64::max)?, -1.5);
    let words = world.par(0..3).map(|i| i.to_string()).reduce(String::new(), |a, b| format!("({a} {b})"))?;
    assert_eq!(words, "((0 1) 2)");
    Ok(())
}

fn every_index_once(world: &mut World) -> Outcome<()> {
    use std::sync::atomic::{AtomicU64, Ordering};
    let (count, sum) = (AtomicU64::new(0), AtomicU64::new(0));
    world.par(100..50_000).for_each(|i| {
        count.fetch_add(1, Ordering::Relaxed);
        sum.fetch_add(i, Ordering::Relaxed);
    })?;
    assert_eq!(world.all_reduce(count.into_inner(), Sum)?, 49_900);
    assert_eq!(world.all_reduce(sum.into_inner(), Sum)?, (100..50_000).sum::<u64>());
    Ok(())
}
