//! Simulations by the stencil engine: the same bits as one rank that steps once at a time.

use crate::{Body, well};
use physalia::field::{Boxes, Cell};
use physalia::prelude::*;
use physalia::stencil::{About, Stencil};

pub(super) fn bodies() -> Vec<Body> {
    use self as f;
    well![f::simulations_have_their_bits, f::simulations_go_on_where_boxes_moved]
}

fn start<const D: usize>(at: [u64; D]) -> f64 {
    Random::new(7).unit(at.iter().fold(3, |h, &i| h * 1009 + i)) - 0.4
}

/// The hash after some steps, in two stretches.
fn run<T, S, const D: usize, const R: usize>(
    world: &mut World,
    cells: [u64; D],
    mut stepper: Stepper<T, D, S, R, 1>,
    levels: u64,
    from: fn(f64) -> T,
) -> Outcome<u64>
where
    T: Cell,
    S: Stencil<T, R, 1>,
{
    let mut fields = Vec::new();
    for level in 0..levels {
        let mut u = Field::<T, D>::new(world, Grid::new(cells).halo(8))?;
        u.fill(|at| from(start(at) + level as f64 / 8.0));
        fields.push(u);
    }
    for steps in [7, 12] {
        stepper.advance(world, &mut fields.iter_mut().collect::<Vec<_>>(), steps)?;
    }
    Ok(fields[0].hash(world)?)
}

fn heat(p: Point<'_, f64, 1>) -> f64 {
    p.at(0, 0, 0) + 0.2 * (p.at(-1, 0, 0) + p.at(1, 0, 0) + p.at(0, -1, 0) + p.at(0, 1, 0) - 4.0 * p.at(0, 0, 0))
}

fn wave(p: Point<'_, f32, 2>) -> f32 {
    let far =
        |k: isize| p.at(-k, 0, 0) + p.at(k, 0, 0) + p.at(0, -k, 0) + p.at(0, k, 0) + p.at(0, 0, -k) + p.at(0, 0, k);
    p.at(0, 0, 0) * 1.1 - p.old() + 0.15 * far(1) - 0.01 * far(2)
}

/// Steps fused as the model likes, or a given number: on these ranks, and on this one alone, one step at a time.
fn simulations_have_their_bits(world: &mut World) -> Outcome<()> {
    let walls = [
        Walls::all(Wall::fixed(0.5)),
        Walls::all(Wall::Periodic),
        Walls::all(Wall::odd(About::FirstBeyond)).with(1, Wall::mirror()),
    ];
    for walls in &walls {
        for cells in [[61, 47], [40, 3]] {
            let make = |most: usize| Stepper::new(|p: Point<f64, 1>| heat(p)).walls(walls.clone()).time_block(most);
            let alone = run(&mut World::alone(), cells, make(1), 1, |x| x)?;
            for most in [1, 4, 8] {
                assert_eq!(run(world, cells, make(most), 1, |x| x)?, alone, "{walls:?}, {cells:?}, {most} at a time");
            }
        }
    }
    let walls = [Walls::all(Wall::fixed(0.0)), Walls::all(Wall::Periodic)];
    for walls in &walls {
        let make = |most: usize| Stepper::leapfrog(|p: Point<f32, 2>| wave(p)).walls(walls.clone()).time_block(most);
        let cells = [30, 17, 11];
        let alone = run(&mut World::alone(), cells, make(1), 2, |x| x as f32)?;
        for most in [1, 3] {
            assert_eq!(run(world, cells, make(most), 2, |x| x as f32)?, alone, "{walls:?}, {most} at a time");
        }
    }
    Ok(())
}

/// Boxes go to other ranks between stretches of steps.
fn simulations_go_on_where_boxes_moved(world: &mut World) -> Outcome<()> {
    let grid = Grid::new([33, 40]);
    let ranks = world.size();
    let boxes = |turn: u32| (0..10).map(|id| (id * 3 + turn) % ranks).collect::<Vec<u32>>();
    let cuts = [vec![0, 33], (0..=10).map(|i| 4 * i).collect(), vec![0, 1]];
    let make = || Stepper::new(|p: Point<f64, 1>| heat(p)).walls(Walls::all(Wall::Periodic).with(0, Wall::mirror()));
    let mut alone = Field::<f64, 2>::new(&mut World::alone(), grid)?;
    alone.fill(start);
    let mut u = Field::<f64, 2>::with_boxes(world, grid, Boxes::with(cuts, boxes(0)))?;
    u.fill(start);
    let (mut still, mut moving) = (make().time_block(1), make().time_block(3));
    for turn in 1..5 {
        still.advance(&mut World::alone(), &mut [&mut alone], 5)?;
        moving.advance(world, &mut [&mut u], 5)?;
        assert_eq!(u.hash(world)?, alone.hash(&mut World::alone())?, "turn {turn}");
        let moves: Vec<(usize, u32)> = boxes(turn).into_iter().enumerate().collect();
        u.move_boxes(world, &moves)?;
    }
    Ok(())
}
