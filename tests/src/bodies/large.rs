//! Messages of many sizes around the transports' thresholds, up to some megabytes, and many messages at once.

use crate::{Body, well};
use physalia::collectives::simulator::now_ps;
use physalia::prelude::*;

pub(super) fn bodies() -> Vec<Body> {
    use self as l;
    well![
        l::sizes_around_thresholds,
        l::many_small_rounds,
        l::megabytes,
        l::long_texts,
        l::wide_elements_in_the_order_of_ranks,
        l::a_poster_that_is_far_ahead,
        l::who_waits_for_whom_changes,
        l::an_operation_that_panics_alike,
    ]
}

fn byte(rank: u32, i: usize) -> u8 {
    (i as u32).wrapping_mul(2_654_435_761).wrapping_add(rank * 77) as u8
}

fn bytes(rank: u32, len: usize) -> Vec<u8> {
    (0..len).map(|i| byte(rank, i)).collect()
}

fn sizes_around_thresholds(world: &mut World) -> Outcome<()> {
    for len in [0, 40, 41, 255, 256, 257, 4096, 4097, 8192, 8193, 40_000, 65_535, 65_536, 65_537, 300_000] {
        exchange(world, len)?;
    }
    Ok(())
}

fn megabytes(world: &mut World) -> Outcome<()> {
    let ranks = world.size() as usize;
    exchange(world, 3_000_001.min(250_000_001 / (ranks * ranks))) // many ranks have as many bytes together
}

/// All to all collectively, of `len` bytes a rank.
fn exchange(world: &mut World, len: usize) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    let all = world.all_gather_v(&bytes(me, len + me as usize))?;
    for r in 0..ranks {
        assert!(all[r as usize] == bytes(r, len + r as usize), "{len} bytes from rank {r}");
    }
    let mut buf = bytes(me, len);
    world.broadcast_into(ranks - 1, &mut buf)?;
    assert!(buf == bytes(ranks - 1, len), "{len} bytes broadcast");
    let whole = bytes(me, len - len % ranks as usize);
    let got = world.all_to_all(&whole)?;
    let block = whole.len() / ranks as usize;
    for (r, part) in (0..ranks).zip(got.chunks(block.max(1))) {
        let from = me as usize * block;
        assert!(part.iter().enumerate().all(|(i, &b)| b == byte(r, from + i)), "{len} bytes to all, from rank {r}");
    }
    let mut again = vec![9; whole.len()];
    world.all_to_all_into(&whole, &mut again)?;
    assert!(again == got, "{len} bytes to all, into a buffer");
    let mut all = vec![9; len * ranks as usize];
    world.all_gather_into(&bytes(me, len), &mut all)?;
    assert!((0..ranks).all(|r| all[r as usize * len..][..len] == bytes(r, len)), "{len} bytes gathered into a buffer");
    let mut least = bytes(me, len);
    world.reduce_into(ranks / 2, &mut least, Min)?;
    let expected = |i: usize| if me == ranks / 2 { (0..ranks).map(|r| byte(r, i)).min().unwrap() } else { byte(me, i) };
    assert!(least.iter().enumerate().all(|(i, &b)| b == expected(i)), "the least of {len} bytes");
    let mut sum: Vec<u64> = (0..len / 8).map(|i| u64::from(byte(me, i))).collect();
    world.all_reduce_into(&mut sum, Sum)?;
    assert!(sum.iter().enumerate().all(|(i, &s)| s == (0..ranks).map(|r| u64::from(byte(r, i))).sum::<u64>()));
    Ok(())
}

fn many_small_rounds(world: &mut World) -> Outcome<()> {
    let ranks = u64::from(world.size());
    let mut x = u64::from(world.rank());
    for i in 0..500 {
        x = world.all_reduce(x % 1000 + i, Sum)?;
    }
    assert_eq!(world.all_gather(x)?, vec![x; ranks as usize]);
    Ok(())
}

fn long_texts(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    for len in [0, 30, 70_000, 700_000] {
        let text = world.from_root(|| Ok::<_, String>("physalia ".repeat(len / 9)))?;
        assert_eq!(text, "physalia ".repeat(len / 9));
        let said = world.agree(if me == ranks - 1 { Err("no ".repeat(len / 3)) } else { Ok(()) }).unwrap_err();
        assert!(said.to_string().ends_with(&"no ".repeat(len / 3)), "{len}");
    }
    Ok(())
}

/// Elements that do not fill a slot evenly, and some that are too wide for one; an operation that does not commute.
fn wide_elements_in_the_order_of_ranks(world: &mut World) -> Outcome<()> {
    fn check<const N: usize>(world: &mut World, len: usize) -> Outcome<()>
    where
        [u32; N]: Plain,
    {
        let (me, ranks) = (world.rank(), world.size());
        let mut values: Vec<[u32; N]> = (0..len as u32).map(|i| [me * 1000 + i % 7; N]).collect();
        let digest = |left: [u32; N], right: [u32; N]| -> [u32; N] {
            std::array::from_fn(|i| left[i].wrapping_mul(31).wrapping_add(right[i]))
        };
        world.all_reduce_into(&mut values, By(digest))?;
        for (i, value) in (0..len as u32).zip(&values) {
            let expected = (0..ranks).map(|r| [r * 1000 + i % 7; N]).reduce(digest).expect("a rank");
            assert!(*value == expected, "element {i} of {len} of {N} words");
        }
        Ok(())
    }
    check::<3>(world, 20_000)?;
    check::<200>(world, 500)?;
    check::<300>(world, 40)?;
    check::<8192>(world, 5)
}

/// Many calls in which the root waits for nobody: it must not write over what others have not read.
fn a_poster_that_is_far_ahead(world: &mut World) -> Outcome<()> {
    let me = world.rank();
    for round in 0..600u64 {
        if me > 0 && round % 97 == u64::from(me) {
            std::thread::sleep(std::time::Duration::from_millis(2)); // the root goes on meanwhile
        }
        assert_eq!(world.broadcast(0, round)?, round);
        if round % 10 == 0 {
            let mut long = vec![if me == 0 { round } else { 0 }; 1000 * (round as usize % 30 + 1)];
            world.broadcast_into(0, &mut long)?;
            assert!(long.iter().all(|&x| x == round));
        }
    }
    Ok(())
}

/// To one and back, thousands of times: whom a rank waits for changes while it goes to sleep.
fn who_waits_for_whom_changes(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (u64::from(world.rank()), u64::from(world.size()));
    let rounds = if world.transport() == "mpi" { 300 } else { 20_000 / ranks };
    for round in 0..rounds {
        let mut sum = [me + round];
        world.reduce_into(0, &mut sum, Sum)?;
        world.broadcast_into(0, &mut sum)?;
        assert_eq!(sum, [ranks * round + ranks * (ranks - 1) / 2]);
    }
    Ok(())
}

/// A panic that every rank has, and catches, leaves a board usable. (Between messages it ends the job: others need what this
/// rank combines.)
fn an_operation_that_panics_alike(world: &mut World) -> Outcome<()> {
    let asked = |name: &&str| std::env::var_os(name).is_some_and(|value| value != "on");
    if world.hosts() > 1 || now_ps().is_some() || ["PHYSALIA_BOARD", "PHYSALIA_SCHEDULE"].iter().any(asked) {
        return Ok(());
    }
    let ranks = world.size();
    for len in [1, 100] {
        let mut values = vec![200u8; len];
        let run = std::panic::AssertUnwindSafe(|| world.all_reduce_into(&mut values, Sum));
        assert_eq!(std::panic::catch_unwind(run).is_err(), ranks > 1);
        assert_eq!(world.all_reduce(1u32, Sum)?, ranks);
    }
    Ok(())
}
