//! Every collective against what it must give, computed serially from the rank numbers.

use crate::{Body, well};
use physalia::prelude::*;

pub(super) fn bodies() -> Vec<Body> {
    use self as c;
    well![
        c::barrier_and_broadcast,
        c::gather_and_scatter,
        c::all_gather,
        c::reductions,
        c::scans,
        c::all_to_all,
        c::agreement,
        c::splits,
        c::types,
        c::started_and_waited_for,
        c::scattered_reductions,
        c::splits_by_host,
        c::a_few_partners_out_of_many,
    ]
}

/// A value that tells ranks and places apart.
fn value(rank: u32, place: usize) -> u64 {
    u64::from(rank) * 1_000_003 + place as u64
}

/// Odd lengths, other ones for each rank, none among them.
fn length(rank: u32) -> usize {
    [0, 1, 7, 64, 33, 2, 0, 100][rank as usize % 8]
}

fn part(rank: u32) -> Vec<u64> {
    (0..length(rank)).map(|i| value(rank, i)).collect()
}

fn barrier_and_broadcast(world: &mut World) -> Outcome<()> {
    let me = world.rank();
    for root in 0..world.size() {
        world.barrier()?;
        assert_eq!(world.broadcast(root, me * 10)?, root * 10);
        for len in [0, 1, 5, 3000] {
            let mut buf: Vec<u64> = (0..len).map(|i| value(me, i)).collect();
            world.broadcast_into(root, &mut buf)?;
            assert_eq!(buf, (0..len).map(|i| value(root, i)).collect::<Vec<_>>());
        }
    }
    Ok(())
}

fn gather_and_scatter(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    for root in 0..ranks {
        let all = world.gather(root, value(me, 3))?;
        let expected: Vec<u64> = (0..ranks).map(|r| value(r, 3)).collect();
        assert_eq!(all, (me == root).then_some(expected));
        let parts = world.gather_v(root, &part(me))?;
        assert_eq!(parts.is_some(), me == root);
        if let Some(parts) = parts {
            assert_eq!(parts.len() as u32, ranks);
            assert!(parts.iter().zip(0..).all(|(p, r)| p == part(r)));
        }
        let to_deal: Vec<u64> = (0..ranks).map(|r| value(r, 5)).collect();
        assert_eq!(world.scatter(root, (me == root).then_some(&to_deal))?, value(me, 5));
        let to_deal: Vec<Vec<u64>> = (0..ranks).map(part).collect();
        assert_eq!(world.scatter_v(root, (me == root).then_some(&to_deal))?, part(me));
    }
    Ok(())
}

fn all_gather(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    assert_eq!(world.all_gather(value(me, 1))?, (0..ranks).map(|r| value(r, 1)).collect::<Vec<_>>());
    let parts = world.all_gather_v(&part(me))?;
    assert!(parts.iter().zip(0..).all(|(p, r)| p == part(r)));
    assert_eq!(parts.as_slice(), (0..ranks).flat_map(part).collect::<Vec<_>>());
    // Short enough to travel with the lengths.
    let short = world.all_gather_v(&vec![me as u8; me as usize % 4])?;
    assert!(short.iter().zip(0..ranks).all(|(p, r)| p == vec![r as u8; r as usize % 4]));
    assert_eq!(world.all_gather_v::<f32>(&[])?.as_slice(), []);
    Ok(())
}

fn reductions(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    assert_eq!(world.all_reduce(value(me, 0), Sum)?, (0..ranks).map(|r| value(r, 0)).sum::<u64>());
    assert_eq!(world.all_reduce(f64::from(me), Max)?, f64::from(ranks - 1));
    assert_eq!(world.all_reduce(-i64::from(me), Min)?, -i64::from(ranks - 1));
    // Neither commutes nor associates: only the order of ranks gives this.
    let op = |a: u64, b: u64| a.wrapping_mul(31).wrapping_sub(b);
    let expected = (0..ranks).map(|r| value(r, 2)).reduce(op);
    assert_eq!(Some(world.all_reduce(value(me, 2), By(op))?), expected);
    for root in 0..ranks {
        assert_eq!(world.reduce(root, value(me, 2), By(op))?, expected.filter(|_| me == root));
    }
    // Short vectors go whole, long ones in slices; both the same.
    for len in [0, 1, 2, 17, 5000] {
        let mine: Vec<u64> = (0..len).map(|i| value(me, i)).collect();
        let expected: Vec<u64> =
            (0..len).map(|i| (0..ranks).map(|r| value(r, i)).reduce(op).expect("a rank")).collect();
        let mut buf = mine.clone();
        world.all_reduce_into(&mut buf, By(op))?;
        assert_eq!(buf, expected, "{len} elements");
        for root in [0, ranks - 1] {
            let mut buf = mine.clone();
            world.reduce_into(root, &mut buf, By(op))?;
            assert_eq!(buf, if me == root { expected.clone() } else { mine.clone() }, "{len} elements to {root}");
        }
    }
    Ok(())
}

fn scans(world: &mut World) -> Outcome<()> {
    let me = world.rank();
    let op = |a: u64, b: u64| a.wrapping_mul(31).wrapping_sub(b);
    let up_to = |end: u32| (0..end).map(|r| value(r, 4)).reduce(op);
    assert_eq!(Some(world.scan(value(me, 4), By(op))?), up_to(me + 1));
    assert_eq!(world.exscan(value(me, 4), By(op))?, up_to(me));
    assert_eq!(world.exscan(1u32, Sum)?, (me > 0).then_some(me));
    Ok(())
}

fn all_to_all(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    for block in [0, 1, 3, 700] {
        let send: Vec<u64> = (0..ranks as usize * block).map(|i| value(me, i)).collect();
        let expected: Vec<u64> =
            (0..ranks).flat_map(|r| (0..block).map(move |i| value(r, me as usize * block + i))).collect();
        assert_eq!(world.all_to_all(&send)?, expected, "blocks of {block}");
    }
    // Rank r sends (r + q) mod 5 values to rank q; nothing to some.
    let count = |from: u32, to: u32| (from + to) % 5;
    let item = |from: u32, to: u32, i: u32| value(from, (to * 100 + i) as usize);
    let send: Vec<u64> = (0..ranks).flat_map(|q| (0..count(me, q)).map(move |i| item(me, q, i))).collect();
    let counts: Vec<u64> = (0..ranks).map(|q| count(me, q).into()).collect();
    let parts = world.all_to_all_v(&send, &counts)?;
    for (r, p) in (0..ranks).zip(parts.iter()) {
        assert_eq!(p, (0..count(r, me)).map(|i| item(r, me, i)).collect::<Vec<_>>(), "from rank {r}");
    }
    Ok(())
}

fn agreement(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    assert_eq!(world.agree(Ok::<_, String>(me))?, me);
    let last = world.agree(if me == ranks - 1 { Err("no disk") } else { Ok(()) }).expect_err("one failed");
    let words = last.to_string();
    assert!(words.starts_with(&format!("rank {} on ", ranks - 1)) && words.ends_with(": no disk"), "{words}");
    // Of several, the lowest rank is named; the communicator goes on.
    let lowest = world.agree(Err::<(), _>(format!("failure {me}"))).expect_err("all failed").to_string();
    assert!(lowest.ends_with(": failure 0"), "{lowest}");
    assert_eq!(world.from_root(|| "7".parse::<u32>())?, 7);
    let floats = vec![0.1, -0.0, f64::MIN_POSITIVE / 3.0, f64::MAX];
    let read: Vec<f64> = world.from_root(|| Ok::<_, String>(floats.clone()))?;
    assert!(read.iter().zip(&floats).all(|(a, b)| a.to_bits() == b.to_bits()), "floats travel by their bits");
    let failed = world.from_root(|| "x".parse::<u32>()).expect_err("no number").to_string();
    assert!(failed.starts_with("rank 0 on ") && failed.ends_with("invalid digit found in string"), "{failed}");
    assert_eq!(world.on_root(|| 1).is_some(), me == 0);
    Ok(())
}

fn splits(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    let color = me % 3;
    let members: Vec<u32> = (0..ranks).filter(|r| r % 3 == color).collect();
    let (low, inner) = world.with_split(color, |sub| {
        assert_eq!(members[sub.rank() as usize], me);
        assert_eq!(sub.size() as usize, members.len());
        assert_eq!(sub.all_gather(me)?, members);
        let n = sub.par(0..10_000).map(|i| i).sum()?;
        // A split of a split; each half alone.
        let half = sub.rank() % 2;
        let inner = sub.with_split(half, |s| Ok(s.all_reduce(1u32, Sum)?))?;
        Ok((n, inner))
    })?;
    assert_eq!(low, (0..10_000).sum::<u64>());
    let place = members.iter().position(|&r| r == me).expect("a member");
    assert_eq!(inner as usize, members.iter().enumerate().filter(|(i, _)| i % 2 == place % 2).count());
    assert_eq!(world.all_reduce(1u32, Sum)?, ranks); // and the whole goes on
    Ok(())
}

fn types(world: &mut World) -> Outcome<()> {
    let me = world.rank();
    assert!(world.broadcast(0, me == 0)?);
    assert_eq!(world.all_gather('é')?, vec!['é'; world.size() as usize]);
    let mut flags = vec![me == 0; 9];
    world.broadcast_into(0, &mut flags)?;
    assert_eq!(flags, [true; 9]);
    assert_eq!(world.all_reduce([1u8, 2, 3], By(|a: [u8; 3], _| a))?, [1, 2, 3]);
    assert_eq!(world.all_reduce(u128::from(me), Max)?, u128::from(world.size() - 1));
    let long = world.all_gather_v(&vec![me.is_multiple_of(2); 1000])?;
    assert!(long.iter().zip(0u32..).all(|(p, r)| p == [r.is_multiple_of(2); 1000]));
    Ok(())
}

/// Every collective that can be started, all under way at once, waited for from the last to the first.
fn started_and_waited_for(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    let op = |a: u64, b: u64| a.wrapping_mul(31).wrapping_sub(b);
    for (len, root) in [(0, 0), (3, ranks - 1), (3000, ranks / 2)] {
        let column = |rank: u32| -> Vec<u64> { (0..len).map(|i| value(rank, i)).collect() };
        let combined = |ranks: std::ops::Range<u32>| -> Option<Vec<u64>> {
            let element = |i: usize| ranks.clone().map(|r| value(r, i)).reduce(op);
            if ranks.is_empty() { None } else { Some((0..len).map(|i| element(i).expect("a rank")).collect()) }
        };
        let to = |from: u32, to: u32| -> Vec<u64> {
            (0..(from + 2 * to) as usize % 5 * len).map(|i| value(from * 9 + to, i)).collect()
        };
        let barrier = world.start_barrier();
        let broadcast = world.start_broadcast(root, column(me));
        let gather = world.start_gather(root, part(me));
        let dealt: Vec<Vec<u64>> = (0..ranks).map(part).collect();
        let scatter = world.start_scatter(root, (me == root).then_some(dealt));
        let all_gather = world.start_all_gather(part(me));
        let reduce = world.start_reduce(root, column(me), By(op));
        let all_reduce = world.start_all_reduce(column(me), By(op));
        let scan = world.start_scan(column(me), By(op));
        let exscan = world.start_exscan(column(me), By(op));
        let all_to_all = world.start_all_to_all((0..ranks).map(|q| to(me, q)).collect());
        let reduce_scatter = world.start_reduce_scatter(column(me), By(op));
        assert_eq!(world.all_reduce(1u32, Sum)?, ranks); // another, in between

        let all = combined(0..ranks).expect("a rank");
        let slice = len * me as usize / ranks as usize..len * (me as usize + 1) / ranks as usize;
        assert_eq!(reduce_scatter.wait()?, all[slice]);
        for (r, part) in (0..).zip(all_to_all.wait()?.iter()) {
            assert_eq!(part, to(r, me), "from rank {r}");
        }
        assert_eq!(exscan.wait()?, combined(0..me));
        assert_eq!(Some(scan.wait()?), combined(0..me + 1));
        assert_eq!(all_reduce.wait()?, all);
        assert_eq!(reduce.wait()?, (me == root).then_some(all));
        assert!(all_gather.wait()?.iter().zip(0..).all(|(p, r)| p == part(r)));
        assert_eq!(scatter.wait()?, part(me));
        let gathered = gather.wait()?;
        assert_eq!(gathered.is_some(), me == root);
        assert!(gathered.iter().all(|parts| parts.iter().zip(0..).all(|(p, r)| p == part(r))));
        assert_eq!(broadcast.wait()?, column(root));
        barrier.wait()?;
    }
    Ok(())
}

fn scattered_reductions(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (world.rank() as usize, world.size() as usize);
    let op = |a: u64, b: u64| a.wrapping_mul(31).wrapping_sub(b);
    for len in [0, 1, ranks, 10 * ranks + 1, 5000] {
        let mine: Vec<u64> = (0..len).map(|i| value(me as u32, i)).collect();
        let expected = (len * me / ranks..len * (me + 1) / ranks)
            .map(|i| (0..ranks as u32).map(|r| value(r, i)).reduce(op).expect("a rank"));
        assert_eq!(world.reduce_scatter(&mine, By(op))?, expected.collect::<Vec<_>>(), "{len} elements");
    }
    Ok(())
}

fn splits_by_host(world: &mut World) -> Outcome<()> {
    let (me, hosts) = (world.rank(), world.hosts());
    let firsts = world.with_split_by_host(|host| {
        let mine = host.all_gather(me)?;
        assert_eq!(mine[host.rank() as usize], me);
        Ok(u32::from(host.rank() == 0))
    })?;
    assert_eq!(world.all_reduce(firsts, Sum)?, hosts);
    Ok(())
}

fn a_few_partners_out_of_many(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    for round in 0..30u32 {
        // To nobody, to one or two, the own rank among them, one of them twice; from nothing to long.
        let of = |from: u32| -> Vec<(u32, Vec<u64>)> {
            let lens = [0, 1, 40, 3000, 40_000];
            let message = |i: u32| {
                let len = lens[(from + round + 3 * i) as usize % 5];
                ((from * 7 + round * i) % ranks, (0..len).map(|place| value(from + i, place)).collect())
            };
            (0..(from + round) % 4).map(message).collect()
        };
        let expected: Vec<(u32, Vec<u64>)> = (0..ranks)
            .flat_map(|from| of(from).into_iter().filter(|(to, _)| *to == me).map(move |(_, values)| (from, values)))
            .collect();
        let came = world.sparse_exchange(of(me))?;
        assert!(came == expected, "round {round}: {} messages, not {}", came.len(), expected.len());
    }
    Ok(())
}
