//! Reductions of every order, and vectors of every length, against what must come out: whichever schedule they take.

use crate::{Body, well};
use physalia::prelude::*;

pub(super) fn bodies() -> Vec<Body> {
    use self as w;
    well![w::reductions_of_every_order, w::floats_keep_their_bits, w::the_least_of_arrays, w::vectors_of_every_length]
}

/// None, one, fewer than ranks, odd ones; such as travel with their head, and long ones in many segments.
const LENGTHS: [usize; 7] = [0, 1, 2, 7, 101, 3000, 40_001];

/// Many ranks on a few cores have no long ones.
fn lengths(world: &World) -> &'static [usize] {
    &LENGTHS[..if world.size() > 9 { 6 } else { 7 }]
}

fn value(rank: u32, i: usize) -> u64 {
    (u64::from(rank) + 1) << 32 | (i as u64 + 1)
}

fn vector(rank: u32, len: usize) -> Vec<u64> {
    (0..len).map(|i| value(rank, i)).collect()
}

/// Neither commutes nor associates.
fn left_fold(a: u64, b: u64) -> u64 {
    a.wrapping_mul(31).wrapping_sub(b)
}

/// Associates, and does not commute: x → ax + b, one after the other, modulo 2^32.
fn affine(f: u64, g: u64) -> u64 {
    let ([a, b], [c, d]) = ([f >> 32, f & 0xffff_ffff], [g >> 32, g & 0xffff_ffff]);
    let (a, b) = (a.wrapping_mul(c), b.wrapping_mul(c).wrapping_add(d));
    a << 32 | b & 0xffff_ffff
}

/// All reductions with one operation, against the ranks' vectors combined one after the other.
fn reduce_all<O: Op<u64> + Copy>(world: &mut World, op: O, plain: fn(u64, u64) -> u64) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    for &len in lengths(world) {
        let up_to = |end: u32| -> Vec<u64> {
            (0..len).map(|i| (0..end).map(|r| value(r, i)).reduce(plain).expect("a rank")).collect()
        };
        let (mine, all) = (vector(me, len), up_to(ranks));
        let started = world.start_all_reduce(mine.clone(), op);
        let mut buf = mine.clone();
        world.all_reduce_into(&mut buf, op)?;
        assert!(buf == all, "all_reduce_into, {len} elements");
        for root in [0, ranks / 2, ranks - 1] {
            let mut buf = mine.clone();
            world.reduce_into(root, &mut buf, op)?;
            assert!(buf == if me == root { all.clone() } else { mine.clone() }, "reduce_into, {len} elements");
        }
        let slice = len * me as usize / ranks as usize..len * (me as usize + 1) / ranks as usize;
        assert!(world.reduce_scatter(&mine, op)? == all[slice], "reduce_scatter, {len} elements");
        if len > 0 {
            assert_eq!(world.all_reduce(mine[0], op)?, all[0]);
            assert_eq!(world.scan(mine[0], op)?, up_to(me + 1)[0]);
            assert_eq!(world.exscan(mine[0], op)?, (me > 0).then(|| up_to(me)[0]));
        }
        assert!(started.wait()? == all, "start_all_reduce, {len} elements");
    }
    Ok(())
}

fn reductions_of_every_order(world: &mut World) -> Outcome<()> {
    reduce_all(world, By(left_fold), left_fold)?;
    reduce_all(world, Associative(By(affine)), affine)?;
    reduce_all(world, Fast(By(u64::wrapping_add)), u64::wrapping_add)?;
    reduce_all(world, Sum, |a, b| a + b)?;
    reduce_all(world, Max, u64::max)
}

/// What is due is the plain fold over ranks, by bits: NaN of many payloads, zeros of both signs, sums that round.
fn floats_keep_their_bits(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    let float = |rank: u32, i: usize| match (rank as usize * 7 + i) % 11 {
        0 => 0.0,
        1 => -0.0,
        2 if i.is_multiple_of(5) => f64::from_bits(0x7ff8_0000_0000_0000 | u64::from(rank)),
        3 => 1e16,
        _ => 0.1 * (f64::from(rank) + 1.0) - i as f64 * 1e-3,
    };
    let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    for &len in lengths(world) {
        let mine: Vec<f64> = (0..len).map(|i| float(me, i)).collect();
        let due = |combine: &dyn Fn(f64, f64) -> f64| -> Vec<f64> {
            (0..len).map(|i| (0..ranks).map(|r| float(r, i)).reduce(combine).expect("a rank")).collect()
        };
        let mut buf = mine.clone();
        world.all_reduce_into(&mut buf, Sum)?;
        let plain = due(&|a, b| a + b);
        // Which NaN a sum of two is, is the processor's choice; all others have one pattern.
        let known =
            |values: &[f64]| values.iter().map(|v| if v.is_nan() { 1 } else { v.to_bits() }).collect::<Vec<_>>();
        assert!(known(&buf) == known(&plain), "the sum of {len} floats");
        let mut buf = mine.clone();
        world.all_reduce_into(&mut buf, Min)?;
        assert!(bits(&buf) == bits(&due(&|a, b| Min.combine(a, b))), "the least of {len} floats");
        let mut buf = mine.clone();
        world.all_reduce_into(&mut buf, Max)?;
        assert!(bits(&buf) == bits(&due(&|a, b| Max.combine(a, b))), "the largest of {len} floats");
        // Other bits, perhaps, but the same on all.
        let mut buf = mine.clone();
        world.all_reduce_into(&mut buf, Sum.fast())?;
        let close = |(a, b): (&f64, &f64)| (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs().max(1.0);
        assert!(buf.iter().zip(&plain).all(close), "the fast sum of {len} floats");
        let hash = known(&buf).iter().fold(0u64, |h, b| h.rotate_left(7) ^ b);
        assert!(world.all_gather(hash)?.iter().all(|&h| h == hash), "the fast sum of {len} floats is one");
    }
    Ok(())
}

/// Types that are only partly ordered keep the order of ranks: here with other brackets another value would come out.
fn the_least_of_arrays(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    let value = |rank: u32| [[-5.0, 0.0], [-5.0, 0.0], [1.0, f64::NAN], [0.0, 5.0]][rank as usize % 4];
    let due = (0..ranks).map(value).reduce(|a, b| Min.combine(a, b)).expect("a rank");
    let bits = |v: [f64; 2]| v.map(f64::to_bits);
    for len in [1, 2000] {
        let mut buf = vec![value(me); len];
        world.all_reduce_into(&mut buf, Min)?;
        assert!(buf.iter().all(|&v| bits(v) == bits(due)), "{:?}, not {due:?}", buf[0]);
    }
    assert_eq!(bits(world.all_reduce(value(me), Min)?), bits(due));
    Ok(())
}

fn vectors_of_every_length(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    for &len in lengths(world) {
        for root in [0, ranks / 2, ranks - 1] {
            let mut buf = vector(me, len);
            world.broadcast_into(root, &mut buf)?;
            assert!(buf == vector(root, len), "{len} elements from {root}");
            let mut flags: Vec<bool> = (0..len).map(|i| i.is_multiple_of(me as usize + 2)).collect();
            world.broadcast_into(root, &mut flags)?;
            assert!(flags.iter().enumerate().all(|(i, &f)| f == i.is_multiple_of(root as usize + 2)));
        }
        let all: Vec<u64> = (0..ranks).flat_map(|r| vector(r, len)).collect();
        let mut into = vec![0; all.len()];
        world.all_gather_into(&vector(me, len), &mut into)?;
        assert!(into == all, "{len} elements of each");
        // Each rank another length, none among them.
        let lens = |rank: u32| len * (rank as usize % 3) / 2;
        let parts = world.all_gather_v(&vector(me, lens(me)))?;
        assert!((0..ranks).all(|r| parts[r as usize] == vector(r, lens(r))), "unlike parts of up to {len}");
        let flags = world.all_gather_v(&vec![me.is_multiple_of(2); lens(me)])?;
        assert!((0..ranks).all(|r| flags[r as usize] == vec![r.is_multiple_of(2); lens(r)]));
        // Of no bytes at all, too: there an empty vector's address is 1, which some libraries take for a sign.
        assert_eq!(world.all_to_all::<u8>(&[])?, []);
        let block = len.min(5000);
        let send: Vec<u64> = vector(me, ranks as usize * block);
        let due: Vec<u64> = (0..ranks)
            .flat_map(|r| vector(r, ranks as usize * block)[me as usize * block..][..block].to_vec())
            .collect();
        assert!(world.all_to_all(&send)? == due, "blocks of {block}");
        let mut into = vec![0; send.len()];
        world.all_to_all_into(&send, &mut into)?;
        assert!(into == due, "blocks of {block}, in place");
    }
    Ok(())
}
