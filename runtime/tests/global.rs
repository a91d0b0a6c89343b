//! Fields as global arrays, on any number of ranks, workers and boxes, against serial loops over the whole field.

use ndarray::ArrayD;
use physalia::field::{Boxes, Extreme};
use physalia::prelude::*;
use physalia::random::Random;

const SHAPES: [(u32, usize); 6] = [(1, 1), (1, 3), (2, 2), (3, 1), (5, 2), (8, 1)];

fn on_any_shape(body: impl Fn(&mut World) -> Outcome<()> + Send + Sync) {
    for (ranks, threads) in SHAPES {
        Launch::from_env().ranks(ranks).threads(threads).run(&body).unwrap();
    }
}

fn value<const D: usize>(at: [u64; D]) -> f64 {
    let index = at.iter().rev().fold(0, |index, c| index * 10_007 + c);
    Random::new(5).unit(index) - 0.5
}

/// Boxes in any hands, several a rank.
fn jumbled(cuts: [Vec<u64>; 3], ranks: u32) -> Boxes {
    let count: usize = cuts.iter().map(|c| c.len() - 1).product();
    Boxes::with(cuts, (0..count as u64).map(|i| Random::new(9).below(i, ranks.into()) as u32).collect())
}

fn all<const D: usize>(cells: [u64; D]) -> impl Iterator<Item = [u64; D]> {
    (0..cells.iter().product()).map(move |mut index: u64| {
        cells.map(|n| {
            let at = index % n;
            index /= n;
            at
        })
    })
}

fn maps<const D: usize>(world: &mut World, cells: [u64; D], boxes: Boxes) -> Outcome<()> {
    let wide = Grid::new(cells).halo(3);
    let mut u = Field::<f64, D>::with_boxes(world, Grid::new(cells), boxes.clone())?;
    let mut v = Field::<i32, D>::with_boxes(world, wide, boxes)?;
    u.fill(value);
    u.map(|at, u| u + at[0] as f64);
    v.fill(|at| at.iter().sum::<u64>() as i32);
    v.update_with(&u, |v, u| if u > 1.0 { v } else { -v });
    let mut w = u.like();
    w.fill(|_| 1.0);
    w.update_with_two(&u, &v, |w, u, v| w + u * f64::from(v));
    let mut x = w.like();
    x.assign(&w);
    x.axpy(-0.5, &u);
    x.xpby(&w, 3.0);
    x.scale(2.0);
    let expected = |at: [u64; D]| {
        let u = value(at) + at[0] as f64;
        let sum = at.iter().sum::<u64>() as i32;
        let w = 1.0 + u * f64::from(if u > 1.0 { sum } else { -sum });
        2.0 * (w + 3.0 * (w + -0.5 * u))
    };
    x.for_each_cell(|at, x| assert_eq!(x.to_bits(), expected(at).to_bits(), "{at:?}"));
    let mut seen = x.like();
    x.views().iter().zip(seen.views_mut()).for_each(|((from, x), (to, mut seen))| {
        assert_eq!(**from, to);
        seen.zip_mut_with(x, |seen, x| *seen = x + 1.0);
    });
    let whole = seen.gather(world)?;
    assert!(whole.is_none_or(|whole| whole.into_iter().zip(all(cells)).all(|(got, at)| got == expected(at) + 1.0)));
    Ok(())
}

#[test]
fn cells_are_changed_from_positions_and_other_fields() {
    on_any_shape(|world| {
        let ranks = world.size();
        maps(world, [70_001], jumbled([vec![0, 8192, 12_288, 70_001], vec![0, 1], vec![0, 1]], ranks))?;
        maps(world, [70_001], Boxes::new([70_001, 1, 1], ranks))?;
        maps(world, [5000, 7], jumbled([vec![0, 4096, 5000], vec![0, 1, 7], vec![0, 1]], ranks))?;
        maps(world, [17, 23, 5], jumbled([vec![0, 17], vec![0, 4, 9, 23], vec![0, 2, 5]], ranks))?;
        maps(world, [1, 1, 2], Boxes::new([1, 1, 2], ranks))
    });
}

#[test]
fn fields_on_other_boxes_are_refused() {
    let mut world = World::alone();
    let mut u = Field::<f64, 2>::new(&mut world, Grid::new([4, 9])).unwrap();
    let v = Field::<f64, 2>::new(&mut world, Grid::new([9, 4])).unwrap();
    let why = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| u.axpy(1.0, &v))).unwrap_err();
    let why = why.downcast::<String>().expect("words");
    assert!(why.contains("fields of [4, 9] cells (epoch 0) and of [9, 4] cells (epoch 0)"), "{why}");
}

#[test]
fn extremes_have_the_first_of_equal_places() {
    on_any_shape(|world| {
        let cells = [13, 11, 6];
        let boxes = jumbled([vec![0, 13], vec![0, 2, 7, 11], vec![0, 1, 6]], world.size());
        let mut u = Field::<f32, 3>::with_boxes(world, Grid::new(cells), boxes)?;
        let steps = |at| ((value(at) * 40.0).round() / 8.0) as f32; // many are equal
        u.fill(steps);
        let find = |better: fn(f32, f32) -> bool| {
            let best = all(cells).reduce(|best, at| if better(steps(at), steps(best)) { at } else { best });
            best.map(|cell| Extreme { value: steps(cell).into(), cell }).unwrap()
        };
        let (min, max) = (find(|a, b| a < b), find(|a, b| a > b));
        assert_eq!((u.min(world)?, u.max(world)?), (min, max));
        assert_eq!(u.max_norm(world)?, max.value.max(-min.value));
        assert_eq!(u.integral(world, 0.125)?, u.sum(world)? * 0.125);
        assert_eq!(u.not_finite(world)?, None);
        // Overflow of the sum is not infinity of a cell.
        let mut large = Field::<f64, 3>::new(world, Grid::new(cells))?;
        large.fill(|_| f64::MAX);
        assert_eq!(large.not_finite(world)?, None);
        u.set([12, 3, 4], f32::NEG_INFINITY);
        u.set([0, 4, 4], f32::NAN);
        u.set([5, 10, 5], f32::NAN);
        assert_eq!(u.not_finite(world)?, Some(Extreme { value: f64::NEG_INFINITY, cell: [12, 3, 4] }));
        for found in [u.min(world)?, u.max(world)?] {
            assert!(found.value.is_nan() && found.cell == [0, 4, 4], "{found:?}");
        }
        assert!(u.max_norm(world)?.is_nan());
        Ok(())
    });
}

fn regions<const D: usize>(world: &mut World, cells: [u64; D], boxes: Boxes) -> Outcome<()> {
    let mut u = Field::<f64, D>::with_boxes(world, Grid::new(cells), boxes)?;
    let shape: Vec<usize> = cells.iter().rev().map(|&n| n as usize).collect();
    let whole = ArrayD::from_shape_vec(shape, all(cells).map(value).collect())?;
    u.scatter_array(world, (world.rank() == 0).then_some(&whole))?;
    u.for_each_cell(|at, u| assert_eq!(u, value(at)));
    for try_ in 0..6 {
        let part = |a: usize| {
            let two = [0, 1].map(|k| Random::new(try_).below((2 * a + k) as u64, cells[a] + 1));
            two[0].min(two[1])..two[0].max(two[1])
        };
        let region: [_; D] = std::array::from_fn(part);
        let root = try_ as u32 % world.size();
        let got = u.gather_region(world, root, region.clone())?;
        assert_eq!(got.is_some(), world.rank() == root);
        if let Some(got) = got {
            let mut wanted = whole.view();
            for (axis, range) in region.iter().enumerate() {
                let range = range.start as isize..range.end as isize;
                wanted.slice_axis_inplace(ndarray::Axis(D - 1 - axis), range.into());
            }
            assert_eq!(got, wanted);
        }
    }
    // Each rank brings some planes of the last axis; later ranks overwrite the plane that two bring.
    let (n, last) = (cells[D - 1], cells.map(|n| n as usize)[D - 1]);
    let (rank, ranks) = (u64::from(world.rank()), u64::from(world.size()));
    let (from, to) = (n * rank / ranks, (n * (rank + 1) / ranks + 1).min(n));
    let mut mine = &whole + (rank + 1) as f64;
    mine.slice_axis_inplace(ndarray::Axis(0), (from as isize..to as isize).into());
    let mut begin = [0; D];
    begin[D - 1] = from;
    u.put(world, &[(begin, mine.view())])?;
    let owner =
        |plane: u64| (0..ranks).rev().find(|r| (n * r / ranks..n * (r + 1) / ranks + 1).contains(&plane)).unwrap();
    u.for_each_cell(|at, u| assert_eq!(u, value(at) + (owner(at[D - 1]) + 1) as f64, "{at:?} of {last}"));
    Ok(())
}

#[test]
fn arrays_go_to_their_owners_and_cuboids_to_one_rank() {
    on_any_shape(|world| {
        let ranks = world.size();
        regions(world, [9001], jumbled([vec![0, 4096, 8192, 9001], vec![0, 1], vec![0, 1]], ranks))?;
        regions(world, [4100, 5], jumbled([vec![0, 4096, 4100], vec![0, 1, 5], vec![0, 1]], ranks))?;
        regions(world, [7, 6, 5], jumbled([vec![0, 7], vec![0, 1, 4, 6], vec![0, 2, 5]], ranks))?;
        regions(world, [3, 1, 2], Boxes::new([3, 1, 2], ranks))
    });
}

#[test]
fn arrays_that_do_not_fit_are_refused_by_all() {
    for ranks in [1, 3] {
        let last = ranks - 1;
        let job = Launch::from_env().ranks(ranks).run(move |world| {
            let mut u = Field::<f64, 2>::new(world, Grid::new([4, 6]))?;
            let array = ArrayD::zeros(vec![3, 2]);
            let parts = if world.rank() == last { vec![([3, 0], array.view())] } else { vec![] };
            let why = u.put(world, &parts).unwrap_err().to_string();
            assert!(why.contains(&format!("rank {last} ")), "{why}");
            assert!(why.contains("shape [3, 2] at [3, 0] does not lie in a grid of [4, 6] cells"), "{why}");
            let why = u.scatter_array(world, Some(&array)).unwrap_err().to_string();
            assert!(why.contains("an array of shape [3, 2] for a field of shape [6, 4]"), "{why}");
            let why = u.scatter_array(world, None).unwrap_err().to_string();
            assert!(why.contains("no array to scatter"), "{why}");
            assert_eq!(u.sum(world)?, 0.0); // and all go on
            Ok(())
        });
        job.unwrap();
    }
    let why = Launch::from_env().ranks(2).run(|world| {
        let u = Field::<f64, 1>::new(world, Grid::new([9]))?;
        let end = 3 + u64::from(world.rank());
        Ok(u.gather_region(world, 0, std::array::from_fn(|_| 0..end))?.is_some())
    });
    assert!(why.unwrap_err().to_string().contains("the ranks call different things"));
}

#[test]
fn places_near_a_box_are_found_after_an_exchange() {
    on_any_shape(|world| {
        let cells = [6, 9, 4];
        let boxes = jumbled([vec![0, 6], vec![0, 4, 9], vec![0, 3, 4]], world.size());
        let mut u = Field::<f64, 3>::with_boxes(world, Grid::new(cells).halo(2), boxes)?;
        u.fill(value);
        let mut plan = HaloPlan::new(world, &u)?;
        plan.start(world, &u)?.finish(&mut u)?;
        let mine: Vec<_> = u.views().iter().map(|(region, _)| (*region).clone()).collect();
        for at in all([12, 15, 10]).map(|at| at.map(|c| c as i64 - 3)) {
            let reach = |r: &physalia::field::Region| {
                (0..3).all(|a| (r.begin[a] as i64 - 2..r.end[a] as i64 + 2).contains(&at[a]))
            };
            let inside = (0..3).all(|a| (0..cells[a] as i64).contains(&at[a]));
            let known = if inside { value(at.map(|c| c as u64)) } else { 0.0 };
            assert_eq!(u.value_near(at), mine.iter().any(reach).then_some(known), "{at:?}");
        }
        Ok(())
    });
}
