//! The heat equation against a serial program, bit by bit, on every layout.

use physalia::prelude::*;
use physalia_apps::stencil::engine::Compiled;
use physalia_apps::stencil::exact::{Check, Verdict};
use physalia_apps::stencil::heat::{Heat, Start};
use physalia_tests::oracle::heat::{parallel, same_bits};

fn against_serial<const D: usize>(cells: [u64; D], ranks: &[u32], threads: &[usize])
where
    f64: Compiled<D>,
{
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

/// The check of a field that `program` has advanced, held against the solution of `heat`.
fn check<T: Compiled<D>, const D: usize>(program: &Heat<D>, heat: &Heat<D>, steps: u64) -> Check {
    let job = Launch::from_env().ranks(3).threads(2).run(|world| {
        let mut u = heat.start::<T>(world, Start::Sines)?;
        program.advance(world, &mut u, steps)?;
        Ok(heat.check(world, &u, steps)?)
    });
    job.unwrap()[0]
}

#[test]
fn the_error_is_a_few_roundings() {
    fn error<T: Compiled<D>, const D: usize>(cells: [u64; D], steps: u64) -> f64 {
        let heat = Heat::new(cells, 0.7, None).unwrap();
        let check = check::<T, D>(&heat, &heat, steps);
        assert_eq!(check.verdict(), Verdict::Right, "{cells:?}: {check:?}");
        check.error
    }
    assert!(error::<f64, 2>([512, 384], 500) <= 1e-12);
    assert!(error::<f64, 3>([48, 40, 36], 500) <= 1e-12);
    assert!(error::<f64, 1>([100], 1000) <= 1e-12);
    assert!(error::<f64, 2>([1, 1], 3) <= 1e-12);
    assert!(error::<f32, 2>([128, 96], 200) <= 1e-4);
}

#[test]
fn a_cell_that_is_off_is_seen() {
    let job = Launch::from_env().ranks(3).threads(2).run(|world| {
        let heat = Heat::new([60, 50], 1.0, None)?;
        let mut u = heat.start::<f64>(world, Start::Sines)?;
        heat.advance(world, &mut u, 100)?;
        if let Some(old) = u.get([30, 25]) {
            u.set([30, 25], old + 1e-12);
        }
        Ok(heat.check(world, &u, 100)?)
    });
    let check = job.unwrap()[0];
    assert!(check.verdict() == Verdict::Wrong && (0.9e-12..1.1e-12).contains(&check.error), "{check:?}");
}

/// However little is left, a program whose coefficient is wrong in the ninth digit is found out, and the right one is not.
#[test]
fn a_decayed_field_is_checked_as_sharply() {
    fn found<T: Compiled<D>, const D: usize>(cells: [u64; D], wrong: f64, all_steps: &[u64]) {
        let heat = Heat::new(cells, 1.0, None).unwrap();
        let other = Heat::new(cells, 1.0 + wrong, Some(heat.dt())).unwrap();
        for &steps in all_steps {
            let right = check::<T, D>(&heat, &heat, steps);
            assert_eq!(right.verdict(), Verdict::Right, "{cells:?}, {steps} steps: {right:?}");
            let mutant = check::<T, D>(&other, &heat, steps);
            assert_eq!(mutant.verdict(), Verdict::Wrong, "{cells:?}, {steps} steps: {mutant:?}");
            assert!(right.bound < 1e-2 * right.peak, "{cells:?}, {steps} steps: {right:?}");
        }
    }
    found::<f64, 1>([20], 1e-9, &[1, 30, 1000, 10_000, 70_000]);
    found::<f64, 2>([15, 9], 1e-9, &[1, 30, 1000, 10_000, 20_000]); // the last: less than 1e-250 is left
    found::<f64, 3>([5, 4, 3], 1e-9, &[1, 30, 500, 2500]);
    found::<f64, 2>([1, 1], 1e-9, &[1, 2, 30, 400]);
    found::<f32, 2>([15, 9], 1e-3, &[30, 1000]);
}

#[test]
fn right_programs_pass_at_the_limit_and_where_nothing_is_left() {
    fn seen<T: Compiled<D>, const D: usize>(cells: [u64; D], part: f64, steps: u64) -> Verdict {
        let limit = 1.0 / (2.0 * cells.iter().map(|&n| (n as f64 + 1.0).powi(2)).sum::<f64>());
        let heat = Heat::new(cells, 1.0, Some(part * limit)).unwrap();
        let check = check::<T, D>(&heat, &heat, steps);
        assert_ne!(check.verdict(), Verdict::Wrong, "{cells:?}, {part} of the limit, {steps} steps: {check:?}");
        check.verdict()
    }
    for steps in [0, 1, 2, 3, 10, 1000] {
        for part in [0.01, 0.3, 0.99, 1.0] {
            seen::<f64, 1>([1], part, steps);
            seen::<f64, 1>([2], part, steps);
            seen::<f64, 2>([1, 1], part, steps);
            seen::<f64, 2>([40, 3], part, steps);
            seen::<f64, 3>([1, 2, 3], part, steps);
            seen::<f32, 2>([6, 5], part, steps);
            seen::<f32, 3>([9, 1, 4], part, steps);
        }
    }
    assert_eq!(seen::<f64, 2>([15, 9], 0.8, 100_000), Verdict::Nothing); // 1e-2600 is 0
    assert_eq!(seen::<f64, 1>([1], 1.0, 5), Verdict::Nothing); // the first step takes all
    assert_eq!(seen::<f32, 2>([15, 9], 0.8, 4000), Verdict::Nothing); // 1e-50: no f32
    assert_eq!(seen::<f64, 2>([15, 9], 0.8, 0), Verdict::Right);
}
