//! Simulations by the library: one result for all ways to compute it, and what is known of each.

use physalia::field::Cell;
use physalia::prelude::*;
use physalia::stencil::Set;
use physalia_apps::stencil::advect::{self, Advect};
use physalia_apps::stencil::axis::Edge;
use physalia_apps::stencil::engine::{Compiled, How, Simulation, Verified};
use physalia_apps::stencil::exact::Verdict;
use physalia_apps::stencil::gray_scott::{self, GrayScott, Rates};
use physalia_apps::stencil::heat::{self, Heat, Method};
use physalia_apps::stencil::life::{self, Life};
use physalia_apps::stencil::patterns::Pattern;
use physalia_apps::stencil::wave::{self, End, Setup, Wave};

/// A simulation after some steps.
#[derive(Clone, Debug, PartialEq)]
struct Result {
    hash: Vec<u64>,
    figures: Vec<u64>,
    verified: Verified,
}

/// Fields at the start.
fn begun<T: Cell, const D: usize>(world: &mut World, s: &dyn Simulation<T, D>, how: &How) -> Vec<Field<T, D>> {
    let grid = how.grid(s);
    let mut fields: Vec<_> = s.names().iter().map(|_| Field::new(world, grid).unwrap()).collect();
    s.fill(&mut fields);
    fields
}

/// Runs it on a layout, in two stretches.
fn on<T: Cell, const D: usize>(s: &dyn Simulation<T, D>, how: &How, ranks: u32, threads: usize, steps: u64) -> Result {
    let job = Launch::from_env().ranks(ranks).threads(threads).run(|world| {
        let mut fields = begun(world, s, how);
        let mut engine = s.engine(world, &fields, how, 0)?;
        engine.advance(world, &mut fields, steps / 3)?;
        engine.advance(world, &mut fields, steps - steps / 3)?;
        assert!(how.time_block.is_none_or(|most| engine.fused() <= most));
        let mut hash = Vec::new();
        for field in &fields {
            hash.push(field.hash(world)?);
        }
        let figures = s.figures(world, &fields)?.iter().map(|figure| figure.1.to_bits()).collect();
        Ok(Result { hash, figures, verified: s.check(world, &fields, steps)? })
    });
    job.unwrap_or_else(|why| panic!("{}, {how:?}, {ranks} x {threads}: {why}", s.what())).swap_remove(0)
}

/// Runs it in some ways, and compares; a known solution must be met.
fn one_result<T: Cell, const D: usize>(s: &dyn Simulation<T, D>, ways: &mut Ways) {
    let sets = Set::available();
    let plain = How { time_block: Some(1), instructions: sets.first().copied(), ..How::default() };
    let steps = 23;
    let expected = on(s, &plain, 1, 1, steps);
    if let Verified::By(check) = expected.verified {
        assert_eq!(check.verdict(), Verdict::Right, "{}: {check:?}", s.what());
    }
    ways.shapes += 1;
    for (ranks, threads, block, set) in ways.some(sets.len()) {
        let how = How { time_block: Some(block), instructions: Some(sets[set]), ..How::default() };
        assert_eq!(on(s, &how, ranks, threads, steps), expected, "{}: {ranks} x {threads}, {how:?}", s.what());
        ways.shapes += 1;
    }
}

const RANKS: [u32; 6] = [1, 2, 3, 4, 6, 8];
const THREADS: [usize; 3] = [1, 2, 4];
const BLOCKS: [usize; 6] = [1, 2, 3, 4, 8, 16];

/// Ways to run simulations: all of them, or so that over some simulations each pair of ranks, threads, steps at a time and sets
/// of instructions occurs.
struct Ways {
    all: bool,
    turn: usize,
    shapes: usize,
}

impl Ways {
    fn some(&mut self, sets: usize) -> Vec<(u32, usize, usize, usize)> {
        let mut ways = Vec::new();
        if self.all {
            for ranks in RANKS {
                for threads in THREADS {
                    for block in 1..=16 {
                        ways.extend((0..sets).map(|set| (ranks, threads, block, set)));
                    }
                }
            }
            return ways;
        }
        let turn = self.turn;
        self.turn += 1;
        for (i, ranks) in RANKS.into_iter().enumerate() {
            let (threads, block) = (THREADS[(i / 2 + turn) % 3], BLOCKS[(i + turn) % 6]);
            ways.push((ranks, threads, block, (i + turn / 2) % sets));
        }
        ways
    }
}

/// All kinds of simulations, on awkward grids: primes, one cell thick, smaller than what the stencil reads.
fn each(ways: &mut Ways) {
    heats(ways);
    waves(ways);
    let rates = Rates { feed: 0.04, kill: 0.06, du: 0.1, dv: 0.05, dt: 0.9 };
    let many = gray_scott::Start::Blocks(3);
    one_result::<f64, 2>(&GrayScott::new([61, 31], rates, true, many).unwrap(), ways);
    one_result::<f32, 2>(&GrayScott::new([13, 1], rates, false, gray_scott::Start::Block).unwrap(), ways);
    one_result::<f64, 3>(&GrayScott::new([11, 7, 5], rates, true, many).unwrap(), ways);
    for (cells, torus) in [([97, 61], true), ([64, 3], false), ([2, 1], true)] {
        one_result(&Life::new(cells, torus, life::Start::Random(0.4, 5)).unwrap(), ways);
    }
    let wind = |cfl| Advect::new([53, 31], [1.0, 2.0], [-1.0, 0.3], cfl, None, advect::Start::Wave).unwrap();
    one_result::<f64, 2>(&wind(0.9), ways);
    let one = Advect::new([9001], [1.0], [1.0], 0.3, None, advect::Start::Wave).unwrap();
    one_result::<f64, 1>(&one, ways);
    let shift = Advect::new([7, 11, 1], [1.0; 3], [0.0, -2.0, 0.0], 1.0, None, advect::Start::Random(1)).unwrap();
    one_result::<f32, 3>(&shift, ways);
}

fn heats(ways: &mut Ways) {
    let on = |edges, method| Heat::on([23, 19], [1.0, 2.0], edges, method, 0.7, None).unwrap();
    one_result::<f64, 2>(&on([Edge::Zero; 2], Method::Euler).from(heat::Start::Random(3)), ways);
    one_result::<f64, 2>(&on([Edge::Periodic, Edge::Mirror], Method::RungeKutta), ways);
    one_result::<f64, 2>(&on([Edge::Mirror, Edge::Zero], Method::Implicit), ways);
    one_result::<f64, 1>(&Heat::new([9001], 1.0, None).unwrap(), ways);
    one_result::<f32, 2>(&Heat::new([1, 31], 1.0, None).unwrap(), ways);
    one_result::<f64, 2>(&Heat::new([131, 1], 1.0, None).unwrap(), ways);
    let edges = [Edge::Periodic, Edge::Mirror, Edge::Zero];
    one_result::<f32, 3>(&Heat::on([17, 13, 11], [1.0; 3], edges, Method::Euler, 1.0, None).unwrap(), ways);
    one_result::<f64, 3>(&Heat::new([3, 1, 2], 1.0, None).unwrap(), ways);
}

fn waves(ways: &mut Ways) {
    let of = |cells, order, ends| Wave::new(Setup { order, ends, ..Setup::new(cells) }).unwrap();
    one_result::<f64, 2>(&of([61, 43], 2, [End::Fixed; 2]), ways);
    one_result::<f64, 2>(&of([31, 29], 8, [End::Fixed, End::Free]), ways);
    one_result::<f64, 2>(&of([3, 2], 8, [End::Periodic; 2]), ways);
    one_result::<f32, 2>(&of([37, 9], 6, [End::Periodic; 2]), ways);
    one_result::<f64, 1>(&Wave::new(Setup { order: 4, ..Setup::new([8209]) }).unwrap(), ways);
    let driven = Wave::new(Setup {
        order: 4,
        ends: [End::Absorbing; 3],
        start: wave::Start::Pulse,
        sources: vec![[9, 8, 6], [2, 2, 2]],
        ..Setup::new([19, 17, 13])
    });
    one_result::<f32, 3>(&driven.unwrap(), ways);
}

#[test]
fn one_result_for_pairs_of_ranks_threads_blocks_and_instructions() {
    let mut ways = Ways { all: false, turn: 0, shapes: 0 };
    each(&mut ways);
    assert!((100..=200).contains(&ways.shapes), "{}", ways.shapes);
    // That ways are pairs of all.
    let mut ways = Ways { all: false, turn: 0, shapes: 0 };
    let seen: Vec<_> = (0..20).flat_map(|_| ways.some(3)).collect();
    for ranks in RANKS {
        assert!(THREADS.iter().all(|t| seen.iter().any(|way| (way.0, way.1) == (ranks, *t))));
        assert!(BLOCKS.iter().all(|b| seen.iter().any(|way| (way.0, way.2) == (ranks, *b))));
        assert!((0..3).all(|set| seen.iter().any(|way| (way.0, way.3) == (ranks, set))));
    }
    for block in BLOCKS {
        assert!(THREADS.iter().all(|t| seen.iter().any(|way| (way.2, way.1) == (block, *t))), "{block}");
        assert!((0..3).all(|set| seen.iter().any(|way| (way.2, way.3) == (block, set))), "{block}");
    }
}

#[test]
#[ignore = "long: make layouts"]
fn one_result_for_all_ways() {
    each(&mut Ways { all: true, turn: 0, shapes: 0 });
}

/// Grids that a stencil's walls do not fit are refused, with the numbers.
#[test]
fn what_is_thinner_than_a_wall_needs_is_refused() {
    let wave = Wave::new(Setup { order: 8, ends: [End::Free; 2], ..Setup::new([3, 20]) }).unwrap();
    let job = Launch::from_env().ranks(2).run(|world| {
        let how = How::default();
        let mut fields = begun::<f64, 2>(world, &wave, &how);
        let why = wave.engine(world, &fields, &how, 0)?.advance(world, &mut fields, 1).unwrap_err();
        Ok(why.to_string())
    });
    assert!(job.unwrap()[0].contains("x has 3 cells; a stencil of radius 4 at a wall Mirror(Face) needs 4"));
}

/// The largest distance of the first field from a product of the longest waves times a height.
fn distance<T: Compiled<D>, const D: usize>(
    s: &dyn Simulation<T, D>,
    steps: u64,
    exact: impl Fn([u64; D]) -> f64 + Sync,
) -> f64 {
    let mut world = World::alone();
    let mut fields = begun(&mut world, s, &How::default());
    let mut engine = s.engine(&mut world, &fields, &How::default(), 0).unwrap();
    engine.advance(&mut world, &mut fields, steps).unwrap();
    fields[0].max_of(&mut world, |at, value| (value.as_f64() - exact(at)).abs()).unwrap()
}

fn sines<const D: usize>(n: u64, at: [u64; D]) -> f64 {
    at.iter().map(|&i| (std::f64::consts::PI * (i + 1) as f64 / (n + 1) as f64).sin()).product()
}

/// Against the differential equation's own solution, with steps so short that they do not count.
#[test]
fn orders_of_convergence() {
    let omega = std::f64::consts::PI * 2f64.sqrt();
    for (order, n) in [(2, 7), (4, 7), (6, 5), (8, 3)] {
        let error = |n: u64| {
            let (dt, steps) = (1e-4, 3000);
            let wave = Wave::new(Setup { order, dt: Some(dt), ..Setup::new([n, n]) }).unwrap();
            distance::<f64, 2>(&wave, steps, |at| (omega * dt * steps as f64).cos() * sines(n, at))
        };
        let measured = (error(n) / error(2 * n + 1)).log2();
        assert!((measured - order as f64).abs() < 0.35, "wave of order {order}: {measured}");
    }
    for method in [Method::RungeKutta, Method::Euler] {
        let error = |n: u64| {
            let (dt, steps) = (2e-6, 5000);
            let heat = Heat::on([n, n], [1.0; 2], [Edge::Zero; 2], method, 1.0, Some(dt)).unwrap();
            let left = (-omega * omega * dt * steps as f64).exp();
            distance::<f64, 2>(&heat, steps, |at| left * sines(n, at))
        };
        let measured = (error(7) / error(15)).log2();
        assert!((measured - 2.0).abs() < 0.1, "heat by {method:?}: {measured}");
    }
    // In time: backward Euler is of order 1, against a fine grid's own decay.
    let error = |steps: u64| {
        let dt = 0.02 / steps as f64;
        let edges = [Edge::ZeroAtFace; 2];
        let heat = Heat::on([128, 128], [1.0; 2], edges, Method::Implicit, 1.0, Some(dt)).unwrap();
        let wave = Edge::ZeroAtFace.wave(128);
        distance::<f64, 2>(&heat, steps, |[x, y]| (-omega * omega * 0.02).exp() * wave[x as usize] * wave[y as usize])
    };
    let measured = (error(4) / error(8)).log2();
    assert!((measured - 1.0).abs() < 0.15, "backward Euler: {measured}");
}

/// What keeps the sum of all cells keeps it to 10⁻¹⁴.
#[test]
fn sums_are_conserved() {
    let drift = |s: &dyn Simulation<f64, 2>, steps: u64| {
        let mut world = World::alone();
        let mut fields = begun(&mut world, s, &How::default());
        let before = fields[0].sum(&mut world).unwrap();
        s.engine(&mut world, &fields, &How::default(), 0).unwrap().advance(&mut world, &mut fields, steps).unwrap();
        ((fields[0].sum(&mut world).unwrap() - before) / before).abs()
    };
    for seed in [1, 2] {
        for edge in [Edge::Mirror, Edge::Periodic] {
            let heat = Heat::on([61, 43], [1.0; 2], [edge; 2], Method::Euler, 1.0, None).unwrap();
            let drift = drift(&heat.from(heat::Start::Random(seed)), 2000);
            assert!(drift <= 1e-14, "heat, {edge:?}: {drift:e}");
        }
        let starts = [advect::Start::Random(seed), advect::Start::Wave, advect::Start::Hill];
        for (cfl, start) in [0.1, 0.77, 0.8].into_iter().flat_map(|cfl| starts.map(|start| (cfl, start))) {
            let advect = Advect::new([61, 43], [1.0; 2], [1.0, -0.37], cfl, None, start).unwrap();
            let drift = drift(&advect, 2000);
            assert!(drift <= 1e-14, "advect, {cfl}, {start:?}: {drift:e}");
        }
    }
    let leaks = Heat::new([61, 43], 1.0, None).unwrap().from(heat::Start::Random(1));
    assert!(drift(&leaks, 2000) > 0.1);
}

/// A program that is off in the seventh digit is found.
#[test]
fn what_is_wrong_is_found() {
    fn verdict<const D: usize>(run: &dyn Simulation<f64, D>, check: &dyn Simulation<f64, D>, steps: u64) -> Verdict {
        let mut world = World::alone();
        let mut fields = begun(&mut world, run, &How::default());
        let mut engine = run.engine(&mut world, &fields, &How::default(), 0).unwrap();
        engine.advance(&mut world, &mut fields, steps).unwrap();
        match check.check(&mut world, &fields, steps).unwrap() {
            Verified::By(check) => check.verdict(),
            Verified::Not(why) => panic!("{why}"),
        }
    }
    for order in [2, 8] {
        let wave = |speed| Wave::new(Setup { order, speed, dt: Some(0.005), ..Setup::new([60, 50]) }).unwrap();
        assert_eq!(verdict(&wave(1.0), &wave(1.0), 300), Verdict::Right);
        assert_eq!(verdict(&wave(1.0 + 1e-7), &wave(1.0), 300), Verdict::Wrong);
    }
    let advect = |v| Advect::new([60, 50], [1.0; 2], [v, 0.5], 0.8, Some(0.005), advect::Start::Wave).unwrap();
    assert_eq!(verdict(&advect(1.0), &advect(1.0), 300), Verdict::Right);
    assert_eq!(verdict(&advect(1.0 + 1e-7), &advect(1.0), 300), Verdict::Wrong);
    let whole = |v| Advect::new([60], [1.0], [v], 1.0, None, advect::Start::Random(1)).unwrap();
    assert_eq!(verdict(&whole(-2.0), &whole(-2.0), 77), Verdict::Right);
    assert_eq!(verdict(&whole(-2.0), &whole(2.0), 77), Verdict::Wrong);
}

/// A hill that runs into absorbing ends is gone, but for some per cent that creep; between fixed ends it comes back.
#[test]
fn waves_leave_through_absorbing_ends() {
    fn left<const D: usize>(cells: [u64; D], end: End, order: usize) -> f64
    where
        f64: Compiled<D>,
    {
        let setup = Setup { ends: [end; D], order, start: wave::Start::Pulse, ..Setup::new(cells) };
        let wave = Wave::new(setup).unwrap();
        let steps = (1.3 / Simulation::<f64, D>::dt(&wave)) as u64;
        distance::<f64, D>(&wave, steps, |_| 0.0)
    }
    for order in [2, 8] {
        let all = [left([600], End::Absorbing, order), left([150, 150], End::Absorbing, order)];
        assert!(all[0] < 6e-2 && all[1] < 2e-2, "order {order}: {all:?}");
        assert!(left([600], End::Fixed, order) > 0.3);
        assert!(left([150, 150], End::Fixed, order) > 4.0 * all[1]);
    }
}

fn alive(name: &str, cells: [u64; 2], generations: &[u64]) -> Vec<f64> {
    let life = Life::new(cells, true, life::Start::Pattern(Pattern::named(name).unwrap())).unwrap();
    let mut world = World::alone();
    let mut fields = begun(&mut world, &life, &How::default());
    let mut engine = life.engine(&mut world, &fields, &How::default(), 0).unwrap();
    let mut done = 0;
    let mut all = Vec::new();
    for &generation in generations {
        engine.advance(&mut world, &mut fields, generation - done).unwrap();
        done = generation;
        all.push(life.figures(&mut world, &fields).unwrap()[0].1);
    }
    all
}

#[test]
fn patterns_live_as_is_known() {
    let seen = alive("r-pentomino", [512, 512], &[25, 50, 75, 100, 1103]);
    assert_eq!(seen, [39.0, 64.0, 73.0, 121.0, 116.0]);
    assert_eq!(alive("diehard", [128, 128], &[129, 130])[1], 0.0);
    assert_ne!(alive("diehard", [128, 128], &[129])[0], 0.0);
    assert_eq!(alive("pi-heptomino", [200, 200], &[173]), [55.0]);
    assert_eq!(alive("glider", [9, 7], &[4 * 63]), [5.0]);
}

#[test]
#[ignore = "long: make layouts"]
fn an_acorn_takes_5206_generations() {
    assert_eq!(alive("acorn", [2900, 2900], &[5206]), [633.0]);
}
