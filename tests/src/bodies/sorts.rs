//! Sorting and grouping against one serial sort of everything.

use crate::{Body, well};
use physalia::prelude::*;

pub(super) fn bodies() -> Vec<Body> {
    use self as s;
    well![
        s::sorts_are_stable_and_even,
        s::sorts_of_little_or_one_sided_values,
        s::sorts_of_plain_values,
        s::groups_are_whole_and_in_order
    ]
}

/// Values of a rank: a key, and where it was.
fn values(rank: u32, len: u64, keys: u64) -> Vec<[u64; 2]> {
    let random = Random::new(7).stream(rank.into());
    (0..len).map(|i| [random.below(i, keys), u64::from(rank) << 32 | i]).collect()
}

fn everything(world: &World, len: impl Fn(u32) -> u64, keys: u64) -> Vec<[u64; 2]> {
    let mut all: Vec<_> = (0..world.size()).flat_map(|r| values(r, len(r), keys)).collect();
    all.sort_by_key(|v| v[0]); // stable
    all
}

fn check(world: &mut World, len: impl Fn(u32) -> u64, keys: u64) -> Result<Vec<u64>, Abort> {
    let me = world.rank();
    let expected = everything(world, &len, keys);
    let mine = world.sort_by_key(values(me, len(me), keys), |v| v[0])?;
    let lens = world.all_gather(mine.len() as u64)?;
    let start = lens[..me as usize].iter().sum::<u64>() as usize;
    assert!(mine == expected[start..start + mine.len()], "rank {me} of {lens:?}, {keys} keys");
    assert_eq!(lens.iter().sum::<u64>(), expected.len() as u64);
    Ok(lens)
}

fn sorts_are_stable_and_even(world: &mut World) -> Outcome<()> {
    for keys in [1, 2, 10, 1 << 40] {
        let lens = check(world, |r| 20_000 + u64::from(r) * 77, keys)?;
        let mean = lens.iter().sum::<u64>() / u64::from(world.size());
        assert!(lens.iter().all(|&len| len <= mean + mean / 16 + 1), "{lens:?} of {keys} keys");
    }
    Ok(())
}

fn sorts_of_plain_values(world: &mut World) -> Outcome<()> {
    let (me, last) = (world.rank(), world.size() - 1);
    let lens: [fn(u32, u32) -> u64; 5] = [
        |_, _| 20_000,
        |_, _| 0,
        |r, last| u64::from(r == last),
        |r, _| 3 * u64::from(r % 2),
        |r, _| 9000 * u64::from(r == 0),
    ];
    for len in lens {
        for keys in [1, 3, 1 << 40] {
            let numbers = |r: u32| values(r, len(r, last), keys).into_iter().map(|v| v[0]).collect::<Vec<u64>>();
            let mut expected: Vec<u64> = (0..world.size()).flat_map(numbers).collect();
            expected.sort_unstable();
            let sorted = world.sort(numbers(me))?;
            let share = expected.len() / world.size() as usize;
            assert!(
                sorted.len() <= share + share / 4 + 8,
                "{} of {} values, {keys} keys",
                sorted.len(),
                expected.len()
            );
            assert!(world.all_gather_v(&sorted)?.as_slice() == expected);
        }
    }
    Ok(())
}

fn sorts_of_little_or_one_sided_values(world: &mut World) -> Outcome<()> {
    let last = world.size() - 1;
    check(world, |_| 0, 5)?;
    check(world, |r| u64::from(r == last), 5)?;
    check(world, |r| u64::from(r % 2), 5)?;
    check(world, |r| if r == last { 30_000 } else { 0 }, 1000)?;
    check(world, |r| if r == 0 { 10_000 } else { 3 }, 3)?;
    Ok(())
}

fn groups_are_whole_and_in_order(world: &mut World) -> Outcome<()> {
    let me = world.rank();
    for keys in [1, 50, 100_000] {
        let groups = world.group_by(values(me, 3000, keys), |v| v[0])?;
        assert!(groups.iter().map(|g| g.0).is_sorted_by(|a, b| a < b));
        let expected = everything(world, |_| 3000, keys);
        for (key, group) in groups.iter() {
            let start = expected.partition_point(|v| v[0] < *key);
            let end = expected.partition_point(|v| v[0] <= *key);
            assert!(group == &expected[start..end], "the group of {key}");
        }
        let count = world.all_reduce(groups.len() as u64, Sum)?;
        let mut distinct: Vec<u64> = expected.iter().map(|v| v[0]).collect();
        distinct.dedup();
        assert_eq!(count, distinct.len() as u64);
    }
    Ok(())
}
