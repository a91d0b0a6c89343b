//! Solvers against solutions that are known, and against themselves on other ranks, workers and boxes.

use physalia::field::Boxes;
use physalia::prelude::*;
use physalia::random::Random;
use physalia::solve::{
    Coefficient, Elliptic, ImplicitHeat, Multigrid, Report, RungeKutta, Tolerance, Unpreconditioned, Wall,
    conjugate_gradients,
};
use std::f64::consts::PI;

const D: Wall = Wall::Dirichlet;
const N: Wall = Wall::Neumann;
const P: Wall = Wall::Periodic;

/// A factor of the solution and a term of c along an axis, with first and second derivatives.
fn factor(wall: Wall, x: f64) -> ([f64; 3], [f64; 2]) {
    if wall == P {
        let (s, c) = (2.0 * PI * x).sin_cos();
        ([1.5 + s, 2.0 * PI * c, -4.0 * PI * PI * s], [0.3 * c, -0.6 * PI * s])
    } else {
        let (s, c) = (1.3 * x + 0.4).sin_cos();
        ([s, 1.3 * c, -1.69 * s], [0.3 * (1.1 * x).cos(), -0.33 * (1.1 * x).sin()])
    }
}

struct Case<const A: usize> {
    problem: Elliptic<A>,
    walls: [[Wall; 2]; A],
    shift: f64,
    varied: bool,
}

impl<const A: usize> Case<A> {
    fn new(walls: [[Wall; 2]; A], shift: f64, varied: bool) -> Case<A> {
        let problem = Elliptic::new([1.0; A]).walls(walls).shift(shift);
        Case { problem, walls, shift, varied }
    }

    fn parts(&self, at: [f64; A]) -> [([f64; 3], [f64; 2]); A] {
        std::array::from_fn(|a| factor(self.walls[a][0], at[a]))
    }

    fn u(&self, at: [f64; A]) -> f64 {
        self.parts(at).iter().map(|(g, _)| g[0]).product()
    }

    fn c(&self, at: [f64; A]) -> f64 {
        if self.varied { 2.0 + self.parts(at).iter().map(|(_, h)| h[0]).sum::<f64>() } else { 1.7 }
    }

    /// The derivative of u along an axis.
    fn slope(&self, at: [f64; A], axis: usize, order: usize) -> f64 {
        let parts = self.parts(at);
        (0..A).map(|a| parts[a].0[if a == axis { order } else { 0 }]).product()
    }

    fn f(&self, at: [f64; A]) -> f64 {
        let parts = self.parts(at);
        let along = |a: usize| {
            let steep = if self.varied { parts[a].1[1] } else { 0.0 };
            steep * self.slope(at, a, 1) + self.c(at) * self.slope(at, a, 2)
        };
        self.shift * self.u(at) - (0..A).map(along).sum::<f64>()
    }

    /// The largest error on so many cells, and how it was reached.
    fn error(&self, world: &mut World, cells: [u64; A]) -> Outcome<(f64, Report)> {
        let centre = |at: [u64; A]| std::array::from_fn(|a| (at[a] as f64 + 0.5) / cells[a] as f64);
        let mut f = Field::<f64, A>::new(world, Grid::new(cells))?;
        f.fill(|at| self.f(centre(at)));
        let mut c = f.like();
        c.fill(|at| self.c(centre(at)));
        let coefficient = if self.varied { Coefficient::Cells(&c) } else { Coefficient::Constant(1.7) };
        let mut multigrid = Multigrid::new(world, &f, &self.problem, coefficient)?;
        multigrid.add_walls(&mut f, |axis, upper, at| {
            let outwards = if upper { 1.0 } else { -1.0 };
            match self.walls[axis][usize::from(upper)] {
                D => self.u(at),
                _ => outwards * self.c(at) * self.slope(at, axis, 1),
            }
        });
        let mut u = f.like();
        let report = multigrid.solve(world, &f, &mut u, Tolerance::relative(1e-11), 40)?;
        assert!(report.converged, "{cells:?}: {report:?}");
        let mut exact = f.like();
        exact.fill(|at| self.u(centre(at)));
        if self.problem.singular() {
            let mean = exact.sum(world)? / cells.iter().product::<u64>() as f64;
            exact.map(|_, u| u - mean);
        }
        u.axpy(-1.0, &exact);
        Ok((u.max_norm(world)?, report))
    }

    fn is_of_order_two(&self, world: &mut World, cells: [u64; A]) {
        let errors = [1, 2, 4].map(|k| self.error(world, cells.map(|n| k * n)).unwrap().0);
        for pair in errors.windows(2) {
            let order = (pair[0] / pair[1]).log2();
            let what = format!("{:?}, shift {}, varied {}", self.walls, self.shift, self.varied);
            assert!((1.75..2.35).contains(&order), "{what}: order {order} from {cells:?}, {errors:?}");
        }
    }
}

#[test]
fn the_discretisation_is_of_order_two() {
    let mut world = World::alone();
    for varied in [false, true] {
        for walls in [[D, D], [D, N], [N, D]] {
            Case::new([walls], 0.0, varied).is_of_order_two(&mut world, [13]);
        }
        for walls in [[N, N], [P, P]] {
            Case::new([walls], 0.7, varied).is_of_order_two(&mut world, [13]);
            Case::new([walls], 0.0, varied).is_of_order_two(&mut world, [13]);
        }
        for walls in [[[D, D], [D, D]], [[P, P], [D, N]], [[N, N], [N, D]], [[P, P], [P, P]], [[N, N], [N, N]]] {
            Case::new(walls, 0.0, varied).is_of_order_two(&mut world, [11, 14]);
        }
        for walls in [[[D, D], [D, D], [D, D]], [[D, N], [P, P], [N, D]]] {
            Case::new(walls, 0.0, varied).is_of_order_two(&mut world, [7, 9, 8]);
        }
    }
}

/// The worst factor of a cycle, from a rough right-hand side.
fn rate<const A: usize>(world: &mut World, cells: [u64; A], walls: [[Wall; 2]; A], lengths: [f64; A]) -> f64 {
    let mut f = Field::<f64, A>::new(world, Grid::new(cells)).unwrap();
    f.fill(|at| Random::new(3).unit(at.iter().fold(0, |index, c| index * 4099 + c)) - 0.5);
    let mut u = f.like();
    let problem = Elliptic::new(lengths).walls(walls);
    let mut multigrid = Multigrid::new(world, &f, &problem, Coefficient::Constant(1.0)).unwrap();
    let report = multigrid.solve(world, &f, &mut u, Tolerance::relative(1e-10), 40).unwrap();
    assert!(report.converged, "{cells:?} {walls:?}: {:?}", report.residuals);
    report.residuals.windows(2).map(|pair| pair[1] / pair[0]).fold(0.0, f64::max)
}

#[test]
fn cycles_converge_alike_for_any_number_of_cells() {
    let mut world = World::alone();
    for n in [1, 2, 3, 4, 5, 7, 16, 31, 97, 1000, 4096] {
        for walls in [[D, D], [D, N], [P, P], [N, N]] {
            let rate = rate(&mut world, [n], [walls], [1.0]);
            assert!(rate < 0.15, "{n} cells, {walls:?}: {rate}");
        }
    }
    for cells in
        [[1, 1], [1, 9], [2, 2], [3, 5], [8, 8], [13, 13], [31, 37], [64, 64], [97, 89], [128, 100], [256, 256]]
    {
        for walls in [[[D, D], [D, D]], [[D, N], [P, P]], [[N, N], [N, N]], [[P, P], [P, P]]] {
            let rate = rate(&mut world, cells, walls, [1.0, 1.0]);
            assert!(rate < 0.15, "{cells:?} cells, {walls:?}: {rate}");
        }
    }
    for cells in [[1, 1, 1], [2, 3, 5], [7, 7, 7], [16, 16, 16], [31, 29, 23], [64, 64, 64]] {
        for walls in [[[D, D], [D, D], [D, D]], [[P, P], [D, N], [N, N]], [[P, P], [P, P], [P, P]]] {
            let rate = rate(&mut world, cells, walls, [1.0, 1.0, 1.0]);
            assert!(rate < 0.15, "{cells:?} cells, {walls:?}: {rate}");
        }
    }
    // Flat and long cells: an axis waits until its cells are as wide as the others'.
    for (cells, lengths) in [([64, 64], [1.0, 10.0]), ([300, 7], [1.0, 1.0]), ([17, 200], [1.0, 0.01])] {
        let rate = rate(&mut world, cells, [[D, D], [D, D]], lengths);
        assert!(rate < 0.15, "{cells:?} cells of {lengths:?}: {rate}");
    }
}

/// A problem with everything: walls of all kinds, a coefficient that jumps, flat cells.
struct Mixed {
    cells: [u64; 3],
    problem: Elliptic<3>,
}

impl Mixed {
    fn new() -> Mixed {
        Mixed { cells: [19, 37, 23], problem: Elliptic::new([1.0, 2.5, 1.0]).walls([[D, N], [P, P], [N, D]]) }
    }

    fn fields<T: physalia::solve::Number>(&self, world: &mut World, boxes: Boxes) -> Outcome<[Field<T, 3>; 2]> {
        let mut f = Field::<T, 3>::with_boxes(world, Grid::new(self.cells), boxes)?;
        f.fill(|[x, y, z]| T::nearest(Random::new(8).unit(x + 64 * (y + 64 * z)) - 0.4));
        let mut c = f.like();
        c.fill(|[x, y, z]| T::nearest(if x / 5 % 2 == (y / 9 + z / 7) % 2 { 20.0 } else { 0.1 }));
        Ok([f, c])
    }
}

fn jumbled(cuts: [Vec<u64>; 3], ranks: u32) -> Boxes {
    let count: usize = cuts.iter().map(|c| c.len() - 1).product();
    Boxes::with(cuts, (0..count as u64).map(|i| Random::new(9).below(i, ranks.into()) as u32).collect())
}

#[test]
fn the_same_bits_on_any_number_of_ranks_workers_and_boxes() {
    let solved = |ranks: u32, threads: usize, cut: bool, share: u64| {
        let job = Launch::from_env().ranks(ranks).threads(threads).run(|world| {
            let mixed = Mixed::new();
            let cuts = [vec![0, 19], vec![0, 6, 7, 22, 37], vec![0, 4, 12, 23]];
            let whole = Boxes::new(mixed.cells, world.size());
            let boxes = if cut { jumbled(cuts, world.size()) } else { whole };
            let [mut f, c] = mixed.fields::<f64>(world, boxes)?;
            let mut multigrid = Multigrid::with(world, &f, &mixed.problem, Coefficient::Cells(&c), 3, share)?;
            multigrid.add_walls(&mut f, |axis, upper, at| at[axis] + at[1] + f64::from(u8::from(upper)));
            let (mut u, mut v) = (f.like(), f.like());
            let a = multigrid.solve(world, &f, &mut u, Tolerance::relative(1e-8), 12)?;
            let b = multigrid.solve_by_cg(world, &f, &mut v, Tolerance::relative(1e-8), 60)?;
            assert!(b.converged, "{b:?}");
            let last = multigrid.levels().last().copied();
            assert_eq!(last, Some(([1, 1, 1], 1)));
            let mut hashes = vec![u.hash(world)?, v.hash(world)?];
            hashes.extend(a.residuals.iter().chain(&b.residuals).map(|r| r.to_bits()));
            Ok(hashes)
        });
        let mut job = job.unwrap();
        assert!(job.iter().all(|rank| *rank == job[0]));
        job.swap_remove(0)
    };
    let alone = solved(1, 1, false, 4096);
    for (ranks, threads) in [(1, 3), (2, 1), (2, 2), (3, 2), (4, 1), (8, 1)] {
        for (cut, share) in [(false, 4096), (true, 100), (true, 1)] {
            assert!(solved(ranks, threads, cut, share) == alone, "{ranks} ranks, {threads} threads, {cut}, {share}");
        }
    }
}

#[test]
fn long_lines_are_cut_and_coarse_levels_are_dealt_to_fewer() {
    let solved = |ranks: u32| {
        let job = Launch::from_env().ranks(ranks).threads(2).run(|world| {
            let mut f = Field::<f64, 1>::new(world, Grid::new([40_001]))?;
            f.fill(|[x]| (x as f64 * 0.01).sin());
            let problem = Elliptic::new([3.0]);
            let mut multigrid = Multigrid::new(world, &f, &problem, Coefficient::Constant(1.0))?;
            let mut u = f.like();
            let report = multigrid.solve(world, &f, &mut u, Tolerance::relative(1e-8), 15)?;
            assert!(report.converged, "{report:?}");
            Ok((u.hash(world)?, multigrid.levels().iter().map(|level| level.1).collect::<Vec<_>>()))
        });
        job.unwrap().swap_remove(0)
    };
    let (alone, _) = solved(1);
    for ranks in [2, 3, 8] {
        let (hash, shares) = solved(ranks);
        assert_eq!(hash, alone, "{ranks} ranks");
        assert!(shares.is_sorted_by(|a, b| a >= b) && shares[0] == ranks as usize, "{shares:?}");
        assert_eq!(shares[4..], vec![1; shares.len() - 4], "{shares:?}"); // 2,501 cells and fewer
    }
}

#[test]
fn fewer_cells_than_ranks_and_cells_of_one_layer() {
    let mut alone = None;
    for ranks in [1, 3, 8] {
        let job = Launch::from_env().ranks(ranks).run(|world| {
            let mut all = Vec::new();
            for cells in [[1, 1, 1], [2, 1, 1], [1, 17, 1], [3, 1, 2], [1, 1, 29], [5, 2, 1]] {
                for walls in [[[D, D]; 3], [[P, P], [N, N], [D, N]], [[P, P], [P, P], [N, N]]] {
                    let mut f = Field::<f64, 3>::new(world, Grid::new(cells))?;
                    f.fill(|[x, y, z]| 1.0 + (x * 5 + y * 3 + z) as f64 % 7.0);
                    let mut c = f.like();
                    c.fill(|[x, y, z]| 1.0 + (x + y + z) as f64 % 3.0);
                    let problem = Elliptic::new([1.0, 0.7, 2.0]).walls(walls);
                    let mut multigrid = Multigrid::with(world, &f, &problem, Coefficient::Cells(&c), 3, 1)?;
                    let mut u = f.like();
                    let until = Tolerance { absolute: 1e-12, relative: 1e-10 };
                    let report = multigrid.solve(world, &f, &mut u, until, 30)?;
                    assert!(report.converged, "{cells:?} {walls:?}: {report:?}");
                    let mut au = f.like();
                    multigrid.apply(world, &u, &mut au)?;
                    // Without Dirichlet walls f is solved but for its mean.
                    let count = cells.iter().product::<u64>() as f64;
                    let mean = if problem.singular() { f.sum(world)? / count } else { 0.0 };
                    au.axpy(-1.0, &f);
                    au.map(|_, r| r + mean);
                    assert!(au.max_norm(world)? < 1e-8, "{cells:?} {walls:?}");
                    assert!(!problem.singular() || u.sum(world)?.abs() < 1e-12 * count);
                    all.push(u.hash(world)?);
                }
            }
            Ok(all)
        });
        let all = job.unwrap();
        let alone = alone.get_or_insert_with(|| all[0].clone());
        assert!(all.iter().all(|rank| rank == alone), "{ranks} ranks");
    }
}

#[test]
fn a_cycle_is_a_symmetric_operator() {
    let job = Launch::from_env().ranks(2).run(|world| {
        let mixed = Mixed::new();
        let [a, c] = mixed.fields::<f64>(world, Boxes::new(mixed.cells, 2))?;
        let mut b = a.like();
        b.fill(|[x, y, z]| Random::new(77).unit(x + 64 * (y + 64 * z)));
        let mut multigrid = Multigrid::with(world, &a, &mixed.problem, Coefficient::Cells(&c), 2, 500)?;
        let (mut ma, mut mb) = (a.like(), a.like());
        multigrid.precondition(world, &a, &mut ma)?;
        multigrid.precondition(world, &b, &mut mb)?;
        let (left, right) = (b.dot(world, &ma)?, a.dot(world, &mb)?);
        assert!((left - right).abs() <= 1e-12 * left.abs(), "{left} and {right}");
        assert!(a.dot(world, &ma)? > 0.0);
        multigrid.apply(world, &a, &mut ma)?;
        multigrid.apply(world, &b, &mut mb)?;
        let (left, right) = (b.dot(world, &ma)?, a.dot(world, &mb)?);
        assert!((left - right).abs() <= 1e-12 * left.abs(), "{left} and {right}");
        Ok(())
    });
    job.unwrap();
}

/// Neither where c jumps nor in how many cells: a cycle before conjugate gradients keeps the iterations few.
#[test]
fn jumps_of_the_coefficient_are_bearable() {
    let mut world = World::alone();
    for n in [32, 65] {
        let mut f = Field::<f64, 2>::new(&mut world, Grid::new([n, n])).unwrap();
        f.fill(|_| 1.0);
        let mut c = f.like();
        c.fill(|[x, y]| if (4 * x / n + 4 * y / n) % 2 == 0 { 1e3 } else { 1.0 });
        let problem = Elliptic::new([1.0, 1.0]);
        let mut multigrid = Multigrid::new(&mut world, &f, &problem, Coefficient::Cells(&c)).unwrap();
        let mut u = f.like();
        let report = multigrid.solve_by_cg(&mut world, &f, &mut u, Tolerance::relative(1e-9), 60).unwrap();
        assert!(report.converged && report.iterations < 40, "{n}: {report:?}");
        // The residual that was computed along the way is the true one.
        let mut r = f.like();
        multigrid.apply(&mut world, &u, &mut r).unwrap();
        r.xpby(&f, -1.0);
        assert!(r.norm(&mut world).unwrap() <= 1.001e-9 * f.norm(&mut world).unwrap());
    }
}

/// The second differences of a line, as a field and as slices that ranks have: the same iterates, bit by bit.
#[test]
fn conjugate_gradients_on_fields_and_on_slices() {
    let n = 10_000u64;
    let run = |ranks: u32, threads: usize| {
        let job = Launch::from_env().ranks(ranks).threads(threads).run(|world| {
            let until = Tolerance::relative(1e-6);
            let rhs = |i: u64| (i as f64 * 0.37).sin();
            let mut b = Field::<f64, 1>::new(world, Grid::new([n]))?;
            b.fill(|[x]| rhs(x));
            let mut x = b.like();
            let mut plan = HaloPlan::new(world, &b)?;
            let by_field = conjugate_gradients(
                world,
                &b,
                &mut x,
                until,
                300,
                |world, p: &mut Field<f64, 1>, q| {
                    plan.start(world, p)?.finish(p)?;
                    sweep(p, q, Part::All, |rows, out| {
                        let row = rows.at(0, 0);
                        out.iter_mut().enumerate().for_each(|(i, q)| *q = 2.2 * row[i + 1] - row[i] - row[i + 2]);
                    });
                    Ok(())
                },
                None::<Unpreconditioned<Field<f64, 1>>>,
            )?;
            let (rank, size) = (u64::from(world.rank()), u64::from(world.size()));
            let mine = n * rank / size..n * (rank + 1) / size;
            let b: Vec<f64> = mine.clone().map(rhs).collect();
            let mut y = vec![0.0; b.len()];
            let by_slices = conjugate_gradients(
                world,
                &b,
                &mut y,
                until,
                300,
                |world, p: &mut Vec<f64>, q| {
                    let ends = world.all_gather([p[0], p[p.len() - 1]])?;
                    let left = rank.checked_sub(1).map_or(0.0, |r| ends[r as usize][1]);
                    let right = ends.get(rank as usize + 1).map_or(0.0, |e| e[0]);
                    for i in 0..p.len() {
                        let west = if i > 0 { p[i - 1] } else { left };
                        q[i] = 2.2 * p[i] - west - p.get(i + 1).copied().unwrap_or(right);
                    }
                    Ok(())
                },
                None::<Unpreconditioned<Vec<f64>>>,
            )?;
            assert!(by_field.converged && by_field == by_slices, "{by_field:?}, {by_slices:?}");
            let mut z = x.like();
            let part = ndarray::ArrayD::from_shape_vec(vec![y.len()], y).map_err(physalia::Failure::from)?;
            z.put(world, &[([mine.start], part.view())])?;
            assert_eq!(z.hash(world)?, x.hash(world)?);
            Ok((x.hash(world)?, by_field))
        });
        job.unwrap().swap_remove(0)
    };
    let alone = run(1, 1);
    assert!(run(1, 2) == alone && run(3, 2) == alone && run(8, 1) == alone);
}

#[test]
fn f32_is_solved_as_far_as_it_goes() {
    let mut world = World::alone();
    let mixed = Mixed::new();
    let [f, c] = mixed.fields::<f32>(&mut world, Boxes::new(mixed.cells, 1)).unwrap();
    let [exact_f, exact_c] = mixed.fields::<f64>(&mut world, Boxes::new(mixed.cells, 1)).unwrap();
    let mut multigrid = Multigrid::new(&mut world, &f, &mixed.problem, Coefficient::Cells(&c)).unwrap();
    let mut exact = Multigrid::new(&mut world, &exact_f, &mixed.problem, Coefficient::Cells(&exact_c)).unwrap();
    let (mut u, mut v) = (f.like(), exact_f.like());
    multigrid.solve_by_cg(&mut world, &f, &mut u, Tolerance::relative(1e-5), 40).unwrap();
    exact.solve_by_cg(&mut world, &exact_f, &mut v, Tolerance::relative(1e-10), 60).unwrap();
    let size = v.max_norm(&mut world).unwrap();
    v.update_with(&u, |v, u| v - f64::from(u));
    assert!(v.max_norm(&mut world).unwrap() < 1e-3 * size);
}

#[test]
fn what_cannot_be_solved_is_said() {
    let mut world = World::alone();
    let mut f = Field::<f64, 2>::new(&mut world, Grid::new([9, 8])).unwrap();
    f.fill(|_| 1.0);
    let problem = Elliptic::new([1.0, 1.0]);
    let mut c = f.like();
    c.fill(|[x, y]| if [x, y] == [4, 7] { -2.0 } else { 1.0 });
    fn refused(world: &mut World, f: &Field<f64, 2>, c: Coefficient<'_, f64, 2>) -> String {
        Multigrid::new(world, f, &Elliptic::new([1.0, 1.0]), c).unwrap_err().to_string()
    }
    let why = refused(&mut world, &f, Coefficient::Cells(&c));
    assert!(why.contains("the coefficient of cell [4, 7] is -2"), "{why}");
    c.set([4, 7], f64::NAN);
    let why = refused(&mut world, &f, Coefficient::Cells(&c));
    assert!(why.contains("the coefficient of cell [4, 7] is NaN"), "{why}");
    let why = refused(&mut world, &f, Coefficient::Constant(0.0));
    assert!(why.contains("a coefficient of 0"), "{why}");
    let mut multigrid = Multigrid::new(&mut world, &f, &problem, Coefficient::Constant(1.0)).unwrap();
    let mut u = f.like();
    u.set([3, 3], f64::NAN);
    let why = multigrid.solve(&mut world, &f, &mut u, Tolerance::relative(1e-3), 5).unwrap_err().to_string();
    assert!(why.contains("the residual of iteration 0 is NaN"), "{why}");
    let indefinite = |_: &mut World, p: &mut Vec<f64>, q: &mut Vec<f64>| {
        *q = vec![p[0], -p[1]];
        Ok(())
    };
    let none = None::<Unpreconditioned<Vec<f64>>>;
    let mut x = vec![0.0; 2];
    let until = Tolerance::relative(1e-3);
    let why = conjugate_gradients(&mut world, &vec![1.0, 2.0], &mut x, until, 9, indefinite, none).unwrap_err();
    assert!(why.to_string().contains("p·A p is -3e0 in iteration 1"), "{why}");
}

/// Cosines between Neumann walls are eigenvectors of the discrete Laplacian, 4/h² sin²(kπh/2): each step has its exact factor.
#[test]
fn implicit_steps_have_their_exact_factors() {
    for ranks in [1, 3] {
        let job = Launch::from_env().ranks(ranks).run(|world| {
            let (n, k, alpha, dt) = (48u64, 3.0, 0.3, 0.05); // 140 times the explicit limit
            let h = 1.0 / n as f64;
            let mut u = Field::<f64, 2>::new(world, Grid::new([n, 40]))?;
            let mode = move |[x, _]: [u64; 2]| (k * PI * (x as f64 + 0.5) * h).cos();
            let problem = Elliptic::new([1.0, 1.0]).walls([[N, N], [P, P]]);
            let z = dt * alpha * 4.0 / (h * h) * (k * PI * h / 2.0).sin().powi(2);
            let c = Coefficient::Constant(alpha);
            for (mut heat, factor) in [
                (ImplicitHeat::backward_euler(world, &u, &problem, c, dt)?, 1.0 / (1.0 + z)),
                (ImplicitHeat::crank_nicolson(world, &u, &problem, c, dt)?, (1.0 - z / 2.0) / (1.0 + z / 2.0)),
            ] {
                u.fill(mode);
                let mut source = u.like();
                source.fill(|_| 2.0);
                for _ in 0..4 {
                    heat.step(world, &mut u, Some(&source))?;
                }
                let mut exact = u.like();
                exact.fill(|at| factor.powi(4) * mode(at) + 4.0 * dt * 2.0);
                exact.axpy(-1.0, &u);
                let error = exact.max_norm(world)?;
                assert!(error < 1e-8, "factor {factor}: {error}");
            }
            Ok(())
        });
        job.unwrap();
    }
}

#[test]
fn runge_kutta_is_of_order_four() {
    let error = |steps: u64| {
        let mut world = World::alone();
        let mut u = [Field::<f64, 1>::new(&mut world, Grid::new([5])).unwrap()];
        u[0].fill(|[x]| 1.0 + x as f64);
        let (mut method, dt) = (RungeKutta::new(&u), 1.0 / steps as f64);
        for k in 0..steps {
            // u' = −2 t u², u = 1 / (1 / u₀ + t²)
            let rate = |_: &mut World, t: f64, [u]: &mut [Field<f64, 1>; 1], [du]: &mut [Field<f64, 1>; 1]| {
                du.update_with(u, |_, u| -2.0 * t * u * u);
                Ok(())
            };
            method.step(&mut world, &mut u, k as f64 * dt, dt, rate).unwrap();
        }
        u[0].map(|[x], u| u - 1.0 / (1.0 / (1.0 + x as f64) + 1.0));
        u[0].max_norm(&mut world).unwrap()
    };
    let order = (error(20) / error(40)).log2();
    assert!((3.8..4.3).contains(&order), "{order}");
}
