//! The levels of multigrid: which axes a level halves, how its cells are dealt out, and the fields it works with.
//!
//! An axis is halved if its cells are among the narrowest (by a factor of 1.5): only there are errors smooth after smoothing. So
//! flat cells are first made more even, and a level with one cell along each axis is the last.
//!
//! A coarse level keeps the boxes of its fine one, halved, as long as each rank has enough to do and boxes can be halved where they
//! are cut. Otherwise it is dealt out anew to as many ranks as it occupies, and cells travel between the two.

use super::Number;
use super::axis::{Axis, Ties};
use super::operator::{Operator, faces};
use super::restrict::Weights;
use crate::World;
use crate::blocks::BLOCK;
use crate::field::{Boxes, Field, Grid, Transfer};
use physalia_collectives::Abort;

/// Cells that a rank should have of a level at least.
pub(super) const OCCUPIES: u64 = 4096;
/// Axes are halved whose cells are at most so many times as wide as the narrowest.
const NARROW: f64 = 1.5;

/// One level.
#[derive(Debug)]
pub(super) struct Level<T: Number, const D: usize> {
    pub axes: [Axis; D],
    pub operator: Operator<T, D>,
    pub ghosts: Transfer<T, D>,
    /// The solution, or the correction of the level before.
    pub u: Field<T, D>,
    /// What u is made from, and residuals.
    pub other: Field<T, D>,
    /// The right-hand side; of the first level only where it must be changed.
    pub f: Option<Field<T, D>>,
    /// The dampings of the smoothings before, which are those after too.
    pub omegas: Vec<T>,
    /// The way to the next level; of the last one nothing.
    pub down: Option<Down<T, D>>,
}

/// The way to the next coarser level.
#[derive(Debug)]
pub(super) struct Down<T: Number, const D: usize> {
    pub weights: Weights<T>,
    pub aside: Option<Aside<T, D>>,
}

/// A field on the next level's boxes, refined, where these are not the level's own.
#[derive(Debug)]
pub(super) struct Aside<T: Number, const D: usize> {
    pub field: Field<T, D>,
    pub out: Transfer<T, D>,
    pub back: Transfer<T, D>,
}

/// What levels are built from.
pub(super) struct Plan<'p, const D: usize> {
    pub periodic: [bool; D],
    pub shift: f64,
    /// c, where it is constant.
    pub constant: f64,
    /// Smoothings before, and as many after.
    pub smoothings: usize,
    pub occupies: u64,
    pub first: &'p Boxes,
}

impl<T: Number, const D: usize> Level<T, D> {
    /// All levels, from the finest on. `c` is on the boxes of the first; none is a constant.
    pub(super) fn build(
        world: &mut World,
        plan: &Plan<'_, D>,
        axes: [Axis; D],
        c: Option<Field<T, D>>,
    ) -> Result<Vec<Level<T, D>>, Abort> {
        let mut levels = Vec::new();
        let (mut next, mut boxes) = (Some((axes, c)), plan.first.clone());
        while let Some((axes, mut c)) = next.take() {
            let cells = axes.each_ref().map(|axis| axis.len() as u64);
            let u = Field::<T, D>::with_boxes(world, Grid::new(cells), boxes.clone())?;
            let mut ghosts = Transfer::of_ghosts(world, &u, plan.periodic)?;
            let faces = match &mut c {
                Some(c) => Some(faces(world, &mut ghosts, &axes, c)?),
                None => None,
            };
            let operator = Operator::new(&axes, plan.shift, plan.constant, faces);
            let (halved, weakest) = halved(&axes);
            let omegas = dampings(plan.smoothings, weakest).into_iter().map(T::nearest).collect();
            let mut down = None;
            if halved.contains(&true) {
                let ties: [Ties; D] = std::array::from_fn(|a| if halved[a] { axes[a].ties() } else { axes[a].same() });
                let coarse: [Axis; D] =
                    std::array::from_fn(|a| if halved[a] { axes[a].coarse() } else { axes[a].clone() });
                let (weights, factors) = (Weights::new(&ties), ties.each_ref().map(|t| t.factor));
                let (coarse_boxes, mut aside) = deal(world, plan, &u, &coarse, factors)?;
                let mut coarse_c = None;
                if let Some(c) = c {
                    let n = coarse.each_ref().map(|axis| axis.len() as u64);
                    let mut mean = Field::with_boxes(world, Grid::new(n), coarse_boxes.clone())?;
                    match &mut aside {
                        Some(aside) => {
                            aside.out.run(world, &c, &mut aside.field)?;
                            weights.gather(&aside.field, &mut mean, false);
                        }
                        None => weights.gather(&c, &mut mean, false),
                    }
                    coarse_c = Some(mean);
                }
                down = Some(Down { weights, aside });
                (next, boxes) = (Some((coarse, coarse_c)), coarse_boxes);
            }
            let (other, f) = (u.like(), (!levels.is_empty()).then(|| u.like()));
            levels.push(Level { axes, operator, ghosts, u, other, f, omegas, down });
        }
        Ok(levels)
    }
}

/// Which axes are halved, and the least share that one of them has in the diagonal.
fn halved<const D: usize>(axes: &[Axis; D]) -> ([bool; D], f64) {
    let width = |axis: &Axis| axis.widths[0];
    let open = |axis: &&Axis| axis.len() > 1;
    let narrowest = axes.iter().filter(open).map(width).fold(f64::INFINITY, f64::min);
    let halved = axes.each_ref().map(|axis| axis.len() > 1 && width(axis) <= NARROW * narrowest);
    let strength = |axis: &Axis| (narrowest / width(axis)).powi(2);
    let all: f64 = axes.iter().filter(open).map(strength).sum();
    let weakest = axes.iter().zip(halved).filter(|(_, h)| *h).map(|(axis, _)| strength(axis)).fold(1.0, f64::min);
    (halved, if all > 0.0 { weakest / all } else { 1.0 })
}

/// The dampings of so many Jacobi steps that reduce errors with eigenvalues of D⁻¹ A from `weakest` to 2 the most: one over the
/// zeros of a Chebyshev polynomial (Adams, Brezina, Hu, Tuminaro, "Parallel multigrid smoothing", 2003). No eigenvalue is
/// above 2, since no row's neighbours outweigh its diagonal; errors that the next level does not see are above `weakest`.
fn dampings(count: usize, weakest: f64) -> Vec<f64> {
    let (middle, half) = ((2.0 + weakest) / 2.0, (2.0 - weakest) / 2.0);
    let angle = |k: usize| std::f64::consts::PI * (k as f64 + 0.5) / count as f64;
    (0..count).map(|k| 1.0 / (middle + half * angle(k).cos())).collect()
}

/// The boxes of the next level, and where they are not the halves of these, a field on what they are the halves of.
fn deal<T: Number, const D: usize>(
    world: &mut World,
    plan: &Plan<'_, D>,
    fine: &Field<T, D>,
    coarse: &[Axis; D],
    factors: [u64; D],
) -> Result<(Boxes, Option<Aside<T, D>>), Abort> {
    let extent: [u64; 3] = std::array::from_fn(|a| coarse.get(a).map_or(1, |axis| axis.len() as u64));
    let factor: [u64; 3] = std::array::from_fn(|a| factors.get(a).copied().unwrap_or(1));
    let ranks = u64::from(world.size());
    let occupied = (extent.iter().product::<u64>() / plan.occupies).clamp(1, ranks);
    let mut owners = fine.boxes().owners().to_vec();
    owners.sort_unstable();
    owners.dedup();
    if occupied >= owners.len() as u64
        && let Some(boxes) = half(fine.boxes(), extent, factor)
    {
        return Ok((boxes, None));
    }
    let even = Boxes::new(extent, occupied as u32);
    let spread = |i: &u32| (u64::from(*i) * ranks / occupied) as u32;
    let boxes = Boxes::with(even.cuts().clone(), even.owners().iter().map(spread).collect());
    let cells = fine.grid().cells();
    let whole = fine.boxes().extent();
    let refined = std::array::from_fn(|a| boxes.cuts()[a].iter().map(|c| (c * factor[a]).min(whole[a])).collect());
    let refined = Boxes::with(refined, boxes.owners().to_vec());
    if refined.cuts() == fine.boxes().cuts() && refined.owners() == fine.boxes().owners() {
        return Ok((boxes, None));
    }
    let field = Field::with_boxes(world, Grid::new(cells), refined)?;
    let out = Transfer::between(world, fine, &field, plan.periodic)?;
    let back = Transfer::between(world, &field, fine, plan.periodic)?;
    Ok((boxes, Some(Aside { field, out, back })))
}

/// The halves of boxes, if each is cut where it can be.
fn half(fine: &Boxes, extent: [u64; 3], factor: [u64; 3]) -> Option<Boxes> {
    let mut cuts = fine.cuts().clone();
    for a in 0..3 {
        let unit = factor[a] * if a == 0 { BLOCK } else { 1 };
        let last = cuts[a].len() - 1;
        if cuts[a][1..last].iter().any(|c| !c.is_multiple_of(unit)) {
            return None;
        }
        cuts[a].iter_mut().for_each(|c| *c /= factor[a]);
        cuts[a][last] = extent[a];
    }
    Some(Boxes::with(cuts, fine.owners().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::solve::Wall;

    #[test]
    fn flat_cells_are_made_even_first() {
        let walls = [Wall::Dirichlet; 2];
        let mut axes = [Axis::uniform(8, 1.0, walls), Axis::uniform(129, 1.0, walls)];
        let mut shapes = Vec::new();
        loop {
            let (which, weakest) = halved(&axes);
            assert!(weakest > 0.2 && weakest <= 1.0);
            for a in 0..2 {
                if which[a] {
                    axes[a] = axes[a].coarse();
                }
            }
            if !which.contains(&true) {
                break;
            }
            shapes.push(axes.each_ref().map(Axis::len));
        }
        assert_eq!(shapes, [[8, 65], [8, 33], [8, 17], [8, 9], [4, 5], [2, 3], [1, 2], [1, 1]]);
    }

    #[test]
    fn boxes_are_halved_where_they_can_be() {
        let boxes = Boxes::with([vec![0, 8192, 8200], vec![0, 4, 7], vec![0, 1]], vec![0, 1, 2, 3]);
        let coarse = half(&boxes, [4100, 4, 1], [2, 2, 1]).unwrap();
        assert_eq!(coarse.cuts(), &[vec![0, 4096, 4100], vec![0, 2, 4], vec![0, 1]]);
        assert_eq!(half(&coarse, [2050, 2, 1], [2, 2, 1]), None);
        assert!(half(&coarse, [4100, 2, 1], [1, 2, 1]).is_some());
        let odd = Boxes::with([vec![0, 5], vec![0, 3, 7], vec![0, 1]], vec![0, 1]);
        assert_eq!(half(&odd, [3, 4, 1], [2, 2, 1]), None);
    }

    /// The dampings make the least polynomial there is on the interval.
    #[test]
    fn dampings_reduce_all_alike() {
        for (count, weakest) in [(1, 1.0), (2, 0.5), (3, 1.0 / 3.0)] {
            let left = |x: f64| dampings(count, weakest).iter().map(|w| 1.0 - w * x).product::<f64>().abs();
            let worst = (0..=1000).map(|i| left(weakest + (2.0 - weakest) * f64::from(i) / 1000.0)).fold(0.0, f64::max);
            let ends = [left(weakest), left(2.0)];
            assert!(ends.iter().all(|end| (end - worst).abs() < 1e-12), "{count} {weakest}: {ends:?}, {worst}");
            assert!(worst < [0.0, 0.34, 0.23, 0.15][count], "{worst}");
        }
    }
}
