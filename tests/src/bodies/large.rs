//! Messages of many sizes around the transports' thresholds, up to some megabytes, and many messages at once.

use crate::{Body, well};
use physalia::prelude::*;

pub(super) fn bodies() -> Vec<Body> {
    use self as l;
    well![l::sizes_around_thresholds, l::many_small_rounds, l::megabytes]
}

fn byte(rank: u32, i: usize) -> u8 {
    (i as u32).wrapping_mul(2_654_435_761).wrapping_add(rank * 77) as u8
}

fn bytes(rank: u32, len: usize) -> Vec<u8> {
    (0..len).map(|i| byte(rank, i)).collect()
}

fn sizes_around_thresholds(world: &mut World) -> Outcome<()> {
    for len in [255, 256, 257, 4095, 4096, 4097, 8191, 8192, 8193, 16384, 40000] {
        exchange(world, len)?;
    }
    Ok(())
}

fn megabytes(world: &mut World) -> Outcome<()> {
    exchange(world, 3_000_001)
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
