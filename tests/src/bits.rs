//! Sums, dot products and norms of nasty data, as lines of bits: what a job computes, and what the rule says, serially.

use crate::dice::Dice;
use crate::oracle::sums::{block, by_the_rule, exact, norm};
use physalia::prelude::*;

/// Numbers with the name of what is bad about them. The second vector, of a dot product, is made by another seed.
#[derive(Clone, Copy, Debug)]
struct Case {
    name: &'static str,
    len: u64,
    value: fn(u64, Random) -> f64,
}

/// Any bits of a fraction, with an exponent of up to `spread` to both sides.
fn wide(i: u64, random: Random, spread: u64) -> f64 {
    let exponent = random.stream(1).below(i, 2 * spread + 1) as i32 - spread as i32;
    (random.unit(i) - 0.5) * 2f64.powi(exponent)
}

fn cases() -> Vec<Case> {
    let case = |name, len, value| Case { name, len, value };
    let any = |i, random| wide(i, random, 30);
    vec![
        case("empty", 0, any),
        case("one", 1, any),
        case("seven", 7, any),
        case("a block less one", 4095, any),
        case("a block", 4096, any),
        case("a block and one", 4097, any),
        case("many blocks", 40_000, any),
        // Each number and its negative, far apart, and something small.
        case("cancelling", 40_000, |i, random| {
            let x = wide(i % 16_000, random, 60);
            if i < 16_000 {
                x
            } else if i < 32_000 {
                -x
            } else {
                1e-30 * x
            }
        }),
        case("huge that cancel", 30_000, |i, random| {
            [1e300, 1.0, -1e300, 1e-300][(i / 5000 % 4) as usize] * (1.0 + random.unit(i % 5000))
        }),
        case("huge and tiny", 30_000, |i, random| if i % 3 == 0 { 1e-300 } else { 1e150 } * (random.unit(i) - 0.5)),
        case("beyond the largest", 9000, |i, random| 1e308 * (random.unit(i) - 0.5)),
        case("negative zeros", 9000, |_, _| -0.0),
        case("subnormal", 9000, |i, random| {
            f64::from_bits(random.below(i, 1 << 51)) * if i % 2 == 0 { 1.0 } else { -1.0 }
        }),
        case("one subnormal", 9000, |i, _| if i == 5000 { -5e-324 } else { 0.0 }),
        case("NaN", 9000, |i, _| if i == 5000 { f64::NAN } else { 1.0 }),
        case("infinite", 9000, |i, _| if i == 5000 { f64::NEG_INFINITY } else { 1.0 }),
        case("infinite both ways", 20_000, |i, _| match i {
            5000 => f64::INFINITY,
            15_000 => f64::NEG_INFINITY,
            _ => 1.0,
        }),
        case("infinite and NaN", 20_000, |i, _| match i {
            5000 => f64::INFINITY,
            15_000 => f64::NAN,
            _ => 1.0,
        }),
    ]
}

impl Case {
    fn a(&self, i: u64) -> f64 {
        (self.value)(i, Random::new(1))
    }

    fn b(&self, i: u64) -> f64 {
        (self.value)(self.len - 1 - i, Random::new(2))
    }
}

/// Where rank r's part begins, for r in 0..=ranks; also parts that are empty, or shorter than a block.
fn cuts(kind: u64, len: u64, ranks: u64) -> Vec<u64> {
    let mut dice = Dice::of(kind, ranks);
    let mut cuts: Vec<u64> = match kind {
        0 => (1..ranks).map(|r| len * r / ranks).collect(),
        1 => (1..ranks).map(|r| r.min(len)).collect(), // all but a few on the last rank
        2 => (1..ranks).map(|r| (4096 + r).min(len)).collect(),
        _ => (1..ranks).map(|_| dice.below(len + 1)).collect(),
    };
    cuts.sort_unstable();
    [vec![0], cuts, vec![len]].concat()
}

/// Grids on which a case's numbers are put, if there are so many.
const SHAPES: [[u64; 3]; 4] = [[40_000, 1, 1], [9000, 1, 1], [4500, 2, 1], [10, 30, 100]];

fn line(case: &Case, what: &str, value: f64) -> String {
    format!("{}: {what} {:016x}", case.name, value.to_bits())
}

/// What the job computes; collective. `fast`: with no order promised.
///
/// # Errors
/// The job's abort.
pub fn computed(world: &mut World, fast: bool) -> Outcome<Vec<String>> {
    let mut lines = Vec::new();
    for case in cases() {
        let mut say = |what: &str, value: f64| lines.push(line(&case, what, value));
        for start in [0, 1000] {
            let map = world.par(start.min(case.len)..case.len).map(|i| case.a(i));
            say("par sum", if fast { map.fast().sum() } else { map.sum() }?);
        }
        for kind in 0..4 {
            let ([me, ranks], f) = ([world.rank(), world.size()].map(u64::from), |x: f64| x as f32);
            let cuts = cuts(kind, case.len, ranks);
            let mine = cuts[me as usize]..cuts[me as usize + 1];
            let (a, b): (Vec<f64>, Vec<f64>) = mine.map(|i| (case.a(i), case.b(i))).unzip();
            let (a32, b32): (Vec<f32>, Vec<f32>) =
                (a.iter().copied().map(f).collect(), b.iter().copied().map(f).collect());
            if fast {
                say("sum", world.fast().sum(&a)?);
                say("dot", world.fast().dot(&a, &b)?);
                say("norm", world.fast().norm(&a)?);
                say("dot of f32", world.fast().dot(&a32, &b32)?);
            } else {
                say("sum", world.sum(&a)?);
                say("dot", world.dot(&a, &b)?);
                say("norm", world.norm(&a)?);
                say("dot of f32", world.dot(&a32, &b32)?);
            }
        }
        for shape in SHAPES.into_iter().filter(|shape| shape.iter().product::<u64>() <= case.len) {
            let at = |[x, y, z]: [u64; 3]| x + shape[0] * (y + shape[1] * z);
            let mut u = Field::<f64, 3>::new(world, Grid::new(shape))?;
            let mut v = u.like();
            u.fill(|cell| case.a(at(cell)));
            v.fill(|cell| case.b(at(cell)));
            let values = if fast {
                [u.fast().sum(world)?, u.fast().dot(world, &v)?, u.fast().norm(world)?]
            } else {
                [u.sum(world)?, u.dot(world, &v)?, u.norm(world)?]
            };
            values.iter().for_each(|&value| say("field", value));
        }
    }
    Ok(lines)
}

/// What must come out, by the rule, on one thread.
pub fn expected() -> Vec<String> {
    let mut lines = Vec::new();
    for case in cases() {
        let mut say = |what: &str, value: f64| lines.push(line(&case, what, value));
        let (a, b): (Vec<f64>, Vec<f64>) = (0..case.len).map(|i| (case.a(i), case.b(i))).unzip();
        let product = |(x, y): (&f64, &f64)| x * y;
        let product_32 = |(x, y): (&f64, &f64)| f64::from(*x as f32) * f64::from(*y as f32);
        let dot: Vec<f64> = a.iter().zip(&b).map(product).collect();
        let dot_32: Vec<f64> = a.iter().zip(&b).map(product_32).collect();
        for start in [0, 1000] {
            say("par sum", by_the_rule(start, a.get(start as usize..).unwrap_or(&[])));
        }
        for _ in 0..4 {
            say("sum", by_the_rule(0, &a));
            say("dot", by_the_rule(0, &dot));
            say("norm", norm(&a, |values| by_the_rule(0, values)));
            say("dot of f32", by_the_rule(0, &dot_32));
        }
        for shape in SHAPES.into_iter().filter(|shape| shape.iter().product::<u64>() <= case.len) {
            let cells = shape.iter().product::<u64>() as usize;
            let runs = |terms: &[f64]| {
                let rows = terms[..cells].chunks(shape[0] as usize);
                exact(rows.flat_map(|row| row.chunks(4096)).map(|run| block(run.iter().copied())))
            };
            [runs(&a), runs(&dot), norm(&a[..cells], runs)].iter().for_each(|&value| say("field", value));
        }
    }
    lines
}
