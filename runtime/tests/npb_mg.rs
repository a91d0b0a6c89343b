//! The multigrid benchmark MG of the NAS Parallel Benchmarks on fields, verified by its own criterion: the norm of the residual
//! after four cycles, to 10⁻⁸. Written from its description (RNR-94-007, section 2.4): four V-cycles for Poisson's equation on a
//! periodic cube, the right-hand side is +1 and −1 at the places of the ten largest and smallest random numbers, and all operators
//! are 27-point stencils with a weight for the centre, the faces, the edges and the corners.
//!
//! A coarse point J lies at the fine point 2 J + 1.

mod npb;

use npb::Sequence;
use physalia::field::{Boxes, Transfer};
use physalia::prelude::*;

type Cube = Field<f64, 3>;

/// The operator, and the smoother of classes S, W and A.
const A: [f64; 4] = [-8.0 / 3.0, 0.0, 1.0 / 6.0, 1.0 / 12.0];
const S: [f64; 4] = [-3.0 / 8.0, 1.0 / 32.0, -1.0 / 64.0, 0.0];
/// From a fine level to the next.
const P: [f64; 4] = [0.5, 0.25, 0.125, 0.0625];

const PERIODIC: [bool; 3] = [true; 3];

/// A level, and what leads to it from the finer one: a field on this level's boxes, refined.
struct Level {
    u: Cube,
    r: Cube,
    scratch: Cube,
    ghosts: Transfer<f64, 3>,
    finer: Option<(Cube, Transfer<f64, 3>, Transfer<f64, 3>)>,
}

/// The sums of the four rows beside a row and of the four across, and the row, from x − 1 on.
fn rows_around(from: &Cube, [x, y, z]: [i64; 3], cells: usize) -> [Vec<f64>; 3] {
    let row = |dy: i64, dz: i64| from.near([x - 1, y + dy, z + dz], cells + 2).expect("rows within the halo");
    let four = |rows: [&[f64]; 4]| (0..cells + 2).map(|i| rows[0][i] + rows[1][i] + rows[2][i] + rows[3][i]).collect();
    let beside = four([row(-1, 0), row(1, 0), row(0, -1), row(0, 1)]);
    let across = four([row(-1, -1), row(1, -1), row(-1, 1), row(1, 1)]);
    [row(0, 0).to_vec(), beside, across]
}

/// The 27 points around i + 1.
fn stencil(w: [f64; 4], [here, beside, across]: &[Vec<f64>; 3], i: usize) -> f64 {
    let faces = here[i] + here[i + 2] + beside[i + 1];
    let edges = beside[i] + beside[i + 2] + across[i + 1];
    w[0] * here[i + 1] + w[1] * faces + w[2] * edges + w[3] * (across[i] + across[i + 2])
}

/// out = weights applied to `from`, whose ghosts are filled.
fn apply(
    world: &mut World,
    w: [f64; 4],
    ghosts: &mut Transfer<f64, 3>,
    from: &mut Cube,
    out: &mut Cube,
) -> Outcome<()> {
    ghosts.ghosts(world, from)?;
    let from = &*from;
    out.rows_mut(|at, row| {
        let around = rows_around(from, at.map(|c| c as i64), row.len());
        row.iter_mut().enumerate().for_each(|(i, cell)| *cell = stencil(w, &around, i));
    });
    Ok(())
}

/// Coarse points from fine ones with ghosts.
fn restrict(fine: &Cube, coarse: &mut Cube) {
    coarse.rows_mut(|at, row| {
        let around = rows_around(fine, at.map(|c| 2 * c as i64 + 1), 2 * row.len() - 1);
        row.iter_mut().enumerate().for_each(|(i, cell)| *cell = stencil(P, &around, 2 * i));
    });
}

/// Fine points as means of the nearest coarse ones, which have ghosts.
fn interpolate(coarse: &Cube, fine: &mut Cube) {
    fine.rows_mut(|[x, y, z], row| {
        // An odd point lies on a coarse one, an even one between two.
        let near = |c: u64| [(c as i64 - 1).div_euclid(2), c as i64 / 2];
        let (first, len) = (near(x)[0], row.len() / 2 + 2);
        let mut line = vec![0.0; len];
        for z in near(z) {
            for y in near(y) {
                let from = coarse.near([first, y, z], len).expect("rows within the halo");
                line.iter_mut().zip(from).for_each(|(sum, c)| *sum += 0.25 * c);
            }
        }
        for (at, cell) in (x..).zip(row) {
            let [a, b] = near(at).map(|c| line[(c - first) as usize]);
            *cell = 0.5 * (a + b);
        }
    });
}

impl Level {
    /// Levels from the finest on, down to two points a side. Coarse ones are dealt out to fewer ranks.
    fn all(world: &mut World, side: u64, share: u64) -> Outcome<Vec<Level>> {
        let mut levels: Vec<Level> = Vec::new();
        let mut n = side;
        while n >= 2 {
            let ranks = (n.pow(3) / share).clamp(1, world.size().into()) as u32;
            let boxes = Boxes::new([n; 3], ranks);
            let u = Cube::with_boxes(world, Grid::new([n; 3]), boxes.clone())?;
            let ghosts = Transfer::of_ghosts(world, &u, PERIODIC)?;
            let mut finer = None;
            if let Some(above) = levels.last() {
                let cuts = boxes.cuts().clone().map(|cuts| cuts.into_iter().map(|c| 2 * c).collect());
                let refined = Boxes::with(cuts, boxes.owners().to_vec());
                let field = Cube::with_boxes(world, Grid::new([2 * n; 3]), refined)?;
                let down = Transfer::between(world, &above.u, &field, PERIODIC)?;
                let up = Transfer::between(world, &field, &above.u, PERIODIC)?;
                finer = Some((field, down, up));
            }
            levels.push(Level { r: u.like(), scratch: u.like(), u, ghosts, finer });
            n /= 2;
        }
        Ok(levels)
    }

    /// u += S r
    fn smooth(&mut self, world: &mut World) -> Outcome<()> {
        apply(world, S, &mut self.ghosts, &mut self.r, &mut self.scratch)?;
        self.u.axpy(1.0, &self.scratch);
        Ok(())
    }

    /// r = v − A u; v is r itself, or the right-hand side of the first level.
    fn residual(&mut self, world: &mut World, v: Option<&Cube>) -> Outcome<()> {
        apply(world, A, &mut self.ghosts, &mut self.u, &mut self.scratch)?;
        match v {
            Some(v) => self.r.update_with_two(v, &self.scratch, |_, v, au| v - au),
            None => self.r.axpy(-1.0, &self.scratch),
        }
        Ok(())
    }
}

fn cycle(world: &mut World, levels: &mut [Level], v: &Cube) -> Outcome<()> {
    for k in 1..levels.len() {
        let [fine, coarse] = &mut levels[k - 1..=k] else { unreachable!("two levels") };
        let (aside, down, _) = coarse.finer.as_mut().expect("all but the first have one");
        down.run(world, &fine.r, aside)?;
        restrict(aside, &mut coarse.r);
    }
    let last = levels.last_mut().expect("a level");
    last.u.fill(|_| 0.0);
    last.smooth(world)?;
    for k in (1..levels.len()).rev() {
        let [fine, coarse] = &mut levels[k - 1..=k] else { unreachable!("two levels") };
        let (aside, _, up) = coarse.finer.as_mut().expect("all but the first have one");
        coarse.ghosts.ghosts(world, &mut coarse.u)?;
        interpolate(&coarse.u, aside);
        up.run(world, aside, &mut fine.scratch)?;
        if k == 1 {
            fine.u.axpy(1.0, &fine.scratch);
            fine.residual(world, Some(v))?;
        } else {
            fine.u.assign(&fine.scratch);
            fine.residual(world, None)?;
        }
        fine.smooth(world)?;
    }
    Ok(())
}

/// ±1 at the places of the ten largest and smallest random numbers.
fn charges(world: &mut World, v: &mut Cube) -> Outcome<()> {
    let [n, ..] = v.grid().cells();
    let mut random = v.like();
    random.rows_mut(|[x, y, z], row| {
        let mut sequence = Sequence::after(x + n * (y + n * z));
        row.iter_mut().for_each(|cell| *cell = sequence.draw());
    });
    for _ in 0..10 {
        let (largest, smallest) = (random.max(world)?, random.min(world)?);
        for (found, charge) in [(largest, 1.0), (smallest, -1.0)] {
            random.set(found.cell, 0.5);
            v.set(found.cell, charge);
        }
    }
    Ok(())
}

/// The norm of the residual after four cycles, and the hash of the solution.
fn run(side: u64, ranks: u32, threads: usize, share: u64) -> (f64, u64) {
    let job = Launch::from_env().ranks(ranks).threads(threads).run(|world| {
        let mut levels = Level::all(world, side, share)?;
        let mut v = levels[0].u.like();
        charges(world, &mut v)?;
        levels[0].residual(world, Some(&v))?;
        for _ in 0..4 {
            cycle(world, &mut levels, &v)?;
            levels[0].residual(world, Some(&v))?;
        }
        Ok((levels[0].r.norm(world)? / (side as f64).powi(3).sqrt(), levels[0].u.hash(world)?))
    });
    job.unwrap().swap_remove(0)
}

fn verified(norm: f64, published: f64) {
    let error = (norm - published).abs() / published;
    assert!(error <= 1e-8, "the norm is {norm:e}, published {published:e}: relative error {error:e}");
}

#[test]
fn class_s_on_any_number_of_ranks() {
    let alone = run(32, 1, 1, 4096);
    verified(alone.0, 0.530_770_700_573_4e-4);
    for (ranks, threads, share) in [(1, 2, 4096), (2, 2, 4096), (3, 1, 8), (4, 2, 512), (8, 1, 1)] {
        assert_eq!(run(32, ranks, threads, share), alone, "{ranks} ranks, {threads} threads");
    }
}

#[test]
fn class_w() {
    verified(run(128, 2, 1, 4096).0, 0.646_732_937_533_9e-5);
}

#[test]
#[ignore = "long: make test-long"]
fn class_a() {
    verified(run(256, 2, 1, 4096).0, 0.243_336_530_906_9e-5);
}
