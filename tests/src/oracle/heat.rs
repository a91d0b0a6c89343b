//! The heat equation as a textbook has it, and the real one held against it.

use physalia::prelude::*;
use physalia_apps::stencil::engine::Compiled;
use physalia_apps::stencil::heat::{Heat, Start};

/// One step as a textbook has it: every cell, its six neighbours or the boundary's zero.
pub fn serial(cells: [u64; 3], axes: usize, dt: f64, steps: u64, start: impl Fn([u64; 3]) -> f64) -> Vec<f64> {
    let [nx, ny, nz] = cells.map(|n| n as usize);
    let r: Vec<f64> = cells.iter().map(|&n| dt * (n as f64 + 1.0).powi(2)).collect();
    let all = || (0..nz).flat_map(move |z| (0..ny).flat_map(move |y| (0..nx).map(move |x| [x, y, z])));
    let mut u: Vec<f64> = all().map(|at| start(at.map(|i| i as u64))).collect();
    for _ in 0..steps {
        let at = |x: usize, y: usize, z: usize| {
            if x < nx && y < ny && z < nz { u[(z * ny + y) * nx + x] } else { 0.0 } // 0 − 1 wraps around and is outside
        };
        let bend = |left: f64, here: f64, right: f64| (left - here) + (right - here);
        let step = |[x, y, z]: [usize; 3]| {
            let here = at(x, y, z);
            let mut rate = r[0] * bend(at(x.wrapping_sub(1), y, z), here, at(x + 1, y, z));
            if axes > 1 {
                rate += r[1] * bend(at(x, y.wrapping_sub(1), z), here, at(x, y + 1, z));
            }
            if axes > 2 {
                rate += r[2] * bend(at(x, y, z.wrapping_sub(1)), here, at(x, y, z + 1));
            }
            here + rate
        };
        u = all().map(step).collect();
    }
    u
}

/// The field after some steps on a layout, gathered, and its hash.
///
/// # Panics
/// If the job fails, or its ranks disagree.
pub fn parallel<const D: usize>(ranks: u32, threads: usize, heat: &Heat<D>, start: Start, steps: u64) -> (Vec<f64>, u64)
where
    f64: Compiled<D>,
{
    let job = Launch::from_env().ranks(ranks).threads(threads).run(|world| {
        let mut u = heat.start::<f64>(world, start)?;
        heat.advance(world, &mut u, steps)?;
        let hash = u.hash(world)?;
        Ok((u.gather(world)?, hash))
    });
    let mut values = job.unwrap_or_else(|abort| panic!("{ranks} ranks × {threads} threads: {abort}"));
    assert!(values.iter().all(|v| v.1 == values[0].1), "all ranks know the hash");
    let (field, hash) = values.swap_remove(0);
    (field.expect("rank 0 has the field"), hash)
}

/// From a random start, every layout (ranks, threads) gives the bits of the serial program, and one hash.
///
/// # Panics
/// If one does not.
pub fn same_bits<const D: usize>(cells: [u64; D], seed: u64, steps: u64, layouts: &[(u32, usize)])
where
    f64: Compiled<D>,
{
    let heat = Heat::new(cells, 1.0, None).expect("a simulation");
    let random = Random::new(seed);
    let full: [u64; 3] = std::array::from_fn(|a| cells.get(a).copied().unwrap_or(1));
    let index = |at: [u64; 3]| (at[2] * full[1] + at[1]) * full[0] + at[0];
    let expected = serial(full, D, heat.dt(), steps, |at| random.unit(index(at)));
    let mut hashes = Vec::new();
    for &(ranks, threads) in layouts {
        let (field, hash) = parallel(ranks, threads, &heat, Start::Random(seed), steps);
        let same = field.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits());
        assert!(same && field.len() == expected.len(), "{cells:?} on {ranks} ranks × {threads} threads");
        hashes.push(hash);
    }
    assert!(hashes.iter().all(|&h| h == hashes[0]), "{cells:?}: {hashes:x?}");
}
