//! The heat equation against a serial program, bit by bit, on every layout.

use physalia::prelude::*;
use physalia_apps::stencil::heat::{Heat, Start};

/// One step as a textbook has it: every cell, its six neighbours or the boundary's zero.
fn serial(cells: [u64; 3], axes: usize, dt: f64, steps: u64, start: impl Fn([u64; 3]) -> f64) -> Vec<f64> {
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
fn parallel<const D: usize>(ranks: u32, threads: usize, heat: &Heat<D>, start: Start, steps: u64) -> (Vec<f64>, u64) {
    let job = Launch::from_env().ranks(ranks).threads(threads).run(|world| {
        let mut u = heat.start::<f64>(world, start)?;
        heat.advance(world, &mut u, steps, |_| ())?;
        let hash = u.hash(world)?;
        Ok((u.gather(world)?, hash))
    });
    let mut values = job.unwrap_or_else(|abort| panic!("{ranks} ranks × {threads} threads: {abort}"));
    assert!(values.iter().all(|v| v.1 == values[0].1), "all ranks know the hash");
    let (field, hash) = values.swap_remove(0);
    (field.expect("rank 0 has the field"), hash)
}

fn against_serial<const D: usize>(cells: [u64; D], ranks: &[u32], threads: &[usize]) {
    let heat = Heat::new(cells, 1.0, None).unwrap();
    let seed = 7;
    let random = Random::new(seed);
    let full: [u64; 3] = std::array::from_fn(|a| cells.get(a).copied().unwrap_or(1));
    let index = |at: [u64; 3]| (at[2] * full[1] + at[1]) * full[0] + at[0];
    let expected = serial(full, D, heat.dt(), 12, |at| random.unit(index(at)));
    let mut hashes = Vec::new();
    for &ranks in ranks {
        for &threads in threads {
            let (field, hash) = parallel(ranks, threads, &heat, Start::Random(seed), 12);
            let same = field.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same && field.len() == expected.len(), "{cells:?} on {ranks} ranks × {threads} threads");
            hashes.push(hash);
        }
    }
    assert!(hashes.iter().all(|&h| h == hashes[0]), "{cells:?}: {hashes:x?}");
}

#[test]
fn every_layout_has_the_bits_of_a_serial_program() {
    against_serial([61, 47], &[1, 2, 3, 4, 8], &[1, 2, 4]);
    against_serial([19, 16, 15], &[1, 2, 3, 4, 8], &[1, 2, 4]);
}

#[test]
fn odd_shapes() {
    against_serial([1, 1], &[1, 2, 5], &[1, 2]); // fewer cells than ranks
    against_serial([2, 2], &[4], &[1]); // one cell a rank
    against_serial([2, 2, 2], &[3, 8], &[2]);
    against_serial([5000], &[1, 3, 8], &[1, 2]);
    against_serial([1, 97], &[1, 4], &[2]);
    against_serial([97, 1], &[1, 4], &[2]);
    against_serial([9000, 2], &[1, 3], &[2]); // rows of more than one block
    against_serial([3, 1, 50], &[5], &[1]);
}

#[test]
fn no_step_changes_nothing() {
    let heat = Heat::new([10, 10], 1.0, None).unwrap();
    let (field, _) = parallel(2, 1, &heat, Start::Random(0), 0);
    assert_eq!(field[11].to_bits(), Random::new(0).unit(11).to_bits());
}

#[test]
fn a_last_bit_changes_the_hash() {
    let hashes = Launch::from_env().ranks(3).threads(2).run(|world| {
        let heat = Heat::new([30, 20], 1.0, None)?;
        let mut u = heat.start::<f64>(world, Start::Random(3))?;
        let before = u.hash(world)?;
        let mut all = vec![before];
        for cell in [[0, 0], [29, 19], [15, 10]] {
            let old = u.get(cell);
            if let Some(old) = old {
                u.set(cell, f64::from_bits(old.to_bits() ^ 1));
            }
            all.push(u.hash(world)?);
            if let Some(old) = old {
                u.set(cell, old);
            }
        }
        assert_eq!(u.hash(world)?, before);
        // Two cells whose values are swapped are another field too.
        let (a, b) = (u.get([3, 3]), u.get([4, 3]));
        if let (Some(a), Some(b)) = (a, b) {
            u.set([3, 3], b);
            u.set([4, 3], a);
        }
        all.push(u.hash(world)?);
        Ok(all)
    });
    let mut hashes = hashes.unwrap().swap_remove(0);
    hashes.sort_unstable();
    assert!(hashes.windows(2).all(|pair| pair[0] != pair[1]), "{hashes:x?}");
}

#[test]
fn the_error_is_a_few_roundings() {
    fn error<T: physalia_apps::stencil::heat::Real, const D: usize>(cells: [u64; D], steps: u64) -> f64 {
        let job = Launch::from_env().ranks(3).threads(2).run(|world| {
            let heat = Heat::new(cells, 0.7, None)?;
            let mut u = heat.start::<T>(world, Start::Sines)?;
            heat.advance(world, &mut u, steps, |_| ())?;
            let error = heat.error_max(world, &u, steps)?;
            assert!(error <= heat.rounding_bound::<T>(steps), "{cells:?}: {error:e}");
            // A cell that is off by more than rounding is seen.
            let cell = cells.map(|n| n / 2);
            if let Some(old) = u.get(cell) {
                u.set(cell, T::from_f64(old.as_f64() + 1e-3));
            }
            assert!(heat.error_max(world, &u, steps)? > 0.9e-3);
            Ok(error)
        });
        job.unwrap()[0]
    }
    assert!(error::<f64, 2>([512, 384], 500) <= 1e-12);
    assert!(error::<f64, 3>([48, 40, 36], 500) <= 1e-12);
    assert!(error::<f64, 1>([100], 1000) <= 1e-12);
    assert!(error::<f64, 2>([1, 1], 3) <= 1e-12);
    assert!(error::<f32, 2>([128, 96], 200) <= 1e-4);
}
