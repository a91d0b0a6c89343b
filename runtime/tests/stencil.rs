//! The stencil engine against a plain serial loop: the same bits for any number of ranks and workers, steps at a time, tiles,
//! instructions and walls.

mod plain;

use physalia::field::Boxes;
use physalia::prelude::*;
use physalia::stencil::{About, Point, Stepper, Tune, Wall, Walls};
use plain::case::{Case, How, start};
use plain::{Plain, See, Seen};

fn number(x: f64) -> f64 {
    x
}

/// Radius 1, two axes.
fn heat2<P: See<f64>>(p: P) -> [f64; 1] {
    let sum = (p.at(-1, 0, 0) + p.at(1, 0, 0)) + (p.at(0, -1, 0) + p.at(0, 1, 0));
    [0.5 * p.at(0, 0, 0) + 0.125 * sum]
}

#[test]
fn two_axes() {
    let walls = [
        Walls::all(Wall::fixed(0.75)),
        Walls::all(Wall::mirror()),
        Walls::all(Wall::Mirror(About::LastCell)),
        Walls::all(Wall::Periodic),
        Walls::all(Wall::odd(About::FirstBeyond)).with(1, Wall::Periodic),
        Walls([[Wall::fixed(1.0), Wall::mirror()], [Wall::Mirror(About::LastCell), Wall::fixed(-1.0)]]),
        Walls([[Wall::odd(About::Face), Wall::Mirror(About::FirstBeyond)], [Wall::mirror(), Wall::mirror()]]),
    ];
    for (i, walls) in walls.into_iter().enumerate() {
        for cells in [[67, 41], [8, 3], [130, 19], [1, 7], [3, 1]] {
            if walls.0.iter().flatten().any(|w| matches!(w, Wall::Mirror(About::LastCell))) && cells.contains(&1) {
                continue;
            }
            let case = Case::<f64, 2, 1, 1> {
                name: &format!("heat, walls {i}, {cells:?}"),
                cells,
                halo: 16,
                walls: vec![walls.clone()],
                leapfrog: false,
                from: number,
                steps: &[7, 1, 20],
            };
            case.check(|p: Seen<f64, 2>| heat2(p), &|p: Point<f64, 1>| heat2(p), None);
        }
    }
}

physalia::formula! {
    /// The same as a formula.
    struct Heat2 { half: f64, eighth: f64 }
    impl Stencil<f64, 1, 1, 1> for |self, p| {
        let sum = (p.at(-1, 0, 0) + p.at(1, 0, 0)) + (p.at(0, -1, 0) + p.at(0, 1, 0));
        [p.at(0, 0, 0) * self.half + sum * self.eighth]
    }
}

#[test]
fn formulas() {
    for cells in [[67, 41], [130, 19], [1, 7]] {
        for walls in [Walls::all(Wall::fixed(0.5)), Walls::all(Wall::Periodic)] {
            let case = Case::<f64, 2, 1, 1> {
                name: &format!("formula, {cells:?}"),
                cells,
                halo: 16,
                walls: vec![walls],
                leapfrog: false,
                from: number,
                steps: &[7, 20],
            };
            case.check(|p: Seen<f64, 2>| heat2(p), &Heat2 { half: 0.5, eighth: 0.125 }, None);
        }
    }
}

/// All corners of radius 2, three axes.
fn corners<P: See<f64>>(p: P) -> [f64; 1] {
    let mut sum = p.at(0, 0, 0);
    for dz in [-2, 0, 1] {
        for dy in [-2, -1, 2] {
            sum = sum * 0.5 + p.at(-2, dy, dz) * 0.2 + p.at(1, dy, dz) * 0.3;
        }
    }
    [sum]
}

#[test]
fn three_axes_with_corners() {
    let walls = [
        Walls::all(Wall::fixed(0.75)),
        Walls::all(Wall::Periodic),
        Walls::all(Wall::mirror()).with(1, Wall::fixed(0.1)),
        Walls::all(Wall::Mirror(About::FirstBeyond)).with(2, Wall::Periodic).with(0, Wall::odd(About::Face)),
        Walls::all(Wall::odd(About::FirstBeyond)),
        Walls::all(Wall::moving(|[x, y, z], step| ((x + 2 * y - z) as f64 + step as f64 * 0.1).sin())),
    ];
    for (i, walls) in walls.into_iter().enumerate() {
        for cells in [[37, 19, 23], [16, 5, 9], [3, 2, 2]] {
            let case = Case::<f64, 3, 1, 1> {
                name: &format!("corners, walls {i}, {cells:?}"),
                cells,
                halo: 12,
                walls: vec![walls.clone()],
                leapfrog: false,
                from: number,
                steps: &[5, 3],
            };
            case.check(|p: Seen<f64, 3>| corners(p), &|p: Point<f64, 2>| corners(p), None);
        }
    }
}

/// A wave of radius 4.
fn wave<P: See<f32>>(p: P) -> [f32; 1] {
    let six = |k: isize| {
        (p.at(-k, 0, 0) + p.at(k, 0, 0)) + (p.at(0, -k, 0) + p.at(0, k, 0)) + (p.at(0, 0, -k) + p.at(0, 0, k))
    };
    let far = (six(3) * 0.002 + six(4) * 0.0003) + (six(1) * 0.1 + six(2) * 0.02);
    [(p.at(0, 0, 0) * 1.2 - p.old(0)) + far]
}

physalia::formula! {
    struct Wave { near: f32 }
    impl Stencil<f32, 4, 1, 1> for |self, p| {
        let six = |k: isize| (p.at(-k, 0, 0) + p.at(k, 0, 0)) + (p.at(0, -k, 0) + p.at(0, k, 0)) + (p.at(0, 0, -k) + p.at(0, 0, k));
        let far = (six(3) * 0.002 + six(4) * 0.0003) + (six(1) * self.near + six(2) * 0.02);
        [(p.at(0, 0, 0) * 1.2 - p.old()) + far]
    }
}

#[test]
fn leapfrogs() {
    let walls = [
        Walls::all(Wall::fixed(0.0)),
        Walls::all(Wall::Periodic),
        Walls::all(Wall::odd(About::FirstBeyond)).with(0, Wall::mirror()),
    ];
    for (i, walls) in walls.into_iter().enumerate() {
        for cells in [[37, 19, 23], [16, 5, 9]] {
            let case = Case::<f32, 3, 1, 1> {
                name: &format!("wave, walls {i}, {cells:?}"),
                cells,
                halo: 12,
                walls: vec![walls.clone()],
                leapfrog: true,
                from: |x| x as f32,
                steps: &[4, 1, 3],
            };
            case.check(|p: Seen<f32, 3>| wave(p), &|p: Point<f32, 4>| wave(p), None);
            case.check(|p: Seen<f32, 3>| wave(p), &Wave { near: 0.1 }, None);
        }
    }
}

/// Two fields that react, driven by a third that is only read, by the place and by the time.
fn react<P: See<f64>>(p: P) -> [f64; 2] {
    let [u, v] = [0, 1].map(|k| p.of(k, 0, 0, 0));
    let round =
        |k: usize| p.of(k, -1, 0, 0) + p.of(k, 1, 0, 0) + p.of(k, 0, -1, 0) + p.of(k, 0, 1, 0) - 4.0 * p.of(k, 0, 0, 0);
    let [x, y, _] = p.cell();
    let drive = 0.01 * (p.of(2, 0, 0, 0) - p.of(2, 1, 1, 0)) + 1e-3 * (x + 3 * y) as f64 + 1e-4 * p.step() as f64;
    let uvv = u * v * v;
    [u + 0.1 * round(0) - uvv + drive, v + 0.05 * round(1) + uvv - 0.1 * v]
}

#[test]
fn several_fields() {
    let walls = [
        vec![Walls::all(Wall::fixed(1.0)), Walls::all(Wall::fixed(0.0)), Walls::all(Wall::mirror())],
        vec![Walls::all(Wall::Periodic); 3],
        vec![
            Walls::all(Wall::mirror()),
            Walls::all(Wall::fixed(0.5)).with(0, Wall::mirror()),
            Walls::all(Wall::moving(|[x, y, _], _| (x - y) as f64)),
        ],
    ];
    for (i, walls) in walls.into_iter().enumerate() {
        for cells in [[67, 41], [9, 3]] {
            let case = Case::<f64, 2, 2, 3> {
                name: &format!("reaction, walls {i}, {cells:?}"),
                cells,
                halo: 16,
                walls: walls.clone(),
                leapfrog: false,
                from: number,
                steps: &[6, 9],
            };
            case.check(|p: Seen<f64, 2>| react(p), &|p: Point<f64, 1, 3>| react(p), None);
        }
    }
}

/// Life on a torus.
fn life<P: See<u8>>(p: P) -> [u8; 1] {
    let row = |dy: isize| p.at(-1, dy, 0).wrapping_add(p.at(1, dy, 0));
    let sum =
        row(-1).wrapping_add(row(0)).wrapping_add(row(1)).wrapping_add(p.at(0, -1, 0)).wrapping_add(p.at(0, 1, 0));
    [u8::from(sum | p.at(0, 0, 0) == 3)]
}

#[test]
fn small_integers() {
    for cells in [[200, 33], [65, 4]] {
        let case = Case::<u8, 2, 1, 1> {
            name: &format!("life, {cells:?}"),
            cells,
            halo: 16,
            walls: vec![Walls::all(Wall::Periodic)],
            leapfrog: false,
            from: |x| u8::from(x > 0.1),
            steps: &[17, 5],
        };
        case.check(|p: Seen<u8, 2>| life(p), &|p: Point<u8, 1>| life(p), None);
    }
}

/// One axis, cut among ranks where it is long enough.
fn line<P: See<f64>>(p: P) -> [f64; 1] {
    [0.3 * p.at(-2, 0, 0) + 0.2 * p.at(1, 0, 0) + 0.4 * p.at(0, 0, 0)]
}

#[test]
fn one_axis() {
    for walls in [Walls::all(Wall::Periodic), Walls::all(Wall::mirror()), Walls::all(Wall::odd(About::Face))] {
        for cells in [[20_011], [5000], [5]] {
            let case = Case::<f64, 1, 1, 1> {
                name: &format!("a line, {walls:?}, {cells:?}"),
                cells,
                halo: 33,
                walls: vec![walls.clone()],
                leapfrog: false,
                from: number,
                steps: &[17, 4],
            };
            case.check(|p: Seen<f64, 1>| line(p), &|p: Point<f64, 2>| line(p), None);
        }
    }
}

/// Boxes in a chequered order, several a rank, x among the axes that are cut.
fn chequered(ranks: u32) -> Boxes {
    let owners = (0..12).map(|id| (id * 5 + 2) % ranks).collect();
    Boxes::with([vec![0, 4096, 8192, 8200], vec![0, 3, 7], vec![0, 1, 4]], owners)
}

/// As above, x whole.
fn slabs(ranks: u32) -> Boxes {
    let owners = (0..6).map(|id| (id * 5 + 2) % ranks).collect();
    Boxes::with([vec![0, 40], vec![0, 9, 19], vec![0, 1, 12, 23]], owners)
}

#[test]
fn boxes_of_any_kind() {
    for walls in [Walls::all(Wall::Periodic), Walls::all(Wall::fixed(0.5)), Walls::all(Wall::mirror())] {
        let case = |cells, name| Case::<f64, 3, 1, 1> {
            name,
            cells,
            halo: 8,
            walls: vec![walls.clone()],
            leapfrog: false,
            from: number,
            steps: &[3, 5],
        };
        let corners_of = (|p: Seen<f64, 3>| corners(p), |p: Point<f64, 2>| corners(p));
        case([40, 19, 23], "slabs").check(corners_of.0, &corners_of.1, Some(slabs));
        // Slow, for the plain loop is.
        let chequers: fn(u32) -> Boxes = chequered;
        case([8200, 7, 4], "chequered").check_on(corners_of.0, &corners_of.1, Some(chequers), &[1, 3, 4], &[1, 4]);
    }
}

/// Seven points, and the place.
fn seven<P: See<f64>>(p: P) -> [f64; 1] {
    let sum = (p.at(-1, 0, 0) + p.at(1, 0, 0)) + (p.at(0, -1, 0) + p.at(0, 1, 0));
    let [x, y, z] = p.cell();
    [0.4 * p.at(0, 0, 0) + 0.1 * (sum + (p.at(0, 0, -1) + p.at(0, 0, 1))) + 1e-3 * (x + 3 * y + 5 * z) as f64]
}

/// A few far points.
fn far<P: See<f64>>(p: P) -> [f64; 1] {
    let sum = (p.at(-3, 0, 0) + p.at(0, 3, 0)) + (p.at(0, 0, -3) + p.at(0, 0, 2));
    [p.at(0, 0, 0) * 0.3 + (sum + (p.at(1, -1, 3) - p.at(-2, 3, -1))) * 0.1]
}

physalia::formula! {
    struct Far { tenth: f64 }
    impl Stencil<f64, 3, 1, 1> for |self, p| {
        let sum = (p.at(-3, 0, 0) + p.at(0, 3, 0)) + (p.at(0, 0, -3) + p.at(0, 0, 2));
        [p.at(0, 0, 0) * 0.3 + (sum + (p.at(1, -1, 3) - p.at(-2, 3, -1))) * self.tenth]
    }
}

/// Planes that are computed in pairs: odd numbers of them, beside walls, and where a single plane is a box.
#[test]
fn pairs_of_planes() {
    let mixed = Walls::all(Wall::fixed(0.5)).with(2, Wall::Mirror(About::LastCell));
    for walls in [Walls::all(Wall::mirror()), Walls::all(Wall::Periodic), mixed] {
        for (name, boxes) in [("one box a rank", None), ("slabs", Some(slabs as fn(u32) -> Boxes))] {
            let case = Case::<f64, 3, 1, 1> {
                name: &format!("pairs, {walls:?}, {name}"),
                cells: [40, 19, 23],
                halo: 9,
                walls: vec![walls.clone()],
                leapfrog: false,
                from: number,
                steps: &[4, 3],
            };
            let (ranks, blocks) = (&[1, 2, 3], &[1, 2, 3, 4]);
            case.check_on(|p: Seen<f64, 3>| seven(p), &|p: Point<f64, 1>| seven(p), boxes, ranks, blocks);
            case.check_on(|p: Seen<f64, 3>| far(p), &Far { tenth: 0.1 }, boxes, ranks, blocks);
        }
    }
}

/// Sources that overlap with themselves around the torus, and receivers, against the plain loop.
#[test]
fn sources_and_receivers() {
    let cells = [37u64, 23];
    let sources = [(0usize, [3u64, 0]), (0, [36, 22]), (1, [20, 11]), (0, [3, 0])];
    let receivers = [(0usize, [3u64, 0]), (1, [21, 11]), (0, [0, 22]), (0, [18, 12])];
    let amount = |step: u64| 0.1 + (step as f64).sin();
    for walls in [Walls::all(Wall::Periodic), Walls::all(Wall::mirror()), Walls::all(Wall::odd(About::FirstBeyond))] {
        let fill = |seed: u64| -> Vec<f64> {
            (0..cells[1]).flat_map(|y| (0..cells[0]).map(move |x| start(seed, [x, y, 0]))).collect()
        };
        let mut plain = Plain {
            cells: [37, 23, 1],
            now: vec![fill(0), fill(1), vec![0.5; 37 * 23]],
            old: vec![vec![]; 2],
            walls: vec![walls.clone(); 3],
            step: 5,
            sources: sources
                .map(|(field, [x, y])| {
                    let add: fn(f64, u64) -> f64 = |v, step| v + (0.1 + (step as f64).sin());
                    (field, [x as i64, y as i64, 0], add)
                })
                .to_vec(),
        };
        let mut want = vec![vec![]; receivers.len()];
        for _ in 0..13 {
            plain.advance(|p: Seen<f64, 2>| react(p));
            for (trace, (field, [x, y])) in want.iter_mut().zip(receivers) {
                trace.push(plain.now[field][plain.index([x as i64, y as i64, 0])].to_bits());
            }
        }
        for (ranks, threads, block, tile) in [
            (1, 2, 1, None),
            (1, 1, 8, Some([16, 5, 1])),
            (3, 2, 4, None),
            (4, 1, 13, Some([8, 7, 1])),
            (2, 4, 3, None),
        ] {
            let body = |world: &mut World| {
                let grid = Grid::new(cells).halo(13);
                let mut fields = Vec::new();
                for seed in 0..3 {
                    let mut u = Field::<f64, 2>::new(world, grid)?;
                    u.fill(|[x, y]| if seed < 2 { start(seed, [x, y, 0]) } else { 0.5 });
                    fields.push(u);
                }
                let read = fields.pop().expect("three fields");
                let mut stepper = Stepper::new(|p: Point<f64, 1, 3>| react(p)).walls(walls.clone()).reads(vec![read]);
                stepper = stepper.time_block(block).at_step(5);
                if let Some(tile) = tile {
                    stepper = stepper.tile(tile);
                }
                for (field, cell) in sources {
                    stepper = stepper.source(field, cell, amount);
                }
                for (field, cell) in receivers {
                    stepper = stepper.receiver(field, cell);
                }
                let mut all: Vec<Vec<u64>> = vec![vec![]; receivers.len()];
                for steps in [6, 7] {
                    stepper.advance(world, &mut fields.iter_mut().collect::<Vec<_>>(), steps)?;
                    for (all, new) in all.iter_mut().zip(stepper.traces(world)?.unwrap_or_default()) {
                        all.extend(new.iter().map(|v| v.to_bits()));
                    }
                }
                Ok(world.on_root(|| all))
            };
            let got = Launch::from_env().ranks(ranks).threads(threads).run(body).unwrap().swap_remove(0);
            assert_eq!(got.as_ref(), Some(&want), "{walls:?}, {ranks} ranks, {block} steps at a time");
        }
    }
}

/// Trying shapes changes neither fields nor what receivers hear, and what was found is remembered.
#[test]
fn shapes_are_tried_and_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tuned");
    let run = |ranks: u32, tune: Option<&std::path::Path>, leapfrog: bool| {
        let body = |world: &mut World| {
            let mut fields = Vec::new();
            for seed in 0..1 + u64::from(leapfrog) {
                let mut u = Field::<f64, 2>::new(world, Grid::new([300, 200]))?;
                u.fill(|[x, y]| start(seed, [x, y, 0]));
                fields.push(u);
            }
            let new = if leapfrog { Stepper::leapfrog } else { Stepper::new };
            let mut stepper: Stepper<f64, 2, _, 1, 1> = new(|p: Point<f64, 1>| heat2(p)).receiver(0, [150, 100]);
            stepper = stepper.source(0, [10, 10], |step| step as f64);
            if let Some(file) = tune {
                stepper = stepper.tune(Tune::Quick, Some(file.into()));
            }
            stepper.advance(world, &mut fields.iter_mut().collect::<Vec<_>>(), 37)?;
            let trace = stepper.traces(world)?.map(|t| t[0].iter().map(|v| v.to_bits()).collect::<Vec<_>>());
            Ok((fields[0].hash(world)?, trace, stepper.fused()))
        };
        Launch::from_env().ranks(ranks).threads(2).run(body).unwrap().swap_remove(0)
    };
    for leapfrog in [false, true] {
        let plain = run(1, None, leapfrog);
        for ranks in [1, 3] {
            let first = run(ranks, Some(&file), leapfrog);
            let lines = std::fs::read_to_string(&file).unwrap();
            let second = run(ranks, Some(&file), leapfrog);
            assert_eq!((&first.0, &first.1), (&plain.0, &plain.1));
            assert_eq!((&second.0, &second.1), (&plain.0, &plain.1));
            assert_eq!(first.2, second.2, "the shape that was found");
            assert_eq!(std::fs::read_to_string(&file).unwrap(), lines, "nothing new was learnt");
        }
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 4);
    let body = |world: &mut World| {
        let mut u = Field::<f64, 2>::new(world, Grid::new([30, 20]))?;
        let mut stepper = Stepper::new(|p: Point<f64, 1>| heat2(p)).tune(Tune::Quick, Some(dir.path().into()));
        Ok(stepper.advance(world, &mut [&mut u], 3)?)
    };
    let why = Launch::from_env().ranks(2).threads(1).run(body).unwrap_err().to_string();
    assert!(why.contains(&format!("cannot read {}, where shapes are remembered", dir.path().display())), "{why}");
}

/// What cannot be is refused, with the numbers.
#[test]
fn walls_that_do_not_fit_are_named() {
    let refused = |walls: Walls<f64, 2>| {
        let body = |world: &mut World| {
            let mut u = Field::<f64, 2>::new(world, Grid::new([40, 1]))?;
            let mut stepper = Stepper::new(|p: Point<f64, 1>| heat2(p)).walls(walls.clone());
            Ok(stepper.advance(world, &mut [&mut u], 3)?)
        };
        Launch::from_env().ranks(2).threads(1).run(body).unwrap_err().to_string()
    };
    let why = refused(Walls::all(Wall::Mirror(About::LastCell)));
    assert!(why.contains("y has 1 cells; a stencil of radius 1 at a wall Mirror(LastCell) needs 2"), "{why}");
    let why = refused(Walls([[Wall::Periodic, Wall::fixed(0.0)], [Wall::fixed(0.0), Wall::fixed(0.0)]]));
    assert!(why.contains("x is periodic at one end only: Periodic, Fixed(0)"), "{why}");
}

/// Boxes that divide x into parts of very different widths.
fn uneven(ranks: u32) -> Boxes {
    let owners = (0..6).map(|id| (id * 5 + 1) % ranks).collect();
    Boxes::with([vec![0, 4096, 12_288, 12_300], vec![0, 2, 3], vec![0, 1]], owners)
}

#[test]
fn boxes_of_unequal_width() {
    let moving = Wall::moving(|[x, y, _], step| (x - 2 * y) as f64 * 1e-3 + step as f64);
    let walls = [
        Walls::all(Wall::fixed(0.5)),
        Walls::all(Wall::odd(About::Face)),
        Walls::all(Wall::Mirror(About::LastCell)),
        Walls::all(Wall::Periodic).with(1, moving),
    ];
    for walls in walls {
        let case = Case::<f64, 2, 1, 1> {
            name: &format!("uneven boxes, {walls:?}"),
            cells: [12_300, 3],
            halo: 16,
            walls: vec![walls.clone()],
            leapfrog: false,
            from: number,
            steps: &[5, 3],
        };
        let boxes: fn(u32) -> Boxes = uneven;
        case.check_on(|p: Seen<f64, 2>| heat2(p), &|p: Point<f64, 1>| heat2(p), Some(boxes), &[1, 2, 3], &[1, 4, 16]);
    }
}

/// One stepper for many fields, of other halos, too: nothing of one is taken for another's, and ghosts beyond the grid are zeros
/// afterwards.
#[test]
fn fields_come_and_go() {
    let mut world = World::alone();
    let mut field = |halo: usize, seed: u64| {
        let mut u = Field::<f64, 2>::new(&mut world, Grid::new([47, 30]).halo(halo)).unwrap();
        u.fill(|[x, y]| start(seed, [x, y, 0]));
        u
    };
    let mut fields: Vec<[Field<f64, 2>; 2]> =
        (0..40).map(|i| [field([16, 1, 3][i % 3], i as u64), field([16, 1, 3][i % 3], 99)]).collect();
    let walls = Walls::all(Wall::Periodic).with(1, Wall::fixed(7.0));
    let keep = |p: Point<f64, 1, 2>| [p.of(0, 0, 0, 0) + p.of(1, 1, 0, 0), p.of(1, 0, -1, 0)];
    let mut stepper = Stepper::new(keep).walls(walls.clone());
    for pair in &mut fields {
        let [u, v] = pair;
        stepper.advance(&mut world, &mut [u, v], 3).unwrap();
    }
    for (i, pair) in fields.iter().enumerate() {
        let fill =
            |seed: u64| -> Vec<f64> { (0..30).flat_map(|y| (0..47).map(move |x| start(seed, [x, y, 0]))).collect() };
        let mut plain = Plain {
            cells: [47, 30, 1],
            now: vec![fill(i as u64), fill(99)],
            old: vec![vec![]; 2],
            walls: vec![walls.clone(); 2],
            step: 0,
            sources: vec![],
        };
        (0..3).for_each(|_| {
            plain.advance(|p: Seen<f64, 2>| [p.of(0, 0, 0, 0) + p.of(1, 1, 0, 0), p.of(1, 0, -1, 0)]);
        });
        for (k, u) in pair.iter().enumerate() {
            assert!(u.gather(&mut world).unwrap().unwrap() == plain.now[k], "pair {i}, field {k}");
        }
        let mut seen = pair[0].like();
        sweep(&pair[0], &mut seen, Part::All, |rows, out| {
            assert_eq!((rows.at(0, 0)[0], *rows.at(0, 0).last().unwrap()), (0.0, 0.0));
            out.fill(1.0);
        });
    }
}

/// Tiles that are asked for are never so narrow that a wall's image lies in the next one; periods are all fields' or none's.
#[test]
fn tiles_and_periods_that_do_not_fit() {
    let case = Case::<f64, 2, 1, 1> {
        name: "narrow tiles",
        cells: [16, 9],
        halo: 8,
        walls: vec![Walls::all(Wall::mirror()).with(0, Wall::Mirror(About::LastCell))],
        leapfrog: false,
        from: number,
        steps: &[3],
    };
    let far = |p: &dyn See<f64>| [p.at(-8, 0, 0) * 0.25 + p.at(8, 0, 0) * 0.5 + p.at(0, 8, 0) * 0.125];
    let want = case.plain(|p: Seen<f64, 2>| far(&p));
    for tile in [[8, 100, 1], [1, 1, 1], [16, 4, 1]] {
        let how = How { ranks: 1, threads: 3, block: 1, tile: Some(tile), set: None, boxes: None };
        assert!(case.engine(&|p: Point<f64, 8>| far(&p), &how) == want, "{tile:?}");
    }
    let mut world = World::alone();
    let [mut u, mut v] = [0, 1].map(|_| Field::<f64, 2>::new(&mut world, Grid::new([9, 9])).unwrap());
    let mut stepper = Stepper::new(|p: Point<f64, 1, 2>| [p.of(0, 1, 0, 0), p.of(1, 1, 0, 0)]);
    stepper = stepper.walls_of(1, Walls::all(Wall::fixed(0.0)).with(1, Wall::Periodic));
    let why = stepper.advance(&mut world, &mut [&mut u, &mut v], 1).unwrap_err().to_string();
    assert!(why.contains("y is periodic for some fields and not for others"), "{why}");
}
