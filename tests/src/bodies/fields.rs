//! Fields whose boxes go from rank to rank.

use crate::{Body, well};
use physalia::field::{Boxes, Field, Grid, Part, Rows, sweep};
use physalia::prelude::*;

pub(super) fn bodies() -> Vec<Body> {
    use self as f;
    well![f::boxes_that_move_keep_their_bits]
}

const CELLS: [u64; 3] = [33, 21, 12];

/// 24 boxes, dealt out in turn.
fn boxes(world: &World) -> Boxes {
    let cuts = [vec![0, 33], vec![0, 4, 5, 9, 13, 17, 21], vec![0, 3, 5, 11, 12]];
    Boxes::with(cuts, (0..24).map(|id| id % world.size()).collect())
}

fn start(u: &mut Field<f64, 3>) {
    u.fill(|[x, y, z]| ((x * 31 + y * 17 + z * 7) % 101) as f64 / 7.0);
}

/// One step of something that reads all neighbours, corners too.
fn step(world: &mut World, u: &mut Field<f64, 3>, next: &mut Field<f64, 3>) -> Outcome<()> {
    let mut plan = HaloPlan::new(world, u)?;
    let flight = plan.start(world, u)?;
    let kernel = |rows: Rows<'_, f64>, out: &mut [f64]| {
        for (i, cell) in out.iter_mut().enumerate() {
            *cell = 0.3 * rows.at(0, 0)[i + 1] + 0.2 * rows.at(-1, 1)[i] + 0.1 * rows.at(1, -1)[i + 2] + 0.01;
        }
    };
    sweep(u, next, Part::Interior, kernel);
    flight.finish(u)?;
    sweep(u, next, Part::Edge, kernel);
    std::mem::swap(u, next);
    Ok(())
}

/// Random moves before each step, now and then all boxes to one rank, and none: the same bits as without.
fn boxes_that_move_keep_their_bits(world: &mut World) -> Outcome<()> {
    let grid = Grid::new(CELLS);
    let mut still = Field::<f64, 3>::new(world, grid)?;
    start(&mut still);
    let mut still_next = still.like();
    let dealt = boxes(world);
    let mut u = Field::<f64, 3>::with_boxes(world, grid, dealt)?;
    start(&mut u);
    let mut next = u.like();
    let (random, ranks) = (Random::new(5), u64::from(world.size()));
    let pick = |step: u64, i: u64, below: u64| ((random.unit(step << 20 | i) * below as f64) as u64).min(below - 1);
    for round in 0..8 {
        let moves: Vec<(usize, u32)> = match round {
            3 => (0..24).map(|id| (id, (ranks - 1) as u32)).collect(),
            5 => Vec::new(),
            _ => (0..10).map(|i| (pick(round, i, 24) as usize, pick(round, 100 + i, ranks) as u32)).collect(),
        };
        u.move_boxes(world, &moves)?;
        next.move_boxes(world, &moves)?;
        assert_eq!((u.boxes().epoch(), next.boxes().epoch()), (round + 1, round + 1));
        for &(id, _) in &moves {
            let last = moves.iter().rev().find(|m| m.0 == id).expect("it is there").1;
            assert_eq!(u.boxes().owners()[id], last);
        }
        let cells = u.boxes().of_rank(world.rank()).iter().map(|&id| u.boxes().region(id).cells()).sum::<u64>();
        assert_eq!(u.len(), cells);
        step(world, &mut u, &mut next)?;
        step(world, &mut still, &mut still_next)?;
        assert_eq!(u.hash(world)?, still.hash(world)?, "step {round}");
        assert_eq!(u.sum(world)?.to_bits(), still.sum(world)?.to_bits());
    }
    Ok(())
}
