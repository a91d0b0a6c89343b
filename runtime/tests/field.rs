//! Fields on any number of ranks, workers and boxes: ghosts, hashes and sums against the whole field in one array.

use physalia::exact::Exact;
use physalia::field::Boxes;
use physalia::prelude::*;
use physalia::random::Random;

/// Every value of the global field from its position.
fn value([x, y, z]: [u64; 3]) -> f64 {
    Random::new(3).unit(x + 10_007 * (y + 1009 * z)) * 2f64.powi(((x * 7 + y * 3 + z) % 40) as i32 - 20)
}

fn lift<const D: usize>(at: [u64; D]) -> [u64; 3] {
    std::array::from_fn(|a| at.get(a).copied().unwrap_or(0))
}

fn shapes() -> impl Iterator<Item = (u32, usize)> {
    [1, 2, 3, 5, 8].into_iter().flat_map(|ranks| [1, 3].into_iter().map(move |threads| (ranks, threads)))
}

/// After an exchange a stencil that reads every ghost, faces, edges and corners, gives what the global field says.
fn halo_is_right<const D: usize>(
    world: &mut World,
    cells: [u64; D],
    width: usize,
    boxes: Option<Boxes>,
) -> Outcome<()> {
    let grid = Grid::new(cells).halo(width);
    let mut u = match boxes {
        Some(boxes) => Field::<f64, D>::with_boxes(world, grid, boxes)?,
        None => Field::<f64, D>::new(world, grid)?,
    };
    u.fill(|at| value(lift(at)));
    let mut plan = HaloPlan::new(world, &u)?;
    let flight = plan.start(world, &u)?;
    flight.finish(&mut u)?;
    let (extent, w) = (lift(cells).map(|n| n.max(1)), width as i64);
    let reach = |axis: usize| if axis < D { w } else { 0 };
    let mut sums = u.like();
    sweep(&u, &mut sums, Part::All, |rows, out| {
        let [x0, y, z] = rows.start();
        for (i, cell) in out.iter_mut().enumerate() {
            for dz in -reach(2)..=reach(2) {
                for dy in -reach(1)..=reach(1) {
                    let row = rows.at(dy, dz);
                    for dx in -w..=w {
                        let at = [x0 as i64 + i as i64 + dx, y as i64 + dy, z as i64 + dz];
                        let inside = (0..3).all(|a| (0..extent[a] as i64).contains(&at[a]));
                        let expected = if inside { value(at.map(|c| c as u64)) } else { 0.0 };
                        assert_eq!(row[(i as i64 + w + dx) as usize], expected, "{at:?} from row {y}, {z}");
                    }
                }
            }
            *cell = 1.0;
        }
    });
    assert_eq!(sums.sum(world)?, extent.iter().product::<u64>() as f64); // every row was visited
    // Interior and edge together are all rows, each once, and the interior needs no ghosts.
    let mut v = u.like();
    v.fill(|_| 0.0);
    for part in [Part::Interior, Part::Edge] {
        sweep(&u, &mut v, part, |_, out| out.iter_mut().for_each(|c| *c += 1.0));
    }
    assert_eq!(v.hash(world)?, sums.hash(world)?);
    Ok(())
}

#[test]
fn halos_on_any_shape() {
    for (ranks, threads) in shapes() {
        Launch::from_env()
            .ranks(ranks)
            .threads(threads)
            .run(|world| {
                for width in 1..=3 {
                    halo_is_right(world, [23], width, None)?;
                    halo_is_right(world, [9000], width, None)?; // x is cut
                    halo_is_right(world, [13, 29], width, None)?;
                    halo_is_right(world, [1, 3], width, None)?; // fewer cells than ranks
                    halo_is_right(world, [5, 1], width, None)?;
                    halo_is_right(world, [7, 6, 11], width, None)?;
                    halo_is_right(world, [1, 1, 2], width, None)?;
                }
                Ok(())
            })
            .unwrap();
    }
}

#[test]
fn several_boxes_a_rank_in_any_hands() {
    for ranks in [1, 2, 4] {
        Launch::from_env()
            .ranks(ranks)
            .threads(2)
            .run(|world| {
                // Owners jumbled, boxes thinner than the halo, and x cut.
                let owner =
                    |n: u64, seed: u64| (0..n).map(|i| Random::new(seed).below(i, ranks.into()) as u32).collect();
                let cuts = [vec![0, 6], vec![0, 1, 4, 5, 9], vec![0, 2, 3, 7]];
                halo_is_right(world, [6, 9, 7], 2, Some(Boxes::with(cuts, owner(12, 1))))?;
                let cuts = [vec![0, 4096, 8192, 8200], vec![0, 2, 5], vec![0, 1]];
                halo_is_right(world, [8200, 5], 1, Some(Boxes::with(cuts, owner(6, 2))))?;
                Ok(())
            })
            .unwrap();
    }
}

/// The rule of `Field::sum` in a serial program, and the hash from the whole field.
#[test]
fn sums_and_hashes_are_the_same_bits_everywhere() {
    let cells = [5000, 7, 3];
    let mut total = Exact::default();
    for z in 0..cells[2] {
        for y in 0..cells[1] {
            for run in (0..cells[0]).collect::<Vec<_>>().chunks(4096) {
                let mut lanes = [0.0; 8];
                run.iter().enumerate().for_each(|(i, &x)| lanes[i % 8] += value([x, y, z]));
                for apart in [4, 2, 1] {
                    (0..apart).for_each(|lane| lanes[lane] += lanes[lane + apart]);
                }
                total.add(lanes[0]);
            }
        }
    }
    let mut seen = Vec::new();
    for (ranks, threads) in shapes() {
        let all = Launch::from_env().ranks(ranks).threads(threads).run(|world| {
            let mut u = Field::<f64, 3>::new(world, Grid::new(cells))?;
            u.fill(value);
            let hash = u.hash(world)?;
            assert_eq!(u.sum(world)?.to_bits(), total.round().to_bits());
            let largest = u.max_of(world, |_, v| v)?;
            let whole = u.gather(world)?;
            if let Some(whole) = whole {
                assert_eq!(whole.len(), 5000 * 7 * 3);
                let at = |i: u64| [i % 5000, i / 5000 % 7, i / 35_000];
                assert!((0u64..).zip(&whole).all(|(i, v)| v.to_bits() == value(at(i)).to_bits()));
                assert_eq!(whole.iter().copied().fold(f64::MIN, f64::max), largest);
            }
            // The last bit of one cell, wherever it lies.
            let cell = [4321, 6, 1];
            u.set(cell, f64::from_bits(value(cell).to_bits() ^ 1));
            assert_ne!(u.hash(world)?, hash);
            u.set(cell, f64::NAN);
            assert!(u.max_of(world, |_, v| v)?.is_nan());
            Ok(hash)
        });
        seen.extend(all.unwrap());
    }
    assert!(seen.iter().all(|h| *h == seen[0]), "{seen:x?}");
}

#[test]
fn a_forgotten_flight_does_not_harm_the_next() {
    Launch::from_env()
        .ranks(3)
        .run(|world| {
            let mut u = Field::<f32, 2>::new(world, Grid::new([4, 9]))?;
            u.fill(|[x, y]| (x + 10 * y) as f32);
            let mut plan = HaloPlan::new(world, &u)?;
            #[allow(clippy::forget_non_drop)]
            std::mem::forget(plan.start(world, &u)?);
            let flight = plan.start(world, &u)?;
            u.fill(|_| -1.0); // allowed while it flies: what was sent is sent
            flight.finish(&mut u)?;
            let mut below = u.like();
            sweep(&u, &mut below, Part::Edge, |rows, out| out.copy_from_slice(&rows.at(-1, 0)[1..5]));
            let first = u.boxes().region(world.rank() as usize).begin[1];
            let expected = if first == 0 { -1.0 } else { 2.0 + 10.0 * (first - 1) as f32 };
            assert_eq!(below.get([2, if first == 0 { 2 } else { first }]), Some(expected));
            Ok(())
        })
        .unwrap();
}

#[test]
fn plans_and_fields_must_fit() {
    let why = Launch::from_env().run(|world| {
        let u = Field::<f64, 2>::new(world, Grid::new([4, 9]))?;
        let v = Field::<f64, 2>::new(world, Grid::new([4, 8]))?;
        let mut plan = HaloPlan::new(world, &u)?;
        drop(plan.start(world, &v)?);
        Ok(())
    });
    assert!(why.unwrap_err().to_string().contains("a plan for Grid { cells: [4, 9]"));
    let why = Launch::from_env().ranks(2).run(|world| {
        let cells = [10, 10 + u64::from(world.rank())];
        Field::<f64, 2>::new(world, Grid::new(cells))?;
        Ok(())
    });
    assert!(why.unwrap_err().to_string().contains("the ranks call different things"));
    let why = Launch::from_env().ranks(2).run(|world| {
        Field::<f64, 3>::new(world, Grid::new([1 << 30, 1 << 30, 1 << 30]))?;
        Ok(())
    });
    assert!(why.unwrap_err().to_string().contains("larger than memory can be addressed"));
}

#[test]
fn arrays_are_c_ordered() {
    for ranks in [1, 3] {
        let job = Launch::from_env().ranks(ranks).threads(2).run(|world| {
            let mut u = Field::<f64, 3>::new(world, Grid::new([5, 4, 6]).halo(2))?;
            u.fill(|[x, y, z]| (x + 10 * y + 100 * z) as f64);
            for (region, cells) in u.views() {
                let [x, y, z] = region.begin;
                for ((k, j, i), &cell) in cells.indexed_iter() {
                    assert_eq!(cell, (x + i as u64 + 10 * (y + j as u64) + 100 * (z + k as u64)) as f64);
                }
                assert_eq!(cells.len() as u64, region.cells());
            }
            Ok(u.gather_array(world)?)
        });
        let whole = job.unwrap().swap_remove(0).expect("rank 0 has it");
        assert_eq!((whole.shape(), whole[[5, 3, 4]]), (&[6, 4, 5][..], 534.0));
    }
}

#[test]
fn dots_and_norms() {
    for (ranks, threads) in shapes() {
        Launch::from_env()
            .ranks(ranks)
            .threads(threads)
            .run(|world| {
                let cuts = [vec![0, 4096, 4100], vec![0, 2, 3, 7], vec![0, 5]];
                let owners = (0..6).map(|id| id * 7 % ranks).collect(); // several boxes a rank, or none
                let grid = Grid::new([4100, 7, 5]);
                let mut u = Field::<i32, 3>::with_boxes(world, grid, Boxes::with(cuts, owners))?;
                u.fill(|[x, y, z]| (x + 10 * y + z) as i32);
                let mut v = u.like();
                v.fill(|[x, y, z]| x as i32 - 100 * (y * z) as i32);
                let mut dot = 0i64;
                let mut squares = 0i64;
                for cell in 0..4100 * 7 * 5i64 {
                    let [x, y, z] = [cell % 4100, cell / 4100 % 7, cell / 4100 / 7];
                    dot += (x + 10 * y + z) * (x - 100 * y * z);
                    squares += (x + 10 * y + z).pow(2);
                }
                assert_eq!((u.dot(world, &v)?, v.dot(world, &u)?), (dot as f64, dot as f64));
                assert_eq!(u.norm(world)?, (squares as f64).sqrt());
                assert_eq!((u.fast().dot(world, &v)?, u.fast().norm(world)?), (dot as f64, (squares as f64).sqrt()));
                u.fill(|_| 0);
                assert_eq!(u.norm(world)?, 0.0);
                Ok(())
            })
            .unwrap();
    }
}

#[test]
fn dots_must_fit_and_be_the_same_everywhere() {
    let why = Launch::from_env().ranks(2).run(|world| {
        let u = Field::<f64, 2>::new(world, Grid::new([4, 9]))?;
        let v = Field::<f64, 2>::new(world, Grid::new([4, 8]))?;
        Ok(u.dot(world, &v)?)
    });
    assert!(why.unwrap_err().to_string().contains("a dot product of fields on different boxes"));
    let why = Launch::from_env().ranks(2).run(|world| {
        let b = vec![1.0; 3 + world.rank() as usize];
        Ok(world.dot(&[1.0; 3], &b)?)
    });
    assert!(why.unwrap_err().to_string().contains("parts of different length"));
    let why = Launch::from_env().ranks(2).run(|world| {
        let u = Field::<f64, 2>::new(world, Grid::new([4, 9]))?;
        Ok(if world.rank() == 0 { u.sum(world)? } else { u.fast().sum(world)? })
    });
    assert!(why.unwrap_err().to_string().contains("the ranks call different things"));
}

/// The rank's thread is a worker: whoever waited for it elsewhere, while it waits for them, would wait for ever.
#[test]
fn workers_are_used_on_the_ranks_thread_alone() {
    for threads in [1, 2] {
        Launch::from_env()
            .ranks(1)
            .threads(threads)
            .run(|world| {
                let mut u = Field::<f64, 2>::new(world, Grid::new([8, 8]))?;
                let panicked = std::thread::scope(|scope| scope.spawn(|| u.fill(|_| 1.0)).join()).unwrap_err();
                let words = panicked.downcast::<&str>().expect("words");
                assert!(words.contains("on a thread that is not the rank's"), "{words}");
                u.fill(|_| 2.0);
                assert_eq!(u.sum(world)?, 128.0);
                Ok(())
            })
            .unwrap();
    }
}
