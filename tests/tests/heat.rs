//! The heat equation against a serial program, bit by bit, on every layout.

use physalia::prelude::*;
use physalia_apps::stencil::heat::{Heat, Start};
use physalia_tests::oracle::heat::{parallel, same_bits};

fn against_serial<const D: usize>(cells: [u64; D], ranks: &[u32], threads: &[usize]) {
    let layouts: Vec<_> = ranks.iter().flat_map(|&r| threads.iter().map(move |&t| (r, t))).collect();
    same_bits(cells, 7, 12, &layouts);
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
