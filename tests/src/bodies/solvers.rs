//! Global arrays and solvers, on all ranks together and on each alone.

use crate::{Body, well};
use physalia::field::{Boxes, Field, Grid};
use physalia::prelude::*;
use physalia::solve::{Coefficient, Elliptic, Multigrid, Tolerance, Wall};

pub(super) fn bodies() -> Vec<Body> {
    use self as s;
    well![s::solutions_are_those_of_one_rank, s::cells_go_to_their_owners_and_back]
}

const CELLS: [u64; 3] = [13, 19, 11];

/// Multigrid with levels on all ranks, on some and on one, and conjugate gradients before it.
fn solved(world: &mut World) -> Outcome<Vec<u64>> {
    let mut f = Field::<f64, 3>::new(world, Grid::new(CELLS))?;
    f.fill(|[x, y, z]| ((x * 31 + y * 17 + z * 7) % 101) as f64 / 7.0 - 5.0);
    let mut c = f.like();
    c.fill(|[x, y, z]| 1.0 + ((x + y / 3 + z) % 4) as f64);
    let (d, n, p) = (Wall::Dirichlet, Wall::Neumann, Wall::Periodic);
    let problem = Elliptic::new([1.0, 1.5, 1.0]).walls([[d, n], [p, p], [n, d]]);
    let mut multigrid = Multigrid::with(world, &f, &problem, Coefficient::Cells(&c), 2, 100)?;
    let (mut u, mut v) = (f.like(), f.like());
    let a = multigrid.solve(world, &f, &mut u, Tolerance::relative(1e-3), 20)?;
    let b = multigrid.solve_by_cg(world, &f, &mut v, Tolerance::relative(1e-4), 40)?;
    assert!(a.converged && b.converged, "{a:?}, {b:?}");
    let mut bits = vec![u.hash(world)?, v.hash(world)?, u.max_norm(world)?.to_bits()];
    bits.extend(a.residuals.iter().chain(&b.residuals).map(|r| r.to_bits()));
    let (min, max) = (v.min(world)?, v.max(world)?);
    bits.extend([min.value.to_bits(), max.value.to_bits()].into_iter().chain(min.cell).chain(max.cell));
    Ok(bits)
}

fn solutions_are_those_of_one_rank(world: &mut World) -> Outcome<()> {
    let together = solved(world)?;
    let alone = world.with_split(world.rank(), solved)?;
    assert_eq!(together, alone);
    Ok(())
}

/// Every rank gives planes of its own, boxes lie in other hands, and each rank in turn asks for a cuboid.
fn cells_go_to_their_owners_and_back(world: &mut World) -> Outcome<()> {
    let (rank, ranks) = (u64::from(world.rank()), u64::from(world.size()));
    let cuts = [vec![0, 13], vec![0, 4, 5, 19], vec![0, 3, 11]];
    let owners = (0..6).map(|id| (world.size() - 1 + id) % world.size()).collect();
    let mut u = Field::<u32, 3>::with_boxes(world, Grid::new(CELLS), Boxes::with(cuts, owners))?;
    let value = |[x, y, z]: [u64; 3]| (x + 13 * (y + 19 * z)) as u32;
    let mine = CELLS[2] * rank / ranks..CELLS[2] * (rank + 1) / ranks;
    let shape = vec![(mine.end - mine.start) as usize, 19, 13];
    let first = value([0, 0, mine.start]);
    let planes = ndarray::ArrayD::from_shape_fn(shape, |i| first + value([i[2] as u64, i[1] as u64, i[0] as u64]));
    u.put(world, &[([0, 0, mine.start], planes.view())])?;
    u.for_each_cell(|at, cell| assert_eq!(cell, value(at)));
    for root in 0..world.size() {
        let asked = u.gather_region(world, root, [2..9, 3..17, 4..5])?;
        assert_eq!(asked.is_some(), root == world.rank());
        if let Some(asked) = asked {
            assert_eq!(asked.shape(), [1, 14, 7]);
            assert!(asked.indexed_iter().all(|(i, &cell)| cell == value([i[2] as u64 + 2, i[1] as u64 + 3, 4])));
        }
    }
    Ok(())
}
