//! The same bits on any number of ranks and workers. What they must be, is computed by one serial loop here.

use crate::{Body, well};
use physalia::prelude::*;

pub(super) fn bodies() -> Vec<Body> {
    use self as s;
    well![
        s::sums_have_the_bits_of_the_rule,
        s::sums_of_a_million,
        s::reductions_go_along_a_fixed_tree,
        s::every_index_once,
        s::sums_send_little
    ]
}

/// Terms of every size that cancel: any change of order shows.
fn term(i: u64) -> f64 {
    let hash = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let hash = (hash ^ hash >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (hash.cast_signed() as f64) * 2f64.powi((hash >> 7 & 0x3f) as i32 - 90)
}

/// The rule of `par(..).sum()`, serially: blocks of 4,096 indices from left to right, their sums exactly, rounded once.
/// Exactly by another way than the library's, after Shewchuk (1997) as Python's `math.fsum` has it: parts that do not overlap.
fn by_the_rule(start: u64, end: u64) -> f64 {
    let two_sum = |a: f64, b: f64| {
        let (large, small) = if a.abs() < b.abs() { (b, a) } else { (a, b) };
        (large + small, small - ((large + small) - large))
    };
    let mut parts: Vec<f64> = Vec::new(); // ascending
    for block in start / 4096..=end / 4096 {
        let indices = start.max(block * 4096)..end.min((block + 1) * 4096);
        let mut sum = indices.map(term).fold(0.0, |sum, x| sum + x);
        parts.retain_mut(|part| {
            (sum, *part) = two_sum(sum, *part);
            *part != 0.0
        });
        parts.push(sum);
    }
    let mut rest = 0.0;
    let mut high = parts.pop().unwrap_or(0.0);
    while let (0.0, Some(next)) = (rest, parts.pop()) {
        (high, rest) = two_sum(high, next);
    }
    // Half-way between two floats, what is further below decides.
    let further = parts.last().is_some_and(|part| *part != 0.0 && part.signum() == rest.signum() && rest != 0.0);
    if further && (high + 2.0 * rest) - high == 2.0 * rest { high + 2.0 * rest } else { high }
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
